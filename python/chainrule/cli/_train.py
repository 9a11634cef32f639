"""The command `train`."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import ops
from ..serialize._model_files import load_with_record, save
from ..train._history import History
from . import task as training
from ._models import PlainModel, TableModel
from ._progress import Events
from ._report import Report, complain
from ._scores import baseline_of, class_scores, number_scores, shown_scores
from ._tables import TableData, load_table

__all__ = ["TrainOptions", "score_model", "show_scores", "train_command"]


@dataclass(frozen=True)
class TrainOptions:
    """The options of the command; `settings` are those that were given, for `--config`."""

    source: str | None
    target: str | None
    task: str | None
    out: str | None
    net: str
    net_given: bool
    holdout: float
    test: str | None
    declared: dict[str, Sequence[str]]
    drop_missing: bool | None
    reading: dict[str, Any]
    hidden: str | None
    epochs: int | None
    batch_size: int | None
    lr: float | None
    momentum: float
    nesterov: bool
    weight_decay: float
    checkpoint: str | None
    resume: bool
    seed: int
    plot: str | None
    log: str | None
    members: int | None
    time_limit: float | None
    class_weight: str | None
    plain_given: tuple[str, ...]
    tabular_given: tuple[str, ...]
    settings: dict[str, Any]


def train_command(options: TrainOptions, report: Report) -> None:
    """Train, score, save and say so."""
    sizes = _sizes(options.hidden)
    if options.resume and options.checkpoint is None:
        raise ValueError("train: --resume requires --checkpoint FILE")
    if not 0 <= options.holdout < 1:
        raise ValueError(f"train: --holdout must be a fraction between 0 and 1, or 0 for none, got {options.holdout}")
    is_table = options.source is not None and not os.path.isdir(options.source)
    if not is_table:
        _check_no_table_options(options)
    if options.tabular_given and (not is_table or options.net == "plain"):
        raise ValueError(f"train: {_shown(options.tabular_given)} can be used with a table and --net tabular only")
    problem = _problem(options) if not is_table else None
    table = None if problem is not None else _table(options, report)
    name = problem.name if problem is not None else table.name if table is not None else ""
    path = _check_out(options.out if options.out is not None else f"{name}.safetensors")
    for further in (options.checkpoint, options.log):
        if further is not None:
            _check_out(further)
    if options.plot is not None:
        from ._plots import prepare_folder

        prepare_folder(options.plot)
    events = Events(options.log, wanted=not (report.quiet or report.as_json))
    try:
        if problem is None and table is not None and options.net == "tabular":
            _train_tabular(options, sizes, table, path, report, events)
        else:
            plain = problem if problem is not None else training.table_problem(table)
            _train_plain(options, sizes, plain, table, path, report, events)
    finally:
        events.close()


def _check_no_table_options(options: TrainOptions) -> None:
    given = [options.target, options.task, options.test, *options.declared.values(), *options.reading.values()]
    if any(value not in (None, ()) for value in given) or options.drop_missing is not None:
        raise ValueError("train: --target, --task, --categories, --ignore and the like require a file with a table")
    if options.net_given and options.net == "tabular":
        raise ValueError("train: --net tabular requires a file with a table")


def _shown(names: Sequence[str]) -> str:
    return ", ".join("--" + name.replace("_", "-") for name in names)


def _problem(options: TrainOptions) -> training.Problem:
    if options.source is None:
        return training.digits_problem(holdout=options.holdout, seed=options.seed)
    return training.idx_problem(options.source)


def _table(options: TrainOptions, report: Report) -> TableData:
    return load_table(
        str(options.source),
        options.target,
        report,
        task=options.task,
        reading=options.reading,
        declared=options.declared,
        drop_missing=options.drop_missing,
        holdout=options.holdout,
        test=options.test,
        seed=options.seed,
    )


def _sizes(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    if text.strip() in ("", "0", "none"):
        return ()
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = (0,)
    if min(sizes) < 1:
        raise ValueError(f"train: --hidden must be sizes like 256,128, got {text!r}")
    return sizes


def _check_out(path: str) -> str:
    """Check before training that a file can be written."""
    folder = os.path.dirname(os.path.realpath(path))
    if os.path.isdir(path):
        raise IsADirectoryError(21, "is a folder, expected a file to save to", path)
    if os.path.exists(path) and not os.path.isfile(path):
        return path  # a device or pipe is written into
    if not os.path.isdir(folder):
        raise FileNotFoundError(2, "no such folder", folder)
    if not os.access(folder, os.W_OK):
        raise PermissionError(13, "the folder cannot be written", folder)
    return path


# Plain nets.


def _train_plain(
    options: TrainOptions,
    sizes: tuple[int, ...] | None,
    problem: training.Problem,
    table: TableData | None,
    path: str,
    report: Report,
    events: Events,
) -> None:
    chosen = {"hidden": sizes, "epochs": options.epochs, "batch_size": options.batch_size, "lr": options.lr}
    hyper = replace(
        problem.defaults,
        momentum=options.momentum,
        nesterov=options.nesterov,
        weight_decay=options.weight_decay,
        seed=options.seed,
        **{name: value for name, value in chosen.items() if value is not None},  # type: ignore[arg-type]
    )
    model = training.build_model(problem, hyper)
    rows, held = len(problem.train[0]), 0 if problem.held_out is None else len(problem.held_out[0])
    for note in problem.notes:
        report.note(f"{problem.name}: {note}")
    head = f"{problem.name}: {rows} rows to train on, {held} held out, {problem.preparation.task}"
    report.line(head)
    widths = "-".join(
        str(size) for size in (problem.front[-1].out_features, *hyper.hidden, problem.preparation.outputs)
    )
    report.line(
        f"net {widths}, SGD lr {hyper.lr} momentum {hyper.momentum}, batch {hyper.batch_size}, seed {hyper.seed}"
    )
    events.log("start", rows=rows, held_out=held, net=widths, seed=hyper.seed, epochs=hyper.epochs)
    history = History()
    after_epoch = events.callback(hyper.epochs)
    try:
        training.train(problem, model, hyper, after_epoch, history, options.checkpoint, options.resume)
    except KeyboardInterrupt:
        events.close()
        save(model, path, preparation=problem.preparation)
        hint = "" if options.checkpoint is None else "; continue with --resume"
        complain(f"interrupted after {history.epochs} completed epochs; saved {path}{hint}")
        raise
    found = PlainModel(model, problem.preparation)
    scores = _scores_or_none(lambda: _plain_scores(problem, found, table))
    record = None if table is None else _record(options, table, scores, found)
    save(model, path, preparation=problem.preparation, record=record)
    seconds = sum(history.seconds)
    _finish(report, events, path, head, scores, seconds, table, f"{history.samples_per_second:.0f} samples/s")
    if options.plot is not None:
        from ._plots import draw_curves, draw_results

        held_out = [history.val_loss] if history.val_loss else []
        if history.epochs:
            draw_curves(options.plot, [history.loss], held_out, "held-out rows", "epoch", report)
        if table is not None and table.held_out is not None:
            draw_results(options.plot, found, table.held_out.frame, table.held_out.y, report)


def _plain_scores(problem: training.Problem, found: PlainModel, table: TableData | None) -> dict[str, Any] | None:
    if table is not None:
        return _table_scores(found, table)
    if problem.held_out is None:
        return None
    names = np.array(found.classes, dtype=object)
    X, y = problem.held_out
    p = np.asarray(ops.softmax(found.net.predict(X), axis=1).numpy(), dtype=np.float64)
    shares = baseline_of("classification", names[problem.train[1]], found.classes)
    return class_scores(names[y], p, found.classes, shares)


# Tabular models.


def _train_tabular(
    options: TrainOptions,
    sizes: tuple[int, ...] | None,
    table: TableData,
    path: str,
    report: Report,
    events: Events,
) -> None:
    from ._engine import EngineModel, train_engine

    if options.plain_given:
        raise ValueError(f"train: {_shown(options.plain_given)} can be used with --net plain only")
    rows, held = len(table.train), 0 if table.held_out is None else len(table.held_out)
    head = f"{table.name}: {rows} rows to train on, {held} held out, {table.task}"
    report.line(head)
    events.log("start", rows=rows, held_out=held, seed=options.seed)
    given = {
        "hidden": sizes,
        "epochs": options.epochs,
        "n_members": options.members,
        "time_limit": options.time_limit,
        "class_weight": options.class_weight,
    }
    begun = time.perf_counter()
    try:
        model = train_engine(
            table.train.frame,
            table.train.y,
            task=table.task,
            kinds=table.kinds,
            seed=options.seed,
            options={name: value for name, value in given.items() if value is not None},
            events=events,
        )
    except KeyboardInterrupt:
        events.close()
        complain("interrupted; nothing is saved")
        raise
    seconds = time.perf_counter() - begun
    found = EngineModel(model, table.target)
    scores = _scores_or_none(lambda: _table_scores(found, table))
    saved: Any = model
    save(saved, path, record=_record(options, table, scores, found))
    _finish(report, events, path, head, scores, seconds, table, "")
    if options.plot is not None:
        from ._plots import draw_curves, draw_results

        if model.losses:
            draw_curves(options.plot, [], model.losses, "held-out rows of each net", "evaluation", report)
        if table.held_out is not None:
            draw_results(options.plot, found, table.held_out.frame, table.held_out.y, report)


# Scores and what is printed.


def _scores_or_none(compute: Any) -> dict[str, Any] | None:
    """Scores; an error in them does not cost the model."""
    try:
        found: dict[str, Any] | None = compute()
    except (ValueError, TypeError, MemoryError) as error:
        complain(f"chainrule: note: no scores: {error}")
        return None
    return found


def _table_scores(model: TableModel, table: TableData) -> dict[str, Any] | None:
    held = table.held_out
    return None if held is None else score_model(model, held.frame, held.y, _base(model, table))


def _base(model: TableModel, table: TableData) -> Any:
    return baseline_of(table.task, table.train.y, model.classes)


def score_model(model: TableModel, frame: Any, y: Any, base: Any) -> dict[str, Any]:
    """The scores of a model on rows with their targets."""
    if model.task == "regression":
        return number_scores(y, model.values(frame), base)
    return class_scores(y, model.probabilities(frame), model.classes, base)


def _record(
    options: TrainOptions, table: TableData, scores: dict[str, Any] | None, model: TableModel
) -> dict[str, Any]:
    return {
        "source": os.path.basename(str(options.source)),
        "target": table.target,
        "task": table.task,
        "rows": len(table.train),
        "held_out": 0 if table.held_out is None else len(table.held_out),
        "columns": [[kind.name, kind.kind, kind.note] for kind in table.kinds],
        "baseline": _base(model, table),
        "scores": scores,
        "settings": {name: value for name, value in options.settings.items() if name not in _NOT_REPEATED},
    }


_NOT_REPEATED = ("config", "quiet", "as_json", "threads", "out", "plot", "log")


def show_scores(report: Report, scores: dict[str, Any], where: str) -> None:
    """Print scores beside those of the baseline, and the confusion matrix."""
    baseline = scores["baseline"]
    other = f"always {baseline['class']}" if "class" in baseline else "the mean"
    report.line()
    report.table([f"{scores['rows']} {where}", "model", other], [list(row) for row in shown_scores(scores)], (1, 2))
    if "unknown" in scores:
        report.note(f"classes that the model does not know: {', '.join(scores['unknown'][:5])}; counted as mistakes")
    if "confusion" in scores and len(scores["classes"]) <= 12:
        report.line()
        classes = scores["classes"]
        rows = [[name, *map(str, counts)] for name, counts in zip(classes, scores["confusion"], strict=True)]
        report.table(["true \\ predicted", *classes], rows, tuple(range(1, len(classes) + 1)))


def one_line(scores: dict[str, Any] | None, where: str) -> str:
    """The most important score in a line."""
    if scores is None:
        return "no held-out rows"
    model, baseline = scores["model"], scores["baseline"]
    if "accuracy" in model:
        shown = f"held-out accuracy {100 * model['accuracy']:.2f} % of {scores['rows']} rows"
        return f"{shown} (always {baseline['class']}: {100 * baseline['accuracy']:.2f} %)"
    shown = f"held-out RMSE {model['rmse']:.4g} on {scores['rows']} rows"
    return f"{shown} (always guessing the mean: {baseline['rmse']:.4g})"


def _finish(
    report: Report,
    events: Events,
    path: str,
    head: str,
    scores: dict[str, Any] | None,
    seconds: float,
    table: TableData | None,
    speed: str,
) -> None:
    events.close_line()
    digest = _digest(path)
    where = "held-out rows" if table is None else table.held_out_name
    if scores is not None:
        show_scores(report, scores, where)
        report.line()
    result = one_line(scores, where)
    if report.quiet:
        report.result(f"{head}; {result}; saved {path}; digest {digest[:16]}")
    else:
        report.line(result)
        report.line(f"{seconds:.2f} s of training{f', {speed}' if speed else ''}")
        report.line(f"saved {path}")
        report.line(f"digest {digest}")
    events.log("end", scores=scores, seconds=seconds, model=path, digest=digest)
    report.json({"model": path, "digest": digest, "seconds": round(seconds, 3), "scores": scores, "summary": head})


def _digest(path: str) -> str:
    """The digest of a model file: SHA-256 over all names, values and metadata; nothing in it depends on the time."""
    return str(load_with_record(path)[2]["digest"]) if os.path.isfile(path) else "-"

"""The commands `evaluate` and `info`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data import DataError
from ..data._dialect import MISSING
from ..serialize._model_files import load_with_record
from ._models import load_model, words_for_missing
from ._predict import Counts, read_for
from ._report import Report
from ._scores import baseline_of
from ._target import class_names, read_target
from ._train import one_line, score_model, show_scores

__all__ = ["evaluate_command", "info_command"]


def evaluate_command(path: str, source: str, plot: str | None, reading: dict[str, Any], report: Report) -> None:
    """Score a model on a file."""
    model, record = load_model(path)
    reading = {**reading, "missing": words_for_missing(record, reading["missing"])}
    read = next(read_for(model, source, reading, None, target=True))
    missing = (*MISSING, *reading["missing"])
    column = read.frame[model.target]
    target = read_target(column, read.lines, model.task, missing, source, True)
    y = _spelled(target.y, model.classes) if model.task == "classification" else target.y
    frame = read.frame.take(target.kept)
    counts = Counts()
    counts.add(model, frame)
    for note in (*target.notes, *counts.notes()):
        report.note(f"{source}: {note}")
    base = record.get("baseline")
    if base is None:
        base = baseline_of(model.task, y, model.classes)
    scores = score_model(model, frame, y, base)
    if report.quiet:
        report.result(one_line(scores, source).removeprefix("held-out "))
    show_scores(report, scores, f"rows of {source}")
    if plot is not None:
        from ._plots import draw_results, prepare_folder

        prepare_folder(plot)
        draw_results(plot, model, frame, y, report)
    report.line(f"\ndigest of the model {record['digest']}")
    report.json({"file": source, "model": path, "digest": record["digest"], "scores": scores})


def _spelled(y: Any, classes: tuple[str, ...]) -> Any:
    """Class names as the model writes them: 1.0 is the class 1, where both are plain numbers."""
    own = set(classes)
    found = {name: name for name in set(y.tolist())}
    for name in found:
        if name not in own:
            same = class_names([name, *classes])
            found[name] = next((known for known in classes if same[known] == same[name]), name)
    return np.array([found[name] for name in y.tolist()], dtype=object)


def info_command(path: str, report: Report) -> None:
    """Describe a model file."""
    try:
        model, record = load_model(path)
    except ValueError as error:
        if isinstance(error, DataError) or "column names" not in str(error):
            raise
        net, _, record = load_with_record(path)
        report.line(f"{path}: {type(net).__name__}, without a table")
        report.line(f"digest {record['digest']}")
        report.json({"model": path, "digest": record["digest"]})
        return
    kind = "plain net" if type(model).__name__ == "PlainModel" else "tabular model"
    trained = f" on {record['rows']:,} rows of {record['source']}" if "rows" in record else ""
    report.line(f"{path}: {kind} for {model.target!r} ({model.task}), trained{trained}")
    columns = [tuple(row) for row in record["columns"]] if "columns" in record else model.kinds()
    importances = model.importances()
    head, right = (["column", "used as", "importance", ""], (2,)) if importances else (["column", "used as", ""], ())
    rows = [[name, used, *_importance(importances, name), note] for name, used, note in columns]
    shown = rows if len(rows) <= 40 else [*rows[:40], [f"... {len(rows) - 40} more", *[""] * (len(head) - 1)]]
    report.table(head, shown, right)
    if model.classes:
        report.line(f"{len(model.classes)} classes: {', '.join(model.classes[:20])}")
    if record.get("scores"):
        show_scores(report, record["scores"], "held-out rows")
        report.line()
    report.line(f"chainrule {record['version']}, numerics version {record['numerics_version']}")
    report.line(f"digest {record['digest']}")
    report.json({"model": path, "kind": kind, "target": model.target, "task": model.task,
                 "classes": list(model.classes), "features": list(model.features), "importances": importances,
                 **record})  # fmt: skip


def _importance(importances: dict[str, float], name: str) -> list[str]:
    """A cell of the table, if it has the column."""
    if not importances:
        return []
    return [f"{100 * importances[name]:.1f} %" if name in importances else ""]

"""The command line `chainrule`: train, predict, info, selftest. Needs the extra `[cli]` (typer).

Every error is one line on stderr and exit code 2; Ctrl-C is exit code 130.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import sys
from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any

import typer

from .. import ops
from .._util.files import write_atomic
from ..config import __version__, set_num_threads, show_config
from ..data import read_csv
from ..serialize._model_files import load_prepared, save
from ..train._history import History
from . import task as training

__all__ = ["app", "run"]

app = typer.Typer(
    name="chainrule",
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"chainrule {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Neural nets on CPUs, with the same bits everywhere."""


class Task(str, Enum):
    """What to predict."""

    classification = "classification"
    regression = "regression"


HeaderOption = Annotated[
    bool | None,
    typer.Option("--header/--no-header", help="Whether line 1 of the CSV holds names.", show_default="found out"),
]
DelimiterOption = Annotated[str, typer.Option(help="The character between two fields.")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="Threads.", show_default="the CPUs there are")]


@app.command()
def train(
    source: Annotated[
        str | None,
        typer.Argument(help="A CSV file, or a folder of IDX files.", show_default="the digits shipped inside"),
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column to predict (CSV).")] = None,
    task: Annotated[Task | None, typer.Option(help="What the target is (CSV).", show_default="found out")] = None,
    categories: Annotated[
        list[str] | None,
        typer.Option(help="A column of categories; those of text are found. May be repeated (CSV)."),
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="A column to leave out. May be repeated (CSV).")] = None,
    header: HeaderOption = None,
    delimiter: DelimiterOption = ",",
    holdout: Annotated[float, typer.Option(help="Share of rows held out (not for IDX).")] = 0.2,
    hidden: Annotated[
        str | None, typer.Option(help="Sizes of the hidden layers, like 256,128; 0 for none.", show_default="by data")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the data.", show_default="by data")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Rows per step.", show_default="by data")] = None,
    lr: Annotated[
        float | None, typer.Option(help="Learning rate of the first epoch; it falls evenly.", show_default="by data")
    ] = None,
    momentum: Annotated[float, typer.Option(help="Momentum of SGD.")] = 0.9,
    nesterov: Annotated[bool, typer.Option("--nesterov", help="Nesterov momentum.")] = False,
    weight_decay: Annotated[float, typer.Option(help="Weight decay (L2).")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Fixes split, initial weights and order: same seed, same bits.")] = 0,
    out: Annotated[str | None, typer.Option(help="Where to save the model.", show_default="NAME.safetensors")] = None,
    threads: ThreadsOption = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress line.")] = False,
) -> None:
    """Train a net and save it.

    Without SOURCE on the handwritten digits shipped inside; on a CSV file with --target COLUMN; on a folder of IDX
    files like Fashion-MNIST. Prints accuracy or error on held-out rows.
    """
    if threads is not None:
        set_num_threads(threads)
    columns: dict[str, Any] = {"categories": categories or (), "ignore": ignore or ()}
    reading = {"header": header, "delimiter": delimiter, **columns}
    problem = _problem(source, target, task, reading, holdout, seed)
    chosen: dict[str, Any] = {"hidden": _sizes(hidden), "epochs": epochs, "batch_size": batch_size, "lr": lr}
    options = dataclasses.replace(
        problem.defaults,
        momentum=momentum, nesterov=nesterov, weight_decay=weight_decay, seed=seed,
        **{name: value for name, value in chosen.items() if value is not None},
    )  # fmt: skip
    path = _check_out(out if out is not None else f"{problem.name}.safetensors")
    _train_and_save(problem, options, path, progress=not quiet)


def _problem(
    source: str | None,
    target: str | None,
    task: Task | None,
    reading: dict[str, Any],
    holdout: float,
    seed: int,
) -> training.Problem:
    is_file = source is not None and not os.path.isdir(source)
    if not is_file and (target is not None or task is not None or reading["categories"] or reading["ignore"]):
        raise ValueError("train: --target and --task are for CSV files, and so are --categories and --ignore")
    if source is None:
        return training.digits_problem(holdout=holdout, seed=seed)
    if not is_file:
        return training.idx_problem(source)
    if target is None:
        columns = read_csv(source, columns=(), header=reading["header"], delimiter=reading["delimiter"]).names
        shown = ", ".join(columns[:20]) + (", ..." if len(columns) > 20 else "")
        raise ValueError(f"train: --target COLUMN is missing; {source} has: {shown}")
    return training.csv_problem(
        source, target=target, task=None if task is None else task.value, holdout=holdout, seed=seed, **reading
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
        raise ValueError(f"train: --hidden takes sizes like 256,128, got {text!r}")
    return sizes


def _check_out(path: str) -> str:
    """Find out before the training whether the model can be saved."""
    folder = os.path.dirname(os.path.realpath(path))
    if os.path.isdir(path):
        raise IsADirectoryError(21, "is a folder, expected a file to save to", path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(2, "no such folder", folder)
    if not os.access(folder, os.W_OK):
        raise PermissionError(13, "the folder cannot be written", folder)
    return path


def _train_and_save(problem: training.Problem, options: training.Options, path: str, progress: bool) -> None:
    model = training.build_model(problem, options)
    inputs = problem.front[-1].out_features
    sizes = "-".join(str(size) for size in (inputs, *options.hidden, problem.preparation.outputs))
    for note in problem.notes:
        print(f"{problem.name}: {note}")
    rows, held_out = len(problem.train[0]), len(problem.held_out[0])
    print(f"{problem.name}: {rows} rows to train on, {held_out} held out, {problem.preparation.task}")
    sgd = f"SGD lr {options.lr} momentum {options.momentum}"
    print(f"net {sizes}, {sgd}, batch {options.batch_size}, seed {options.seed}", flush=True)
    history = History()
    try:
        training.train(problem, model, options, progress, history)
    except KeyboardInterrupt:
        save(model, path, preparation=problem.preparation)
        print(f"interrupted after {history.epochs} whole epochs; saved {path}", file=sys.stderr)
        raise
    save(model, path, preparation=problem.preparation)
    print(training.score(problem, history))
    print(f"{sum(history.seconds):.2f} s of training, {history.samples_per_second:.0f} samples/s")
    print(f"saved {path}")


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="A model that chainrule train saved.")],
    file: Annotated[str, typer.Argument(help="A CSV file with the model's columns; others are ignored.")],
    out: Annotated[str | None, typer.Option(help="Where to write.", show_default="standard output")] = None,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Add one column per class.")] = False,
    header: HeaderOption = None,
    delimiter: DelimiterOption = ",",
    threads: ThreadsOption = None,
) -> None:
    """Print the predictions for the rows of a CSV file, as CSV."""
    if threads is not None:
        set_num_threads(threads)
    net, preparation = load_prepared(model)
    if preparation is None:
        raise ValueError(f"{model}: holds no column names, it was not saved by chainrule train")
    if probabilities and preparation.task == "regression":
        raise ValueError(f"predict: --probabilities is for classes, {model} predicts a number")
    table = read_csv(
        file, columns=preparation.columns, categories=preparation.categories,
        missing="nan" if preparation.missing else "error", header=header, delimiter=delimiter,
    )  # fmt: skip
    scores = net.predict(table.features)
    rows: list[list[Any]] = [["prediction"], *([answer] for answer in preparation.answers(scores))]
    if probabilities:
        rows[0] += [f"probability_{name}" for name in preparation.classes]
        for row, shares in zip(rows[1:], ops.softmax(scores, axis=1).numpy(), strict=True):
            row += [str(share) for share in shares]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    if out is None:
        sys.stdout.write(text.getvalue())
    else:
        write_atomic(out, text.getvalue().encode())


@app.command()
def info() -> None:
    """Print versions, instruction sets, threads and compiler."""
    show_config()


@app.command()
def selftest(threads: ThreadsOption = None) -> None:
    """Print one line with a digest of this machine's results; equal lines mean equal bits."""
    from .selftest import EXPECTED, digest, report

    if threads is not None:
        set_num_threads(threads)
    found = digest()
    print(report(found))
    if found != EXPECTED:
        print(f"chainrule: error: the digest of this version is {EXPECTED}", file=sys.stderr)
        raise typer.Exit(1)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Arguments: `arguments`, default those of the process.
    Returns: the exit code: 0, 1 (selftest found other bits), 2 (an error, told in one line), 130 (Ctrl-C).

    >>> from chainrule.cli.main import run
    >>> run(["train", "--hidden", "many"])
    2
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(args=given or ["--help"], prog_name="chainrule", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:  # the reader of our output has gone: no more to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        message = _one_line(error)
        if message is None:
            raise
        print(f"chainrule: error: {message}", file=sys.stderr)
        return 2


def _one_line(error: Exception) -> str | None:
    """The message for errors of input and usage; None for what would be a fault of chainrule."""
    if hasattr(error, "format_message"):  # typer's and click's usage errors
        text = str(error.format_message())
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    elif isinstance(error, MemoryError):
        text = "not enough memory"
    elif isinstance(error, (ValueError, TypeError, OSError, FloatingPointError)):
        text = str(error)
    else:
        return None
    return " ".join(text.split())

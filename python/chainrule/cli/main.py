"""The command line `chainrule`: train, predict, info, selftest. Requires typer.

Errors are printed in one line on stderr with exit code 2; Ctrl-C gives exit code 130.
"""

from __future__ import annotations

import contextlib
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
    """The kind of prediction."""

    classification = "classification"
    regression = "regression"


HeaderOption = Annotated[
    bool | None,
    typer.Option("--header/--no-header", help="Whether line 1 of the CSV has column names.", show_default="detected"),
]
DelimiterOption = Annotated[str, typer.Option(help="The field delimiter.")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="Number of threads.", show_default="available CPUs")]


@app.command()
def train(
    source: Annotated[
        str | None,
        typer.Argument(help="A CSV file, or a folder of IDX files.", show_default="the bundled digits"),
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column to predict (CSV).")] = None,
    task: Annotated[Task | None, typer.Option(help="The kind of target (CSV).", show_default="detected")] = None,
    categories: Annotated[
        list[str] | None,
        typer.Option(help="A categorical column; text columns are detected. May be repeated (CSV)."),
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="A column to exclude. May be repeated (CSV).")] = None,
    header: HeaderOption = None,
    delimiter: DelimiterOption = ",",
    holdout: Annotated[float, typer.Option(help="Fraction of rows held out (not for IDX).")] = 0.2,
    hidden: Annotated[
        str | None,
        typer.Option(help="Sizes of the hidden layers, like 256,128; 0 for none.", show_default="data-dependent"),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the data.", show_default="data-dependent")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Rows per step.", show_default="data-dependent")] = None,
    lr: Annotated[
        float | None,
        typer.Option(help="Learning rate of the first epoch; decays linearly.", show_default="data-dependent"),
    ] = None,
    momentum: Annotated[float, typer.Option(help="Momentum of SGD.")] = 0.9,
    nesterov: Annotated[bool, typer.Option("--nesterov", help="Nesterov momentum.")] = False,
    weight_decay: Annotated[float, typer.Option(help="Weight decay (L2).")] = 0.0,
    seed: Annotated[
        int, typer.Option(min=0, help="Determines split, initial weights and order; same seed, same bits.")
    ] = 0,
    out: Annotated[str | None, typer.Option(help="Model file.", show_default="NAME.safetensors")] = None,
    threads: ThreadsOption = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="File for the state of training, saved after every epoch and at Ctrl-C.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the checkpoint, if there is one, with the same bits.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Disable progress output.")] = False,
) -> None:
    """Train a net and save it.

    SOURCE is a CSV file (with --target COLUMN) or a folder of IDX files like Fashion-MNIST; the default is the bundled
    handwritten digits. Prints accuracy or error on the held-out rows.
    """
    if threads is not None:
        set_num_threads(threads)
    columns: dict[str, Any] = {"categories": categories or (), "ignore": ignore or ()}
    reading = {"header": header, "delimiter": delimiter, **columns}
    problem = _load_problem(source, target, task, reading, holdout, seed)
    chosen: dict[str, Any] = {"hidden": _sizes(hidden), "epochs": epochs, "batch_size": batch_size, "lr": lr}
    options = dataclasses.replace(
        problem.defaults,
        momentum=momentum, nesterov=nesterov, weight_decay=weight_decay, seed=seed,
        **{name: value for name, value in chosen.items() if value is not None},
    )  # fmt: skip
    if resume and checkpoint is None:
        raise ValueError("train: --resume requires --checkpoint FILE")
    path = _check_out(out if out is not None else f"{problem.name}.safetensors")
    if checkpoint is not None:
        _check_out(checkpoint)
    _train_and_save(problem, options, path, not quiet, checkpoint, resume)


def _load_problem(
    source: str | None,
    target: str | None,
    task: Task | None,
    reading: dict[str, Any],
    holdout: float,
    seed: int,
) -> training.Problem:
    is_file = source is not None and not os.path.isdir(source)
    if not is_file and (target is not None or task is not None or reading["categories"] or reading["ignore"]):
        raise ValueError("train: --target, --task, --categories and --ignore require a CSV file")
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
        raise ValueError(f"train: --hidden must be sizes like 256,128, got {text!r}")
    return sizes


def _check_out(path: str) -> str:
    """Check before training that the model can be saved."""
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


def _train_and_save(
    problem: training.Problem,
    options: training.Options,
    path: str,
    progress: bool,
    checkpoint: str | None,
    resume: bool,
) -> None:
    model = training.build_model(problem, options)
    inputs = problem.front[-1].out_features
    sizes = "-".join(str(size) for size in (inputs, *options.hidden, problem.preparation.outputs))
    report = _Report()
    for note in problem.notes:
        report(f"{problem.name}: {note}")
    rows, held_out = len(problem.train[0]), len(problem.held_out[0])
    report(f"{problem.name}: {rows} rows to train on, {held_out} held out, {problem.preparation.task}")
    sgd = f"SGD lr {options.lr} momentum {options.momentum}"
    report(f"net {sizes}, {sgd}, batch {options.batch_size}, seed {options.seed}")
    history = History()
    try:
        training.train(problem, model, options, progress, history, checkpoint, resume)
    except KeyboardInterrupt:
        save(model, path, preparation=problem.preparation)
        hint = "" if checkpoint is None else "; continue with --resume"
        _complain(f"interrupted after {history.epochs} completed epochs; saved {path}{hint}")
        raise
    save(model, path, preparation=problem.preparation)
    report(training.score(problem, history))
    report(f"{sum(history.seconds):.2f} s of training, {history.samples_per_second:.0f} samples/s")
    report(f"saved {path}")
    report.check()


class _Report:
    """Prints lines; an output that fails (a closed pipe, a full disk) is an error after training only."""

    def __init__(self) -> None:
        self._error: Exception | None = None

    def __call__(self, line: str) -> None:
        """Print a line."""
        if self._error is None:
            try:
                print(line, flush=True)
            except (OSError, ValueError) as error:
                self._error = error

    def check(self) -> None:
        """Raise the first error."""
        if isinstance(self._error, BrokenPipeError):
            raise self._error
        if self._error is not None:
            raise OSError(f"standard output: {getattr(self._error, 'strerror', None) or self._error}")


def _complain(line: str) -> None:
    """Print a line on stderr, if possible."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            print(line, file=sys.stderr, flush=True)


@app.command()
def predict(
    model: Annotated[str, typer.Argument(help="A model that chainrule train saved.")],
    file: Annotated[str, typer.Argument(help="A CSV file with the model's columns; other columns are ignored.")],
    out: Annotated[str | None, typer.Option(help="Output file.", show_default="standard output")] = None,
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
        raise ValueError(f"{model}: has no column names, expected a model saved by chainrule train")
    if probabilities and preparation.task == "regression":
        raise ValueError(f"predict: --probabilities requires a classifier, {model} is a regression model")
    table = read_csv(
        file, columns=preparation.columns, categories=preparation.categories,
        missing="nan" if preparation.missing else "error", header=header, delimiter=delimiter,
    )  # fmt: skip
    scores = net.predict(table.features)
    rows: list[list[Any]] = [["prediction"], *([text] for text in preparation.predictions(scores))]
    if probabilities:
        rows[0] += [f"probability_{name}" for name in preparation.classes]
        for row, values in zip(rows[1:], ops.softmax(scores, axis=1).numpy(), strict=True):
            row += [str(value) for value in values]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    if out is None:
        if sys.stdout is None:
            raise ValueError("predict: the standard output is closed; pass --out FILE")
        sys.stdout.write(text.getvalue())
    else:
        write_atomic(out, text.getvalue().encode())


@app.command()
def info() -> None:
    """Print versions, instruction sets, threads and compiler."""
    show_config()


@app.command()
def selftest(threads: ThreadsOption = None) -> None:
    """Print one line with a digest of this machine's results; equal digests mean equal bits."""
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

    Arguments: `arguments`, default `sys.argv[1:]`.
    Returns: the exit code: 0, 1 (the selftest digest differs), 2 (an error, printed in one line), 130 (Ctrl-C).

    >>> from chainrule.cli.main import run
    >>> run(["train", "--hidden", "many"])
    2
    """
    args = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(args=args or ["--help"], prog_name="chainrule", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:  # the reader of stdout has closed the pipe
        return 1
    except Exception as error:
        message = _one_line(error)
        if message is None:
            raise
        _complain(f"chainrule: error: {message}")
        return 2
    finally:
        for stream in (sys.stdout, sys.stderr):
            _drop_unwritten(stream)


def _drop_unwritten(stream: Any) -> None:
    """Send what a stream could not write to nowhere: Python would try again at exit, and fail with exit code 120."""
    try:
        if stream is not None:
            stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _one_line(error: Exception) -> str | None:
    """Return the message of an input or usage error; None for other exceptions, which are bugs of chainrule."""
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

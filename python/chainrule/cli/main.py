"""The command line `chainrule`: train, predict, evaluate, info, selftest. Requires typer and rich.

Errors are printed in one line on stderr with exit code 2; Ctrl-C gives exit code 130.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from ..config import __version__, set_num_threads, show_config
from ._help import Commands, Examples
from ._options import (
    CommentOption,
    ConfigOption,
    DecimalOption,
    DelimiterOption,
    EncodingOption,
    HeaderOption,
    JsonOption,
    MissingOption,
    Net,
    QuietOption,
    Task,
    ThousandsOption,
    ThreadsOption,
    names_of,
    reading_of,
)
from ._report import Report, complain
from ._train import TrainOptions, train_command

__all__ = ["app", "run"]

_PLAIN = ("batch_size", "lr", "momentum", "nesterov", "weight_decay", "checkpoint", "resume")

SETTINGS = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="chainrule",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    cls=Commands,
    context_settings=SETTINGS,
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


@app.command(cls=Examples, context_settings=SETTINGS)
def train(
    context: typer.Context,
    source: Annotated[
        str | None,
        typer.Argument(help="A table (CSV, TSV, Parquet; - for stdin), or a folder of IDX.", show_default="digits"),
    ] = None,
    target: Annotated[str | None, typer.Option("--target", "-t", help="The column to predict.")] = None,
    task: Annotated[Task | None, typer.Option(help="The kind of target.", show_default="detected")] = None,
    out: Annotated[str | None, typer.Option("--out", "-o", help="Model file.", show_default="NAME.safetensors")] = None,
    net: Annotated[
        Net, typer.Option(help="tabular: strong without settings; plain: one net with the options below.")
    ] = Net.tabular,
    holdout: Annotated[float, typer.Option(help="Fraction of rows held out for the scores; 0 for none.")] = 0.2,
    test: Annotated[str | None, typer.Option(help="A table to score on, in place of held-out rows.")] = None,
    categories: Annotated[list[str] | None, typer.Option(help="Columns that are categories, a,b or repeated.")] = None,
    numbers: Annotated[list[str] | None, typer.Option(help="Columns that are numbers.")] = None,
    dates: Annotated[list[str] | None, typer.Option(help="Columns that are dates.")] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="Columns to leave out.")] = None,
    drop_missing: Annotated[
        bool | None,
        typer.Option(
            "--drop-missing/--no-drop-missing",
            help="Leave out rows without a target.",
            show_default="yes, unless --task is given",
        ),
    ] = None,
    delimiter: DelimiterOption = None,
    decimal: DecimalOption = None,
    thousands: ThousandsOption = None,
    encoding: EncodingOption = None,
    comment: CommentOption = None,
    header: HeaderOption = None,
    missing: MissingOption = None,
    hidden: Annotated[
        str | None,
        typer.Option(help="Hidden layers, like 256,128; 0 for none.", show_default="by the data"),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the data.", show_default="by the data")] = None,
    members: Annotated[int | None, typer.Option(min=1, help="Averaged nets (tabular).", show_default="5")] = None,
    time_limit: Annotated[
        float | None, typer.Option(help="Seconds of training, about; fewer nets or epochs (tabular).")
    ] = None,
    class_weight: Annotated[
        str | None, typer.Option(help="balanced: rare classes count as much as others (tabular).")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Rows per step (plain).", show_default="by the data")
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate (plain).", show_default="by the data")] = None,
    momentum: Annotated[float, typer.Option(help="Momentum of SGD (plain).")] = 0.9,
    nesterov: Annotated[bool, typer.Option("--nesterov", help="Nesterov momentum (plain).")] = False,
    weight_decay: Annotated[float, typer.Option(help="Weight decay, L2 (plain).")] = 0.0,
    checkpoint: Annotated[
        str | None, typer.Option(help="File for the state of training, saved after every epoch and at Ctrl-C (plain).")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the checkpoint, if there is one (plain).")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of split, initial weights and order: same seed, same bits.")] = 0,
    plot: Annotated[str | None, typer.Option(help="Folder for pictures of curves and results (PNG).")] = None,
    log: Annotated[str | None, typer.Option(help="File for the events of training, as lines of JSON.")] = None,
    config: ConfigOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a model and save it.

    Says what was read, how each column is used, and how well the model predicts rows that it was not trained on, beside
    always guessing the largest class or the mean. Without SOURCE, the bundled handwritten digits.

    \b
    Examples:
      chainrule train flats.csv --target price
      chainrule train churn.tsv -t churned --plot pictures
      chainrule train a.csv -t y --test b.csv -o y.model
      cat data.csv | chainrule train - -t label --json
    """
    if threads is not None:
        set_num_threads(threads)
    del config  # read before the other options

    def is_given(name: str) -> bool:
        """Whether an option was given, on the command line or in the configuration."""
        origin = context.get_parameter_source(name)
        return origin is not None and origin.name != "DEFAULT"

    chosen = TrainOptions(
        source=source, target=target, task=None if task is None else task.value, out=out, net=net.value,
        net_given=is_given("net"), holdout=holdout, test=test,
        declared={
            "categories": names_of(categories), "numbers": names_of(numbers), "dates": names_of(dates),
            "ignore": names_of(ignore),
        },
        drop_missing=drop_missing,
        reading=reading_of(delimiter, decimal, thousands, encoding, comment, header, missing),
        hidden=hidden, epochs=epochs, batch_size=batch_size, lr=lr, momentum=momentum, nesterov=nesterov,
        weight_decay=weight_decay, checkpoint=checkpoint, resume=resume, seed=seed, plot=plot, log=log,
        members=members, time_limit=time_limit, class_weight=class_weight,
        plain_given=tuple(name for name in _PLAIN if is_given(name)),
        tabular_given=tuple(name for name in ("members", "time_limit", "class_weight") if is_given(name)),
        settings={name: value for name, value in context.params.items() if is_given(name)},
    )  # fmt: skip
    report = Report(quiet=quiet, as_json=as_json)
    train_command(chosen, report)
    report.check()


@app.command(cls=Examples, context_settings=SETTINGS)
def predict(
    model: Annotated[str, typer.Argument(help="A model that chainrule train saved.")],
    file: Annotated[str, typer.Argument(help="A table with the model's columns, in any order; - for stdin.")],
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", help="A file: .csv, .tsv, .parquet or .feather.", show_default="standard output"),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            help="Columns of FILE to write before the predictions, or all, or none.",
            show_default="all into a file, none to standard output",
        ),
    ] = None,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Add a column for each class.")] = False,
    quantiles: Annotated[str | None, typer.Option(help="Add quantiles of a number, like 0.1,0.9.")] = None,
    delimiter: DelimiterOption = None,
    decimal: DecimalOption = None,
    thousands: ThousandsOption = None,
    encoding: EncodingOption = None,
    comment: CommentOption = None,
    header: HeaderOption = None,
    missing: MissingOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write the predictions for the rows of a table.

    The table may be larger than memory. Categories that the training rows did not have, and missing values, are
    counted in a note on stderr.

    \b
    Examples:
      chainrule predict flats.safetensors new.csv
      chainrule predict churn.safetensors new.csv -o p.parquet
      chainrule predict flats.safetensors new.csv --quantiles 0.1,0.9
      chainrule predict m.safetensors - --keep id < new.csv
    """
    from ._models import load_model, words_for_missing
    from ._predict import ALL, predict_file

    if threads is not None:
        set_num_threads(threads)
    found, record = load_model(model)
    words = words_for_missing(record, missing or ())
    reading = reading_of(delimiter, decimal, thousands, encoding, comment, header, words)
    kept = {"none": (), "all": ALL}.get(keep[0], names_of(keep)) if keep else None
    shares = _shares(quantiles)
    counts = predict_file(
        found, file, out, reading=reading, keep=kept, probabilities=probabilities, quantiles=shares
    )  # fmt: skip
    if not quiet:
        for note in counts.notes():
            complain(f"chainrule: note: {file}: {note}")


def _shares(text: str | None) -> tuple[float, ...]:
    try:
        shares = () if text is None else tuple(float(part) for part in text.split(","))
    except ValueError:
        shares = (2.0,)
    if not all(0 < share < 1 for share in shares) or len(set(shares)) < len(shares):
        raise ValueError(f"predict: --quantiles must be different numbers between 0 and 1 like 0.1,0.9, got {text!r}")
    return shares


@app.command(cls=Examples, context_settings=SETTINGS)
def evaluate(
    model: Annotated[str, typer.Argument(help="A model that chainrule train saved.")],
    file: Annotated[str, typer.Argument(help="A table with the model's columns and the target.")],
    plot: Annotated[str | None, typer.Option(help="Folder for pictures of the results (PNG).")] = None,
    delimiter: DelimiterOption = None,
    decimal: DecimalOption = None,
    thousands: ThousandsOption = None,
    encoding: EncodingOption = None,
    comment: CommentOption = None,
    header: HeaderOption = None,
    missing: MissingOption = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Score a model on the rows of a table, beside always guessing the largest class or the mean.

    \b
    Examples:
      chainrule evaluate churn.safetensors test.csv
      chainrule evaluate flats.safetensors test.csv --json
    """
    from ._evaluate import evaluate_command

    if threads is not None:
        set_num_threads(threads)
    report = Report(quiet=quiet, as_json=as_json)
    reading = reading_of(delimiter, decimal, thousands, encoding, comment, header, missing)
    evaluate_command(model, file, plot, reading, report)
    report.check()


@app.command(cls=Examples, context_settings=SETTINGS)
def info(
    model: Annotated[
        str | None, typer.Argument(help="A model that chainrule train saved.", show_default="the installation")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Describe a model: what it was trained on, its columns, classes, scores and digest.

    Without MODEL, versions, instruction sets, threads and compiler of this installation.

    \b
    Examples:
      chainrule info
      chainrule info churn.safetensors
    """
    from ._evaluate import info_command

    if model is None:
        show_config()
        return
    report = Report(as_json=as_json)
    info_command(model, report)
    report.check()


@app.command(context_settings=SETTINGS)
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

    >>> from chainrule.cli import run
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
        complain(f"chainrule: error: {message}")
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
    elif isinstance(error, (ValueError, TypeError, OSError, FloatingPointError, ImportError)):
        text = str(error)
    else:
        return None
    first, *rest = (" ".join(line.split()) for line in text.splitlines() if line.strip())
    return f"{first}{': ' if rest else ''}{'; '.join(rest)}" if rest else first

"""Options that several commands have."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any

import typer

__all__ = ["Net", "Task", "names_of", "reading_of"]


class Task(str, Enum):
    """The kind of prediction."""

    classification = "classification"
    regression = "regression"


class Net(str, Enum):
    """The kind of model."""

    tabular = "tabular"
    plain = "plain"


def _read_config(context: typer.Context, path: str | None) -> str | None:
    """Take the options of an earlier run, from its model file or from JSON, where the command line has none."""
    if path is None:
        return None
    with open(path, "rb") as file:
        is_json = file.read(64).lstrip()[:1] == b"{"
    if is_json:
        with open(path, encoding="utf-8") as text:
            try:
                found = json.load(text)
            except ValueError as error:
                raise ValueError(f"--config: {path}: not JSON: {error}") from None
    else:
        from ..serialize._model_files import load_with_record

        found = load_with_record(path)[2].get("settings")
    if not isinstance(found, dict):
        raise ValueError(f"--config: {path} has no options; expected a model of chainrule train, or JSON of options")
    known = {parameter.name for parameter in context.command.params}
    options = {name.replace("-", "_"): value for name, value in found.items()}
    unknown = [name for name in options if name not in known or name == "config"]
    if unknown:
        raise ValueError(f"--config: {path}: there is no option {unknown[0]!r}")
    context.default_map = {**(context.default_map or {}), **options}
    return os.fspath(path)


HeaderOption = Annotated[
    bool | None,
    typer.Option("--header/--no-header", help="Whether line 1 has column names.", show_default="detected"),
]
DelimiterOption = Annotated[
    str | None, typer.Option(help="Between fields: one character, tab, or space.", show_default="detected")
]
DecimalOption = Annotated[str | None, typer.Option(help="Decimal mark: . or ,", show_default="detected")]
ThousandsOption = Annotated[str | None, typer.Option(help="Mark between thousands.", show_default="detected")]
EncodingOption = Annotated[str | None, typer.Option(help="Like latin-1.", show_default="UTF-8, UTF-16 by its mark")]
CommentOption = Annotated[str | None, typer.Option(help="Leave out lines that begin with this character.")]
MissingOption = Annotated[
    list[str] | None, typer.Option(help="A further text that stands for a missing value. May be repeated.")
]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="Number of threads.", show_default="available CPUs")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print the result only.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
ConfigOption = Annotated[
    str | None,
    typer.Option(
        help="Repeat a run: the options of a saved model, or a JSON file of options; others on this line win.",
        is_eager=True,
        callback=_read_config,
    ),
]


def names_of(given: Sequence[str] | None) -> tuple[str, ...]:
    """Column names, repeated or separated by commas.

    >>> from chainrule.cli._options import names_of
    >>> names_of(["a,b", "c"])
    ('a', 'b', 'c')
    """
    return tuple(name for text in given or () for name in text.split(",") if name)


def reading_of(
    delimiter: str | None,
    decimal: str | None,
    thousands: str | None,
    encoding: str | None,
    comment: str | None,
    header: bool | None,
    missing: Sequence[str] | None,
) -> dict[str, Any]:
    """The options of the reader."""
    return {
        "delimiter": delimiter,
        "decimal": decimal,
        "thousands": thousands,
        "encoding": encoding,
        "comment": comment,
        "header": header,
        "missing": tuple(missing or ()),
    }

"""What the commands print: lines and tables, fitted to the terminal; an output that fails costs no model."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

__all__ = ["Report", "complain"]

_GAP = 3  # blanks between columns
_NOTE, _NAME = 14, 8  # characters that a column of notes, and the first one beside notes below it, have at least


class Report:
    """Prints lines and tables; an output that fails (a closed pipe, a full disk) is an error at the end only.

    `quiet`: nothing but `result`; `as_json`: nothing but one object at the end.
    """

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self._error: Exception | None = None
        self.quiet, self.as_json = quiet, as_json
        self._notes: list[str] = []
        self.width = shutil.get_terminal_size((100, 24)).columns or 80

    def line(self, text: str = "") -> None:
        """Print a line, unless quiet."""
        if not (self.quiet or self.as_json):
            self._print(self._wrapped(text))

    def result(self, text: str) -> None:
        """Print the one line of a quiet command, with the notes."""
        if not self.as_json:
            self._print("; ".join([text, *self._notes]))

    def note(self, text: str) -> None:
        """Print what was done to the data; when quiet, with the result, and as JSON, to stderr."""
        if self.as_json:
            complain(f"chainrule: note: {text}")
        elif self.quiet:
            self._notes.append(text)
        else:
            self._print(self._wrapped(text))

    def _wrapped(self, text: str) -> str:
        """The text in lines of a terminal, broken between words; a file gets it as it is."""
        if sys.stdout is None or not sys.stdout.isatty():  # None: closed
            return text
        wrap = textwrap.TextWrapper(self.width, break_long_words=False, break_on_hyphens=False)
        return "\n".join(map(wrap.fill, text.split("\n")))

    def json(self, value: Any) -> None:
        """Print an object, if this is what was asked for."""
        if self.as_json:
            self._print(json.dumps(value, ensure_ascii=False))

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
        """Print a table, whose last column is wrapped; `right`: the columns of numbers."""
        if not (self.quiet or self.as_json):
            self._print(render_table(head, rows, self.width, right))

    def _print(self, text: str) -> None:
        if self._error is None:
            try:
                print(text, flush=True)
            except (OSError, ValueError) as error:
                self._error = error

    def check(self) -> None:
        """Raise the first error."""
        if isinstance(self._error, BrokenPipeError):
            raise self._error
        if self._error is not None:
            raise OSError(f"standard output: {getattr(self._error, 'strerror', None) or self._error}")


def render_table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int, right: Sequence[int] = ()) -> str:
    """A table in at most `width` characters a line; what does not fit is wrapped.

    A last column without a name holds notes. Where few characters are left for them, they come in lines of their own.

    >>> from chainrule.cli._report import render_table
    >>> print(render_table(["column", "used as"], [["size", "number"]], 40))
    column   used as
    size     number
    >>> print(render_table(["column", "used as", ""], [["id", "left out", "integers that count the rows"]], 24))
    column   used as
    id       left out
      integers that count
      the rows
    """
    from rich.cells import cell_len

    width = max(width, 20)
    widths = [max(cell_len(row[i]) for row in (head, *rows)) for i in range(len(head) - 1)]
    if head[-1] or width - sum(widths) - _GAP * len(widths) >= _NOTE or not any(row[-1] for row in rows):
        return "\n".join(_rendered([head, *rows], [None] * len(head), width, right, _GAP))
    gap = _GAP if sum(widths) + _GAP * len(widths) <= width else 1
    widths[0] = min(widths[0], max(width - sum(widths[1:]) - gap * (len(widths) - 1), _NAME))
    lines = []
    for *cells, note in (head, *rows):
        lines += _rendered([cells], widths, width, right, gap)
        lines += textwrap.wrap(note, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    return "\n".join(lines)


def _rendered(
    rows: Sequence[Sequence[str]], widths: Sequence[int | None], width: int, right: Sequence[int], gap: int
) -> list[str]:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), show_header=False)
    for i, of_column in enumerate(widths):
        table.add_column(justify="right" if i in right else "left", overflow="fold", width=of_column)
    for row in rows:
        table.add_row(*map(Text, row))
    out = io.StringIO()
    Console(file=out, width=width, color_system=None, legacy_windows=False).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def complain(line: str) -> None:
    """Print a line on stderr, if possible."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            print(line, file=sys.stderr, flush=True)

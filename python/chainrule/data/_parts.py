"""A column of a text file from its fields: numbers where all of them are, otherwise texts, with the reason."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _core
from ._amounts import PLAIN, Numbers, parse_numbers
from ._dates import parse_dates
from ._dialect import Reading
from ._frame import Column
from ._problems import Problems, shown
from ._records import Block

__all__ = ["ColumnParts", "Style", "converted", "read_numbers", "read_texts"]

# What csv_numbers finds in a column, as bits.
_FLOATING, _INTEGER, _LARGE_INTEGER, _MISSING = (1 << i for i in range(4))
_TRUTH = {"true": True, "false": False}
_SPELLINGS = 3  # wrong values of a column that are told
_MANY, _SHARE = 10, 0.05  # more different texts, and a larger share of the values, make a column of texts
_CACHED = 8192  # numbers
_LEVELS, _REPEATS = 20, 5  # or few values that occur often


Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Style:
    """How numbers of a file are written, as far as it is known."""

    decimal: str | None
    thousands: str | None

    @property
    def marks(self) -> tuple[str, str]:
        """Decimal and thousands mark for the core; a NUL stands for none."""
        decimal = self.decimal or "."
        thousands = self.thousands or ("." if decimal == "," and self.thousands is None else "\0")
        return (decimal, thousands) if thousands.isascii() else (decimal, "\0")


@dataclass
class ColumnParts:
    """The fields of a column, block by block.

    `plan` is what an earlier part of the file was read as ("number", "boolean", "text"), or "" if nothing is decided.
    """

    name: str
    index: int
    reading: Reading
    style: Style
    plan: str = ""
    note: str = ""
    values: list[npt.NDArray[np.float64]] = field(default_factory=list)
    filled: int = 0  # so many of the last values are read
    room: npt.NDArray[np.float64] | None = None  # memory for the numbers of all rows, if it is in one place
    found: int = 0  # what the values are
    codes: list[npt.NDArray[np.int32]] = field(default_factory=list)
    table: _core.TextCodes | None = None  # of a column of texts

    def __post_init__(self) -> None:
        self.exact = self.name in self.reading.texts or self.name in self.reading.categories
        missing = self.reading.missing_texts
        self.missing = ("",) if self.name in self.reading.categories else missing
        if self.exact or self.plan == "text":
            self.table = _core.TextCodes(self.missing)

    def column(self, lines: npt.NDArray[np.int64], problems: Problems) -> Column:
        """The column; values that do not fit are added to `problems`."""
        room = None if self.room is None or len(self.room) < len(lines) else self.room[: len(lines)]
        if self.table is None:
            values = self._values()
            if self.plan == "boolean" and not np.isnan(values).all():
                row = int(np.flatnonzero(~np.isnan(values))[0])
                problems.add(f"{values[row]:g} is neither true nor false", line=int(lines[row]), column=self.name)
            if self.found == _INTEGER:
                return Column(self.name, converted(values, np.int64), room=room)
            return Column(self.name, values, room=room)
        codes = np.concatenate(self.codes).astype(np.int64) if self.codes else np.zeros(0, np.int64)
        different = self.table.texts()
        self.codes = []
        if self.name in self.reading.categories:
            codes, different = self._without_missing(codes, different)
        if self.exact:
            return Column.coded(self.name, codes, different, room)
        column = self._parsed(codes, different, lines, problems)
        column.__dict__["room"] = room
        return column

    def _values(self) -> npt.NDArray[np.float64]:
        """The numbers of all blocks."""
        if not self.values:
            return np.zeros(0)
        self.values[-1] = self.values[-1][: self.filled]
        values = self.values[0] if len(self.values) == 1 else np.concatenate(self.values)
        self.values = []
        return values

    def _without_missing(self, codes: Codes, different: list[str]) -> tuple[Codes, list[str]]:
        """`NA` is a category among texts, but a missing value among numbers."""
        absent = np.array([text.strip() in self.reading.missing_texts for text in different], np.bool_)
        others = [text for text, is_absent in zip(different, absent, strict=True) if not is_absent]
        if absent.any() and others and all(PLAIN.fullmatch(text.strip()) for text in others):
            renumbered = np.where(absent, -1, np.cumsum(~absent) - 1)
            return np.append(renumbered, -1)[codes], others
        return codes, different

    def _parsed(self, codes: Codes, different: list[str], lines: Any, problems: Problems) -> Column:
        if different and self.plan in ("", "boolean") and all(text.strip().lower() in _TRUTH for text in different):
            self.plan = "boolean"
            truth = np.array([_TRUTH[text.strip().lower()] for text in different], np.bool_)
            return Column(self.name, _spread(truth, codes))
        if self.plan == "text":
            return Column.coded(self.name, codes, different)
        forced = self.plan == "number" or self.name in self.reading.numbers
        plain = [PLAIN.fullmatch(text.strip()) is not None for text in different]
        if all(plain):
            return self._plain(codes, different, forced, lines, problems)
        parsed = parse_numbers(different, self.style.decimal, self.style.thousands)
        if isinstance(parsed, str) and self.style.decimal == ",":
            parsed = parse_numbers(different)  # a column with decimal points
        if isinstance(parsed, Numbers):
            style, self.plan = parsed.style.describe(), "number"
            self.note = f"{style}: read as numbers" if style else ""
            return Column(self.name, _spread(parsed.values, codes))
        if not forced and (
            not any(plain) or self._is_text(codes, plain) or not isinstance(parse_dates(different), str)
        ):
            if any(plain):
                count = sum(plain)
                self.note = f"{count} different numbers and {len(plain) - count} other texts: read as texts"
            self.plan = "text"
            return Column.coded(self.name, codes, different)
        self._tell(codes, different, plain, forced, lines, problems)
        return Column(self.name, np.full(len(codes), np.nan))

    def _plain(self, codes: Codes, different: list[str], forced: bool, lines: Any, problems: Problems) -> Column:
        """Numbers among which some are large, or codes with leading zeros."""
        stripped = [text.strip().lstrip("+") for text in different]
        code = next((t for t in stripped if len(t.lstrip("-")) > 1 and t.lstrip("-")[0] == "0" and t.isdigit()), None)
        if code is not None and not forced:
            self.note, self.plan = f"leading zeros ({shown(code)}): read as texts", "text"
            return Column.coded(self.name, codes, different)
        self.plan = "number"
        if (codes >= 0).all() and all(t.lstrip("-").isdigit() and len(t.lstrip("-")) < 20 for t in stripped):
            whole = [int(text) for text in stripped]
            if all(-(2**63) <= value < 2**63 for value in whole):
                return Column(self.name, _spread(np.array(whole, np.int64), codes))
        values = np.array(stripped, np.float64)
        for i in np.flatnonzero(~np.isfinite(values))[:_SPELLINGS]:
            line = int(lines[np.flatnonzero(codes == i)[0]])
            problems.add(f"{shown(different[i])} is too large, not a finite number", line=line, column=self.name)
        return Column(self.name, _spread(values, codes))

    def _is_text(self, codes: npt.NDArray[np.int64], plain: list[bool]) -> bool:
        """Whether numbers and other texts are mixed so that texts are meant."""
        present = codes[codes >= 0]
        others = int((~np.array(plain))[present].sum())
        many = len(plain) - sum(plain) > _MANY and others > _SHARE * len(present)
        return many or (
            len(plain) <= _LEVELS and len(present) >= _REPEATS * len(plain) and others > _SHARE * len(present)
        )

    def _tell(
        self, codes: Any, different: list[str], plain: list[bool], forced: bool, lines: Any, problems: Problems
    ) -> None:
        count = sum(plain)
        if not forced and count < len(plain) - count:
            wrong, what = plain, "looks like a number in a column of texts"
        else:
            wrong, what = [not p for p in plain], "is not a number"
        rows = np.bincount(codes[codes >= 0], minlength=len(different))
        firsts = np.full(len(different), len(codes))
        np.minimum.at(firsts, codes[codes >= 0], np.flatnonzero(codes >= 0))
        told = [i for i in np.argsort(firsts, kind="stable").tolist() if wrong[i]]
        for i in told[:_SPELLINGS]:
            more = f" (in {rows[i]} rows)" if rows[i] > 1 else ""
            line = int(lines[firsts[i]])
            hint = self._hint(different[i], line, what.startswith("is"), forced)
            problems.add(f"{shown(different[i])} {what}{more}{hint}", line=line, column=self.name)
        if len(told) > _SPELLINGS:
            what = f"{len(told) - _SPELLINGS} more different values like these"
            problems.add(what, line=int(lines[firsts[told[_SPELLINGS]]]), column=self.name)

    def _hint(self, text: str, line: int, number_wanted: bool, forced: bool) -> str:
        if line == 1 or (line == 2 and not number_wanted):
            return "; if line 1 is a header, pass header=True (--header), if it is a row, header=False (--no-header)"
        if forced:
            return "" if len(text) > 20 else f"; {_declare_missing(text)} takes it for a missing one"
        missing = "" if len(text) > 20 else f", or {_declare_missing(text)} if it stands for none"
        return f"; declare the column in categories= (--categories){missing}"


def read_numbers(parts: list[ColumnParts], block: Block, columns: int, expected: int, busy: int) -> list[ColumnParts]:
    """Read the numbers of a block; returns the columns that turn out to be texts; their earlier blocks are missing.

    `expected`: about as many rows as there will be, for which memory is taken at once; `busy`: threads with other work.
    """
    numbers = [part for part in parts if part.table is None]
    turned = []
    if numbers:
        rows = len(block.lines)
        _make_room(parts, numbers, rows, expected)
        indices, out = tuple(part.index for part in numbers), tuple(part.values[-1] for part in numbers)
        marks, words = numbers[0].style.marks, numbers[0].missing[1:]
        found = _core.csv_numbers(
            block.data, block.fields, columns, indices, *marks, words, out, numbers[0].filled, busy
        )  # fmt: skip
        for part, kinds in zip(numbers, found.tolist(), strict=True):
            if kinds >= 2 * _MISSING or kinds & _LARGE_INTEGER:
                part.values, part.found, part.table = [], 0, _core.TextCodes(part.missing)
                turned.append(part)
            else:
                part.filled += rows
                part.found |= kinds
    return turned


def _make_room(parts: list[ColumnParts], numbers: list[ColumnParts], rows: int, expected: int) -> None:
    """Memory for so many more rows of all columns of numbers, which have as many so far.

    The first time for columns of texts, too: they may turn out to be dates, or be coded. It costs nothing unless used.
    """
    values, filled = numbers[0].values, numbers[0].filled
    if values and len(values[-1]) >= filled + rows:
        return
    if not values:
        for part, empty in zip(parts, np.empty((len(parts), max(rows, expected))), strict=True):
            part.room, part.values = empty, [empty] if part.table is None else []
        return
    for part in parts:
        part.room = None
    for part, empty in zip(numbers, np.empty((len(numbers), max(rows, sum(map(len, values))))), strict=True):
        part.values[-1] = part.values[-1][:filled]
        part.values.append(empty)
        part.filled = 0


def read_texts(parts: list[ColumnParts], block: Block, columns: int, busy: int) -> None:
    """Read the fields of a block for the columns of texts."""
    parts = [part for part in parts if part.table is not None]
    if not parts:
        return
    tables = tuple(part.table for part in parts if part.table is not None)
    indices = tuple(part.index for part in parts)
    found = _core.csv_codes(block.data, block.fields, columns, indices, tables, busy)
    for part, codes in zip(parts, found, strict=True):
        part.codes.append(codes)


def converted(values: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Values of 8 bytes as another type of 8 bytes, in the same memory.

    >>> import numpy as np
    >>> from chainrule.data._parts import converted
    >>> converted(np.array([2.0, -3.0]), np.int64)
    array([ 2, -3])
    """
    if values.dtype == dtype:
        return values
    others = values.view(dtype)
    for at in range(0, len(values), _CACHED):
        others[at : at + _CACHED] = values[at : at + _CACHED].astype(dtype)
    return others


def _declare_missing(text: str) -> str:
    return f"missing_values=[{text!r}] (--missing {shlex.quote(text)})"


def _spread(values: npt.NDArray[Any], codes: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """The values by code, NaN for code -1."""
    if (codes >= 0).all():
        return values[codes] if len(values) else np.full(len(codes), np.nan)
    return np.append(values.astype(np.float64), np.nan)[codes]

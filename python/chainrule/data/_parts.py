"""A column of a text file from its fields: numbers where all of them are, otherwise texts, with the reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _core
from ._amounts import PLAIN, Numbers, parse_numbers
from ._dates import parse_dates
from ._dialect import Reading
from ._frame import Column, codes_of
from ._problems import Problems, shown
from ._records import Block

__all__ = ["ColumnParts", "Style"]

# What csv_numbers finds.
_FLOATING, _INTEGER, _LARGE_INTEGER, _MISSING = range(4)
_TRUTH = {"true": True, "false": False}
_SPELLINGS = 3  # wrong values of a column that are told
_MANY, _SHARE = 10, 0.05  # more different texts, and a larger share of the values, make a column of texts
_LEVELS, _REPEATS = 20, 5  # or few values that occur often


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
    kinds: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    texts: list[list[str | None]] | None = None
    known: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.exact = self.name in self.reading.texts or self.name in self.reading.categories
        missing = self.reading.missing_texts
        self.missing = ("",) if self.name in self.reading.categories else missing
        if self.exact or self.plan == "text":
            self.texts = []

    def read(self, blocks: list[Block], columns: int) -> None:
        """Read the fields of the last block; of all again, if they turn out to be texts."""
        if self.texts is None:
            block = blocks[-1]
            decimal, thousands = self.style.marks
            values, kinds = _core.csv_numbers(
                block.data, block.starts, block.ends, self.index, columns, decimal, thousands, self.missing[1:]
            )
            if not len(kinds) or (int(kinds.max()) <= _MISSING and not (kinds == _LARGE_INTEGER).any()):
                self.values.append(values)
                self.kinds.append(kinds)
                return
            self.texts, self.values, self.kinds = [], [], []
            blocks = blocks[:]
        else:
            blocks = blocks[-1:]
        self.texts += [block.column(self.index, None, columns, self.missing, self.known) for block in blocks]

    def column(self, lines: npt.NDArray[np.int64], problems: Problems) -> Column:
        """The column; values that do not fit are added to `problems`."""
        if self.texts is None:
            values = np.concatenate(self.values) if self.values else np.zeros(0)
            kinds = np.concatenate(self.kinds) if self.kinds else np.zeros(0, np.uint8)
            self.values, self.kinds = [], []
            if self.plan == "boolean" and not np.isnan(values).all():
                row = int(np.flatnonzero(~np.isnan(values))[0])
                problems.add(f"{values[row]:g} is neither true nor false", line=int(lines[row]), column=self.name)
            if len(kinds) and bool((kinds == _INTEGER).all()):
                return Column(self.name, values.astype(np.int64))
            return Column(self.name, values)
        listed = [text for part in self.texts for text in part]
        texts = np.empty(len(listed), object)
        texts[:] = listed
        self.texts = []
        if self.name in self.reading.categories:
            texts = self._without_missing(texts)
        return Column(self.name, texts if self.exact else self._parsed(texts, lines, problems))

    def _without_missing(self, texts: Any) -> Any:
        """`NA` is a category among texts, but a missing value among numbers."""
        codes, different = codes_of(texts)
        absent = np.array([text.strip() in self.reading.missing_texts for text in different], np.bool_)
        others = [text for text, is_absent in zip(different, absent, strict=True) if not is_absent]
        if absent.any() and others and all(PLAIN.fullmatch(text.strip()) for text in others):
            texts[np.append(absent, False)[codes]] = None
        return texts

    def _parsed(self, texts: Any, lines: Any, problems: Problems) -> npt.NDArray[Any]:
        codes, different = codes_of(texts)
        lowered = [_TRUTH.get(text.strip().lower()) for text in different]
        if different and None not in lowered and self.plan in ("", "boolean"):
            self.plan = "boolean"
            return _spread(np.array(lowered, np.bool_), codes)
        if self.plan == "text":
            return texts  # type: ignore[no-any-return]
        forced = self.plan == "number" or self.name in self.reading.numbers
        plain = [PLAIN.fullmatch(text.strip()) is not None for text in different]
        if all(plain):
            return self._plain(texts, codes, different, forced, lines, problems)
        parsed = parse_numbers(different, self.style.decimal, self.style.thousands)
        if isinstance(parsed, str) and self.style.decimal == ",":
            parsed = parse_numbers(different)  # a column with decimal points
        if isinstance(parsed, Numbers):
            style, self.plan = parsed.style.describe(), "number"
            self.note = f"{style}: read as numbers" if style else ""
            return _spread(parsed.values, codes)
        if not forced and (
            not any(plain) or self._is_text(codes, plain) or not isinstance(parse_dates(different), str)
        ):
            if any(plain):
                count = sum(plain)
                self.note = f"{count} different numbers and {len(plain) - count} other texts: read as texts"
            self.plan = "text"
            return texts  # type: ignore[no-any-return]
        self._tell(codes, different, plain, forced, lines, problems)
        return np.full(len(texts), np.nan)

    def _plain(
        self, texts: Any, codes: Any, different: list[str], forced: bool, lines: Any, problems: Problems
    ) -> npt.NDArray[Any]:
        """Numbers among which some are large, or codes with leading zeros."""
        stripped = [text.strip().lstrip("+") for text in different]
        code = next((t for t in stripped if len(t.lstrip("-")) > 1 and t.lstrip("-")[0] == "0" and t.isdigit()), None)
        if code is not None and not forced:
            self.note, self.plan = f"leading zeros ({shown(code)}): read as texts", "text"
            return texts  # type: ignore[no-any-return]
        self.plan = "number"
        if (codes >= 0).all() and all(t.lstrip("-").isdigit() and len(t) < 20 for t in stripped):
            whole = [int(text) for text in stripped]
            if all(-(2**63) <= value < 2**63 for value in whole):
                return _spread(np.array(whole, np.int64), codes)
        values = np.array(stripped, np.float64)
        for i in np.flatnonzero(~np.isfinite(values))[:_SPELLINGS]:
            line = int(lines[np.flatnonzero(codes == i)[0]])
            problems.add(f"{shown(different[i])} is too large, not a finite number", line=line, column=self.name)
        return _spread(values, codes)

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
            return "" if len(text) > 20 else f"; missing_values=[{text!r}] takes it for a missing one"
        missing = "" if len(text) > 20 else f", or missing_values=[{text!r}] if it stands for none"
        return f"; declare the column in categories= (--categories){missing}"


def _spread(values: npt.NDArray[Any], codes: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """The values by code, NaN for code -1."""
    if (codes >= 0).all():
        return values[codes] if len(values) else np.full(len(codes), np.nan)
    return np.append(values.astype(np.float64), np.nan)[codes]

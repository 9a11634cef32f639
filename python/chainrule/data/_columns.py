"""The rows of a CSV file as they come: what a column holds is decided by its first value, and holds from then on."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from math import isfinite, nan
from typing import Any

import numpy as np

from ._errors import DataError

__all__ = ["Rows", "is_number"]

_MISSING = ("", "NA")
_MAX_CATEGORIES = 100  # more different texts are names or remarks, unless the column is named as one of categories

Book = dict[str, int]  # the codes of texts in the order of their first appearance


class Rows:
    """The rows read so far: numbers parsed and texts coded as they come."""

    def __init__(
        self,
        path: str,
        names: list[str],
        wanted: list[int],
        target: int | None,
        categories: Mapping[str, Sequence[str]] | Sequence[str],
        keep_missing: bool,
    ) -> None:
        self.path, self.names, self.target, self.keep_missing = path, names, target, keep_missing
        self.known = categories if isinstance(categories, Mapping) else None  # then all texts are known
        self.named = set(categories)
        self.columns: list[tuple[int, Book | None]] = [  # a book for a column of text, None for numbers
            (i, {text: code for code, text in enumerate(self.known[names[i]])} if self.known else {})
            if names[i] in self.named
            else (i, None)
            for i in wanted
        ]
        self.missing = [0] * len(wanted)
        self.numbers, self.labels, self.lines = array("d"), list[str](), array("q")
        self.last_number: int | None = None  # of the unnamed first column, which numbers the rows

    def append(self, line: int, fields: list[str]) -> None:
        """Add a row, or say what is wrong with it."""
        if len(fields) != len(self.names):
            raise DataError(
                f"{self.path}, line {line}: {len(fields)} fields, expected {len(self.names)} as in the first line"
            )
        try:
            row = [float(fields[i]) if book is None else book[fields[i]] for i, book in self.columns]
        except (ValueError, KeyError):
            row = []
        text = "".join(fields)
        if len(row) < len(self.columns) or "_" in text or not text.isascii() or not isfinite(sum(row)):
            row = [self._value(line, place, fields) for place in range(len(self.columns))]
        if not self.names[0]:
            self._check_row_number(line, fields[0])
        if self.target is not None:
            label = fields[self.target].strip()
            if not label:
                raise DataError(f"{self.path}, line {line}: the target column {self.names[self.target]!r} is empty")
            self.labels.append(label)
        self.numbers.extend(row)
        self.lines.append(line)

    def _value(self, line: int, place: int, fields: list[str]) -> float:
        """The number or code of one field of a row that is not plain."""
        i, book = self.columns[place]
        text = fields[i].strip()
        if text in _MISSING and not (book and text in book):
            if not self.keep_missing:
                what = "the field is empty" if not text else f"{text!r} stands for a missing value"
                raise self._fault(line, i, f"{what} (missing values are not supported; missing='nan' keeps them)")
            self.missing[place] += 1
            return nan
        if book is None and self.missing[place] == len(self.lines) and self.known is None and is_plain_text(text):
            book = {}
            self.columns[place] = (i, book)
        if book is None:
            return self._number(line, i, text)
        if text not in book:
            self._add(line, i, text, book)
        return book[text]

    def _number(self, line: int, i: int, text: str) -> float:
        shown = repr(text if len(text) <= 40 else text[:37] + "...")
        if "_" in text or not text.isascii() or not is_number(text):
            hint = "; if line 1 holds names, say so (header=True, --header)" if line == 1 else ""
            raise self._fault(line, i, f"{shown} is not a number{hint}")
        value = float(text)
        if not isfinite(value):
            raise self._fault(line, i, f"{value} is not a finite number")
        return value

    def _add(self, line: int, i: int, text: str, book: Book) -> None:
        """Give a new text its code."""
        if self.known is not None:
            raise self._fault(line, i, f"{text[:40]!r} is none of the known categories: {', '.join(book)[:80]}")
        if self.names[i] not in self.named:
            if not is_plain_text(text):
                if list(self.lines) == [1]:  # there is no header, and this column began with text
                    self._number(1, i, next(iter(book)))
                raise self._fault(line, i, f"{text[:40]!r} in a column of text; name the column as one of categories")
            if len(book) == _MAX_CATEGORIES:
                many = f"more than {_MAX_CATEGORIES} different texts; leave the column out (ignore=, --ignore), or name"
                raise self._fault(line, i, f"{many} it as one of categories")
        book[text] = len(book)

    def _check_row_number(self, line: int, text: str) -> None:
        number = int(text) if text.strip().isdecimal() else None
        if number is None or (self.last_number is not None and number <= self.last_number):
            raise DataError(
                f"{self.path}, line {line}: column 1 has no name in the header and does not number the rows "
                f"({text[:40]!r}); give it a name"
            )
        self.last_number = number

    def _fault(self, line: int, i: int, what: str) -> DataError:
        return DataError(f"{self.path}, line {line}, column {self.names[i]!r}: {what}")

    def finish(self) -> tuple[Any, ...]:
        """The fields of a `Table`: columns, features, target, lines, names, categories, notes."""
        if not self.lines:
            raise DataError(f"{self.path}: no data, there is only a header")
        features = np.array(self.numbers, dtype=np.float64).reshape(len(self.lines), len(self.columns))
        names = [self.names[i] for i, _ in self.columns]
        empty = [name for name, count in zip(names, self.missing, strict=True) if count == len(self.lines)]
        if empty and self.known is None:
            raise DataError(f"{self.path}: column {empty[0]!r} has no value; leave it out (ignore=, --ignore)")
        categories: dict[str, tuple[str, ...]] = {}
        for place, (i, book) in enumerate(self.columns):
            if book is not None:
                texts = sorted(book) if self.known is None else list(book)
                rank = {text: float(code) for code, text in enumerate(texts)}
                ranks = np.array([rank[text] for text in book])
                present = ~np.isnan(features[:, place])
                features[present, place] = ranks[features[present, place].astype(np.int64)]
                categories[self.names[i]] = tuple(texts)
        return (
            tuple(names),
            features,
            None if self.target is None else tuple(self.labels),
            np.array(self.lines, dtype=np.int64),
            tuple(name for name in self.names if name),
            categories,
            self._notes(names, categories),
        )

    def _notes(self, names: list[str], categories: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        notes = []
        if not self.names[0]:
            notes.append("column 1 has no name and numbers the rows: left out")
        if categories:
            listed = ", ".join(f"{name} ({len(texts)})" for name, texts in categories.items())
            notes.append(f"categories: {listed}")
        gaps = [f"{name} ({count})" for name, count in zip(names, self.missing, strict=True) if count]
        if gaps:
            notes.append(f"missing values: {', '.join(gaps)}")
        return tuple(notes)


def is_number(text: str) -> bool:
    """Whether `float` reads the text."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_plain_text(text: str) -> bool:
    """Whether the text is printable, is no number and does not begin like one."""
    return text.isprintable() and not is_number(text) and not text.lstrip("+-.,")[:1].isdigit()

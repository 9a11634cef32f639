"""Parsing the rows of a CSV file: the first value of a column decides whether it is numeric or categorical."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from math import isfinite, nan
from typing import Any

import numpy as np

from ._errors import DataError

__all__ = ["TableBuilder", "is_number"]

_MISSING = ("", "NA")
_MAX_CATEGORIES = 100  # a column with more distinct texts holds names or remarks, unless it is declared categorical

Vocabulary = dict[str, int]  # the code of each category, in order of first appearance


class TableBuilder:
    """Collects the rows of a file; parses numbers and encodes categories as the rows arrive."""

    def __init__(
        self,
        path: str,
        names: list[str],
        selected: list[int],
        target: int | None,
        categories: Mapping[str, Sequence[str]] | Sequence[str],
        keep_missing: bool,
    ) -> None:
        self.path, self.names, self.target, self.keep_missing = path, names, target, keep_missing
        self.fixed = categories if isinstance(categories, Mapping) else None  # no column may gain categories
        self.declared = set(categories)
        self.columns: list[tuple[int, Vocabulary | None]] = [  # None for a numeric column
            (i, {text: code for code, text in enumerate(self.fixed[names[i]])} if self.fixed else {})
            if names[i] in self.declared
            else (i, None)
            for i in selected
        ]
        self.missing = [0] * len(selected)
        self.values, self.labels, self.lines = array("d"), list[str](), array("q")
        self.last_row_number: int | None = None  # in the unnamed first column

    def append(self, line: int, fields: list[str]) -> None:
        """Add a row; `DataError` if it is malformed."""
        if len(fields) != len(self.names):
            raise DataError(
                f"{self.path}, line {line}: {len(fields)} fields, expected {len(self.names)} as in the first line"
            )
        try:
            row = [float(fields[i]) if vocabulary is None else vocabulary[fields[i]] for i, vocabulary in self.columns]
        except (ValueError, KeyError):
            row = []
        text = "".join(fields)
        if len(row) < len(self.columns) or "_" in text or not text.isascii() or not isfinite(sum(row)):
            row = [self._parse_field(line, position, fields) for position in range(len(self.columns))]
        if not self.names[0]:
            self._check_row_number(line, fields[0])
        if self.target is not None:
            label = fields[self.target].strip()
            if not label:
                raise DataError(f"{self.path}, line {line}: the target column {self.names[self.target]!r} is empty")
            self.labels.append(label)
        self.values.extend(row)
        self.lines.append(line)

    def _parse_field(self, line: int, position: int, fields: list[str]) -> float:
        """The number or category code of one field; the slow path, for rows that `append` cannot parse at once."""
        i, vocabulary = self.columns[position]
        text = fields[i].strip()
        if text in _MISSING and not (vocabulary and text in vocabulary):
            if not self.keep_missing:
                found = "the field is empty" if not text else f"{text!r} is a missing value"
                raise self._error(line, i, f"{found}; missing values are accepted only with missing='nan'")
            self.missing[position] += 1
            return nan
        no_value_yet = self.missing[position] == len(self.lines)
        if vocabulary is None and no_value_yet and self.fixed is None and is_plain_text(text):
            vocabulary = {}
            self.columns[position] = (i, vocabulary)
        if vocabulary is None:
            return self._parse_number(line, i, text)
        if text not in vocabulary:
            self._add_category(line, i, text, vocabulary)
        return vocabulary[text]

    def _parse_number(self, line: int, i: int, text: str) -> float:
        shown = repr(text if len(text) <= 40 else text[:37] + "...")
        if "_" in text or not text.isascii() or not is_number(text):
            hint = "; if line 1 is a header, pass header=True (--header)" if line == 1 else ""
            raise self._error(line, i, f"{shown} is not a number{hint}")
        value = float(text)
        if not isfinite(value):
            raise self._error(line, i, f"{value} is not a finite number")
        return value

    def _add_category(self, line: int, i: int, text: str, vocabulary: Vocabulary) -> None:
        if self.fixed is not None:
            known = ", ".join(vocabulary)[:80]
            raise self._error(line, i, f"{text[:40]!r} is not a known category, expected one of: {known}")
        if self.names[i] not in self.declared:
            if not is_plain_text(text):
                if list(self.lines) == [1]:  # the file has no header, and this column began with text
                    self._parse_number(1, i, next(iter(vocabulary)))
                found = f"{text[:40]!r} in a categorical column looks like a number"
                raise self._error(line, i, f"{found}; declare the column in categories= (--categories)")
            if len(vocabulary) == _MAX_CATEGORIES:
                found = f"more than {_MAX_CATEGORIES} distinct texts; drop the column with ignore= (--ignore)"
                raise self._error(line, i, f"{found} or declare it in categories= (--categories)")
        vocabulary[text] = len(vocabulary)

    def _check_row_number(self, line: int, text: str) -> None:
        number = int(text) if text.strip().isdecimal() else None
        if number is None or (self.last_row_number is not None and number <= self.last_row_number):
            raise DataError(
                f"{self.path}, line {line}: column 1 has no name in the header and does not contain ascending row "
                f"numbers ({text[:40]!r}); name the column"
            )
        self.last_row_number = number

    def _error(self, line: int, i: int, message: str) -> DataError:
        return DataError(f"{self.path}, line {line}, column {self.names[i]!r}: {message}")

    def finish(self) -> tuple[Any, ...]:
        """The fields of a `Table`: columns, features, target, lines, names, categories, notes."""
        if not self.lines:
            raise DataError(f"{self.path}: no data after the header")
        features = np.array(self.values, dtype=np.float64).reshape(len(self.lines), len(self.columns))
        names = [self.names[i] for i, _ in self.columns]
        empty = [name for name, count in zip(names, self.missing, strict=True) if count == len(self.lines)]
        if empty and self.fixed is None:
            raise DataError(
                f"{self.path}: column {empty[0]!r} has only missing values; drop it with ignore= (--ignore)"
            )
        categories: dict[str, tuple[str, ...]] = {}
        for position, (i, vocabulary) in enumerate(self.columns):
            if vocabulary is not None:
                texts = sorted(vocabulary) if self.fixed is None else list(vocabulary)
                rank = {text: float(code) for code, text in enumerate(texts)}
                ranks = np.array([rank[text] for text in vocabulary])
                present = ~np.isnan(features[:, position])
                features[present, position] = ranks[features[present, position].astype(np.int64)]
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
            notes.append("column 1 (unnamed row numbers): dropped")
        if categories:
            listed = ", ".join(f"{name} ({len(texts)})" for name, texts in categories.items())
            notes.append(f"categories: {listed}")
        missing = [f"{name} ({count})" for name, count in zip(names, self.missing, strict=True) if count]
        if missing:
            notes.append(f"missing values: {', '.join(missing)}")
        return tuple(notes)


def is_number(text: str) -> bool:
    """Whether `float` accepts the text."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_plain_text(text: str) -> bool:
    """Whether the text is printable and neither is a number nor begins like one."""
    return text.isprintable() and not is_number(text) and not text.lstrip("+-.,")[:1].isdigit()

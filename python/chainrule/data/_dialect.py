"""How a text file is written: delimiter, comments, header; guessed from its beginning, and said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ._amounts import PLAIN, parse_numbers
from ._errors import DataError, suggest
from ._problems import Problems
from ._records import Block, blocks_of

__all__ = ["MISSING", "Reading", "guess_decimal", "guess_delimiter", "is_header", "leading_comments", "names_missing"]

MISSING = (
    *("", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "<NA>", "NaN", "nan", "-NaN", "-nan"),
    *("NULL", "null", "None", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", ".", "-", "?"),
)
_NAMES = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "space": " ", "whitespace": " "}
_CANDIDATES = ("\t", ";", "|", ",", " ")
_SAMPLE = 100  # records
SAID = {"\t": "tabs", " ": "blanks"}


@dataclass(frozen=True)
class Reading:
    """The options of a reader; None is guessed.

    >>> from chainrule.data._dialect import Reading
    >>> Reading(delimiter="tab").delimiter
    '\\t'
    """

    texts: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    cells: tuple[str, ...] | None = ()  # columns that are also kept as they stand; None: all of them
    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    comment: str | None = None
    header: bool | None = None
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        delimiter = self.delimiter if self.delimiter is None else _NAMES.get(self.delimiter, self.delimiter)
        object.__setattr__(self, "delimiter", delimiter)
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n' or not delimiter.isascii()):
            raise DataError(f"read_csv: delimiter must be one character or 'tab' or 'space', got {delimiter!r}")
        for option, allowed in (("decimal", ".,"), ("thousands", ".,' \u00a0\u202f")):
            value = getattr(self, option)
            if value is not None and (len(value) != 1 or value not in allowed):
                raise DataError(f"read_csv: {option} must be one of {', '.join(map(repr, allowed))}; got {value!r}")
        if self.decimal is not None and self.decimal == self.thousands:
            raise DataError(f"read_csv: decimal and thousands are both {self.decimal!r}")
        if self.comment is not None and (len(self.comment) != 1 or not self.comment.isascii()):
            raise DataError(f"read_csv: comment must be one character, got {self.comment!r}")
        for option in ("texts", "categories", "numbers", "columns", "ignore", "target", "expected", "cells", "missing"):
            value = getattr(self, option)
            if isinstance(value, str):
                raise DataError(f"read_csv: {option} must be a list of texts, got {value!r}; write [{value!r}]")
            object.__setattr__(self, option, value if value is None else tuple(value))

    @property
    def missing_texts(self) -> tuple[str, ...]:
        """All texts that stand for a missing value."""
        return (*MISSING, *self.missing)


def names_missing(texts: Iterable[str]) -> bool:
    """Whether one of these categories is a word that stands for a missing value in other columns, as NA is."""
    return not set(MISSING).isdisjoint(texts)


def leading_comments(begin: bytes, delimiter: str | None) -> int:
    """The number of lines at the beginning that are comments, though no option says so.

    Lines that begin with `#` are, unless the last of them has as many fields as the next line: then it is a header.

    >>> from chainrule.data._dialect import leading_comments
    >>> leading_comments(b"# made by hand\\na,b\\n1,2\\n", ","), leading_comments(b"#a,b\\n1,2\\n", ",")
    (1, 0)
    """
    lines = begin.splitlines()
    count = next((i for i, line in enumerate(lines) if not line.startswith(b"#")), len(lines))
    if not count or count == len(lines):
        return count
    found = delimiter or guess_delimiter(b"\n".join(lines[count:]))
    fields = [len(line.split(found.encode() if found != " " else None)) for line in (lines[count - 1], lines[count])]
    return count - 1 if fields[0] == fields[1] > 1 else count


def guess_delimiter(begin: bytes) -> str:
    """The delimiter that cuts all of the first records into equally many fields, otherwise the one that does so most.

    >>> from chainrule.data._dialect import guess_delimiter
    >>> guess_delimiter(b"a;b\\n1,5;2,5\\n"), guess_delimiter(b"a,b\\n1,2\\n")
    (';', ',')
    """
    best, most = ",", 0.0
    for candidate in _CANDIDATES:
        block = next(blocks_of(iter([begin]), "", candidate, ""), None)
        counts = block.counts[:_SAMPLE] if block is not None else np.zeros(0, np.int64)
        if block is None or not len(counts) or (block.fault and len(counts) < 2) or counts.max() < 2:
            continue
        if candidate == " " and (most > 0 or not _has_numbers(block)):
            continue
        rows = counts[1:] if len(counts) > 1 else counts
        usual = int(np.bincount(rows).argmax())
        if usual < 2 or counts[0] < 2:
            continue
        share = float((rows == usual).mean()) * (1.0 if counts[0] in (usual, usual - 1) else 0.5)
        if share > most:
            best, most = candidate, share
    return best


def _has_numbers(block: Block) -> bool:
    """Whether half of the fields after the first record are numbers."""
    texts = [text for i in range(1, min(len(block.lines), _SAMPLE)) for text in block.texts(i)]
    return len(block.lines) > 2 and sum(PLAIN.fullmatch(text) is not None for text in texts) * 2 >= len(texts)


def guess_decimal(block: Block, columns: int) -> str:
    """The decimal mark: a comma if one of the columns can only be read so.

    >>> from chainrule.data._dialect import guess_decimal
    >>> guess_decimal(next(blocks_of(iter([b"1,5;2\\n3,25;x\\n"]), "", ";", "")), 2)
    ','
    """
    rows = min(len(block.lines), _SAMPLE * 10)
    for column in range(columns):
        texts = [text for text in dict.fromkeys(block.column(column, columns, rows)) if text not in MISSING]
        if not any("," in text for text in texts):
            continue
        numbers = parse_numbers(texts)
        one_group = all(text.count(",") == 1 and len(text) - text.index(",") == 4 for text in texts if "," in text)
        if not isinstance(numbers, str) and numbers.style.decimal == "," and not one_group:
            return ","
    return "."


def is_header(records: Sequence[Sequence[str]], expected: Sequence[str], missing: Sequence[str]) -> tuple[bool, str]:
    """Whether the first record contains names, and a note if that could be taken otherwise.

    It does if a text stands above numbers, if no field is a number, if `expected` names are in it that columns without
    names ("1", "2", ...) would not have, or if the fields count 0, 1, 2, ... or are successive years.

    >>> from chainrule.data._dialect import is_header
    >>> is_header([["a", "2001"], ["1", "2"]], (), ())[0], is_header([["1", "x"], ["3", "y"]], (), ())[0]
    (True, False)
    """
    first, rest = [text.strip() for text in records[0]], records[1:]
    numeric = [PLAIN.fullmatch(text) is not None for text in first]
    if not any(numeric):
        return True, ""
    for i, text in enumerate(first):
        below = [r[i].strip() for r in rest if len(r) == len(first) and r[i].strip() not in missing]
        if not numeric[i] and text not in missing and below and not isinstance(parse_numbers(below), str):
            return True, ""
    if expected and set(expected) <= set(first) and any(not 0 < _index(name) <= len(first) for name in expected):
        return True, ""
    if not all(text.isdecimal() for text in first) or len(set(first)) < len(first):
        return False, ""
    steps = {int(b) - int(a) for a, b in pairwise(first)}
    counts = steps == {1} and (first[0] == "0" or 1800 <= int(first[0]) <= 2100) and len(first) > 2
    if counts:
        return True, f"line 1 ({', '.join(first[:3])}, ...) is read as names; header=False takes it for a row"
    if steps == {1} and len(first) > 2:
        return False, f"line 1 ({', '.join(first[:3])}, ...) is read as a row; header=True takes it for names"
    return False, ""


def _index(name: str) -> int:
    return int(name) if name.isdecimal() and name.isascii() and len(name) < 9 else 0


def check_names(reading: Reading, names: Sequence[str], problems: Problems) -> None:
    """Add to `problems` what the options name and the file does not have.

    >>> from chainrule.data._dialect import Reading, check_names
    >>> from chainrule.data._problems import Problems
    >>> problems = Problems("f.csv")
    >>> check_names(Reading(texts=["pirce"]), ["price", "size"], problems)
    >>> print(problems.error())
    f.csv: unknown column 'pirce'; did you mean 'price'?
    """
    known, told = set(names), set[str]()
    for option in ("target", "expected", "columns", "texts", "categories", "numbers", "ignore"):
        unknown = [name for name in getattr(reading, option) or () if name not in known and name not in told]
        told.update(unknown)
        if option in ("expected", "columns") and unknown:
            listed = ", ".join(unknown[:10]) + (f", ... ({len(unknown)} in all)" if len(unknown) > 10 else "")
            problems.add(f"missing columns: {listed}{suggest(unknown[0], names)}")
            continue
        what = "unknown target column" if option == "target" else "unknown column"
        for name in unknown:
            problems.add(f"{what} {name!r}{suggest(name, names)}")

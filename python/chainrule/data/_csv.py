"""CSV files of numbers; every fault is reported with its line.

The format: UTF-8 (a byte order mark is skipped), comma or another one-character delimiter, `"` for quotes, LF or CRLF,
gzip or plain. Lines without any character are skipped. A number is what Python's `float` reads, always with a decimal
point whatever the locale, without `_` and finite. Numbers are read to float64; a float32 model rounds them once more.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedIOBase

import numpy as np
import numpy.typing as npt

from ._errors import DataError, suggest

__all__ = ["Table", "read_csv"]

_MAX_LINE = 1 << 24  # bytes: a file without line ends must not fill the memory


@dataclass(frozen=True)
class Table:
    """A CSV file in memory: feature columns as numbers, the target column as text.

    `columns` are the feature names; `features` is float64 of shape (rows, columns); `target` holds one string per row,
    or is None when no target was named; `lines` is int64 of shape (rows,), the line each row begins at; `names` are all
    columns of the file.

    >>> from chainrule.data import Table
    >>> Table.__name__
    'Table'
    """

    columns: tuple[str, ...]
    features: npt.NDArray[np.float64]
    target: tuple[str, ...] | None
    lines: npt.NDArray[np.int64]
    names: tuple[str, ...]


def read_csv(
    path: str | os.PathLike[str],
    *,
    target: str | None = None,
    columns: Sequence[str] | None = None,
    header: bool | None = None,
    delimiter: str = ",",
) -> Table:
    """Read a CSV file of numbers, and one target column of any text.

    Arguments: `path`, a file, gzip or plain; `target`, the name of the column to keep as text and out of the features;
    `columns`, the features wanted, in this order (default: all but the target; others are ignored, unread); `header`,
    whether the first line holds names (default: it does when none of its fields is a number). Without a header the
    columns are called "1", "2", ...; `delimiter`, one character.
    Returns: a `Table`.
    Errors: `DataError` with file and line for anything that is not such a table; OSError when the file cannot be read.

    >>> import pathlib, tempfile
    >>> from chainrule.data import read_csv
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "flats.csv"
    ...     _ = path.write_text("size,rooms,price\\n50,2,300\\n70,3,410\\n")
    ...     table = read_csv(path, target="price")
    >>> table.columns, table.target
    (('size', 'rooms'), ('300', '410'))
    """
    name = os.fspath(path)
    with _open_bytes(name) as stream:
        records = _records(stream, name, delimiter)
        line, first = next(records, (0, []))
        if not first:
            raise DataError(f"{name}: no data, the file is empty")
        has_header = not any(_is_number(field) for field in first) if header is None else header
        names = _check_names(first, name, line) if has_header else [str(i + 1) for i in range(len(first))]
        wanted, target_index = _choose(names, name, target, columns, delimiter)
        rows = _Rows(name, names, wanted, target_index)
        if not has_header:
            rows.append(line, first)
        for line, fields in records:
            rows.append(line, fields)
    return rows.table()


class _Rows:
    """The rows read so far, numbers parsed as they come."""

    def __init__(self, path: str, names: list[str], wanted: list[int], target: int | None) -> None:
        self.path, self.names, self.wanted, self.target = path, names, wanted, target
        self.numbers = array("d")
        self.labels: list[str] = []
        self.lines = array("q")

    def append(self, line: int, fields: list[str]) -> None:
        if len(fields) != len(self.names):
            raise DataError(
                f"{self.path}, line {line}: {len(fields)} fields, expected {len(self.names)} as in the first line"
            )
        try:
            row = [float(fields[i]) for i in self.wanted]
        except ValueError:
            row = []
        text = "".join(fields)
        if len(row) < len(self.wanted) or "_" in text or not text.isascii():
            self._explain(line, fields)
        self.numbers.extend(row)
        if self.target is not None:
            label = fields[self.target].strip()
            if not label:
                raise DataError(f"{self.path}, line {line}: the target column {self.names[self.target]!r} is empty")
            self.labels.append(label)
        self.lines.append(line)

    def _explain(self, line: int, fields: list[str]) -> None:
        """Raise for the first bad field of the row, if there is one."""
        for i in self.wanted:
            fault = _fault(fields[i])
            if fault:
                hint = "; if line 1 holds names, say so (header=True, --header)" if line == 1 else ""
                raise DataError(f"{self.path}, line {line}, column {self.names[i]!r}: {fault}{hint}")

    def table(self) -> Table:
        if not self.lines:
            raise DataError(f"{self.path}: no data, there is only a header")
        features = np.array(self.numbers, dtype=np.float64).reshape(len(self.lines), len(self.wanted))
        columns = tuple(self.names[i] for i in self.wanted)
        bad = np.argwhere(~np.isfinite(features))
        if len(bad):
            row, column = bad[0]
            value = features[row, column]
            place = f"{self.path}, line {self.lines[row]}, column {columns[column]!r}"
            raise DataError(f"{place}: {value} is not a finite number")
        return Table(
            columns=columns,
            features=features,
            target=None if self.target is None else tuple(self.labels),
            lines=np.array(self.lines, dtype=np.int64),
            names=tuple(self.names),
        )


def _open_bytes(name: str) -> BufferedIOBase:
    """Open a file, through gzip when it begins as gzip files do."""
    with open(name, "rb") as probe:
        compressed = probe.read(2) == b"\x1f\x8b"
    if not compressed:
        return open(name, "rb")
    import gzip

    return gzip.open(name, "rb")


def _records(stream: BufferedIOBase, name: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, fields) for every record that is not an empty line."""
    import csv
    import zlib

    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise DataError(f"read_csv: delimiter must be one character, got {delimiter!r}")
    lines = _Lines(stream)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        start = lines.number + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except (csv.Error, UnicodeDecodeError) as error:
            what = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
            raise DataError(f"{name}, line {lines.number}: {what}") from None
        except (EOFError, zlib.error, OSError) as error:
            raise DataError(f"{name}, after line {lines.number}: cannot be read ({error})") from None
        if fields:
            yield start, fields


class _Lines:
    """The lines of a binary stream as text; `number` is the line last given."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self.stream, self.number = stream, 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        raw = self.stream.readline(_MAX_LINE + 1)
        if not raw:
            raise StopIteration
        self.number += 1
        if len(raw) > _MAX_LINE:
            raise OSError(f"line {self.number} is longer than {_MAX_LINE} bytes")
        return raw.decode("utf-8-sig" if self.number == 1 else "utf-8")


def _is_number(field: str) -> bool:
    """Whether `float` reads the field."""
    try:
        float(field)
    except ValueError:
        return False
    return True


def _fault(field: str) -> str:
    """What is wrong with a field that should be a number; empty when it is a number."""
    shown = repr(field if len(field) <= 40 else field[:37] + "...")
    if not field.strip():
        return "the field is empty (missing values are not supported)"
    plain = "_" not in field and field.isascii()
    return "" if plain and _is_number(field) else f"{shown} is not a number"


def _check_names(fields: list[str], path: str, line: int) -> list[str]:
    names: dict[str, None] = {}
    for i, field in enumerate(fields):
        column = field.strip()
        if not column:
            raise DataError(f"{path}, line {line}: column {i + 1} has no name in the header")
        if column in names:
            raise DataError(f"{path}, line {line}: the header names column {column!r} twice")
        names[column] = None
    return list(names)


def _choose(
    names: list[str], path: str, target: str | None, columns: Sequence[str] | None, delimiter: str
) -> tuple[list[int], int | None]:
    """The indices of the feature columns and of the target."""
    if target is not None and target not in names:
        hint = suggest(target, names)
        if len(names) == 1 and delimiter == "," and ";" in names[0]:
            hint = "; the file seems to be delimited by ';'"
        raise DataError(f"{path}: there is no target column {target!r}{hint}")
    target_index = None if target is None else names.index(target)
    if columns is None:
        wanted = [i for i in range(len(names)) if i != target_index]
        if not wanted:
            raise DataError(f"{path}: there is no column besides the target {target!r}")
        return wanted, target_index
    index = {column: i for i, column in enumerate(names)}
    missing = [column for column in columns if column not in index]
    if missing:
        listed = ", ".join(missing[:10]) + (f", ... ({len(missing)} in all)" if len(missing) > 10 else "")
        raise DataError(f"{path}: missing columns: {listed}{suggest(missing[0], names)}")
    return [index[column] for column in columns], target_index

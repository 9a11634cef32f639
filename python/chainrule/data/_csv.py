"""CSV files: numbers, categories and missing values; every error names its line.

The format: UTF-8 (a byte order mark is skipped), comma or another one-character delimiter, `"` for quotes, LF or CRLF,
gzip or plain. Empty lines are skipped. A number is any finite text that Python's `float` accepts, without `_`; the
decimal point does not depend on the locale. Numbers are parsed as float64; a float32 model rounds them once more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BufferedIOBase

import numpy as np
import numpy.typing as npt

from ._columns import TableBuilder, is_number
from ._errors import DataError, suggest
from ._streams import open_plain

__all__ = ["Table", "read_csv"]

_MAX_LINE = 1 << 24  # bytes: bounds the memory for a file without line ends


@dataclass(frozen=True)
class Table:
    """A CSV file in memory: feature columns as numbers or category codes, the target column as text.

    `columns` are the feature names; `features` is float64 of shape (rows, columns), NaN where a value is missing;
    `target` holds one string per row, or is None without a target; `lines` is int64 of shape (rows,), the line number
    at which each row begins; `names` are all columns of the file; `categories` maps each categorical column to its
    categories, indexed by the codes in `features`; `notes` reports in words how the columns were interpreted.

    >>> from chainrule.data import Table
    >>> Table.__name__
    'Table'
    """

    columns: tuple[str, ...]
    features: npt.NDArray[np.float64]
    target: tuple[str, ...] | None
    lines: npt.NDArray[np.int64]
    names: tuple[str, ...]
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def coded(self) -> dict[int, int]:
        """Index of each categorical column to its number of categories, the `columns` argument of `cr.nn.OneHot`."""
        return {self.columns.index(name): len(texts) for name, texts in self.categories.items()}


def read_csv(
    path: str | os.PathLike[str],
    *,
    target: str | None = None,
    columns: Sequence[str] | None = None,
    categories: Mapping[str, Sequence[str]] | Sequence[str] = (),
    missing: str = "error",
    ignore: Sequence[str] = (),
    header: bool | None = None,
    delimiter: str = ",",
) -> Table:
    """Read a CSV file with numeric and categorical columns and an optional target column of any text.

    A column is numeric or, if its first value is text, categorical; a column that mixes numbers and text is an error
    unless it is declared in `categories`. Text that begins like a number (`2,5`, `0x10`) is an error. The categories of
    a column are its distinct texts in sorted order, at most 100; the features hold their codes 0, 1, ... An unnamed
    first column of ascending integers contains row numbers and is dropped.

    Arguments: `path`, a file, gzip or plain; `target`, the column to return as text and exclude from the features;
    `columns`, the feature columns in this order (default: all but the target; others are not parsed); `categories`,
    columns that are categorical whatever they contain, or a mapping from every categorical column to its categories, as
    in `Table.categories`: other texts are then errors; `missing`, how to treat an empty field or `NA`: "error", or
    "nan" for NaN in the features; `ignore`, columns to drop; `header`, whether the first line contains column names
    (default: yes if none of its fields is a number). Without a header the columns are named "1", "2", ...; `delimiter`,
    one character.
    Returns: a `Table`.
    Errors: `DataError` with file and line for a malformed table; OSError when the file cannot be read.

    >>> import pathlib, tempfile
    >>> from chainrule.data import read_csv
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "flats.csv"
    ...     _ = path.write_text("size,heating,price\\n50,gas,300\\n70,,410\\n65,coal,390\\n")
    ...     table = read_csv(path, target="price", missing="nan")
    >>> table.columns, table.categories, table.target
    (('size', 'heating'), {'heating': ('coal', 'gas')}, ('300', '410', '390'))
    >>> table.features
    array([[50.,  1.],
           [70., nan],
           [65.,  0.]])
    """
    name = os.fspath(path)
    if missing not in ("error", "nan"):
        raise DataError(f"read_csv: missing must be 'error' or 'nan', got {missing!r}")
    with open_plain(name) as stream:
        records = _records(stream, name, delimiter)
        line, first = next(records, (0, []))
        if not first:
            raise DataError(f"{name}: no data, the file is empty")
        has_header = not any(is_number(field) for field in first) if header is None else header
        names = _check_names(first, name, line) if has_header else [str(i + 1) for i in range(len(first))]
        selected, target_index = _select_columns(names, name, target, columns, (*ignore, *categories), delimiter)
        selected = [i for i in selected if names[i] not in ignore]
        builder = TableBuilder(name, names, selected, target_index, categories, missing == "nan")
        if not has_header:
            builder.append(line, first)
        for line, fields in records:
            builder.append(line, fields)
    return Table(*builder.finish())


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
            message = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
            raise DataError(f"{name}, line {lines.number}: {message}") from None
        except (EOFError, zlib.error, OSError) as error:
            raise DataError(f"{name}, after line {lines.number}: cannot be read ({error})") from None
        if fields:
            yield start, fields


class _Lines:
    """Iterates over the lines of a binary stream as text; `number` is that of the last line returned."""

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


def _check_names(fields: list[str], path: str, line: int) -> list[str]:
    names: dict[str, None] = {}
    for i, text in enumerate(fields):
        column = text.strip()
        if not column and (i > 0 or len(fields) == 1):
            raise DataError(f"{path}, line {line}: column {i + 1} has no name in the header")
        if column in names:
            raise DataError(f"{path}, line {line}: duplicate column name {column!r} in the header")
        names[column] = None
    return list(names)


def _select_columns(
    names: list[str],
    path: str,
    target: str | None,
    columns: Sequence[str] | None,
    also_named: Sequence[str],
    delimiter: str,
) -> tuple[list[int], int | None]:
    """The indices of the feature columns and of the target; `also_named` (by other arguments) must exist, too."""
    named = [column for column in names if column]
    unknown = next((column for column in also_named if column not in names), None) if columns is None else None
    if unknown is not None:
        raise DataError(f"{path}: unknown column {unknown!r}{suggest(unknown, named)}")
    if target is not None and target not in names:
        hint = suggest(target, named)
        if len(names) == 1 and delimiter == "," and ";" in names[0]:
            hint = "; the file seems to be delimited by ';'"
        raise DataError(f"{path}: unknown target column {target!r}{hint}")
    target_index = None if target is None else names.index(target)
    if columns is None:
        selected = [i for i in range(len(names)) if i != target_index and names[i]]
        if not selected:
            raise DataError(f"{path}: no feature column besides the target {target!r}")
        return selected, target_index
    index = {column: i for i, column in enumerate(names)}
    missing = [column for column in columns if column not in index]
    if missing:
        listed = ", ".join(missing[:10]) + (f", ... ({len(missing)} in all)" if len(missing) > 10 else "")
        raise DataError(f"{path}: missing columns: {listed}{suggest(missing[0], named)}")
    return [index[column] for column in columns], target_index

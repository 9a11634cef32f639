"""CSV files: numbers, categories and missing values; every fault is reported with its line.

The format: UTF-8 (a byte order mark is skipped), comma or another one-character delimiter, `"` for quotes, LF or CRLF,
gzip or plain. Lines without any character are skipped. A number is what Python's `float` reads, always with a decimal
point whatever the locale, without `_` and finite. Numbers are read to float64; a float32 model rounds them once more.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BufferedIOBase

import numpy as np
import numpy.typing as npt

from ._columns import Rows, is_number
from ._errors import DataError, suggest

__all__ = ["Table", "read_csv"]

_MAX_LINE = 1 << 24  # bytes: a file without line ends must not fill the memory


@dataclass(frozen=True)
class Table:
    """A CSV file in memory: feature columns as numbers or as codes of categories, the target column as text.

    `columns` are the feature names; `features` is float64 of shape (rows, columns), NaN where a value is missing;
    `target` holds one string per row, or is None when no target was named; `lines` is int64 of shape (rows,), the line
    each row begins at; `names` are all columns of the file; `categories` has the texts of each column of categories:
    their places are the codes in `features`; `notes` says in words what was decided about the columns.

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
        """The number of categories of each column that has some, by its place, as `cr.nn.OneHot` takes it."""
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
    """Read a CSV file of numbers and categories, and one target column of any text.

    A column holds numbers, or, when its first value is text, categories; a column that mixes both is an error unless it
    is named in `categories`. Text that begins like a number (`2,5`, `0x10`) is taken for a mistake. The categories of a
    column are its different texts in sorted order, 100 at most; features hold their places, 0, 1, ... A first column
    without a name whose integers ascend numbers the rows, and is left out.

    Arguments: `path`, a file, gzip or plain; `target`, the name of the column to keep as text and out of the features;
    `columns`, the features wanted, in this order (default: all but the target; others are not read); `categories`,
    columns to read as categories whatever they hold, or a mapping from all columns of categories to their texts as a
    `Table` has it: then other texts are an error; `missing`, what an empty field or `NA` is: "error", or "nan" for a
    NaN in the features; `ignore`, columns to leave out; `header`, whether the first line holds names (default: it does
    when none of its fields is a number). Without a header the columns are called "1", "2", ...; `delimiter`, one
    character.
    Returns: a `Table`.
    Errors: `DataError` with file and line for anything that is not such a table; OSError when the file cannot be read.

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
        raise DataError(f"read_csv: missing must be error or nan, got {missing!r}")
    with _open_bytes(name) as stream:
        records = _records(stream, name, delimiter)
        line, first = next(records, (0, []))
        if not first:
            raise DataError(f"{name}: no data, the file is empty")
        has_header = not any(is_number(field) for field in first) if header is None else header
        names = _check_names(first, name, line) if has_header else [str(i + 1) for i in range(len(first))]
        wanted, target_index = _choose(names, name, target, columns, (*ignore, *categories), delimiter)
        wanted = [i for i in wanted if names[i] not in ignore]
        rows = Rows(name, names, wanted, target_index, categories, missing == "nan")
        if not has_header:
            rows.append(line, first)
        for line, fields in records:
            rows.append(line, fields)
    return Table(*rows.finish())


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


def _check_names(fields: list[str], path: str, line: int) -> list[str]:
    names: dict[str, None] = {}
    for i, text in enumerate(fields):
        column = text.strip()
        if not column and (i > 0 or len(fields) == 1):
            raise DataError(f"{path}, line {line}: column {i + 1} has no name in the header")
        if column in names:
            raise DataError(f"{path}, line {line}: the header names column {column!r} twice")
        names[column] = None
    return list(names)


def _choose(
    names: list[str],
    path: str,
    target: str | None,
    columns: Sequence[str] | None,
    others: Sequence[str],
    delimiter: str,
) -> tuple[list[int], int | None]:
    """The indices of the feature columns and of the target; `others` are named elsewhere and must be there, too."""
    unknown = next((column for column in others if column not in names), None) if columns is None else None
    if unknown is not None:
        raise DataError(f"{path}: there is no column {unknown!r}{suggest(unknown, names)}")
    if target is not None and target not in names:
        hint = suggest(target, names)
        if len(names) == 1 and delimiter == "," and ";" in names[0]:
            hint = "; the file seems to be delimited by ';'"
        raise DataError(f"{path}: there is no target column {target!r}{hint}")
    target_index = None if target is None else names.index(target)
    if columns is None:
        wanted = [i for i in range(len(names)) if i != target_index and names[i]]
        if not wanted:
            raise DataError(f"{path}: there is no column besides the target {target!r}")
        return wanted, target_index
    index = {column: i for i, column in enumerate(names)}
    missing = [column for column in columns if column not in index]
    if missing:
        listed = ", ".join(missing[:10]) + (f", ... ({len(missing)} in all)" if len(missing) > 10 else "")
        raise DataError(f"{path}: missing columns: {listed}{suggest(missing[0], names)}")
    return [index[column] for column in columns], target_index

"""Files of tables as arrays: numbers, category codes and missing values; errors name every line that is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from ._dialect import names_missing
from ._errors import DataError
from ._frame import Column, Frame
from ._kinds import ColumnKind, column_kinds
from ._parts import converted
from ._problems import Problems, shown
from ._read import FrameRead, read_frame
from ._streams import Source, source_name

__all__ = ["Table", "read_csv", "read_table"]


@dataclass(frozen=True)
class Table:
    """A table in memory: feature columns as numbers or category codes, the target column as text.

    `columns` are the feature names; `features` is float64 of shape (rows, columns), NaN where a value is missing;
    `target` holds one string per row, or is None without a target; `lines` is int64 of shape (rows,), the line number
    at which each row begins; `names` are all columns of the file; `categories` maps each categorical column to its
    categories, indexed by the codes in `features`; `notes` reports in words how the file and its columns were
    interpreted; `kinds` has what each column is used as, and why. The estimators of tables, and models of `cr.load`,
    take it as they take a data frame.

    >>> import io
    >>> from chainrule.data import read_csv
    >>> table = read_csv(io.StringIO("size,heat\\n50,gas\\n70,oil\\n"))
    >>> table.columns, table.categories
    (('size', 'heat'), {'heat': ('gas', 'oil')})
    """

    columns: tuple[str, ...]
    features: npt.NDArray[np.float64]
    target: tuple[str, ...] | None
    lines: npt.NDArray[np.int64]
    names: tuple[str, ...]
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    kinds: tuple[ColumnKind, ...] = ()

    @property
    def coded(self) -> dict[int, int]:
        """Index of each categorical column to its number of categories, the `columns` argument of `cr.nn.OneHot`."""
        return {self.columns.index(name): len(texts) for name, texts in self.categories.items()}

    @property
    def frame(self) -> Frame:
        """The features as columns: texts of categories, dates, numbers."""
        kinds = {kind.name: kind.kind for kind in self.kinds}
        return Frame(
            [self._column(i, kinds.get(name, "number")) for i, name in enumerate(self.columns)], len(self.lines)
        )

    def _column(self, index: int, kind: str) -> Column:
        name, values = self.columns[index], self.features[:, index]
        missing = np.isnan(values)
        if name in self.categories:
            texts = self.categories[name]
            codes = np.where(missing, -1, values).astype(np.int64)
            return Column(name, Column.coded(name, codes, list(texts)).values, texts)
        if kind == "date":
            days = np.rint(np.where(missing, 0, values) * 86_400e6).astype(np.int64).view("datetime64[us]")
            return Column(name, np.where(missing, np.datetime64("NaT", "us"), days))
        return Column(name, values)


def read_csv(
    path: Source,
    *,
    target: str | None = None,
    columns: Sequence[str] | None = None,
    categories: Mapping[str, Sequence[str]] | Sequence[str] = (),
    missing: str = "error",
    ignore: Sequence[str] = (),
    header: bool | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    encoding: str | None = None,
    comment: str | None = None,
    missing_values: Sequence[str] = (),
) -> Table:
    """Read a table from a text file (CSV, TSV, ...), with numeric and categorical columns and a target of any text.

    What each column is, is decided on all of it: numbers (also amounts and shares, `$1,200`, `12 %`), true and false
    as 1 and 0, dates as days since 1970, categories: the distinct texts in sorted order, whose codes 0, 1, ... the
    features hold. Texts that are all different, texts of too many values, and integers that are all different and
    called an identifier, or that count the rows, are left out, unless they are named in `columns`. `notes` and `kinds`
    say so.

    The file may be compressed (gzip, bzip2, xz, a zip of one file). It is UTF-8, or UTF-16 with a byte order mark.
    Quotes are `"`, doubled inside of quotes; line ends are LF, CRLF or CR. Empty lines are skipped. A number is written
    in digits with a point and an exponent; texts with leading zeros (`02134`) are no numbers. Missing are an empty
    field and `NA N/A NaN nan NULL null None . - ?` and the like, as in pandas.

    Arguments: `path`, a file, "-" for standard input, or an open file; `target`, the column to return as text, exactly
    as it stands in the file, and to exclude from the features; `columns`, the feature columns in this order (default:
    all but the target; others are not parsed); `categories`, columns that are categorical whatever they contain (`NA`
    among texts is a category, only an empty field is missing), or a mapping from every categorical column to its
    categories, as in `Table.categories`: other texts are then errors; `missing`, how to treat missing features: "error"
    or "nan", for NaN; `ignore`, columns to drop; `header`, whether the first line contains column names (default:
    decided from the content; without a header the columns are named "1", "2", ...); `delimiter`, one character, "tab",
    or "space" for runs of blanks (default: guessed); `decimal`, "." or "," (default: guessed), and `thousands`;
    `encoding`, as Python names it; `comment`, the character with which lines begin that are left out; `missing_values`,
    further texts that stand for a missing value.
    Returns: a `Table`.
    Errors: `DataError` that tells all that is wrong with a table, a line for each problem; OSError when the file cannot
    be read.

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
    if missing not in ("error", "nan"):
        raise DataError(f"read_csv: missing must be 'error' or 'nan', got {missing!r}")
    name = source_name(path)
    declared, fixed = tuple(categories), categories if isinstance(categories, Mapping) else None
    selected = None if columns is None else tuple(columns)
    chosen = [c for c in declared if c != target and (selected is None or c in selected)]
    literal = [c for c in chosen if fixed is None or names_missing(fixed[c])]
    read = read_frame(
        path,
        texts=[*([] if target is None else [target]), *(c for c in chosen if c not in literal)],
        categories=literal,
        columns=selected,
        target=() if target is None else (target,),
        ignore=ignore,
        header=header,
        delimiter=delimiter,
        decimal=decimal,
        thousands=thousands,
        encoding=encoding,
        comment=comment,
        missing=missing_values,
    )
    return _table(read, name, target, selected, declared, fixed, missing == "nan")


def read_table(path: Source, **options: Any) -> Table:
    """Read a table from a file of any kind: text (CSV, TSV, ...), Parquet or Feather, told by its content.

    Arguments: `path` and options as in `read_csv`; Parquet and Feather need pyarrow, and no options of text files.
    Returns: a `Table`; `lines` are numbers of rows for Parquet and Feather.
    Errors: as `read_csv`.

    >>> import io
    >>> from chainrule.data import read_table
    >>> read_table(io.StringIO("size\\tprice\\n50\\t300\\n70\\t410\\n"), target="price").features
    array([[50.],
           [70.]])
    """
    return read_csv(path, **options)


def _table(
    read: FrameRead,
    name: str,
    target: str | None,
    selected: tuple[str, ...] | None,
    declared: tuple[str, ...],
    fixed: Mapping[str, Sequence[str]] | None,
    keep_missing: bool,
) -> Table:
    problems, frame = Problems(name), read.frame
    labels = None if target is None else _labels(frame[target], read.lines, problems)
    names = [column for column in frame.names if column != target] if selected is None else list(selected)
    if selected is None and not names:
        raise DataError(f"{name}: no feature column besides the target {target!r}")
    if not frame.rows:
        raise DataError(f"{name}: no data after the header")
    known = [c for c in declared if c in names]
    kinds = {kind.name: kind for kind in column_kinds(frame.select(names), categories=known)}
    values: dict[str, npt.NDArray[Any]] = {}
    categories: dict[str, tuple[str, ...]] = {}
    for column in names:
        given = None if fixed is None else fixed.get(column)
        kind = kinds[column] = _used(kinds[column], frame[column], selected is not None)
        if not kind.used:
            if not keep_missing and frame[column].missing.all():
                _tell_missing(np.full(frame.rows, np.nan), column, read.lines, problems)
            continue
        if kind.kind == "category":
            if fixed is not None and given is None:
                _tell_texts(frame[column], read.lines, problems)
                continue
            codes, categories[column] = _coded(frame[column], given, read.lines, problems)
            values[column] = _placed(codes, frame[column])
        elif kind.kind == "date":
            days = frame[column].dates(kind.format)
            values[column] = _placed(np.where(np.isnat(days), np.nan, days.astype(np.int64) / 86_400e6), frame[column])
        else:
            values[column] = _numbers(frame[column])
        if not keep_missing:
            _tell_missing(values[column], column, read.lines, problems)
    problems.check()
    used = [column for column in names if column in values]
    if names and not used:
        raise DataError(
            f"{name}: no feature column is left: {'; '.join(f'{k.name}: {k.note}' for k in kinds.values())}"
        )
    features = _matrix([values[column] for column in used], frame.rows)
    notes = _notes(read.notes, [kinds[column] for column in names], values, categories)
    told = tuple(kinds[column] for column in names)
    return Table(tuple(used), features, labels, read.lines, read.names, categories, notes, told)


def _numbers(column: Column) -> npt.NDArray[np.float64]:
    """The numbers of a column that is not used afterwards."""
    if column.room is None or column.values.base is not column.room.base:
        return _placed(column.numbers(), column)
    floats: npt.NDArray[np.float64] = converted(column.values, np.float64)
    return floats


def _placed(values: npt.NDArray[np.float64], column: Column) -> npt.NDArray[np.float64]:
    """The values beside those of the other columns, where there is room."""
    if column.room is None:
        return values
    column.room[:] = values
    return column.room


def _matrix(columns: Sequence[npt.NDArray[np.float64]], rows: int) -> npt.NDArray[np.float64]:
    """Columns side by side, one after the other in memory, as in pandas' frames.

    Numbers lie there as they were read: new memory for them would cost as much time as the reading.
    """
    block = columns[0].base if columns else None
    if block is not None and all(column.base is block for column in columns):
        places = [column.ctypes.data for column in columns]
        step = places[1] - places[0] if len(places) > 1 else 8 * rows
        if step >= 8 * rows and places == [places[0] + i * step for i in range(len(places))]:
            side_by_side: npt.NDArray[np.float64] = as_strided(columns[0], (rows, len(columns)), (8, step))
            return side_by_side
    matrix = np.empty((len(columns), rows))
    for line, column in zip(matrix, columns, strict=True):
        line[:] = column
    features: npt.NDArray[np.float64] = matrix.T
    return features


def _used(kind: ColumnKind, column: Column, asked: bool) -> ColumnKind:
    """Constants are features of a table, so is every column that was asked for."""
    if kind.used or (kind.kind != "constant" and not asked):
        return kind
    if column.missing.all() and not asked:
        return kind
    note = kind.note.replace("; left out", "").replace("left out unless declared", "used as declared")
    return ColumnKind(kind.name, "category" if column.values.dtype.kind == "O" else "number", note)


def _labels(column: Column, lines: npt.NDArray[np.int64], problems: Problems) -> tuple[str, ...]:
    """The target as it stands in the file; a missing one is a problem."""
    missing = np.flatnonzero(column.missing)
    for row in missing[:1000]:
        line = int(lines[row])
        problems.add(f"the target column {column.name!r} is empty or a missing value; remove the row", line=line)
    return tuple(column.values.tolist()) if not len(missing) else ()


def _coded(
    column: Column, given: Sequence[str] | None, lines: npt.NDArray[np.int64], problems: Problems
) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """Codes of a categorical column, and its categories."""
    codes, different = column.codes
    texts = tuple(sorted(different)) if given is None else tuple(given)
    index = {text: i for i, text in enumerate(texts)}
    for i, text in enumerate(different):
        if text not in index:
            line = int(lines[np.flatnonzero(codes == i)[0]])
            known = ", ".join(texts)[:80]
            message = f"{shown(text)} is not a known category, expected one of: {known}"
            problems.add(message, line=line, column=column.name)
    ranks = np.array([index.get(text, -1) for text in different] + [np.nan])
    return ranks[codes], texts


def _tell_texts(column: Column, lines: npt.NDArray[np.int64], problems: Problems) -> None:
    row = int(np.flatnonzero(~column.missing)[0])
    message = f"{shown(column.texts()[row])} is not a number"
    problems.add(message, line=int(lines[row]), column=column.name)


def _missing(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(0, np.bool_)


def _tell_missing(values: npt.NDArray[Any], column: str, lines: npt.NDArray[np.int64], problems: Problems) -> None:
    rows = np.flatnonzero(_missing(values))
    if len(rows):
        more = f" (in {len(rows)} rows)" if len(rows) > 1 else ""
        message = f"the field is empty or a missing value{more}; missing values are accepted only with missing='nan'"
        problems.add(message, line=int(lines[rows[0]]), column=column)


def _notes(
    notes: Sequence[str],
    kinds: Sequence[ColumnKind],
    values: Mapping[str, npt.NDArray[Any]],
    categories: Mapping[str, Sequence[str]],
) -> tuple[str, ...]:
    told = list(notes)
    if categories:
        told.append("categories: " + ", ".join(f"{name} ({len(texts)})" for name, texts in categories.items()))
    for kind in kinds:
        if kind.kind == "date":
            told.append(f"{kind.name}: {kind.note or 'dates'}; as days since 1970-01-01")
        elif kind.note and kind.kind not in ("category",):
            told.append(f"{kind.name}: {kind.note}")
    counts = {name: int(np.count_nonzero(_missing(column))) for name, column in values.items()}
    missing = [f"{name} ({count})" for name, count in counts.items() if count]
    if missing:
        told.append(f"missing values: {', '.join(missing)}")
    return tuple(told)

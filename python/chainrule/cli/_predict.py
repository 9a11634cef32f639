"""Predictions for files of any size: read, predicted and written in chunks."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..data import DataError, suggest
from ..data._dialect import names_missing
from ..data._frame import Column, Frame
from ..data._read import FrameRead, read_frames, read_names
from ._models import TableModel, check_columns

__all__ = ["Counts", "predict_file", "read_for"]

CHUNK_ROWS, CHUNK_VALUES = 20_000, 2_000_000  # at most; bound the memory
ALL = ("*",)  # all columns of the file
_FEATHER = (".feather", ".arrow")
_UNWRITTEN = (".gz", ".bz2", ".xz", ".zst", ".zip", ".xlsx", ".xls", ".ods", ".json")  # CSV is not what they promise

Array = npt.NDArray[Any]


class Counts:
    """Rows, unknown categories and missing values that were met."""

    def __init__(self) -> None:
        self.rows = 0
        self.unknown: dict[str, int] = {}
        self.missing: dict[str, int] = {}
        self._texts: dict[str, str] = {}

    def add(self, model: TableModel, frame: Frame) -> None:
        """Count those of these rows."""
        self.rows += frame.rows
        for name in model.features:
            column = frame[name]
            absent = int(np.count_nonzero(column.missing))
            if absent:
                self.missing[name] = self.missing.get(name, 0) + absent
            if name in model.categories:
                known = set(model.categories[name])
                others = [text for text in column.texts().tolist() if text is not None and text not in known]
                if others:
                    self.unknown[name] = self.unknown.get(name, 0) + len(others)
                    self._texts.setdefault(name, others[0])

    def notes(self) -> list[str]:
        """In words; empty if there was nothing."""
        notes = []
        for name, count in self.unknown.items():
            notes.append(f"{name}: {count} of {self.rows} values were not in the training rows ({self._texts[name]!r})")
        if self.missing:
            shown = ", ".join(f"{name} {count}" for name, count in list(self.missing.items())[:10])
            notes.append(f"missing values: {shown}")
        return notes


def read_for(
    model: TableModel,
    source: str,
    reading: dict[str, Any],
    chunk_rows: int | None,
    *,
    target: bool = False,
    cells: tuple[str, ...] | None = (),
) -> Iterator[FrameRead]:
    """Read a file for a model, in chunks: columns of the model as it uses them, and the others as texts, or only those
    in `cells` as they stand (None: all columns). `target`: whether there must be a target.
    """
    options = {key: value for key, value in reading.items() if value not in (None, ())}
    # A word like NA is a category where it was one in training, otherwise a missing value.
    exact = [name for name, known in model.categories.items() if names_missing(known)]
    plain = [name for name in model.categories if name not in exact]
    texts: list[str] = []
    if source != "-" and not _is_pipe(source):
        names = read_names(source, expected=list(model.features), **options)
        check_columns(model, names, source)
        others = [name for name in names if name not in model.features]
        if target and model.target not in others:
            raise DataError(f"{source}: there is no target column {model.target!r}{suggest(model.target, names)}")
        if cells == ():
            texts = [name for name in others if name != model.target]
            exact += [name for name in others if name == model.target]
    for read in read_frames(
        source,
        chunk_rows=chunk_rows,
        texts=[*plain, *texts],
        categories=exact,
        numbers=list(model.numbers),
        expected=list(model.features),
        columns=None if cells == () else list(model.features),
        cells=cells,
        **options,
    ):
        check_columns(model, read.frame.names, source)
        yield read


def _is_pipe(source: str) -> bool:
    return os.path.exists(source) and not os.path.isfile(source)


class Sink(Protocol):
    """Receives the columns of predictions. `is_text`: it writes texts as they are."""

    is_text: bool

    def write(self, columns: Sequence[Column]) -> None:
        """Write rows; all calls have the same columns."""

    def close(self) -> None:
        """The rows are complete."""


class _Text:
    """CSV to a text stream.

    >>> import sys
    >>> import numpy as np
    >>> from chainrule.cli._predict import _Text
    >>> from chainrule.data._frame import Column
    >>> _Text(sys.stdout).write([Column("a", np.array([1.5, 2.0])), Column("b", np.array(["1.50", "x,y"], object))])
    a,b
    1.5,1.50
    2,"x,y"
    """

    is_text = True

    def __init__(self, stream: Any, delimiter: str = ",") -> None:
        self._stream, self._delimiter, self._begun = stream, delimiter, False
        # Quotes are needed around what would end a field, and around blanks at its ends, which readers leave out.
        self._special = re.compile(rf'["\r{re.escape(delimiter)}]|^[ \t]|[ \t]$', re.MULTILINE)

    def write(self, columns: Sequence[Column]) -> None:
        names = [] if self._begun else [[self._quoted(column.name) for column in columns]]
        self._begun = True
        rows: Iterable[Sequence[str]] = chain(names, zip(*(self._cells(c) for c in columns), strict=True))
        if len(columns) == 1:  # an empty line would be no row
            rows = ((row[0] or '""',) for row in rows)
        self._stream.writelines(f"{self._delimiter.join(row)}\n" for row in rows)

    def _cells(self, column: Column) -> list[str]:
        texts = ["" if text is None else text for text in column.texts().tolist()]
        lines = "\n".join(texts)  # one search for all of them
        if lines.count("\n") < max(1, len(texts)) and not self._special.search(lines):
            return texts
        return list(map(self._quoted, texts))

    def _quoted(self, text: str) -> str:
        if "\n" not in text and not self._special.search(text):
            return text
        doubled = text.replace('"', '""')
        return f'"{doubled}"'

    def close(self) -> None:
        self._stream.flush()


class _Arrow:
    """Parquet or Feather, with a group of rows for each chunk."""

    is_text = False

    def __init__(self, path: str, feather: bool) -> None:
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            what = "Feather" if feather else "Parquet"
            raise ValueError(f"predict: writing {what} requires pyarrow: pip install chainrule[tables]") from None
        self._path, self._feather, self._writer = path, feather, None  # type: str, bool, Any

    def write(self, columns: Sequence[Column]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        arrays = [pa.array(c.values.tolist() if c.values.dtype.kind == "O" else c.values) for c in columns]
        kinds = [pa.string() if c.values.dtype.kind == "O" else a.type for c, a in zip(columns, arrays, strict=True)]
        schema = pa.schema([(c.name, kind) for c, kind in zip(columns, kinds, strict=True)])
        if self._writer is None:
            open_writer = pa.ipc.new_file if self._feather else pq.ParquetWriter
            self._writer, self._schema = open_writer(self._path, schema), schema
        table = pa.table([a.cast(k) for a, k in zip(arrays, kinds, strict=True)], schema=schema)
        self._writer.write_table(table.cast(self._schema))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


@contextmanager
def _open(out: str | None) -> Iterator[Sink]:
    """The output; a file appears under its name when it is complete."""
    if out is None:
        if sys.stdout is None:
            raise ValueError("predict: the standard output is closed; pass --out FILE")
        sink: Sink = _Text(sys.stdout)
        yield sink
        sink.close()
        return
    if os.path.exists(out) and not os.path.isfile(out):  # a device or pipe
        with open(out, "w", encoding="utf-8", newline="") as stream:
            yield _Text(stream)
        return
    ending = os.path.splitext(out)[1].lower()
    if ending in _UNWRITTEN:
        raise ValueError(
            f"predict: --out: {ending} files are not written; name a .csv, .tsv, .parquet or .feather file"
        )
    folder = os.path.dirname(os.path.realpath(out))
    if not os.path.isdir(folder):
        raise FileNotFoundError(2, "No such file or directory", out)
    handle, temporary = tempfile.mkstemp(prefix=".chainrule-", dir=folder)
    try:
        os.close(handle)
        if ending in (".parquet", ".pq", *_FEATHER):
            sink = _Arrow(temporary, ending in _FEATHER)
            yield sink
            sink.close()
        else:
            with open(temporary, "w", encoding="utf-8", newline="") as stream:
                sink = _Text(stream, "\t" if ending == ".tsv" else ",")
                yield sink
                sink.close()
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, os.stat(out).st_mode & 0o777 if os.path.exists(out) else 0o666 & ~mask)
        os.replace(temporary, os.path.realpath(out))
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def predict_file(
    model: TableModel,
    source: str,
    out: str | None,
    *,
    reading: dict[str, Any],
    keep: Sequence[str] | None,
    probabilities: bool,
    quantiles: Sequence[float],
) -> Counts:
    """Predict the rows of a file.

    Arguments: `keep`, the columns of the file that are written before the predictions (default: all of them to a
    file, none to standard output), from CSV to CSV as they stand; `probabilities`, whether to add those of the classes;
    `quantiles`, shares.
    Returns: what was met.
    """
    counts = Counts()
    if probabilities and model.task == "regression":
        raise ValueError("predict: --probabilities requires a classifier, this is a regression model")
    if quantiles and model.task != "regression":
        raise ValueError("predict: --quantiles requires a regression model, this is a classifier")
    with _open(out) as sink:
        rows = max(1, min(CHUNK_ROWS, CHUNK_VALUES // max(1, len(model.features))))
        everything = keep is ALL or (keep is None and out is not None)
        cells = None if everything else tuple(keep or ())
        for read in read_for(model, source, reading, rows, cells=cells if sink.is_text else ()):
            frame = read.frame
            columns = {column.name: column for column in (read.cells if sink.is_text else frame.columns)}
            names = list(columns) if everything else list(keep or ())
            for name in names:
                if name not in columns:
                    raise DataError(f"predict: --keep: {source} has no column {name!r}{suggest(name, read.names)}")
            counts.add(model, frame)
            added = (
                _predicted(model, frame, probabilities, quantiles)
                if frame.rows
                else _none(model, probabilities, quantiles)
            )
            taken = {column.name for column in added} & set(names)
            if taken:
                raise DataError(f"{source}: the column {min(taken)!r} is one of the predictions; --keep other columns")
            sink.write([*(columns[name] for name in names), *added])
    return counts


def _predicted(model: TableModel, frame: Frame, probabilities: bool, quantiles: Sequence[float]) -> list[Column]:
    if model.task == "regression":
        found = [Column("prediction", model.values(frame))]
        if quantiles:
            values = model.quantiles(frame, quantiles)
            found += [Column(name, values[:, i]) for i, name in enumerate(_quantile_names(quantiles))]
        return found
    p = model.probabilities(frame)
    names = np.array(model.classes, dtype=object)
    found = [Column("prediction", names[np.argmax(p, axis=1)])]
    if probabilities:
        found += [Column(f"probability_{name}", p[:, i]) for i, name in enumerate(model.classes)]
    return found


def _quantile_names(quantiles: Sequence[float]) -> list[str]:
    return [f"quantile_{share:.12g}" for share in quantiles]


def _none(model: TableModel, probabilities: bool, quantiles: Sequence[float]) -> list[Column]:
    """The columns of predictions for no rows."""
    names = ["prediction", *(f"probability_{name}" for name in model.classes if probabilities)]
    names += _quantile_names(quantiles)
    return [Column(name, np.zeros(0)) for name in names]

"""Predictions for files of any size: read, predicted and written in chunks."""

from __future__ import annotations

import csv
import io
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    model: TableModel, source: str, reading: dict[str, Any], chunk_rows: int | None, target: bool = False
) -> Iterator[FrameRead]:
    """Read a file for a model, in chunks; all columns, those of the model as it uses them, the others as texts."""
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
        texts = [name for name in others if name != model.target]
        exact += [name for name in others if name == model.target]
    for read in read_frames(
        source,
        chunk_rows=chunk_rows,
        texts=[*plain, *texts],
        categories=exact,
        numbers=list(model.numbers),
        expected=list(model.features),
        **options,
    ):
        check_columns(model, read.frame.names, source)
        yield read


def _is_pipe(source: str) -> bool:
    return os.path.exists(source) and not os.path.isfile(source)


class Sink(Protocol):
    """Receives the columns of predictions."""

    def write(self, columns: Sequence[Column]) -> None:
        """Write rows; all calls have the same columns."""

    def close(self) -> None:
        """The rows are complete."""


class _Text:
    """CSV to a text stream."""

    def __init__(self, stream: Any, delimiter: str = ",") -> None:
        self._writer, self._stream, self._begun = (
            csv.writer(stream, delimiter=delimiter, lineterminator="\n"),
            stream,
            False,
        )

    def write(self, columns: Sequence[Column]) -> None:
        if not self._begun:
            self._writer.writerow([column.name for column in columns])
        self._begun = True
        listed = [["" if text is None else text for text in _texts(column)] for column in columns]
        self._writer.writerows(zip(*listed, strict=True))

    def close(self) -> None:
        self._stream.flush()


def _texts(column: Column) -> list[str | None]:
    listed: list[str | None] = column.texts().tolist()
    return listed


class _Parquet:
    """Parquet or Feather, with a row group for each chunk."""

    def __init__(self, path: str) -> None:
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise ValueError(f"predict: {path}: writing Parquet requires pyarrow: pip install pyarrow") from None
        self._path, self._writer = path, None  # type: str, Any

    def write(self, columns: Sequence[Column]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        arrays = [pa.array(c.values.tolist() if c.values.dtype.kind == "O" else c.values) for c in columns]
        kinds = [pa.string() if c.values.dtype.kind == "O" else a.type for c, a in zip(columns, arrays, strict=True)]
        schema = pa.schema([(c.name, kind) for c, kind in zip(columns, kinds, strict=True)])
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, schema)
        table = pa.table([a.cast(k) for a, k in zip(arrays, kinds, strict=True)], schema=schema)
        self._writer.write_table(table.cast(self._writer.schema))

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
    folder = os.path.dirname(os.path.realpath(out))
    if not os.path.isdir(folder):
        raise FileNotFoundError(2, "No such file or directory", out)
    handle, temporary = tempfile.mkstemp(prefix=".chainrule-", dir=folder)
    try:
        os.close(handle)
        if out.lower().endswith((".parquet", ".pq")):
            sink = _Parquet(temporary)
            yield sink
            sink.close()
        else:
            with open(temporary, "w", encoding="utf-8", newline="") as stream:
                sink = _Text(stream, "\t" if out.lower().endswith(".tsv") else ",")
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
    file, none to standard output); `probabilities`, whether to add those of the classes; `quantiles`, shares.
    Returns: what was met.
    """
    counts = Counts()
    if probabilities and model.task == "regression":
        raise ValueError("predict: --probabilities requires a classifier, this is a regression model")
    if quantiles and model.task != "regression":
        raise ValueError("predict: --quantiles requires a regression model, this is a classifier")
    with _open(out) as sink:
        rows = max(1, min(CHUNK_ROWS, CHUNK_VALUES // max(1, len(model.features))))
        for read in read_for(model, source, reading, rows):
            frame = read.frame
            everything = keep is ALL or (keep is None and out is not None)
            names = list(frame.names) if everything else list(keep or ())
            for name in names:
                if name not in frame:
                    raise DataError(f"predict: --keep: {source} has no column {name!r}{suggest(name, frame.names)}")
            counts.add(model, frame)
            added = (
                _predicted(model, frame, probabilities, quantiles)
                if frame.rows
                else _none(model, probabilities, quantiles)
            )
            taken = {column.name for column in added} & set(names)
            if taken:
                raise DataError(f"{source}: the column {min(taken)!r} is one of the predictions; --keep other columns")
            sink.write([*(frame[name] for name in names), *added])
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


def to_text(columns: Sequence[Column]) -> str:
    """The columns as CSV.

    >>> import numpy as np
    >>> from chainrule.cli._predict import to_text
    >>> from chainrule.data._frame import Column
    >>> to_text([Column("a", np.array([1.5, 2.0]))])
    'a\\n1.5\\n2\\n'
    """
    out = io.StringIO()
    _Text(out).write(columns)
    return out.getvalue()

"""Parquet and Feather files, through pyarrow."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any

from ._dialect import Reading, check_names
from ._errors import DataError
from ._frame import Column, Frame
from ._problems import Problems

__all__ = ["arrow_frames"]


def arrow_frames(
    stream: io.BufferedReader, path: Any, name: str, reading: Reading, chunk_rows: int | None
) -> Iterator[tuple[Frame, tuple[str, ...]]]:
    """The rows of a Parquet or Feather file in chunks, and the names of all its columns.

    `path`: the file, if the stream is one that is not compressed: it may be larger than memory.
    """
    for option in ("delimiter", "decimal", "thousands", "encoding", "comment", "header"):
        if getattr(reading, option) is not None:
            raise DataError(f"{name}: {option} is an option of text files, this is Parquet or Feather")
    try:
        import pyarrow
    except ImportError:
        message = f"{name}: a Parquet or Feather file; they are read with pyarrow: pip install chainrule[tables]"
        raise DataError(message) from None
    try:
        begin = stream.peek(4)[:4]
        whole = path is not None and _begins_with(path, begin)
        data = pyarrow.memory_map(os.fspath(path)) if whole else pyarrow.BufferReader(stream.read())
        for table, names in _tables(pyarrow, data, begin, chunk_rows, name, reading):
            frame = Frame.of(table, name)
            columns = [_as_asked(column, reading) for column in frame.columns]
            yield Frame(columns, frame.rows, name), names
    except (pyarrow.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DataError(f"{name}: cannot be read ({str(error).splitlines()[0][:200]})") from None


def _tables(
    pyarrow: Any, data: Any, begin: bytes, chunk_rows: int | None, name: str, reading: Reading
) -> Iterator[tuple[Any, tuple[str, ...]]]:
    if begin == b"PAR1":
        from pyarrow.parquet import ParquetFile

        file = ParquetFile(data)
        names = _checked(file.schema_arrow.names, name, reading)
        wanted = _wanted(names, reading)
        if chunk_rows is None or file.metadata.num_rows == 0:
            yield file.read(columns=wanted), names
            return
        for batch in file.iter_batches(chunk_rows, columns=wanted):
            yield pyarrow.Table.from_batches([batch]), names
        return
    if begin == b"ARROW1"[:4]:
        yield from _batches(pyarrow, pyarrow.ipc.open_file(data), chunk_rows, name, reading)
        return
    from pyarrow.feather import read_table

    table = read_table(data)
    names = _checked(table.column_names, name, reading)
    table = table.select(_wanted(names, reading))
    step = chunk_rows or max(1, table.num_rows)
    for at in range(0, max(1, table.num_rows), step):
        yield table.slice(at, step), names


def _batches(
    pyarrow: Any, file: Any, chunk_rows: int | None, name: str, reading: Reading
) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """The record batches of a Feather file, one in memory at a time."""
    names = _checked(file.schema.names, name, reading)
    wanted = _wanted(names, reading)
    if chunk_rows is None or not file.num_record_batches:
        yield file.read_all().select(wanted), names
        return
    for i in range(file.num_record_batches):
        table = pyarrow.Table.from_batches([file.get_batch(i)]).select(wanted)
        for at in range(0, max(1, table.num_rows), chunk_rows):
            yield table.slice(at, chunk_rows), names


def _begins_with(path: Any, begin: bytes) -> bool:
    with open(path, "rb") as file:
        return file.read(len(begin)) == begin


def _checked(names: list[str], name: str, reading: Reading) -> tuple[str, ...]:
    problems = Problems(name)
    check_names(reading, names, problems)
    problems.check()
    return tuple(names)


def _wanted(names: tuple[str, ...], reading: Reading) -> list[str]:
    if reading.cells is None:
        return list(names)
    if reading.columns is None:
        return [name for name in names if name not in reading.ignore]
    asked = {*reading.columns, *reading.texts, *reading.categories, *reading.cells}
    return [name for name in names if name in asked]


def _as_asked(column: Column, reading: Reading) -> Column:
    if column.name in reading.texts or column.name in reading.categories:
        return Column(column.name, column.texts(), column.levels)
    return Column(column.name, column.numbers()) if column.name in reading.numbers else column

"""Tables in files as frames, at once or in chunks."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config import get_num_threads
from ._amounts import PLAIN
from ._dialect import SAID, Reading, check_names, guess_decimal, guess_delimiter, is_header, leading_comments
from ._errors import DataError
from ._frame import Column, Frame
from ._parts import ColumnParts, Style, read_numbers, read_texts
from ._problems import Problems
from ._records import PIECE, Block, ahead, blocks_of, utf8_pieces
from ._streams import Source, open_table, source_name

__all__ = ["FrameRead", "read_frame", "read_frames", "read_names"]

_LARGE = 8 * PIECE  # bytes from which on a thread that reads ahead is worth its start


@dataclass(frozen=True)
class FrameRead:
    """Rows of a file: the columns, the line at which each row begins, what was guessed or left out, all names, and
    columns as they stand in the file (the option `cells`): the cells of a text file, the values of another.

    >>> import io
    >>> from chainrule.data._read import read_frame
    >>> read = read_frame(io.StringIO("size;price\\n50;1,5\\n70;2,5\\n"))
    >>> read.frame["price"].values, read.lines, read.notes
    (array([1.5, 2.5]), array([2, 3]), ("delimiter ';'", "decimal ','"))
    """

    frame: Frame
    lines: npt.NDArray[np.int64]
    notes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    cells: tuple[Column, ...] = ()


def read_frame(source: Source, **options: Any) -> FrameRead:
    """Read a table: CSV, TSV and the like, Parquet or Feather, also compressed.

    Arguments: `source`, a path, "-" for standard input, or an open file; options as in `read_frames`.
    Returns: a `FrameRead`. A column is int64, float64 or bool where all its values are numbers or true and false,
    otherwise texts; amounts and shares are numbers.
    Errors: `DataError` that tells all that is wrong; OSError when the file cannot be read.

    >>> import io
    >>> from chainrule.data._read import read_frame
    >>> read = read_frame(io.StringIO("id,zip,fee\\n1,02134,$5\\n2,10001,\\n"), texts=["id"])
    >>> for column in read.frame.columns:
    ...     print(column.name, column.values.tolist())
    id ['1', '2']
    zip ['02134', '10001']
    fee [5.0, nan]
    """
    reads = list(read_frames(source, chunk_rows=None, **options))
    return reads[0]


def read_frames(source: Source, *, chunk_rows: int | None, **options: Any) -> Iterator[FrameRead]:
    """Read a table of any size, so many rows at a time; the first ones decide how each column is read.

    Arguments: `source` as in `read_frame`; `chunk_rows`, at least 1. Options: `texts`, columns that keep the file's
    texts; `categories`, the same, with no missing values but empty fields; `numbers`, columns that must be numbers;
    `columns`, the only ones that are read, besides those in `texts` and `categories`; `ignore`, columns that are not;
    `expected` and `target`, names that the header must have; `cells`, columns that are also returned as they stand
    (None: all of them; names that the file does not have are left out); `delimiter`, a character, "tab" or "space";
    `decimal`, "." or ","; `thousands`; `encoding`; `comment`, the first character of lines that are left out;
    `header`, whether the first line contains names; `missing`, further texts that stand for missing values. What is
    not given is guessed, and said in the notes.
    Yields: a `FrameRead` for each chunk; one without rows for a table that has only a header.
    Errors: as `read_frame`.

    >>> import io
    >>> from chainrule.data._read import read_frames
    >>> [read.frame.rows for read in read_frames(io.StringIO("a\\n1\\n2\\n3\\n"), chunk_rows=2)]
    [2, 1]
    """
    reading = Reading(**options)
    if chunk_rows is not None and chunk_rows < 1:
        raise ValueError(f"read_frames: chunk_rows must be at least 1, got {chunk_rows}")
    return _read(source, reading, chunk_rows)


def _read(source: Source, reading: Reading, chunk_rows: int | None) -> Generator[FrameRead, None, None]:
    name = source_name(source)
    with _located(name), open_table(source) as stream:
        begin = stream.peek(8)[:8]
        if begin.startswith((b"PAR1", b"ARROW1", b"FEA1")):
            from ._arrow import arrow_frames

            row = 1
            path = source if _size(source) else None
            for frame, names in arrow_frames(stream, path, name, reading, chunk_rows):
                cells = tuple(column for column in frame.columns if _is_cell(column.name, reading))
                yield FrameRead(frame, np.arange(row, row + frame.rows), (), names, cells)
                row += frame.rows
            return
        yield from _Text(source, name, reading).frames(utf8_pieces(stream, name, reading.encoding), chunk_rows)


@contextmanager
def _located(name: str) -> Iterator[None]:
    """Errors of decompression and conversion name the file."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            raise
        raise DataError(f"{name}: cannot be read ({error})") from None
    except UnicodeEncodeError as error:
        raise DataError(f"{name}: text that is not Unicode ({error.reason})") from None


def read_names(source: Source, **options: Any) -> tuple[str, ...]:
    """The names of a table's columns, from its beginning; options as in `read_frames`.

    >>> import io
    >>> from chainrule.data._read import read_names
    >>> read_names(io.StringIO("size;price\\n50;1\\n"))
    ('size', 'price')
    """
    reads = _read(source, Reading(**{**options, "columns": ()}), 1)
    try:
        return next(reads).names
    finally:
        reads.close()


@dataclass
class _Text:
    """A text file while it is read."""

    source: Source
    name: str
    reading: Reading
    notes: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    dropped: set[int] = field(default_factory=set)  # columns without names
    parts: list[ColumnParts] = field(default_factory=list)
    cells: dict[int, list[str]] = field(default_factory=dict)  # of this chunk, by the index of the column
    width: int = 0  # fields of a record
    size: int = 0  # bytes, if it is a regular file
    row_names: bool = False  # the header has no name for the first column
    last_row_number: int | None = None

    def frames(self, pieces: Iterator[bytes], chunk_rows: int | None) -> Iterator[FrameRead]:
        """The chunks of the file."""
        self.problems = Problems(self.name)
        blocks = blocks_of(self._begin(pieces), self.name, self.delimiter, self.comment, self.skipped)
        self.size = size = _size(self.source)
        busy = int(size >= _LARGE and get_num_threads() > 1)
        if busy:  # the thread that scans is one of them: a second one for numbers takes its time, 15 % on two CPUs
            blocks = ahead(blocks)
        kept: list[Block] = []  # of this chunk, where they cannot be read again
        again = chunk_rows is None and size > 0
        rows = count = 0
        lines: list[npt.NDArray[np.int64]] = []
        yielded = False
        for block in self._rows(blocks):
            at, total = 0, len(block.lines)
            while at < total:
                take = total - at if chunk_rows is None else min(total - at, chunk_rows - rows)
                piece = block if take == total else block.take(slice(at, at + take), self.width)
                turned = read_numbers(self.parts, piece, self.width, self._expected(block, chunk_rows), busy)
                if turned:
                    for earlier in self._again(count) if again else kept:
                        read_texts(turned, earlier, self.width, busy)
                read_texts(self.parts, piece, self.width, busy)
                for index, texts in self.cells.items():
                    texts += piece.column(index, self.width)
                if not again:
                    kept.append(piece)
                lines.append(piece.lines)
                at, rows, count = at + take, rows + take, count + 1
                if rows == chunk_rows:
                    yield self._chunk(lines)
                    kept, lines, rows, yielded = [], [], 0, True
        if rows or not yielded:
            yield self._chunk(lines)

    def _expected(self, block: Block, chunk_rows: int | None) -> int:
        """About as many rows as the file or a chunk of it has, if they are like those of this block."""
        rows = int(self.size / max(1, len(block.data)) * len(block.lines) * 1.02) + 1
        rows = min(rows, 4 * self.size // (8 * max(1, len(self.parts))))  # at most 4 times the bytes of the file
        return rows if chunk_rows is None else min(rows, chunk_rows)

    def _again(self, count: int) -> Iterator[Block]:
        """The first blocks of the file once more: one without numbers is not kept in memory."""
        assert isinstance(self.source, (str, os.PathLike))
        other = _Text(self.source, self.name, self.reading)
        with open_table(self.source) as stream:
            other.problems = Problems(self.name)
            pieces = other._begin(utf8_pieces(stream, self.name, self.reading.encoding))
            blocks = blocks_of(pieces, self.name, other.delimiter, other.comment, other.skipped)
            yield from islice(other._rows(blocks), count)

    def _begin(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Guess the dialect from the first piece."""
        first = next(pieces, b"")
        if not first.strip():
            raise DataError(f"{self.name}: no data, the file is empty")
        self.comment, self.skipped = self.reading.comment or "", 0
        if not self.comment:
            self.skipped = leading_comments(first[:65536], self.reading.delimiter)
            if self.skipped:
                self.notes.append(f"lines 1 to {self.skipped}: comments" if self.skipped > 1 else "line 1: a comment")
                lines = first.splitlines(keepends=True)
                first = first[sum(map(len, lines[: self.skipped])) :]
        if not first.strip():
            raise DataError(f"{self.name}: no data, the file has only comments")
        self.delimiter = self.reading.delimiter or guess_delimiter(_complete(first))
        if self.reading.delimiter is None and self.delimiter != ",":
            self.notes.append(f"delimiter {SAID.get(self.delimiter) or repr(self.delimiter)}")

        def again() -> Iterator[bytes]:
            yield first
            yield from pieces

        return again()

    def _rows(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """Blocks of records with the right number of fields, without the header."""
        begun = False
        for block in blocks:
            if block.fault:
                self.problems.add(block.fault[1], line=block.fault[0])
            if not len(block.lines):
                continue
            if not begun:
                block = self._header(block)
                begun = True
            counts = block.counts
            wrong = np.flatnonzero(counts != self.width)
            for i in map(int, wrong):
                message = f"{counts[i]} fields, expected {self.width} as in the first line"
                if not self.comment and block.texts(int(i))[0].startswith("#"):
                    message += "; comment='#' (--comment '#') leaves out such lines"
                self.problems.add(message, line=int(block.lines[i]))
            if len(wrong):
                block = block.take(counts == self.width, self.width)
            if self.dropped and len(block.lines):
                self._check_dropped(block)
            yield block
        if not begun:
            self.problems.check()
            raise DataError(f"{self.name}: no data, the file is empty")

    def _header(self, block: Block) -> Block:
        """Names, the number of fields and the columns to read; returns the block without the header."""
        reading, missing = self.reading, self.reading.missing_texts
        records = [block.texts(i) for i in range(min(len(block.lines), 101))]
        header, note = (
            is_header(records, (*reading.target, *reading.expected), missing)
            if reading.header is None
            else (reading.header, "")
        )
        if note:
            self.notes.append(note)
        first = [text.strip() for text in records[0]]
        self.width = len(first)
        counts = block.counts
        if header and len(counts) > 1 and self.width > 1 and bool((counts[1:] == self.width + 1).all()):
            # A name fewer than columns: of the row names, or lines end with a delimiter.
            if not any(record[-1] for record in records[1:]):
                self.width, first = self.width + 1, [*first, ""]
            elif _are_row_names([record[0] for record in records[1:]]):
                self.width, first, self.row_names = self.width + 1, ["", *first], True
        self.names = first if header else [str(i + 1) for i in range(len(first))]
        self._check_names(int(block.lines[0]), [r for r in records[1:] if len(r) == self.width])
        if header:
            data = block.after_first()
        else:
            data = block
        good = data.counts == self.width
        sample = data.take(good, self.width)
        decimal = reading.decimal
        if decimal is None and self.delimiter != ",":
            decimal = guess_decimal(sample, self.width)
            if decimal == ",":
                self.notes.append("decimal ','")
        decimal = None if decimal == "." and reading.decimal is None else decimal
        style = Style(decimal, reading.thousands)
        named = [i for i in range(self.width) if i not in self.dropped]
        self.cells = {i: [] for i in named if _is_cell(self.names[i], reading)}
        wanted = [i for i in named if self._is_wanted(self.names[i])]
        self.parts = [ColumnParts(self.names[i], i, reading, style) for i in wanted]
        return data

    def _is_wanted(self, name: str) -> bool:
        if self.reading.columns is not None:
            return name in self.reading.columns or name in self.reading.texts or name in self.reading.categories
        return name not in self.reading.ignore

    def _check_names(self, line: int, records: list[list[str]]) -> None:
        seen: dict[str, int] = {}
        for i, name in enumerate(self.names):
            if not name:
                if i == 0 and len(self.names) > 1:
                    self.dropped.add(0)
                    self.notes.append(f"column 1 (unnamed row {'names' if self.row_names else 'numbers'}): dropped")
                elif i and records and not any(record[i] for record in records):
                    self.dropped.add(i)
                    self.notes.append(f"column {i + 1} (no name and no values): dropped")
                else:
                    self.problems.add(f"column {i + 1} has no name in the header", line=line)
            elif seen.setdefault(name, i) != i:
                self.problems.add(f"duplicate column name {name!r} in the header", line=line)
        reading, named = self.reading, [name for name in self.names if name]
        if not self.problems.found:
            check_names(reading, named, self.problems)
            self.problems.check()

    def _check_dropped(self, block: Block) -> None:
        """Columns without names hold row numbers or nothing."""
        for i in self.dropped:
            for row, text in enumerate(block.column(i, self.width)):
                line = int(block.lines[row])
                if i and text:
                    self.problems.add(f"column {i + 1} has no name in the header", line=line)
                    return
                if i or self.row_names:
                    continue
                number = int(text) if text.strip().isdecimal() and len(text) < 20 else None
                if number is None or (self.last_row_number is not None and number <= self.last_row_number):
                    self.problems.add(
                        "column 1 has no name in the header and does not contain ascending row numbers "
                        f"({text[:40]!r}); name the column",
                        line=line,
                    )
                    return
                self.last_row_number = number

    def _chunk(self, read: list[npt.NDArray[np.int64]]) -> FrameRead:
        lines = np.concatenate(read) if read else np.zeros(0, np.int64)
        columns = []
        for part in self.parts:
            columns.append(part.column(lines, self.problems))
        self.problems.check()
        notes = [*self.notes, *(f"{part.name}: {part.note}" for part in self.parts if part.note)]
        for i, part in enumerate(self.parts):
            plan = part.plan or _plan_of(columns[i])
            self.parts[i] = ColumnParts(part.name, part.index, part.reading, part.style, plan)
        self.notes = []
        names = tuple(name for name in self.names if name)
        cells = tuple(Column(self.names[i], _objects(texts)) for i, texts in self.cells.items())
        self.cells = {i: [] for i in self.cells}
        return FrameRead(Frame(columns, len(lines), self.name), lines, tuple(notes), names, cells)


def _size(source: Source) -> int:
    """Bytes of a regular file; of others 0."""
    return os.path.getsize(source) if isinstance(source, (str, os.PathLike)) and os.path.isfile(source) else 0


def _is_cell(name: str, reading: Reading) -> bool:
    return reading.cells is None or name in reading.cells


def _objects(texts: list[str]) -> npt.NDArray[np.object_]:
    array = np.empty(len(texts), object)
    array[:] = texts
    return array


def _plan_of(column: Column) -> str:
    if column.missing.all():
        return ""
    return {"b": "boolean", "O": "text"}.get(column.values.dtype.kind, "number")


def _are_row_names(texts: list[str]) -> bool:
    """Whether the first fields of records are names or numbers of rows."""
    counted = texts == [str(i) for i in range(1, len(texts) + 1)]
    named = len(set(texts)) == len(texts) and not any(PLAIN.fullmatch(text) for text in texts)
    return len(texts) > 1 and (counted or named)


def _complete(piece: bytes) -> bytes:
    """The first complete lines of a piece, enough to guess from."""
    sample = piece[: 1 << 16]
    return sample if len(sample) == len(piece) or b"\n" not in sample else sample[: sample.rindex(b"\n") + 1]

"""Text files as blocks of records: encoding, and where the fields lie."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _core
from ._errors import DataError

__all__ = ["Block", "ahead", "blocks_of", "utf8_pieces"]

PIECE = 1 << 18  # bytes read at a time: fields and their numbers stay in the cache (4 MiB: 2.7 times slower)
_PATIENCE = 0.05  # seconds
_LONGEST_RECORD = 1 << 24  # bytes: bounds the memory for a file without line ends
_FAULTS = (
    "",
    "unexpected end of data: a quote is not closed",
    "text after a closing quote; a quote within quotes is written twice",
    "field larger than 131072 bytes; is a quote not closed?",
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
Integers = npt.NDArray[np.int64]


@dataclass
class Block:
    """Records: their bytes, and for each field where it begins and ends (int32, as the core scans them).

    `first` is the index of each record's first field (and the number of fields), `lines` the line where it begins.
    """

    data: bytes
    fields: npt.NDArray[np.int32]
    first: Integers
    lines: Integers
    fault: tuple[int, str] | None = None

    @property
    def counts(self) -> Integers:
        """The number of fields of each record."""
        return self.first[1:] - self.first[:-1]

    def take(self, rows: Any, columns: int) -> Block:
        """The records of this mask or slice; all of them have so many fields."""
        begins = self.first[:-1][rows]
        # Not begins[:, None] + arange: where memory is short, NumPy 2.4 crashes in a sum that broadcasts.
        places = np.repeat(begins, columns)
        places += np.tile(np.arange(columns), len(begins))
        first = np.arange(0, len(places) + 1, columns)
        return Block(self.data, self.fields[places], first, self.lines[rows], self.fault)

    def after_first(self) -> Block:
        """All records but the first."""
        begin = int(self.first[1])
        return Block(self.data, self.fields[begin:], self.first[1:] - begin, self.lines[1:], self.fault)

    def texts(self, record: int) -> list[str]:
        """The fields of a record."""
        return _core.csv_texts(self.data, self.fields[int(self.first[record]) : int(self.first[record + 1])])

    def column(self, index: int, columns: int, rows: int | None = None) -> list[str]:
        """A field of each of the first records, which have so many fields."""
        fields = self.fields[: None if rows is None else rows * columns]
        return _core.csv_texts(self.data, np.ascontiguousarray(fields[index::columns]))


def utf8_pieces(stream: io.BufferedReader, name: str, encoding: str | None) -> Iterator[bytes]:
    """The text as UTF-8 without a byte order mark, piece by piece.

    Errors: `DataError` that names the line, for bytes that are not of this encoding, NUL bytes, damaged compression.
    """
    lines = 0
    decoder = encode = None
    while True:
        piece = raw = _piece(stream, name, lines)
        if not raw:
            break
        if decoder is None:
            mark, found = next(((m, e) for m, e in _MARKS if raw.startswith(m)), (b"", ""))
            chosen = found or encoding or "utf-8"
            try:
                info = codecs.lookup(chosen)
                decoder = info.incrementaldecoder()
                encode = info.name != "utf-8"
                "".encode(chosen)
            except (LookupError, TypeError):
                raise DataError(
                    f"encoding: unknown encoding {encoding!r}; utf-8, latin-1 and cp1252 are usual"
                ) from None
            piece = raw[len(mark) :]
        try:
            is_ascii, at, ends = _core.csv_check(piece)
            if encode or not is_ascii or decoder.getstate()[0]:
                text = decoder.decode(piece)
                pending = decoder.getstate()[0]
                if encode:
                    piece = text.encode()
                    _, at, ends = _core.csv_check(piece)
                elif pending:
                    decoder.reset()
                    decoder.decode(pending)
        except UnicodeDecodeError as error:
            line = lines + error.object[: error.start].count(b"\n") + 1
            bad = error.object[error.start]
            hint = "; encoding='latin-1' (--encoding latin-1) reads it as Western European text" if not encoding else ""
            raise DataError(
                f"{name}, line {line}: not UTF-8 text (byte 0x{bad:02x}){hint}".replace(
                    "UTF-8", (encoding or "UTF-8").upper()
                )
            ) from None
        if at >= 0:
            line = lines + piece.count(b"\n", 0, at) + 1
            raise DataError(
                f"{name}, line {line}: a NUL byte; a binary file, a damaged one, or UTF-16 (encoding='utf-16')"
            )
        lines += ends
        yield piece
    if decoder is not None and decoder.getstate()[0]:
        raise DataError(f"{name}, line {lines + 1}: not {(encoding or 'UTF-8').upper()} text: it is cut off")


def _piece(stream: io.BufferedReader, name: str, line: int) -> bytes:
    try:
        return stream.read(PIECE)
    except OSError as error:
        if error.errno is not None:
            raise
        raise DataError(f"{name}, after line {line}: cannot be read ({error})") from None


def blocks_of(pieces: Iterator[bytes], name: str, delimiter: str, comment: str, skip: int = 0) -> Iterator[Block]:
    """Records of the text, in blocks; the first line is `skip` + 1. The last block has the fault that ended it."""
    rest, line, piece = b"", skip, next(pieces, None)
    while piece is not None:
        following = next(pieces, None)
        data = rest + piece if rest else piece
        last = following is None
        fields, first, lines, end, passed, fault, fault_line = _core.csv_scan(
            data, delimiter, ord(comment) if comment else -1, last
        )
        message = (line + fault_line + 1, _FAULTS[fault]) if fault else None
        if len(lines) or message:
            yield Block(data, fields, first, lines + (line + 1), message)
        if message:
            return
        rest, line, piece = data[end:], line + passed, following
        if len(rest) > _LONGEST_RECORD:
            raise DataError(
                f"{name}, after line {line}: cannot be read (line {line + 1} is longer than {_LONGEST_RECORD} bytes)"
            )
        while piece is not None and len(piece) < len(rest):  # so that a long record is not scanned again and again
            more = next(pieces, None)
            if more is None:
                break
            piece += more


def ahead(blocks: Iterator[Block]) -> Iterator[Block]:
    """The same blocks; each is scanned in another thread while the one before is used.

    Nobody waits for that thread where a disk or network does not answer: a pool of threads would be joined at exit, so
    that Ctrl-C waited, too.
    """
    from queue import SimpleQueue
    from threading import Thread

    asked, found = SimpleQueue[bool](), SimpleQueue[Block | BaseException | None]()

    def scan() -> None:
        while asked.get():
            try:
                found.put(next(blocks, None))
            except BaseException as error:
                found.put(error)

    thread = Thread(target=scan, name="chainrule-read", daemon=True)
    thread.start()
    try:
        asked.put(True)
        while (block := found.get()) is not None:
            if isinstance(block, BaseException):
                raise block
            asked.put(True)
            yield block
    finally:
        asked.put(False)
        thread.join(_PATIENCE)

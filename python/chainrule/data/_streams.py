"""Bytes of files that may be compressed, of pipes, whose bytes can be read only once, and of open files."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from .._util.files import buffered
from ._errors import DataError

__all__ = ["Source", "open_plain", "open_table", "source_name"]

_GZIP, _ZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
_LONGEST = 8  # bytes of a magic number
_LAYERS = 2  # of compression: a .gz in a .zip
_LARGE, _RATIO = 1 << 31, 500  # bytes from which on, and times by which, a file is not expected to expand

Source = str | os.PathLike[str] | IO[bytes] | IO[str]


class _Whole(io.RawIOBase):
    """A stream from its beginning, of which `begin` was already read."""

    def __init__(self, begin: bytes, rest: Any) -> None:
        self._begin, self._rest = begin, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._begin[: len(buffer)]
        self._begin = self._begin[len(data) :]
        if not data:
            read = getattr(self._rest, "read1", self._rest.read)
            data = read(len(buffer))
            data = data.encode() if isinstance(data, str) else data
        if len(data) > len(buffer):  # texts of several bytes a character
            data, self._begin = data[: len(buffer)], data[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def open_plain(name: str) -> Iterator[io.BufferedIOBase]:
    """Open a file or pipe for reading, with decompression if it begins with gzip's magic number.

    >>> from chainrule.data._streams import open_plain
    >>> with open_plain("/dev/null") as stream:
    ...     stream.read()
    b''
    """
    with open(name, "rb", buffering=0) as raw, buffered(raw) as file:
        begin = file.read(len(_GZIP))
        whole = buffered(_Whole(begin, file))
        if begin != _GZIP:
            yield whole
            return
        import gzip

        with gzip.open(whole, "rb") as stream:
            yield stream


def source_name(source: Source) -> str:
    """What errors call the source: the path, or "standard input" for "-".

    >>> from chainrule.data._streams import source_name
    >>> source_name("-"), source_name("a.csv")
    ('standard input', 'a.csv')
    """
    if isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        return "standard input" if name == "-" else name
    if not hasattr(source, "read"):
        raise TypeError(f"read_table: expected a path, '-' or an open file, got {type(source).__name__}")
    own = getattr(source, "name", None)
    return own if isinstance(own, str) else "the open file"


@contextmanager
def open_table(source: Source) -> Iterator[io.BufferedReader]:
    """Open a table: a path, "-" for standard input, or an open file; gzip, bzip2, xz, or a zip of one file, or plain.

    Errors: OSError when it cannot be opened; `DataError` for other compression.

    >>> import io
    >>> from chainrule.data._streams import open_table
    >>> with open_table(io.StringIO("a,b")) as stream:
    ...     stream.read()
    b'a,b'
    """
    name = source_name(source)
    if not isinstance(source, (str, os.PathLike)):
        yield _decompressed(buffered(_Whole(b"", source)), name)
    elif os.fspath(source) == "-":
        if sys.stdin is None:
            raise DataError("standard input: it is closed")
        yield _decompressed(buffered(_Whole(b"", getattr(sys.stdin, "buffer", sys.stdin))), name)
    else:
        if os.path.isdir(source):
            raise DataError(f"{name}: a folder, expected a file ({os.strerror(errno.EISDIR)})")
        with open(source, "rb", buffering=0) as raw:  # not the buffer: its close() waits for another thread's read()
            file = buffered(raw)  # lives as long
            yield _decompressed(file, name)


def _decompressed(stream: Any, name: str) -> io.BufferedReader:
    for _ in range(_LAYERS + 1):
        begin = stream.read(_LONGEST)
        if isinstance(stream, io.BufferedReader) and stream.seekable():
            stream.seek(-len(begin), os.SEEK_CUR)
            whole = stream
        else:
            whole = buffered(_Whole(begin, stream))
        inner = _open_layer(begin, whole, name)
        if inner is None:
            return whole
        stream = buffered(_Guarded(inner, name))
    raise DataError(f"{name}: compressed more than {_LAYERS} times; unpack it")


def _open_layer(begin: bytes, whole: io.BufferedReader, name: str) -> Any:
    if begin.startswith(_GZIP):
        import gzip

        return gzip.open(whole, "rb")
    if begin.startswith(_BZIP2):
        import bz2

        return bz2.open(whole, "rb")
    if begin.startswith(_XZ):
        import lzma

        return lzma.open(whole, "rb")
    if begin.startswith(_ZSTD):
        raise DataError(f"{name}: compressed by zstd; unpack it")
    return _open_zip(whole, name) if begin.startswith(_ZIP) else None


def _open_zip(whole: io.BufferedReader, name: str) -> Any:
    import zipfile

    try:
        archive = zipfile.ZipFile(whole if whole.seekable() else io.BytesIO(whole.read()))
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise DataError(f"{name}: a damaged zip archive ({error})") from None
    listed = archive.namelist()
    if "xl/workbook.xml" in listed or "content.xml" in listed:
        raise DataError(f"{name}: a spreadsheet; save it as CSV")
    files = [file for file in listed if not file.endswith("/") and not file.startswith("__MACOSX/")]
    if len(files) != 1:
        found = ", ".join(files[:5]) + (", ..." if len(files) > 5 else "") if files else "none"
        raise DataError(f"{name}: a zip archive must contain one file, found {found}")
    try:
        return archive.open(files[0])
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise DataError(f"{name}: the zip archive cannot be read ({error})") from None


class _Guarded(io.RawIOBase):
    """A decompressing stream whose errors are OSErrors, and which does not fill the memory from a tiny file."""

    def __init__(self, inner: Any, name: str) -> None:
        self._inner, self._count = inner, 0
        self._limit = max(_LARGE, _RATIO * os.path.getsize(name)) if os.path.isfile(name) else sys.maxsize

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        import lzma
        import zipfile
        import zlib

        try:
            data = self._inner.read(len(buffer))
        except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, ValueError) as error:
            raise OSError(f"damaged: {error}") from None
        self._count += len(data)
        if self._count > self._limit:
            raise OSError(f"it expands to more than {_RATIO} times its size; unpack it")
        buffer[: len(data)] = data
        return len(data)

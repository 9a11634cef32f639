"""Files that may be compressed, and pipes, whose bytes can be read only once."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._util.files import buffered

__all__ = ["open_plain"]

_GZIP = b"\x1f\x8b"


class _Whole(io.RawIOBase):
    """A stream from its beginning, of which `begin` was already read."""

    def __init__(self, begin: bytes, rest: io.BufferedReader) -> None:
        self._begin, self._rest = begin, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._begin[: len(buffer)] or self._rest.read1(len(buffer))
        self._begin = self._begin[len(data) :]
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

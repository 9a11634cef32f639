"""Memory between inaccessible pages: a read or write outside ends the process."""

import ctypes
import mmap
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from reference import assert_same_bits
from reference.bits import Array

NONE, READ, WRITE = 0, mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE
CANARY = 0x5A
PAGE = mmap.PAGESIZE

libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def protect(address: int, size: int, access: int) -> None:
    if libc.mprotect(address, size, access) != 0:
        raise OSError(ctypes.get_errno(), "mprotect")


class Region:
    """Pages between two inaccessible ones."""

    def __init__(self, pages: int = 1) -> None:
        self.size = pages * PAGE
        self._map = mmap.mmap(-1, self.size + 2 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        whole = np.frombuffer(self._map, np.uint8)
        self.begin = whole.ctypes.data + PAGE
        self.bytes = whole[PAGE : PAGE + self.size]
        protect(self.begin - PAGE, PAGE, NONE)
        protect(self.begin + self.size, PAGE, NONE)

    def fill(self, x: Array) -> Array:
        """Fill the region with x repeated and make it read-only; returns it as one array."""
        protect(self.begin, self.size, WRITE)
        self.bytes.view(x.dtype)[:] = np.resize(x, self.size // x.itemsize)
        protect(self.begin, self.size, READ)
        return self.bytes.view(x.dtype)

    def put(self, x: Array, place: int | None) -> Array:
        """Store x at an offset (see `array`), read-only."""
        protect(self.begin, self.size, WRITE)
        view = self.array(x.shape, x.dtype, place)
        view[...] = x
        protect(self.begin, self.size, READ)
        return view

    def array(self, shape: Sequence[int], dtype: npt.DTypeLike, place: int | None) -> Array:
        """Part of the region: at its end (None), or `place` elements after its start."""
        data = self.bytes.view(dtype)
        count = int(np.prod(shape))
        start = data.size - count if place is None else place
        return data[start : start + count].reshape(shape)


class Output(Region):
    """A region to write to."""

    def __init__(self, pages: int = 1) -> None:
        super().__init__(pages)
        self.bytes[:] = CANARY
        self._untouched = self.bytes.tobytes()

    def check_view(self, out: Array, what: str) -> None:
        """Every element of the view was written, and nothing else."""
        blank = np.full(1, CANARY, np.uint8).repeat(out.itemsize).view(out.dtype)[0]
        assert (out != blank).all(), f"{what}: an element was not written"
        out[...] = blank
        assert self.bytes.tobytes() == self._untouched, f"{what}: wrote beside its output"

    def check(self, out: Array, expected: bytes, what: str) -> None:
        """`out` holds `expected`, and nothing around it has changed; clears it."""
        found = out.tobytes()
        out.reshape(-1).view(np.uint8)[:] = CANARY
        if found != expected:
            assert_same_bits(np.frombuffer(found, out.dtype), np.frombuffer(expected, out.dtype), what)
        assert self.bytes.tobytes() == self._untouched, f"{what}: wrote beside its output"

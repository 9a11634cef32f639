"""Python interface of oracle.c: compiled once per process with the system's C compiler, called through ctypes."""

import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

SOURCE = Path(__file__).with_name("oracle.c")
FLAGS = ("-std=gnu11", "-O1", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared")
TRANSPOSES = ("NN", "TN", "NT", "TT")  # bit t of a mask: a, then b, given by strides as transposed

_int, _i64, _u64, _pointer = ctypes.c_int, ctypes.c_int64, ctypes.c_uint64, ctypes.c_void_p
_i64_pointer = ctypes.POINTER(_i64)
_OPERAND = [_pointer, _i64, _i64]
_MATMUL_ARGUMENTS: list[Any] = [_int, _i64, _i64, _i64, *_OPERAND, *_OPERAND, _pointer, _i64]
MATMUL_FN = ctypes.CFUNCTYPE(_int, *_MATMUL_ARGUMENTS)  # the type of chainrule_matmul


@dataclass(frozen=True)
class Sweep:
    """Result of a sweep: number of cases, number of cases that differ, description of the first ("" if none)."""

    cases: int
    differing: int
    first: str


@functools.cache
def library() -> ctypes.CDLL:
    """The compiled oracle; RuntimeError without a C compiler (`cc`, or the environment variable CC)."""
    compiler = os.environ.get("CC", "cc").split()
    if shutil.which(compiler[0]) is None:
        raise RuntimeError(f"oracle: C compiler {compiler[0]!r} not found; set CC")
    with tempfile.TemporaryDirectory(prefix="oracle-") as folder:
        shared = Path(folder) / "oracle.so"
        command = [*compiler, *FLAGS, str(SOURCE), "-o", str(shared), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"oracle: {' '.join(command)} failed:\n{done.stderr}")
        loaded = ctypes.CDLL(str(shared))
    for name in ("oracle_fma32", "oracle_fma64"):
        getattr(loaded, name).argtypes = [_i64, _pointer, _pointer, _pointer, _pointer]
    loaded.oracle_matmul.argtypes = _MATMUL_ARGUMENTS
    loaded.check_matmul.argtypes = [_pointer, _int, _int, _u64, _i64, _i64, _i64]
    loaded.sweep_matmul.argtypes = [_pointer, _int, _int, _u64, _i64, _i64_pointer, _i64_pointer]
    loaded.sweep_matmul.restype = _i64
    return loaded


def fma(a: npt.ArrayLike, b: npt.ArrayLike, c: npt.ArrayLike) -> Array:
    """C's fmaf or fma over arrays of one dtype, with broadcasting."""
    operands = [np.ascontiguousarray(v) for v in np.broadcast_arrays(a, b, c)]
    out = np.empty_like(operands[0])
    function = library().oracle_fma64 if _is_f64(out.dtype) else library().oracle_fma32
    function(out.size, *(v.ctypes.data for v in operands), out.ctypes.data)
    return out


def matmul(a: Array, b: Array) -> Array:
    """The chain of fma per output for 2-d a (m, k) and b (k, n) with any strides."""
    if a.dtype != b.dtype or a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        expected = "expected (m, k) and (k, n) of one dtype"
        raise ValueError(f"oracle.matmul: a is {a.dtype} {a.shape}, b {b.dtype} {b.shape}; {expected}")
    (m, k), n = a.shape, b.shape[1]
    c = np.empty((m, n), a.dtype)
    library().oracle_matmul(_is_f64(a.dtype), m, n, k, *_operand(a), *_operand(b), c.ctypes.data, n)
    return c


def sweep_matmul(fn: Any, dtype: npt.DTypeLike, max_dim: int, specials: bool = False, seed: int = 1) -> Sweep:
    """Run fn, a ctypes function with chainrule_matmul's signature, on every m, n, k up to max_dim; compare every bit.

    Each shape runs in all four transpositions, given by strides, with leading dimensions of dimension + 0 .. 3. A and B
    are surrounded by NaN padding; the padding of C must not change. `specials` adds NaN, infinities, zeros of both
    signs, subnormals and the largest values.
    """
    cases, first = _i64(0), (_i64 * 4)()
    differing = library().sweep_matmul(
        _address(fn), _is_f64(dtype), specials, seed, max_dim, ctypes.byref(cases), ctypes.cast(first, _i64_pointer)
    )
    m, n, k, mask = first
    description = f"m={m} n={n} k={k} {' '.join(_names(mask))}" if differing else ""
    return Sweep(cases.value, differing, description)


def check_matmul(
    fn: Any, dtype: npt.DTypeLike, m: int, n: int, k: int, specials: bool = False, seed: int = 1
) -> list[str]:
    """As `sweep_matmul` for one shape: the transpositions ("NN", "TN", "NT", "TT") in which fn differs."""
    return _names(library().check_matmul(_address(fn), _is_f64(dtype), specials, seed, m, n, k))


def _operand(x: Array) -> tuple[int, int, int]:
    return x.ctypes.data, x.strides[0] // x.itemsize, x.strides[1] // x.itemsize


def _names(mask: int) -> list[str]:
    return [name for t, name in enumerate(TRANSPOSES) if mask >> t & 1]


def _address(fn: Any) -> int | None:
    return ctypes.cast(fn, _pointer).value


def _is_f64(dtype: npt.DTypeLike) -> int:
    return int(np.dtype(dtype) == np.float64)

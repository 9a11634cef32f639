"""Array layouts: every layout of NumPy gives the bits of its contiguous copy or a clear error, never a crash."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import oracle
from chainrule import _core
from reference import assert_same_bits
from reference.bits import Array
from support.programs import Float, blank, sgd_step
from support.variants import every_setting

FLOATS = (np.float32, np.float64)
CASES = 24_000


def misaligned(x: Array) -> Array:
    """A copy one byte off."""
    memory = np.empty(x.nbytes + 1, np.uint8)[1:]
    copy: Array = memory.view(x.dtype).reshape(x.shape)
    copy[...] = x
    return copy


def spread(x: Array, rows: int, columns: int) -> Array:
    """The same values, in a larger array, at every `rows`th row and `columns`th column (negative: backwards)."""
    wide = np.full((max(x.shape[0], 1) * abs(rows), max(x.shape[1], 1) * abs(columns)), np.nan, x.dtype)
    view: Array = wide[::rows, ::columns][: x.shape[0], : x.shape[1]]
    view[...] = x
    return view


def read_only(x: Array) -> Array:
    copy: Array = x.copy()
    copy.flags.writeable = False
    return copy


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "C": lambda x: x.copy(),
    "Fortran": np.asfortranarray,
    "read-only": read_only,
    "rows with gaps": lambda x: spread(x, 3, 1),
    "columns with gaps": lambda x: spread(x, 1, 2),
    "both with gaps": lambda x: spread(x, 2, 3),
    "rows backwards": lambda x: spread(x, -1, 1),
    "columns backwards": lambda x: spread(x, 1, -1),
    "both backwards with gaps": lambda x: spread(x, -2, -3),
    "Fortran with gaps": lambda x: spread(x.T, 2, 1).T,
    "one row repeated": lambda x: np.broadcast_to(x[:1], x.shape),
    "one column repeated": lambda x: np.broadcast_to(x[:, :1], x.shape),
    "one value repeated": lambda x: np.broadcast_to(x[:1, :1], x.shape),
    "Fortran order in a memory map": lambda x: (
        np.frombuffer(bytearray(x.T.tobytes()), x.dtype).reshape(x.shape[::-1]).T
    ),
}


def test_every_layout_is_its_copy() -> None:
    rng = np.random.default_rng(95)
    names = list(LAYOUTS)
    settings = list(every_setting(threads=(1, 2)))
    for setting in every_setting(threads=(1, 2)):
        for case in range(CASES // len(settings)):
            dtype = FLOATS[case % 2]
            m, n, k = (int(v) for v in rng.integers(0, 20, 3))
            chosen = rng.integers(0, len(names), 2)
            a, b = (
                LAYOUTS[names[i]](rng.standard_normal(shape).astype(dtype))
                for i, shape in zip(chosen, ((m, k), (k, n)), strict=True)
            )
            out = blank((m, n), dtype)
            _core.matmul(a, b, out)
            what = f"{setting}, ({m}, {k}) {names[chosen[0]]} times ({k}, {n}) {names[chosen[1]]}"
            assert_same_bits(out, oracle.matmul(a.copy(), b.copy()), what)


def test_an_empty_array_may_lie_anywhere() -> None:
    empty = np.frombuffer(bytes(9), np.float32, count=0, offset=1)  # as an empty bytearray of Python 3.13
    assert empty.ctypes.data % empty.itemsize != 0
    out = blank((2, 3), np.dtype(np.float32))
    _core.matmul(empty.reshape(2, 0), empty.reshape(0, 3), out)
    assert_same_bits(out, np.zeros((2, 3), np.float32), "no products")


A, B, OUT = np.ones((3, 4), np.float32), np.ones((4, 5), np.float32), np.full((3, 5), 7, np.float32)
SHARED = np.ones((8, 8), np.float32)
MATMUL_REFUSED: dict[str, tuple[tuple[Any, Any, Any], type[Exception], str]] = {
    "list": (([[1.0]], B, OUT), TypeError, "matmul a: expected a numpy.ndarray, got list"),
    "none": ((A, B, None), TypeError, "matmul out: expected a numpy.ndarray, got NoneType"),
    "int64": ((A.astype(np.int64), B, OUT), TypeError, "expected float32 or float64, got int64"),
    "float16": ((A.astype(np.float16), B, OUT), TypeError, "got float16"),
    "complex": ((A.astype(complex), B, OUT), TypeError, "got complex128"),
    "object": ((A.astype(object), B, OUT), TypeError, "got object"),
    "two dtypes": ((A, B.astype(np.float64), OUT), TypeError, "expected one dtype, got float32 and float64"),
    "byte-swapped": ((A.astype(">f4"), B, OUT), TypeError, "byte-swapped"),
    "inner sizes": ((A, A, OUT), ValueError, r"got a \(3, 4\), b \(3, 4\), out \(3, 5\)"),
    "out shape": ((A, B, np.ones((5, 3), np.float32)), ValueError, r"expected a \(m, k\), b \(k, n\), out \(m, n\)"),
    "1-d": ((A[0], B, OUT), ValueError, r"got a \(4,\)"),
    "3-d": ((A[None], B, OUT), ValueError, r"got a \(1, 3, 4\)"),
    "misaligned": ((misaligned(A), B, OUT), ValueError, "not aligned to its elements; pass a copy"),
    "misaligned out": ((A, B, misaligned(OUT)), ValueError, "matmul out: the array is not aligned"),
    "read-only out": ((A, B, read_only(OUT)), ValueError, "matmul out: the array is read-only"),
    "strided out": ((A, B, np.ones((3, 10), np.float32)[:, ::2]), ValueError, "expected a C-contiguous array"),
    "out is a": ((SHARED, SHARED.copy(), SHARED), ValueError, "matmul: out overlaps an input in memory"),
    "out overlaps b": (
        (np.ones((3, 4), np.float32), SHARED.reshape(-1)[10:30].reshape(4, 5), SHARED.reshape(-1)[29:44].reshape(3, 5)),
        ValueError,
        "overlaps",
    ),
    "structured": ((np.zeros((3, 4), [("x", np.float32)]), B, OUT), TypeError, "expected dtype"),
    "field of records": (
        (np.zeros((3, 4), np.dtype([("byte", "i1"), ("x", "<f4")]))["x"], B, OUT),
        ValueError,
        "not aligned",
    ),
}


@pytest.mark.parametrize("case", MATMUL_REFUSED)
def test_refused_by_matmul(case: str) -> None:
    arguments, error, message = MATMUL_REFUSED[case]
    before = [x.copy() if isinstance(x, np.ndarray) else x for x in arguments]
    with pytest.raises(error, match=message):
        _core.matmul(*arguments)
    for x, copy in zip(arguments, before, strict=True):
        assert x is copy or np.array_equal(x, copy)


def test_an_output_beside_its_inputs_is_accepted() -> None:
    memory = np.random.default_rng(96).standard_normal(12 + 20 + 15).astype(np.float32)
    a, b, out = memory[:12].reshape(3, 4), memory[32:].reshape(3, 5).T[:, :0], memory[12:12].reshape(3, 0)
    _core.matmul(a, np.empty((4, 0), np.float32), out)
    expected = oracle.matmul(a.copy(), memory[12:32].reshape(4, 5).copy())
    _core.matmul(a, memory[12:32].reshape(4, 5), memory[32:].reshape(3, 5))
    assert_same_bits(memory[32:].reshape(3, 5), expected)
    assert b.size == 0


X = np.ones(6, np.float32)
ENTRIES: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "unary shape": (lambda: _core.unary("exp", X, blank(5, np.float32)), ValueError, r"got \(6,\) and out \(5,\)"),
    "unary stride": (lambda: _core.unary("exp", X[::2], blank(3, np.float32)), ValueError, "C-contiguous"),
    "unary unknown": (lambda: _core.unary("erfinverse", X, blank(6, np.float32)), ValueError, "erfinverse"),
    "unary of two": (
        lambda: _core.unary("add", X, blank(6, np.float32)),
        ValueError,
        "add: expected 1 outputs, 2 inputs",
    ),
    "unary dtype": (
        lambda: _core.unary("exp", X, blank(6, np.float64)),
        TypeError,
        "one dtype, got float32 and float64",
    ),
    "unary overlap": (lambda: _core.unary("exp", SHARED[0, :4], SHARED[0, 2:6]), ValueError, "overlaps an input"),
    "binary shape": (lambda: _core.binary("add", X, X[:3], blank(6, np.float32)), ValueError, "one shape"),
    "binary read-only": (lambda: _core.binary("add", X, X, read_only(X)), ValueError, "read-only"),
    "sgd shape": (lambda: sgd_step(X.copy(), X[:3], None, 1, 0, 0, False), ValueError, "update_step: .*one shape"),
    "sgd dtype": (lambda: sgd_step(X.copy(), X.astype(np.float64), None, 1, 0, 0, False), TypeError, "one dtype"),
    "sgd read-only": (lambda: sgd_step(read_only(X), X, None, 1, 0, 0, False), ValueError, "read-only"),
    "uniform dtype": (lambda: _core.uniform(1, 1, blank(3, np.int64), 0, 1), TypeError, "float32 or float64"),
    "normal read-only": (lambda: _core.normal(1, 1, read_only(X), 0, 1), ValueError, "read-only"),
    "permutation dtype": (lambda: _core.permutation(1, 1, blank(3, np.float64)), TypeError, "1-d int64"),
    "permutation 2-d": (lambda: _core.permutation(1, 1, blank((3, 3), np.int64)), TypeError, "1-d int64"),
}


@pytest.mark.parametrize("case", ENTRIES)
def test_refused_by_other_entries(case: str) -> None:
    call, error, message = ENTRIES[case]
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("dtype", FLOATS)
def test_sgd_rejects_arrays_that_share_memory(dtype: Float) -> None:
    memory = np.ones(12, dtype)
    with pytest.raises(ValueError, match="overlap"):
        sgd_step(memory[:8], memory[4:], None, 0.1, 0.0, 0.0, False)
    with pytest.raises(ValueError, match="overlap"):
        sgd_step(memory[:6], np.ones(6, dtype), memory[3:9], 0.1, 0.9, 0.0, False)

"""The matrix product has the bits of a plain fma chain: any shape, transposition, level and number of threads."""

import ctypes
import mmap
from collections.abc import Callable

import numpy as np
import pytest

import oracle
from cases.kernel_rows import label
from chainrule import _core
from reference import assert_same_bits
from reference import matmul as reference_matmul
from support.programs import Float, blank, matmul
from support.variants import every_setting, force_threads

FLOATS = (np.float32, np.float64)
Record = Callable[[str, object], None]  # pytest's record_property
ENTRY = ctypes.CDLL(_core.__file__).chainrule_matmul
each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=label)


def sweep(dtype: Float, threads: int, max_dim: int, specials: bool = False) -> int:
    """The number of products that were compared."""
    force_threads(threads)
    found = oracle.sweep_matmul(ENTRY, dtype, max_dim, specials)
    assert found == oracle.Sweep(cases=4 * (max_dim + 1) ** 3, differing=0, first="")
    return found.cases


# 37,044 cases in each of these: 333,396 float32 and 111,132 float64 ones on a CPU with three levels.
@pytest.mark.parametrize(("dtype", "count"), [(np.float32, 1), (np.float32, 2), (np.float32, 3), (np.float64, 1)])
def test_every_small_shape(isa: str, dtype: Float, count: int, record_property: Record) -> None:
    record_property("products", sweep(dtype, count, max_dim=20))


@pytest.mark.parametrize(("dtype", "count"), [(np.float32, 7), (np.float64, 2), (np.float64, 3), (np.float64, 7)])
def test_every_smaller_shape_with_more_threads(isa: str, dtype: Float, count: int) -> None:
    sweep(dtype, count, max_dim=10)


@each_dtype
def test_special_values(isa: str, dtype: Float) -> None:
    sweep(dtype, 1, max_dim=14, specials=True)


# 500,000 cases each: 6,000,000 on a CPU with three levels.
@pytest.mark.full
@pytest.mark.parametrize(("dtype", "count"), [(np.float32, 1), (np.float32, 2), (np.float32, 3), (np.float64, 2)])
def test_every_shape_to_49(isa: str, dtype: Float, count: int, record_property: Record) -> None:
    record_property("products", sweep(dtype, count, max_dim=49))


def values(shape: tuple[int, ...], dtype: Float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@each_dtype
def test_equals_the_reference(dtype: Float) -> None:
    a, b = values((9, 23), dtype, 23), values((23, 35), dtype, 24)
    expected = reference_matmul(a, b)
    out = blank((9, 35), dtype)
    for setting in every_setting():
        _core.matmul(a, b, out)
        assert_same_bits(out, expected, setting)
        assert_same_bits(matmul(a, b), expected, setting)


BATCHES = [((), (3,)), ((3,), ()), ((2, 5), (2, 5)), ((4, 1), (3,)), ((2, 1, 3), (5, 1)), ((17,), (1,)), ((0,), (1,))]


@each_dtype
@pytest.mark.parametrize(("batch_a", "batch_b"), BATCHES, ids=str)
@pytest.mark.parametrize("transposed", [False, True])
def test_batched(dtype: Float, batch_a: tuple[int, ...], batch_b: tuple[int, ...], transposed: bool) -> None:
    a, b = values((*batch_a, 6, 11), dtype, 25), values((*batch_b, 11, 19), dtype, 26)
    if transposed:
        a, b = (np.swapaxes(np.swapaxes(x, -1, -2).copy(), -1, -2) for x in (a, b))
    expected = reference_matmul(a, b)
    for setting in every_setting():
        assert_same_bits(matmul(a, b), expected, setting)


@each_dtype
@pytest.mark.parametrize(("k", "n"), [(31, 17), (64, 10), (23, 1), (70, 33), (5, 100)])
def test_a_row_does_not_depend_on_its_batch(dtype: Float, k: int, n: int) -> None:
    rows, weight, largest = values((257, k), dtype, 27), values((k, n), dtype, 28), 257
    alone = np.stack([matmul(rows[i : i + 1], weight)[0] for i in range(largest)])
    assert_same_bits(alone, oracle.matmul(rows, weight))
    compared = 0
    for setting in every_setting(threads=(1, 3)):
        for size in range(1, largest + 1):
            first = (size * 31) % (largest - size + 1)
            rows_of_batch = slice(first, first + size)
            assert_same_bits(matmul(rows[rows_of_batch], weight), alone[rows_of_batch], f"batch {size}, {setting}")
            compared += size
    assert compared >= 10_000


@each_dtype
def test_empty_sums_are_positive_zero(isa: str, threads: int, dtype: Float) -> None:
    for m, n in [(1, 1), (5, 3), (3, 70), (40, 2)]:
        out = blank((m, n), dtype)
        _core.matmul(values((m, 0), dtype, 1), values((0, n), dtype, 1), out)
        assert_same_bits(out, np.zeros((m, n), dtype))


def test_strides_beyond_32_bits(isa: str, threads: int) -> None:
    step = 2**31 + 1
    size = (2 * step + 64) * 4
    reserved = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0))
    memory = np.frombuffer(reserved, np.float32)
    far = np.lib.stride_tricks.as_strided(memory, (3, 5), (step * 4, 4))
    far[:] = values((3, 5), np.float32, 29)
    for a, b in [(far, values((5, 4), np.float32, 30)), (values((4, 3), np.float32, 31), far), (far.T, far)]:
        out = blank((a.shape[0], b.shape[1]), np.float32)
        _core.matmul(a, b, out)
        assert_same_bits(out, oracle.matmul(a.copy(), b.copy()))

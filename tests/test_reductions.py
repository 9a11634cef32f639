"""sum, max, min and argmax have the reference's bits over any axes; the summation order is also measured."""

import itertools
from typing import Any

import numpy as np
import pytest

from cases.kernel_rows import label
from reference import assert_same_bits
from reference import reduce as reference
from reference.bits import Array
from support.programs import Float, reduce
from support.variants import every_setting

FLOATS = (np.float32, np.float64)
NAMES = ("sum", "max", "min", "argmax")
each_name = pytest.mark.parametrize("name", NAMES)
each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=label)


def values(shape: tuple[int, ...], dtype: Float, seed: int) -> Array:
    """Magnitudes from 2^-20 to 2^20: another order of a sum gives other bits."""
    rng = np.random.default_rng(seed)
    return np.ldexp(rng.standard_normal(shape), rng.integers(-20, 20, shape)).astype(dtype)


def in_numpy(name: str, x: Array, axis: int | tuple[int, ...] | None) -> Array:
    function: Any = getattr(reference, name)
    return np.asarray(function(x, axis))


def all_axes(ndim: int) -> list[tuple[int, ...]]:
    """Every non-empty set of axes."""
    return [axes for r in range(1, ndim + 1) for axes in itertools.combinations(range(ndim), r)]


@each_name
@each_dtype
def test_all_axes(name: str, dtype: Float) -> None:
    cases = []
    for shape in [(37,), (5, 40), (40, 5), (3, 18, 7), (2, 3, 4, 19), (1, 17, 1), (7, 1, 33)]:
        x = values(shape, dtype, seed=41)
        cases += [(x, axes, in_numpy(name, x, axes)) for axes in [None, *all_axes(x.ndim)]]
    for setting in every_setting():
        for x, axes, expected in cases:
            assert_same_bits(reduce(name, x, axes), expected, f"{setting}, shape {x.shape}, axes {axes}")


@each_name
@each_dtype
def test_every_length_of_rows_and_columns(name: str, dtype: Float) -> None:
    full = values((5, 131), dtype, seed=42)
    cases = [np.ascontiguousarray(full[:, :n]) for n in range(1, 132)]
    expected = [(in_numpy(name, x, 1), in_numpy(name, x.T, 0), in_numpy(name, x, 0)) for x in cases]
    for setting in every_setting(threads=(1, 3)):
        for x, (rows, columns, width) in zip(cases, expected, strict=True):
            assert_same_bits(reduce(name, x, 1), rows, f"{setting}, rows of {x.shape}")
            assert_same_bits(reduce(name, np.ascontiguousarray(x.T), 0), columns, f"{setting}, columns of {x.T.shape}")
            assert_same_bits(reduce(name, x, 0), width, f"{setting}, columns of {x.shape}")


CHUNK = reference.CHUNK
LONG = [CHUNK - 1, CHUNK, CHUNK + 1, CHUNK + 17, 2 * CHUNK, 2 * CHUNK + 5, 3 * CHUNK - 1, 5 * CHUNK + 33]


@each_name
@each_dtype
def test_rows_of_several_chunks(name: str, dtype: Float) -> None:
    cases = [values((3, n), dtype, seed=n) for n in LONG]
    expected = [(in_numpy(name, x, 1), in_numpy(name, x.T, 0), in_numpy(name, x, None)) for x in cases]
    for setting in every_setting():
        for x, (rows, columns, everything) in zip(cases, expected, strict=True):
            assert_same_bits(reduce(name, x, 1), rows, f"{setting}, rows of {x.shape}")
            assert_same_bits(reduce(name, np.ascontiguousarray(x.T), 0), columns, f"{setting}, columns of {x.T.shape}")
            assert_same_bits(reduce(name, x), everything, f"{setting}, all of {x.shape}")


@each_name
@each_dtype
def test_one_element(name: str, dtype: Float) -> None:
    for x in (np.asarray(-0.0, dtype), np.asarray(2.5, dtype), np.asarray([[-0.0]], dtype)):
        for setting in every_setting(threads=(1, 2)):
            assert_same_bits(reduce(name, x), in_numpy(name, x, None), setting)


@each_dtype
def test_empty_sums_are_positive_zero(dtype: Float) -> None:
    for setting in every_setting():
        for shape in [(3, 0), (0, 3), (0, 70), (0,), (2, 0, 3)]:
            for axes in all_axes(len(shape)):
                x = np.empty(shape, dtype)
                assert_same_bits(reduce("sum", x, axes), in_numpy("sum", x, axes), f"{setting}, {shape}, {axes}")


def lowest_common_sums(n: int, dtype: Float) -> tuple[Array, Array]:
    """The order of a sum, measured: rows of ones with M at i and -M at j (M absorbs every 1 that is added to it).

    The sum of such a row is the number of ones that are added after M and -M have met.
    """
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    big = dtype(2.0 ** (np.finfo(dtype).nmant + 10))
    rows = np.ones((len(pairs), n), dtype)
    for row, (i, j) in enumerate(pairs):
        rows[row, i], rows[row, j] = big, -big
    return rows, np.asarray(pairs)


@each_dtype
def test_the_order_of_a_sum_is_the_published_tree(dtype: Float) -> None:
    for n in (2, 15, 16, 17, 33, 64, 70):
        rows, pairs = lowest_common_sums(n, dtype)
        expected = np.asarray([n - absorbed(n, int(i), int(j)) for i, j in pairs], dtype)
        for setting in every_setting(threads=(1, 2)):
            assert_same_bits(reduce("sum", rows, 1), expected, f"{setting}, {n} elements")


def absorbed(n: int, i: int, j: int) -> int:
    """Elements (M and -M too) inside the smallest subtree of the lane sum of one chunk that holds i and j."""
    lanes = [len(range(lane, n, 16)) for lane in range(16)]
    if i % 16 == j % 16:
        return j // 16 + 1  # one chain: everything before j is in it
    group, width = {lane: [lane] for lane in range(16)}, 16
    while True:
        width //= 2
        group = {lane: group[lane] + group[lane + width] for lane in range(width)}
        for members in group.values():
            if i % 16 in members and j % 16 in members:
                return sum(lanes[lane] for lane in members)


@each_dtype
def test_ties_and_nan_of_argmax(dtype: Float) -> None:
    for n in (1, 2, 7, 16, 31, 67):
        rows = np.repeat(np.random.default_rng(n).integers(0, 3, (200, n)).astype(dtype), 2, axis=0)
        rows[1::2, n // 2] = np.nan
        rows[3::2, -1] = np.nan
        rows[rows == 0] *= np.random.default_rng(43).choice(np.asarray([-1, 1], dtype), int((rows == 0).sum()))
        for name in ("argmax", "max", "min"):
            expected = in_numpy(name, rows, 1)
            for setting in every_setting(threads=(1, 3)):
                assert_same_bits(reduce(name, rows, 1), expected, f"{setting}, {name} of {n}")

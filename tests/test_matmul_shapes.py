"""Matrix products of large and odd shapes: the bits of the chain, alone and with bias and ReLU in the write-back."""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
import oracle
from cases.kernel_rows import label
from chainrule import _core
from reference import assert_same_bits
from support.programs import Float, matmul
from support.variants import every_setting

Shape = tuple[int, int, int]
Record = Callable[[str, object], None]  # pytest's record_property
ENTRY = ctypes.CDLL(_core.__file__).chainrule_matmul
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=label)

# Primes, powers of two and their neighbours; narrow, flat and deep; several blocks along every axis.
LARGE = [
    (1, 1000, 784),
    (1, 5003, 61),
    (257, 7, 65),
    (521, 3, 300),
    (300, 1, 129),
    (33, 1030, 17),
    (97, 129, 513),
    (128, 128, 128),
    (3, 5, 9001),
    (13, 33, 257),
    (48, 257, 64),
    (145, 31, 255),
    (2, 2049, 31),
    (1000, 2, 3),
    (75, 1, 37),
    (150, 4, 61),
    (61, 10, 130),
    (131, 100, 9),
]
PRIMES = (
    2,
    3,
    5,
    7,
    11,
    13,
    17,
    19,
    23,
    29,
    31,
    37,
    41,
    53,
    61,
    71,
    83,
    97,
    109,
    131,
    151,
    179,
    211,
    251,
    307,
    353,
    397,
)
ODD = sorted({0, *PRIMES, *(2**n + d for n in range(1, 9) for d in (-1, 0, 1))})
PARTS = 6  # of the long tests


def random_shapes(count: int, largest: int, seed: int) -> list[Shape]:
    """Shapes up to `largest` along each axis, small ones as often as large ones."""
    exponents = np.random.default_rng(seed).uniform(0, np.log2(largest), (count, 3))
    return [(int(m), int(n), int(k)) for m, n, k in np.exp2(exponents)]


def odd_shapes(count: int, seed: int) -> list[Shape]:
    """Primes, powers of two and their neighbours along each axis; k may be 0."""
    drawn = np.random.default_rng(seed).choice(ODD, (count, 3))
    return [(max(int(m), 1), max(int(n), 1), int(k)) for m, n, k in drawn]


def check(dtype: Float, shapes: list[Shape], threads: tuple[int, ...], specials: bool = False) -> int:
    """In four transpositions, rows of the operands and of the result padded; the number of shapes."""
    for setting in every_setting(threads):
        for m, n, k in shapes:
            wrong = oracle.check_matmul(ENTRY, dtype, m, n, k, specials, seed=m + n + k)
            assert not wrong, f"m={m} n={n} k={k}, {setting}: {' '.join(wrong)}"
    return len(shapes)


@each_dtype
def test_large_shapes(dtype: Float) -> None:
    check(dtype, LARGE, threads=(1, 2, 7) if dtype is np.float32 else (3,))  # float64 is slow on the scalar level


@each_dtype
@pytest.mark.parametrize("specials", [False, True])
def test_random_shapes(dtype: Float, specials: bool) -> None:
    check(dtype, random_shapes(60, largest=256, seed=21), threads=(1, 3), specials=specials)


@pytest.mark.full
@each_dtype
@pytest.mark.parametrize("part", range(PARTS))
def test_many_random_shapes(dtype: Float, part: int, record_property: Record) -> None:
    record_property("shapes", check(dtype, random_shapes(3000, largest=400, seed=22)[part::PARTS], threads=(1, 2)))


@pytest.mark.full
@each_dtype
@pytest.mark.parametrize("part", range(PARTS))
def test_odd_shapes(dtype: Float, part: int, record_property: Record) -> None:
    record_property("shapes", check(dtype, odd_shapes(1200, seed=23)[part::PARTS], threads=(2,)))


@pytest.mark.full
@each_dtype
@pytest.mark.parametrize("shape", [(5, 3, 65537), (1, 65537, 3), (65537, 3, 2), (511, 513, 1025)], ids=str)
def test_largest_shapes(dtype: Float, shape: Shape, record_property: Record) -> None:
    record_property("shapes", check(dtype, [shape], threads=(1, 2)))


def values(shape: tuple[int, ...], dtype: Float, seed: int) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@each_dtype
@pytest.mark.parametrize("n", [1, 3, 5, 11])
def test_rows_at_multiples_of_a_page(dtype: Float, n: int) -> None:
    """They meet in one set of the cache; kernels read them in another order."""
    x, weight = values((45, 1024), dtype, n), values((1024, n), dtype, 29)
    expected = oracle.matmul(x, weight)
    for setting in every_setting(threads=(1,)):
        assert_same_bits(matmul(x, weight), expected, setting)


@each_dtype
def test_fused_is_unfused(dtype: Float, record_property: Record) -> None:
    """relu(x W + b) in one instruction, in three, and by the chain of the oracle."""
    shapes = [(m, n, k) for m, n, k in odd_shapes(90, seed=24) if m * n * k < 1_000_000][:60]
    for m, n, k in [*shapes, (3, 5, 65537)]:
        x, weight, bias = values((m, k), dtype, m), values((k, n), dtype, n), values((n,), dtype, k)
        expected = np.maximum(oracle.matmul(x, weight) + bias, dtype(0))
        for setting in every_setting(threads=(1, 3)):
            fused = cr.compile(lambda *a: cr.relu(cr.linear(*a)))
            what = f"m={m} n={n} k={k}, {setting}"
            assert_same_bits(cr.relu(cr.linear(x, weight, bias)).numpy(), expected, what)
            assert_same_bits(fused(x, weight, bias).numpy(), expected, what)
    record_property("shapes", len(shapes) + 1)

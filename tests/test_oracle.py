"""The C oracle: fma and chains against fractions; its sweep detects wrong results."""

import ctypes
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import oracle
from reference import assert_same_bits, special_values

FLOATS = (np.float32, np.float64)


@pytest.mark.parametrize("dtype", FLOATS)
def test_fma_is_one_rounding_of_the_exact_value(dtype: type[np.floating[Any]]) -> None:
    rng = np.random.default_rng(3)
    a, b, c = (rng.standard_normal(2000).astype(dtype) for _ in range(3))
    c[::2] = -(a * b)[::2]  # cancellation: only the error of the product is left
    got = oracle.fma(a, b, c)
    for i in range(a.size):
        exact = Fraction(float(a[i])) * Fraction(float(b[i])) + Fraction(float(c[i]))
        neighbours = np.nextafter(got[i], np.asarray([-np.inf, np.inf], dtype))
        error = abs(Fraction(float(got[i])) - exact)
        assert all(error <= abs(Fraction(float(v)) - exact) for v in neighbours)


@pytest.mark.parametrize("dtype", FLOATS)
def test_matmul_is_the_chain_over_k(dtype: type[np.floating[Any]]) -> None:
    rng = np.random.default_rng(4)
    a = rng.standard_normal((11, 10)).astype(dtype)[::2, ::-1]
    b = rng.standard_normal((7, 20)).astype(dtype).T[::2]
    chain = np.zeros((6, 7), dtype)
    for k in range(10):
        chain = oracle.fma(a[:, k, None], b[k, None, :], chain)
    assert_same_bits(oracle.matmul(a, b), chain)
    assert_same_bits(oracle.matmul(a[:, :0], b[:0]), np.zeros((6, 7), dtype))


def kernel(change: Callable[..., None] | None = None, reverse: bool = False, status: int = 0) -> Any:
    """The oracle's own product behind the entry's signature, with one fault."""

    def entry(*arguments: int) -> int:
        f64, m, n, k, a, rs_a, cs_a, b, rs_b, cs_b, c, rs_c = arguments
        size = 8 if f64 else 4
        if reverse and k:
            a, b, cs_a, rs_b = a + (k - 1) * cs_a * size, b + (k - 1) * rs_b * size, -cs_a, -rs_b
        oracle.library().oracle_matmul(f64, m, n, k, a, rs_a, cs_a, b, rs_b, cs_b, c, rs_c)
        if change is not None:
            change(size, m, n, k, rs_a == 1 and cs_a > 1, c, rs_c)
        return status

    return oracle.MATMUL_FN(entry)


def write(address: int, size: int) -> None:
    ctypes.memset(address, 0x41, size)


def write_behind_a_row(size: int, m: int, n: int, k: int, transposed: bool, c: int, rs_c: int) -> None:
    if m == 2 and rs_c > n:
        write(c + n * size, size)


def write_in_front(size: int, m: int, n: int, k: int, transposed: bool, c: int, rs_c: int) -> None:
    if n == 0 and m == 1:
        write(c - size, size)


def write_last_when_transposed(size: int, m: int, n: int, k: int, transposed: bool, c: int, rs_c: int) -> None:
    if (m, n, k) == (3, 2, 1) and transposed:
        write(c + (2 * rs_c + 1) * size, size)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("specials", [False, True])
def test_sweep_passes_a_right_product(dtype: type[np.floating[Any]], specials: bool) -> None:
    found = oracle.sweep_matmul(oracle.library().oracle_matmul, dtype, 12, specials)
    assert found == oracle.Sweep(cases=4 * 13**3, differing=0, first="")


@pytest.mark.parametrize("dtype", FLOATS)
def test_sweep_finds_faults(dtype: type[np.floating[Any]]) -> None:
    descending = oracle.sweep_matmul(kernel(reverse=True), dtype, 4)
    assert descending.cases == 500
    assert 120 < descending.differing <= 192  # every shape with outputs and k >= 3, many with k = 2
    assert oracle.sweep_matmul(kernel(status=1), dtype, 2).differing == 4 * 27
    assert oracle.sweep_matmul(kernel(write_behind_a_row), dtype, 3).differing > 20
    assert oracle.sweep_matmul(kernel(write_in_front), dtype, 2).differing == 4 * 3
    only = oracle.sweep_matmul(kernel(write_last_when_transposed), dtype, 3)
    assert (only.differing, only.first) == (2, "m=3 n=2 k=1 TN TT")


def test_check_names_the_transpositions() -> None:
    assert oracle.check_matmul(oracle.library().oracle_matmul, np.float32, 65, 33, 129) == []
    assert oracle.check_matmul(kernel(reverse=True), np.float32, 65, 33, 129) == ["NN", "TN", "NT", "TT"]


def test_special_values_of_both_references_agree() -> None:
    values = special_values(np.float32)
    assert values.size == 23
    assert_same_bits(oracle.fma(values, np.float32(1), np.float32(-0.0)), values)

"""quantile and median: NumPy's results bit for bit on float64, on any axis, and what they refuse."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from reference.bits import assert_same_bits

LEVELS = [0.0, 0.1, 0.25, 1 / 3, 0.5, 0.77, 0.975, 1.0]


@pytest.mark.parametrize("n", [1, 2, 3, 7, 100, 1001])
def test_the_results_are_those_of_numpy(n: int) -> None:
    x = np.random.default_rng(n).standard_normal((n, 3)) * 10
    assert_same_bits(cr.data.quantile(x, LEVELS, axis=0), np.quantile(x, LEVELS, axis=0))
    assert_same_bits(cr.data.quantile(x.T, LEVELS, axis=-1), np.quantile(x.T, LEVELS, axis=-1))
    assert_same_bits(cr.data.quantile(x, 0.3), np.asarray(np.quantile(x, 0.3)))
    for axis in (None, 0, 1):
        assert_same_bits(cr.data.median(x, axis), np.asarray(np.median(x, axis)))


def test_float32_stays_float32() -> None:
    x = np.random.default_rng(1).standard_normal(101).astype(np.float32)
    assert cr.data.quantile(x, [0.3, 0.6]).dtype == cr.data.median(x).dtype == np.float32
    assert np.allclose(cr.data.quantile(x, LEVELS), np.quantile(x, LEVELS), rtol=1e-6)
    assert_same_bits(cr.data.median(x), np.asarray(np.median(x)))


def test_integers_are_float64_and_the_rounding_mode_does_not_matter() -> None:
    assert cr.data.quantile([3, 1, 2, 10], 0.5).item() == 2.5
    assert cr.data.median([True, False]).item() == 0.5
    assert np.signbit(cr.data.quantile([-0.0, 0.0], [0.0, 1.0])).sum() == 0


def test_nan_is_the_result_where_any_value_is() -> None:
    x = np.array([[1.0, np.nan], [2.0, 3.0], [4.0, 5.0]])
    assert np.array_equal(cr.data.quantile(x, [0.5], axis=0), [[2.0, np.nan]], equal_nan=True)
    assert np.array_equal(cr.data.median(x, 0), [2.0, np.nan], equal_nan=True)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cr.data.quantile([1.0], 1.5), ValueError, "quantile: q must be from 0 to 1, got 1.5"),
        (lambda: cr.data.quantile([1.0], float("nan")), ValueError, "quantile: q must be from 0 to 1, got nan"),
        (lambda: cr.data.quantile([], 0.5), ValueError, "quantile: expected at least one value, got shape (0,)"),
        (lambda: cr.data.quantile([1.0], 0.5, axis=1), ValueError, "quantile: axis 1 is out of range for 1 dimensions"),
        (lambda: cr.data.median(["a"]), TypeError, "median"),
        (lambda: cr.data.median(cr.nn.Parameter([1.0])), TypeError, "requires a gradient"),
    ],
)
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call()

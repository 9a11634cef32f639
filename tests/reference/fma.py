"""Fused multiply-add in NumPy: ``a*b + c`` with one rounding, to nearest even.

float32: the product is exact in float64; TwoSum with c gives the sum and its error; the sum is rounded to odd
(Boldo and Melquiond, 2008), so that the final rounding to float32 is correct. Correct for all inputs.

float64: Dekker's product, two TwoSums, one rounding to odd. Correct unless an intermediate result over- or underflows:
2^-480 <= |a|, |b| <= 2^480 and c = 0 or 2^-960 <= |c| <= 2^960. Elements outside that domain are computed one by one
with exact fractions, so `fma64` is also correct for all inputs.
"""

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from .bits import Array

VELTKAMP = float(2**27 + 1)


def fma(a: npt.ArrayLike, b: npt.ArrayLike, c: npt.ArrayLike) -> Array:
    """``a*b + c`` with one rounding, on float32 or float64 arrays that broadcast together."""
    a, b, c = (np.asarray(v) for v in (a, b, c))
    if not a.dtype == b.dtype == c.dtype:
        raise TypeError(f"fma: dtypes differ: {a.dtype}, {b.dtype}, {c.dtype}")
    return fma32(a, b, c) if a.dtype == np.float32 else fma64(a, b, c)


def fma32(a: Array, b: Array, c: Array) -> Array:
    """``fmaf(a, b, c)`` on float32 arrays, correct for all inputs."""
    with np.errstate(all="ignore"):
        product = np.asarray(a, np.float64) * np.asarray(b, np.float64)
        s, error = two_sum(product, np.asarray(c, np.float64))
        return to_odd(s, error).astype(np.float32)


def fma64(a: Array, b: Array, c: Array) -> Array:
    """``fma(a, b, c)`` on float64 arrays, correct for all inputs; fast inside the domain above."""
    a, b, c = (np.array(v, order="C") for v in np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (a, b, c))))
    shape = np.broadcast_shapes(a.shape, b.shape, c.shape)
    with np.errstate(all="ignore"):
        result = _fma64_fast(a, b, c)
        plain = ~(np.isfinite(a) & np.isfinite(b)) | (a == 0) | (b == 0)
        result = np.where(plain, a * b + c, result)
    infinite_c = ~plain & ~np.isfinite(c)
    result = np.where(infinite_c, c, result)
    safe = _between(a, -480, 480) & _between(b, -480, 480) & (_between(c, -960, 960) | (c == 0))
    for index in np.argwhere(~(plain | infinite_c | safe)):
        i = tuple(index)
        result[i] = exact_fma(float(a[i]), float(b[i]), float(c[i]))
    return result.reshape(shape)


def exact_fma(a: float, b: float, c: float) -> float:
    """``a*b + c`` of scalars with exact fractions, for finite a, b, c with a*b != 0; rounded to float64."""
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    try:
        return float(exact)
    except OverflowError:
        return float("inf") if exact > 0 else float("-inf")


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """Knuth's TwoSum: ``s = a + b`` rounded and the error with ``s + error == a + b`` exactly."""
    s = np.asarray(a + b)
    v = s - a
    return s, np.asarray((a - (s - v)) + (b - v))


def two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """Dekker's product by Veltkamp's splitting: ``p = a * b`` rounded and its exact error."""
    a_high, a_low = _split(a)
    b_high, b_low = _split(b)
    p = a * b
    return p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low


def to_odd(s: Array, error: Array) -> Array:
    """``s + error`` rounded to odd, given s = nearest(s + error): an inexact even s steps towards the error."""
    bits = s.view(np.int64)
    move = (error != 0) & np.isfinite(error) & (bits & 1 == 0)
    step = np.where((error > 0) == (s > 0), 1, -1)
    return np.where(move, bits + step, bits).view(np.float64)


def _fma64_fast(a: Array, b: Array, c: Array) -> Array:
    product_high, product_low = two_product(a, b)
    t_high, t_low = two_sum(c, product_low)
    v_high, v_low = two_sum(product_high, t_high)
    return np.asarray(v_high + to_odd(*two_sum(t_low, v_low)))


def _split(a: Array) -> tuple[Array, Array]:
    scaled = VELTKAMP * a
    high = scaled - (scaled - a)
    return high, a - high


def _between(x: Array, low: int, high: int) -> Array:
    return (np.abs(x) >= 2.0**low) & (np.abs(x) <= 2.0**high)

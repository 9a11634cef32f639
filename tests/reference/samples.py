"""Deterministic test data: no accidental zeros, not symmetric, of all magnitudes."""

from typing import Any

import numpy as np

from .bits import Array
from .table import Row

Float = type[np.floating[Any]]


def any_bits(n: int, dtype: Float, seed: int = 0) -> Array:
    """n floats with uniformly random bit patterns, including all exponents, subnormals, NaN and infinities."""
    unsigned = np.dtype(f"u{np.dtype(dtype).itemsize}")
    bits = np.random.default_rng(seed).integers(0, 2 ** (8 * unsigned.itemsize), n, unsigned)
    return bits.view(dtype)


def normals(shape: tuple[int, ...], dtype: Float = np.float64, seed: int = 0) -> Array:
    """Standard normal values."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def arguments(row: Row, n: int, dtype: Float, seed: int = 0) -> list[Array]:
    """Arguments of shape (n,) for a row of the table, uniform in its domain."""
    rng = np.random.default_rng(seed)
    return [rng.random(n) < 0.5 if d is None else rng.uniform(*d, n).astype(dtype) for d in row.domain]


def special_arguments(row: Row, dtype: Float) -> list[Array]:
    """All combinations of special values as arguments of a row of the table."""
    special = special_values(dtype)
    grid = np.meshgrid(*[special if d is not None else np.asarray([True, False]) for d in row.domain])
    return [a.ravel() for a in grid]


def special_values(dtype: Float) -> Array:
    """Signed zeros, subnormals, the smallest normal, ones, the largest value, infinities and NaN of a float dtype."""
    limits = np.finfo(np.dtype(dtype))
    normal, subnormal = limits.smallest_normal, limits.smallest_subnormal
    small = [0.0, subnormal, 3 * subnormal, normal - subnormal, normal, limits.eps]
    positive = np.asarray([*small, 1 - limits.epsneg, 1.0, 1 + limits.eps, limits.max, np.inf], dtype)
    return np.concatenate([positive, -positive, np.asarray([np.nan], dtype)])

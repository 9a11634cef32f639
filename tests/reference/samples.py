"""Deterministic test data: no zeros by accident, nothing symmetric, every magnitude."""

from typing import Any

import numpy as np

from .bits import Array
from .table import Row

Float = type[np.floating[Any]]


def any_bits(n: int, dtype: Float, seed: int = 0) -> Array:
    """n floats of uniformly random bit patterns: every exponent, subnormals, NaN and infinities among them."""
    unsigned = np.dtype(f"u{np.dtype(dtype).itemsize}")
    bits = np.random.default_rng(seed).integers(0, 2 ** (8 * unsigned.itemsize), n, unsigned)
    return bits.view(dtype)


def normals(shape: tuple[int, ...], dtype: Float = np.float64, seed: int = 0) -> Array:
    """Standard normal values."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def arguments(row: Row, n: int, dtype: Float, seed: int = 0) -> list[Array]:
    """Arguments (n,) of a row, uniform in its domain."""
    rng = np.random.default_rng(seed)
    return [rng.random(n) < 0.5 if d is None else rng.uniform(*d, n).astype(dtype) for d in row.domain]


def special_arguments(row: Row, dtype: Float) -> list[Array]:
    """Every combination of special values as arguments of a row."""
    special = special_values(dtype)
    grid = np.meshgrid(*[special if d is not None else np.asarray([True, False]) for d in row.domain])
    return [a.ravel() for a in grid]


def special_values(dtype: Float) -> Array:
    """Zeros of both signs, subnormals, the smallest normal, ones, the largest, infinities and NaN of a float dtype."""
    limits = np.finfo(np.dtype(dtype))
    tiny, least = limits.smallest_normal, limits.smallest_subnormal
    small = [0.0, least, 3 * least, tiny - least, tiny, limits.eps]
    positive = np.asarray([*small, 1 - limits.epsneg, 1.0, 1 + limits.eps, limits.max, np.inf], dtype)
    return np.concatenate([positive, -positive, np.asarray([np.nan], dtype)])

"""Equality of results bit by bit: NaN equals NaN whatever its payload and sign, +0 differs from -0."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
UNSIGNED = {2: np.uint16, 4: np.uint32, 8: np.uint64}


def raw(x: npt.ArrayLike) -> Array:
    """The bit patterns of a float array with every NaN as one pattern; other arrays as they are."""
    x = np.asarray(x)
    if x.dtype.kind != "f":
        return x
    bits = x.view(UNSIGNED[x.itemsize])
    nan = np.asarray(np.nan, x.dtype).view(bits.dtype)
    return np.where(np.isnan(x), nan, bits)


def same_bits(a: npt.ArrayLike, b: npt.ArrayLike) -> bool:
    """True when dtype, shape and every bit agree (NaN == NaN, +0 != -0)."""
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and bool(np.array_equal(raw(a), raw(b)))


def assert_same_bits(actual: npt.ArrayLike, expected: npt.ArrayLike, what: str = "") -> None:
    """Raise AssertionError that names the first differing index and both values in hexadecimal."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    prefix = f"{what}: " if what else ""
    if actual.dtype != expected.dtype:
        raise AssertionError(f"{prefix}dtype is {actual.dtype}, expected {expected.dtype}")
    if actual.shape != expected.shape:
        raise AssertionError(f"{prefix}shape is {actual.shape}, expected {expected.shape}")
    different = np.argwhere(raw(actual) != raw(expected))
    if len(different) == 0:
        return
    index = tuple(int(i) for i in different[0])
    raise AssertionError(
        f"{prefix}{len(different)} of {actual.size} elements differ, first at {index}: "
        f"{describe(actual[index])}, expected {describe(expected[index])}"
    )


def describe(value: Any) -> str:
    """One value in decimal, C99 hexadecimal and raw bits: ``1.5 (0x1.8p+0, bits 0x3fc00000)``."""
    value = np.asarray(value)
    if value.dtype.kind != "f":
        return str(value)
    bits = int(value.view(UNSIGNED[value.itemsize]))
    return f"{value!s} ({float(value).hex()}, bits 0x{bits:0{2 * value.itemsize}x})"

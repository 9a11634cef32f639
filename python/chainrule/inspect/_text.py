"""Scalars and arrays as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from ..autodiff._sweeps import no_grad
from ..ops._norms import norm as norm_of

__all__ = ["array_text", "norm", "number", "shape_text"]

SMALL = 6  # arrays of up to this size are shown in full
_DIGITS = {"float32": 7, "float64": 10}


def number(value: Any, digits: int | None = None) -> str:
    """A scalar with `digits` significant digits; by default 7 for float32, 10 for float64."""
    array = np.asarray(value)
    if array.dtype.kind != "f":
        return str(array.item())
    text = format(array.item(), f".{digits or _DIGITS[array.dtype.name]}g")
    return "0" if text == "-0" else text


def norm(values: npt.NDArray[Any]) -> float:
    """Square root of the sum of squares, in float64."""
    with no_grad():
        x = ops.astype(Tensor._wrap(np.ascontiguousarray(values)), np.float64)
        return float(norm_of(x).item())


def shape_text(shape: Sequence[int]) -> str:
    """A shape as `(64, 10)`."""
    return str(tuple(shape))


def array_text(values: npt.NDArray[Any], digits: int | None = None, small: int = SMALL) -> str:
    """All values of a small array, else its shape, norm, minimum and maximum."""
    if values.ndim == 0:
        return number(values, digits)
    if 0 < values.size <= small:
        return _nested(values, digits)
    shape = shape_text(values.shape)
    if values.dtype.kind != "f" or values.size == 0:
        return f"{shape} {values.dtype}"
    low, high = values.min(), values.max()
    if low == high:
        return f"{shape} all {number(low, digits)}"
    few = digits or 5
    return f"{shape} norm {norm(values):.{few}g}, {number(low, few)} to {number(high, few)}"


def _nested(values: npt.NDArray[Any], digits: int | None) -> str:
    if values.ndim == 0:
        return number(values, digits)
    return "[" + ", ".join(_nested(part, digits) for part in values) + "]"

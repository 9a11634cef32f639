"""Norms whose squares neither overflow nor vanish."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._tensor import Tensor
from ._arithmetic import abs, div, greater, less, mul, square, where
from ._math import sqrt
from ._reduce import max, sum
from ._shape import stack

__all__ = ["norm", "scale_of", "scaled_norm"]

# (bound, scale) of sizes that are multiplied by a power of two, so that the squares and their sums are normal numbers.
_LARGE = {"float32": (2.0**40, 2.0**-84), "float64": (2.0**300, 2.0**-700)}
_SMALL = {
    "float32": ((2.0**-40, 2.0**64), (2.0**-90, 2.0**120)),
    "float64": ((2.0**-300, 2.0**700),),
}


def scale_of(arrays: Sequence[Tensor]) -> Tensor:
    """A power of two that brings the largest element into the middle of the dtype's range; 1 where it is there."""
    parts = [max(abs(x)) for x in arrays if x.size]
    if not parts:
        return Tensor(np.ones((), arrays[0].dtype))
    largest = max(stack(parts)) if len(parts) > 1 else parts[0]
    found = Tensor(np.ones((), largest.dtype))
    bound, scale = _LARGE[largest.dtype.name]
    found = where(greater(largest, bound), scale, found)
    for bound, scale in _SMALL[largest.dtype.name]:
        found = where(less(largest, bound), scale, found)
    return found


def scaled_norm(arrays: Sequence[Tensor], scale: Tensor, norm_type: float = 2.0) -> Tensor:
    """The norm, of type 1, 2 or inf, of all elements times `scale`: sums of each array, then their sum."""
    parts = [_part(mul(x, scale), norm_type) for x in arrays]
    if norm_type == np.inf:
        return max(stack(parts))
    total = sum(stack(parts))
    return sqrt(total) if norm_type == 2 else total


def _part(x: Tensor, norm_type: float) -> Tensor:
    if x.size == 0:
        return Tensor(np.zeros((), x.dtype))
    if norm_type == 2:
        return sum(square(x))
    return max(abs(x)) if norm_type == np.inf else sum(abs(x))


def norm(x: Tensor) -> Tensor:
    """The square root of the sum of squares."""
    scale = scale_of([x])
    return div(scaled_norm([x], scale), scale)

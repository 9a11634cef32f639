"""Norms whose squares neither overflow nor vanish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._ir.shapes import product
from .._tensor import Tensor
from ._arithmetic import _float_dtype, abs, div, equal, greater, less, mul, not_equal, square, where
from ._math import exp, log, sqrt
from ._names import Dim, by_dim
from ._operands import one
from ._reduce import max, min, sum
from ._shape import reshape, stack
from ._strides import axes_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["norm"]

Axis = int | Sequence[int] | None

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
    return scale_for(max(stack(parts)) if len(parts) > 1 else parts[0])


def scale_for(largest: Tensor) -> Tensor:
    """The same for each of these largest elements."""
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


def root(x: Tensor) -> Tensor:
    """The square root, with the gradient 0 at 0."""
    zero = equal(x, 0)
    return where(zero, 0, sqrt(where(zero, 1, x)))


def norm(
    x: Any,
    ord: float | str | None = None,
    axis: Axis = None,
    keepdims: bool = False,
    *,
    p: float | str | None = None,
    **names: Unpack[Dim],
) -> Tensor:
    """Vector norm over axes, (sum of |x|**ord)**(1/ord), as `torch.linalg.vector_norm`; its gradient at 0 is 0.

    The elements are scaled by a power of two first, so that squares neither overflow nor vanish.

    Arguments: `x`, a float tensor; `ord`, also named `p`: 2 (the default, also as "fro"), a positive number, inf (the
    largest |x|), -inf (the smallest) or 0 (how many are not 0); `axis` and `keepdims` (`dim`, `keepdim`) as `cr.sum`.
    A matrix is a long vector here; `numpy.linalg.norm(a, 2)` is its largest singular value.
    Returns: a tensor without the axes. Errors: ValueError for another ord.

    >>> import chainrule as cr
    >>> cr.norm([3.0, -4.0]).item(), cr.norm([3.0, -4.0], 1).item()
    (5.0, 7.0)
    """
    if names:
        axis, keepdims = by_dim("norm", names, axis, keepdims)
    if ord is not None and p is not None:
        raise TypeError("norm: ord and p are the same argument, given twice")
    kind = _order_of(p if ord is None else ord)
    source = one(x)
    _float_dtype("norm", [source])
    axes = axes_of("norm", axis, source.ndim)
    if product([source.shape[i] for i in axes]) == 0 and kind != -np.inf:
        return sum(source, axes, keepdims)
    return _norm(source, kind, axes, keepdims)


def _order_of(given: float | str | None) -> float:
    if given is None or given == "fro":
        return 2.0
    if isinstance(given, (int, float, np.integer, np.floating)) and not isinstance(given, bool):
        number = float(given)
        if number >= 0 or number == -np.inf:
            return number
    raise ValueError(f"norm: expected ord 2, another positive number, inf, -inf, 0 or 'fro', got {given!r}")


def _norm(x: Tensor, kind: float, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    size = abs(x)
    if kind == np.inf:
        return max(size, axes, keepdims)
    if kind == -np.inf:
        return min(size, axes, keepdims)
    if kind == 1:
        return sum(size, axes, keepdims)
    if kind == 0:
        return sum(where(not_equal(x, 0), 1, mul(x, 0)), axes, keepdims)
    largest = max(size.detach(), axes, True)
    scale = scale_for(largest)
    if kind == 2:
        total = root(sum(square(mul(x, scale)), axes, keepdims))
        return div(total, scale if keepdims else reshape(scale, total.shape))
    return _power_norm(size, kind, largest, axes, keepdims)


def _power_norm(size: Tensor, p: float, largest: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    """m * (sum of (|x| / m)**p)**(1/p) for the largest m, 0 where that is 0."""
    unit = where(greater(largest, 0), largest, 1)
    zero = equal(size, 0)
    powers = where(zero, 0, _power(where(zero, 1, div(size, unit)), p))
    total = sum(powers, axes, True)
    nothing = equal(total, 0)
    found = where(nothing, 0, mul(unit, _power(where(nothing, 1, total), div(np.float64(1), np.float64(p)).item())))
    return found if keepdims else reshape(found, [n for i, n in enumerate(size.shape) if i not in axes])


def _power(x: Tensor, exponent: float) -> Tensor:
    """x**exponent for x > 0."""
    return exp(mul(log(x), exponent))

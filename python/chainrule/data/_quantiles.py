"""Quantiles and medians of data: NumPy's definitions, with the same bits on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._util.arrays import as_ndarray
from .._util.checks import is_integer
from .._util.dtypes import FLOATS, Array
from .._util.exports import own_names


def quantile(x: npt.ArrayLike, q: npt.ArrayLike, axis: int | None = None) -> Array:
    """Quantiles by linear interpolation between the sorted values, NumPy's method "linear".

    With n values v and i = q * (n - 1), a = v[floor(i)], b the next value and t = i - floor(i):
    a + (b - a) * t where t < 1/2, else b - (b - a) * (1 - t). i and t are float64; t is rounded to the dtype of x.

    Arguments: `x`, numbers without graph (integers and bools become float64); `q`, a number or an array of numbers
    from 0 to 1; `axis`, the axis to reduce, or None for all elements.
    Returns: an array of shape q.shape + the other axes of x, in its dtype; NaN where any of the values is NaN.
    Errors: ValueError for no values, for q out of range, or an axis that x does not have.

    >>> import chainrule as cr
    >>> cr.quantile([4.0, 1.0, 3.0, 2.0], [0.25, 0.5])
    array([1.75, 2.5 ])
    """
    levels = np.asarray(as_ndarray(q, "quantile: q"), np.float64)
    if not ((levels >= 0) & (levels <= 1)).all():
        raise ValueError(f"quantile: q must be from 0 to 1, got {q!r}")
    values, missing = _sorted("quantile", x, axis)
    n = values.shape[0]
    index = ops.mul(levels, np.float64(n - 1)).numpy()
    below = np.floor(index)
    shape = levels.shape + (1,) * (values.ndim - 1)
    t = ops.astype(ops.sub(index, below), values.dtype).numpy().reshape(shape)
    at = below.astype(np.int64)
    a, b = values[at], values[np.minimum(at + 1, n - 1)]
    gap = ops.sub(b, a)
    up, down = ops.add(a, ops.mul(gap, t)), ops.sub(b, ops.mul(gap, ops.sub(np.array(1, t.dtype), t)))
    return np.where(missing, np.array(np.nan, values.dtype), np.where(t < 0.5, up.numpy(), down.numpy()))


def median(x: npt.ArrayLike, axis: int | None = None) -> Array:
    """The middle of the sorted values, of an even number (a + b) / 2 of the two in the middle, as `np.median`.

    Arguments, returns and errors as `cr.quantile`.

    >>> import chainrule as cr
    >>> cr.median([4.0, 1.0, 3.0, 2.5]).item()
    2.75
    """
    values, missing = _sorted("median", x, axis)
    n = values.shape[0]
    low, high = values[(n - 1) // 2], values[n // 2]
    middle = low if n % 2 else ops.div(ops.add(low, high), np.array(2, low.dtype)).numpy()
    return np.where(missing, np.array(np.nan, values.dtype), middle)


def _sorted(name: str, x: Any, axis: int | None) -> tuple[Array, Array]:
    """The values sorted along the first axis, and whether any of them is NaN."""
    given = as_ndarray(x, f"{name}: x")
    if given.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected numbers, got {given.dtype}")
    array = given if given.dtype in FLOATS else given.astype(np.float64)
    if axis is not None and not (is_integer(axis) and -array.ndim <= axis < array.ndim):
        raise ValueError(f"{name}: axis {axis} does not exist in shape {array.shape}")
    array = array.reshape(-1) if axis is None else np.moveaxis(array, axis, 0)
    if array.shape[0] == 0:
        raise ValueError(f"{name}: expected at least one value, got shape {given.shape}")
    values = np.sort(np.where(array == 0, np.array(0, array.dtype), array), axis=0)  # -0 is 0: their order is undefined
    return values, np.isnan(values[-1])


if not TYPE_CHECKING:
    __all__ = own_names(globals())

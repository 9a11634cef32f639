"""Quantiles and medians of data, as arrays: `cr.quantile` and `cr.median` of numbers of any dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._util.arrays import as_ndarray
from .._util.dtypes import FLOATS, Array
from .._util.exports import own_names


def quantile(x: npt.ArrayLike, q: npt.ArrayLike, axis: int | None = None) -> Array:
    """Quantiles by linear interpolation between the sorted values; see `cr.quantile`.

    Arguments: `x`, numbers without graph (lists, integers and bools become float64); `q`, a number or an array of
    numbers from 0 to 1; `axis`, the axis to reduce, or None for all elements.
    Returns: an array of shape q.shape + the other axes of x. Errors: as `cr.quantile`.

    >>> import chainrule as cr
    >>> cr.data.quantile([4.0, 1.0, 3.0, 2.0], [0.25, 0.5])
    array([1.75, 2.5 ])
    """
    return ops.quantile(_numbers("quantile", x), q, axis).numpy()


def median(x: npt.ArrayLike, axis: int | None = None) -> Array:
    """The middle of the sorted values, of an even number (a + b) / 2 of the two in the middle, as `np.median`.

    Arguments, returns and errors as `cr.data.quantile`.

    >>> import chainrule as cr
    >>> cr.data.median([4.0, 1.0, 3.0, 2.5]).item()
    2.75
    """
    return ops.median(_numbers("median", x), axis).numpy()


def _numbers(name: str, x: Any) -> Array:
    given = as_ndarray(x, f"{name}: x")
    if given.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected numbers, got {given.dtype}")
    return given if given.dtype in FLOATS else given.astype(np.float64)


if not TYPE_CHECKING:
    __all__ = own_names(globals())

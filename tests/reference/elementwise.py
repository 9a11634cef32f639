"""Elementwise arithmetic, comparison and selection, with NumPy broadcasting."""

from collections.abc import Callable

import numpy as np

from .bits import Array


def _ieee(function: Callable[..., Array]) -> Callable[..., Array]:
    """A NumPy function that is one IEEE operation per element, without warnings."""

    def operation(*arguments: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(function(*arguments))

    operation.__name__ = function.__name__
    return operation


add = _ieee(np.add)
sub = _ieee(np.subtract)
mul = _ieee(np.multiply)
div = _ieee(np.divide)
sqrt = _ieee(np.sqrt)
neg = _ieee(np.negative)
abs = _ieee(np.abs)
square = _ieee(np.square)
equal = _ieee(np.equal)
not_equal = _ieee(np.not_equal)
less = _ieee(np.less)
less_equal = _ieee(np.less_equal)
greater = _ieee(np.greater)
greater_equal = _ieee(np.greater_equal)
where = _ieee(np.where)


def maximum(x: Array, y: Array) -> Array:
    """The larger; NaN if either is NaN; +0 of +0 and -0."""
    x, y = np.broadcast_arrays(x, y)
    larger = np.where((x > y) | ((x == y) & ~np.signbit(x)), x, y)
    return np.where(np.isnan(x), x, larger)


def minimum(x: Array, y: Array) -> Array:
    """The smaller; NaN if either is NaN; -0 of +0 and -0."""
    x, y = np.broadcast_arrays(x, y)
    smaller = np.where((x < y) | ((x == y) & np.signbit(x)), x, y)
    return np.where(np.isnan(x), x, smaller)

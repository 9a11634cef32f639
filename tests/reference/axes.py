"""Cumulative sums and products, statistics, quantiles and padding, as docs/arithmetic.md specifies them."""

from collections.abc import Sequence

import numpy as np

from . import reduce
from .bits import Array
from .matmul import matmul
from .softmax_losses import ROWWISE

Axis = int | tuple[int, ...] | None


def rows(x: Array, axis: Axis) -> Array:
    """What is reduced, as the last axis in C order."""
    return reduce.sequences(x, reduce.normalise(x.ndim, axis))


def _shaped(y: Array, x: Array, axis: Axis, keepdims: bool) -> Array:
    return y.reshape(reduce.result_shape(x.shape, reduce.normalise(x.ndim, axis), keepdims))


@np.errstate(all="ignore")
def recurrence(a: Array, b: Array, axis: int, reverse: bool) -> Array:
    """``y[0] = b[0]; y[k] = a[k]*y[k-1] + b[k]``; in reverse ``y[k] = a[k+1]*y[k+1] + b[k]`` from the end."""
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    y = b.copy()
    n = len(b)
    for k in range(n - 2, -1, -1) if reverse else range(1, n):
        y[k] = a[k + 1] * y[k + 1] + b[k] if reverse else a[k] * y[k - 1] + b[k]
    return np.moveaxis(y, 0, axis)


def cumsum(x: Array, axis: int | None = None) -> Array:
    """One chain of adds."""
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
    return recurrence(np.ones_like(x), x, axis, False)


def cumprod(x: Array, axis: int | None = None) -> Array:
    """One chain of products."""
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
    y = np.moveaxis(x, axis, 0).copy()
    for k in range(1, len(y)):
        y[k] = y[k] * y[k - 1]
    return np.moveaxis(y, 0, axis)


def prod(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """The last of the chain of products; 1 of nothing."""
    r = rows(x, axis)
    y = cumprod(r, -1)[..., -1] if r.shape[-1] else np.ones(r.shape[:-1], x.dtype)
    return _shaped(y, x, axis, keepdims)


@np.errstate(all="ignore")
def var(x: Array, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Array:
    """``sum(d*d) / (n - ddof)``, ``d = x - mean``."""
    d = x - reduce.mean(x, axis, True)
    n = rows(x, axis).shape[-1]
    return np.asarray(reduce.sum(d * d, axis, keepdims) / x.dtype.type(max(n - ddof, 0)))


def std(x: Array, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Array:
    """The square root."""
    return np.sqrt(var(x, axis, ddof, keepdims))


def norm(x: Array, ord: float = 2, axis: Axis = None, keepdims: bool = False) -> Array:
    """Of sizes that need no scaling."""
    if ord in (np.inf, -np.inf):
        return np.asarray((reduce.max if ord > 0 else reduce.min)(np.abs(x), axis, keepdims))
    if ord == 0:
        return reduce.sum(np.asarray(x != 0, x.dtype), axis, keepdims)
    return reduce.sum(np.abs(x), axis, keepdims) if ord == 1 else np.sqrt(reduce.sum(x * x, axis, keepdims))


def logsumexp(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """``x - log_softmax(x)`` at the first largest x."""
    r = rows(x, axis)
    if r.shape[-1] == 0:
        return _shaped(np.full(r.shape[:-1], -np.inf, x.dtype), x, axis, keepdims)
    at = reduce.argmax(r, -1)[..., None]
    y = np.take_along_axis(r - ROWWISE["log_softmax"].value(r, axis=-1), at, -1)[..., 0]
    return _shaped(y, x, axis, keepdims)


def cov(x: Array, ddof: float = 1) -> Array:
    """``(d @ d.T) / (n - ddof)``."""
    d = x - reduce.mean(x, 1, True)
    return np.asarray(matmul(d, d.T) / x.dtype.type(x.shape[1] - ddof))


def corrcoef(x: Array) -> Array:
    """``(c / s) / s'``, at most 1 by magnitude."""
    c = cov(x)
    s = np.sqrt(np.diagonal(c))
    return np.clip(c / s[:, None] / s[None, :], -1, 1)


def sorted_rows(x: Array, axis: Axis) -> Array:
    """Sorted, with zeros as +0."""
    return np.sort(rows(x, axis) + x.dtype.type(0), axis=-1)


@np.errstate(all="ignore")
def quantile(x: Array, q: Sequence[float], axis: Axis = None, keepdims: bool = False) -> Array:
    """``a + (b-a)*t`` for t < 1/2, else ``b - (b-a)*(1-t)``."""
    r = sorted_rows(x, axis)
    i = np.asarray(q, np.float64) * (r.shape[-1] - 1)
    below = np.floor(i).astype(int)
    t = (i - below).astype(x.dtype)
    a, b = r[..., below], r[..., np.minimum(below + 1, r.shape[-1] - 1)]
    y = np.where(t < 0.5, a + (b - a) * t, b - (b - a) * (x.dtype.type(1) - t))
    y = np.where(np.isnan(r[..., -1:]), np.nan, y).astype(x.dtype)
    kept = reduce.result_shape(x.shape, reduce.normalise(x.ndim, axis), keepdims)
    return np.moveaxis(y, -1, 0).reshape(len(q), *kept)


def median(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """The middle element, or ``(a + b) / 2``."""
    r = sorted_rows(x, axis)
    n = r.shape[-1]
    y = r[..., n // 2] if n % 2 else (r[..., n // 2 - 1] + r[..., n // 2]) / x.dtype.type(2)
    return _shaped(np.where(np.isnan(r[..., -1]), x.dtype.type(np.nan), y), x, axis, keepdims)


def scatter_add(x: Array, index: Array, src: Array, axis: int) -> Array:
    """x plus, for each element, a chain from +0 over its terms; one term alone is copied."""
    sums = np.zeros_like(x)
    for at in np.ndindex(index.shape):
        to = (*at[:axis], index[at], *at[axis + 1 :])
        sums[to] = sums[to] + src[at]
    return x + sums

"""Normalisation: sums over channels, and the norms that are made of them.

x is (R, D) with `by_rows`, each row a channel, or (N, C) or (N, C, L) with C channels: then the lane sums of the lines
of L elements are added in the order of N, from +0.
"""

import numpy as np

from .bits import Array
from .reduce import lane_sum


def _sums(x: Array, by_rows: bool) -> Array:
    if by_rows:
        return lane_sum(x)
    lines = lane_sum(x if x.ndim == 3 else x[..., None])
    total = np.zeros(lines.shape[1:], x.dtype)
    for line in lines:
        total = total + line
    return total


def _along(numbers: Array, x: Array, by_rows: bool) -> Array:
    """Numbers of channels in the shape that broadcasts over x."""
    return numbers.reshape(-1, 1) if by_rows else numbers.reshape(-1, *[1] * (x.ndim - 2))


@np.errstate(all="ignore")
def moments(x: Array, by_rows: bool) -> Array:
    """``m = sum(x)/n`` and ``v = sum((x - m)*(x - m))/n``; (R, 2) or (2, C)."""
    n = x.dtype.type(x.shape[1] if by_rows else x.size // max(x.shape[1], 1))
    mean = _sums(x, by_rows) / n
    d = x - _along(mean, x, by_rows)
    return np.stack([mean, _sums(d * d, by_rows) / n], axis=1 if by_rows else 0)


@np.errstate(all="ignore")
def centred_sums(x: Array, mean: Array, g: Array, by_rows: bool) -> Array:
    """``sum(g)`` and ``sum(g*(x - m))``."""
    products = g * (x - _along(mean, x, by_rows))
    return np.stack([_sums(part, by_rows) for part in (g, products)], axis=1 if by_rows else 0)


@np.errstate(all="ignore")
def row_norm_backward(x: Array, mean: Array, k: Array, g: Array) -> Array:
    """``((g - a) - (x - m)*q) * k`` with ``a = lanesum(g)/n`` and ``q = ((lanesum(g*(x - m)) * k) * k) / n``."""
    n, (m, r) = x.dtype.type(x.shape[1]), (part.reshape(-1, 1) for part in (mean, k))
    a = (lane_sum(g) / n)[:, None]
    q = ((lane_sum(g * (x - m))[:, None] * r) * r) / n
    return np.asarray(((g - a) - (x - m) * q) * r)


def _inverse_root(v: Array, eps: float) -> Array:
    return v.dtype.type(1) / np.sqrt(v + v.dtype.type(eps))


@np.errstate(all="ignore")
def layer_norm(x: Array, *affine: Array, axes: int = 1, eps: float = 1e-5) -> Array:
    """``((x - m) * (1/sqrt(v + eps))) * weight + bias``, each rounded."""
    size = int(np.prod(x.shape[x.ndim - axes :]))
    return _affine(_of_rows(x.reshape(-1, size), eps).reshape(x.shape), *affine)


@np.errstate(all="ignore")
def rms_norm(x: Array, *affine: Array, axes: int = 1, eps: float = 1e-5) -> Array:
    """``(x * (1/sqrt(sum(x*x)/n + eps))) * weight``."""
    rows = x.reshape(-1, int(np.prod(x.shape[x.ndim - axes :])))
    mean_square = lane_sum(rows * rows) / x.dtype.type(rows.shape[1])
    return _affine((rows * _inverse_root(mean_square, eps)[:, None]).reshape(x.shape), *affine)


@np.errstate(all="ignore")
def group_norm(x: Array, *affine: Array, groups: int, eps: float = 1e-5) -> Array:
    """As `layer_norm` over the elements of a group; weight and bias by channel."""
    rows = x.reshape(x.shape[0] * groups, x.size // max(x.shape[0] * groups, 1))
    return _affine(_of_rows(rows, eps).reshape(x.shape), *(_along(part, x, False) for part in affine))


@np.errstate(all="ignore")
def batch_norm(x: Array, *affine: Array, statistics: Array | None = None, eps: float = 1e-5) -> Array:
    """``(x - m) * (weight * (1/sqrt(v + eps))) + bias``; `statistics` are m and v, default: of the batch."""
    lines = x if x.ndim == 2 else x.reshape(*x.shape[:2], int(np.prod(x.shape[2:])))
    mean, variance = moments(lines, False) if statistics is None else statistics
    scale = _inverse_root(variance, eps)
    if affine:
        scale = affine[0] * scale
    y = (lines - _along(mean, lines, False)) * _along(scale, lines, False)
    return np.asarray(y + _along(affine[1], lines, False) if len(affine) > 1 else y).reshape(x.shape)


def _of_rows(rows: Array, eps: float) -> Array:
    mean, variance = moments(rows, True).T
    return np.asarray((rows - mean[:, None]) * _inverse_root(variance, eps)[:, None])


def _affine(y: Array, weight: Array | None = None, bias: Array | None = None) -> Array:
    y = y if weight is None else y * weight
    return y if bias is None else y + bias

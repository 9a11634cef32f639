"""softmax, log_softmax and the losses, with their gradients.

Of a row: m is the maximum, d = x - m and 0 where x == m (also where both are infinite), e = exp(d), S = lanesum(e),
R the same without one of the terms 1: where S is at least 2 that is S - 1.
"""

from typing import Literal

import numpy as np

from . import reduce
from .bits import Array
from .elementary import exp, expm1, log1p, sigmoid, softplus
from .fma import fma
from .row import ROWWISE, RowwiseRow

Reduction = Literal["mean", "sum", "none"]


@np.errstate(all="ignore")
def softmax(x: Array, axis: int = -1) -> Array:
    """``e / S``."""
    if x.size == 0:
        return x.copy()
    rows = np.moveaxis(x, axis, -1)
    e = exp(_centred(rows))
    return np.moveaxis(e / reduce.lane_sum(e)[..., None], -1, axis)


@np.errstate(all="ignore")
def softmax_grad(y: Array, g: Array, axis: int = -1) -> Array:
    """``y * (g - s)`` with ``s = lanesum(y*g)``."""
    y, g = np.moveaxis(y, axis, -1), np.moveaxis(g, axis, -1)
    s = reduce.lane_sum(y * g)[..., None]
    return np.moveaxis(y * (g - s), -1, axis)


ROWWISE["softmax"] = RowwiseRow(softmax, softmax_grad, "y")


@np.errstate(all="ignore")
def log_softmax(x: Array, axis: int = -1) -> Array:
    """``d - log1p(R)``."""
    if x.size == 0:
        return x.copy()
    centred = _centred(np.moveaxis(x, axis, -1))
    return np.moveaxis(centred - log1p(_others(exp(centred)))[..., None], -1, axis)


@np.errstate(all="ignore")
def log_softmax_grad(y: Array, g: Array, axis: int = -1) -> Array:
    """``fma(-exp(y), s, g)`` with ``s = lanesum(g)``; ``fma(-expm1(y), s, g - s)`` where exp(y) is above 1/2."""
    y, g = np.moveaxis(y, axis, -1), np.moveaxis(g, axis, -1)
    s = reduce.lane_sum(g)[..., None]
    e = exp(y)
    slope = np.where(e > 0.5, fma(-expm1(y), s, g - s), fma(-e, s, g))
    return np.moveaxis(slope, -1, axis)


ROWWISE["log_softmax"] = RowwiseRow(log_softmax, log_softmax_grad, "y")


@np.errstate(all="ignore")
def cross_entropy(logits: Array, labels: Array, reduction: Reduction = "mean") -> Array:
    """``log1p(R) - d[t]`` per row of logits (n, C), t = labels (n,)."""
    centred = _centred(logits)
    picked = np.take_along_axis(centred, np.asarray(labels)[:, None], -1)[:, 0]
    return _reduced(log1p(_others(exp(centred))) - picked, reduction)


@np.errstate(all="ignore")
def cross_entropy_grad(logits: Array, labels: Array, g: Array, reduction: Reduction = "mean") -> Array:
    """``(softmax(x) - onehot(t)) * g``, ``(-R / S) * g`` at a label of the largest score where S is below 2.

    g is 0-d, or (n,) for reduction "none"; "mean" uses g / n.
    """
    n, classes = logits.shape
    centred, is_label = _centred(logits), np.asarray(labels)[:, None] == np.arange(classes)
    e = exp(centred)
    s, others = reduce.lane_sum(e)[:, None], _others(e)[:, None]
    error = e / s - is_label.astype(logits.dtype)
    error = np.where(is_label & (centred == 0) & (s < 2), -others / s, error)
    return np.asarray(error * _element_upstream(g, (n,), logits.dtype, reduction)[:, None])


@np.errstate(all="ignore")
def mse_loss(prediction: Array, target: Array, reduction: Reduction = "mean") -> Array:
    """``d*d`` with ``d = p - t``, per element."""
    d = prediction - target
    return _reduced(d * d, reduction)


@np.errstate(all="ignore")
def mse_loss_grad(prediction: Array, target: Array, g: Array, reduction: Reduction = "mean") -> tuple[Array, Array]:
    """``g * (d + d)`` for the prediction, its negative for the target."""
    d = prediction - target
    grad_prediction = np.asarray(_element_upstream(g, d.shape, d.dtype, reduction) * (d + d))
    return grad_prediction, -grad_prediction


@np.errstate(all="ignore")
def binary_cross_entropy_with_logits(logits: Array, target: Array, reduction: Reduction = "mean") -> Array:
    """``fma(u, |x|, softplus(-|x|))`` per element, u the target of the other class; 0 for ``u*|x|`` where u is 0."""
    size = np.abs(logits)
    other = np.where(logits < 0, target, logits.dtype.type(1) - target)
    return _reduced(fma(other, np.where(other == 0, logits.dtype.type(0), size), softplus(-size)), reduction)


@np.errstate(all="ignore")
def bce_error(logits: Array, target: Array) -> Array:
    """``sigmoid(x) - t``, from ``q = sigmoid(-|x|)``: ``q - t`` for x < 0, else ``(1 - t) - q``."""
    q = sigmoid(-np.abs(logits))
    return np.where(logits < 0, q - target, (logits.dtype.type(1) - target) - q)


@np.errstate(all="ignore")
def binary_cross_entropy_with_logits_grad(
    logits: Array, target: Array, g: Array, reduction: Reduction = "mean"
) -> tuple[Array, Array]:
    """``g * bce_error(x, t)`` for the logits, ``-(g * x)`` for the target."""
    upstream = _element_upstream(g, logits.shape, logits.dtype, reduction)
    return np.asarray(upstream * bce_error(logits, target)), np.asarray(-(upstream * logits))


def _centred(rows: Array) -> Array:
    largest = reduce.max(rows, axis=-1, keepdims=True)
    return np.where(rows == largest, rows.dtype.type(0), rows - largest)


def _others(e: Array) -> Array:
    """S - 1; where S is below 2 the lane sum with 0 for the term 1."""
    s, below = reduce.lane_sum(e), reduce.lane_sum(np.where(e == 1, e.dtype.type(0), e))
    return np.where(s < 2, below, s - e.dtype.type(1))


def _reduced(loss: Array, reduction: Reduction) -> Array:
    if reduction == "none":
        return np.asarray(loss)
    return reduce.mean(loss) if reduction == "mean" else reduce.sum(loss)


def _element_upstream(g: Array, shape: tuple[int, ...], dtype: np.dtype[np.floating], reduction: Reduction) -> Array:
    """The upstream gradient of each element's loss: ``g / n`` for the mean, else g, broadcast."""
    g = np.asarray(g, dtype)
    if reduction == "mean":
        g = np.asarray(g / dtype.type(np.prod(shape, dtype=np.int64)))
    return np.broadcast_to(g, shape)

"""Lengths, distances and losses of pairs of vectors, of docs/arithmetic.md: values; gradients are of the parts."""

from typing import Any

import numpy as np

from . import reduce
from .activations import relu
from .bits import Array
from .elementary import exp, log, sigmoid, softplus
from .losses import _onehot
from .softmax_losses import binary_cross_entropy_with_logits, log_softmax, softmax


def _number(x: Array, value: float) -> Any:
    return x.dtype.type(value)


def length(x: Array, p: float, axis: int, plus: float = 0.0) -> Array:
    """Along an axis, which is kept: ``m * sqrt(sum((x/m)^2) + plus/(m*m))`` with the largest magnitude m."""
    if p == 1:
        return reduce.sum(np.abs(x), axis, True)
    m = reduce.max(np.abs(x), axis, True)
    if p == np.inf:
        return m
    m = np.maximum(m, _number(x, plus**0.5))
    m = np.where((m > 0) & (m < np.inf), m, _number(x, 1))
    scaled = x / m
    squares = reduce.sum(scaled * scaled, axis, True)
    return np.asarray(m * np.sqrt(squares + _number(x, plus) / (m * m) if plus else squares))


def normalize(x: Array, p: float = 2.0, axis: int = 1, eps: float = 1e-12) -> Array:
    return np.asarray(x / np.maximum(length(x, p, axis), _number(x, eps)))


def cosine_similarity(a: Array, b: Array, axis: int = 1, eps: float = 1e-8) -> Array:
    a, b = (x / np.maximum(length(x, 2.0, axis), _number(x, eps)) for x in (a, b))
    return reduce.sum(a * b, axis)


def pairwise_distance(a: Array, b: Array, p: float = 2.0, eps: float = 1e-6, keepdims: bool = False) -> Array:
    found = length(a - b + _number(a, eps), p, -1)
    return found if keepdims else found[..., 0]


def soft_margin(x: Array, t: Array) -> Array:
    return softplus(-(t * x))


def hinge_embedding(x: Array, t: Array, margin: float = 1.0) -> Array:
    return np.where(t == 1, x, relu(_number(x, margin) - x))


def margin_ranking(a: Array, b: Array, t: Array, margin: float = 0.0) -> Array:
    return relu(_number(a, margin) - t * (a - b))


def cosine_embedding(a: Array, b: Array, t: Array, margin: float = 0.0) -> Array:
    a, b = (x / length(x, 2.0, -1, plus=1e-12) for x in (a, b))
    cos = reduce.sum(a * b, -1)
    return np.where(t == 1, _number(a, 1) - cos, relu(cos - _number(a, margin)))


def triplet_margin(
    a: Array,
    positive: Array,
    negative: Array,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
) -> Array:
    near, far = pairwise_distance(a, positive, p, eps), pairwise_distance(a, negative, p, eps)
    far = np.minimum(far, pairwise_distance(positive, negative, p, eps)) if swap else far
    return relu((near - far) + _number(a, margin))


def multilabel_soft_margin(x: Array, t: Array, weight: Array | None = None) -> Array:
    losses = binary_cross_entropy_with_logits(x, t, "none")
    losses = losses if weight is None else losses * weight.astype(x.dtype)
    return np.asarray(reduce.sum(losses, -1) / _number(x, x.shape[-1]))


def _focus(share: Array, gamma: float) -> Array:
    if gamma == 2:
        return share * share
    return exp(_number(share, gamma) * log(share))


def sigmoid_focal(x: Array, t: Array, alpha: float = 0.25, gamma: float = 2.0) -> Array:
    one = _number(x, 1)
    wrong = sigmoid(x) * (one - t) + sigmoid(-x) * t
    losses = binary_cross_entropy_with_logits(x, t, "none") * _focus(wrong, gamma)
    if alpha < 0:
        return np.asarray(losses)
    return np.asarray(losses * (t * _number(x, alpha) + (one - t) * (one - _number(x, alpha))))


def focal(x: Array, labels: Array, gamma: float = 2.0, weight: Array | None = None) -> Array:
    mine = _onehot(1, x, labels) == 1
    focus = _focus(reduce.sum(np.where(mine, _number(x, 0), softmax(x)), -1), gamma)
    rows = -np.take_along_axis(log_softmax(x), labels[:, None], 1)[:, 0] * focus
    return np.asarray(rows if weight is None else rows * weight[labels].astype(x.dtype))

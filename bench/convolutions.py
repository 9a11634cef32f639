"""Nets of convolutions: their parameters, and the gradient of their loss in NumPy, in float64."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from bench.net_reference import Array, Params, cross_entropy

# By name: the image (channels, height, width); convolutions as (filters, kernel, padding, whether a pool of 2 x 2
# follows), each with relu; the widths of the linear layers behind them; the batch.
NETS: dict[str, dict[str, Any]] = {
    "lenet": {
        "image": (1, 28, 28),
        "convolutions": ((6, 5, 2, True), (16, 5, 0, True)),
        "widths": (120, 84, 10),
        "batch": 64,
    },
    "3x3 32-32-64": {
        "image": (3, 32, 32),
        "convolutions": ((32, 3, 1, False), (32, 3, 1, True), (64, 3, 1, True)),
        "widths": (10,),
        "batch": 64,
    },
    "3x3 16-32": {
        "image": (3, 32, 32),
        "convolutions": ((16, 3, 1, True), (32, 3, 1, True)),
        "widths": (10,),
        "batch": 32,
    },
}


def shapes_of(params: Params) -> tuple[list[tuple[int, ...]], float]:
    """The shapes of the weights, convolutions first, and the operations of a training step for each row."""
    (channels, h, w), shapes, flops = params["image"], [], 0.0
    for filters, kernel, padding, pooled in params["convolutions"]:
        h, w = h + 2 * padding - kernel + 1, w + 2 * padding - kernel + 1
        shapes.append((filters, channels, kernel, kernel))
        flops += 2.0 * filters * channels * kernel * kernel * h * w * (3 if len(shapes) > 1 else 2)
        channels, h, w = filters, h // (1 + pooled), w // (1 + pooled)
    linear = list(pairwise((channels * h * w, *params["widths"])))
    return shapes + linear, flops + sum(6.0 * inside * outside for inside, outside in linear)


def gradient(params: Params, parameters: list[Array], x: Array, labels: Array) -> tuple[float, list[Array]]:
    """The loss and its gradients, in the order of the parameters: weight and bias of each layer."""
    weights, biases = parameters[::2], parameters[1::2]
    convolutions, kept, h = params["convolutions"], [], x
    for (_, _, padding, pooled), weight, bias in zip(convolutions, weights, biases, strict=False):
        windows = _windows(h, weight, padding)
        y = np.maximum(np.einsum("nchwyx,ocyx->nohw", windows, weight, optimize=True) + bias[:, None, None], 0.0)
        h, place = _pooled(y) if pooled else (y, None)
        kept.append((windows, y, place))
    image = h.shape
    rows = [h.reshape(len(h), -1)]
    for weight, bias in zip(weights[len(convolutions) :], biases[len(convolutions) :], strict=True):
        rows.append(np.maximum(rows[-1] @ weight + bias, 0.0))
    scores = rows[-2] @ weights[-1] + biases[-1]
    loss, g = cross_entropy(scores, labels)
    gradients: list[Array] = []
    for below, weight in zip(rows[-2::-1], weights[: len(convolutions) - 1 : -1], strict=True):
        gradients = [below.T @ g, g.sum(0), *gradients]
        g = (g @ weight.T) * (below > 0)
    g = g.reshape(image)
    for (_, _, padding, _), weight, (windows, y, place) in zip(
        convolutions[::-1], weights[len(convolutions) - 1 :: -1], kept[::-1], strict=True
    ):
        g = (g if place is None else _spread(g, place)) * (y > 0)
        gradients = [np.einsum("nchwyx,nohw->ocyx", windows, g, optimize=True), g.sum((0, 2, 3)), *gradients]
        turned = weight[:, :, ::-1, ::-1].swapaxes(0, 1)
        around = _windows(g, weight, weight.shape[2] - 1 - padding)
        g = np.einsum("nohwyx,coyx->nchw", around, turned, optimize=True)
    return loss, gradients


def _windows(x: Array, weight: Array, padding: int) -> Array:
    sides = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    found: Array = sliding_window_view(np.pad(x, sides), weight.shape[2:], axis=(2, 3))  # type: ignore[call-overload]
    return found


def _quarters(y: Array) -> Array:
    n, channels, h, w = y.shape
    parts = y.reshape(n, channels, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5)
    return parts.reshape(n, channels, h // 2, w // 2, 4)


def _pooled(y: Array) -> tuple[Array, Array]:
    """The maxima of windows of 2 x 2, and which element each is."""
    parts = _quarters(y)
    return parts.max(-1), parts.argmax(-1)


def _spread(g: Array, place: Array) -> Array:
    n, channels, h, w = g.shape
    parts = (np.arange(4) == place[..., None]) * g[..., None]
    return parts.reshape(n, channels, h, w, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, channels, 2 * h, 2 * w)

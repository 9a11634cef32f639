"""Nets of layers, some with normalisation, in NumPy: losses of training steps without dropout, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.net_reference import LEARNING_RATE, MOMENTUM, Array, Params, cross_entropy

EPS = 1e-5
OPTIMIZERS: dict[str, dict[str, float]] = {
    "sgd": {"lr": LEARNING_RATE, "momentum": MOMENTUM},
    "adam": {"lr": 1e-3},
    "adamw": {"lr": 1e-3, "weight_decay": 0.01},
}


def losses(params: Params, parameters: list[Array], x: Array, targets: Array, steps: int) -> list[float]:
    """The loss before each step on the same rows."""
    values = [p.copy() for p in parameters]
    for width in params["widths"][1:-1] if params["norm"] != "none" else ():
        values += [np.ones(width), np.zeros(width)]
    states: list[Any] = [(np.zeros_like(p), np.zeros_like(p)) for p in values]
    found = []
    for step in range(1, steps + 1):
        loss, gradients = _gradient(params, values, x, targets)
        found.append(loss)
        update = _sgd if params["optimizer"] == "sgd" else _adam
        for i, g in enumerate(gradients):
            values[i], states[i] = update(values[i], g, states[i], step, **OPTIMIZERS[params["optimizer"]])
    return found


def _sgd(p: Array, g: Array, state: Any, step: int, lr: float, momentum: float) -> tuple[Array, Any]:
    velocity = momentum * state[0] + g
    return p - lr * velocity, (velocity, state[1])


def _adam(p: Array, g: Array, state: Any, step: int, lr: float, weight_decay: float = 0.0) -> tuple[Array, Any]:
    m, v = 0.9 * state[0] + 0.1 * g, 0.999 * state[1] + 0.001 * g * g
    p = p - lr * weight_decay * p
    return p - lr * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8), (m, v)


def _gradient(params: Params, values: list[Array], x: Array, targets: Array) -> tuple[float, list[Array]]:
    """The loss and its gradients: weights and biases of the layers, then those of the norms."""
    layers = len(params["widths"]) - 1
    axis, h, kept = 0 if params["norm"] == "batch" else 1, x, []
    for i in range(layers - 1):
        z = h @ values[2 * i] + values[2 * i + 1]
        if params["norm"] == "none":
            kept.append((h, z, z))
            h = np.maximum(z, 0.0)
            continue
        d = z - z.mean(axis, keepdims=True)
        root = np.sqrt((d * d).mean(axis, keepdims=True) + EPS)
        y, gain = d / root, values[2 * layers + 2 * i]
        kept.append((h, y, root))
        h = np.maximum(y * gain + values[2 * layers + 2 * i + 1], 0.0)
    loss, g = cross_entropy(h @ values[2 * layers - 2] + values[2 * layers - 1], targets)
    gradients: list[Array] = [h.T @ g, g.sum(0)]
    of_norms: list[Array] = []
    g = (g @ values[2 * layers - 2].T) * (h > 0)
    for i in range(layers - 2, -1, -1):
        below, y, root = kept[i]
        if params["norm"] != "none":
            of_norms = [(g * y).sum(0), g.sum(0), *of_norms]
            g = g * values[2 * layers + 2 * i]
            g = (g - g.mean(axis, keepdims=True) - y * (g * y).mean(axis, keepdims=True)) / root
        gradients = [below.T @ g, g.sum(0), *gradients]
        g = (g @ values[2 * i].T) * (below > 0)
    return loss, gradients + of_norms

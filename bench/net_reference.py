"""Reference nets in NumPy: forward pass, hand-written gradient of each loss, steps of SGD with momentum.

Everything is computed in the dtype of the parameters: float64 for expected answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Gradient = Callable[[dict[str, Any], list[Array], Array, Array], tuple[float, list[Array]]]
Params = dict[str, Any]  # of a case; "activation" and "loss" are used here

LEARNING_RATE = 0.01
MOMENTUM = 0.9
DIRECTION = (1.0, -0.1)  # "pinn": the loss contains the directional derivative DIRECTION . du/dx


def forward(params: Params, parameters: list[Array], x: Array) -> list[Array]:
    """The inputs of all layers, then the outputs."""
    values = [x]
    for layer in range(0, len(parameters), 2):
        x = x @ parameters[layer] + parameters[layer + 1]
        if layer + 2 < len(parameters):
            x = np.maximum(x, 0.0) if params["activation"] == "relu" else np.tanh(x)
        values.append(x)
    return values


def gradient(params: Params, parameters: list[Array], x: Array, targets: Array) -> tuple[float, list[Array]]:
    """The loss and its gradients with respect to the parameters."""
    if params["loss"] == "pinn":
        return _pinn_gradient(parameters, x)
    values = forward(params, parameters, x)
    loss, g = _mse(values[-1], targets) if params["loss"] == "mse" else cross_entropy(values[-1], targets)
    gradients: list[Array] = []
    for layer in range(len(parameters) - 2, -1, -2):
        value = values[layer // 2]
        gradients = [value.T @ g, g.sum(axis=0), *gradients]
        g = g @ parameters[layer].T
        g = g * (value > 0) if params["activation"] == "relu" else g * (1.0 - value * value)
    return loss, gradients


def log_softmax(x: Array) -> Array:
    """Log-probabilities; the identity for inputs that are log-probabilities already, so a peer may return either."""
    shifted = x - x.max(axis=-1, keepdims=True)
    result: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def cross_entropy(logits: Array, labels: Array) -> tuple[float, Array]:
    """The mean over rows and its gradient with respect to the logits."""
    log_p = log_softmax(logits)
    rows = np.arange(len(labels))
    g = np.exp(log_p)
    g[rows, labels] -= 1.0
    return float(-log_p[rows, labels].mean()), g / g.dtype.type(len(labels))


def _mse(outputs: Array, targets: Array) -> tuple[float, Array]:
    difference = outputs - targets
    return float(np.square(difference).mean()), difference * outputs.dtype.type(2.0 / difference.size)


def _pinn_gradient(parameters: list[Array], x: Array) -> tuple[float, list[Array]]:
    """Mean of (d + u^2)^2, where d is the derivative of u along DIRECTION. Tanh between the layers.

    Unlike the contenders, which differentiate twice, this propagates d forward as a tangent, t' = (1 - a^2) (t W), and
    takes one backward pass through both.
    """
    weights, biases = parameters[::2], parameters[1::2]
    values, tangents = [x], [np.broadcast_to(np.asarray(DIRECTION, x.dtype), x.shape)]
    for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
        a, t = values[-1] @ w + b, tangents[-1] @ w
        if i + 1 < len(weights):
            a = np.tanh(a)
            t = (1 - a * a) * t
        values.append(a)
        tangents.append(t)
    u, d = values[-1], tangents[-1]
    residual = d + u * u
    g_t = residual * x.dtype.type(2.0 / residual.size)
    g_a = g_t * 2 * u
    gradients: list[Array] = []
    for i in range(len(weights) - 1, -1, -1):
        gradients = [values[i].T @ g_a + tangents[i].T @ g_t, g_a.sum(axis=0), *gradients]
        if i == 0:
            break
        a, slope = values[i], 1 - values[i] * values[i]
        g_a, g_t = g_a @ weights[i].T, g_t @ weights[i].T
        # tangents[i] = slope * z', and d slope / dz = -2 a slope.
        g_a = slope * g_a - 2 * a * tangents[i] * g_t
        g_t = slope * g_t
    return float(np.square(residual).mean()), gradients


def train(
    params: Params,
    parameters: list[Array],
    batches: Iterable[tuple[Array, Array]],
    rate: float = LEARNING_RATE,
    gradient_of: Gradient = gradient,
) -> list[float]:
    """The loss before each step of SGD with momentum."""
    velocity = [np.zeros_like(p) for p in parameters]
    losses = []
    for x, targets in batches:
        loss, gradients = gradient_of(params, parameters, x, targets)
        losses.append(loss)
        velocity = [MOMENTUM * v + g for v, g in zip(velocity, gradients, strict=True)]
        parameters = [p - rate * v for p, v in zip(parameters, velocity, strict=True)]
    return losses

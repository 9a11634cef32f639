"""Reference nets for sequences in NumPy: forward passes on a small tape, which gives the gradients; steps of SGD.

Everything is computed in the dtype of the parameters: float64 for expected answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from bench.net_reference import Array, cross_entropy, log_softmax

Rule = Callable[[Array], Array]
EPS = 1e-5  # of the layer norms


class Value:
    """An array, and how its gradient goes back to what it was computed from."""

    def __init__(self, array: Array, parents: Sequence[tuple[Value, Rule]] = ()) -> None:
        self.array, self.parents, self.gradient = array, parents, np.zeros_like(array)

    def __add__(self, other: Value) -> Value:
        return Value(self.array + other.array, [(self, lambda g: g), (other, lambda g: g)])

    def __mul__(self, other: Value) -> Value:
        a, b = self.array, other.array
        return Value(a * b, [(self, lambda g: g * b), (other, lambda g: g * a)])

    def __matmul__(self, other: Value) -> Value:
        a, b = self.array, other.array
        back = [(self, lambda g: g @ b.swapaxes(-1, -2)), (other, lambda g: a.swapaxes(-1, -2) @ g)]
        return Value(a @ b, back)

    def __getitem__(self, index: Any) -> Value:
        def scattered(g: Array) -> Array:
            whole = np.zeros_like(self.array)
            whole[index] = g
            return whole

        return Value(self.array[index], [(self, scattered)])

    def map(self, y: Array, slope: Array) -> Value:
        """A function of each element, with its value and slope."""
        return Value(y, [(self, lambda g: g * slope)])

    def moved(self, there: Callable[[Array], Array], back: Callable[[Array], Array]) -> Value:
        return Value(there(self.array), [(self, back)])

    def backward(self, g: Array) -> None:
        """Add the gradient of everything that this value was computed from."""
        order: list[Value] = []
        seen: set[int] = set()
        waiting = [(self, False)]
        while waiting:
            value, done = waiting.pop()
            if done:
                order.append(value)
            elif id(value) not in seen:
                seen.add(id(value))
                waiting += [(value, True), *((parent, False) for parent, _ in value.parents)]
        self.gradient = g
        for value in reversed(order):
            for parent, rule in value.parents:
                part = rule(value.gradient)
                extra = tuple(range(part.ndim - parent.array.ndim))
                parent.gradient = parent.gradient + part.sum(axis=extra)


def sigmoid(x: Value) -> Value:
    y = 1.0 / (1.0 + np.exp(-x.array))
    return x.map(y, y * (1.0 - y))


def tanh(x: Value) -> Value:
    y = np.tanh(x.array)
    return x.map(y, 1.0 - y * y)


def constant(like: Value, number: float) -> Value:
    return Value(np.asarray(number, like.array.dtype))


def parts_of(x: Value, count: int) -> list[Value]:
    n = x.array.shape[-1] // count
    return [x[..., i * n : (i + 1) * n] for i in range(count)]


def gru(x: Value, parameters: list[Value]) -> Value:
    """The last state for inputs (steps, rows, features)."""
    w_x, w_h, b_x, b_h = parameters
    h = Value(np.zeros((x.array.shape[1], w_h.array.shape[0]), x.array.dtype))
    for t in range(len(x.array)):
        (x_r, x_z, x_n), (h_r, h_z, h_n) = parts_of(x[t] @ w_x + b_x, 3), parts_of(h @ w_h + b_h, 3)
        z, n = sigmoid(x_z + h_z), tanh(x_n + sigmoid(x_r + h_r) * h_n)
        h = n + z * (h + n * constant(n, -1.0))
    return h


def lstm(x: Value, parameters: list[Value]) -> Value:
    w_x, w_h, b_x, b_h = parameters
    h = c = Value(np.zeros((x.array.shape[1], w_h.array.shape[0]), x.array.dtype))
    for t in range(len(x.array)):
        i, f, g, o = parts_of(x[t] @ w_x + b_x + h @ w_h + b_h, 4)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)
    return h


def layer_norm(x: Value, weight: Value, bias: Value) -> Value:
    centred = x.array - x.array.mean(axis=-1, keepdims=True)
    scale = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + EPS)
    y = centred / scale

    def back(g: Array) -> Array:
        along = (g * y).mean(axis=-1, keepdims=True)
        found: Array = (g - g.mean(axis=-1, keepdims=True) - y * along) / scale
        return found

    return Value(y, [(x, back)]) * weight + bias


def attention(x: Value, heads: int) -> Value:
    """Of packed queries, keys and values (rows, steps, 3 * features)."""
    rows, steps, wide = x.array.shape

    def apart(a: Array) -> Array:
        return a.reshape(rows, steps, heads, -1).swapaxes(1, 2)

    def together(a: Array) -> Array:
        return a.swapaxes(1, 2).reshape(rows, steps, -1)

    q, k, v = (part.moved(apart, together) for part in parts_of(x, 3))
    turned = k.moved(lambda a: a.swapaxes(-1, -2), lambda g: g.swapaxes(-1, -2))
    scores = q @ turned * constant(x, (wide // 3 // heads) ** -0.5)
    p = np.exp(log_softmax(scores.array))
    weights = Value(p, [(scores, lambda g: p * (g - (p * g).sum(axis=-1, keepdims=True)))])
    return (weights @ v).moved(together, apart)


def transformer(x: Value, parameters: list[Value], heads: int) -> Value:
    """The mean over the steps, for inputs (rows, steps, features); 12 parameters a layer, in PyTorch's order."""
    for first in range(0, len(parameters), 12):
        w_in, b_in, w_out, b_out, w_1, b_1, w_2, b_2, g_1, c_1, g_2, c_2 = parameters[first : first + 12]
        x = layer_norm(x + attention(x @ w_in + b_in, heads) @ w_out + b_out, g_1, c_1)
        inner = x @ w_1 + b_1
        inner = inner.map(np.maximum(inner.array, 0.0), (inner.array > 0).astype(x.array.dtype))
        x = layer_norm(x + inner @ w_2 + b_2, g_2, c_2)
    steps = x.array.shape[1]
    mean: Array = x.array.mean(axis=1)
    return Value(mean, [(x, lambda g: np.repeat(g[:, None] / g.dtype.type(steps), steps, axis=1))])


def gradient(params: dict[str, Any], arrays: list[Array], x: Array, labels: Array) -> tuple[float, list[Array]]:
    """The loss and its gradients with respect to the parameters."""
    parameters = [Value(a) for a in arrays]
    *inner, weight, bias = parameters
    if params["net"] == "transformer":
        features = transformer(Value(x), inner, params["heads"])
    else:
        features = {"gru": gru, "lstm": lstm}[params["net"]](Value(x), inner)
    logits = features @ weight + bias
    loss, g = cross_entropy(logits.array, labels)
    logits.backward(g)
    return loss, [p.gradient for p in parameters]


def shapes_of(params: dict[str, Any]) -> list[tuple[int, ...]]:
    """Of the parameters: of recurrent nets weights and biases of inputs and states; then those of the last layer."""
    n, classes = params["units"], params["classes"]
    if params["net"] == "transformer":
        wide = params["wide"]
        sizes = [(n, 3 * n), (3 * n,), (n, n), (n,), (n, wide), (wide,), (wide, n), (n,), *[(n,)] * 4]
        found: list[tuple[int, ...]] = [shape for _ in range(params["layers"]) for shape in sizes]
    else:
        gates = {"gru": 3, "lstm": 4}[params["net"]]
        found = [(n, gates * n), (n, gates * n), (gates * n,), (gates * n,)]
    return [*found, *((a, b) for a, b in pairwise((n, classes))), (classes,)]

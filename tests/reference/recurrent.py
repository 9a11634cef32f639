"""Recurrences over time and their gradients, step by step: docs/arithmetic.md."""

from typing import NamedTuple

import numpy as np

from . import reduce
from .activations import relu, relu_grad
from .bits import Array
from .elementary import sigmoid, tanh
from .elementary_gradients import sigmoid_grad, tanh_grad
from .matmul import matmul


class Steps(NamedTuple):
    """A run: arrays as (steps, rows, columns), in the order of the run."""

    x: Array
    y: Array  # the states
    before: Array  # the states before each step
    values: list[tuple[Array, ...]]  # what the gradients of each step read
    c: Array | None = None


def _in_order(x: Array, batch_first: bool, reverse: bool) -> Array:
    x = np.swapaxes(x, 0, 1) if batch_first else x
    return x[::-1] if reverse else x


def _back(steps: Array, batch_first: bool, reverse: bool) -> Array:
    steps = steps[::-1] if reverse else steps
    return np.ascontiguousarray(np.swapaxes(steps, 0, 1) if batch_first else steps)


ACTIVATIONS = {"rnn_tanh": (tanh, tanh_grad), "rnn_relu": (relu, relu_grad)}


@np.errstate(all="ignore")
def _run(kind: str, x: Array, h: Array, weight: Array, more: Array | None) -> Steps:
    """All steps; `more` is the bias of a GRU, the cell state of an LSTM."""
    n, c = h.shape[-1], more
    states, values = [h], list[tuple[Array, ...]]()
    for x_t in x:
        h, p = states[-1], matmul(states[-1], weight)
        if kind == "gru":
            r, z = sigmoid(x_t[:, :n] + p[:, :n]), sigmoid(x_t[:, n : 2 * n] + p[:, n : 2 * n])
            inner = p[:, 2 * n :] + more
            u = tanh(x_t[:, 2 * n :] + r * inner)
            values.append((h, r, z, inner, u))
            states.append(u + z * (h - u))
        elif kind == "lstm":
            assert c is not None
            a = x_t + p
            i, f, g, o = sigmoid(a[:, :n]), sigmoid(a[:, n : 2 * n]), tanh(a[:, 2 * n : 3 * n]), sigmoid(a[:, 3 * n :])
            before, c = c, f * c + i * g
            values.append((before, i, f, g, o, tanh(c)))
            states.append(o * tanh(c))
        else:
            states.append(ACTIVATIONS[kind][0](x_t + p))
            values.append((states[-1],))
    return Steps(x, np.stack(states[1:]), np.stack(states[:-1]), values, c)


@np.errstate(all="ignore")
def _gradients(kind: str, run: Steps, weight: Array, g: Array, dc: Array) -> tuple[Array, Array, Array, Array]:
    """Gradients of x and of the products, of the state and of the cell state before the first step."""
    product = direct = np.zeros_like(dc)
    one = g.dtype.type(1)
    by_x, by_p = [], []
    for g_t, v in zip(g[::-1], run.values[::-1], strict=True):
        if kind == "gru":
            h, r, z, inner, u = v
            dh = g_t + (direct + product)
            du = tanh_grad(u, dh * (one - z))
            dr, dz = sigmoid_grad(r, du * inner), sigmoid_grad(z, dh * (h - u))
            dx, dp = np.concatenate([dr, dz, du], 1), np.concatenate([dr, dz, du * r], 1)
            direct = dh * z
        elif kind == "lstm":
            c, i, f, s, o, squashed = v
            dh = g_t + product
            dc = dc + tanh_grad(squashed, dh * o)
            parts = (
                sigmoid_grad(i, dc * s),
                sigmoid_grad(f, dc * c),
                tanh_grad(s, dc * i),
                sigmoid_grad(o, dh * squashed),
            )
            dx = dp = np.concatenate(parts, 1)
            dc = dc * f
        else:
            dx = dp = ACTIVATIONS[kind][1](v[0], g_t + product)
        product = matmul(dp, np.ascontiguousarray(weight.T))
        by_x.append(dx)
        by_p.append(dp)
    return np.stack(by_x[::-1]), np.stack(by_p[::-1]), direct + product if kind == "gru" else product, dc


def states(
    kind: str,
    x: Array,
    h: Array,
    weight: Array,
    more: Array | None = None,
    batch_first: bool = False,
    reverse: bool = False,
) -> tuple[Array, Array | None]:
    """The states over time, and the last cell state."""
    run = _run(kind, _in_order(x, batch_first, reverse), h, weight, more)
    return _back(run.y, batch_first, reverse), run.c


def states_grad(
    kind: str,
    x: Array,
    h: Array,
    weight: Array,
    more: Array | None,
    g: Array | None,
    g_c: Array | None = None,
    batch_first: bool = False,
    reverse: bool = False,
) -> list[Array]:
    """Gradients of x, h, weight and `more`, for those of the states and of the last cell state.

    The weight's is one chain over all steps and rows as they lie in memory.
    """
    run = _run(kind, _in_order(x, batch_first, reverse), h, weight, more)
    n = h.shape[-1]
    g = np.zeros_like(run.y) if g is None else _in_order(g, batch_first, reverse)
    dx, dp, dh, dc = _gradients(kind, run, weight, g, np.zeros_like(h) if g_c is None else g_c)
    dx, dp, before = (_back(t, batch_first, reverse) for t in (dx, dp, run.before))
    rows = dp.reshape(-1, dp.shape[-1])
    found = [dx, dh, matmul(np.ascontiguousarray(before.reshape(-1, n).T), rows)]
    if kind == "gru":
        found.append(reduce.sum(np.ascontiguousarray(rows[:, 2 * n :]), 0))
    return [*found, dc] if kind == "lstm" else found

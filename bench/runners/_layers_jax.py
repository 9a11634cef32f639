"""A training step of a model of layers in JAX, under `jit`, with donated state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.cases import Case
from bench.layers_reference import EPS, OPTIMIZERS
from bench.problems import CHECKED_STEPS, Array, Inputs
from bench.runners.base import Call


def layers_call(jax: Any, case: Case, data: Inputs, x: Any, targets: Any) -> Call:
    """Steps on the same rows; the answer is that of a net without dropout."""
    state: list[Any] = [_initial(jax, case, data)]
    step = _step(jax, case, case.params["dropout"])

    def run() -> Any:
        state[0], loss = step(state[0], x, targets)
        jax.block_until_ready(state[0])
        return loss

    def reset() -> None:
        state[0] = _initial(jax, case, data)

    def answer() -> list[Array]:
        exact, now, losses = _step(jax, case, 0.0), _initial(jax, case, data), []
        for _ in range(CHECKED_STEPS):
            now, loss = exact(now, x, targets)
            losses.append(float(loss))
        return [np.array(losses)]

    return Call(run, answer=answer, reset=reset)


def _initial(jax: Any, case: Case, data: Inputs) -> Any:
    """Parameters, two states of each, running statistics, the step's number and the key."""
    np_ = jax.numpy
    hidden, dtype = case.params["widths"][1:-1], data["x"].dtype
    values = [np_.array(p, copy=True) for p in data["parameters"]]
    if case.params["norm"] != "none":
        values += [np_.full(n, v, dtype) for n in hidden for v in (1, 0)]
    running = [(np_.zeros(n, dtype), np_.ones(n, dtype)) for n in hidden]
    states = [[np_.zeros_like(p) for p in values] for _ in range(2)]
    return jax.block_until_ready((values, *states, running, np_.zeros((), dtype), jax.random.PRNGKey(0)))


def _step(jax: Any, case: Case, dropout: float) -> Callable[..., Any]:
    np_, p = jax.numpy, case.params
    layers, axis = len(p["widths"]) - 1, 0 if p["norm"] == "batch" else 1

    def loss_of(values: Any, running: Any, key: Any, x: Any, targets: Any) -> Any:
        n, kept = len(x), []
        for i in range(layers - 1):
            z = x @ values[2 * i] + values[2 * i + 1]
            old = running[i]
            if p["norm"] != "none":
                mean = z.mean(axis, keepdims=True)
                variance = np_.square(z - mean).mean(axis, keepdims=True)
                gain, bias = values[2 * layers + 2 * i], values[2 * layers + 2 * i + 1]
                z = (z - mean) * jax.lax.rsqrt(variance + EPS) * gain + bias
                if axis == 0:
                    old = (0.9 * old[0] + 0.1 * mean[0], 0.9 * old[1] + 0.1 * variance[0] * (n / (n - 1)))
            x = jax.nn.relu(z)
            kept.append(old)
            if dropout:
                key, draw = jax.random.split(key)
                x = np_.where(jax.random.bernoulli(draw, 1 - dropout, x.shape), x / (1 - dropout), 0)
        log_p = jax.nn.log_softmax(x @ values[2 * layers - 2] + values[2 * layers - 1])
        return -np_.take_along_axis(log_p, targets[:, None], axis=1).mean(), (kept, key)

    def step(state: Any, x: Any, targets: Any) -> Any:
        values, first, second, running, number, key = state
        (loss, (running, key)), gradients = jax.value_and_grad(loss_of, has_aux=True)(values, running, key, x, targets)
        number = number + 1
        options = OPTIMIZERS[p["optimizer"]]
        lr = options["lr"]
        if p["optimizer"] != "sgd":
            decay = options.get("weight_decay", 0.0)
            first = [0.9 * m + 0.1 * g for m, g in zip(first, gradients, strict=True)]
            second = [0.999 * v + 0.001 * g * g for v, g in zip(second, gradients, strict=True)]
            a, b = 1 - 0.9**number, 1 - 0.999**number
            parts = zip(values, first, second, strict=True)
            values = [w - lr * decay * w - lr * (m / a) / (np_.sqrt(v / b) + 1e-8) for w, m, v in parts]
        else:
            first = [options["momentum"] * m + g for m, g in zip(first, gradients, strict=True)]
            values = [w - lr * m for w, m in zip(values, first, strict=True)]
        return (values, first, second, running, number, key), loss

    found: Callable[..., Any] = jax.jit(step, donate_argnums=0)
    return found

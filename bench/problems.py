"""Data of a case and the truth about it, the same in every process: NumPy, float64, nothing of what is measured."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.cases import Case

Array = NDArray[Any]
Inputs = dict[str, Any]

LEARNING_RATE = 0.01
MOMENTUM = 0.9
CHECKED_STEPS = 3
PAGE = 4096
# Largest error over the largest true value. Peers are allowed 4 ULP and any order of summation.
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}

UNARY_TRUTH: dict[str, Callable[[Any], Any]] = {
    "copy": lambda x: x,
    "relu": lambda x: np.maximum(x, 0.0),
    "exp": np.exp,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(0.0, x),
    "log": np.log,
}
BINARY_TRUTH: dict[str, Callable[[Any, Any], Any]] = {"add": np.add}


def placed(array: Array, slot: int = 0) -> Array:
    """A C-contiguous copy that starts `slot` quarter pages after a page boundary.

    Chance addresses are a lottery: where stores and the loads that follow them agree in their low 12 bits, the loads
    wait, and NumPy's exp runs at half its rate. Inputs are in slots 0 and 1, outputs in slot 2, for every contender.
    """
    raw = np.empty(array.nbytes + 2 * PAGE, np.uint8)
    start = -raw.ctypes.data % PAGE + slot * PAGE // 4
    copy: Array = raw[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def output(shape: tuple[int, ...], dtype: Any) -> Array:
    """An output that holds NaN, so that a call that writes nothing is found out."""
    return placed(np.full(shape, np.nan, dtype), 2)


def inputs(case: Case) -> Inputs:
    """The arrays of a case by name, drawn from a generator seeded by the name of the case."""
    rng = np.random.RandomState(zlib.crc32(case.name.encode()))
    p, dtype = case.params, np.dtype(case.dtype)

    def normal(*shape: int, scale: float = 1.0, slot: int = 0) -> Array:
        return placed((rng.standard_normal(shape) * scale).astype(dtype), slot)

    if case.kind == "matmul":
        shape_a = (p["k"], p["m"]) if p["layout"][0] == "t" else (p["m"], p["k"])
        shape_b = (p["n"], p["k"]) if p["layout"][1] == "t" else (p["k"], p["n"])
        a, b = normal(*shape_a), normal(*shape_b, slot=1)
        return {"a": a.T if p["layout"][0] == "t" else a, "b": b.T if p["layout"][1] == "t" else b}
    if case.kind == "unary":
        x = normal(p["size"], scale=3.0)
        return {"x": placed(np.abs(x) + dtype.type(1e-3)) if p["op"] == "log" else x}
    if case.kind in ("binary", "add_returned", "add_recorded"):
        return {"a": normal(p["size"]), "b": normal(p["size"], slot=1)}
    if case.kind == "softmax":
        return {"x": normal(p["rows"], p["columns"], scale=3.0)}
    widths = p["widths"]
    parameters = []
    for fan_in, fan_out in pairwise(widths):
        parameters += [normal(fan_in, fan_out, scale=(2.0 / (fan_in + fan_out)) ** 0.5), normal(fan_out, scale=0.1)]
    labels = rng.randint(0, widths[-1], p["batch"]).astype(np.int64)
    return {"x": normal(p["batch"], widths[0]), "labels": labels, "parameters": parameters}


def log_softmax(x: Array) -> Array:
    """Logits and log-probabilities become the same thing, so that a peer may return either."""
    shifted = x - x.max(axis=-1, keepdims=True)
    result: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def truth(case: Case, data: Inputs) -> list[Array]:
    """What a right answer to the case is, in float64."""
    wide = {key: value.astype(np.float64) for key, value in data.items() if isinstance(value, np.ndarray)}
    if case.kind == "matmul":
        return [wide["a"] @ wide["b"]]
    if case.kind == "unary":
        return [UNARY_TRUTH[case.params["op"]](wide["x"])]
    if case.kind == "binary":
        return [BINARY_TRUTH[case.params["op"]](wide["a"], wide["b"])]
    if case.kind in ("add_returned", "add_recorded"):
        return [wide["a"] + wide["b"]]
    if case.kind == "softmax":
        return [np.exp(log_softmax(wide["x"]))]
    parameters = [parameter.astype(np.float64) for parameter in data["parameters"]]
    if case.kind == "forward":
        return [log_softmax(_forward(case, parameters, wide["x"])[-1])]
    if case.kind == "gradient":
        loss, gradients = _gradient(case, parameters, wide["x"], data["labels"])
        return [np.array(loss), *gradients]
    return [np.array(_losses(case, parameters, wide["x"], data["labels"]))]


def _forward(case: Case, parameters: list[Array], x: Array) -> list[Array]:
    """The input of every layer, then the logits."""
    values = [x]
    for layer in range(0, len(parameters), 2):
        x = x @ parameters[layer] + parameters[layer + 1]
        if layer + 2 < len(parameters):
            x = np.maximum(x, 0.0) if case.params["activation"] == "relu" else np.tanh(x)
        values.append(x)
    return values


def _gradient(case: Case, parameters: list[Array], x: Array, labels: Array) -> tuple[float, list[Array]]:
    """Mean softmax cross-entropy and its gradient by every parameter."""
    values = _forward(case, parameters, x)
    log_p = log_softmax(values[-1])
    rows = np.arange(len(labels))
    g = np.exp(log_p)
    g[rows, labels] -= 1.0
    g /= len(labels)
    gradients: list[Array] = []
    for layer in range(len(parameters) - 2, -1, -2):
        value = values[layer // 2]
        gradients = [value.T @ g, g.sum(axis=0), *gradients]
        g = g @ parameters[layer].T
        g = g * (value > 0) if case.params["activation"] == "relu" else g * (1.0 - value * value)
    return float(-log_p[rows, labels].mean()), gradients


def _losses(case: Case, parameters: list[Array], x: Array, labels: Array) -> list[float]:
    """The losses that the first steps of SGD with momentum see."""
    velocity = [np.zeros_like(p) for p in parameters]
    losses = []
    for _ in range(CHECKED_STEPS):
        loss, gradients = _gradient(case, parameters, x, labels)
        losses.append(loss)
        velocity = [MOMENTUM * v + g for v, g in zip(velocity, gradients, strict=True)]
        parameters = [p - LEARNING_RATE * v for p, v in zip(parameters, velocity, strict=True)]
    return losses


def error(case: Case, answer: list[Array], expected: list[Array]) -> float:
    """Largest distance from the truth over the largest true value, worst of all arrays; infinite if shapes differ."""
    if case.kind == "forward":
        answer = [log_softmax(np.asarray(a, np.float64)) for a in answer]
    if [np.shape(a) for a in answer] != [e.shape for e in expected]:
        return float("inf")
    worst = 0.0
    for a, e in zip(answer, expected, strict=True):
        scale = max(float(np.abs(e).max()), 1e-30)
        distance = float(np.abs(np.asarray(a, np.float64) - e).max()) / scale
        worst = max(worst, float("inf") if np.isnan(distance) else distance)
    return worst

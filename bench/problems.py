"""Data and expected answers of the cases, identical in every process: NumPy in float64, independent of contenders."""

from __future__ import annotations

import importlib
import math
import sys
import zlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bench import convolutions, layers_reference, net_reference, recommender, sequence_reference
from bench.cases import Case

Array = net_reference.Array
Inputs = dict[str, Any]

TESTS = Path(__file__).resolve().parent.parent / "tests"
CHECKED_STEPS = 3
LOOP_STEPS = 200
SEED, ORDER_STREAM = 0, 2**32  # epoch e of `chainrule.fit` draws its order from stream ORDER_STREAM + e
PAGE = 4096
# Largest error relative to the largest expected value. Peers are allowed 4 ULP and any order of summation.
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}
# The mean loss of an epoch agrees to 1e-7, until rounding flips the branch of a relu whose input is nearly 0, which
# changes the loss by up to 5e-5. A different order of rows or a different momentum changes it by at least 3e-4.
EPOCH_TOLERANCE = 2e-4
RUN_TOLERANCE = 2e-3  # on real data such flips are more frequent and their effect grows

_ERF = np.frompyfunc(math.erf, 1, 1)
UNARY_REFERENCE: dict[str, Callable[[Any], Any]] = {
    "copy": lambda x: x,
    "relu": lambda x: np.maximum(x, 0.0),
    "exp": np.exp,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(0.0, x),
    "log": np.log,
    "cos": np.cos,
    "erf": lambda x: _ERF(x).astype(np.float64),
    "gelu": lambda x: x * (1.0 + _ERF(x / np.sqrt(2.0)).astype(np.float64)) / 2.0,
    "selu": lambda x: np.where(x > 0, 1.0507009873554805 * x, 1.7580993408473768 * np.expm1(np.minimum(x, 0.0))),
}
BINARY_REFERENCE: dict[str, Callable[[Any, Any], Any]] = {"add": np.add}


def at_page_offset(array: Array, slot: int = 0) -> Array:
    """A C-contiguous copy that starts `slot` quarter pages after a page boundary.

    With arbitrary addresses timings vary: if a store and a later load agree in their low 12 bits, the load stalls (4K
    aliasing), and NumPy's exp runs at half its rate. All contenders have inputs in slots 0 and 1, outputs in slot 2.
    """
    raw = np.empty(array.nbytes + 2 * PAGE, np.uint8)
    start = -raw.ctypes.data % PAGE + slot * PAGE // 4
    copy: Array = raw[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def output(shape: tuple[int, ...], dtype: Any) -> Array:
    """An output array filled with NaN, so that a call that does not write it is detected."""
    return at_page_offset(np.full(shape, np.nan, dtype), 2)


def inputs(case: Case) -> Inputs:
    """The arrays of a case by name, from a generator seeded by the name of the case."""
    rng = np.random.RandomState(zlib.crc32(case.name.encode()))
    p, dtype = case.params, np.dtype(case.dtype)

    def normal(*shape: int, scale: float = 1.0, slot: int = 0) -> Array:
        return at_page_offset((rng.standard_normal(shape) * scale).astype(dtype), slot)

    if case.kind == "matmul":
        shape_a = (p["k"], p["m"]) if p["layout"][0] == "t" else (p["m"], p["k"])
        shape_b = (p["n"], p["k"]) if p["layout"][1] == "t" else (p["k"], p["n"])
        a, b = normal(*shape_a), normal(*shape_b, slot=1)
        return {"a": a.T if p["layout"][0] == "t" else a, "b": b.T if p["layout"][1] == "t" else b}
    if case.kind == "unary":
        x = normal(p["size"], scale=3.0)
        return {"x": at_page_offset(np.abs(x) + dtype.type(1e-3)) if p["op"] == "log" else x}
    if case.kind in ("binary", "add_returned", "add_recorded"):
        return {"a": normal(p["size"]), "b": normal(p["size"], slot=1)}
    if case.kind == "softmax":
        return {"x": normal(p["rows"], p["columns"], scale=3.0)}
    if case.kind == "recommender":
        return recommender.draw(p, rng)
    if case.kind == "sequence":
        return _sequence_inputs(case, rng, normal)
    if case.kind == "conv_step":
        return _convolution_inputs(case, rng, normal)
    return _net_inputs(case, rng, normal)


def _sequence_inputs(case: Case, rng: np.random.RandomState, normal: Callable[..., Array]) -> Inputs:
    """Sequences, labels and initial parameters; weights of norms, (n,) in front of their biases, are near 1."""
    p, parameters = case.params, []
    for i, shape in enumerate(sequence_reference.shapes_of(p)):
        scale = (2.0 / sum(shape)) ** 0.5 if len(shape) == 2 else 0.1
        one = p["net"] == "transformer" and i < 12 * p["layers"] and i % 12 in (8, 10)
        parameters.append(normal(*shape, scale=scale) + np.float32(one))
    first = (p["batch"], p["steps"]) if p["net"] == "transformer" else (p["steps"], p["batch"])
    return {
        "x": normal(*first, p["units"]),
        "targets": rng.randint(0, p["classes"], p["batch"]),
        "parameters": [at_page_offset(value) for value in parameters],
    }


def _convolution_inputs(case: Case, rng: np.random.RandomState, normal: Callable[..., Array]) -> Inputs:
    """Images, labels and initial parameters."""
    p, parameters = case.params, []
    for shape in convolutions.shapes_of(p)[0]:
        linear = len(shape) == 2
        scale = 0.2 * shape[0] ** -0.5 if linear else (2.0 / math.prod(shape[1:])) ** 0.5
        parameters += [normal(*shape, scale=scale), normal(shape[1] if linear else shape[0], scale=0.1)]
    labels = rng.randint(0, p["widths"][-1], p["batch"])
    return {"x": normal(p["batch"], *p["image"]), "targets": labels, "parameters": parameters}


def _net_inputs(case: Case, rng: np.random.RandomState, normal: Callable[..., Array]) -> Inputs:
    """Rows, targets and initial parameters of a net; for cases of epochs also the row order and the rate of each."""
    p = case.params
    widths, rows = p["widths"], p.get("rows", p["batch"])
    parameters = []
    for fan_in, fan_out in pairwise(widths):
        parameters += [normal(fan_in, fan_out, scale=(2.0 / (fan_in + fan_out)) ** 0.5), normal(fan_out, scale=0.1)]
    x = normal(rows, widths[0])
    # Learnable targets, so that the mean loss of an epoch depends on every step; noise keeps it away from 0.
    targets = x @ normal(widths[0], widths[-1], scale=widths[0] ** -0.5) + normal(rows, widths[-1], scale=0.5)
    if p["loss"] == "cross entropy":
        targets = targets.argmax(axis=1)
    elif p["loss"] == "pinn":
        targets = np.zeros_like(targets)
    data: Inputs = {"x": x, "targets": targets, "parameters": parameters}
    if "epochs" in p:
        data |= {"orders": _orders(rows, p["epochs"]), "rates": [net_reference.LEARNING_RATE] * p["epochs"]}
    return data


def _orders(rows: int, epochs: int) -> Array:
    """The order of the rows in each epoch, as in `chainrule.fit` with seed SEED.

    The orders repeat after CHECKED_STEPS epochs: the time of an epoch does not depend on its order, and drawing orders
    is slow.
    """
    permutation = _reference_permutation()
    drawn = [permutation(SEED, ORDER_STREAM + epoch, rows) for epoch in range(min(epochs, CHECKED_STEPS))]
    return np.resize(np.stack(drawn), (epochs, rows))


def _reference_permutation() -> Callable[[int, int, int], Array]:
    """The permutation of the tests' pure NumPy reference, which equals chainrule's without importing it."""
    if str(TESTS) not in sys.path:
        sys.path.append(str(TESTS))
    found: Callable[[int, int, int], Array] = importlib.import_module("reference.philox").permutation
    return found


def save(file: Path, data: Inputs) -> None:
    """Write the data of a training run, to be read by `load` in the worker processes."""
    arrays = {key: value for key, value in data.items() if key != "parameters"}
    np.savez(file, **arrays, **{f"parameter{i}": value for i, value in enumerate(data["parameters"])})


def load(file: str) -> Inputs:
    """Read the data that `save` has written."""
    with np.load(file) as stored:
        data: Inputs = {key: stored[key] for key in stored.files}
    parameters = [data.pop(f"parameter{i}") for i in range(sum(key.startswith("parameter") for key in data))]
    return data | {"parameters": [at_page_offset(p) for p in parameters], "rates": data["rates"].tolist()}


def accuracy(case: Case, parameters: list[Array], data: Inputs) -> float:
    """The fraction of test rows whose largest output is that of the label."""
    outputs = net_reference.forward(case.params, parameters, data["x_test"])[-1]
    return float((outputs.argmax(axis=1) == data["targets_test"]).mean())


def expected_answer(case: Case, data: Inputs) -> list[Array]:
    """The correct answer of the case, in float64."""
    wide = {key: value.astype(np.float64) for key, value in data.items() if isinstance(value, np.ndarray)}
    if case.kind == "matmul":
        return [wide["a"] @ wide["b"]]
    if case.kind == "unary":
        return [UNARY_REFERENCE[case.params["op"]](wide["x"])]
    if case.kind == "binary":
        return [BINARY_REFERENCE[case.params["op"]](wide["a"], wide["b"])]
    if case.kind in ("add_returned", "add_recorded"):
        return [wide["a"] + wide["b"]]
    if case.kind == "softmax":
        return [np.exp(net_reference.log_softmax(wide["x"]))]
    if case.kind == "recommender":
        return [recommender.losses(case.params, data, CHECKED_STEPS)]
    if case.kind in ("sequence", "conv_step"):
        parameters = [p.astype(np.float64) for p in data["parameters"]]
        batches = [(wide["x"], data["targets"])] * CHECKED_STEPS
        gradient = (sequence_reference if case.kind == "sequence" else convolutions).gradient
        return [np.array(net_reference.train(case.params, parameters, batches, gradient_of=gradient))]
    return _expected_net_answer(case, data)


def _expected_net_answer(case: Case, data: Inputs) -> list[Array]:
    p, x = case.params, data["x"]
    parameters = [parameter.astype(np.float64) for parameter in data["parameters"]]
    targets = data["targets"] if p["loss"] == "cross entropy" else data["targets"].astype(np.float64)
    if case.kind == "layers_step":
        return [np.array(layers_reference.losses(p, parameters, x.astype(np.float64), targets, CHECKED_STEPS))]
    if case.kind in ("forward", "predict"):
        return [net_reference.forward(p, parameters, x.astype(np.float64))[-1]]
    if case.kind == "gradient":
        loss, gradients = net_reference.gradient(p, parameters, x.astype(np.float64), targets)
        return [np.array(loss), *gradients]
    if "orders" not in data:
        return [np.array(net_reference.train(p, parameters, [(x.astype(np.float64), targets)] * CHECKED_STEPS))]
    orders = data["orders"][: checked_epochs(case, data)]
    batches = (
        (x[rows].astype(np.float64), targets[rows]) for order in orders for rows in minibatches(order, p["batch"])
    )
    losses = np.reshape(net_reference.train(p, parameters, batches, data["rates"][0]), (len(orders), -1))
    return [np.array([mean_loss(part, len(x), p["batch"]) for part in losses])]


def checked_epochs(case: Case, data: Inputs) -> int:
    """The number of epochs whose mean loss is checked: one, or as many as make CHECKED_STEPS updates."""
    return min(len(data["orders"]), -(-CHECKED_STEPS // steps_of_epoch(case, data)))


def steps_of_epoch(case: Case, data: Inputs) -> int:
    return len(minibatches(data["orders"][0], case.params["batch"]))


def minibatches(order: Array, batch: int) -> list[Array]:
    """The rows of every step; the last step may have fewer."""
    return [order[start : start + batch] for start in range(0, len(order), batch)]


def part_of_epoch(case: Case, data: Inputs) -> tuple[Array, int]:
    """The first LOOP_STEPS steps' rows and their number of steps, for contenders that loop over steps in Python."""
    batch = case.params["batch"]
    rows = data["orders"][0][: LOOP_STEPS * batch]
    return rows, len(minibatches(rows, batch))


def mean_loss(losses: Sequence[float] | Array, rows: int, batch: int) -> float:
    """The mean over rows of the losses of `minibatches`."""
    sizes = np.full(len(losses), min(batch, rows), np.float64)
    sizes[-1] = rows - batch * (len(losses) - 1)
    return float(np.asarray(losses, np.float64) @ sizes / rows)


def tolerance(case: Case) -> float:
    return {"epoch": EPOCH_TOLERANCE, "run": RUN_TOLERANCE}.get(case.kind, TOLERANCE[case.dtype])


def error(case: Case, answer: list[Array], expected: list[Array]) -> float:
    """Largest error relative to the largest expected value, over all arrays; infinite if shapes differ."""
    if [np.shape(a) for a in answer] != [e.shape for e in expected]:
        return float("inf")
    worst = 0.0
    for a, e in zip(answer, expected, strict=True):
        scale = max(float(np.abs(e).max()), 1e-30)
        distance = float(np.abs(np.asarray(a, np.float64) - e).max()) / scale
        worst = max(worst, float("inf") if np.isnan(distance) else distance)
    return worst

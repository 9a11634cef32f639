"""NumPy: ufuncs and matmul with `out`; hand-written nets with preallocated buffers."""

from __future__ import annotations

import numpy as np

from bench.cases import Case
from bench.problems import CHECKED_STEPS, Array, Inputs, checked_epochs, mean_loss, minibatches, output, part_of_epoch
from bench.runners._numpy_nets import net_of, softmax
from bench.runners.base import Call, NotOfferedError, Runner


class NumpyRunner(Runner):
    module = "numpy"

    def matmul(self, case: Case, data: Inputs) -> Call:
        out = output((case.params["m"], case.params["n"]), case.dtype)
        return Call(np.matmul, (data["a"], data["b"], out), answer=lambda: [out])

    def unary(self, case: Case, data: Inputs) -> Call:
        x, op = data["x"], case.params["op"]
        out = output(x.shape, case.dtype)
        if op == "copy":
            return Call(np.copyto, (out, x), answer=lambda: [out])
        if op == "relu":  # with an array of zeros, twice as fast as with a scalar
            return Call(np.maximum, (x, np.zeros_like(x)), {"out": out}, answer=lambda: [out])
        if op in ("exp", "tanh", "log", "cos"):
            return Call(getattr(np, op), (x, out), answer=lambda: [out])
        if op in ("erf", "gelu"):
            raise NotOfferedError("NumPy has no erf")
        functions = {"sigmoid": _sigmoid, "softplus": _softplus, "selu": _selu}
        return Call(functions[op], (x, out), answer=lambda: [out])

    def binary(self, case: Case, data: Inputs) -> Call:
        out = output(data["a"].shape, case.dtype)
        return Call(getattr(np, case.params["op"]), (data["a"], data["b"], out), answer=lambda: [out])

    def add_returned(self, case: Case, data: Inputs) -> Call:
        a, b = data["a"], data["b"]
        return Call(np.add, (a, b), answer=lambda: [np.add(a, b)])

    def softmax(self, case: Case, data: Inputs) -> Call:
        x = data["x"]
        out = output(x.shape, case.dtype)
        column = np.empty((x.shape[0], 1), x.dtype)
        return Call(softmax, (x, out, column), answer=lambda: [out])

    def forward(self, case: Case, data: Inputs) -> Call:
        net = net_of(case, data)
        return Call(net.forward, answer=lambda: [net.forward()])

    def gradient(self, case: Case, data: Inputs) -> Call:
        net = net_of(case, data)
        return Call(net.gradient, answer=lambda: [np.array(net.gradient()), *net.gradients])

    def step(self, case: Case, data: Inputs) -> Call:
        net = net_of(case, data)

        def answer() -> list[Array]:
            net.reset()
            return [np.array([net.step() for _ in range(CHECKED_STEPS)])]

        return Call(net.step, answer=answer, reset=net.reset)

    eager = step

    def epoch(self, case: Case, data: Inputs) -> Call:
        """The first steps of an epoch: in a Python loop every step costs the same."""
        net, batch = net_of(case, data), case.params["batch"]

        def epoch(order: Array) -> list[float]:
            return [net.step_on(data["x"], data["targets"], rows) for rows in minibatches(order, batch)]

        def answer() -> list[Array]:
            net.reset()
            orders = data["orders"][: checked_epochs(case, data)]
            return [np.array([mean_loss(epoch(order), len(order), batch) for order in orders])]

        part, steps = part_of_epoch(case, data)
        return Call(epoch, (part,), answer=answer, reset=net.reset, steps=steps)

    def predict(self, case: Case, data: Inputs) -> Call:
        return self.forward(case, data)


def _sigmoid(x: Array, out: Array) -> None:
    np.negative(x, out)
    np.exp(out, out)
    np.add(out, 1, out)
    np.divide(1, out, out)


def _softplus(x: Array, out: Array) -> None:
    np.logaddexp(x.dtype.type(0), x, out)


def _selu(x: Array, out: Array) -> None:
    np.minimum(x, 0, out=out)
    np.expm1(out, out)
    np.multiply(out, np.float32(1.6732632), out)
    np.maximum(out, x, out=out, where=x > 0)
    np.multiply(out, np.float32(1.0507010), out)

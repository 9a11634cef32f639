"""NumPy: ufuncs and matmul with `out`; nets as one writes them by hand, every buffer allocated once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.cases import Case
from bench.problems import CHECKED_STEPS, LEARNING_RATE, MOMENTUM, Array, Inputs, output, placed
from bench.runners.base import Call, Runner


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
        if op == "relu":  # against an array of zeros: twice as fast as against a scalar
            return Call(np.maximum, (x, np.zeros_like(x)), {"out": out}, answer=lambda: [out])
        if op in ("exp", "tanh", "log"):
            return Call(getattr(np, op), (x, out), answer=lambda: [out])
        return Call({"sigmoid": _sigmoid, "softplus": _softplus}[op], (x, out), answer=lambda: [out])

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
        return Call(_softmax, (x, out, column), answer=lambda: [out])

    def forward(self, case: Case, data: Inputs) -> Call:
        net = HandWrittenNet(case, data)
        return Call(net.forward, answer=lambda: [net.forward()])

    def gradient(self, case: Case, data: Inputs) -> Call:
        net = HandWrittenNet(case, data)
        return Call(net.gradient, answer=lambda: [np.array(net.gradient()), *net.gradients])

    def step(self, case: Case, data: Inputs) -> Call:
        net = HandWrittenNet(case, data)

        def answer() -> list[Array]:
            net.reset()
            return [np.array([net.step() for _ in range(CHECKED_STEPS)])]

        return Call(net.step, answer=answer, reset=net.reset)


def _sigmoid(x: Array, out: Array) -> None:
    np.negative(x, out)
    np.exp(out, out)
    np.add(out, 1, out)
    np.divide(1, out, out)


def _softplus(x: Array, out: Array) -> None:
    np.logaddexp(x.dtype.type(0), x, out)


def _softmax(x: Array, out: Array, column: Array) -> None:
    np.max(x, axis=1, keepdims=True, out=column)
    np.subtract(x, column, out)
    np.exp(out, out)
    np.sum(out, axis=1, keepdims=True, out=column)
    np.divide(out, column, out)


class HandWrittenNet:
    """Forward, backward and update in place; nothing is allocated after construction but the loss."""

    def __init__(self, case: Case, data: Inputs) -> None:
        self.initial: list[Array] = data["parameters"]
        self.parameters = [placed(p) for p in self.initial]
        self.velocity = [np.zeros_like(p) for p in self.initial]
        self.gradients = [np.zeros_like(p) for p in self.initial]
        self.scratch = [np.empty_like(p) for p in self.initial]
        batch, widths = case.params["batch"], case.params["widths"]
        self.values = [data["x"], *(np.empty((batch, w), np.float32) for w in widths[1:])]
        self.deltas = [np.empty((batch, w), np.float32) for w in widths]
        self.zeros = np.zeros(batch * max(widths), np.float32)
        self.column = np.empty((batch, 1), np.float32)
        self.labels, self.rows = data["labels"], np.arange(batch)
        self.relu = case.params["activation"] == "relu"
        self.activate: Callable[[Array], Any] = self._relu if self.relu else self._tanh

    def _relu(self, x: Array) -> None:
        np.maximum(x, self.zeros[: x.size].reshape(x.shape), out=x)

    @staticmethod
    def _tanh(x: Array) -> None:
        np.tanh(x, x)

    def reset(self) -> None:
        for p, start, v in zip(self.parameters, self.initial, self.velocity, strict=True):
            p[...] = start
            v[...] = 0

    def forward(self) -> Array:
        last = len(self.values) - 2
        for i in range(last + 1):
            y = self.values[i + 1]
            np.matmul(self.values[i], self.parameters[2 * i], y)
            np.add(y, self.parameters[2 * i + 1], y)
            if i < last:
                self.activate(y)
        logits: Array = self.values[-1]
        return logits

    def gradient(self) -> float:
        logits, g = self.forward(), self.deltas[-1]
        _softmax(logits, g, self.column)
        loss = -float(np.log(g[self.rows, self.labels]).mean())
        g[self.rows, self.labels] -= 1
        np.divide(g, np.float32(len(self.rows)), g)
        for i in range(len(self.values) - 2, -1, -1):
            value = self.values[i]
            np.matmul(value.T, g, self.gradients[2 * i])
            np.sum(g, axis=0, out=self.gradients[2 * i + 1])
            if i == 0:
                break
            below = self.deltas[i]
            np.matmul(g, self.parameters[2 * i].T, below)
            if self.relu:
                np.multiply(below, value > 0, below)
            else:
                np.multiply(value, value, value)
                np.subtract(1, value, value)
                np.multiply(below, value, below)
            g = below
        return loss

    def step(self) -> float:
        loss = self.gradient()
        for p, v, g, s in zip(self.parameters, self.velocity, self.gradients, self.scratch, strict=True):
            np.multiply(v, np.float32(MOMENTUM), v)
            np.add(v, g, v)
            np.multiply(v, np.float32(LEARNING_RATE), s)
            np.subtract(p, s, p)
        return loss

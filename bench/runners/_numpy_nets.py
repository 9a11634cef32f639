"""Hand-written NumPy nets: forward, backward and update in preallocated buffers; a step allocates only the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.cases import Case
from bench.net_reference import DIRECTION, LEARNING_RATE, MOMENTUM
from bench.problems import Array, Inputs, at_page_offset


def net_of(case: Case, data: Inputs) -> HandWrittenNet:
    """The class for the loss of the case."""
    return {"cross entropy": CrossEntropyNet, "mse": MseNet, "pinn": PinnNet}[case.params["loss"]](case, data)


def softmax(x: Array, out: Array, column: Array) -> None:
    np.max(x, axis=1, keepdims=True, out=column)
    np.subtract(x, column, out)
    np.exp(out, out)
    np.sum(out, axis=1, keepdims=True, out=column)
    np.divide(out, column, out)


class HandWrittenNet:
    """The part that all losses share; a subclass computes the loss and its gradient from the outputs."""

    def __init__(self, case: Case, data: Inputs) -> None:
        self.initial: list[Array] = data["parameters"]
        self.parameters = [at_page_offset(p) for p in self.initial]
        self.velocity = [np.zeros_like(p) for p in self.initial]
        self.gradients = [np.zeros_like(p) for p in self.initial]
        self.scratch = [np.empty_like(p) for p in self.initial]
        self.batch, self.widths = case.params["batch"], case.params["widths"]
        self.targets = data["targets"][: self.batch]
        self.values = [data["x"][: self.batch].copy(), *self._buffers()[1:]]
        self.deltas = self._buffers()
        self.zeros = np.zeros(self.batch * max(self.widths), np.float32)
        self.column, self.rows = np.empty((self.batch, 1), np.float32), np.arange(self.batch)
        self.relu = case.params["activation"] == "relu"
        self.activate: Callable[[Array], Any] = self._relu if self.relu else self._tanh

    def _buffers(self) -> list[Array]:
        return [np.empty((self.batch, width), np.float32) for width in self.widths]

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
        outputs: Array = self.values[-1]
        return outputs

    def loss(self, outputs: Array, g: Array) -> float:
        """Write the gradient by the outputs into g."""
        raise NotImplementedError

    def gradient(self) -> float:
        g = self.deltas[-1]
        loss = self.loss(self.forward(), g)
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

    def step_on(self, x: Array, targets: Array, rows: Array) -> float:
        """A step on the minibatch of these row indices."""
        np.take(x, rows, axis=0, out=self.values[0], mode="clip")
        self.targets = targets[rows]
        return self.step()


class CrossEntropyNet(HandWrittenNet):
    def loss(self, outputs: Array, g: Array) -> float:
        softmax(outputs, g, self.column)
        loss = -float(np.log(g[self.rows, self.targets]).mean())
        g[self.rows, self.targets] -= 1
        np.divide(g, np.float32(self.batch), g)
        return loss


class MseNet(HandWrittenNet):
    def loss(self, outputs: Array, g: Array) -> float:
        np.subtract(outputs, self.targets, g)
        loss = float(np.dot(g.ravel(), g.ravel())) / g.size
        np.multiply(g, np.float32(2 / g.size), g)
        return loss


class PinnNet(HandWrittenNet):
    """Propagates the derivative of u along DIRECTION forward as a tangent; one backward pass for both. Tanh only."""

    def __init__(self, case: Case, data: Inputs) -> None:
        super().__init__(case, data)
        self.tangents, self.slopes, self.deltas_of_tangents = self._buffers(), self._buffers(), self._buffers()
        self.tangents[0][...] = np.array(DIRECTION, np.float32)
        self.product = [np.empty_like(p) for p in self.initial]

    def forward(self) -> Array:
        last = len(self.values) - 2
        for i in range(last + 1):
            y, t, slope = self.values[i + 1], self.tangents[i + 1], self.slopes[i + 1]
            np.matmul(self.values[i], self.parameters[2 * i], y)
            np.add(y, self.parameters[2 * i + 1], y)
            np.matmul(self.tangents[i], self.parameters[2 * i], t)
            if i < last:
                np.tanh(y, y)
                np.multiply(y, y, slope)
                np.subtract(1, slope, slope)
                np.multiply(t, slope, t)
        outputs: Array = self.values[-1]
        return outputs

    def gradient(self) -> float:
        u, g, g_t = self.forward(), self.deltas[-1], self.deltas_of_tangents[-1]
        np.multiply(u, u, g_t)
        np.add(g_t, self.tangents[-1], g_t)
        loss = float(np.dot(g_t.ravel(), g_t.ravel())) / g_t.size
        np.multiply(g_t, np.float32(2 / g_t.size), g_t)
        np.multiply(g_t, u, g)
        np.multiply(g, 2, g)
        for i in range(len(self.values) - 2, -1, -1):
            weight = self.gradients[2 * i]
            np.matmul(self.values[i].T, g, weight)
            np.matmul(self.tangents[i].T, g_t, self.product[2 * i])
            np.add(weight, self.product[2 * i], weight)
            np.sum(g, axis=0, out=self.gradients[2 * i + 1])
            if i == 0:
                break
            g, g_t = self._backward_layer(i, g, g_t)
        return loss

    def _backward_layer(self, i: int, g: Array, g_t: Array) -> tuple[Array, Array]:
        """The gradients with respect to the pre-activations of layer i - 1; overwrites the layer's values."""
        below, below_t, slope, value = self.deltas[i], self.deltas_of_tangents[i], self.slopes[i], self.values[i]
        np.matmul(g, self.parameters[2 * i].T, below)
        np.matmul(g_t, self.parameters[2 * i].T, below_t)
        np.multiply(below, slope, below)
        np.multiply(value, self.tangents[i], value)
        np.multiply(value, below_t, value)
        np.multiply(value, 2, value)
        np.subtract(below, value, below)
        np.multiply(below_t, slope, below_t)
        return below, below_t

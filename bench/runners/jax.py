"""JAX: everything under `jit`, state donated, the clock stopped when the result is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.cases import Case
from bench.problems import CHECKED_STEPS, LEARNING_RATE, MOMENTUM, Array, Inputs
from bench.runners.base import Call, NotOfferedError, Runner


class JaxRunner(Runner):
    module = "jax"

    def __init__(self, threads: int) -> None:
        super().__init__(threads)  # its pool takes as many threads as the process may use CPUs
        self.lib.config.update("jax_platforms", "cpu")
        self.lib.config.update("jax_enable_x64", True)
        self.np = self.lib.numpy

    def _jitted(self, function: Callable[..., Any], *arrays: Array) -> Call:
        jitted, args = self.lib.jit(function), tuple(self.lib.device_put(a) for a in arrays)

        def call(*args: Any) -> Any:
            return jitted(*args).block_until_ready()

        return Call(call, args, answer=lambda: [np.asarray(jitted(*args))])

    def matmul(self, case: Case, data: Inputs) -> Call:
        a, b = data["a"], data["b"]
        layout = case.params["layout"]
        if layout == "nn":
            return self._jitted(self.np.matmul, a, b)
        # JAX holds arrays in C order; the transpose belongs inside, where the compiler absorbs it.
        if layout == "tn":
            return self._jitted(lambda t, b: self.np.matmul(t.T, b), a.T, b)
        return self._jitted(lambda a, t: self.np.matmul(a, t.T), a, b.T)

    def unary(self, case: Case, data: Inputs) -> Call:
        op = case.params["op"]
        if op == "copy":
            raise NotOfferedError("jit returns its argument")
        functions = {name: getattr(self.np, name) for name in ("exp", "tanh", "log")}
        functions |= {name: getattr(self.lib.nn, name) for name in ("relu", "sigmoid", "softplus")}
        return self._jitted(functions[op], data["x"])

    def binary(self, case: Case, data: Inputs) -> Call:
        return self._jitted(getattr(self.np, case.params["op"]), data["a"], data["b"])

    def add_returned(self, case: Case, data: Inputs) -> Call:
        return self._jitted(self.np.add, data["a"], data["b"])

    def softmax(self, case: Case, data: Inputs) -> Call:
        return self._jitted(self.lib.nn.softmax, data["x"])

    def forward(self, case: Case, data: Inputs) -> Call:
        parameters = [self.lib.device_put(p) for p in data["parameters"]]
        model = self._model(case)
        x = self.lib.device_put(data["x"])
        jitted = self.lib.jit(model)
        return Call(
            lambda: jitted(parameters, x).block_until_ready(), answer=lambda: [np.asarray(jitted(parameters, x))]
        )

    def gradient(self, case: Case, data: Inputs) -> Call:
        x, labels = self.lib.device_put(data["x"]), self.lib.device_put(data["labels"].astype(np.int32))
        parameters = [self.lib.device_put(p) for p in data["parameters"]]
        jitted = self.lib.jit(self.lib.value_and_grad(self._loss(case)))

        def answer() -> list[Array]:
            loss, gradients = jitted(parameters, x, labels)
            return [np.asarray(loss), *map(np.asarray, gradients)]

        return Call(lambda: self.lib.block_until_ready(jitted(parameters, x, labels)), answer=answer)

    def step(self, case: Case, data: Inputs) -> Call:
        training = JittedTraining(self.lib, self._loss(case), data)

        def answer() -> list[Array]:
            training.reset()
            return [np.array([float(training.step()) for _ in range(CHECKED_STEPS)])]

        return Call(training.step, answer=answer, reset=training.reset)

    def _model(self, case: Case) -> Callable[[list[Any], Any], Any]:
        activate = self.lib.nn.relu if case.params["activation"] == "relu" else self.np.tanh

        def model(parameters: list[Any], x: Any) -> Any:
            for i in range(0, len(parameters), 2):
                x = x @ parameters[i] + parameters[i + 1]
                x = activate(x) if i + 2 < len(parameters) else x
            return x

        return model

    def _loss(self, case: Case) -> Callable[[list[Any], Any, Any], Any]:
        model = self._model(case)

        def loss(parameters: list[Any], x: Any, labels: Any) -> Any:
            log_p = self.lib.nn.log_softmax(model(parameters, x))
            return -self.np.take_along_axis(log_p, labels[:, None], axis=1).mean()

        return loss


class JittedTraining:
    """One step is one jitted call that takes its own parameters and velocities back (donated)."""

    def __init__(self, jax: Any, loss: Callable[..., Any], data: Inputs) -> None:
        self.jax, self.initial = jax, data["parameters"]
        self.x, self.labels = jax.device_put(data["x"]), jax.device_put(data["labels"].astype(np.int32))
        value_and_grad = jax.value_and_grad(loss)

        def step(parameters: list[Any], velocity: list[Any], x: Any, labels: Any) -> Any:
            value, gradients = value_and_grad(parameters, x, labels)
            velocity = [MOMENTUM * v + g for v, g in zip(velocity, gradients, strict=True)]
            return value, [p - LEARNING_RATE * v for p, v in zip(parameters, velocity, strict=True)], velocity

        self.jitted = jax.jit(step, donate_argnums=(0, 1))
        self.reset()

    def reset(self) -> None:
        # Copies: a donated buffer must not be the memory of the NumPy array it came from.
        self.parameters = [self.jax.numpy.array(p, copy=True) for p in self.initial]
        self.velocity = [self.jax.numpy.zeros(p.shape, p.dtype) for p in self.initial]

    def step(self) -> Any:
        loss, self.parameters, self.velocity = self.jitted(self.parameters, self.velocity, self.x, self.labels)
        self.jax.block_until_ready(self.parameters)
        return loss

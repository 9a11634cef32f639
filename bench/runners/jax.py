"""JAX: everything under `jit`, with donated state; timed until the result is ready (`block_until_ready`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.cases import Case
from bench.net_reference import LEARNING_RATE, MOMENTUM
from bench.problems import CHECKED_STEPS, Array, Inputs, checked_epochs, mean_loss
from bench.runners._layers_jax import layers_call
from bench.runners.base import Call, NotOfferedError, Runner, Variants
from bench.runners.sequences import jax_loss


class JaxRunner(Runner):
    module = "jax"

    def __init__(self, threads: int) -> None:
        super().__init__(threads)  # its thread pool is sized by the affinity mask
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
        # JAX arrays are in C order; the transpose is part of the jitted function, where the compiler fuses it.
        if layout == "tn":
            return self._jitted(lambda t, b: self.np.matmul(t.T, b), a.T, b)
        return self._jitted(lambda a, t: self.np.matmul(a, t.T), a, b.T)

    def unary(self, case: Case, data: Inputs) -> Call:
        op = case.params["op"]
        if op == "copy":
            raise NotOfferedError("jit returns its argument")
        functions = {name: getattr(self.np, name) for name in ("exp", "tanh", "log", "cos")}
        functions |= {name: getattr(self.lib.nn, name) for name in ("relu", "sigmoid", "softplus", "selu")}
        functions |= {"erf": self.lib.scipy.special.erf, "gelu": lambda x: self.lib.nn.gelu(x, approximate=False)}
        return self._jitted(functions[op], data["x"])

    def binary(self, case: Case, data: Inputs) -> Call:
        return self._jitted(getattr(self.np, case.params["op"]), data["a"], data["b"])

    def add_returned(self, case: Case, data: Inputs) -> Call:
        return self._jitted(self.np.add, data["a"], data["b"])

    def softmax(self, case: Case, data: Inputs) -> Call:
        return self._jitted(self.lib.nn.softmax, data["x"])

    def forward(self, case: Case, data: Inputs) -> Call:
        parameters = [self.lib.device_put(p) for p in data["parameters"]]
        x, jitted = self.lib.device_put(data["x"]), self.lib.jit(self._model(case))
        return Call(
            lambda: jitted(parameters, x).block_until_ready(), answer=lambda: [np.asarray(jitted(parameters, x))]
        )

    def predict(self, case: Case, data: Inputs) -> Variants:
        """With the parameters as arguments, or as constants."""
        parameters = [self.lib.device_put(p) for p in data["parameters"]]
        return {
            "argument": lambda: self.forward(case, data),
            "constants": lambda: self._jitted(lambda x: self._model(case)(parameters, x), data["x"]),
        }

    def gradient(self, case: Case, data: Inputs) -> Call:
        x, labels = self._rows(data)
        parameters = [self.lib.device_put(p) for p in data["parameters"]]
        jitted = self.lib.jit(self.lib.value_and_grad(self._loss(case)))

        def answer() -> list[Array]:
            loss, gradients = jitted(parameters, x, labels)
            return [np.asarray(loss), *map(np.asarray, gradients)]

        return Call(lambda: self.lib.block_until_ready(jitted(parameters, x, labels)), answer=answer)

    def sequence(self, case: Case, data: Inputs) -> Variants:
        """With one, four or all steps of the scan in its body."""

        def build(unroll: int) -> Call:
            return self._step_call(jax_loss(self.lib, case, unroll), data)

        if case.params["net"] == "transformer":
            return {"": lambda: build(1)}
        found: Variants = {"scan": lambda: build(1), "scan of 4": lambda: build(4)}
        return found | ({"unrolled": lambda: build(case.params["steps"])} if self.thorough else {})

    def step(self, case: Case, data: Inputs) -> Call:
        return self._step_call(self._loss(case), data)

    def _step_call(self, loss: Callable[..., Any], data: Inputs) -> Call:
        training = JittedTraining(self.lib, loss, data)
        x, targets = self._rows(data)

        def answer() -> list[Array]:
            training.reset()
            return [np.array([float(training.step(x, targets)) for _ in range(CHECKED_STEPS)])]

        return Call(training.step, (x, targets), answer=answer, reset=training.reset)

    def layers_step(self, case: Case, data: Inputs) -> Call:
        return layers_call(self.lib, case, data, *self._rows(data))

    def epoch(self, case: Case, data: Inputs) -> Variants:
        """All epochs in one call, a scan over their minibatches."""
        batch = case.params["batch"]
        batches = self.lib.device_put(data["orders"].reshape(-1, batch).astype(np.int32))
        x, targets = self._rows(data)

        def build(gather_first: bool) -> Call:
            training = JittedTraining(self.lib, self._loss(case), data, gather_first)
            rate = training.rate(data["rates"][0])

            def answer() -> list[Array]:
                training.reset()
                losses = np.asarray(training.scan(x, targets, batches, rate)).reshape(len(data["orders"]), -1)
                return [np.array([part.mean(dtype=np.float64) for part in losses[: checked_epochs(case, data)]])]

            call = (x, targets, batches, rate)
            return Call(training.scan, call, answer=answer, reset=training.reset, steps=len(batches))

        variants = {"gather inside": lambda: build(False), "gather first": lambda: build(True)}
        return variants if self.thorough else {"gather inside": variants["gather inside"]}

    def run(self, case: Case, data: Inputs) -> Call:
        """A scan per epoch and a step on the remaining rows."""
        batch, rows = case.params["batch"], len(data["x"])
        training = JittedTraining(self.lib, self._loss(case), data)
        rates = [training.rate(rate) for rate in data["rates"]]
        orders, full = data["orders"].astype(np.int32), rows // batch * batch
        batches = [self.lib.device_put(order[:full].reshape(-1, batch)) for order in orders]
        remainders = [self.lib.device_put(order[full:]) for order in orders]
        x, targets = self._rows(data)

        def epoch(i: int) -> list[Any]:
            losses = [training.scan(x, targets, batches[i], rates[i])]
            return losses + (
                [training.step_on(x, targets, remainders[i], rates[i])[None]] if remainders[i].size else []
            )

        def answer() -> list[Array]:
            training.reset()
            losses = [
                np.concatenate([np.asarray(part) for part in epoch(i)]) for i in range(checked_epochs(case, data))
            ]
            return [np.array([mean_loss(part, rows, batch) for part in losses])]

        def trained() -> list[Array]:
            return [np.asarray(p) for p in training.parameters]

        def run() -> None:
            for i in range(len(rates)):
                epoch(i)

        return Call(run, answer=answer, reset=training.reset, trained=trained)

    def _rows(self, data: Inputs) -> tuple[Any, Any]:
        targets = data["targets"]
        return self.lib.device_put(data["x"]), self.lib.device_put(
            targets.astype(np.int32) if targets.dtype.kind == "i" else targets
        )

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

        def cross_entropy(parameters: list[Any], x: Any, labels: Any) -> Any:
            log_p = self.lib.nn.log_softmax(model(parameters, x))
            return -self.np.take_along_axis(log_p, labels[:, None], axis=1).mean()

        def mse(parameters: list[Any], x: Any, targets: Any) -> Any:
            return self.np.square(model(parameters, x) - targets).mean()

        def pinn(parameters: list[Any], x: Any, _: Any) -> Any:
            # One forward pass for u and its derivatives: a quarter faster than jax.grad with a second forward pass.
            u, pullback = self.lib.vjp(lambda x: model(parameters, x), x)
            (slope,) = pullback(self.np.ones_like(u))
            return self.np.square(slope[:, :1] - 0.1 * slope[:, 1:] + u * u).mean()

        return {"cross entropy": cross_entropy, "mse": mse, "pinn": pinn}[case.params["loss"]]


class JittedTraining:
    """Jitted calls of one training step or a scan of steps; parameters and velocities are donated to each call."""

    def __init__(self, jax: Any, loss: Callable[..., Any], data: Inputs, gather_first: bool = False) -> None:
        self.jax, self.initial = jax, data["parameters"]
        value_and_grad = jax.value_and_grad(loss)

        def update(state: Any, x: Any, targets: Any, rate: Any) -> Any:
            parameters, velocity = state
            value, gradients = value_and_grad(parameters, x, targets)
            velocity = [MOMENTUM * v + g for v, g in zip(velocity, gradients, strict=True)]
            return ([p - rate * v for p, v in zip(parameters, velocity, strict=True)], velocity), value

        def scan(state: Any, x: Any, targets: Any, batches: Any, rate: Any) -> Any:
            if gather_first:
                gathered = (x[batches], targets[batches])
                return jax.lax.scan(lambda state, rows: update(state, rows[0], rows[1], rate), state, gathered)
            return jax.lax.scan(lambda state, rows: update(state, x[rows], targets[rows], rate), state, batches)

        self._step = jax.jit(lambda state, x, targets: update(state, x, targets, LEARNING_RATE), donate_argnums=0)
        self._step_on = jax.jit(
            lambda state, x, targets, rows, rate: update(state, x[rows], targets[rows], rate), donate_argnums=0
        )
        self._scan = jax.jit(scan, donate_argnums=0)
        self.reset()

    def rate(self, value: float) -> Any:
        return self.jax.numpy.asarray(value, self.initial[0].dtype)

    def reset(self) -> None:
        # Copies: a donated buffer must not share the memory of a NumPy array.
        parameters = [self.jax.numpy.array(p, copy=True) for p in self.initial]
        self.state = self.jax.block_until_ready((parameters, [self.jax.numpy.zeros_like(p) for p in parameters]))

    @property
    def parameters(self) -> list[Any]:
        found: list[Any] = self.state[0]
        return found

    def step(self, x: Any, targets: Any) -> Any:
        return self._replace_state(self._step(self.state, x, targets))

    def step_on(self, *arguments: Any) -> Any:
        """A step on a minibatch; arguments: x, targets, rows, rate."""
        return self._replace_state(self._step_on(self.state, *arguments))

    def scan(self, *arguments: Any) -> Any:
        """The losses of a step on each minibatch; arguments: x, targets, batches, rate."""
        return self._replace_state(self._scan(self.state, *arguments))

    def _replace_state(self, result: Any) -> Any:
        self.state, losses = result
        self.jax.block_until_ready(self.state)
        return losses

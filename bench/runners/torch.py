"""PyTorch: with `out` and in inference mode for everything but gradients; nets eager, traced and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench import recommender
from bench.cases import Case
from bench.net_reference import LEARNING_RATE, MOMENTUM
from bench.problems import CHECKED_STEPS, Array, Inputs, checked_epochs, mean_loss, output, part_of_epoch
from bench.runners._layers import LayersTraining, layers_call
from bench.runners.base import Call, Runner, Variants
from bench.runners.sequences import sequence_model

WARM_UP = 5


class TorchRunner(Runner):
    module = "torch"

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.lib.set_num_threads(threads)

    def _out(self, function: Any, args: tuple[object, ...], out: Any) -> Call:
        return Call(function, args, {"out": out}, answer=lambda: [out.numpy()], context=self.lib.inference_mode)

    def _output(self, *shape: int, dtype: str = "float32") -> Any:
        return self.lib.from_numpy(output(shape, dtype))

    def matmul(self, case: Case, data: Inputs) -> Call:
        a, b = self.lib.from_numpy(data["a"]), self.lib.from_numpy(data["b"])
        out = self._output(case.params["m"], case.params["n"], dtype=case.dtype)
        return self._out(self.lib.matmul, (a, b), out)

    def unary(self, case: Case, data: Inputs) -> Call:
        x, op = self.lib.from_numpy(data["x"]), case.params["op"]
        out = self._output(*x.shape, dtype=case.dtype)
        if op == "copy":
            return Call(out.copy_, (x,), answer=lambda: [out.numpy()], context=self.lib.inference_mode)
        if op == "relu":  # torch.relu has no `out`; clamp_min has, computes the same and is as fast
            return self._out(self.lib.clamp_min, (x, 0.0), out)
        if op in ("softplus", "gelu"):
            return self._out(getattr(self.lib._C._nn, op), (x,), out)
        if op == "selu":  # it has no `out`; elu with its two constants has
            return self._out(self.lib._C._nn.elu, (x, 1.6732632423543772, 1.0507009873554805), out)
        return self._out(getattr(self.lib, op), (x,), out)

    def binary(self, case: Case, data: Inputs) -> Call:
        a, b = self.lib.from_numpy(data["a"]), self.lib.from_numpy(data["b"])
        out = self._output(*a.shape, dtype=case.dtype)
        return self._out(getattr(self.lib, case.params["op"]), (a, b), out)

    def add_returned(self, case: Case, data: Inputs) -> Call:
        a, b = self.lib.from_numpy(data["a"]), self.lib.from_numpy(data["b"])
        return Call(self.lib.add, (a, b), answer=lambda: [self.lib.add(a, b).numpy()], context=self.lib.inference_mode)

    def add_recorded(self, case: Case, data: Inputs) -> Call:
        a, b = self.lib.from_numpy(data["a"]), self.lib.from_numpy(data["b"])
        a.requires_grad_(True)
        return Call(self.lib.add, (a, b), answer=lambda: [self.lib.add(a, b).detach().numpy()])

    def softmax(self, case: Case, data: Inputs) -> Call:
        x = self.lib.from_numpy(data["x"])
        out = self._output(*x.shape)
        return self._out(self.lib.softmax, (x, 1), out)

    def forward(self, case: Case, data: Inputs) -> Call:
        model, x = self._model(case, data), self.lib.from_numpy(data["x"])
        return Call(model, (x,), answer=lambda: [model(x).numpy()], context=self.lib.inference_mode)

    def predict(self, case: Case, data: Inputs) -> Variants:
        x, context = self.lib.from_numpy(data["x"]), self.lib.inference_mode

        def build(variant: Callable[[Any], Any]) -> Call:
            model = self._model(case, data).eval()
            with context():
                model = variant(model)
                for _ in range(WARM_UP):  # a traced model is optimised during its first calls
                    model(x)
            return Call(model, (x,), answer=lambda: [model(x).numpy()], context=context)

        jit = self.lib.jit
        variants = {
            "eager": lambda: build(lambda model: model),
            "jit": lambda: build(lambda model: jit.optimize_for_inference(jit.freeze(jit.trace(model, x)))),
            "compile": lambda: build(self._compiled),
        }
        return variants if self.thorough else without(variants, "compile")

    def gradient(self, case: Case, data: Inputs) -> Call:
        model, x, labels = self._model(case, data), self.lib.from_numpy(data["x"]), self.lib.from_numpy(data["targets"])
        loss_of, parameters = self.lib.nn.functional.cross_entropy, list(model.parameters())

        def gradient() -> Any:
            loss = loss_of(model(x), labels)
            return loss, self.lib.autograd.grad(loss, parameters)

        def answer() -> list[Array]:
            loss, gradients = gradient()
            return [loss.detach().numpy(), *(g.numpy().T for g in gradients)]

        return Call(gradient, answer=answer)

    def eager(self, case: Case, data: Inputs) -> Variants:
        return without(self.step(case, data), "compile")

    def step(self, case: Case, data: Inputs) -> Variants:
        """With a fused optimizer or not, with a compiled loss or not."""
        return self._variants(case, data, Training.step_call)

    def layers_step(self, case: Case, data: Inputs) -> Variants:
        x, targets = (self.lib.from_numpy(data[name]) for name in ("x", "targets"))

        def copy_weights(linear: Any, weight: Array, bias: Array) -> None:
            with self.lib.no_grad():
                linear.weight.copy_(self.lib.from_numpy(weight.T if weight.ndim == 2 else weight))
                linear.bias.copy_(self.lib.from_numpy(bias))

        def build(fused: bool | None, compiled: bool = False, memory_format: Any = None) -> Call:
            def training(dropout: float) -> LayersTraining:
                made = LayersTraining(self.lib, case, data, copy_weights, dropout, fused=fused)
                if memory_format is not None:
                    made.model.to(memory_format=memory_format)
                model, loss_of = made.model, made.loss_of
                if compiled:
                    whole = self._compiled(lambda x, targets: loss_of(model(x), targets))
                    made.model, made.loss_of = (lambda x: x), whole
                    made.reset = lambda: None
                return made

            rows = x if memory_format is None else x.contiguous(memory_format=memory_format)
            return layers_call(training, lambda made: made.step, case, rows, targets)

        variants = {
            "eager": lambda: build(None),
            "eager, fused": lambda: build(True),
            "compile": lambda: build(True, True),
        }
        if case.kind == "conv_step":
            last = self.lib.channels_last
            variants |= {
                "channels_last": lambda: build(True, False, last),
                "channels_last, compile": lambda: build(True, True, last),
            }
        return variants if self.thorough else without(variants, "compile")

    conv_step = layers_step

    def recommender(self, case: Case, data: Inputs) -> Variants:
        """With sparse gradients or dense ones, whose update is fused."""

        def build(sparse: bool, compiled: bool = False) -> Call:
            return Recommender(self, case, data, sparse, compiled).call()

        variants = {
            "sparse": lambda: build(True),
            "dense, fused": lambda: build(False),
            "dense, fused, compile": lambda: build(False, True),
        }
        return variants if self.thorough else without(variants, "dense, fused, compile")

    def epoch(self, case: Case, data: Inputs) -> Variants:
        """The usual Python loop, over the first steps of an epoch: every step costs the same."""
        return self._variants(case, data, Training.epoch_call)

    def run(self, case: Case, data: Inputs) -> Variants:
        return without(self._variants(case, data, Training.run_call), "compile")

    def sequence(self, case: Case, data: Inputs) -> Variants:
        return self._variants(case, data, Training.step_call)

    def _variants(self, case: Case, data: Inputs, call: Callable[[Training], Call]) -> Variants:
        def build(fused: bool, compiled: bool = False) -> Call:
            return call(Training(self, case, data, fused, compiled))

        variants = {
            "eager": lambda: build(False),
            "eager, fused": lambda: build(True),
            "compile": lambda: build(True, True),
        }
        return variants if self.thorough else without(variants, "compile")

    def _compiled(self, function: Any) -> Any:
        self.lib.compiler.reset()  # otherwise it falls back to eager mode after too many recompilations
        return self.lib.compile(function)

    def _model(self, case: Case, data: Inputs) -> Any:
        nn, layers = self.lib.nn, []
        if case.kind == "sequence":
            model = sequence_model(nn, case)
            with self.lib.no_grad():
                for p, value in zip(model.parameters(), data["parameters"], strict=True):
                    p.copy_(self.lib.from_numpy(value.T))
            return model
        for weight, bias in zip(data["parameters"][::2], data["parameters"][1::2], strict=True):
            linear = nn.Linear(*weight.shape)
            with self.lib.no_grad():
                linear.weight.copy_(self.lib.from_numpy(weight.T))
                linear.bias.copy_(self.lib.from_numpy(bias))
            layers += [linear, nn.ReLU() if case.params["activation"] == "relu" else nn.Tanh()]
        return nn.Sequential(*layers[:-1])

    def _loss(self, case: Case, model: Any) -> Callable[[Any, Any], Any]:
        functional, autograd = self.lib.nn.functional, self.lib.autograd

        def pinn(x: Any, _: Any) -> Any:
            x = x.detach().requires_grad_()
            u = model(x)
            (slope,) = autograd.grad(u.sum(), x, create_graph=True)
            return (slope[:, :1] - 0.1 * slope[:, 1:] + u * u).square().mean()

        return {
            "cross entropy": lambda x, targets: functional.cross_entropy(model(x), targets),
            "mse": lambda x, targets: functional.mse_loss(model(x), targets),
            "pinn": pinn,
        }[case.params.get("loss", "cross entropy")]


def without(variants: Variants, name: str) -> Variants:
    return {variant: build for variant, build in variants.items() if not variant.endswith(name)}


class Recommender:
    """Two tables and a net; the tables' gradients are sparse or dense."""

    def __init__(self, runner: TorchRunner, case: Case, data: Inputs, sparse: bool, compiled: bool) -> None:
        torch, nn, name = runner.lib, runner.lib.nn, case.params["optimizer"]
        self.torch, values = torch, [torch.from_numpy(value) for value in data["parameters"]]
        self.tables = [nn.Embedding.from_pretrained(v.clone(), freeze=False, sparse=sparse) for v in values[:2]]
        self.net = nn.Sequential(nn.Linear(*values[2].shape), nn.ReLU(), nn.Linear(case.params["hidden"], 1))
        self.start = [*values[:2], *(v.T if v.ndim == 2 else v for v in values[2:])]
        self.parameters = [table.weight for table in self.tables] + list(self.net.parameters())
        options = recommender.OPTIONS[name]
        dense = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[name]
        by_rows = {"sgd": torch.optim.SGD, "adam": torch.optim.SparseAdam}[name]
        if sparse:
            self.make = lambda: [
                by_rows(self.parameters[:2], **options),
                dense(self.parameters[2:], **options, fused=True),
            ]
        else:
            self.make = lambda: [dense(self.parameters, **options, fused=True)]
        self.optimizers = self.make()
        self.batches = list(zip(*(torch.from_numpy(data[key]) for key in ("users", "items", "ratings")), strict=True))
        self.loss_of = runner._compiled(self.loss) if compiled else self.loss

    def loss(self, users: Any, items: Any, ratings: Any) -> Any:
        rows = self.torch.cat([self.tables[0](users), self.tables[1](items)], 1)
        return self.torch.nn.functional.mse_loss(self.net(rows), ratings)

    def step(self, batch: Any) -> Any:
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss = self.loss_of(*batch)
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        return loss

    def run(self) -> None:
        for batch in self.batches:
            self.step(batch)

    def reset(self) -> None:
        with self.torch.no_grad():
            for p, value in zip(self.parameters, self.start, strict=True):
                p.copy_(value)
        self.optimizers = self.make()

    def call(self) -> Call:
        def answer() -> list[Array]:
            self.reset()
            return [np.array([self.step(self.batches[0]).item() for _ in range(CHECKED_STEPS)])]

        return Call(self.run, answer=answer, reset=self.reset, steps=len(self.batches))


class Training:
    """A model, its loss and its optimizer."""

    def __init__(self, runner: TorchRunner, case: Case, data: Inputs, fused: bool, compiled: bool) -> None:
        self.torch, self.case, self.data = runner.lib, case, data
        self.x, self.targets = (self.torch.from_numpy(data[name]) for name in ("x", "targets"))
        self.model = runner._model(case, data)
        loss = runner._loss(case, self.model)
        self.loss_of = runner._compiled(loss) if compiled else loss
        # Not fused: None, which selects torch's default.
        self.optimizer = self.torch.optim.SGD(
            self.model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, fused=fused or None
        )
        self.start = [p.detach().clone() for p in self.model.parameters()]

    def reset(self) -> None:
        with self.torch.no_grad():
            for p, value in zip(self.model.parameters(), self.start, strict=True):
                p.copy_(value)
        for state in self.optimizer.state.values():
            state["momentum_buffer"].zero_()

    def step(self, x: Any, targets: Any) -> Any:
        self.optimizer.zero_grad()
        loss = self.loss_of(x, targets)
        loss.backward()
        self.optimizer.step()
        return loss

    def epoch(self, order: Any) -> list[Any]:
        losses = []
        for rows in order.split(self.case.params["batch"]):
            losses.append(self.step(self.x[rows], self.targets[rows]).detach())
        return losses

    def trained(self) -> list[Array]:
        values = [p.detach().numpy() for p in self.model.parameters()]
        return [value.T if value.ndim == 2 else value for value in values]

    def step_call(self) -> Call:
        def answer() -> list[Array]:
            self.reset()
            return [np.array([self.step(self.x, self.targets).item() for _ in range(CHECKED_STEPS)])]

        return Call(self.step, (self.x, self.targets), answer=answer, reset=self.reset)

    def epoch_call(self) -> Call:
        rows, steps = part_of_epoch(self.case, self.data)
        return Call(self.epoch, (self.torch.from_numpy(rows),), answer=self._mean_losses, reset=self.reset, steps=steps)

    def run_call(self) -> Call:
        """All epochs, each with its learning rate."""
        orders, rates = self.torch.from_numpy(self.data["orders"]), self.data["rates"]

        def run() -> None:
            for order, rate in zip(orders, rates, strict=True):
                self.optimizer.param_groups[0]["lr"] = rate
                self.epoch(order)

        def reset() -> None:
            self.reset()
            self.optimizer.param_groups[0]["lr"] = rates[0]

        return Call(run, answer=self._mean_losses, reset=reset, trained=self.trained)

    def _mean_losses(self) -> list[Array]:
        self.reset()
        self.optimizer.param_groups[0]["lr"] = self.data["rates"][0]
        orders = self.torch.from_numpy(self.data["orders"][: checked_epochs(self.case, self.data)])
        losses = [[loss.item() for loss in self.epoch(order)] for order in orders]
        return [np.array([mean_loss(part, len(self.x), self.case.params["batch"]) for part in losses])]

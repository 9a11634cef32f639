"""PyTorch: `out` given and inference mode wherever nothing is differentiated; nets eager, traced and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.cases import Case
from bench.net_truth import LEARNING_RATE, MOMENTUM
from bench.problems import CHECKED_STEPS, Array, Inputs, checked_epochs, mean_loss, output, part_of_epoch
from bench.runners.base import Call, Forms, Runner

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
        if op == "relu":  # torch.relu takes no `out`; clamp_min does the same, takes one, and is as fast
            return self._out(self.lib.clamp_min, (x, 0.0), out)
        if op in ("softplus", "gelu"):
            return self._out(getattr(self.lib._C._nn, op), (x,), out)
        if op == "selu":  # it takes no `out`, elu with its two numbers does
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

    def predict(self, case: Case, data: Inputs) -> Forms:
        x, context = self.lib.from_numpy(data["x"]), self.lib.inference_mode

        def build(form: Callable[[Any], Any]) -> Call:
            model = self._model(case, data).eval()
            with context():
                model = form(model)
                for _ in range(WARM_UP):  # a traced model is optimised in its first calls
                    model(x)
            return Call(model, (x,), answer=lambda: [model(x).numpy()], context=context)

        jit = self.lib.jit
        forms = {
            "eager": lambda: build(lambda model: model),
            "jit": lambda: build(lambda model: jit.optimize_for_inference(jit.freeze(jit.trace(model, x)))),
            "compile": lambda: build(self._compiled),
        }
        return forms if self.thorough else without(forms, "compile")

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

    def eager(self, case: Case, data: Inputs) -> Forms:
        return without(self.step(case, data), "compile")

    def step(self, case: Case, data: Inputs) -> Forms:
        """The optimizer fused or not, the loss compiled or not."""
        return self._forms(case, data, Training.step_call)

    def epoch(self, case: Case, data: Inputs) -> Forms:
        """The usual loop, over a part of an epoch: it costs the same in each step."""
        return self._forms(case, data, Training.epoch_call)

    def run(self, case: Case, data: Inputs) -> Forms:
        return without(self._forms(case, data, Training.run_call), "compile")

    def _forms(self, case: Case, data: Inputs, call: Callable[[Training], Call]) -> Forms:
        def build(fused: bool, compiled: bool = False) -> Call:
            return call(Training(self, case, data, fused, compiled))

        forms = {
            "eager": lambda: build(False),
            "eager, fused": lambda: build(True),
            "compile": lambda: build(True, True),
        }
        return forms if self.thorough else without(forms, "compile")

    def _compiled(self, function: Any) -> Any:
        self.lib.compiler.reset()  # it gives up on a function that it has compiled for too many nets
        return self.lib.compile(function)

    def _model(self, case: Case, data: Inputs) -> Any:
        nn, layers = self.lib.nn, []
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
        }[case.params["loss"]]


def without(forms: Forms, name: str) -> Forms:
    return {form: build for form, build in forms.items() if form != name}


class Training:
    """A model, its loss and its optimizer."""

    def __init__(self, runner: TorchRunner, case: Case, data: Inputs, fused: bool, compiled: bool) -> None:
        self.torch, self.case, self.data = runner.lib, case, data
        self.x, self.targets = (self.torch.from_numpy(data[name]) for name in ("x", "targets"))
        self.model = runner._model(case, data)
        loss = runner._loss(case, self.model)
        self.loss_of = runner._compiled(loss) if compiled else loss
        # Not fused: None, for which it takes its own default.
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
        """All epochs, each with its rate."""
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

"""PyTorch, eager: `out` given and inference mode wherever nothing is differentiated."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.cases import Case
from bench.problems import CHECKED_STEPS, LEARNING_RATE, MOMENTUM, Array, Inputs, output
from bench.runners.base import Call, Runner


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
        if op == "softplus":
            return self._out(self.lib._C._nn.softplus, (x,), out)
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

    def gradient(self, case: Case, data: Inputs) -> Call:
        model, x, labels = self._model(case, data), self.lib.from_numpy(data["x"]), self.lib.from_numpy(data["labels"])
        loss_of, parameters = self.lib.nn.functional.cross_entropy, list(model.parameters())

        def gradient() -> Any:
            loss = loss_of(model(x), labels)
            return loss, self.lib.autograd.grad(loss, parameters)

        def answer() -> list[Array]:
            loss, gradients = gradient()
            return [loss.detach().numpy(), *(g.numpy().T for g in gradients)]

        return Call(gradient, answer=answer)

    def step(self, case: Case, data: Inputs) -> Call:
        model, x, labels = self._model(case, data), self.lib.from_numpy(data["x"]), self.lib.from_numpy(data["labels"])
        loss_of = self.lib.nn.functional.cross_entropy
        optimizer = self.lib.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, fused=True)
        start = [p.detach().clone() for p in model.parameters()]

        def reset() -> None:
            with self.lib.no_grad():
                for p, value in zip(model.parameters(), start, strict=True):
                    p.copy_(value)
            for state in optimizer.state.values():
                state["momentum_buffer"].zero_()

        def step() -> Any:
            optimizer.zero_grad()
            loss = loss_of(model(x), labels)
            loss.backward()
            optimizer.step()
            return loss

        def answer() -> list[Array]:
            reset()
            return [np.array([step().item() for _ in range(CHECKED_STEPS)])]

        return Call(step, answer=answer, reset=reset)

    def _model(self, case: Case, data: Inputs) -> Any:
        nn, layers = self.lib.nn, []
        for weight, bias in zip(data["parameters"][::2], data["parameters"][1::2], strict=True):
            linear = nn.Linear(*weight.shape)
            with self.lib.no_grad():
                linear.weight.copy_(self.lib.from_numpy(weight.T))
                linear.bias.copy_(self.lib.from_numpy(bias))
            layers += [linear, nn.ReLU() if case.params["activation"] == "relu" else nn.Tanh()]
        return nn.Sequential(*layers[:-1])

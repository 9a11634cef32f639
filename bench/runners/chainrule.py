"""chainrule: kernels through the lowest entry of its core; nets as a user writes them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from bench.cases import Case
from bench.problems import CHECKED_STEPS, LEARNING_RATE, MOMENTUM, Array, Inputs, output
from bench.runners.base import Call, NotOfferedError, Runner


class ChainruleRunner(Runner):
    module = "chainrule"

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.lib.set_num_threads(threads)
        self.core: Any = self.lib._core

    def version(self) -> str:
        return f"{self.lib.__version__} {self.lib.active_isa()}"

    def peak(self, seconds: float) -> float | None:
        measure = getattr(self.core, "fma_peak", None)
        return None if measure is None else float(measure(seconds))

    def matmul(self, case: Case, data: Inputs) -> Call:
        out = output((case.params["m"], case.params["n"]), case.dtype)
        return Call(self.core.matmul, (data["a"], data["b"], out), answer=lambda: [out])

    def unary(self, case: Case, data: Inputs) -> Call:
        if case.params["op"] == "copy":
            raise NotOfferedError("copies are NumPy's")
        out = output(data["x"].shape, case.dtype)
        return Call(self.core.unary, (case.params["op"], data["x"], out), answer=lambda: [out])

    def binary(self, case: Case, data: Inputs) -> Call:
        out = output(data["a"].shape, case.dtype)
        return Call(self.core.binary, (case.params["op"], data["a"], data["b"], out), answer=lambda: [out])

    def add_returned(self, case: Case, data: Inputs) -> Call:
        a, b = self.lib.tensor(data["a"]), self.lib.tensor(data["b"])
        return Call(self.lib.add, (a, b), answer=lambda: [self.lib.add(a, b).numpy()], context=self.lib.no_grad)

    def add_recorded(self, case: Case, data: Inputs) -> Call:
        a, b = self.lib.tensor(data["a"], requires_grad=True), self.lib.tensor(data["b"])
        return Call(self.lib.add, (a, b), answer=lambda: [self.lib.add(a, b).detach().numpy()])

    def softmax(self, case: Case, data: Inputs) -> Call:
        x = self.lib.tensor(data["x"])
        return Call(self.lib.softmax, (x,), answer=lambda: [self.lib.softmax(x).numpy()], context=self.lib.no_grad)

    def forward(self, case: Case, data: Inputs) -> Call:
        model, x = self._model(case, data), self.lib.tensor(data["x"])
        return Call(model, (x,), answer=lambda: [model(x).numpy()], context=self.lib.no_grad)

    def gradient(self, case: Case, data: Inputs) -> Call:
        model, x, labels = self._model(case, data), self.lib.tensor(data["x"]), self.lib.tensor(data["labels"])

        def gradient() -> Any:
            model.zero_grad()
            loss = self.lib.cross_entropy(model(x), labels)
            loss.backward()
            return loss

        def answer() -> list[Array]:
            loss = gradient()
            return [np.asarray(loss.item()), *(np.asarray(p.grad) for p in model.parameters())]

        return Call(gradient, answer=answer)

    def step(self, case: Case, data: Inputs) -> Call:
        model, x, labels = self._model(case, data), self.lib.tensor(data["x"]), self.lib.tensor(data["labels"])
        optimizer = self.lib.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
        fresh = optimizer.state_dict()

        def reset() -> None:
            self._set(model, data)
            optimizer.load_state_dict(fresh)

        def step() -> Any:
            optimizer.zero_grad()
            loss = self.lib.cross_entropy(model(x), labels)
            loss.backward()
            optimizer.step()
            return loss

        def answer() -> list[Array]:
            reset()
            return [np.array([step().item() for _ in range(CHECKED_STEPS)])]

        return Call(step, answer=answer, reset=reset)

    def _model(self, case: Case, data: Inputs) -> Any:
        nn, layers = self.lib.nn, []
        for fan_in, fan_out in pairwise(case.params["widths"]):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU() if case.params["activation"] == "relu" else nn.Tanh()]
        model = nn.Sequential(*layers[:-1])
        self._set(model, data)
        return model

    @staticmethod
    def _set(model: Any, data: Inputs) -> None:
        for parameter, value in zip(model.parameters(), data["parameters"], strict=True):
            parameter.copy_(value)

"""scikit-learn: its MLP through the public methods."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np

from bench.cases import Case
from bench.problems import CHECKED_STEPS, LEARNING_RATE, MOMENTUM, Array, Inputs
from bench.runners.base import Call, NotOfferedError, Runner


class SklearnRunner(Runner):
    module = "sklearn"

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.networks: Any = importlib.import_module("sklearn.neural_network")
        warnings.simplefilter("ignore")

    def forward(self, case: Case, data: Inputs) -> Call:
        """A regressor: its outputs are the logits, whatever the number of classes."""
        model = self.networks.MLPRegressor(**self._options(case))
        model.partial_fit(data["x"], np.zeros((case.params["batch"], case.params["widths"][-1]), np.float32))
        self._set(model, data)
        return Call(model.predict, (data["x"],), answer=lambda: [model.predict(data["x"])])

    def step(self, case: Case, data: Inputs) -> Call:
        classes = case.params["widths"][-1]
        if classes == 2:
            raise NotOfferedError("two classes are one logistic output here")
        model = self.networks.MLPClassifier(
            solver="sgd",
            learning_rate_init=LEARNING_RATE,
            momentum=MOMENTUM,
            nesterovs_momentum=False,
            batch_size=case.params["batch"],
            alpha=0.0,
            shuffle=False,
            **self._options(case),
        )
        model.partial_fit(data["x"], data["labels"], classes=np.arange(classes))

        def reset() -> None:
            self._set(model, data)
            for velocity in model._optimizer.velocities:
                velocity[...] = 0

        def step() -> float:
            model.partial_fit(data["x"], data["labels"])
            return float(model.loss_)

        def answer() -> list[Array]:
            reset()
            return [np.array([step() for _ in range(CHECKED_STEPS)])]

        return Call(step, answer=answer, reset=reset)

    @staticmethod
    def _options(case: Case) -> dict[str, Any]:
        return {"hidden_layer_sizes": case.params["widths"][1:-1], "activation": case.params["activation"]}

    @staticmethod
    def _set(model: Any, data: Inputs) -> None:
        """Overwrite the weights in place: the optimizer holds the same arrays."""
        for layer, (weight, bias) in enumerate(zip(data["parameters"][::2], data["parameters"][1::2], strict=True)):
            model.coefs_[layer][...] = weight
            model.intercepts_[layer][...] = bias

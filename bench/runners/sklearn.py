"""scikit-learn: its MLP estimators through their public methods."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np

from bench.cases import Case
from bench.net_reference import LEARNING_RATE, MOMENTUM
from bench.problems import CHECKED_STEPS, Array, Inputs, checked_epochs, steps_of_epoch
from bench.runners.base import Call, NotOfferedError, Runner


class SklearnRunner(Runner):
    module = "sklearn"

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self.networks: Any = importlib.import_module("sklearn.neural_network")
        warnings.simplefilter("ignore")

    def forward(self, case: Case, data: Inputs) -> Call:
        """A regressor, whose outputs are the logits for any number of classes."""
        model = self.networks.MLPRegressor(**self._options(case))
        width = case.params["widths"][-1]
        zeros = np.zeros((case.params["batch"], width), np.float32)
        model.partial_fit(data["x"], zeros.ravel() if width == 1 else zeros)
        self._set(model, data)

        def answer() -> list[Array]:
            return [np.reshape(model.predict(data["x"]), (-1, width))]

        return Call(model.predict, (data["x"],), answer=answer)

    predict = forward

    def step(self, case: Case, data: Inputs) -> Call:
        model, scale = self._trainable(case, data)
        partial_fit, x, targets = self._partial_fit(model, data)

        def step() -> None:
            partial_fit(x, targets)

        def reset() -> None:
            self._reset(model, data)

        def answer() -> list[Array]:
            reset()
            losses = []
            for _ in range(CHECKED_STEPS):
                step()
                losses.append(scale * model.loss_)
            return [np.array(losses)]

        return Call(step, answer=answer, reset=reset)

    def epoch(self, case: Case, data: Inputs) -> Call:
        """One epoch on rows in its order: every epoch costs the same."""
        model, scale = self._trainable(case, data)
        partial_fit, x, targets = self._partial_fit(model, data)
        order = data["orders"][0]

        def epoch(order: Array) -> float:
            partial_fit(x[order], targets[order])
            return float(scale * model.loss_)

        def reset() -> None:
            self._reset(model, data)

        def answer() -> list[Array]:
            reset()
            return [np.array([epoch(order) for order in data["orders"][: checked_epochs(case, data)]])]

        steps = steps_of_epoch(case, data)
        return Call(epoch, (order,), answer=answer, reset=reset, steps=steps)

    def run(self, case: Case, data: Inputs) -> Call:
        """`fit` from the same weights, with its own row orders; the learning rate stays that of the first epoch."""
        model, _ = self._trainable(case, data, data["rates"][0])
        epochs, x, labels = len(data["rates"]), data["x"], data["targets"]
        model.set_params(max_iter=epochs, warm_start=True, tol=0.0, n_iter_no_change=epochs + 1, random_state=0)

        def reset() -> None:
            self._set(model, data)
            model.set_params(shuffle=True, max_iter=epochs)

        def answer() -> list[Array]:
            reset()  # one epoch, in the same row order as the other contenders
            model.set_params(shuffle=False, max_iter=1)
            order = data["orders"][0]
            model.fit(x[order], labels[order])
            return [np.array([model.loss_curve_[-1]])]

        def trained() -> list[Array]:
            return [array for layer in zip(model.coefs_, model.intercepts_, strict=True) for array in layer]

        return Call(model.fit, (x, labels), answer=answer, reset=reset, trained=trained)

    def _trainable(self, case: Case, data: Inputs, rate: float = LEARNING_RATE) -> tuple[Any, float]:
        """An estimator with the weights of the case, and the factor that scales its loss to the case's."""
        if case.params["loss"] == "pinn":
            raise NotOfferedError("no custom losses")
        if case.params["loss"] == "cross entropy" and case.params["widths"][-1] == 2:
            raise NotOfferedError("two classes are modelled by one logistic output")
        regression = case.params["loss"] == "mse"  # its loss is half the mean square: doubling the rate compensates
        scale = 2.0 if regression else 1.0
        estimator = self.networks.MLPRegressor if regression else self.networks.MLPClassifier
        model = estimator(
            solver="sgd",
            learning_rate_init=scale * rate,
            momentum=MOMENTUM,
            nesterovs_momentum=False,
            batch_size=min(case.params["batch"], len(data["x"])),
            alpha=0.0,
            shuffle=False,
            **self._options(case),
        )
        partial_fit, x, targets = self._partial_fit(model, data)
        if regression:
            partial_fit(x, targets)
        else:
            partial_fit(x, targets, classes=np.arange(case.params["widths"][-1]))
        self._reset(model, data)
        return model, scale

    @staticmethod
    def _partial_fit(model: Any, data: Inputs) -> tuple[Any, Array, Array]:
        """The method and its arguments: rows, and targets as a vector."""
        targets = data["targets"]
        return model.partial_fit, data["x"], targets.ravel() if targets.ndim == 2 else targets

    @staticmethod
    def _options(case: Case) -> dict[str, Any]:
        return {"hidden_layer_sizes": case.params["widths"][1:-1], "activation": case.params["activation"]}

    def _reset(self, model: Any, data: Inputs) -> None:
        self._set(model, data)
        for velocity in model._optimizer.velocities:
            velocity[...] = 0

    @staticmethod
    def _set(model: Any, data: Inputs) -> None:
        """Overwrite the weights in place, because the optimizer refers to the same arrays."""
        for layer, (weight, bias) in enumerate(zip(data["parameters"][::2], data["parameters"][1::2], strict=True)):
            model.coefs_[layer][...] = weight
            model.intercepts_[layer][...] = bias

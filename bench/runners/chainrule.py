"""chainrule: kernels through the core's lowest-level functions; nets through the public API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from bench import recommender
from bench.cases import Case
from bench.net_reference import LEARNING_RATE, MOMENTUM
from bench.problems import CHECKED_STEPS, SEED, Array, Inputs, checked_epochs, output, steps_of_epoch
from bench.runners._layers import LayersTraining, Steps, layers_call
from bench.runners.base import Call, NotOfferedError, Runner, Variants
from bench.runners.sequences import sequence_model


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
            raise NotOfferedError("copies are done by NumPy")
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

    def predict(self, case: Case, data: Inputs) -> Variants:
        """A call of the predictor, or of its `predict` method, which is implemented in C++."""

        def build(function: Callable[[Any], Any]) -> Call:
            predictor = self.lib.Predictor(self._model(case, data))
            out = output((case.params["batch"], case.params["widths"][-1]), case.dtype)
            return Call(function(predictor), (data["x"],), {"out": out}, answer=lambda: [out])

        return {
            "call": lambda: build(lambda predictor: predictor),
            "method": lambda: build(lambda predictor: predictor.predict),
        }

    def gradient(self, case: Case, data: Inputs) -> Call:
        model, x, labels = self._model(case, data), self.lib.tensor(data["x"]), self.lib.tensor(data["targets"])

        def gradient() -> Any:
            model.zero_grad()
            loss = self.lib.cross_entropy(model(x), labels)
            loss.backward()
            return loss

        def answer() -> list[Array]:
            loss = gradient()
            return [np.asarray(loss.item()), *(np.asarray(p.grad) for p in model.parameters())]

        return Call(gradient, answer=answer)

    def eager(self, case: Case, data: Inputs) -> Call:
        training = Training(self, case, data)
        return training.call(training.step, self.lib.tensor(data["x"]), self.lib.tensor(data["targets"]))

    def step(self, case: Case, data: Inputs) -> Call:
        training = Training(self, case, data)
        return training.call(self.lib.compile(training.step), data["x"], data["targets"])

    def layers_step(self, case: Case, data: Inputs) -> Call:
        def copy_weights(linear: Any, weight: Array, bias: Array) -> None:
            linear.weight.copy_(weight)
            linear.bias.copy_(bias)

        def build(dropout: float) -> LayersTraining:
            return LayersTraining(self.lib, case, data, copy_weights, dropout)

        return layers_call(build, lambda made: self.lib.compile(made.step), case, data["x"], data["targets"])

    conv_step = layers_step

    def recommender(self, case: Case, data: Inputs) -> Call:
        """Tables that are updated by rows."""
        lib, nn = self.lib, self.lib.nn
        tables = [nn.Embedding.from_pretrained(table, freeze=False, sparse=True) for table in data["parameters"][:2]]
        net = nn.Sequential(nn.Linear(*data["parameters"][2].shape), nn.ReLU(), nn.Linear(case.params["hidden"], 1))
        parameters = [tables[0].weight, tables[1].weight, *net.parameters()]
        kind = {"sgd": lib.optim.SGD, "adam": lib.optim.Adam}[case.params["optimizer"]]
        optimizer = kind(parameters, **recommender.OPTIONS[case.params["optimizer"]])
        initial_state = optimizer.state_dict()

        @lib.compile  # type: ignore[untyped-decorator]
        def step(users: Any, items: Any, ratings: Any) -> Any:
            optimizer.zero_grad()
            rows = lib.concatenate([tables[0](users), tables[1](items)], axis=1)
            loss = lib.mse_loss(net(rows), ratings)
            loss.backward()
            optimizer.step()
            return loss

        batches = list(zip(data["users"], data["items"], data["ratings"], strict=True))

        def run() -> None:
            for batch in batches:
                step(*batch)

        def reset() -> None:
            for parameter, value in zip(parameters, data["parameters"], strict=True):
                parameter.copy_(value)
            optimizer.load_state_dict(initial_state)

        def answer() -> list[Array]:
            reset()
            return [np.array([step(*batches[0]).item() for _ in range(CHECKED_STEPS)])]

        return Call(run, answer=answer, reset=reset, steps=len(batches))

    def sequence(self, case: Case, data: Inputs) -> Call:
        model = sequence_model(self.lib.nn, case)
        set_parameters(model, data)
        training = Training(self, case, data, model)
        return training.call(self.lib.compile(training.step), data["x"], data["targets"])

    def epoch(self, case: Case, data: Inputs) -> Variants:
        """A `Trainer` whose step is compiled beforehand, as in JAX; and a complete `fit`, including compilation."""
        return {"Trainer": lambda: self._trainer(case, data), "fit": lambda: self._fit(case, data)}

    def run(self, case: Case, data: Inputs) -> Call:
        return replace(self._fit(case, data), steps=1)

    def _trainer(self, case: Case, data: Inputs) -> Call:
        training, orders = Training(self, case, data), data["orders"]
        trainer = self.lib.Trainer(
            training.model,
            data["x"],
            data["targets"],
            loss=training.loss_of,
            optimizer=training.optimizer,
            batch_size=case.params["batch"],
            seed=SEED,
        )

        def train(epochs: int = len(orders)) -> list[float]:
            return [trainer.run_epoch() for _ in range(epochs)]

        def reset() -> None:
            training.reset()
            trainer.next_epoch = 0

        def answer() -> list[Array]:
            reset()
            return [np.array(train(checked_epochs(case, data)))]

        return Call(train, answer=answer, reset=reset, steps=len(orders) * steps_of_epoch(case, data))

    def _fit(self, case: Case, data: Inputs) -> Call:
        training, rates = Training(self, case, data), data["rates"]

        def set_rate(history: Any) -> None:
            training.optimizer.lr = rates[min(history.epochs, len(rates) - 1)]

        def fit(epochs: int = len(rates)) -> Any:
            return self.lib.fit(
                training.model,
                data["x"],
                data["targets"],
                loss=training.loss_of,
                optimizer=training.optimizer,
                epochs=epochs,
                batch_size=case.params["batch"],
                seed=SEED,
                progress=False,
                callbacks=(set_rate,) if len(set(rates)) > 1 else (),
            )

        def answer() -> list[Array]:
            training.reset()
            return [np.array(fit(checked_epochs(case, data)).loss)]

        steps = len(rates) * steps_of_epoch(case, data)
        return Call(fit, answer=answer, reset=training.reset, steps=steps, trained=training.trained)

    def _model(self, case: Case, data: Inputs) -> Any:
        nn, layers = self.lib.nn, []
        for fan_in, fan_out in pairwise(case.params["widths"]):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU() if case.params["activation"] == "relu" else nn.Tanh()]
        model = nn.Sequential(*layers[:-1])
        set_parameters(model, data)
        return model


def set_parameters(model: Any, data: Inputs) -> None:
    for parameter, value in zip(model.parameters(), data["parameters"], strict=True):
        parameter.copy_(value)


class Training(Steps):
    """A model, its loss and its optimizer, with the public API."""

    def __init__(self, runner: ChainruleRunner, case: Case, data: Inputs, model: Any = None) -> None:
        lib = runner.lib
        self.data, model = data, runner._model(case, data) if model is None else model
        if case.params.get("loss", "cross entropy") == "cross entropy":
            self.model, self.loss_of = model, lib.nn.CrossEntropyLoss()
        else:
            self.model, self.loss_of = model if case.params["loss"] == "mse" else residual(lib, model), lib.nn.MSELoss()
        self.optimizer = lib.optim.SGD(
            self.model.parameters(), lr=data.get("rates", [LEARNING_RATE])[0], momentum=MOMENTUM
        )
        self.initial_state = self.optimizer.state_dict()

    def reset(self) -> None:
        set_parameters(self.model, self.data)
        self.optimizer.load_state_dict(self.initial_state)

    def call(self, step: Callable[[Any, Any], Any], x: Any, targets: Any) -> Call:
        """Repeated `step` on the same rows."""

        def answer() -> list[Array]:
            self.reset()
            return [np.array([step(x, targets).item() for _ in range(CHECKED_STEPS)])]

        return Call(step, (x, targets), answer=answer, reset=self.reset)

    def trained(self) -> list[Array]:
        return [parameter.numpy() for parameter in self.model.parameters()]


def residual(lib: Any, net: Any) -> Any:
    """A module whose output is the residual of the differential equation of "pinn"; its mean square is the loss."""

    class Residual(lib.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            self.net = net

        def forward(self, x: Any) -> Any:
            def sum_and_values(x: Any) -> Any:
                u = net(x)
                return u.sum(), u

            (_, u), slope = lib.value_and_grad(sum_and_values, has_aux=True)(x)  # one forward pass for u and its slope
            return slope[:, :1] - 0.1 * slope[:, 1:] + u * u

    return Residual()

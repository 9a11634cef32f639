"""Trainings of many kinds that can be stopped before any step and continued from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn, optim

X = cr.random.Generator(seed=1).normal((75, 6))
LABELS = (X[:, 0] * X[:, 1] > 0.2).astype(np.int64)
VALUES = X[:, :2] * X[:, 1:3]
WEIGHTS = cr.random.Generator(seed=2).uniform(51, low=0.5, high=2)
ROWS = 51
EPOCHS = 12


class Steps:
    """Counts steps; raises KeyboardInterrupt in the step with the number `stop`, counted from 0."""

    def __init__(self) -> None:
        self.stop: int | None = None
        self.done = 0

    def begin(self, stop: int | None = None) -> None:
        """Count from 0."""
        self.stop, self.done = stop, 0

    def count(self) -> None:
        """One more step."""
        if self.done == self.stop:
            self.stop = None
            raise KeyboardInterrupt
        self.done += 1


STEPS = Steps()


class Stop(nn.Module):
    """The identity, which counts steps; compiled, those that are traced."""

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        if self.training:
            STEPS.count()
        return x


class Noise(nn.Module):
    """Dropout by the function, from a generator in a list."""

    def __init__(self, generator: cr.random.Generator) -> None:
        self.generators = [generator]

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return cr.dropout(x, 0.2, self.training, self.generators[0])


class Restless(cr.Callback):
    """A callback with state: multiplies the learning rate by a factor that changes at every call."""

    def __init__(self, optimizer: optim.Optimizer) -> None:
        self.optimizer, self.factor = optimizer, 1.0

    def begin(self, model: nn.Module, measures: Any) -> None:
        self.factor = 1.0

    def __call__(self, history: cr.History) -> None:
        self.factor *= 0.9
        self.optimizer.lr *= self.factor

    def state_dict(self) -> dict[str, float]:
        return {"factor": self.factor}

    def load_state_dict(self, state: dict[str, float]) -> None:
        self.factor = state["factor"]


class ScaledLoss(nn.Module):
    """A loss with a parameter that is trained, too."""

    def __init__(self) -> None:
        self.scale = nn.Parameter(np.array([0.5], np.float32))

    def forward(self, prediction: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
        return cr.mse_loss(prediction * self.scale, target)


Options = dict[str, Any]
Schedule = Callable[[optim.Optimizer], Any]


def warm_up(optimizer: optim.Optimizer) -> optim.SequentialLR:
    first = optim.LinearLR(optimizer, start_factor=0.25, total_iters=3)
    return optim.SequentialLR(optimizer, [first, optim.CosineAnnealingLR(optimizer, 9)], milestones=[3])


ADAM: Options = {"optimizer": lambda p: optim.Adam(p, 0.05)}
KINDS: dict[str, Options] = {
    "sgd": {"optimizer": lambda p: optim.SGD(p, 0.3)},
    "momentum": {
        "optimizer": lambda p: optim.SGD(p, 0.1, 0.9, nesterov=True),
        "schedule": lambda o: optim.StepLR(o, 3),
    },
    "adam": {**ADAM, "schedule": lambda o: optim.CosineAnnealingLR(o, 12)},
    "amsgrad": {"optimizer": lambda p: optim.Adam(p, 0.05, amsgrad=True, weight_decay=0.01), "schedule": warm_up},
    "adamw": {"optimizer": lambda p: optim.AdamW(p, 0.05), "schedule": lambda o: optim.ExponentialLR(o, 0.9)},
    "rmsprop": {"optimizer": lambda p: optim.RMSprop(p, 0.02, momentum=0.5, centered=True), "clip_norm": 0.5},
    "adagrad": {"optimizer": lambda p: optim.Adagrad(p, 0.2, lr_decay=0.1), "clip_value": 0.05},
    "groups": {
        "optimizer": lambda p: optim.SGD([{"params": p[:1], "lr": 0.1}, {"params": p[1:]}], 0.3, 0.5),
        "schedule": lambda o: optim.LambdaLR(o, lambda epoch: 1 / (1 + epoch)),
    },
    "plateau": {**ADAM, "schedule": lambda o: optim.ReduceLROnPlateau(o, factor=0.5, patience=0, cooldown=1)},
    "plateau on accuracy": {
        **ADAM,
        "schedule": lambda o: optim.ReduceLROnPlateau(o, "max", 0.5, patience=1, monitor="val_accuracy"),
    },
    "float64": {**ADAM, "dtype": np.float64},
    "sample weights": {**ADAM, "sample_weight": WEIGHTS},
    "micro-batches": {**ADAM, "micro_batch": 3},
    "in order": {**ADAM, "shuffle": False},
    "all rows": {**ADAM, "batch_size": None},
    "single rows": {"optimizer": lambda p: optim.SGD(p, 0.01, 0.9), "batch_size": 1},
    "regression": {**ADAM, "loss": nn.MSELoss(), "metrics": None, "y": VALUES},
    "without validation": {**ADAM, "validation": False, "metrics": None, "stopping": {"monitor": "loss"}},
    "accuracy": {**ADAM, "stopping": {"monitor": "val_accuracy", "mode": "max", "patience": 4}},
    "last weights": {**ADAM, "stopping": {"restore_best": False}},
    "impatient": {**ADAM, "stopping": {"patience": 1, "min_delta": 0.05}},
    "default generator": {**ADAM, "generator": None},
    "two generators": {**ADAM, "noise": Noise},
    "callback with state": {"optimizer": lambda p: optim.SGD(p, 0.3, 0.9), "restless": True},
    "trained loss": {**ADAM, "loss": ScaledLoss, "metrics": None, "y": VALUES},
    "standardized": {**ADAM, "front": True},
}


class Session:
    """A training of one kind; all its parts are new."""

    def __init__(self, kind: str, seed: int = 3, compile: bool = True) -> None:
        self.options = dict(KINDS[kind])
        generator = cr.random.Generator(seed=seed)
        cr.manual_seed(seed)
        dtype = self.options.pop("dtype", np.float32)
        own = self.options.pop("generator", generator)
        noise = self.options.pop("noise", None)
        layers = [
            *([nn.Standardize(6).fit(X[:ROWS])] if self.options.pop("front", False) else []),
            nn.Linear(6, 16, generator=generator, dtype=dtype),
            nn.Tanh(),
            nn.Dropout(0.3, own),
            Stop(),
            *([noise(cr.random.Generator(seed=seed + 1))] if noise else []),
            nn.Linear(16, 2, generator=generator, dtype=dtype),
        ]
        self.model = nn.Sequential(*layers)
        loss = self.options.pop("loss", nn.CrossEntropyLoss())
        self.loss = loss() if isinstance(loss, type) else loss
        trained = [*self.model.parameters(), *(self.loss.parameters() if isinstance(self.loss, ScaledLoss) else ())]
        self.optimizer = self.options.pop("optimizer")(trained)
        schedule = self.options.pop("schedule", None)
        self.schedule = None if schedule is None else schedule(self.optimizer)
        self.stopping = cr.EarlyStopping(**{"patience": 3, **self.options.pop("stopping", {})})
        self.restless = [Restless(self.optimizer)] if self.options.pop("restless", False) else []
        self.history, self.generator, self.compile = cr.History(), generator, compile

    def fit(self, **changed: Any) -> cr.History:
        """Train; `changed` arguments of `cr.fit`."""
        options = dict(self.options)
        y = options.pop("y", LABELS)
        validation = (X[ROWS:], y[ROWS:]) if options.pop("validation", True) else None
        arguments: dict[str, Any] = {
            "loss": self.loss,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "epochs": EPOCHS,
            "batch_size": 8,
            "validation": validation,
            "metrics": ["accuracy"],
            "seed": 4,
            "progress": False,
            "history": self.history,
            "callbacks": [*self.restless, self.stopping],
            "compile": self.compile,
        }
        rows = changed.pop("X", X[:ROWS]), changed.pop("y", y[:ROWS])
        return cr.fit(self.model, *rows, **{**arguments, **options, **changed})

    def stop_before(self, step: int, **changed: Any) -> None:
        """Train up to a step, counted from 0 over all epochs."""
        STEPS.begin(step)
        try:
            self.fit(**changed)
        except KeyboardInterrupt:
            return
        raise AssertionError(f"the training has only {STEPS.done} steps")

    @property
    def parts(self) -> dict[str, Any]:
        """The parts of a checkpoint that `cr.save_checkpoint` writes."""
        named = {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule, "history": self.history}
        named |= {"stopping": self.stopping, "generator": self.generator, "default": cr.random.default_generator()}
        return {name: part for name, part in named.items() if part is not None}

    def result(self) -> dict[str, Any]:
        """All bits of the result that are to be equal."""
        history = {**self.history.state_dict(), "seconds": len(self.history.seconds)}
        del history["position"]
        weights = {name: value.tobytes() for name, value in self.model.state_dict().items()}
        state = {
            name: [None if v is None else v.tobytes() for v in values] if name != "groups" else values
            for name, values in self.optimizer.state_dict().items()
        }
        stopping = (self.stopping.best, self.stopping.best_epoch, self.stopping.stopped)
        loss = [p.numpy().tobytes() for p in self.loss.parameters()]
        streams = (self.generator.stream, cr.random.default_generator().stream)
        return {"weights": weights, "optimizer": state, "history": history, "stopping": stopping, "loss": loss,
                "streams": streams}  # fmt: skip


def whole(kind: str) -> tuple[dict[str, Any], int]:
    """The result of an uninterrupted training and its number of steps."""
    session = Session(kind, compile=False)
    STEPS.begin()
    session.fit()
    return session.result(), STEPS.done


def from_checkpoint(kind: str, path: Path, **changed: Any) -> dict[str, Any]:
    """The result of a new session, with other initial weights, that goes on from the checkpoint."""
    session = Session(kind, seed=17)
    session.fit(checkpoint=path, resume=True, **changed)
    return session.result()

"""The solvers' optimizers with scikit-learn's schedules of the learning rate."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from .. import ops
from .._tensor import Tensor
from ..optim import SGD, Adam

__all__ = ["Rates"]

_SMALLEST = 1e-6  # learning rate of "adaptive"


class Rates:
    """An optimizer and its learning rate, which changes between epochs.

    scikit-learn's velocity contains the rate of its own step: it is rescaled when the rate changes.
    """

    def __init__(self, estimator: Any, parameters: list[Tensor]) -> None:
        self.schedule = estimator.learning_rate if estimator.solver == "sgd" else "constant"
        self.initial, self.power = float(estimator.learning_rate_init), float(estimator.power_t)
        self._options = _options(estimator)
        self._state: dict[str, Any] | None = None
        self.optimizer: SGD | Adam
        self.bind(parameters)

    def bind(self, parameters: list[Tensor]) -> None:
        """Continue on these parameters."""
        state = self._state
        if state is None and "optimizer" in vars(self):
            state = self.optimizer.state_dict()
        kind, options = self._options
        self.optimizer = kind(parameters, lr=self.initial, **options)
        if state is not None:
            self.optimizer.load_state_dict(state)
        self._state = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the optimizer, whose parameters belong to the net."""
        state = {**vars(self), "_state": self._state or self.optimizer.state_dict()}
        state.pop("optimizer", None)
        return state

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self.optimizer.lr)

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        before = self.optimizer.lr
        if rate == before:
            return
        state = self.optimizer.state_dict()
        factor = np.float64(before) / np.float64(rate)
        if state.get("velocity"):
            velocity = [v if v is None else ops.mul(v, v.dtype.type(factor)).numpy() for v in state["velocity"]]
            self.optimizer.load_state_dict({**state, "velocity": velocity})
        self.optimizer.lr = rate

    def end_epoch(self, samples: int) -> None:
        """`samples`: the rows seen so far."""
        if self.schedule == "invscaling":
            self.learning_rate = self.initial / _power(samples + 1.0, self.power)

    def stalled(self) -> str:
        """What happens when nothing improves any more: "" if the rate is reduced, else why training stops."""
        if self.schedule != "adaptive":
            return "Stopping."
        if self.learning_rate <= _SMALLEST:
            return "Learning rate too small. Stopping."
        self.learning_rate = self.learning_rate / 5.0
        return ""


def _options(estimator: Any) -> tuple[Any, dict[str, Any]]:
    if estimator.solver == "adam":
        return Adam, {"betas": (estimator.beta_1, estimator.beta_2), "eps": estimator.epsilon, "eps_hat": True}
    momentum = float(estimator.momentum)
    return SGD, {"momentum": momentum, "nesterov": bool(estimator.nesterovs_momentum) and momentum > 0}


def _power(base: float, power: float) -> float:
    """base**power; roots of IEEE 754 where they suffice, as the usual 1/2."""
    if power in (0.5, 0.25):
        return sqrt(base) if power == 0.5 else sqrt(sqrt(base))
    return float(ops.exp(ops.mul(ops.log(np.float64(base)), np.float64(power))).item())

"""ReduceLROnPlateau: a schedule that follows a measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, Protocol

from ._base import Optimizer
from ._schedules import at_least, check_names, plus, times

__all__ = ["ReduceLROnPlateau"]


class Measured(Protocol):
    """What a schedule reads of the History that `cr.fit` calls it with."""

    @property
    def measures(self) -> Mapping[str, Sequence[float]]:
        """What was measured, by name, once per epoch."""


class ReduceLROnPlateau:
    """Multiply the learning rates by `factor` when a measure has not become better for more than `patience` epochs.

    Better: below best * (1 - threshold) with "min" and "rel", best - threshold with "abs"; with "max" above
    best * (1 + threshold), or best + threshold. After a reduction bad epochs are not counted for `cooldown` epochs.

    Arguments: `optimizer`; `mode`, "min" or "max"; `factor`, below 1; `patience`; `threshold`; `threshold_mode`, "rel"
    or "abs"; `cooldown`; `min_lr`, below which no rate is set; `eps`, changes by no more are not made. Defaults are
    PyTorch's. `monitor` names the measure that `cr.fit(..., schedule=)` passes, as in `cr.EarlyStopping` and
    `History.measures`: "val_loss", "val_accuracy", "loss", ... (default: "val_loss", without validation "loss").
    Errors: TypeError for another optimizer; ValueError for other words and numbers.

    >>> import chainrule as cr
    >>> optimizer = cr.optim.SGD([cr.nn.Parameter([1.0])], lr=0.5)
    >>> schedule = cr.optim.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in (1.0, 0.5, 0.75, 0.75):
    ...     schedule.step(loss)
    >>> optimizer.lr
    0.25
    """

    _STATE = ("last_epoch", "best", "num_bad_epochs", "cooldown_counter")

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
        monitor: str | None = None,
    ) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"ReduceLROnPlateau: expected an optimizer of cr.optim, got {type(optimizer).__name__}")
        if mode not in ("min", "max"):
            raise ValueError(f"ReduceLROnPlateau: mode must be 'min' or 'max', got {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"ReduceLROnPlateau: threshold_mode must be 'rel' or 'abs', got {threshold_mode!r}")
        if at_least(self, 0, factor=factor) >= 1:
            raise ValueError(f"ReduceLROnPlateau: factor must be below 1, got {factor}")
        self.monitor = monitor
        self.optimizer, self.mode, self.factor, self.threshold_mode = optimizer, mode, factor, threshold_mode
        self.patience, self.cooldown = at_least(self, 0, patience=patience), at_least(self, 0, cooldown=cooldown)
        self.threshold, self.eps = at_least(self, 0, threshold=threshold), at_least(self, 0, eps=eps)
        self.min_lr = at_least(self, 0, min_lr=min_lr)
        self.last_epoch = self.num_bad_epochs = self.cooldown_counter = 0
        self.best = inf if mode == "min" else -inf

    def step(self, metric: float) -> None:
        """Look at the measure of an epoch, and reduce the rates where it is time."""
        value = float(metric)
        better = self._is_better(value)
        bad = 0 if better or self.cooldown_counter > 0 else self.num_bad_epochs + 1
        waits = max(self.cooldown_counter - 1, 0)
        if bad > self.patience:
            self.optimizer._change([{"lr": self._reduced(group["lr"])} for group in self.optimizer.param_groups])
            bad, waits = 0, self.cooldown
        self.last_epoch += 1
        self.best = value if better else self.best
        self.num_bad_epochs, self.cooldown_counter = bad, waits

    def _is_better(self, value: float) -> bool:
        if abs(self.best) == inf:
            return value < self.best if self.mode == "min" else value > self.best
        sign = -1.0 if self.mode == "min" else 1.0
        change = times(sign, self.threshold)
        bound = times(self.best, plus(1.0, change)) if self.threshold_mode == "rel" else plus(self.best, change)
        return value < bound if self.mode == "min" else value > bound

    def _reduced(self, rate: float) -> float:
        new = max(times(rate, self.factor), self.min_lr)
        return new if plus(rate, -new) > self.eps else rate

    def __call__(self, history: Measured) -> None:
        """What `cr.fit` does after every epoch: a step with the measure that is followed."""
        measures = history.measures
        name = self.monitor or ("val_loss" if measures["val_loss"] else "loss")
        if not measures.get(name):
            there = ", ".join(name for name, values in measures.items() if values)
            raise ValueError(f"ReduceLROnPlateau: there is no measure {name!r}; available measures: {there}")
        self.step(measures[name][-1])

    def get_last_lr(self) -> list[float]:
        """Return the rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return what the next steps depend on besides the optimizer."""
        return {name: getattr(self, name) for name in self._STATE}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned; ValueError naming what is missing, nothing changes then."""
        check_names(state, self._STATE)
        for name in self._STATE:
            setattr(self, name, state[name])

"""ReduceLROnPlateau: a schedule that monitors a metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, Protocol

from ._base import Optimizer
from ._schedules import at_least, check_names, check_optimizer, plus, times

__all__ = ["ReduceLROnPlateau"]


class Measured(Protocol):
    """The part of `cr.History` that a schedule reads."""

    @property
    def measures(self) -> Mapping[str, Sequence[float]]:
        """The curves by name, one value per epoch."""


class ReduceLROnPlateau:
    """Multiply the learning rates by `factor` when a metric has not improved for more than `patience` epochs.

    Improved means: below best - threshold * |best| with "min" and "rel", or best - threshold with "abs"; above best +
    threshold * |best| or best + threshold with "max"; NaN never does. The `cooldown` epochs after a reduction never
    count as bad.

    Arguments: `optimizer`; `mode`, "min" or "max"; `factor`, below 1; `patience`; `threshold`; `threshold_mode`, "rel"
    or "abs"; `cooldown`; `min_lr`, a lower bound of the rates; `eps`, smaller changes are skipped. Defaults are
    PyTorch's. `monitor` names the curve that `cr.fit(..., schedule=)` passes, as in `cr.EarlyStopping` and
    `History.measures`: "val_loss", "val_accuracy", "loss", ... (default: "val_loss", without validation "loss").
    Errors: TypeError when `optimizer` is not from `cr.optim`; ValueError for an option out of range.

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
        check_optimizer("ReduceLROnPlateau", optimizer)
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
        """Record the metric of an epoch and reduce the rates when the patience is exhausted."""
        value = float(metric)
        better = self._is_better(value)
        bad = 0 if better or self.cooldown_counter > 0 else self.num_bad_epochs + 1
        cooldown = max(self.cooldown_counter - 1, 0)
        if bad > self.patience:
            self.optimizer._change([{"lr": self._reduced(group["lr"])} for group in self.optimizer.param_groups])
            bad, cooldown = 0, self.cooldown
        self.last_epoch += 1
        self.best = value if better else self.best
        self.num_bad_epochs, self.cooldown_counter = bad, cooldown

    def _is_better(self, value: float) -> bool:
        if abs(self.best) == inf:
            return value < self.best if self.mode == "min" else value > self.best
        sign = -1.0 if self.mode == "min" else 1.0
        if self.threshold_mode == "abs":
            bound = plus(self.best, times(sign, self.threshold))
        else:  # a factor below 1 would bring a negative measure nearer to 0
            bound = times(self.best, plus(1.0, times(-sign if self.best < 0 else sign, self.threshold)))
        return value < bound if self.mode == "min" else value > bound

    def _reduced(self, rate: float) -> float:
        new = max(times(rate, self.factor), self.min_lr)
        return new if plus(rate, -new) > self.eps else rate

    def __call__(self, history: Measured) -> None:
        """Step with the last value of the monitored curve; `cr.fit` calls this after every epoch."""
        measures = history.measures
        name = self.monitor or ("val_loss" if measures["val_loss"] else "loss")
        if not measures.get(name):
            available = ", ".join(name for name, values in measures.items() if values)
            raise ValueError(f"ReduceLROnPlateau: unknown measure {name!r}, expected one of {available}")
        self.step(measures[name][-1])

    def get_last_lr(self) -> list[float]:
        """Return the rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next steps depend on besides the optimizer."""
        return {name: getattr(self, name) for name in self._STATE}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the result of `state_dict`; ValueError naming missing entries, before anything changes."""
        check_names(state, self._STATE)
        for name in self._STATE:
            setattr(self, name, state[name])

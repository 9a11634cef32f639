"""Interfaces of optimizers and schedules; the schedules of a training, those of epochs and those of every step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from .._tensor import Tensor
from ..nn import Module
from ..optim import LRScheduler, ReduceLROnPlateau, StepSchedule
from ._history import History

__all__ = ["Optimizer", "Schedule", "each", "epoch_schedules", "step_schedules"]


class Optimizer(Protocol):
    """The interface of an optimizer for training."""

    params: list[Tensor]

    def step(self) -> None:
        """Update the parameters."""

    def zero_grad(self) -> None:
        """Set the gradients to None."""


class Schedule(Protocol):
    """The interface of a schedule of epochs: `fit` calls it with the History after every epoch."""

    optimizer: Any

    def __call__(self, history: History) -> object:
        """Set the rates of the next epoch."""


def each(schedule: Any) -> list[Any]:
    """Return the schedules of an argument: none, one, or several."""
    return [] if schedule is None else list(schedule) if isinstance(schedule, (list, tuple)) else [schedule]


def epoch_schedules(schedule: Any, optimizer: object, curves: Sequence[str]) -> list[Schedule]:
    """Return the schedules of epochs; ValueError for another optimizer's, and for a curve that is not recorded."""
    every = each(schedule)
    found = [one for one in every if not isinstance(one, StepSchedule)]
    for one in found:
        if one.optimizer is not optimizer:
            raise ValueError("fit: schedule was created for a different optimizer")
        monitor = getattr(one, "monitor", None)
        if monitor is not None and monitor not in curves:
            raise ValueError(f"fit: the schedule monitors {monitor!r}, expected one of {', '.join(curves)}")
        rates = [s for s in every if isinstance(s, StepSchedule) and s.optimizer is optimizer and s.option == "lr"]
        if rates and isinstance(one, (LRScheduler, ReduceLROnPlateau)):
            raise ValueError(f"fit: {type(one).__name__} and StepSchedule both set lr")
    return found


def step_schedules(
    caller: str, schedule: StepSchedule | Sequence[StepSchedule] | None, model: Module, optimizer: object
) -> list[StepSchedule]:
    """Return schedules of every step; an error unless each is of this training, and of an option of its own."""
    found = each(schedule)
    layers = {id(module) for module in model.modules()}
    owners: set[tuple[int, str]] = set()
    for one in found:
        if not isinstance(one, StepSchedule):
            hint = "; call its step() after run_epoch()" if isinstance(one, (LRScheduler, ReduceLROnPlateau)) else ""
            raise TypeError(f"{caller}: schedule must be a cr.optim.StepSchedule, got {type(one).__name__}{hint}")
        if one.optimizer is not None and one.optimizer is not optimizer:
            raise ValueError(f"{caller}: schedule was created for a different optimizer")
        if one.optimizer is None and not all(id(owner.of) in layers for owner in one._owners):
            raise ValueError(f"{caller}: schedule was created for dropout layers of a different model")
        for owner in one._owners:
            key = id(owner.of), one.option
            if key in owners:
                raise ValueError(f"{caller}: two schedules set {one.option}")
            owners.add(key)
    return found

"""Losses that are not finite stop a training before the step that they belong to."""

from __future__ import annotations

from .._tensor import Tensor
from .._util.mode import grad_mode

__all__ = ["NotFiniteError", "require_finite", "stopped"]


class NotFiniteError(FloatingPointError):
    """Raised by a step before it changes anything."""


def require_finite(value: Tensor) -> None:
    """Raise NotFiniteError for a loss that is not finite."""
    grad_mode.executor.check_finite(value, lambda at, number: NotFiniteError(number))


def stopped(caller: str, loss: float, epoch: int, step: int, steps: int | None, what: str = "loss") -> Exception:
    """The error that ends a training, for the index of an epoch and of its step."""
    return FloatingPointError(
        f"{caller}: the {what} is {loss} at epoch {epoch + 1}, step {step + 1} of {steps or 'unknown'}; "
        "the model has the weights of the previous step; try a smaller learning rate or scaled data"
    )

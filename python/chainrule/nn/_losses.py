"""Losses: the ops of the same name as modules with a reduction."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..tensor import Tensor
from ._module import Module

__all__ = ["BCEWithLogitsLoss", "CrossEntropyLoss", "MSELoss"]

_REDUCTIONS = ("mean", "sum", "none")


class _Loss(Module):
    """What the losses share: the reduction."""

    def __init__(self, reduction: str = "mean") -> None:
        if reduction not in _REDUCTIONS:
            raise ValueError(f"{type(self).__name__}: reduction must be mean, sum or none, got {reduction!r}")
        self.reduction = reduction

    def config(self) -> dict[str, Any]:
        return {"reduction": self.reduction}


class MSELoss(_Loss):
    """Squared error, (prediction - target)**2, then the reduction.

    Arguments: `reduction`: "mean" or "sum" over all elements, or "none".
    Input: prediction and target of one shape and dtype; different shapes are an error, never a broadcast.

    >>> import chainrule as cr
    >>> cr.nn.MSELoss()(cr.tensor([1.0, 2.0]), cr.tensor([1.0, 4.0])).item()
    2.0
    """

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        return ops.mse_loss(prediction, target, reduction=self.reduction)


class CrossEntropyLoss(_Loss):
    """Cross entropy of softmax scores, -log(softmax(logits)[label]) per row, then the reduction.

    Arguments: `reduction`: "mean" or "sum" over rows, or "none".
    Input: logits of shape (n, classes), before softmax; labels, integers of shape (n,) from 0 to classes - 1.

    >>> import chainrule as cr
    >>> cr.nn.CrossEntropyLoss()(cr.tensor([[0.0, 0.0]]), cr.tensor([1])).item()
    0.6931471824645996
    """

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ops.cross_entropy(logits, labels, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """Binary cross entropy of scores before the sigmoid, (1 - target) * x + log(1 + exp(-x)), then the reduction.

    Arguments: `reduction`: "mean" or "sum" over all elements, or "none".
    Input: logits and target of one shape and dtype, target from 0 to 1.

    >>> import chainrule as cr
    >>> cr.nn.BCEWithLogitsLoss()(cr.tensor([0.0]), cr.tensor([1.0])).item()
    0.6931471824645996
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return ops.binary_cross_entropy_with_logits(logits, target, reduction=self.reduction)

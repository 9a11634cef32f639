"""The perceptron: a threshold unit, the perceptron learning rule, and the delta rule (gradient descent)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import nn, ops
from .._tensor import Tensor, tensor
from ..autodiff._sweeps import no_grad
from ..compiler import compile
from ..optim import SGD

__all__ = ["Learning", "Perceptron", "delta_rule", "perceptron_rule"]


class Perceptron(nn.Module):
    """A threshold unit: y = high if w · x + b > 0 else low; w · x - b with `minus_bias`. Weights and bias start at 0.

    Arguments: `inputs`, the number of inputs; `labels`, (low, high), for example (0, 1) or (-1, 1); `minus_bias`,
    whether the bias is subtracted; `dtype`.
    Input: shape (n, inputs). Output: shape (n,).

    >>> from chainrule.examples import Perceptron
    >>> unit = Perceptron(2, labels=(-1, 1), minus_bias=True)
    >>> _ = unit.weight.copy_([1.0, 1.0]), unit.bias.copy_(1.5)
    >>> unit([[0.0, 1.0], [1.0, 1.0]]).tolist()
    [-1.0, 1.0]
    """

    def __init__(
        self,
        inputs: int,
        labels: tuple[float, float] = (0, 1),
        minus_bias: bool = False,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        self.weight = nn.Parameter(np.zeros(inputs, dtype))
        self.bias = nn.Parameter(np.zeros((), dtype))
        self.labels, self.minus_bias = labels, minus_bias

    def score(self, x: Any) -> Tensor:
        """Compute w · x + b, or w · x - b, before the threshold; shape (n,)."""
        product = ops.matmul(x, self.weight)
        return product - self.bias if self.minus_bias else product + self.bias

    def forward(self, x: Any) -> Tensor:
        """Compute the label of each row."""
        low, high = (np.asarray(label, self.weight.dtype) for label in self.labels)
        return ops.where(self.score(x) > 0, high, low)


@dataclass
class Learning:
    """The course of the perceptron rule: mistakes of each epoch, whether it converged, and the proof if it never will.

    `cycle`: (epoch, length) if the weights after `epoch` recur `length` epochs later. The weights are the only state of
    the rule, so it repeats this cycle forever.

    >>> from chainrule.examples import Learning
    >>> Learning(mistakes=[2, 1, 0], converged=True).epochs
    3
    """

    mistakes: list[int] = field(default_factory=list)
    converged: bool = False
    cycle: tuple[int, int] | None = None

    @property
    def epochs(self) -> int:
        """The number of epochs."""
        return len(self.mistakes)


def _rows(unit: Perceptron, X: npt.ArrayLike, y: npt.ArrayLike) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The rows in the unit's dtype and the labels, checked; ValueError for wrong shapes or labels."""
    rows, labels = np.asarray(X, unit.weight.dtype), np.asarray(y)
    if rows.ndim != 2 or rows.shape[1:] != unit.weight.shape or labels.shape != rows.shape[:1]:
        expected = f"(n, {unit.weight.size}) and (n,)"
        raise ValueError(f"perceptron: X has shape {rows.shape}, y {labels.shape}; expected {expected}")
    unknown = labels[~np.isin(labels, unit.labels)]
    if unknown.size:
        raise ValueError(f"perceptron: y contains {unknown[0]}, expected {unit.labels[0]} or {unit.labels[1]}")
    return rows, labels


@no_grad()
def perceptron_rule(
    unit: Perceptron, X: npt.ArrayLike, y: npt.ArrayLike, lr: float = 1.0, epochs: int = 1000
) -> Learning:
    """Train by the perceptron rule, row by row: on a mistake w += lr s x and b += lr s (-= with `minus_bias`).

    s is 1 for label high and -1 for label low. The rule converges if and only if the rows are linearly separable
    (Novikoff 1962). It stops after an epoch without mistakes, when the weights recur (a cycle), or after `epochs`.

    Arguments: `unit`; `X`, shape (n, inputs); `y`, n labels from the unit's two; `lr`; `epochs`, at most.
    Returns: a `Learning`.
    Errors: ValueError for wrong shapes or labels.
    Source: F. Rosenblatt, The perceptron, 1958.

    >>> from chainrule.examples import Perceptron, patterns, perceptron_rule
    >>> perceptron_rule(Perceptron(2), patterns(2), [0, 0, 0, 1]).converged
    True
    >>> perceptron_rule(Perceptron(2), patterns(2), [0, 1, 1, 0]).cycle
    (2, 1)
    """
    rows, labels = _rows(unit, X, y)
    signs = np.where(labels == unit.labels[1], 1.0, -1.0)
    learning, seen = Learning(), {_state(unit): 0}
    for epoch in range(1, epochs + 1):
        mistakes = 0
        for row, label, sign in zip(rows, labels, signs, strict=True):
            if unit(row[None]).item() == label:
                continue
            mistakes += 1
            step = lr * sign
            unit.weight.copy_(unit.weight + step * tensor(row))
            unit.bias.copy_(unit.bias + (-step if unit.minus_bias else step))
        learning.mistakes.append(mistakes)
        learning.converged = mistakes == 0
        earlier = seen.setdefault(_state(unit), epoch)
        if earlier != epoch:
            learning.cycle = None if learning.converged else (earlier, epoch - earlier)
            break
    return learning


def _state(unit: Perceptron) -> bytes:
    return unit.weight.numpy().tobytes() + unit.bias.numpy().tobytes()


def delta_rule(unit: Perceptron, X: npt.ArrayLike, y: npt.ArrayLike, lr: float = 0.1, steps: int = 1000) -> list[float]:
    """Train by gradient descent on half the mean squared error of the score, 0.5 mean((w · x + b - y)**2).

    It converges to the least-squares solution even if the rows are not separable and the perceptron rule never ends.

    Arguments: as `perceptron_rule`; `steps`, each over all rows. Returns: the loss before each step.
    Errors: ValueError for wrong shapes or labels.
    Source: B. Widrow and M. Hoff, Adaptive switching circuits, 1960 (the ADALINE).

    >>> from chainrule.examples import Perceptron, delta_rule, patterns
    >>> unit = Perceptron(2, labels=(-1, 1))
    >>> losses = delta_rule(unit, patterns(2), [-1, -1, -1, 1])
    >>> losses[0], round(losses[-1], 6), unit(patterns(2)).tolist()
    (0.5, 0.125, [-1.0, -1.0, -1.0, 1.0])
    """
    rows, labels = _rows(unit, X, y)
    x, target = tensor(rows), tensor(labels, unit.weight.dtype)
    optimizer = SGD(unit.parameters(), lr)

    @compile
    def step() -> Tensor:
        optimizer.zero_grad()
        loss = 0.5 * ops.mse_loss(unit.score(x), target)
        loss.backward()
        optimizer.step()
        return loss

    return [step().item() for _ in range(steps)]

"""An ensemble calibrated on held-out rows: the temperature of class scores, the distribution of errors of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from ._intervals import deviation_of, knots_of, spread_of, spreads_of
from ._member import FOLDS, Member, Training
from ._net import TabularEnsemble, TabularNet
from ._target import Classes, Scaled

__all__ = ["ensemble_of", "temperature_of"]

_STEPS = 40  # of the golden section search, on the logarithm of the factor from -3 to 3


def ensemble_of(training: Training, members: Sequence[Member], target: Classes | Scaled) -> TabularEnsemble:
    """The nets, calibrated on what each says about the rows that it was not trained on."""
    nets = [member.net for member in members]
    if isinstance(target, Scaled):
        return _with_errors(training, members, nets, target)
    held, scores = _held_out(members)
    weights = None if training.weights is None else training.weights[held]
    ensemble = TabularEnsemble(nets, True)
    ensemble.temperature.copy_(temperature_of(scores, training.targets[held], weights))
    return ensemble


def _with_errors(
    training: Training, members: Sequence[Member], nets: Sequence[TabularNet], target: Scaled
) -> TabularEnsemble:
    """The nets of numbers with the distribution of their errors."""
    first = [member for member in members[:FOLDS] if member.independent]  # each row once
    if not first:
        return TabularEnsemble(nets, False)
    held, scores = _held_out(first)
    part = replace(
        training,
        inputs=training.inputs[held],
        weights=None if training.weights is None else training.weights[held],
    )
    errors = target.errors(scores[:, 0], training.targets[held, 0])
    spreads = spreads_of(part, errors)
    if spreads:
        rows, logarithms = _held_out(spreads)
        errors = ops.div(errors[rows], spread_of(logarithms[:, 0])).numpy()
        part = replace(part, weights=None if part.weights is None else part.weights[rows])
    weights = np.ones(len(errors)) if part.weights is None else part.weights.astype(np.float64)
    knots = knots_of(errors, weights)
    ensemble = TabularEnsemble(nets, False, [member.net for member in spreads], len(knots))
    ensemble.errors.copy_(knots.astype(np.float32))
    ensemble.deviation.copy_(np.array([deviation_of(errors, weights)], np.float32))
    return ensemble


def _held_out(members: Sequence[Member]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The held-out rows of all members and their outputs; of those trained on other rows, if there are any."""
    chosen = [member for member in members if member.independent] or members
    return np.concatenate([m.held_out for m in chosen]), np.concatenate([m.scores for m in chosen])


def temperature_of(
    scores: npt.NDArray[np.float32], codes: npt.NDArray[np.int64], weights: npt.NDArray[np.float32] | None
) -> npt.NDArray[np.float32]:
    """The factor t that minimises the cross entropy of softmax(t * scores), as an array (1,).

    Labels are smoothed by 1 / (rows + 2), so that few rows without an error do not make the model certain.

    Source: Guo, Pleiss, Sun and Weinberger, On calibration of modern neural networks, ICML 2017.
    """
    wide = scores.astype(np.float64)
    options: dict[str, Any] = {"label_smoothing": 1.0 / (len(wide) + 2)}
    if weights is not None:
        options["sample_weight"] = weights.astype(np.float64)

    def loss(exponent: float) -> float:
        factor = ops.exp(np.float64(exponent))
        return float(ops.cross_entropy(ops.mul(wide, factor), codes, **options).item())

    low, high, golden = -3.0, 3.0, 0.6180339887498949
    a, b = high - golden * (high - low), low + golden * (high - low)
    at_a, at_b = loss(a), loss(b)
    for _ in range(_STEPS):
        if at_a <= at_b:
            high, b, at_b = b, a, at_a
            a = high - golden * (high - low)
            at_a = loss(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + golden * (high - low)
            at_b = loss(b)
    factor: npt.NDArray[np.float32] = ops.exp(np.array([(low + high) / 2])).numpy().astype(np.float32)
    return factor

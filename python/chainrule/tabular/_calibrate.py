"""An ensemble calibrated on held-out rows: the temperature of class scores, the distribution of errors of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from ._intervals import deviation_of, knots_of, spread_of, spreads_of
from ._member import Member, Training
from ._net import TabularEnsemble, TabularNet
from ._target import Classes, Scaled

__all__ = ["ensemble_of", "temperature_of"]

Ints = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

_SHARES = 8
_STEPS = 18  # of the golden section search, on the logarithm of the factor from -3 to 3


def ensemble_of(
    training: Training, members: Sequence[Member], linear: Sequence[Member], target: Classes | Scaled
) -> TabularEnsemble:
    """The nets, calibrated on what each says about the rows that it was not trained on.

    `linear`: nets without hidden layers of the first members; `share` is the multiple of 1/8 at which the held-out rows
    are predicted best, and without a share they are left out.
    """
    held, scores, others = _held_out(members[: len(linear)], linear)
    truth, weights = training.targets[held], None if training.weights is None else training.weights[held]
    temperatures = np.ones(2, np.float32)
    if isinstance(target, Classes):
        temperatures = np.concatenate([temperature_of(part, truth, weights) for part in (scores, others)])
        parts = [ops.softmax(ops.mul(part, t)).numpy() for part, t in zip((scores, others), temperatures, strict=True)]
    else:
        parts = [scores, others]
    mixed = [_mixed(parts, i / _SHARES) for i in range(_SHARES + 1)]
    losses = [_loss(outputs, truth, weights) for outputs in mixed]
    best = losses.index(min(losses))
    nets, kept = [member.net for member in members], [member.net for member in linear if best]
    if isinstance(target, Classes):
        ensemble = TabularEnsemble(nets, kept, True)
        ensemble.temperature.copy_(temperatures)
    else:
        errors = target.errors(mixed[best][:, 0], truth[:, 0])
        honest = any(member.independent for member in members)
        ensemble = _with_errors(training, nets, kept, held, errors) if honest else TabularEnsemble(nets, kept, False)
    ensemble.share.copy_(np.array([best / _SHARES], np.float32))
    return ensemble


def _held_out(members: Sequence[Member], linear: Sequence[Member]) -> tuple[Ints, Scores, Scores]:
    """The held-out rows of the first members, each once, and the outputs of both kinds of nets for them.

    Those of members that were trained on other rows, if there are any.
    """
    pairs = list(zip(members, linear, strict=True))
    pairs = [pair for pair in pairs if pair[0].independent] or pairs
    held = np.concatenate([member.held_out for member, _ in pairs])
    return held, np.concatenate([m.scores for m, _ in pairs]), np.concatenate([m.scores for _, m in pairs])


def _mixed(parts: Sequence[Scores], share: float) -> Scores:
    mixed: Scores = ops.add(ops.mul(parts[0], 1.0 - share), ops.mul(parts[1], share)).numpy()
    return mixed


def _loss(outputs: Scores, truth: npt.NDArray[Any], weights: npt.NDArray[np.float32] | None) -> float:
    """The mean of -log(probability), or of the squared error."""
    options: dict[str, Any] = {} if weights is None else {"sample_weight": weights}
    if truth.dtype.kind == "i":
        logarithms = ops.log(np.maximum(outputs, np.float32(1e-30)))
        return float(ops.cross_entropy(logarithms, truth, **options).item())
    return float(ops.mse_loss(outputs, truth, **options).item())


def _with_errors(
    training: Training, nets: Sequence[TabularNet], linear: Sequence[TabularNet], held: Ints, errors: Any
) -> TabularEnsemble:
    """The nets of numbers with the distribution of their errors for the held-out rows."""
    weights = None if training.weights is None else training.weights[held]
    part = replace(training, inputs=training.inputs[held], weights=weights)
    spreads = spreads_of(part, errors)
    if spreads:
        rows = np.concatenate([member.held_out for member in spreads])
        logarithms = np.concatenate([member.scores for member in spreads])[:, 0]
        errors = ops.div(errors[rows], spread_of(logarithms)).numpy()
        weights = None if weights is None else weights[rows]
    each = np.ones(len(errors)) if weights is None else weights.astype(np.float64)
    knots = knots_of(errors, each)
    ensemble = TabularEnsemble(nets, linear, False, [member.net for member in spreads], len(knots))
    ensemble.errors.copy_(knots.astype(np.float32))
    ensemble.deviation.copy_(np.array([deviation_of(errors, each)], np.float32))
    return ensemble


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

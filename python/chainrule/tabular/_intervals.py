"""Intervals of predicted numbers, from the errors of rows that were held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from ._member import FOLDS, Member, Training

__all__ = ["check_quantiles", "deviation_of", "errors_at", "knots_of", "spread_of", "spreads_of"]

_KNOTS = 1000  # that are kept of the distribution of errors
_FARTHEST = 30.0  # of a logarithm of the spread

Numbers = npt.NDArray[np.float64]


def check_quantiles(quantiles: Any) -> Numbers:
    """The quantiles as an array of one axis; ValueError unless they are numbers between 0 and 1."""
    shares = np.atleast_1d(np.asarray(quantiles))
    if shares.ndim != 1 or shares.dtype.kind not in "iuf" or not ((shares > 0) & (shares < 1)).all():
        raise ValueError(f"quantiles: expected numbers between 0 and 1 like [0.1, 0.5, 0.9], got {quantiles!r}")
    return shares.astype(np.float64)


def spreads_of(training: Training, errors: Numbers) -> list[Member]:
    """Nets that predict the logarithm of the error's size, but for a constant, from rows that were held out.

    `training`: of these rows; its targets are not used. Few rows have no such nets.
    """
    if len(errors) < 10 * FOLDS:
        return []
    sizes = np.abs(errors)
    least = ops.div(ops.mean(sizes), 1000.0).item()
    if not least > 0:
        return []
    logarithms = ops.log(ops.add(sizes, least))
    centred = ops.astype(ops.sub(logarithms, ops.mean(logarithms)), np.float32).numpy().reshape(-1, 1)
    recipe = replace(training.recipe, hidden=(32,), activation="mish", epochs=16, evaluations=8, lr=0.02, refit=False)
    training = replace(training, recipe=recipe, targets=centred, classes=0)
    members = [training.member(number) for number in range(FOLDS)]
    training.release()
    return members


def spread_of(outputs: npt.NDArray[np.float32]) -> Numbers:
    """The spread of each row, from its logarithm."""
    logarithm = np.clip(outputs.astype(np.float64), -_FARTHEST, _FARTHEST)
    spread: Numbers = ops.exp(logarithm).numpy()
    return spread


def deviation_of(errors: Numbers, weights: Numbers) -> float:
    """The square root of the mean square of standardised errors."""
    squares = ops.sum(ops.mul(ops.square(errors), weights))
    return float(ops.sqrt(ops.div(squares, ops.sum(weights))).item())


def knots_of(errors: Numbers, weights: Numbers) -> Numbers:
    """Ascending numbers: an error of a new row is below knot i of n (from 1) with probability i / (n + 1).

    They are the errors themselves if there are at most 1000 of equal weights, otherwise interpolated between them.
    Source: the order statistics of exchangeable errors, Lei, G'Sell, Rinaldo, Tibshirani and Wasserman,
    Distribution-free predictive inference for regression, JASA 2018.
    """
    order = np.argsort(errors, kind="stable")
    ordered, count = errors[order], min(len(errors), _KNOTS)
    sums = np.cumsum(weights[order])
    below = sums * (len(errors) / (sums[-1] * (len(errors) + 1)))
    knots: Numbers = np.empty(count)
    for i in range(count):
        share = (i + 1) / (count + 1)
        at = min(int(np.searchsorted(below, share)), len(errors) - 1)
        before = max(at - 1, 0)
        gap = below[at] - below[before]
        part = min(max((share - below[before]) / gap, 0.0), 1.0) if gap > 0 else 1.0
        knots[i] = _between(ordered[before], ordered[at], part)
    return knots


def errors_at(knots: npt.NDArray[np.floating[Any]], shares: Sequence[float] | Numbers) -> Numbers:
    """The standardised errors that are exceeded with probability 1 - share; not beyond the first and last knot."""
    found = np.empty(len(shares))
    for i, share in enumerate(shares):
        position = min(max(float(share) * (len(knots) + 1) - 1.0, 0.0), len(knots) - 1.0)
        low = int(position)
        found[i] = _between(float(knots[low]), float(knots[min(low + 1, len(knots) - 1)]), position - low)
    return found


def _between(a: float, b: float, part: float) -> float:
    """From a to b, ascending in `part` and never beyond b."""
    return min(a + (b - a) * part, b)

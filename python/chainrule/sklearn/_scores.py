"""Scores of held-out rows, computed by ops: early stopping depends on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops

__all__ = ["accuracy", "r2"]

Array = npt.NDArray[Any]


def accuracy(correct: npt.NDArray[np.bool_], weight: Array | None) -> float:
    """The share of correct rows, or of their weight."""
    if weight is None:
        return float(ops.div(np.float64(np.count_nonzero(correct)), np.float64(len(correct))).item())
    wide = ops.astype(weight, np.float64)
    return float(ops.div(ops.sum(ops.where(correct, wide, np.float64(0.0))), ops.sum(wide)).item())


def r2(target: Array, prediction: Array, weight: Array | None) -> float:
    """1 - sum w (t - p)**2 / sum w (t - mean)**2, mean over the outputs; 1 or 0 where the targets are constant.

    NaN for fewer than two rows.
    """
    if len(target) < 2:
        return float("nan")
    t, p = (ops.astype(a, np.float64) for a in (target, prediction))
    w = ops.astype(np.ones(len(target)) if weight is None else weight, np.float64)
    scores = []
    for column in range(t.shape[1]):
        truth, found = t[:, column], p[:, column]
        mean = ops.div(ops.sum(ops.mul(w, truth)), ops.sum(w))
        error = ops.sum(ops.mul(w, ops.square(ops.sub(truth, found)))).item()
        spread = ops.sum(ops.mul(w, ops.square(ops.sub(truth, mean)))).item()
        if spread == 0:
            scores.append(1.0 if error == 0 else 0.0)
        else:
            scores.append(ops.sub(np.float64(1.0), ops.div(np.float64(error), np.float64(spread))).item())
    return float(ops.div(ops.sum(np.array(scores)), np.float64(len(scores))).item())

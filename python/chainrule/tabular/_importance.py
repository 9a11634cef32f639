"""Permutation importance: how much worse held-out rows are predicted when a column's values are exchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from ..random import Generator
from ._member import Member, Training
from ._net import TabularNet

__all__ = ["Sample", "importances_of", "samples_of"]

_ROWS = 2000  # of all members together


@dataclass(frozen=True)
class Sample:
    """Rows that were held out of the training of a net."""

    net: TabularNet
    inputs: npt.NDArray[np.float32]
    targets: npt.NDArray[Any]
    weights: npt.NDArray[np.float32]


def samples_of(training: Training, members: Sequence[Member]) -> tuple[Sample, ...]:
    """Some held-out rows of each member."""
    found = []
    for member in members:
        draw = Generator(seed=training.seed, stream=2**33 + member.number)
        rows = member.held_out[draw.permutation(len(member.held_out))[: max(_ROWS // len(members), 20)]]
        weights = np.ones(len(rows), np.float32) if training.weights is None else training.weights[rows]
        found.append(Sample(member.net, training.inputs[rows], training.targets[rows], weights))
    return tuple(found)


def importances_of(
    samples: Sequence[Sample], widths: Sequence[int], temperature: npt.NDArray[np.float32], seed: int
) -> npt.NDArray[np.float64]:
    """The share of each block of `widths` inputs in the sum of all increases of the loss; 0 for one without increase.

    The loss is that of `predict_proba`'s or `predict`'s error: cross entropy of calibrated scores, or squared error.
    Source: Breiman, Random Forests, Machine Learning 45 (2001); Fisher, Rudin and Dominici, JMLR 20 (2019).
    """
    total = np.zeros(len(widths))
    for number, sample in enumerate(samples):
        usual = _loss(sample, sample.inputs, temperature)
        begin = 0
        for block, width in enumerate(widths):
            order = Generator(seed=seed, stream=2**34 + number * 2**20 + block).permutation(len(sample.inputs))
            changed = sample.inputs.copy()
            changed[:, begin : begin + width] = changed[order, begin : begin + width]
            total[block] += _loss(sample, changed, temperature) - usual
            begin += width
    total = np.maximum(total, 0.0)
    whole = float(ops.sum(total).item())
    result: npt.NDArray[np.float64] = ops.div(total, np.float64(whole)).numpy() if whole > 0 else total
    return result


def _loss(sample: Sample, inputs: npt.NDArray[np.float32], temperature: npt.NDArray[np.float32]) -> float:
    """The sum over the rows."""
    outputs, weights = sample.net.predict(inputs), sample.weights
    if sample.targets.dtype.kind == "i":
        scores = ops.mul(outputs, temperature)
        return float(ops.cross_entropy(scores, sample.targets, reduction="sum", sample_weight=weights).item())
    return float(ops.mse_loss(outputs[:, :1], sample.targets, reduction="sum", sample_weight=weights).item())

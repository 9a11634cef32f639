"""Permutation importance: how much worse held-out rows are predicted when a column's values are exchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from ..random import Generator
from ._member import FOLDS, Member, Training
from ._net import TabularEnsemble

__all__ = ["Sample", "importances_of", "samples_of"]

_ROWS = 2000  # of all members together


@dataclass(frozen=True)
class Sample:
    """Rows that were held out of the training of a net, and this net as an ensemble of its own."""

    model: TabularEnsemble
    inputs: npt.NDArray[np.float32]
    targets: npt.NDArray[Any]
    weights: npt.NDArray[np.float32]


def samples_of(training: Training, members: Sequence[Member], ensemble: TabularEnsemble) -> tuple[Sample, ...]:
    """Some held-out rows of the first members."""
    found = []
    for member in members[:FOLDS]:
        draw = Generator(seed=training.seed, stream=2**33 + member.number)
        count = max(_ROWS // min(len(members), FOLDS), 20)
        rows = member.held_out[draw.permutation(len(member.held_out))[:count]]
        weights = np.ones(len(rows), np.float32) if training.weights is None else training.weights[rows]
        linear = [ensemble.linear[member.number]] if ensemble.linear else []
        alone = TabularEnsemble([member.net], linear, ensemble.classes)
        alone.share.copy_(ensemble.share)
        alone.temperature.copy_(ensemble.temperature)
        found.append(Sample(alone, training.inputs[rows], training.targets[rows], weights))
    return tuple(found)


def importances_of(samples: Sequence[Sample], widths: Sequence[int], seed: int) -> npt.NDArray[np.float64]:
    """The share of each block of `widths` inputs in the sum of all increases of the loss; 0 for one without increase.

    The loss is the logarithm of calibrated probabilities, or the squared error.
    Source: Breiman, Random Forests, Machine Learning 45 (2001); Fisher, Rudin and Dominici, JMLR 20 (2019).
    """
    total = np.zeros(len(widths))
    for number, sample in enumerate(samples):
        usual = _loss(sample, sample.inputs)
        begin = 0
        for block, width in enumerate(widths):
            order = Generator(seed=seed, stream=2**34 + number * 2**20 + block).permutation(len(sample.inputs))
            changed = sample.inputs.copy()
            changed[:, begin : begin + width] = changed[order, begin : begin + width]
            total[block] += _loss(sample, changed) - usual
            begin += width
    total = np.maximum(total, 0.0)
    whole = float(ops.sum(total).item())
    result: npt.NDArray[np.float64] = ops.div(total, np.float64(whole)).numpy() if whole > 0 else total
    return result


def _loss(sample: Sample, inputs: npt.NDArray[np.float32]) -> float:
    """The sum over the rows."""
    outputs, weights = sample.model.predict(inputs), sample.weights
    if sample.targets.dtype.kind == "i":
        logarithms = ops.log(np.maximum(outputs, np.float32(1e-30)))
        return float(ops.cross_entropy(logarithms, sample.targets, reduction="sum", sample_weight=weights).item())
    return float(ops.mse_loss(outputs, sample.targets, reduction="sum", sample_weight=weights).item())

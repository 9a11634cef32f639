"""The part of the rows that early stopping holds out."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from ..random import Generator

__all__ = ["hold_out"]

_STREAM = 2**33
Indices = npt.NDArray[np.int64]


def hold_out(rows: int, fraction: float, seed: int, labels: npt.NDArray[Any] | None) -> tuple[Indices, Indices]:
    """The rows to train on and to hold out, ceil(fraction * rows) of them, in the proportions of the labels.

    Errors: ValueError for fewer than 2 rows held out, and for a label with a single row.
    """
    held = -((-Fraction(float(fraction)) * rows).__floor__()) if fraction else 0
    if labels is not None:
        _check_members(labels)
    if held < 2 or held >= rows:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            if held < 2
            else f"validation_fraction: {fraction} of {rows} rows leaves none to train on"
        )
    order = Generator(seed, stream=_STREAM).permutation(rows)
    if labels is None:
        return order[held:], order[:held]
    chosen = np.zeros(rows, bool)
    classes, counts = np.unique(labels, return_counts=True)
    shares = [Fraction(int(held) * int(count), rows) for count in counts]
    take = [int(share) for share in shares]
    by_rest = sorted(range(len(take)), key=lambda i: (take[i] - shares[i], i))
    for i in by_rest[: held - sum(take)]:
        take[i] += 1
    for label, number in zip(classes, take, strict=True):
        of_label = order[labels[order] == label]
        chosen[of_label[:number]] = True
    return order[~chosen[order]], order[chosen[order]]


def _check_members(labels: npt.NDArray[Any]) -> None:
    classes, counts = np.unique(labels, return_counts=True)
    few = [str(bool(label)) for label, count in zip(classes, counts, strict=True) if count < 2]
    if few:
        raise ValueError(
            "The least populated classes in y have only 1 member, which is too few: early stopping holds out rows of "
            f"both. Classes with too few members are: {few} (True stands for the second of the two)"
        )

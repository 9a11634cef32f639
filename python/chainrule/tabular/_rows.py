"""The rows that a tabular model is trained on: their weights, their order."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..data._errors import DataError
from ..data._frame import Frame
from ..train._fit_arguments import balanced
from ._target import Classes, column_of

__all__ = ["canonical_order", "class_weights", "rows_of"]

_MOST_REPEATS = 100  # of a row whose weight is a count


def rows_of(X: Any, y: Any, sample_weight: Any) -> tuple[Frame, npt.NDArray[Any], npt.NDArray[np.float32] | None]:
    """The rows that count."""
    frame = Frame.of(X)
    if frame.rows == 0:
        raise DataError("X: no rows")
    return _repeated(frame, column_of(y, frame.rows), _weights(sample_weight, frame.rows))


def _weights(sample_weight: Any, rows: int) -> npt.NDArray[np.float32] | None:
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight, np.float64)
    if weights.shape != (rows,):
        raise ValueError(f"sample_weight: expected shape ({rows},), got {weights.shape}")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and (weights > 0).any()):
        raise ValueError("sample_weight: weights must be finite, at least 0, and not all 0")
    return weights.astype(np.float32)


def _repeated(frame: Frame, values: npt.NDArray[Any], weights: Any) -> tuple[Frame, npt.NDArray[Any], Any]:
    """Leave out rows of weight 0; repeat rows as often as their weights say if these are counts."""
    if weights is None:
        return frame, values, None
    counts = bool((weights == np.floor(weights)).all()) and float(weights.max()) <= _MOST_REPEATS
    rows = np.repeat(np.arange(len(weights)), weights.astype(np.int64) if counts else weights > 0)
    return frame.take(rows), values[rows], None if counts else weights[rows]


def canonical_order(inputs: npt.NDArray[np.float32], targets: npt.NDArray[Any], weights: Any) -> npt.NDArray[np.int64]:
    """An order of the rows that depends on their values only: so does the model, not on the order of the table."""
    parts = [inputs.astype("<f4"), targets.reshape(len(inputs), -1).astype("<f4")]
    parts += [] if weights is None else [weights.reshape(-1, 1).astype("<f4")]
    rows = np.ascontiguousarray(np.concatenate(parts, 1))
    keys = rows.view(np.dtype((np.void, rows.shape[1] * 4)))[:, 0]
    order: npt.NDArray[np.int64] = np.argsort(keys, kind="stable")
    return order


def class_weights(
    choice: Any, target: Classes, codes: npt.NDArray[np.int64], weights: npt.NDArray[np.float32] | None
) -> npt.NDArray[np.float32] | None:
    if choice is None:
        return weights
    counts = np.bincount(codes, minlength=len(target.names))
    if isinstance(choice, str):
        if choice != "balanced":
            raise ValueError(f"class_weight: expected 'balanced' or a dict of weights by class, got {choice!r}")
        by_class = balanced(counts)
    else:
        unknown = [name for name in choice if name not in target.names.tolist()]
        if unknown:
            raise ValueError(f"class_weight: there is no class {unknown[0]!r}; classes: {target.names.tolist()}")
        by_class = np.array([float(choice.get(name, 1.0)) for name in target.names.tolist()])
    factors = by_class[codes].astype(np.float32)
    return factors if weights is None else np.multiply(factors, weights)

"""What the losses share: their shapes, checks of targets, and reductions with weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._ir.shapes import product
from .._tensor import Tensor
from .._util.dtypes import INT64
from .._util.mode import EAGER, grad_mode
from ._arithmetic import _float_dtype, div, equal, mul, where
from ._operands import own, pair
from ._reduce import mean, sum
from ._shape import astype, reshape

__all__ = ["class_weight", "labels_of", "matched", "raise_where", "reduced", "weights"]


def matched(name: str, prediction: Any, target: Any) -> tuple[Tensor, Tensor]:
    """Prediction and target as tensors of one shape and dtype."""
    p, t = pair(prediction, target)
    _float_dtype(name, [p, t])
    if p.shape != t.shape:
        advice = "give both one shape"
        if p.shape == (*t.shape, 1):
            advice = "use target.reshape(-1, 1) or prediction.reshape(-1)"
        elif t.shape == (*p.shape, 1):
            advice = "use prediction.reshape(-1, 1) or target.reshape(-1)"
        raise ValueError(f"{name}: prediction has shape {p.shape}, target {t.shape}; {advice}")
    return p, t


def labels_of(name: str, scores: Tensor, labels: Any) -> Tensor:
    """Class numbers (n,) for scores (n, classes), as int64, checked."""

    _float_dtype(name, [scores])
    given = labels._data if isinstance(labels, Tensor) else np.asarray(labels)
    if given.dtype.kind not in "iu":
        raise TypeError(f"{name}: labels must be integers (class numbers), got {given.dtype}")
    if scores.ndim != 2 or given.shape != scores.shape[:1]:
        advice = "; use labels.reshape(-1)" if given.shape == (*scores.shape[:1], 1) else ""
        raise ValueError(
            f"{name}: expected scores (n, classes) and labels (n,), got {scores.shape} and {given.shape}{advice}"
        )
    classes = scores.shape[1]

    def out_of_range(at: int, label: int) -> Exception:
        return ValueError(f"{name}: label {label} at row {at} is out of range for {classes} classes")

    checked: Tensor
    if isinstance(labels, Tensor):
        checked = grad_mode.executor.check_index(labels, 0, classes, out_of_range)
    else:  # an array is looked at now, also while a function is traced
        fixed = Tensor._wrap(np.array(given, dtype=INT64, order="C"))
        checked = EAGER.check_index(fixed, 0, classes, out_of_range)
    return checked


def weights(given: Any, like: Tensor) -> Tensor:
    """Numbers of any dtype, rounded once to that of `like`."""
    return astype(own(given if hasattr(given, "dtype") else np.asarray(given)), like.dtype)


def class_weight(name: str, scores: Tensor, weight: Any) -> Tensor:
    """One weight for each class, (classes,), in the dtype of the scores (n, classes)."""
    given = weights(weight, scores)
    if given.shape != scores.shape[-1:]:
        raise ValueError(f"{name}: weight has shape {given.shape}, expected one for each class, {scores.shape[-1:]}")
    return given


def raise_where(wrong: Tensor, error: Callable[[tuple[int, ...]], Exception]) -> None:
    """Raise `error(index)` for the first element at which the bool tensor `wrong` holds; a check when traced."""

    def at_place(at: int, number: int) -> Exception:
        return error(tuple(int(i) for i in np.unravel_index(at, wrong.shape)))

    grad_mode.executor.check_false(wrong, at_place)


def reduced(
    name: str,
    values: Tensor,
    reduction: str,
    sample_weight: Any = None,
    share: Tensor | None = None,
    batchmean: bool = False,
) -> Tensor:
    """The losses of all elements, (n, ...), as `reduction` says, rows weighted by `sample_weight` (n,).

    none, sum   the weighted losses
    mean        their sum / the sum of the weights of all elements; `share` (n,) are weights that the losses of the rows
                have in them already
    batchmean   as mean, the elements of a row counted as one; only where the loss knows the word
    """
    words = ("mean", "sum", "none", *(["batchmean"] * batchmean))
    if reduction not in words:
        raise ValueError(f"{name}: reduction must be {', '.join(words[:-1])} or {words[-1]}, got {reduction!r}")
    weight = share
    if sample_weight is not None:
        by_row = _row_weight(name, values, sample_weight)
        values = mul(values, reshape(by_row, (-1, *(1,) * (values.ndim - 1))) if values.ndim > 1 else by_row)
        weight = by_row if share is None else mul(by_row, share)
    if reduction == "none":
        return values
    if reduction == "sum":
        return sum(values)
    if weight is not None:
        return div(sum(values), _divisor(weight, 1 if reduction == "batchmean" else product(values.shape[1:])))
    return mean(values) if reduction == "mean" else div(sum(values), _rows(name, values))


def _row_weight(name: str, values: Tensor, sample_weight: Any) -> Tensor:
    weight, rows = weights(sample_weight, values), _rows(name, values)
    if weight.shape != (rows,):
        advice = "; use sample_weight.reshape(-1)" if weight.shape == (rows, 1) else ""
        raise ValueError(
            f"{name}: sample_weight has shape {weight.shape}, expected one for each row, ({rows},){advice}"
        )
    return weight


def _divisor(weight: Tensor, times: int) -> Tensor:
    """The sum of the weights of all elements; 1 if it is 0, so that a batch without weight has loss and gradient 0."""
    total = sum(weight)
    if times != 1:
        total = mul(total, times)
    return where(equal(total, 0), 1, total)


def _rows(name: str, values: Tensor) -> int:
    if values.ndim == 0:
        raise ValueError(f"{name}: a prediction of shape () has no rows to weight or to count")
    return values.shape[0]

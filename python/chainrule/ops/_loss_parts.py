"""Shared parts of the losses: checks of shapes and targets, and weighted reductions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._ir.shapes import product
from .._tensor import Tensor
from .._util.arrays import as_ndarray
from .._util.dtypes import INT64
from .._util.mode import EAGER, grad_mode
from ._arithmetic import _float_dtype, div, equal, mul, where
from ._operands import own, pair
from ._reduce import mean, sum
from ._shape import astype, reshape

__all__ = ["class_weight", "labels_of", "matched", "raise_where", "reduced", "weights"]


def matched(name: str, prediction: Any, target: Any) -> tuple[Tensor, Tensor]:
    """Convert prediction and target to tensors; they must have one shape and dtype."""
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
    """Convert class indices (n,) for scores (n, classes) to an int64 tensor and check their range."""

    _float_dtype(name, [scores])
    given = labels._data if isinstance(labels, Tensor) else as_ndarray(labels, f"{name}: labels")
    if given.dtype.kind not in "iu":
        raise TypeError(f"{name}: labels must be integers (class indices), got {given.dtype}")
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
    else:  # an array is checked immediately, also while a function is traced
        fixed = Tensor._wrap(np.array(given, dtype=INT64, order="C"))
        checked = EAGER.check_index(fixed, 0, classes, out_of_range)
    return checked


def weights(given: Any, like: Tensor) -> Tensor:
    """Convert weights of any dtype to that of `like`, rounded once."""
    return astype(own(given if hasattr(given, "dtype") else as_ndarray(given, "weights")), like.dtype)


def class_weight(name: str, scores: Tensor, weight: Any) -> Tensor:
    """Convert class weights (classes,) to the dtype of the scores (n, classes)."""
    given = weights(weight, scores)
    if given.shape != scores.shape[-1:]:
        raise ValueError(f"{name}: weight has shape {given.shape}, expected one per class, {scores.shape[-1:]}")
    return given


def raise_where(wrong: Tensor, error: Callable[[tuple[int, ...]], Exception]) -> None:
    """Raise `error(index)` for the first True element of `wrong`; while traced, append a check that does so."""

    def at_index(at: int, value: int) -> Exception:
        return error(tuple(int(i) for i in np.unravel_index(at, wrong.shape)))

    grad_mode.executor.check_false(wrong, at_index)


def reduced(
    name: str,
    values: Tensor,
    reduction: str,
    sample_weight: Any = None,
    row_weight: Tensor | None = None,
    batchmean: bool = False,
) -> Tensor:
    """Reduce the losses of all elements, (n, ...), with rows weighted by `sample_weight` (n,).

    none        the weighted losses
    sum         their sum
    mean        their sum / the sum of the weights of all elements, including `row_weight` (n,), the weights that
                `values` already contain
    batchmean   as mean, with the elements of a row counted as one; only for losses that set `batchmean`
    """
    reductions = ("mean", "sum", "none", *(["batchmean"] * batchmean))
    if reduction not in reductions:
        expected = f"{', '.join(reductions[:-1])} or {reductions[-1]}"
        raise ValueError(f"{name}: reduction must be {expected}, got {reduction!r}")
    weight = row_weight
    if sample_weight is not None:
        by_row = _row_weight(name, values, sample_weight)
        values = mul(values, reshape(by_row, (-1, *(1,) * (values.ndim - 1))) if values.ndim > 1 else by_row)
        weight = by_row if row_weight is None else mul(by_row, row_weight)
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
        raise ValueError(f"{name}: sample_weight has shape {weight.shape}, expected one per row, ({rows},){advice}")
    return weight


def _divisor(weight: Tensor, times: int) -> Tensor:
    """The sum of the weights of all elements, or 1 if it is 0, so that loss and gradient are 0 then."""
    total = sum(weight)
    if times != 1:
        total = mul(total, times)
    return where(equal(total, 0), 1, total)


def _rows(name: str, values: Tensor) -> int:
    if values.ndim == 0:
        raise ValueError(f"{name}: a prediction of shape () has no rows to weight or count")
    return values.shape[0]

"""Shared parts of the losses: checks of shapes and targets, rows of weight 0, and weighted reductions.

A factor of 0 does not remove what is infinite or NaN, nor the slope of it. So rows of weight 0 are replaced before the
loss is computed, and nothing they hold reaches a value or a gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._ir.shapes import product
from .._tensor import Tensor
from .._util.arrays import as_ndarray
from .._util.dtypes import FLOAT64, INT64
from .._util.mode import EAGER, grad_mode
from ._arithmetic import _float_dtype, div, equal, mul, not_equal, sub, where
from ._cast import astype
from ._index import where_index
from ._operands import one, own, pair
from ._reduce import mean, sum
from ._shape import broadcast_to, reshape, transpose

__all__ = [
    "class_rows",
    "class_weight",
    "counted",
    "labelled",
    "matched",
    "raise_where",
    "reduced",
    "rows_counted",
    "weights",
]


def matched(name: str, prediction: Any, target: Any, sample_weight: Any = None) -> tuple[Tensor, Tensor]:
    """Convert prediction and target to tensors of one shape and dtype; rows of weight 0 are 1 in both."""
    p, t = pair(prediction, target)
    _float_dtype(name, [p, t])
    if p.shape != t.shape:
        advice = "give both one shape"
        if p.shape == (*t.shape, 1):
            advice = "use target.reshape(-1, 1) or prediction.reshape(-1)"
        elif t.shape == (*p.shape, 1):
            advice = "use prediction.reshape(-1, 1) or target.reshape(-1)"
        raise ValueError(f"{name}: prediction has shape {p.shape}, target {t.shape}; {advice}")
    if sample_weight is None:
        return p, t
    weight = _row_weight(name, p, sample_weight)
    return rows_counted(p, sample_weight, weight), rows_counted(t, sample_weight, weight)


def labelled(name: str, scores: Tensor, labels: Any, sample_weight: Any = None) -> tuple[Tensor, Tensor]:
    """Convert class indices (n,) for scores (n, classes) to an int64 tensor and check their range.

    Rows of weight 0 have scores of 1 and the label 0.
    """
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
        advice = f"; write ignore_index={label} to leave such rows out" if label < 0 else ""
        return ValueError(f"{name}: label {label} at row {at} is out of range for {classes} classes{advice}")

    index = labels if isinstance(labels, Tensor) else Tensor._wrap(np.array(given, dtype=INT64, order="C"))
    # An array is checked immediately, also while a function is traced.
    executor = grad_mode.executor if isinstance(labels, Tensor) else EAGER
    if sample_weight is not None:
        weight = _row_weight(name, scores, sample_weight)
        if _may_be_0(sample_weight, weight):
            scores = rows_counted(scores, sample_weight, weight)
            if isinstance(weight._data, np.ndarray) and isinstance(index._data, np.ndarray):
                index = Tensor._wrap(np.where(weight._data == 0, 0, index._data))
            else:
                zeros = Tensor(np.zeros(index.shape, INT64))
                index, executor = where_index(equal(weight, 0), zeros, index), grad_mode.executor
    checked: Tensor = executor.check_index(index, 0, classes, out_of_range)
    return scores, checked


def class_rows(
    name: str, scores: Tensor, target: Any, sample_weight: Any = None, ignore_index: Any = None
) -> tuple[Tensor, Any, Any, tuple[int, ...]]:
    """Scores (n, classes, ...) and labels (n, ...), or probabilities of their shape, as rows (rows, classes).

    Scores (classes,) are one row. Weights (n,) count for all positions of their row; labels of `ignore_index` get the
    weight 0. Returns: scores, target, weights, and the shape of the losses.
    """
    labels = target if isinstance(target, Tensor) else as_ndarray(target, f"{name}: labels")
    shape: tuple[int, ...] = scores.shape[:1]
    if scores.ndim == 1 or scores.ndim > 2:
        shape = (*scores.shape[:1], *scores.shape[2:]) if scores.ndim > 1 else ()
        if labels.shape != shape and (labels.shape != scores.shape or labels.dtype.kind != "f"):
            raise ValueError(
                f"{name}: expected scores (n, classes, ...) and labels (n, ...), got {scores.shape} and {labels.shape}"
            )
        if sample_weight is not None:
            by_row = _row_weight(name, scores, sample_weight) if shape else weights(sample_weight, scores)
            sample_weight = reshape(broadcast_to(_by_row(by_row, len(shape)), shape or (1,)), (-1,))
        labels = labels.reshape(-1) if labels.shape == shape else _as_rows(one(labels))
        scores = _as_rows(scores)
    if ignore_index is None or labels.ndim != 1:
        return scores, labels, sample_weight, shape
    ignored = int(ignore_index)
    if isinstance(labels, Tensor) and not grad_mode.executor.has_values:
        kept = astype(not_equal(astype(labels, FLOAT64), float(ignored)), scores.dtype)
    else:
        mask = (labels._data if isinstance(labels, Tensor) else labels) != ignored
        if mask.all():
            return scores, labels, sample_weight, shape
        kept = Tensor._wrap(mask.astype(scores.dtype))
    return scores, labels, kept if sample_weight is None else mul(kept, weights(sample_weight, scores)), shape


def _as_rows(x: Tensor) -> Tensor:
    """(n, classes, ...) as (rows, classes)."""
    if x.ndim > 2:
        x = transpose(x, (0, *range(2, x.ndim), 1))
    return reshape(x, (-1, x.shape[-1])) if x.shape[-1] else reshape(x, (product(x.shape[:-1]), 0))


def rows_counted(x: Tensor, given: Any, weight: Tensor) -> Tensor:
    """The rows of x, 1 where their weight is 0: a number that every loss takes as prediction and as target."""
    if not _may_be_0(given, weight):
        return x
    return where(equal(_by_row(weight, x.ndim), 0), 1, x)


def counted(x: Tensor, weight: Tensor) -> Tensor:
    """x, but 0 where it is not finite and its weight is 0: a term of weight 0 counts 0."""
    finite = equal(sub(x, x), 0)
    return where(equal(where(finite, 1, weight), 0), 0, x)


def _may_be_0(given: Any, weight: Tensor) -> bool:
    """Whether a weight is 0, or not known yet. Weights that are differentiated are factors: a row of weight 0 has the
    derivative of its loss."""
    if grad_mode.enabled and weight._requires_grad:
        return False
    if isinstance(given, Tensor) and not grad_mode.executor.has_values:
        return True
    with np.errstate(all="ignore"):
        values = (given._data if isinstance(given, Tensor) else np.asarray(given)).astype(weight.dtype)
    return not values.all()


def _by_row(weight: Tensor, ndim: int) -> Tensor:
    return reshape(weight, (-1, *(1,) * (ndim - 1))) if ndim > 1 else weight


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
        values = mul(values, _by_row(by_row, values.ndim))
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

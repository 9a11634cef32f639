"""Metrics of predictions on arrays, in scikit-learn's order of arguments: (target, prediction).

Sums are the ops' sums in float64, counts are integers, so a metric has the same bits everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor, tensor
from .._util.arrays import as_ndarray

__all__ = [
    "accuracy",
    "auc",
    "balanced_accuracy",
    "confusion_matrix",
    "log_loss",
    "mae",
    "mse",
    "r2",
    "rmse",
]

Values = npt.NDArray[Any]


def accuracy(target: npt.ArrayLike, prediction: npt.ArrayLike) -> float:
    """Fraction of rows whose prediction equals the target.

    Arguments: `target`, `prediction`, labels of any kind (numbers, texts, bools) of shape (n,), or (n, labels) for
    several labels a row, all of which must be equal.
    Returns: a float from 0 to 1.
    Errors: ValueError for other or different shapes.

    >>> import chainrule as cr
    >>> cr.metrics.accuracy(["a", "b", "b", "c"], ["a", "b", "c", "c"])
    0.75
    """
    t, p = _labels("accuracy", target, prediction)
    equal = np.asarray(t == p)
    return _share(int(np.count_nonzero(equal if equal.ndim == 1 else equal.all(axis=1))), len(t))


def balanced_accuracy(target: npt.ArrayLike, prediction: npt.ArrayLike) -> float:
    """Mean of the recalls of the classes: for each class of the target, the fraction of its rows predicted as such.

    Arguments, returns and errors: as `accuracy`, with shape (n,).

    >>> import chainrule as cr
    >>> cr.metrics.balanced_accuracy([0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 0, 1])
    0.75
    """
    t, p = _labels("balanced_accuracy", target, prediction, columns=False)
    names, index, counts = np.unique(t, return_inverse=True, return_counts=True)
    right = np.bincount(index.reshape(-1)[t == p], minlength=len(names))
    return _mean(np.array([_share(int(a), int(n)) for a, n in zip(right, counts, strict=True)]))


def confusion_matrix(
    target: npt.ArrayLike, prediction: npt.ArrayLike, *, labels: Sequence[Any] | npt.ArrayLike | None = None
) -> npt.NDArray[np.int64]:
    """Counts of rows by class of the target (row of the matrix) and predicted class (column).

    Arguments: `target`, `prediction`, labels of shape (n,); `labels`, the classes in order (default: all that occur,
    sorted).
    Returns: int64 of shape (classes, classes).
    Errors: ValueError for different shapes, or for a class that `labels` does not name.

    >>> import chainrule as cr
    >>> cr.metrics.confusion_matrix(["a", "b", "b"], ["a", "a", "b"]).tolist()
    [[1, 0], [1, 1]]
    """
    t, p = _labels("confusion_matrix", target, prediction, columns=False)
    names = np.unique(np.concatenate([t, p])) if labels is None else as_ndarray(labels, "confusion_matrix: labels")
    rows, columns = (_index("confusion_matrix", values, names) for values in (t, p))
    size = len(names)
    return np.bincount(rows * size + columns, minlength=size * size).astype(np.int64).reshape(size, size)


def log_loss(target: npt.ArrayLike, probability: npt.ArrayLike, *, labels: Any = None) -> float:
    """Mean of -log(p), p the predicted probability of a row's class; also called cross entropy.

    p is clipped to [eps, 1 - eps], eps being the resolution of the probabilities' dtype, as scikit-learn does.

    Arguments: `target`, labels of shape (n,); `probability`, (n, classes) with the classes in sorted order, or (n,),
    that of the second of two classes; `labels`, the classes in the order of the columns (default: the sorted classes of
    the target).
    Returns: a float of at least 0.
    Errors: ValueError for other shapes, probabilities outside of [0, 1], a class that `labels` does not name.

    >>> import chainrule as cr
    >>> round(cr.metrics.log_loss([0, 1, 1], [0.5, 0.5, 1.0]), 4)
    0.4621
    """
    t, columns, names = _scored("log_loss", target, probability, labels)
    if bool(((columns < 0) | (columns > 1)).any()):
        raise ValueError("log_loss: probability must be numbers from 0 to 1; convert scores with softmax or sigmoid")
    kind = np.asarray(probability).dtype
    eps = float(np.finfo(kind if kind in (np.float32, np.float64) else np.float64).eps)
    own = columns[np.arange(len(t)), _index("log_loss", t, names)]
    clipped = ops.minimum(ops.maximum(tensor(own), eps), 1 - eps)
    return float(ops.neg(ops.mean(ops.log(clipped))).item())


def auc(target: npt.ArrayLike, score: npt.ArrayLike, *, labels: Any = None) -> float:
    """Area under the ROC curve: the probability that a row of the class has a higher score than one of the others.

    Equal scores count half. Pairs are counted in integers, so the result is the correctly rounded quotient. For more
    than two classes, the mean over the classes of the target, each against the rest (scikit-learn's
    `multi_class="ovr"`, `average="macro"`).

    Arguments: `target`, labels of shape (n,); `score`, (n,) or (n, 1), larger for the second of two classes, or
    (n, classes) with the classes in sorted order; `labels`, the classes in the order of the columns.
    Returns: a float from 0 to 1; NaN if a score is NaN.
    Errors: ValueError for other shapes, and for a target with one class only.

    >>> import chainrule as cr
    >>> cr.metrics.auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    t, columns, names = _scored("auc", target, score, labels)
    index = _index("auc", t, names)
    present = [k for k in range(len(names)) if np.any(index == k)]
    if len(present) < 2:
        raise ValueError(f"auc: the target has only one class, {names[present[0]] if present else 'none'!r}")
    if columns.shape[1] == 2:
        return _pairs(index == 1, columns[:, 1])
    return _mean(np.array([_pairs(index == k, columns[:, k]) for k in present]))


def mse(target: npt.ArrayLike, prediction: npt.ArrayLike) -> float:
    """Mean squared error, mean((target - prediction)**2) over all values.

    Arguments: `target`, `prediction`, numbers of shape (n,) or (n, columns); (n,) and (n, 1) are the same.
    Returns: a float. Errors: ValueError for other or different shapes.

    >>> import chainrule as cr
    >>> cr.metrics.mse([1.0, 2.0], [1.0, 4.0])
    2.0
    """
    t, p = _numbers("mse", target, prediction)
    return _mean(_column_means(ops.square(ops.sub(t, p))))


def rmse(target: npt.ArrayLike, prediction: npt.ArrayLike) -> float:
    """Root of the mean squared error; for several columns, the mean of their roots.

    Arguments, returns and errors: as `mse`.

    >>> import chainrule as cr
    >>> cr.metrics.rmse([1.0, 2.0], [1.0, 4.0])
    1.4142135623730951
    """
    t, p = _numbers("rmse", target, prediction)
    return _mean(ops.sqrt(_column_means(ops.square(ops.sub(t, p)))))


def mae(target: npt.ArrayLike, prediction: npt.ArrayLike) -> float:
    """Mean absolute error, mean(abs(target - prediction)) over all values.

    Arguments, returns and errors: as `mse`.

    >>> import chainrule as cr
    >>> cr.metrics.mae([1.0, 2.0], [1.0, 4.0])
    1.0
    """
    t, p = _numbers("mae", target, prediction)
    return _mean(_column_means(ops.abs(ops.sub(t, p))))


def r2(target: npt.ArrayLike, prediction: npt.ArrayLike) -> float:
    """Coefficient of determination, 1 - sum((t - p)**2) / sum((t - mean(t))**2); for several columns, their mean.

    1 is perfect, 0 is as good as the mean of the target. A constant target gives 1 if it is predicted exactly, else 0,
    and a single row gives NaN, as in scikit-learn.

    Arguments, returns and errors: as `mse`.

    >>> import chainrule as cr
    >>> cr.metrics.r2([1.0, 2.0, 3.0], [1.0, 2.0, 4.0])
    0.5
    """
    t, p = _numbers("r2", target, prediction)
    if len(t) < 2:
        return float("nan")
    residual = ops.sum(ops.square(ops.sub(t, p)), 0)
    spread = ops.sum(ops.square(ops.sub(t, ops.mean(t, 0))), 0)
    values = ops.sub(1.0, ops.div(residual, ops.where(ops.greater(spread, 0.0), spread, 1.0))).numpy()
    constant = spread.numpy() == 0
    exact = np.where(np.isnan(residual.numpy()), np.nan, np.where(residual.numpy() == 0, 1.0, 0.0))
    return _mean(np.where(constant, exact, values))


def _share(count: int, total: int) -> float:
    if total >= 2**53:  # Python's quotient of large integers is computed in integers
        return count / total
    return float(ops.div(tensor(np.float64(count)), np.float64(total)).item())


def _mean(values: Any) -> float:
    return float(ops.mean(values if isinstance(values, Tensor) else tensor(values)).item())


def _column_means(values: Tensor) -> Tensor:
    return ops.mean(values, 0)


def _pairs(positive: npt.NDArray[np.bool_], score: npt.NDArray[np.float64]) -> float:
    """The fraction of pairs of a positive and a negative row in which the positive one has the higher score."""
    if np.isnan(score).any():
        return float("nan")
    _, level = np.unique(score, return_inverse=True)
    level = level.reshape(-1)
    levels = int(level.max()) + 1
    above = np.bincount(level[positive], minlength=levels).astype(np.int64)
    below = np.bincount(level[~positive], minlength=levels).astype(np.int64)
    lower = np.cumsum(below) - below  # negative rows of lower scores
    twice = int(2 * np.sum(above * lower) + np.sum(above * below))
    return _share(twice, 2 * int(above.sum()) * int(below.sum()))


def _labels(name: str, target: npt.ArrayLike, prediction: npt.ArrayLike, columns: bool = True) -> tuple[Values, Values]:
    t, p = (
        _one_column(as_ndarray(target, f"{name}: target")),
        _one_column(as_ndarray(prediction, f"{name}: prediction")),
    )
    if t.shape != p.shape or t.ndim not in ((1, 2) if columns else (1,)) or not len(t):
        hint = "; pass the predicted labels, not a score for each class" if p.ndim == t.ndim + 1 else ""
        expected = "labels of the same shape (n,)" + (" or (n, labels)" if columns else "")
        raise ValueError(f"{name}: target {t.shape} and prediction {p.shape}, expected {expected}{hint}")
    if (t.dtype.kind in "biuf") != (p.dtype.kind in "biuf"):
        raise ValueError(f"{name}: the target has dtype {t.dtype}, the prediction {p.dtype}: no label can be equal")
    return t, p


def _one_column(values: Values) -> Values:
    """(n, 1) as (n,), and Python objects as an array of their kind."""
    plain = np.array(values.tolist()) if values.dtype.kind == "O" else values
    return plain[:, 0] if plain.ndim == 2 and plain.shape[1] == 1 else plain


def _index(name: str, values: Values, names: Values) -> npt.NDArray[np.int64]:
    """The positions of the values in `names`; ValueError for a value that is none of them."""
    order = np.argsort(names, kind="stable")
    place = np.minimum(np.searchsorted(names[order], values), len(names) - 1)
    found = order[place]
    wrong = np.flatnonzero(names[found] != values)
    if len(wrong):
        raise ValueError(f"{name}: row {wrong[0]} has the class {values[wrong[0]]!s}, which is not among the labels")
    return np.asarray(found, dtype=np.int64)


def _scored(
    name: str, target: npt.ArrayLike, score: npt.ArrayLike, labels: Any
) -> tuple[Values, npt.NDArray[np.float64], Values]:
    """Target, a column of scores in float64 for each class, and the classes in the order of the columns."""
    t = _one_column(as_ndarray(target, f"{name}: target"))
    given = _one_column(as_ndarray(score, f"{name}: score"))
    names = np.unique(t) if labels is None else as_ndarray(labels, f"{name}: labels")
    if t.ndim != 1 or given.ndim not in (1, 2) or len(given) != len(t) or not len(t):
        raise ValueError(f"{name}: target {t.shape} and scores {given.shape}, expected (n,) and (n,) or (n, classes)")
    if given.dtype.kind not in "biuf":
        raise TypeError(f"{name}: scores must be real numbers, got dtype {given.dtype}")
    columns = given.astype(np.float64)
    if columns.ndim == 1:
        columns = np.stack([ops.sub(1.0, columns).numpy(), columns], axis=1)
        if labels is None and len(names) == 1 and t.dtype.kind in "biuf":
            names = np.array([0, 1], dtype=t.dtype)  # of 0 and 1, only one occurs
    if columns.shape[1] != len(names):
        raise ValueError(
            f"{name}: the scores have {columns.shape[1]} columns, the target has {len(names)} classes; "
            "name the classes of the columns with labels="
        )
    return t, columns, names


def _numbers(name: str, target: npt.ArrayLike, prediction: npt.ArrayLike) -> tuple[Tensor, Tensor]:
    arrays = []
    for what, values in (("target", target), ("prediction", prediction)):
        array = as_ndarray(values, f"{name}: {what}")
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{name}: {what} must be real numbers, got dtype {array.dtype}")
        arrays.append(array[:, None] if array.ndim == 1 else array)
    t, p = arrays
    if t.shape != p.shape or t.ndim != 2 or not t.size:
        shapes = f"target {np.shape(target)} and prediction {np.shape(prediction)}"
        raise ValueError(f"{name}: {shapes}, expected the same shape (n,) or (n, columns)")
    return tensor(t.astype(np.float64)), tensor(p.astype(np.float64))

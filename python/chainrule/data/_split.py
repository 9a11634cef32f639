"""Seeded row indices: splits, folds and minibatches; the same seed gives the same rows on every machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from .._util.arrays import as_ndarray
from .._util.checks import is_integer
from .._util.dtypes import Array
from ..random import Generator

__all__ = ["batches", "epoch_order", "k_fold", "split", "train_validation_split"]

# Random streams, disjoint from those of initialisation (0, 1, ...). Epoch e uses stream _EPOCH_STREAM + e.
_EPOCH_STREAM = 2**32
_SPLIT_STREAM = 2**33

Indices = npt.NDArray[np.int64]


def train_validation_split(
    X: Array, y: Array, *, fraction: float = 0.2, seed: int = 0, stratify: npt.ArrayLike | None = None
) -> tuple[Array, Array, Array, Array]:
    """Split rows at random into a training part and a validation part.

    The rows are permuted by the seed; the first round(n * fraction) of them, halves rounded up, form the validation
    part.

    Arguments: `X` of shape (n, ...) and `y` of shape (n, ...), any dtypes; `fraction` of validation rows, between 0 and
    1; `seed`; `stratify`, n labels: the rows of each label are split separately, which preserves the proportions.
    Returns: `(X_train, y_train, X_validation, y_validation)`, copies in permuted order.
    Errors: ValueError when the lengths differ, the fraction is not in (0, 1), or a part would be empty.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> X, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    >>> X_train, y_train, X_val, y_val = cr.data.train_validation_split(X, y, seed=1)
    >>> X_train.shape, y_val.shape
    ((8, 2), (2,))
    """
    X, y = as_ndarray(X, "train_validation_split: X"), as_ndarray(y, "train_validation_split: y")
    if not 0 < fraction < 1:
        raise ValueError(f"train_validation_split: fraction must be between 0 and 1, got {fraction}")
    _check_rows("train_validation_split", X, y)
    validation, training = _parts("train_validation_split", len(X), (fraction,), seed, stratify)
    return X[training], y[training], X[validation], y[validation]


def split(
    X: Array,
    y: Array,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    *,
    seed: int = 0,
    stratify: npt.ArrayLike | None = None,
) -> list[tuple[Array, Array]]:
    """Split rows at random into several parts, such as training, validation and test rows.

    The rows are permuted by the seed and cut at round(n * (cumulative sum of the fractions)), halves rounded up.

    Arguments: `X` of shape (n, ...) and `y` of shape (n, ...), any dtypes; `fractions`, positive with sum 1; `seed`;
    `stratify`, n labels: the rows of each label are split separately, which preserves the proportions.
    Returns: a pair `(X, y)` for each fraction, copies in permuted order.
    Errors: ValueError when the lengths differ, the fractions do not add up to 1, or a part would be empty.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> X, y = np.arange(20.0).reshape(10, 2), np.array([0, 1] * 5)
    >>> train, validation, test = cr.data.split(X, y, seed=1, stratify=y)
    >>> [len(part[1]) for part in (train, validation, test)], sorted(test[1].tolist())
    ([6, 2, 2], [0, 1])
    """
    X, y = as_ndarray(X, "split: X"), as_ndarray(y, "split: y")
    if len(fractions) < 2 or not all(fraction > 0 for fraction in fractions) or abs(1 - sum(fractions)) > 1e-9:
        raise ValueError(f"split: fractions must be at least two positive numbers with sum 1, got {tuple(fractions)}")
    _check_rows("split", X, y)
    return [(X[rows], y[rows]) for rows in _parts("split", len(X), fractions[:-1], seed, stratify)]


def _check_rows(name: str, X: Array, y: Array) -> None:
    if X.ndim < 1 or y.ndim < 1 or len(X) != len(y):
        raise ValueError(f"{name}: X has shape {X.shape}, y {y.shape}; expected the same number of rows")


def _encode_labels(name: str, labels: npt.ArrayLike, n: int) -> Indices:
    """The labels encoded as 0, 1, ... in sorted order."""
    values = as_ndarray(labels, f"{name}: labels")
    if values.shape != (n,):
        raise ValueError(f"{name}: labels have shape {values.shape}, expected ({n},)")
    return np.unique(values, return_inverse=True)[1].reshape(-1)


def _parts(name: str, n: int, fractions: Sequence[float], seed: int, stratify: npt.ArrayLike | None) -> list[Indices]:
    """The row indices of each fraction's part, and of the remaining rows, in permuted order."""
    order = Generator(seed, stream=_SPLIT_STREAM).permutation(n)
    labels = np.zeros(n, dtype=np.int64) if stratify is None else _encode_labels(name, stratify, n)
    part = np.empty(n, dtype=np.int64)
    for label in range(int(labels.max(initial=-1)) + 1):
        rows = order[labels[order] == label]
        ends = _part_ends(len(rows), fractions)
        part[rows] = np.searchsorted(ends, np.arange(len(rows)), side="right")
    parts = [order[part[order] == i] for i in range(len(fractions) + 1)]
    if not all(len(rows) for rows in parts):
        raise ValueError(f"{name}: one part is empty with {n} rows and fraction {', '.join(map(str, fractions))}")
    return parts


def _part_ends(n: int, fractions: Sequence[float]) -> list[int]:
    """round(n * (cumulative sum of fractions)), halves rounded up; in integers, independent of the rounding mode."""
    total, scale = 0, 1  # the cumulative sum is total / scale
    ends = []
    for fraction in fractions:
        numerator, denominator = float(fraction).as_integer_ratio()
        total, scale = total * denominator + numerator * scale, scale * denominator
        ends.append((2 * n * total + scale) // (2 * scale))
    return ends


def k_fold(
    rows: int | npt.ArrayLike, k: int = 10, *, seed: int = 0, stratified: bool = False
) -> list[tuple[Indices, Indices]]:
    """Select the rows of k-fold cross-validation: every row is held out once.

    The rows are permuted by the seed (and sorted by label, if stratified) and assigned to the folds in turn. Fold sizes
    differ by at most 1, with `stratified` also within each label.

    Arguments: `rows`, their number n, or n labels; `k`, from 2 to n; `seed`; `stratified`, whether every fold has the
    same proportions of labels.
    Returns: k pairs of int64 arrays `(training rows, held-out rows)`, each ascending.
    Errors: ValueError for k out of range, or for `stratified` without labels.

    >>> import chainrule as cr
    >>> for train, held in cr.data.k_fold([0, 0, 0, 1, 1, 1], 3, stratified=True):
    ...     print(train, held)
    [1 2 4 5] [0 3]
    [0 1 3 4] [2 5]
    [0 2 3 5] [1 4]
    """
    is_count = is_integer(rows)
    n = int(rows) if is_count else len(np.asarray(rows))  # type: ignore[arg-type]
    if not 2 <= k <= n:
        raise ValueError(f"k_fold: k must be between 2 and the number of rows, {n}, got {k}")
    order = Generator(seed, stream=_SPLIT_STREAM).permutation(n)
    if stratified:
        if is_count:
            raise ValueError(f"k_fold: rows is the number {n}, expected an array of labels for stratified folds")
        order = order[np.argsort(_encode_labels("k_fold", rows, n)[order], kind="stable")]
    folds = []
    for fold in range(k):
        held = np.zeros(n, dtype=bool)
        held[order[fold::k]] = True
        folds.append((np.flatnonzero(~held), np.flatnonzero(held)))
    return folds


def epoch_order(n: int, seed: int, epoch: int) -> Indices:
    """The permutation of n rows that `cr.fit` uses in an epoch (from 0)."""
    return Generator(seed, stream=_EPOCH_STREAM + epoch).permutation(n)


def batches(n: int, batch_size: int, *, seed: int = 0, epoch: int = 0, shuffle: bool = True) -> Iterator[Indices]:
    """Yield the row indices of each minibatch of an epoch, in the order of `cr.fit`; the last batch may be smaller.

    Arguments: `n`, the number of rows; `batch_size`; `seed` and `epoch` (from 0), which determine the order;
    `shuffle`, False for ascending rows.
    Yields: int64 arrays of row indices.
    Errors: ValueError for n or batch_size below 1.

    >>> import chainrule as cr
    >>> [len(rows) for rows in cr.data.batches(10, 4, seed=3)]
    [4, 4, 2]
    """
    if n < 1 or batch_size < 1:
        raise ValueError(f"batches: n and batch_size must be at least 1, got {n} and {batch_size}")
    order = epoch_order(n, seed, epoch) if shuffle else np.arange(n, dtype=np.int64)
    return (order[start : start + batch_size] for start in range(0, n, batch_size))

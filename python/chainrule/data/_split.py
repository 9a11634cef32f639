"""Seeded choices of rows: splits, folds and batches, the same for the same seed everywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .._util.checks import is_integer
from ..random import Generator

__all__ = ["batches", "epoch_order", "k_fold", "split", "train_validation_split"]

_ORDER_STREAM = 2**32  # the order of epoch e is drawn from this stream + e, apart from initialisation (0, 1, ...)
_SPLIT_STREAM = 2**33

Array = npt.NDArray[Any]
Index = npt.NDArray[np.int64]


def train_validation_split(
    X: Array, y: Array, *, fraction: float = 0.2, seed: int = 0, stratify: npt.ArrayLike | None = None
) -> tuple[Array, Array, Array, Array]:
    """Split rows at random into a training part and a validation part.

    The rows are permuted by the seed; the first round(n * fraction) of them, halves up, are the validation part.

    Arguments: `X` of shape (n, ...) and `y` of shape (n, ...), any dtypes; `fraction`, between 0 and 1; `seed`;
    `stratify`, n labels: every label is split by itself, so that both parts have the same shares of them.
    Returns: `(X_train, y_train, X_validation, y_validation)`, copies in permuted order.
    Errors: ValueError when the lengths differ, the fraction is not in (0, 1), or a part would be empty.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> X, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    >>> X_train, y_train, X_val, y_val = cr.data.train_validation_split(X, y, seed=1)
    >>> X_train.shape, y_val.shape
    ((8, 2), (2,))
    """
    X, y = np.asarray(X), np.asarray(y)
    if not 0 < fraction < 1:
        raise ValueError(f"train_validation_split: fraction must be between 0 and 1, got {fraction}")
    _check_rows("train_validation_split", X, y)
    held, rest = _parts("train_validation_split", len(X), (fraction,), seed, stratify)
    return X[rest], y[rest], X[held], y[held]


def split(
    X: Array,
    y: Array,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    *,
    seed: int = 0,
    stratify: npt.ArrayLike | None = None,
) -> list[tuple[Array, Array]]:
    """Split rows at random into several parts, such as training, validation and test rows.

    The rows are permuted by the seed and cut where round(n * (sum of the fractions so far)) says, halves up.

    Arguments: `X` of shape (n, ...) and `y` of shape (n, ...), any dtypes; `fractions`, above 0, of sum 1; `seed`;
    `stratify`, n labels: every label is split by itself, so that all parts have the same shares of them.
    Returns: a pair `(X, y)` for each fraction, copies in permuted order.
    Errors: ValueError when the lengths differ, the fractions do not add up to 1, or a part would be empty.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> X, y = np.arange(20.0).reshape(10, 2), np.array([0, 1] * 5)
    >>> train, validation, test = cr.data.split(X, y, seed=1, stratify=y)
    >>> [len(part[1]) for part in (train, validation, test)], sorted(test[1].tolist())
    ([6, 2, 2], [0, 1])
    """
    X, y = np.asarray(X), np.asarray(y)
    if len(fractions) < 2 or not all(fraction > 0 for fraction in fractions) or abs(1 - sum(fractions)) > 1e-9:
        raise ValueError(f"split: fractions must be at least two numbers above 0 of sum 1, got {tuple(fractions)}")
    _check_rows("split", X, y)
    return [(X[rows], y[rows]) for rows in _parts("split", len(X), fractions[:-1], seed, stratify)]


def _check_rows(name: str, X: Array, y: Array) -> None:
    if X.ndim < 1 or y.ndim < 1 or len(X) != len(y):
        raise ValueError(f"{name}: X and y need the same number of rows, got {X.shape} and {y.shape}")


def _labels(name: str, labels: npt.ArrayLike, n: int) -> Index:
    """The labels as 0, 1, ... in sorted order."""
    values = np.asarray(labels)
    if values.shape != (n,):
        raise ValueError(f"{name}: expected {n} labels of shape ({n},), got {values.shape}")
    return np.unique(values, return_inverse=True)[1].reshape(-1)


def _parts(name: str, n: int, fractions: Sequence[float], seed: int, stratify: npt.ArrayLike | None) -> list[Index]:
    """The rows of a part for each fraction, and those of the rest, in permuted order."""
    order = Generator(seed, stream=_SPLIT_STREAM).permutation(n)
    labels = np.zeros(n, dtype=np.int64) if stratify is None else _labels(name, stratify, n)
    part = np.empty(n, dtype=np.int64)
    for label in range(int(labels.max(initial=-1)) + 1):
        rows = order[labels[order] == label]
        ends = _cuts(len(rows), fractions)
        part[rows] = np.searchsorted(ends, np.arange(len(rows)), side="right")
    parts = [order[part[order] == number] for number in range(len(fractions) + 1)]
    if not all(len(rows) for rows in parts):
        raise ValueError(f"{name}: {n} rows and fraction {', '.join(map(str, fractions))} leave one part empty")
    return parts


def _cuts(n: int, fractions: Sequence[float]) -> list[int]:
    """round(n * (sum of fractions so far)), halves up; in integers, so that no rounding mode matters."""
    above, below = 0, 1
    ends = []
    for fraction in fractions:
        numerator, denominator = float(fraction).as_integer_ratio()
        above, below = above * denominator + numerator * below, below * denominator
        ends.append((2 * n * above + below) // (2 * below))
    return ends


def k_fold(
    rows: int | npt.ArrayLike, k: int = 10, *, seed: int = 0, stratified: bool = False
) -> list[tuple[Index, Index]]:
    """Choose the rows of k-fold cross-validation: every row is held out once.

    The rows are permuted by the seed (and sorted by label, if stratified) and dealt to the folds in turn: sizes differ
    by 1 at most, also those of every label.

    Arguments: `rows`, how many there are, or n labels; `k`, from 2 to the number of rows; `seed`; `stratified`,
    whether every fold has the same shares of the labels.
    Returns: k pairs of int64 arrays `(training rows, held-out rows)`, each ascending.
    Errors: ValueError for another k, or when labels are needed.

    >>> import chainrule as cr
    >>> for train, held in cr.data.k_fold([0, 0, 0, 1, 1, 1], 3, stratified=True):
    ...     print(train, held)
    [1 2 4 5] [0 3]
    [0 1 3 4] [2 5]
    [0 2 3 5] [1 4]
    """
    number = is_integer(rows)
    n = int(rows) if number else len(np.asarray(rows))  # type: ignore[arg-type]
    if not 2 <= k <= n:
        raise ValueError(f"k_fold: k must be from 2 to the number of rows, {n}, got {k}")
    order = Generator(seed, stream=_SPLIT_STREAM).permutation(n)
    if stratified:
        if number:
            raise ValueError("k_fold: stratified folds need the labels, not only their number")
        order = order[np.argsort(_labels("k_fold", rows, n)[order], kind="stable")]
    folds = []
    for fold in range(k):
        held = np.zeros(n, dtype=bool)
        held[order[fold::k]] = True
        folds.append((np.flatnonzero(~held), np.flatnonzero(held)))
    return folds


def epoch_order(n: int, seed: int, epoch: int) -> Index:
    """The order in which `cr.fit` takes n rows in an epoch (from 0)."""
    return Generator(seed, stream=_ORDER_STREAM + epoch).permutation(n)


def batches(n: int, batch_size: int, *, seed: int = 0, epoch: int = 0, shuffle: bool = True) -> Iterator[Index]:
    """Yield the rows of each minibatch of an epoch, as `cr.fit` takes them; the last batch may be smaller.

    Arguments: `n`, the number of rows; `batch_size`; `seed` and `epoch` (from 0), which the order depends on;
    `shuffle`, False for rows in ascending order.
    Yields: int64 arrays of row numbers.
    Errors: ValueError for n or batch_size below 1.

    >>> import chainrule as cr
    >>> [len(rows) for rows in cr.data.batches(10, 4, seed=3)]
    [4, 4, 2]
    """
    if n < 1 or batch_size < 1:
        raise ValueError(f"batches: n and batch_size must be at least 1, got {n} and {batch_size}")
    order = epoch_order(n, seed, epoch) if shuffle else np.arange(n, dtype=np.int64)
    return (order[start : start + batch_size] for start in range(0, n, batch_size))

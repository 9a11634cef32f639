"""Seeded row indices: splits, folds and minibatches; the same seed gives the same rows on every machine."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .._util.arrays import as_ndarray
from .._util.checks import check_integer, is_integer
from .._util.dtypes import Array
from ..random import Generator

__all__ = ["batches", "epoch_order", "k_fold", "split", "split_rows", "train_test_split", "train_validation_split"]

# Random streams, disjoint from those of initialisation (0, 1, ...). Epoch e uses stream _EPOCH_STREAM + e.
_EPOCH_STREAM = 2**32
_SPLIT_STREAM = 2**33

Indices = npt.NDArray[np.int64]


def train_test_split(
    *arrays: Any,
    test_size: float | int = 0.25,
    seed: int = 0,
    random_state: int | None = None,
    shuffle: bool = True,
    stratify: npt.ArrayLike | None = None,
) -> list[Any]:
    """Split rows at random into a training part and a test part, with scikit-learn's arguments and order of results.

    The rows are permuted by the seed; the first round(n * test_size) of them, halves rounded up, are the test part. The
    rows are not those that scikit-learn selects.

    Arguments: `arrays`, one or more with n rows: arrays, lists, data frames of pandas, polars or pyarrow, which keep
    their type, and sparse matrices, which become CSR; `test_size`, a fraction between 0 and 1, or a number of rows;
    `seed`, or `random_state`, which is the same; `shuffle`, False for the last rows in their order as the test part;
    `stratify`, n labels: the rows of each label are split separately, which preserves the proportions.
    Returns: a list of two parts for each array, `[X_train, X_test, y_train, y_test]` for `X, y`.
    Errors: ValueError when the lengths differ, or a part would be empty; TypeError for what has no rows.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> X, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    >>> X_train, X_test, y_train, y_test = cr.data.train_test_split(X, y, test_size=0.2, seed=1)
    >>> X_train.shape, X_test.shape, y_train.shape, y_test.shape
    ((8, 2), (2, 2), (8,), (2,))
    """
    name = "train_test_split"
    if not arrays:
        raise TypeError(f"{name}: expected one or more arrays")
    tables = [_with_rows(array, f"{name}: array {i}") for i, array in enumerate(arrays)]
    counts = [int(table.shape[0]) for table in tables]
    if len(set(counts)) > 1:
        raise ValueError(f"{name}: the arrays have {', '.join(map(str, counts))} rows, expected the same number")
    n = counts[0]
    if is_integer(test_size):
        if not 0 < test_size < n:
            raise ValueError(f"{name}: test_size must be between 0 and 1, or 1 to {n - 1} rows, got {test_size}")
        fraction = (int(test_size), n)
    else:
        fraction = _ratio(name, "test_size", test_size)
    seed = seed if random_state is None else check_integer(f"{name}: random_state", random_state, 0)
    if shuffle:
        test, train = split_rows(name, n, (fraction,), seed, stratify)
    elif stratify is not None:
        raise ValueError(f"{name}: stratify requires shuffle=True")
    else:
        train, test = np.split(np.arange(n), [n - _part_ends(n, (fraction,))[0]])
        if not len(train) or not len(test):
            raise ValueError(f"{name}: one part is empty with {n} rows and test_size {test_size}")
    return [_take_rows(table, rows) for table in tables for rows in (train, test)]


def _with_rows(array: Any, name: str) -> Any:
    """A data frame or a sparse matrix as it is, other data as an array with an axis of rows."""
    if any(hasattr(array, name) for name in ("iloc", "columns", "tocsr")) and len(array.shape) > 0:
        return array.tocsr() if hasattr(array, "tocsr") else array
    values = as_ndarray(array, name)
    if values.ndim == 0:
        raise TypeError(f"{name} has no rows, got {type(array).__name__}")
    return values


def _take_rows(table: Any, rows: Indices) -> Any:
    if hasattr(table, "iloc"):  # pandas
        return table.iloc[rows]
    if hasattr(table, "schema") and hasattr(table, "take"):  # pyarrow
        return table.take(rows)
    return table[rows]


def train_validation_split(
    X: Array, y: Array, *, fraction: float = 0.2, seed: int = 0, stratify: npt.ArrayLike | None = None
) -> tuple[Array, Array, Array, Array]:
    """Split rows as `train_test_split`, with results in another order: (X_train, y_train, X_validation, y_validation).

    Deprecated: `train_test_split` with `test_size=fraction` selects the same rows.

    >>> import warnings
    >>> import chainrule as cr
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     X, y, X_val, y_val = cr.data.train_validation_split([[1.0]] * 10, range(10))
    >>> len(y), len(y_val)
    (8, 2)
    """
    warnings.warn(
        "train_validation_split is removed in 0.3; train_test_split(X, y, test_size=fraction) selects the same rows "
        "and returns X_train, X_test, y_train, y_test",
        DeprecationWarning,
        stacklevel=2,
    )
    X, y = as_ndarray(X, "train_validation_split: X"), as_ndarray(y, "train_validation_split: y")
    _check_rows("train_validation_split", X, y)
    share = _ratio("train_validation_split", "fraction", fraction)
    validation, training = split_rows("train_validation_split", len(X), (share,), seed, stratify)
    return X[training], y[training], X[validation], y[validation]


def _ratio(name: str, argument: str, value: float) -> tuple[int, int]:
    """A fraction as the quotient of two integers; ValueError unless it is between 0 and 1."""
    if isinstance(value, bool) or not isinstance(value, (float, int, np.number)) or not 0 < value < 1:
        raise ValueError(f"{name}: {argument} must be between 0 and 1, got {value!r}")
    return float(value).as_integer_ratio()


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
    shares = [float(fraction).as_integer_ratio() for fraction in fractions[:-1]]
    return [(X[rows], y[rows]) for rows in split_rows("split", len(X), shares, seed, stratify)]


def _check_rows(name: str, X: Array, y: Array) -> None:
    if X.ndim < 1 or y.ndim < 1 or len(X) != len(y):
        raise ValueError(f"{name}: X has shape {X.shape}, y {y.shape}; expected the same number of rows")


def _encode_labels(name: str, labels: npt.ArrayLike, n: int) -> Indices:
    """The labels encoded as 0, 1, ... in sorted order."""
    values = as_ndarray(labels, f"{name}: labels")
    if values.shape != (n,):
        raise ValueError(f"{name}: labels have shape {values.shape}, expected ({n},)")
    return np.unique(values, return_inverse=True)[1].reshape(-1)


Ratio = tuple[int, int]  # a fraction as the quotient of two integers


def split_rows(
    name: str, n: int, fractions: Sequence[Ratio], seed: int, stratify: npt.ArrayLike | None
) -> list[Indices]:
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
        shown = ", ".join(f"{a / b:.6g}" for a, b in fractions)
        raise ValueError(f"{name}: one part is empty with {n} rows and fraction {shown}")
    return parts


def _part_ends(n: int, fractions: Sequence[Ratio]) -> list[int]:
    """round(n * (cumulative sum of fractions)), halves rounded up; in integers, independent of the rounding mode."""
    total, scale = 0, 1  # the cumulative sum is total / scale
    ends = []
    for numerator, denominator in fractions:
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

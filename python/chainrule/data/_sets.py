"""The digits that ship with the package, and the seeded split into training and validation rows."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from ..random import Generator
from ._csv import read_csv

__all__ = ["load_digits", "train_validation_split"]

DIGITS_PATH = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "datasets", "digits.csv.gz")

_SPLIT_STREAM = 2**33  # apart from initialisation (0, 1, ...) and from the order of epochs (2**32 + epoch)


def load_digits() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Load the 1797 handwritten digits that ship inside the package (UCI, CC BY 4.0; see datasets/LICENCE.md).

    Returns: `(images, labels)`: float32 of shape (1797, 64), 8x8 pixels from 0 to 16 in rows; int64 of shape (1797,).
    Errors: OSError when the package is damaged.

    >>> import chainrule as cr
    >>> images, labels = cr.data.load_digits()
    >>> images.shape, images.max().item(), labels[:4]
    ((1797, 64), 16.0, array([0, 1, 2, 3]))
    """
    table = read_csv(DIGITS_PATH, header=False)
    values = table.features  # small integers: the casts are exact
    return values[:, :-1].astype(np.float32), values[:, -1].astype(np.int64)


def train_validation_split(
    X: npt.NDArray[Any], y: npt.NDArray[Any], *, fraction: float = 0.2, seed: int = 0
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Split rows at random into a training part and a validation part, the same for the same seed everywhere.

    The rows are permuted by the seed; the first round(n * fraction) of them, halves up, are the validation part.

    Arguments: `X` of shape (n, ...) and `y` of shape (n, ...), any dtypes; `fraction`, between 0 and 1; `seed`.
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
    if X.ndim < 1 or y.ndim < 1 or len(X) != len(y):
        raise ValueError(f"train_validation_split: X and y need the same number of rows, got {X.shape} and {y.shape}")
    if not 0 < fraction < 1:
        raise ValueError(f"train_validation_split: fraction must be between 0 and 1, got {fraction}")
    n = len(X)
    numerator, denominator = float(fraction).as_integer_ratio()  # integers, so that no rounding mode matters
    held = (2 * n * numerator + denominator) // (2 * denominator)
    if not 0 < held < n:
        raise ValueError(f"train_validation_split: {n} rows and fraction {fraction} leave one part empty")
    order = Generator(seed, stream=_SPLIT_STREAM).permutation(n)
    return X[order[held:]], y[order[held:]], X[order[:held]], y[order[:held]]

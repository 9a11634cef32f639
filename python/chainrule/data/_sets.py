"""Data sets that are included in the package."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from ._csv import read_csv

__all__ = ["load_digits"]

DIGITS_PATH = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "datasets", "digits.csv.gz")


def load_digits() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Load the 1797 handwritten digits that are included in the package (UCI, CC BY 4.0; see datasets/LICENCE.md).

    Returns: `(images, labels)`: float32 of shape (1797, 64), 8x8 pixels from 0 to 16 in row-major order; int64 of shape
    (1797,).
    Errors: OSError when the file is missing or damaged.

    >>> import chainrule as cr
    >>> images, labels = cr.data.load_digits()
    >>> images.shape, images.max().item(), labels[:4]
    ((1797, 64), 16.0, array([0, 1, 2, 3]))
    """
    table = read_csv(DIGITS_PATH, header=False)
    values = table.features  # small integers: the casts are exact
    return values[:, :-1].astype(np.float32), values[:, -1].astype(np.int64)

"""The dtypes of the core, and type aliases for arrays and shapes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BOOL", "CODES", "FLOAT32", "FLOAT64", "FLOATS", "INT64", "Array", "Shape", "Spec"]

Array = npt.NDArray[Any]
Shape = tuple[int, ...]

FLOAT32: np.dtype[Any] = np.dtype(np.float32)
FLOAT64: np.dtype[Any] = np.dtype(np.float64)
INT64: np.dtype[Any] = np.dtype(np.int64)
BOOL: np.dtype[Any] = np.dtype(np.bool_)

# The core's dtype codes.
CODES: dict[Any, int] = {FLOAT32: 0, FLOAT64: 1, INT64: 2, BOOL: 3}
FLOATS: tuple[np.dtype[Any], ...] = (FLOAT32, FLOAT64)


@dataclass(slots=True, unsafe_hash=True)  # frozen, it takes three times as long to create
class Spec:
    """Shape and dtype of an argument; besides attributes, a plan depends on nothing else. Never changed."""

    shape: Shape
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def code(self) -> int:
        return CODES[self.dtype]

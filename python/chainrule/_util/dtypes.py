"""The dtypes of the core, and type aliases for arrays and shapes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "BOOL",
    "CODES",
    "DEFAULT",
    "FLOAT32",
    "FLOAT64",
    "FLOATS",
    "INT64",
    "Array",
    "Shape",
    "Spec",
    "default_dtype",
]

Array = npt.NDArray[Any]
Shape = tuple[int, ...]

FLOAT32: np.dtype[Any] = np.dtype(np.float32)
FLOAT64: np.dtype[Any] = np.dtype(np.float64)
INT64: np.dtype[Any] = np.dtype(np.int64)
BOOL: np.dtype[Any] = np.dtype(np.bool_)

# The core's dtype codes.
CODES: dict[Any, int] = {FLOAT32: 0, FLOAT64: 1, INT64: 2, BOOL: 3}
FLOATS: tuple[np.dtype[Any], ...] = (FLOAT32, FLOAT64)


class _Default:
    """The float dtype of what is made without one; `read`, set in mode.py, is called when it is read."""

    __slots__ = ("dtype", "read")

    def __init__(self) -> None:
        self.dtype = FLOAT32
        self.read: Callable[[], None] = lambda: None


DEFAULT = _Default()


def default_dtype() -> np.dtype[Any]:
    """The float dtype of `cr.set_default_dtype`; a trace that reads it holds while it is the same."""
    DEFAULT.read()
    return DEFAULT.dtype


class Spec:
    """Shape and dtype of an argument; besides attributes, a plan depends on nothing else. Never changed.

    Like all classes that the package needs when it is imported, it is no dataclass: each takes 0.3 to 1 ms to make.
    """

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: Shape, dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self.dtype = dtype

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Spec):
            return NotImplemented
        return self.shape == other.shape and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def __repr__(self) -> str:
        return f"Spec({self.shape}, {self.dtype})"

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def code(self) -> int:
        return CODES[self.dtype]

"""Values of a program by number: what is known of each before it is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._util.dtypes import CODES
from .shapes import Shape, product

__all__ = ["Spec", "Value"]


@dataclass(frozen=True)
class Spec:
    """Shape and dtype of an argument, all that a plan may depend on besides attributes."""

    shape: Shape
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        """Number of elements."""
        return product(self.shape)

    @property
    def code(self) -> int:
        """The core's number of the dtype."""
        return CODES[self.dtype]


@dataclass(eq=False, slots=True)
class Value:
    """A numbered value. `array` is the memory of a captured one; `constant`, that nobody can change it."""

    spec: Spec
    array: npt.NDArray[Any] | None = None
    constant: bool = False

"""Sizes and strides of C-contiguous arrays, in elements."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod
from operator import mul

__all__ = ["contiguous_strides", "product"]

product = prod  # the number of elements of a shape


def contiguous_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides in elements of a C-contiguous array."""
    return tuple(accumulate(shape[:0:-1], mul, initial=1))[::-1] if shape else ()

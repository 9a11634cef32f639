"""Sizes and strides of C-contiguous arrays, in elements."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

__all__ = ["contiguous_strides", "product"]

product = prod  # the number of elements of a shape


def contiguous_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides in elements of a C-contiguous array."""
    strides, step = [], 1
    for length in reversed(shape):
        strides.append(step)
        step *= length
    return tuple(strides[::-1])

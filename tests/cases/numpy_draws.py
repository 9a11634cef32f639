"""Random arrays for calls of NumPy's functions."""

from collections.abc import Callable
from typing import Any

import numpy as np

from reference.bits import Array

Call = Callable[..., Any]
Draw = Callable[[np.random.Generator], tuple[list[Array], Call]]


def some_shape(rng: np.random.Generator, low: int = 0, high: int = 3) -> tuple[int, ...]:
    return tuple(int(n) for n in rng.integers(1, 4, rng.integers(low, high + 1)))


def values(rng: np.random.Generator, shape: tuple[int, ...], low: float = -2.0, high: float = 2.0) -> Array:
    """Numbers in an interval, at least 0.01 apart from each other and from 0, so that differences cross no kink."""
    n = int(np.prod(shape))
    grid = np.linspace(low, high, 2 * n + 7)
    steps = rng.permutation(grid.size - 2)[:n] + 1
    return np.asarray(grid[steps] + 0.0123).reshape(shape)

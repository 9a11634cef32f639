"""Random shapes and values for the calls of derivative_cases, away from kinks and ties."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import chainrule as cr
from reference.bits import Array
from reference.table import ORDINARY, Interval

Shape = tuple[int, ...]
Rng = np.random.Generator
Call = tuple[Callable[..., cr.Tensor], list[Array]]
Generator = Callable[[Rng], Call]

GAP = 0.05


def some_shape(rng: Rng, least: int = 0, most: int = 4, elements: int = 16) -> Shape:
    """`least` to `most` axes of lengths 1 to 4, with a limit on the elements."""
    while True:
        shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(least, most + 1)))
        if np.prod(shape) <= elements:
            return shape


def broadcasting(rng: Rng, count: int) -> list[Shape]:
    """Shapes that broadcast to one: leading axes are omitted, lengths are 1."""
    whole = some_shape(rng)
    shapes = []
    for _ in range(count):
        kept = whole[rng.integers(0, len(whole) + 1) :] if rng.random() < 0.5 else whole
        shapes.append(tuple(1 if rng.random() < 0.25 else n for n in kept))
    return shapes


def draw(rng: Rng, shape: Shape, interval: Interval = ORDINARY, kinks: Sequence[float] = ()) -> Array:
    """Values of an interval, or of the tame part of a wide one, that keep the distance from kinks."""
    low, high = interval
    low, high = max(low, -3.0 if low < 0 else 0.25), min(high, 3.0)
    return away(rng.uniform(low, high, shape), kinks)


def away(x: Array, kinks: Sequence[float]) -> Array:
    """Move values that are too close to a kink away from it, to either side."""
    for kink in kinks:
        x = np.where(np.abs(x - kink) < GAP, kink + np.where(x < kink, -GAP, GAP) * 1.5, x)
    return np.asarray(x)


def distinct(rng: Rng, shape: Shape) -> Array:
    """No two of them nearer than the gap."""
    size = int(np.prod(shape))
    return np.asarray((rng.permutation(size).reshape(shape) - size / 2) * (2 * GAP) + rng.uniform(0, GAP))


def apart(rng: Rng, shapes: Sequence[Shape]) -> list[Array]:
    """Two arrays without ties between them."""
    steps = [rng.integers(-20, 20, shape) for shape in shapes]
    return [np.asarray(s * (2 * GAP) + i * GAP) for i, s in enumerate(steps)]


def axes_of(rng: Rng, ndim: int) -> Any:
    """None, an axis, counted from either end, or a tuple of them."""
    if ndim == 0 or rng.random() < 0.2:
        return None
    if rng.random() < 0.5:
        return int(rng.integers(-ndim, ndim))
    chosen = rng.permutation(ndim)[: rng.integers(0, ndim + 1)]
    return tuple(int(a) - ndim * int(rng.integers(0, 2)) for a in chosen)


def pick_one(rng: Rng, choices: Sequence[Any]) -> Any:
    return choices[int(rng.integers(len(choices)))]


def labelled(rng: Rng) -> tuple[Array, Array]:
    scores = draw(rng, (int(rng.integers(1, 5)), int(rng.integers(1, 5))))
    return scores, rng.integers(0, scores.shape[1], scores.shape[0])

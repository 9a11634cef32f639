"""The history of L-BFGS and the two-loop recursion, compiled."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from ..compiler.jit import Compiled

__all__ = ["History"]

_FIRST = 5  # pairs of the smallest program; the next ones have twice as many


class History:
    """The last pairs of steps s and changes of the gradient y, and their curvatures s.y.

    >>> from chainrule.optim._two_loop import History
    >>> len(History(10).pairs)
    0
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.pairs: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=size)
        self._scale = Tensor._wrap(np.ones(()))

    def add(self, step: Tensor, gradient: Tensor, before: Tensor | None = None) -> None:
        """Add a step and the change of the gradient, from `before` if there is one, by it.

        Not if its curvature is not positive: H would not be positive definite.
        """
        change, curvature, least, inverse, scale = _paired(step, gradient, _ZERO if before is None else before)
        if curvature.item() > least.item():
            self.pairs.append((step, change, inverse))
            self._scale = scale

    def direction(self, gradient: Tensor) -> tuple[Tensor, float]:
        """-H g, and its product with g."""
        room = _FIRST
        while room < len(self.pairs):
            room *= 2
        if not self.pairs:
            room = 0
        # A pair of curvature inf, with 1/curvature 0, changes nothing.
        absent = [(gradient, gradient, _ZERO)] * (room - len(self.pairs))
        pairs = [*absent, *self.pairs]
        found, slope = _recursion(room)(gradient, self._scale, *(part for pair in pairs for part in pair))
        return found, slope.item()

    def copy(self) -> History:
        """Another one of the same pairs, which are never changed."""
        other = History(self.size)
        other.pairs.extend(self.pairs)
        other._scale = self._scale
        return other

    def state(self) -> list[list[npt.NDArray[Any]]]:
        """Copies of the pairs."""
        return [[step.numpy().copy(), change.numpy().copy()] for step, change, _ in self.pairs]


_ZERO = Tensor._wrap(np.zeros(()))


def _pair(step: Tensor, gradient: Tensor, before: Tensor) -> tuple[Tensor, ...]:
    """The change y, s.y, the least s.y of a pair, 1 / s.y and s.y / y.y."""
    change = ops.sub(gradient, before)
    curvature, squares = ops.sum(ops.mul(step, change)), ops.sum(ops.square(change))
    least = ops.mul(squares, np.finfo(np.float64).eps)
    return change, curvature, least, ops.div(1.0, curvature), ops.div(curvature, squares)


_paired = Compiled(_pair, watched=())
_programs: dict[int, Compiled[Any]] = {}


def _recursion(pairs: int) -> Compiled[Any]:
    """The two-loop recursion (Nocedal and Wright, algorithm 7.4) over this number of pairs, oldest first."""
    if pairs not in _programs:

        def two_loops(gradient: Tensor, scale: Tensor, *parts: Tensor) -> tuple[Tensor, Tensor]:
            steps, changes, inverses = parts[::3], parts[1::3], parts[2::3]
            q, factors = gradient, []
            for s, y, inverse in zip(steps[::-1], changes[::-1], inverses[::-1], strict=True):
                factors.append(ops.mul(inverse, ops.sum(ops.mul(s, q))))
                q = ops.sub(q, ops.mul(factors[-1], y))
            r = ops.mul(scale, q)
            for s, y, inverse, factor in zip(steps, changes, inverses, factors[::-1], strict=True):
                r = ops.add(r, ops.mul(s, ops.sub(factor, ops.mul(inverse, ops.sum(ops.mul(y, r))))))
            return ops.neg(r), ops.sum(ops.mul(gradient, ops.neg(r)))

        _programs[pairs] = Compiled(two_loops, watched=())
    return _programs[pairs]

"""The line search of L-BFGS for the strong Wolfe conditions.

Every number is computed by ops: Python's arithmetic would follow the caller's rounding mode.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import Any

import numpy as np

from .. import ops
from .._tensor import Tensor
from ..compiler.jit import Compiled

__all__ = ["Point", "as_number", "slope_of", "strong_wolfe"]

_DECREASE, _CURVATURE = 1e-4, 0.9  # of the strong Wolfe conditions
_MOST = 25  # evaluations of one search


@dataclass(frozen=True)
class Point:
    """A point on the line: its step, the loss, the gradient and, once it is known, the slope."""

    step: float
    loss: float
    gradient: Tensor
    slope: float = 0.0


def as_number(value: Any) -> float:
    """A 0-d tensor or a number as float64."""
    return float(value.item() if hasattr(value, "item") else value)


def slope_of(gradient: Tensor, direction: Tensor) -> float:
    """g.d, a lane sum."""
    return as_number(_dot(gradient, direction))


def strong_wolfe(
    evaluate: Callable[[float], Point], here: Point, slope: float, direction: Tensor, first: float, most: int
) -> tuple[Point, float]:
    """Search from `here` along the direction, at most `most` evaluations, from the step `first`.

    Returns: a point that fulfils the conditions, or the best one below the first that was found (`here` itself, of step
    0, if the loss falls nowhere), and the step of the last evaluation.
    Source: Nocedal and Wright, Numerical Optimization, 2006, algorithms 3.5 and 3.6.
    """
    origin = replace(here, step=0.0, slope=slope)
    low, high, step = origin, None, first
    for _ in range(min(most, _MOST)):
        point = evaluate(step)
        point = replace(point, step=step, slope=slope_of(point.gradient, direction))
        if not point.loss <= _bound(origin, step) or (low.step > 0 and not point.loss < low.loss):
            high = point
        elif abs(point.slope) <= -_CURVATURE * slope:
            return point, step
        else:
            if high is None:  # every step so far was too short
                high = low if point.slope >= 0 else None
            elif (point.slope >= 0) == (high.step > low.step):
                high = low
            low = point
        following = _next(low, high)
        if following == step or following in (low.step, inf):
            break
        step = following
    return low, step


def _bound(origin: Point, step: float) -> float:
    """The largest loss of a sufficient decrease."""
    return as_number(_sufficient(np.array([origin.loss, origin.slope, step])))


def _next(low: Point, high: Point | None) -> float:
    """The next step: four times the longest while all were too short, else inside the bracket."""
    if high is None:
        return low.step * 4.0
    known = isfinite(high.loss) and isfinite(high.slope)
    chosen = _cubic if known else _middle
    return as_number(chosen(np.array([low.step, low.loss, low.slope, high.step, high.loss, high.slope])))


def _cubic_step(points: Tensor) -> Tensor:
    """The minimum of the cubic through both points with these slopes, a tenth of the interval or more from its ends."""
    x1, f1, g1, x2, f2, g2 = (points[i] for i in range(6))
    width = ops.sub(x2, x1)
    a = ops.sub(ops.add(g1, g2), ops.div(ops.mul(3.0, ops.sub(f2, f1)), width))
    square = ops.sub(ops.mul(a, a), ops.mul(g1, g2))
    root = ops.sqrt(ops.maximum(square, 0.0))
    root = ops.where(ops.less(width, 0.0), ops.neg(root), root)
    divisor = ops.add(ops.sub(g2, g1), ops.mul(2.0, root))
    share = ops.sub(1.0, ops.div(ops.sub(ops.add(g2, root), a), divisor))
    finite = ops.where(ops.equal(ops.sub(share, share), 0.0), share, 0.5)
    share = ops.clip(ops.where(ops.less(square, 0.0), 0.5, finite), 0.1, 0.9)
    return ops.add(x1, ops.mul(width, share))


def _middle_step(points: Tensor) -> Tensor:
    return ops.mul(0.5, ops.add(points[0], points[3]))


def _sufficient_loss(numbers: Tensor) -> Tensor:
    loss, slope, step = (numbers[i] for i in range(3))
    return ops.add(loss, ops.mul(ops.mul(_DECREASE, step), slope))


_dot = Compiled(lambda a, b: ops.sum(ops.mul(a, b)), watched=())
_cubic, _middle, _sufficient = (Compiled(f, watched=()) for f in (_cubic_step, _middle_step, _sufficient_loss))

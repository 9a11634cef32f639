"""The line search of L-BFGS for the strong Wolfe conditions, by More and Thuente, as in L-BFGS-B.

Every number is computed by ops: Python's arithmetic would follow the caller's rounding mode.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np

from .. import ops
from .._tensor import Tensor
from ..compiler.jit import Compiled

__all__ = ["Point", "as_number", "strong_wolfe"]

_DECREASE, _CURVATURE = 1e-3, 0.9  # of the strong Wolfe conditions
_MOST = 20  # evaluations of one search
_LONGEST = 1e10
_NARROW = 0.1  # relative width of the bracket at which its best end is taken


@dataclass(frozen=True)
class Point:
    """A point on the line: its step, the loss, the gradient, the slope, and the largest element of the gradient."""

    step: float
    loss: float
    gradient: Tensor
    slope: float = 0.0
    largest: float = 0.0


def as_number(value: Any) -> float:
    """A 0-d tensor or a number as float64."""
    return float(value.item() if hasattr(value, "item") else value)


def strong_wolfe(
    evaluate: Callable[[float], Point], here: Point, slope: float, first: float, most: int
) -> tuple[Point, float]:
    """Search from `here` along a direction of this slope, at most `most` evaluations, from the step `first`.

    Returns: a point that fulfils the conditions, or the best one below the first that was found (`here` itself, of step
    0, if the loss falls nowhere), and the step of the last evaluation.
    Source: More and Thuente, Line search algorithms with guaranteed sufficient decrease, 1994.
    """
    best, step = replace(here, step=0.0, slope=slope), first
    ends = [0.0, here.loss, slope] * 2
    state = _begun(np.array([here.loss, slope, 1.0, 0.0, *ends, 0.0, first, *[_LONGEST] * 3, first])).numpy()
    for _ in range(min(most, _MOST)):
        point = replace(evaluate(step), step=step)
        if point.loss < best.loss:
            best = point
        following = _advanced if isfinite(point.loss) and isfinite(point.slope) else _shortened
        found = following(np.array([*state, point.loss, point.slope])).numpy()
        if found[-1]:
            return point, step
        state, step = found[:-1], float(found[-2])
    return best, step


# The state of a search: loss and slope at 0; 1 until a step has had a sufficient decrease and a slope that is not
# negative, then 0; 1 once there is a bracket; step, loss and slope of its best end, and of the other; the limits of the
# next step; the longest step ever; the last two widths of the bracket; the step to evaluate.


def _begin(state: Tensor) -> Tensor:
    """The step is at most five times the first, until there is a bracket; a width before the first is twice that."""
    numbers = [state[i] for i in range(16)]
    numbers[11] = 5.0 * numbers[11]
    numbers[14] = 2.0 * numbers[14]
    return ops.stack(numbers)


def _shorten(state: Tensor) -> Tensor:
    """After a loss that is not finite: half the way back to the best step, and never as far again."""
    *kept, step, _, _ = (state[i] for i in range(18))
    middle = kept[4] + 0.5 * (step - kept[4])
    kept[11] = kept[12] = middle
    return ops.stack([*kept, middle, 0.0 * middle])


def _advance(state: Tensor) -> Tensor:
    """The state after the evaluation of a step, and 1 if the search ends there."""
    f0, g0, first, bracket, x, fx, gx, y, fy, gy, low, high, longest, width, before, t, f, g = (
        state[i] for i in range(18)
    )
    falling = _DECREASE * g0
    decreased = _flag(f <= f0 + t * falling)
    first = first * (1.0 - decreased * _flag(g >= 0.0))
    fulfils = decreased * _flag(ops.abs(g) <= -_CURVATURE * g0)
    at_longest = decreased * _flag(t >= longest) * _flag(g <= falling)
    ends = ops.maximum(fulfils, ops.maximum(bracket * _closed(t, low, high), at_longest))
    # In the first stage, of the loss minus the sufficient decrease, unless the loss fell below both.
    by = first * (1.0 - decreased) * _flag(f <= fx) * falling
    best, other, new = (x, fx - x * by, gx - by), (y, fy - y * by, gy - by), (t, f - t * by, g - by)
    step, bracket = _next(best, other, new, bracket, low, high)
    best, other = _ends(best, other, new)
    (x, fx, gx), (y, fy, gy) = ((e, fe + e * by, ge + by) for e, fe, ge in (best, other))
    # A bracket that has not shrunk to two thirds within two steps is halved.
    wide = bracket > 0.0
    slow = bracket * _flag(ops.abs(y - x) >= 0.66 * before)
    step = ops.where(slow > 0.0, x + 0.5 * (y - x), step)
    before, width = ops.where(wide, width, before), ops.where(wide, ops.abs(y - x), width)
    low = ops.where(wide, ops.minimum(x, y), step + 1.1 * (step - x))
    high = ops.where(wide, ops.maximum(x, y), step + 4.0 * (step - x))
    step = ops.minimum(ops.maximum(step, 0.0), longest)
    step = ops.where(bracket * _closed(step, low, high) > 0.0, x, step)
    return ops.stack([f0, g0, first, bracket, x, fx, gx, y, fy, gy, low, high, longest, width, before, step, ends])


def _flag(condition: Tensor) -> Tensor:
    """1 or 0, so that "and" is a product."""
    return ops.where(condition, _ONE, 0.0)


def _closed(step: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Whether a bracket leaves no room: 1 or 0."""
    return ops.maximum(_flag(high - low <= _NARROW * high), ops.maximum(_flag(step <= low), _flag(step >= high)))


_ONE = Tensor._wrap(np.ones(()))
End = tuple[Tensor, Tensor, Tensor]  # step, loss, slope


def _next(best: End, other: End, new: End, bracket: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """The next step by interpolation, in the four cases of the paper, and whether there is a bracket now."""
    (x, fx, gx), (t, f, g), wide = best, new, bracket > 0.0
    after = t > x
    secant = t + (g / (g - gx)) * (x - t)
    # A higher loss: the minimum of the cubic, or half way to that of the quadratic.
    cubic = _cubic(best, new)
    quadratic = x + ((gx / ((fx - f) / (t - x) + gx)) / 2.0) * (t - x)
    nearer = ops.abs(cubic - x) < ops.abs(quadratic - x)
    higher = ops.where(nearer, cubic, cubic + (quadratic - cubic) / 2.0)
    # A slope of the other sign: the farther of cubic and secant.
    back = _cubic(new, best)
    crossed = ops.where(ops.abs(back - t) > ops.abs(secant - t), back, secant)
    # A flatter slope: the cubic if it has its minimum beyond, within the bracket the nearer of both.
    beyond = _cubic(new, best, beyond=ops.where(after, high, low))
    near, far = ops.abs(beyond - t) < ops.abs(secant - t), ops.abs(beyond - t) > ops.abs(secant - t)
    inside, limit = ops.where(near, beyond, secant), t + 0.66 * (other[0] - t)
    inside = ops.where(after, ops.minimum(limit, inside), ops.maximum(limit, inside))
    outside = ops.maximum(low, ops.minimum(high, ops.where(far, beyond, secant)))
    flatter = ops.where(wide, inside, outside)
    # A steeper slope: into the bracket, or as far as is allowed.
    steeper = ops.where(wide, _cubic(new, other), ops.where(after, high, low))
    opposite = g * ops.sign(gx) < 0.0
    low_loss = ops.where(opposite, crossed, ops.where(ops.abs(g) < ops.abs(gx), flatter, steeper))
    closes = ops.maximum(bracket, ops.maximum(_flag(f > fx), _flag(opposite)))
    return ops.where(f > fx, higher, low_loss), closes


def _cubic(a: End, b: End, beyond: Tensor | None = None) -> Tensor:
    """The minimum of the cubic through two ends, seen from a; or `beyond` where there is none past a."""
    (s, fs, gs), (t, ft, gt) = a, b
    theta = 3.0 * (fs - ft) / (t - s) + gs + gt
    scale = ops.maximum(ops.abs(theta), ops.maximum(ops.abs(gs), ops.abs(gt)))
    square = (theta / scale) * (theta / scale) - (gs / scale) * (gt / scale)
    gamma = scale * ops.sqrt(ops.maximum(square, 0.0))
    gamma = ops.where(t < s, ops.neg(gamma), gamma)
    share = ((gamma - gs) + theta) / (((gamma - gs) + gamma) + gt)
    found = s + share * (t - s)
    if beyond is None:
        return found
    return ops.where(_flag(share < 0.0) * ops.abs(gamma) > 0.0, found, beyond)


def _ends(best: End, other: End, new: End) -> tuple[End, End]:
    """The ends of the bracket once the new point is known."""
    (_, fx, gx), (_, f, g) = best, new
    higher, opposite = f > fx, g * ops.sign(gx) < 0.0
    others = [ops.where(higher, n, ops.where(opposite, b, o)) for b, o, n in zip(best, other, new, strict=True)]
    bests = [ops.where(higher, b, n) for b, n in zip(best, new, strict=True)]
    return (bests[0], bests[1], bests[2]), (others[0], others[1], others[2])


_begun, _advanced, _shortened = (Compiled(f, watched=()) for f in (_begin, _advance, _shorten))

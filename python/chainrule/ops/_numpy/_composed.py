"""NumPy's functions that are a few ops each, and have no name here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..._tensor import Tensor
from ..._util.checks import is_integer
from .._arithmetic import add, div, mul, sub, where
from .._getitem import getitem
from .._operands import own, pair
from .._rearrange import moveaxis, split
from .._shape import broadcast_to, concatenate, reshape, stack
from .._strides import axes_of
from ._rows import FUNCTIONS, NoOpError, adapts, check_default

__all__ = ["FUNCTIONS"]


def _parts(x: Tensor, sections: Any, axis: int) -> list[Tensor]:
    if not is_integer(sections):
        return list(split(x, sections, axis))
    (at,) = axes_of("array_split", axis, x.ndim)
    if sections < 1:
        raise ValueError(f"array_split: the number of sections must be at least 1, got {sections}")
    small, larger = divmod(x.shape[at], int(sections))
    lengths = [small + 1] * larger + [small] * (int(sections) - larger)
    return list(split(x, [int(end) for end in np.cumsum(lengths[:-1])], axis))


adapts("array_split")(lambda ary, indices_or_sections, axis=0: _parts(own(ary), indices_or_sections, axis))


def _adapt_split(name: str, least: int, axis: int) -> None:
    @adapts(name)
    def divided(ary: Any, indices_or_sections: Any) -> list[Tensor]:
        x = own(ary)
        if x.ndim < least:
            raise ValueError(f"{name}: expected at least {least} axes, got shape {x.shape}")
        return list(split(x, indices_or_sections, 0 if x.ndim == 1 else axis))


_adapt_split("vsplit", 2, 0)
_adapt_split("hsplit", 1, 1)
_adapt_split("dsplit", 3, 2)


@adapts("rollaxis")
def _rollaxis(a: Any, axis: int, start: int = 0) -> Tensor:
    x = own(a)
    (at,) = axes_of("rollaxis", axis, x.ndim)
    to = start + x.ndim if start < 0 else start
    if not 0 <= to <= x.ndim:
        raise ValueError(f"rollaxis: start {start} is out of range for shape {x.shape}")
    return moveaxis(x, at, to - 1 if at < to else to)


adapts("real", "real_if_close")(lambda val: own(val))


@adapts("cross")
def _cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Tensor:
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = pair(a, b)
    x, y = moveaxis(x, axisa, 0), moveaxis(y, axisb, 0)
    if x.shape[0] != 3 or y.shape[0] != 3:
        raise NoOpError(f"its op takes vectors of 3 elements, not {x.shape[0]} and {y.shape[0]}")
    ends = ((1, 2), (2, 0), (0, 1))
    found = stack([sub(mul(getitem(x, i), getitem(y, j)), mul(getitem(x, j), getitem(y, i))) for i, j in ends])
    return moveaxis(found, 0, axisc)


@adapts("select")
def _select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Tensor:
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ValueError(f"select: {len(condlist)} conditions for {len(choicelist)} choices")
    found = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        found = where(condition, choice, found)
    return own(found)


@adapts("linspace")
def _linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: int = 0
) -> Tensor:
    """start + i * ((stop - start) / gaps), the last one `stop` itself."""
    check_default(retstep=(retstep, False), dtype=(dtype, None))
    if not is_integer(num) or num < 0:
        raise ValueError(f"linspace: num must be an integer of at least 0, got {num!r}")
    first, last = pair(start, stop)
    gap = sub(last, first)
    steps = reshape(own(np.arange(num, dtype=gap.dtype)), (int(num), *[1] * gap.ndim))
    gaps = num - 1 if endpoint else num
    found = add(first, mul(steps, div(gap, gaps)) if gaps > 0 else mul(steps, gap))
    if endpoint and num > 1:
        inner = getitem(found, slice(0, num - 1))
        found = concatenate([inner, reshape(broadcast_to(last, gap.shape), (1, *gap.shape))])
    return moveaxis(found, 0, axis)


@adapts("gradient")
def _gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Differences of neighbours at equal distances: (x[i + 1] - x[i - 1]) / 2h inside, one-sided at the ends."""
    x = own(f)
    axes = tuple(range(x.ndim)) if axis is None else axes_of("gradient", axis, x.ndim)
    steps = list(varargs) * (len(axes) if len(varargs) == 1 else 1) or [1.0] * len(axes)
    if len(steps) != len(axes):
        raise TypeError(f"gradient: {len(varargs)} distances for {len(axes)} axes")
    if any(np.ndim(step) for step in steps):
        raise NoOpError("its op takes one distance for an axis")
    if edge_order not in (1, 2):
        raise ValueError(f"gradient: edge_order must be 1 or 2, got {edge_order}")
    found = [_slopes(x, at, step, edge_order) for at, step in zip(axes, steps, strict=True)]
    return found[0] if (axis is not None and is_integer(axis)) or len(axes) == 1 else tuple(found)


def _slopes(x: Tensor, at: int, step: float, order: int) -> Tensor:
    n = x.shape[at]
    if n <= order:
        raise ValueError(f"gradient: expected at least {order + 1} elements along axis {at}, got shape {x.shape}")

    def row(begin: int, end: int) -> Tensor:
        return getitem(x, (*[slice(None)] * at, slice(begin, end)))

    def end(i: int, to: int) -> Tensor:
        """From element i towards the inside, in steps of `to`."""
        near, far = (sub(row(j, j + 1), row(i, i + 1)) for j in (i + to, i + 2 * to if order == 2 else i + to))
        if order == 1:
            return div(near, step * to)
        return div(sub(mul(near, 4.0), far), 2.0 * step * to)

    inside = div(sub(row(2, n), row(0, n - 2)), 2.0 * step)
    return concatenate([end(0, 1), inside, end(n - 1, -1)], at)

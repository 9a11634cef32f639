"""NumPy's functions of shapes as ops; they take any dtype."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..._ir.shapes import product
from ..._tensor import Tensor
from ..._util.checks import is_integer
from .._operands import own, pair
from .._shape import broadcast_to, concatenate, getitem, reshape, stack, take, transpose
from .._strides import axes_of
from ._rows import FUNCTIONS, adapts, check_default

__all__ = ["FUNCTIONS"]

adapts("shape")(lambda a: a.shape)


@adapts("ndim")
def _ndim(a: Any) -> int:
    return own(a).ndim


@adapts("size")
def _size(a: Any, axis: Any = None) -> int:
    t = own(a)
    return t.size if axis is None else product([t.shape[i] for i in axes_of("size", axis, t.ndim)])


def _adapt_like(name: str) -> None:
    """Arrays of a tensor's shape and dtype, which do not depend on its values: an ndarray, as NumPy gives it."""
    create = getattr(np, name)

    @adapts(f"{name}_like")
    def like(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None) -> Any:
        check_default(order=(order, "K"))
        return create(a.shape if shape is None else shape, dtype=a.dtype if dtype is None else dtype)


_adapt_like("zeros")
_adapt_like("ones")
_adapt_like("empty")


@adapts("reshape")
def _reshape(a: Any, shape: Any = None, order: str = "C", newshape: Any = None, copy: Any = None) -> Tensor:
    check_default(order=(order, "C"), copy=(copy, None))
    return reshape(a, newshape if shape is None else shape)


@adapts("ravel")
def _ravel(a: Any, order: str = "C") -> Tensor:
    check_default(order=(order, "C"))
    return reshape(a, -1)


@adapts("transpose", "permute_dims")
def _transpose(a: Any, axes: Any = None) -> Tensor:
    return transpose(a, axes)


@adapts("swapaxes")
def _swapaxes(a: Any, axis1: int, axis2: int) -> Tensor:
    t = own(a)
    (i,), (j,) = axes_of("swapaxes", axis1, t.ndim), axes_of("swapaxes", axis2, t.ndim)
    order = list(range(t.ndim))
    order[i], order[j] = j, i
    return transpose(t, order)


@adapts("moveaxis")
def _moveaxis(a: Any, source: Any, destination: Any) -> Tensor:
    t = own(a)
    given: list[list[int]] = [[part] if is_integer(part) else list(part) for part in (source, destination)]
    sources, targets = ([axes_of("moveaxis", i, t.ndim)[0] for i in part] for part in given)
    if len(set(sources)) != len(sources) or len(set(targets)) != len(targets) or len(sources) != len(targets):
        raise ValueError(f"moveaxis: source {source} and destination {destination} must be as many different axes")
    order = [i for i in range(t.ndim) if i not in sources]
    for to, axis in sorted(zip(targets, sources, strict=True)):
        order.insert(to, axis)
    return transpose(t, order)


@adapts("matrix_transpose")
def _matrix_transpose(x: Any) -> Tensor:
    return _swapaxes(x, -1, -2)


@adapts("expand_dims")
def _expand_dims(a: Any, axis: Any) -> Tensor:
    t = own(a)
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    new, left = axes_of("expand_dims", axis, t.ndim + count), iter(t.shape)
    return reshape(t, tuple(1 if i in new else next(left) for i in range(t.ndim + count)))


@adapts("squeeze")
def _squeeze(a: Any, axis: Any = None) -> Tensor:
    t = own(a)
    gone = [i for i, n in enumerate(t.shape) if n == 1] if axis is None else axes_of("squeeze", axis, t.ndim)
    if any(t.shape[i] != 1 for i in gone):
        raise ValueError(f"squeeze: axis {axis} of shape {t.shape} does not have length 1")
    return reshape(t, tuple(n for i, n in enumerate(t.shape) if i not in gone))


@adapts("broadcast_to")
def _broadcast_to(array: Any, shape: Any, subok: bool = False) -> Tensor:
    return broadcast_to(array, (shape,) if is_integer(shape) else shape)


def _flip_adapter(*axes: int) -> Callable[..., Tensor]:
    def flipped(m: Any) -> Tensor:
        return _flip(m, axes)

    return flipped


@adapts("flip")
def _flip(m: Any, axis: Any = None) -> Tensor:
    t = own(m)
    reversed_axes = axes_of("flip", axis, t.ndim)
    return getitem(t, tuple(slice(None, None, -1 if i in reversed_axes else 1) for i in range(t.ndim)))


adapts("flipud")(_flip_adapter(0))
adapts("fliplr")(_flip_adapter(1))


@adapts("concatenate", "concat")
def _concatenate(arrays: Any, axis: Any = 0, out: Any = None) -> Tensor:
    check_default(out=(out, None))
    if axis is None:
        return concatenate([reshape(t, -1) for t in arrays])
    return concatenate(list(arrays), axis)


@adapts("append")
def _append(arr: Any, values: Any, axis: Any = None) -> Tensor:
    return _concatenate(pair(arr, values), axis)


@adapts("stack")
def _stack(arrays: Any, axis: int = 0, out: Any = None) -> Tensor:
    check_default(out=(out, None))
    return stack(list(arrays), axis)


def _at_least(ndim: int, x: Any) -> Tensor:
    t = own(x)
    if ndim == 3 and t.ndim == 2:
        return reshape(t, (*t.shape, 1))
    if ndim == 3 and t.ndim == 1:
        return reshape(t, (1, -1, 1))
    return reshape(t, (1,) * (ndim - t.ndim) + t.shape) if t.ndim < ndim else t


def _several(ndim: int, arrays: Sequence[Any]) -> Any:
    found = [_at_least(ndim, x) for x in arrays]
    return found[0] if len(found) == 1 else tuple(found)


adapts("atleast_1d")(lambda *arys: _several(1, arys))
adapts("atleast_2d")(lambda *arys: _several(2, arys))
adapts("atleast_3d")(lambda *arys: _several(3, arys))


@adapts("vstack", "row_stack")
def _vstack(tup: Any) -> Tensor:
    return concatenate([_at_least(2, t) for t in tup])


@adapts("hstack")
def _hstack(tup: Any) -> Tensor:
    parts = [_at_least(1, t) for t in tup]
    return concatenate(parts, 0 if parts[0].ndim == 1 else 1)


@adapts("dstack")
def _dstack(tup: Any) -> Tensor:
    return concatenate([_at_least(3, t) for t in tup], 2)


@adapts("column_stack")
def _column_stack(tup: Any) -> Tensor:
    parts = [own(t) for t in tup]
    return concatenate([reshape(t, (-1, 1)) if t.ndim < 2 else t for t in parts], 1)


@adapts("take")
def _take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Tensor:
    check_default(out=(out, None), mode=(mode, "raise"))
    t = own(a)
    if axis is None:
        return take(reshape(t, -1), indices)
    (at,) = axes_of("take", axis, t.ndim)
    found = take(_moveaxis(t, at, 0), indices)
    count = found.ndim - t.ndim + 1  # the axes of indices come in place of the axis
    return _moveaxis(found, range(count), range(at, at + count))

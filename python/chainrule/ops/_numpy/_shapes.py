"""NumPy's functions of shapes as ops; they take any dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._ir.shapes import product
from ..._tensor import Tensor
from ..._util.checks import is_integer
from .._layouts import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_tensors,
    column_stack,
    dstack,
    fliplr,
    flipud,
    rot90,
    tril,
    triu,
)
from .._operands import own, pair
from .._rearrange import (
    diagonal,
    expand_dims,
    flip,
    hstack,
    moveaxis,
    repeat,
    roll,
    split,
    squeeze,
    swapaxes,
    tile,
    vstack,
)
from .._shape import broadcast_to, concatenate, reshape, stack, take, transpose
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


adapts("swapaxes")(lambda a, axis1, axis2: swapaxes(a, axis1, axis2))
adapts("moveaxis")(lambda a, source, destination: moveaxis(a, source, destination))
adapts("matrix_transpose")(lambda x: swapaxes(x, -1, -2))
adapts("expand_dims")(lambda a, axis: expand_dims(a, axis))
adapts("squeeze")(lambda a, axis=None: squeeze(a, axis))


@adapts("broadcast_to")
def _broadcast_to(array: Any, shape: Any, subok: bool = False) -> Tensor:
    return broadcast_to(array, (shape,) if is_integer(shape) else shape)


adapts("flip")(lambda m, axis=None: flip(m, axis))
adapts("flipud")(lambda m: flipud(m))
adapts("fliplr")(lambda m: fliplr(m))
adapts("roll")(lambda a, shift, axis=None: roll(a, shift, axis))
adapts("repeat")(lambda a, repeats, axis=None: repeat(a, repeats, axis))
adapts("tile")(lambda A, reps: tile(A, reps))
adapts("split")(lambda ary, indices_or_sections, axis=0: list(split(ary, indices_or_sections, axis)))
adapts("diagonal")(lambda a, offset=0, axis1=0, axis2=1: diagonal(a, offset, axis1, axis2))
adapts("tril")(lambda m, k=0: tril(m, k))
adapts("triu")(lambda m, k=0: triu(m, k))


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


adapts("atleast_1d")(lambda *arys: atleast_1d(*arys))
adapts("atleast_2d")(lambda *arys: atleast_2d(*arys))
adapts("atleast_3d")(lambda *arys: atleast_3d(*arys))
adapts("broadcast_arrays")(lambda *args, subok=False: broadcast_tensors(*args))
adapts("rot90")(lambda m, k=1, axes=(0, 1): rot90(m, k, axes))


adapts("vstack", "row_stack")(lambda tup: vstack(tup))
adapts("hstack")(lambda tup: hstack(tup))


adapts("dstack")(lambda tup: dstack(tup))
adapts("column_stack")(lambda tup: column_stack(tup))


@adapts("take")
def _take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Tensor:
    check_default(out=(out, None), mode=(mode, "raise"))
    return take(reshape(own(a), -1), indices) if axis is None else take(a, indices, axis)

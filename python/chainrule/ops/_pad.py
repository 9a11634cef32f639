"""Padding: NumPy's function, and PyTorch's order of its arguments for `nn.functional`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._ir.shapes import contiguous_strides
from .._tensor import Tensor
from .._util.checks import check_total, is_integer
from .._util.dtypes import Array
from ._getitem import getitem
from ._op import OPS, apply
from ._operands import own
from ._shape import concatenate, take

__all__ = ["pad"]

# Names of NumPy and of PyTorch.
MODES = {
    "constant": "constant",
    "edge": "edge",
    "replicate": "edge",
    "reflect": "reflect",
    "symmetric": "symmetric",
    "wrap": "wrap",
    "circular": "wrap",
}


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Tensor:
    """Add elements before and behind along axes, as `numpy.pad`.

    `nn.functional.pad` takes PyTorch's arguments: pairs for the last axis first.

    Arguments: `x`, any tensor; `pad_width`, (before, after) for each axis, one pair for all axes, or one number;
    `mode`: "constant"; "reflect" at the outermost elements, "symmetric" behind them; "edge" or "replicate", the
    outermost element; "wrap" or "circular", from the other end; `constant_values`, numbers in the form of `pad_width`.
    Errors: ValueError for other modes, negative or other numbers of widths, and for axes without elements to repeat.

    >>> import chainrule as cr
    >>> cr.pad([1.0, 2.0, 3.0], (1, 2)).tolist(), cr.pad([1.0, 2.0, 3.0], 2, "reflect").tolist()
    ([0.0, 1.0, 2.0, 3.0, 0.0, 0.0], [3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0])
    """
    source = own(x)
    widths = _pairs("pad_width", pad_width, source.ndim)
    if widths.dtype.kind not in "iu":
        raise TypeError(f"pad: pad_width must be integers, got {pad_width!r}")
    if (widths < 0).any():
        raise ValueError(f"pad: pad_width must not be negative, got {pad_width!r}; slices take elements away")
    return _padded(source, widths, mode, _pairs("constant_values", constant_values, source.ndim))


def _pairs(name: str, given: Any, ndim: int) -> Array:
    array = np.asarray(given)
    try:
        return np.broadcast_to(array, (ndim, 2))
    except ValueError:
        advice = ""
        if array.ndim == 1 and name == "pad_width":
            advice = "; chainrule.nn.functional.pad takes PyTorch's list, the last axis first"
        raise ValueError(
            f"pad: expected {name} (before, after) for each of the {ndim} axes of x, or for all, got {given!r}{advice}"
        ) from None


def _padded(x: Tensor, widths: Array, mode: str, values: Array) -> Tensor:
    if mode not in MODES:
        raise ValueError(f"pad: expected the mode {', '.join(MODES)}, got {mode!r}")
    whole = tuple(int(n + before + after) for n, (before, after) in zip(x.shape, widths, strict=True))
    check_total("pad", whole, x.dtype.itemsize)
    if mode == "constant" and not np.asarray(values).any() and x.dtype.kind == "f":
        strides = contiguous_strides(whole)
        offset = sum(int(before) * step for (before, _), step in zip(widths, strides, strict=True))
        return x if whole == x.shape else apply(OPS["slice_grad"], (x,), (x.shape, strides, offset, whole))
    for axis, (before, after) in enumerate(widths.tolist()):
        if before or after:
            if mode == "constant":
                x = _with_constants(x, axis, (before, after), values[axis])
            else:
                x = take(x, _positions(x.shape, axis, before, after, MODES[mode]), axis)
    return x


def _with_constants(x: Tensor, axis: int, widths: Sequence[int], values: Array) -> Tensor:
    first, last = (
        Tensor._wrap(np.full((*x.shape[:axis], n, *x.shape[axis + 1 :]), value, x.dtype))
        for n, value in zip(widths, values, strict=True)
    )
    return concatenate([first, x, last], axis)


def _positions(shape: Sequence[int], axis: int, before: int, after: int, mode: str) -> Array:
    n = shape[axis]
    if n == 0:
        raise ValueError(f"pad: axis {axis} of shape {tuple(shape)} has no elements to repeat; use mode='constant'")
    if mode == "wrap":
        return np.arange(-before, n + after) % n
    return np.asarray(np.pad(np.arange(n), (before, after), mode))  # type: ignore[call-overload]


def pad_last(x: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Add elements before and behind along the last axes, as `torch.nn.functional.pad`.

    Arguments: `x`; `pad`, (before, after) of the last axis, then of the one before it, ...; negative numbers take
    elements away; `mode` as `cr.pad`; `value` of constant elements, 0 by default.
    Errors: ValueError for an odd number of widths or more than x has axes, and as `cr.pad`.

    >>> import chainrule.nn.functional as F
    >>> F.pad([[1.0, 2.0]], (1, 0, 0, 1)).tolist()
    [[0.0, 1.0, 2.0], [0.0, 0.0, 0.0]]
    """
    source = own(x)
    given = list(pad)
    if len(given) % 2 or len(given) > 2 * source.ndim or not all(is_integer(n) for n in given):
        raise ValueError(f"pad: expected pairs of integers for at most {source.ndim} axes, got {pad!r}")
    if value is not None and mode != "constant":
        raise ValueError(f"pad: mode {mode!r} takes no value")
    widths = np.zeros((source.ndim, 2), np.int64)
    widths[source.ndim - len(given) // 2 :] = np.reshape(np.asarray(given, np.int64), (-1, 2))[::-1]
    if (widths < 0).any():
        away = np.maximum(-widths, 0)
        if (away.sum(1) > source.shape).any():
            raise ValueError(f"pad: {pad!r} takes away more elements than shape {source.shape} has")
        ends = [slice(i, n - j) for n, (i, j) in zip(source.shape, away.tolist(), strict=True)]
        source, widths = getitem(source, tuple(ends)), np.maximum(widths, 0)
    return _padded(source, widths, mode, np.full((source.ndim, 2), 0.0 if value is None else value))

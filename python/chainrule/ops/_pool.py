"""Pooling: maximum or mean of each window."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .._ir.instruction import Instr
from .._tensor import Tensor
from .._util.checks import check_total, is_integer
from .._util.dtypes import INT64, Array
from ._arithmetic import add, div, equal, where
from ._conv import columns_of
from ._images import as_given, as_images
from ._index import gather, overlaid
from ._op import LINEAR, OPS, Attrs, Op, Plan, Spec, apply, register
from ._operands import one
from ._reduce import argmax
from ._reduce import sum as total
from ._shape import index_tensor, reshape, take, transpose
from ._windows import Pair, Windows, output_size_of, sizes_of, windows_of


def _pool_windows(
    name: str,
    axes: int,
    images: Tensor,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
) -> Windows:
    kernel = sizes_of(name, "kernel_size", kernel_size, 1, axes, 1)
    strides = kernel if stride is None else sizes_of(name, "stride", stride, 1, axes, 1)
    pads = sizes_of(name, "padding", padding, 0, axes, 0)
    dilations = sizes_of(name, "dilation", dilation, 1, axes, 1)
    if any(2 * p > d * (k - 1) + 1 for p, d, k in zip(pads, dilations, kernel, strict=True)):
        shown = kernel if axes == 2 else kernel[1]
        raise ValueError(f"{name}: padding must be at most half of the kernel {shown}, got {padding!r}")
    image = (images.shape[2], images.shape[3])
    return windows_of(name, image, kernel, strides, dilations, [(p, p) for p in pads], ceil_mode, axes)


def _by_window(images: Tensor, windows: Windows, outside: float) -> Tensor:
    """The windows as (n, channels, elements of a window, windows)."""
    columns = columns_of(images, windows, outside)
    return reshape(columns, (*images.shape[:2], windows.elements, windows.positions))


# Maxima (n, channels, oh, ow) and their gradient by the images, each in one pass; attrs: the windows. At a tie the
# gradient goes to the first of the largest elements inside of the image.
def _max_pool_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    (x,), (windows,) = specs, attrs
    out = Spec((*x.shape[:2], windows.oh, windows.ow), x.dtype)
    return Plan(out, [Instr(name, x.code, [1], [0], windows.record(*x.shape[:2]))])


def _max_pool_grad_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    x = specs[0]
    return Plan(x, [Instr(name, x.code, [2], [0, 1], attrs[0].record(*x.shape[:2]))])


def _at_maxima(t: Tensor, x: Tensor, windows: Windows) -> Tensor:
    """The elements of t where the windows of x have their maxima, (n, channels, oh, ow)."""
    elements = _by_window(x.detach(), windows, -np.inf)
    largest = reshape(apply(_MAX_POOL, (x.detach(),), (windows,)), (*x.shape[:2], windows.positions))
    index = argmax(elements, axis=2)
    if _has_padding(windows):
        index = _inside(index, largest, windows)
    rows = reshape(transpose(_by_window(t, windows, 0.0), (0, 1, 3, 2)), (index.size, windows.elements))
    return reshape(gather(rows, reshape(index, (index.size,))), (*x.shape[:2], windows.oh, windows.ow))


def _inside(index: Tensor, largest: Tensor, windows: Windows) -> Tensor:
    """Indices of the largest elements (n, channels, windows), none of them in the padding."""
    first = np.broadcast_to(_first_inside(windows), index.shape)
    return where(equal(largest, -np.inf), Tensor(first), index)


@lru_cache(maxsize=64)
def _first_inside(windows: Windows) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The first element of each window that is in the image; 0 where none is."""
    firsts, exists = [], []
    for axis in range(2):
        length, k, step, d, before, count = (windows[i + axis] for i in (0, 2, 4, 6, 8, 10))
        begin = np.arange(count) * step - before
        first = np.maximum(-(begin // d), 0)
        firsts.append(first)
        exists.append((first < k) & (begin + first * d < length))
    index = firsts[0][:, None] * windows.kw + firsts[1]
    return np.where(np.logical_and.outer(*exists), index, 0).reshape(-1)


_MAX_POOL: Op = register(
    Op(
        "max_pool",
        _max_pool_plan,
        (lambda g, y, x, a: apply(_MAX_POOL_GRAD, (x[0], g), a),),
        (lambda t, y, x, a: _at_maxima(t, x[0], *a),),
    )
)
_MAX_POOL_GRAD: Op = register(
    Op("max_pool_grad", _max_pool_grad_plan, (None, lambda g, y, x, a: _at_maxima(g, x[0], *a)), (None, LINEAR))
)


def max_pool2d(
    x: Any,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Maximum of each window, for each channel.

    out[i, c, r, s] = max over (y, x) of x[i, c, r*stride + y*dilation - padding, s*stride + x*dilation - padding]; the
    padding is -inf. NaN propagates; at a tie the gradient goes to the first element of the image in row-major order.

    Arguments: `x` (n, channels, h, w), float, or one image without the first axis; `kernel_size`, `stride` (default:
    kernel_size), `padding` (at most half of the kernel) and `dilation`, integers or pairs (height, width); `ceil_mode`,
    add a window where rows or columns remain; `return_indices`, return also the places of the maxima, in the plane
    read row by row, int64.
    Returns: a tensor (n, channels, oh, ow), oh = (h + 2*padding - dilation*(kh - 1) - 1) // stride + 1; with
    `return_indices` a tuple of it and of the indices.
    Errors: ValueError for shapes and a kernel larger than the image, TypeError for dtypes.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2).numpy()[0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    return _max_pool("max_pool2d", 2, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool1d(
    x: Any,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    dilation: int = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Maximum of each window of signals, for each channel: `cr.max_pool2d` of images of height 1.

    Arguments: `x` (n, channels, l), float, or one signal without the first axis; the others as `cr.max_pool2d`,
    integers.
    Returns: a tensor (n, channels, ol); with `return_indices` a tuple of it and the places of the maxima.

    >>> import chainrule as cr
    >>> cr.nn.functional.max_pool1d([[1.0, 3.0, 2.0, 5.0]], 2).tolist()
    [[3.0, 5.0]]
    """
    return _max_pool("max_pool1d", 1, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _max_pool(
    name: str,
    axes: int,
    x: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    images, alone = as_images(name, x, axes)
    windows = _pool_windows(name, axes, images, kernel_size, stride, padding, dilation, ceil_mode)
    y = apply(_MAX_POOL, (images,), (windows,))
    size = (windows.oh, windows.ow)
    out = as_given(y, axes, alone, size)
    if not return_indices:
        return out
    place = argmax(_by_window(images.detach(), windows, -np.inf), axis=2)
    if _has_padding(windows):
        place = _inside(place, reshape(y.detach(), place.shape), windows)
    begins, offsets = _places(windows)
    index = add(take(offsets, place), begins)
    return out, as_given(apply(OPS["astype"], (index,), (INT64.char,)), axes, alone, size)


def max_unpool2d(
    x: Any,
    indices: Any,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Put the maxima of `cr.max_pool2d` back to their places; all other elements are 0.

    Arguments: `x` (n, channels, h, w), float, or one image without the first axis; `indices`, of its shape, the places
    in the plane of the result, read row by row, as `return_indices` gives them; `kernel_size`, `stride` and `padding`
    of the pool; `output_size`, the shape of the result or its last two numbers, less than a stride away from the
    default (h - 1)*stride - 2*padding + kernel_size. Where an index repeats, the last one counts.
    Returns: a tensor (n, channels, oh, ow). Errors: ValueError for shapes and sizes, IndexError for indices.

    >>> import chainrule as cr
    >>> y, places = cr.max_pool2d(cr.tensor([[[[1.0, 4.0], [3.0, 2.0]]]]), 2, return_indices=True)
    >>> cr.nn.functional.max_unpool2d(y, places, 2).tolist()
    [[[[0.0, 4.0], [0.0, 0.0]]]]
    """
    return _max_unpool("max_unpool2d", 2, x, indices, kernel_size, stride, padding, output_size)


def max_unpool1d(
    x: Any,
    indices: Any,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Put the maxima of `max_pool1d` back to their places; arguments as `max_unpool2d`, of signals (n, channels, l).

    >>> import chainrule as cr
    >>> cr.nn.functional.max_unpool1d([[[4.0, 3.0]]], [[[1, 2]]], 2).tolist()
    [[[0.0, 4.0, 3.0, 0.0]]]
    """
    return _max_unpool("max_unpool1d", 1, x, indices, kernel_size, stride, padding, output_size)


def _max_unpool(
    name: str, axes: int, x: Any, indices: Any, kernel_size: Any, stride: Any, padding: Any, output_size: Any
) -> Tensor:
    images, alone = as_images(name, x, axes)
    kernel = sizes_of(name, "kernel_size", kernel_size, 1, axes, 1)
    steps = kernel if stride is None else sizes_of(name, "stride", stride, 1, axes, 1)
    pads = sizes_of(name, "padding", padding, 0, axes, 0)
    oh, ow = ((n - 1) * s - 2 * p + k for n, s, p, k in zip(images.shape[2:], steps, pads, kernel, strict=True))
    size = oh, ow
    if output_size is not None:
        lowest, highest = ([n + sign * (s - 1) for n, s in zip(size, steps, strict=True)] for sign in (-1, 1))
        *above, width = output_size_of(name, output_size, lowest[-axes:], highest[-axes:])
        size = (above[0] if above else 1, width)
    if min(size) < 1:
        raise ValueError(f"{name}: nothing is left of x {one(x).shape} with padding {padding!r}")
    n, channels, h, w = images.shape
    check_total(name, (n, channels, *size), 8)
    index = index_tensor(name, indices, size[0] * size[1])
    if index.shape != one(x).shape:
        raise ValueError(f"{name}: indices must have the shape {one(x).shape} of x, got {index.shape}")
    rows, picks = n * channels, h * w
    nothing = Tensor._wrap(np.zeros((rows, size[0] * size[1]), images.dtype))
    y = overlaid(nothing, reshape(index, (rows, picks)), reshape(images, (rows, picks)))
    return as_given(reshape(y, (n, channels, size[0] * size[1])), axes, alone, size)


def _places(windows: Windows) -> tuple[Array, Array]:
    """The places in the plane, read row by row: of each window's first element, and from there to each other one."""
    rows, columns = (
        np.arange(windows[10 + axis]) * windows[4 + axis] - windows[8 + axis] for axis in range(2)
    )  # fmt: skip
    down, right = (np.arange(windows[2 + axis]) * windows[6 + axis] for axis in range(2))
    begins = (rows[:, None] * windows.w + columns).reshape(-1)
    return begins.astype(np.float64), (down[:, None] * windows.w + right).reshape(-1).astype(np.float64)


def _has_padding(windows: Windows) -> bool:
    """Whether some window reaches beyond the image; at its end only `ceil_mode` and padding do."""
    for axis in range(2):
        length, k, step, d, before, count = (windows[i + axis] for i in (0, 2, 4, 6, 8, 10))
        if before > 0 or (count - 1) * step + (k - 1) * d >= length:
            return True
    return False


def avg_pool2d(
    x: Any,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Mean of each window, for each channel.

    out[i, c, r, s] = sum over (y, x) ascending of x[i, c, r*stride + y - padding, s*stride + x - padding], divided by
    the number of elements; the padding is 0.

    Arguments: as `cr.max_pool2d`; `count_include_pad`, whether padding counts as elements (elements added by
    `ceil_mode` never do); `divisor_override`, a number to divide by instead.
    Returns: a tensor (n, channels, oh, ow). Errors: as `cr.max_pool2d`.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2).numpy()[0, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    if divisor_override is not None and (not is_integer(divisor_override) or divisor_override == 0):
        raise ValueError(f"avg_pool2d: divisor_override must be a nonzero integer, got {divisor_override!r}")
    return _avg_pool("avg_pool2d", 2, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool1d(
    x: Any,
    kernel_size: int,
    stride: int | None = None,
    padding: int = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """Mean of each window of signals, for each channel: `cr.avg_pool2d` of images of height 1.

    Arguments: `x` (n, channels, l), float, or one signal without the first axis; the others as `cr.avg_pool2d`,
    integers.
    Returns: a tensor (n, channels, ol).

    >>> import chainrule as cr
    >>> cr.nn.functional.avg_pool1d([[1.0, 3.0, 2.0, 5.0]], 2).tolist()
    [[2.0, 3.5]]
    """
    return _avg_pool("avg_pool1d", 1, x, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def _avg_pool(
    name: str,
    axes: int,
    x: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    images, alone = as_images(name, x, axes)
    windows = _pool_windows(name, axes, images, kernel_size, stride, padding, 1, ceil_mode)
    counts = _counts(windows, sizes_of(name, "padding", padding, 0, axes, 0) if count_include_pad else (0, 0))
    if divisor_override is not None:
        divisor: Any = int(divisor_override)
    elif (counts == counts[0]).all():
        divisor = int(counts[0])
    else:
        divisor = np.asarray(counts, images.dtype)
    y = div(total(_by_window(images, windows, 0.0), axis=2), divisor)
    return as_given(y, axes, alone, (windows.oh, windows.ow))


def _counts(windows: Windows, padding: Pair) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The number of elements of each window inside the image extended by `padding`."""
    lengths = []
    for axis in range(2):
        length, step, before, count, k = (windows[i + axis] for i in (0, 4, 8, 10, 2))
        begin = np.arange(count) * step - before
        lengths.append(np.minimum(begin + k, length + padding[axis]) - np.maximum(begin, -padding[axis]))
    return np.outer(*lengths).reshape(-1)


__all__ = ["avg_pool2d", "max_pool2d"]

"""Convolutions and transposed convolutions of images and signals: columns times weights (docs/arithmetic.md).

A signal (n, channels, l) is an image of height 1.
"""

from __future__ import annotations

from typing import Any

from .._tensor import Tensor
from .._util.checks import check_size
from ._arithmetic import _float_dtype, add
from ._conv import batched, columns_are_large, columns_of, convolved, images_of
from ._images import as_given, as_images, images_of_any
from ._op import Shape
from ._operands import pair
from ._shape import broadcast_to, reshape
from ._windows import Pair, Windows, sizes_of, transposed_windows_of, windows_of

_KERNEL = {1: "k", 2: "kh, kw"}


def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Two-dimensional convolution (cross-correlation, as in PyTorch) of images with a bank of filters.

    out[i, o, r, s] = bias[o] + sum over (c, y, x) of weight[o, c, y, x] * image[i, c, r*stride + y*dilation - padding,
    s*stride + x*dilation - padding], elements outside the image being 0: one fma chain over (c, y, x) ascending,
    then the bias. With groups, out_channels / groups filters follow each other that all see the same in_channels /
    groups channels, group by group.

    Arguments: `x` (n, in_channels, h, w), or one image without the first axis; `weight` (out_channels, in_channels /
    groups, kh, kw); `bias` (out_channels,) or None; all of one float dtype; `stride`, `dilation`, integers or pairs
    (height, width); `padding`, the same, "valid" (0) or "same" (with stride 1: the output has the size of the image;
    odd padding goes to the bottom right); `groups`, a divisor of both numbers of channels.
    Returns: a tensor (n, out_channels, oh, ow), oh = (h + 2*padding - dilation*(kh - 1) - 1) // stride + 1.
    Errors: ValueError showing the shapes, also for a kernel larger than the image with its padding; TypeError for
    dtypes.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.conv2d(np.ones((1, 3, 32, 32)), np.ones((6, 3, 5, 5))).shape
    (1, 6, 28, 28)
    >>> cr.conv2d([[[[1.0, 2.0, 3.0]]]], [[[[1.0, 10.0]]]], [0.5]).numpy()
    array([[[[21.5, 32.5]]]], dtype=float32)
    """
    return _convolution("conv2d", 2, x, weight, bias, stride, padding, dilation, groups)


def conv1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: int = 1,
    padding: int | str = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """One-dimensional convolution (cross-correlation, as in PyTorch) of signals with a bank of filters.

    out[i, o, s] = bias[o] + sum over (c, x) of weight[o, c, x] * signal[i, c, s*stride + x*dilation - padding], as
    `cr.conv2d` of images of height 1.

    Arguments: `x` (n, in_channels, l), or one signal without the first axis; `weight` (out_channels, in_channels /
    groups, k); `bias` (out_channels,) or None; the others as `cr.conv2d`, integers.
    Returns: a tensor (n, out_channels, ol), ol = (l + 2*padding - dilation*(k - 1) - 1) // stride + 1.
    Errors: as `cr.conv2d`.

    >>> import chainrule as cr
    >>> cr.conv1d([[[1.0, 2.0, 3.0]]], [[[1.0, 10.0]]], [0.5]).numpy()
    array([[[21.5, 32.5]]], dtype=float32)
    """
    return _convolution("conv1d", 1, x, weight, bias, stride, padding, dilation, groups)


def conv_transpose2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    output_padding: int | Pair = 0,
    groups: int = 1,
    dilation: int | Pair = 1,
) -> Tensor:
    """Transposed two-dimensional convolution, the gradient of `cr.conv2d` with respect to its images.

    Each element of x adds its filters, times its value, to a window of the result, which begins at r*stride - padding,
    s*stride - padding: columns by one fma chain over the channels of x ascending, summed as in `cr.fold`, then the
    bias.

    Arguments: `x` (n, in_channels, h, w), or one image without the first axis; `weight` (in_channels, out_channels /
    groups, kh, kw); `bias` (out_channels,) or None; all of one float dtype; `stride`, `padding`, `dilation`, integers
    or pairs (height, width); `output_padding`, the same, rows and columns to add at the bottom right, fewer than the
    stride or the dilation; `groups`, as in `cr.conv2d`. The order is PyTorch's.
    Returns: a tensor (n, out_channels, oh, ow), oh = (h - 1)*stride - 2*padding + dilation*(kh - 1) + output_padding +
    1.
    Errors: ValueError showing the shapes, also for a result without elements; TypeError for dtypes.
    Source: Dumoulin and Visin, A guide to convolution arithmetic for deep learning (2016).

    >>> import chainrule as cr
    >>> cr.conv_transpose2d([[[[1.0, 2.0]]]], [[[[1.0, 10.0]]]]).numpy()
    array([[[[ 1., 12., 20.]]]], dtype=float32)
    """
    return _transposed("conv_transpose2d", 2, x, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    groups: int = 1,
    dilation: int = 1,
) -> Tensor:
    """Transposed one-dimensional convolution, the gradient of `cr.conv1d` with respect to its signals.

    Arguments: `x` (n, in_channels, l), or one signal without the first axis; `weight` (in_channels, out_channels /
    groups, k); the others as `cr.conv_transpose2d`, integers.
    Returns: a tensor (n, out_channels, ol), ol = (l - 1)*stride - 2*padding + dilation*(k - 1) + output_padding + 1.
    Errors: as `cr.conv_transpose2d`.

    >>> import chainrule as cr
    >>> cr.conv_transpose1d([[[1.0, 2.0]]], [[[1.0, 10.0]]], stride=2).numpy()
    array([[[ 1., 10.,  2., 20.]]], dtype=float32)
    """
    return _transposed("conv_transpose1d", 1, x, weight, bias, stride, padding, output_padding, groups, dilation)


def _convolution(
    name: str,
    axes: int,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
) -> Tensor:
    images, filters, alone = _operands(name, axes, x, weight, f"(out_channels, in_channels / groups, {_KERNEL[axes]})")
    parts = check_groups(name, groups, images.shape[1], filters.shape[0])
    n, (out_channels, channels, kh, kw) = images.shape[0], filters.shape
    if images.shape[1] != channels * parts:
        shapes = f"(x: {_shown(images, axes)}, weight: {_shown(filters, axes)})"
        raise ValueError(f"{name}: x has {images.shape[1]} channels, weight expects {channels * parts} {shapes}")
    windows = _conv_windows(name, axes, images.shape, (kh, kw), stride, padding, dilation)
    matrix = reshape(filters, (out_channels, channels * windows.elements))
    if windows.is_pointwise:
        y = batched(matrix, reshape(images, (n, channels * parts, windows.positions)), False, parts)
    elif parts == 1 and columns_are_large(images, windows):
        y = convolved(matrix, images, windows)
    else:
        y = batched(matrix, columns_of(images, windows, 0.0), False, parts)
    y = _with_bias(name, y, filters, bias, out_channels)
    return as_given(y, axes, alone, (windows.oh, windows.ow))


def _transposed(
    name: str,
    axes: int,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: Any,
    dilation: Any,
) -> Tensor:
    images, filters, alone = _operands(name, axes, x, weight, f"(in_channels, out_channels / groups, {_KERNEL[axes]})")
    n, channels, h, w = images.shape
    if channels != filters.shape[0]:
        shapes = f"(x: {_shown(images, axes)}, weight: {_shown(filters, axes)})"
        raise ValueError(f"{name}: x has {channels} channels, weight expects {filters.shape[0]} {shapes}")
    parts = check_groups(name, groups, channels, None)
    out_channels, (kh, kw) = filters.shape[1] * parts, filters.shape[2:]
    strides, dilations = (
        sizes_of(name, argument, value, 1, axes, 1) for argument, value in (("stride", stride), ("dilation", dilation))
    )
    pads = sizes_of(name, "padding", padding, 0, axes, 0)
    extra = output_padding_of(name, output_padding, strides, dilations, axes)
    windows = transposed_windows_of(name, (h, w), (kh, kw), strides, dilations, pads, extra, axes)
    columns = reshape(images, (n, channels, h * w))
    columns = batched(reshape(filters, (channels, filters.shape[1] * windows.elements)), columns, True, parts)
    y = reshape(images_of(columns, windows), (n, out_channels, windows.h * windows.w))
    y = _with_bias(name, y, filters, bias, out_channels)
    return as_given(y, axes, alone, (windows.h, windows.w))


def _operands(name: str, axes: int, x: Any, weight: Any, layout: str) -> tuple[Tensor, Tensor, bool]:
    """x and the weight with two axes after the channels, and whether x was a single image."""
    given, filters = pair(x, weight)
    _float_dtype(name, [given, filters])
    images, alone = as_images(name, given, axes, "in_channels")
    if filters.ndim != axes + 2 or min(filters.shape[2:]) < 1:
        raise ValueError(f"{name}: weight must be {layout}, got shape {filters.shape}")
    return images, images_of_any(filters, axes, False), alone


def _shown(t: Tensor, axes: int) -> Shape:
    """The shape as users know it."""
    return t.shape if axes == 2 else (*t.shape[:2], t.shape[3])


def check_groups(name: str, groups: Any, in_channels: int, out_channels: int | None) -> int:
    """Return the number of groups; ValueError unless it divides the numbers of channels."""
    parts = check_size(f"{name}: groups", groups)
    for what, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
        if channels is not None and channels % parts:
            raise ValueError(f"{name}: groups must divide {what} = {channels}, got {groups}")
    return parts


def output_padding_of(name: str, output_padding: Any, strides: Pair, dilations: Pair, axes: int) -> Pair:
    """The output padding as a pair; ValueError unless it is below the stride or the dilation."""
    extra = sizes_of(name, "output_padding", output_padding, 0, axes, 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, strides, dilations, strict=True)):
        raise ValueError(f"{name}: output_padding must be below the stride or the dilation, got {output_padding!r}")
    return extra


def _with_bias(name: str, y: Tensor, weight: Tensor, bias: Any, out_channels: int) -> Tensor:
    if bias is None:
        return y
    _, offset = pair(weight, bias)
    _float_dtype(name, [weight, offset])
    if offset.shape != (out_channels,):
        raise ValueError(f"{name}: bias must have shape ({out_channels},), got {offset.shape}")
    # Broadcast along the positions first: the gradient is then a sum over the batch, which row blocks can continue.
    return add(y, broadcast_to(reshape(offset, (out_channels, 1)), y.shape[1:]))


def _conv_windows(
    name: str, axes: int, shape: Shape, kernel: Pair, stride: Any, padding: Any, dilation: Any
) -> Windows:
    strides, dilations = (
        sizes_of(name, argument, value, 1, axes, 1) for argument, value in (("stride", stride), ("dilation", dilation))
    )
    if not isinstance(padding, str):
        pads = [(p, p) for p in sizes_of(name, "padding", padding, 0, axes, 0)]
    elif padding == "valid":
        pads = [(0, 0), (0, 0)]
    elif padding == "same":
        if strides != (1, 1):
            raise ValueError(f'{name}: padding "same" needs stride 1, got {stride!r}')
        totals = [d * (k - 1) for d, k in zip(dilations, kernel, strict=True)]
        pads = [(total // 2, total - total // 2) for total in totals]
    else:
        numbers = "an integer, a pair" if axes == 2 else "an integer"
        raise ValueError(f'{name}: padding must be {numbers}, "same" or "valid", got {padding!r}')
    return windows_of(name, (shape[2], shape[3]), kernel, strides, dilations, pads, axes=axes)


__all__ = ["conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"]

"""Convolution: windows of the images as columns (unfold, im2col), times the weights (docs/arithmetic.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._ir.instruction import Instr
from .._ir.products import Matmul, MatmulAccumulate
from .._ir.shapes import contiguous_strides
from .._tensor import Tensor
from ._arithmetic import _float_dtype, add
from ._op import LINEAR, Attrs, Op, Plan, Spec, apply, register
from ._operands import one, pair
from ._shape import broadcast_to, reshape
from ._strides import copy_code
from ._windows import Pair, Windows, image_of, pair_of, windows_of

# Columns (n, channels * kh * kw, oh * ow) of images (n, channels, h, w). attrs: the windows; the padding value.


def _unfold_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    (x,) = specs
    windows, outside = attrs
    n, channels = x.shape[:2]
    out = Spec((n, channels * windows.elements, windows.positions), x.dtype)
    return Plan(out, [Instr(name, x.code, [1], [0], windows.record(n, channels), [outside])])


def _fold_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    (columns,) = specs
    windows: Windows = attrs[0]
    n, channels = columns.shape[0], columns.shape[1] // windows.elements
    out = Spec((n, channels, windows.h, windows.w), columns.dtype)
    return Plan(out, [Instr(name, columns.code, [1], [0], windows.record(n, channels))])


_UNFOLD: Op = register(
    Op(
        "unfold",
        _unfold_plan,
        (lambda g, y, x, a: apply(_FOLD, (g,), a[:1]),),
        (lambda t, y, x, a: columns_of(t, a[0], 0.0),),
    )
)
_FOLD: Op = register(Op("fold", _fold_plan, (lambda g, y, x, a: columns_of(g, a[0], 0.0),), (LINEAR,)))


def columns_of(x: Tensor, windows: Windows, outside: float) -> Tensor:
    """Arrange the windows of images as columns (im2col)."""
    return apply(_UNFOLD, (x,), (windows, outside))


# The product of one matrix with each of a batch, and its gradient, a sum of products over the batch. Both are linear in
# both arguments, and each is the gradient of the other.


def _batched_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    """y[i] = w @ x[i], (m, k) and (n, k, l) to (n, m, l); attrs: whether w is read transposed."""
    w, x = specs
    (swap,) = attrs
    n, k, columns = x.shape
    m = w.shape[1] if swap else w.shape[0]
    record = Matmul(
        batch=(n,),
        m=m,
        n=columns,
        k=k,
        rs_a=1 if swap else k,
        cs_a=m if swap else 1,
        rs_b=columns,
        cs_b=1,
        rs_c=columns,
        batch_a=(0,),
        batch_b=(k * columns,),
    )
    return Plan(Spec((n, m, columns), x.dtype), [Instr("matmul", x.code, [2], [0, 1], record)])


def _accumulate_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    """sum over i of a[i] @ b[i].T, (n, m, l) and (n, k, l) to (m, k), each element one chain over i and l."""
    a, b = specs
    (n, m, length), k = a.shape, b.shape[1]
    out = Spec((m, k), a.dtype)
    if m > k:
        return Plan(out, [Instr(name, a.code, [2], [0, 1], _by_transpose(n, m, k, length))])
    # The kernel transposes its second factor. Make that the smaller one, and transpose the result back.
    transpose = copy_code(a.code, 2, 3, (m, k), contiguous_strides((m, k)), [1, m])
    transposed = Instr(name, a.code, [3], [1, 0], _by_transpose(n, k, m, length))
    return Plan(out, [transposed, transpose], [Spec((k, m), a.dtype)])


def _by_transpose(batch: int, m: int, n: int, k: int) -> MatmulAccumulate:
    """The sum of a[i] (m, k) times the transpose of b[i] (n, k)."""
    return MatmulAccumulate(
        batch=batch, m=m, n=n, k=k, rs_a=k, cs_a=1, rs_b=1, cs_b=k, rs_c=n, batch_a=m * k, batch_b=n * k
    )


def _batched(w: Tensor, x: Tensor, swap: bool) -> Tensor:
    return apply(_BATCHED, (w, x), (swap,))


def _accumulated(a: Tensor, b: Tensor) -> Tensor:
    return apply(_ACCUMULATE, (a, b))


_BATCHED: Op = register(
    Op(
        "batched_matmul",
        _batched_plan,
        (
            lambda g, y, x, a: _accumulated(x[1], g) if a[0] else _accumulated(g, x[1]),
            lambda g, y, x, a: _batched(x[0], g, not a[0]),
        ),
        (LINEAR, LINEAR),
    )
)
_ACCUMULATE: Op = register(
    Op(
        "matmul_accumulate",
        _accumulate_plan,
        (lambda g, y, x, a: _batched(g, x[1], False), lambda g, y, x, a: _batched(g, x[0], True)),
        (LINEAR, LINEAR),
    )
)


def unfold(
    x: Any,
    kernel_size: int | Pair,
    dilation: int | Pair = 1,
    padding: int | Pair = 0,
    stride: int | Pair = 1,
) -> Tensor:
    """Arrange the windows of images as columns (im2col).

    out[i, (c*kh + y)*kw + x, r*ow + s] = element (y, x) of window (r, s) of channel c of image i. Window (r, s) begins
    at row r*stride - padding, column s*stride - padding; its elements are `dilation` apart; elements outside the image
    are 0.

    Arguments: `x` (n, channels, h, w), float; the others integers or pairs (height, width), in PyTorch's order.
    Returns: a tensor (n, channels * kh * kw, oh * ow), oh = (h + 2*padding - dilation*(kh - 1) - 1) // stride + 1.
    Errors: ValueError for shapes and a kernel larger than the image with its padding, TypeError for dtypes.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.unfold(np.arange(9.0).reshape(1, 1, 3, 3), kernel_size=2).numpy()[0]
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.],
           [3., 4., 6., 7.],
           [4., 5., 7., 8.]])
    """
    images = one(x)
    _float_dtype("unfold", [images])
    image = image_of("unfold", images.shape)
    return columns_of(images, _plain_windows("unfold", image, kernel_size, dilation, padding, stride), 0.0)


def fold(
    x: Any,
    output_size: int | Pair,
    kernel_size: int | Pair,
    dilation: int | Pair = 1,
    padding: int | Pair = 0,
    stride: int | Pair = 1,
) -> Tensor:
    """Add columns up to images (col2im), the transpose of `cr.unfold`; overlapping elements are summed.

    Arguments: `x` (n, channels * kh * kw, oh * ow), float; `output_size`, (h, w) of the images; the others as
    `cr.unfold`.
    Returns: a tensor (n, channels, h, w), each element +0 plus those of its windows, (y, x) ascending.
    Errors: ValueError for inconsistent shapes, TypeError for dtypes.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.fold(np.ones((1, 4, 4)), output_size=3, kernel_size=2).numpy()[0, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    columns = one(x)
    _float_dtype("fold", [columns])
    image = pair_of("fold", "output_size", output_size, 1)
    windows = _plain_windows("fold", image, kernel_size, dilation, padding, stride)
    expected = f"(n, channels * {windows.elements}, {windows.positions})"
    if columns.ndim != 3 or columns.shape[1] % windows.elements or columns.shape[2] != windows.positions:
        raise ValueError(f"fold: x must be {expected} for images of {image}, got shape {columns.shape}")
    return apply(_FOLD, (columns,), (windows,))


def _plain_windows(name: str, image: Pair, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> Windows:
    pads = pair_of(name, "padding", padding, 0)
    return windows_of(
        name,
        image,
        pair_of(name, "kernel_size", kernel_size, 1),
        pair_of(name, "stride", stride, 1),
        pair_of(name, "dilation", dilation, 1),
        [(p, p) for p in pads],
    )


def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: int | Pair = 1,
    padding: int | Pair | str = 0,
    dilation: int | Pair = 1,
) -> Tensor:
    """Two-dimensional convolution (cross-correlation, as in PyTorch) of images with a bank of filters.

    out[i, o, r, s] = bias[o] + sum over (c, y, x) of weight[o, c, y, x] * image[i, c, r*stride + y*dilation - padding,
    s*stride + x*dilation - padding], elements outside the image being 0: one fma chain over (c, y, x) ascending,
    then the bias.

    Arguments: `x` (n, in_channels, h, w); `weight` (out_channels, in_channels, kh, kw); `bias` (out_channels,) or
    None; all of one float dtype; `stride`, `dilation`, integers or pairs (height, width); `padding`, the same,
    "valid" (0) or "same" (with stride 1: the output has the size of the image; odd padding goes to the bottom right).
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
    images, filters = pair(x, weight)
    _float_dtype("conv2d", [images, filters])
    windows = _conv_windows(images, filters, stride, padding, dilation)
    n, (out_channels, channels) = images.shape[0], filters.shape[:2]
    offset = None
    if bias is not None:
        _, offset = pair(filters, bias)
        _float_dtype("conv2d", [filters, offset])
        if offset.shape != (out_channels,):
            raise ValueError(
                f"conv2d: bias must have shape ({out_channels},), got {offset.shape} (weight: {filters.shape})"
            )
    if windows.is_pointwise:
        columns = reshape(images, (n, channels, windows.positions))
    else:
        columns = columns_of(images, windows, 0.0)
    y = _batched(reshape(filters, (out_channels, channels * windows.elements)), columns, False)
    if offset is not None:
        # Broadcast along the positions first: the gradient is then a sum over the batch, which row blocks can continue.
        plane = broadcast_to(reshape(offset, (out_channels, 1)), (out_channels, windows.positions))
        y = add(y, plane)
    return reshape(y, (n, out_channels, windows.oh, windows.ow))


def _conv_windows(x: Tensor, weight: Tensor, stride: Any, padding: Any, dilation: Any) -> Windows:
    shapes = f"(x: {x.shape}, weight: {weight.shape})"
    if x.ndim != 4:
        raise ValueError(f"conv2d: x must be (n, in_channels, h, w), got shape {x.shape}")
    if weight.ndim != 4 or min(weight.shape[2:]) < 1:
        raise ValueError(f"conv2d: weight must be (out_channels, in_channels, kh, kw), got shape {weight.shape}")
    if x.shape[1] != weight.shape[1]:
        raise ValueError(f"conv2d: x has {x.shape[1]} channels, weight expects {weight.shape[1]} {shapes}")
    kernel = (weight.shape[2], weight.shape[3])
    strides, dilations = pair_of("conv2d", "stride", stride, 1), pair_of("conv2d", "dilation", dilation, 1)
    if not isinstance(padding, str):
        pads = [(p, p) for p in pair_of("conv2d", "padding", padding, 0)]
    elif padding == "valid":
        pads = [(0, 0), (0, 0)]
    elif padding == "same":
        if strides != (1, 1):
            raise ValueError(f'conv2d: padding "same" needs stride 1, got {stride!r}')
        totals = [d * (k - 1) for d, k in zip(dilations, kernel, strict=True)]
        pads = [(total // 2, total - total // 2) for total in totals]
    else:
        raise ValueError(f'conv2d: padding must be an integer, a pair, "same" or "valid", got {padding!r}')
    return windows_of("conv2d", image_of("conv2d", x.shape), kernel, strides, dilations, pads)


__all__ = ["conv2d", "fold", "unfold"]

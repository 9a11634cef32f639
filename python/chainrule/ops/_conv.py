"""Windows of images as columns (unfold, im2col) and back, and products with them (docs/arithmetic.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._ir.instruction import Instr
from .._ir.products import Matmul, MatmulAccumulate
from .._ir.records import Convolution, Reduce, ReduceMode
from .._ir.shapes import contiguous_strides
from .._tensor import Tensor
from ._arithmetic import _float_dtype
from ._op import LINEAR, Attrs, Op, Plan, Spec, apply, register
from ._operands import one
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


def images_of(columns: Tensor, windows: Windows) -> Tensor:
    """Add columns up to images (col2im)."""
    return apply(_FOLD, (columns,), (windows,))


# The product of matrices with each of a batch, and its gradient, a sum of products over the batch. Both are linear in
# both arguments, and each is the gradient of the other. The channels may be in groups: each has a matrix of its own.


def _batched_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    """y[i] = w @ x[i], group by group: (g*m, k) and (n, g*k, l) to (n, g*m, l).

    attrs: whether w is read transposed, (g*k, m); the number of groups.
    """
    w, x = specs
    swap, groups = attrs
    n, rows, columns = x.shape
    k = rows // groups
    m = w.shape[1] if swap else w.shape[0] // groups
    in_groups = groups > 1  # without groups, a batch of one axis: a product less to count for each
    record = Matmul(
        batch=(n, groups) if in_groups else (n,),
        m=m,
        n=columns,
        k=k,
        rs_a=1 if swap else k,
        cs_a=m if swap else 1,
        rs_b=columns,
        cs_b=1,
        rs_c=columns,
        batch_a=(0, m * k) if in_groups else (0,),
        batch_b=(rows * columns, k * columns) if in_groups else (k * columns,),
    )
    return Plan(Spec((n, groups * m, columns), x.dtype), [Instr("matmul", x.code, [2], [0, 1], record)])


def _accumulate_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    """sum over i of a[i] @ b[i].T, (n, m, l) and (n, k, l) to (m, k), each element one chain over i and l."""
    a, b = specs
    (groups,) = attrs
    if groups > 1:
        return _accumulate_groups(a, b, groups)
    (n, m, length), k = a.shape, b.shape[1]
    out = Spec((m, k), a.dtype)
    if m > k:
        return Plan(out, [Instr(name, a.code, [2], [0, 1], _by_transpose(n, m, k, length))])
    # The kernel transposes its second factor. Make that the smaller one, and transpose the result back.
    transpose = copy_code(a.code, 2, 3, (m, k), contiguous_strides((m, k)), [1, m])
    transposed = Instr(name, a.code, [3], [1, 0], _by_transpose(n, k, m, length))
    return Plan(out, [transposed, transpose], [Spec((k, m), a.dtype)])


def _accumulate_groups(a: Spec, b: Spec, groups: int) -> Plan:
    """As `_accumulate_plan` for each group: of each i a chain over l, and a chain of adds over i."""
    (n, m, length), k = a.shape, b.shape[1]
    own_m, own_k = m // groups, k // groups
    record = Matmul(
        batch=(n, groups),
        m=own_m,
        n=own_k,
        k=length,
        rs_a=length,
        cs_a=1,
        rs_b=1,
        cs_b=length,
        rs_c=own_k,
        batch_a=(m * length, own_m * length),
        batch_b=(k * length, own_k * length),
    )
    reduce = Reduce(outer=1, reduced=n, inner=m * own_k, mode=ReduceMode.START_CHAIN)
    code = [Instr("matmul", a.code, [3], [0, 1], record), Instr("sum", a.code, [2], [3], reduce)]
    return Plan(Spec((m, own_k), a.dtype), code, [Spec((n, m, own_k), a.dtype)])


def _by_transpose(batch: int, m: int, n: int, k: int) -> MatmulAccumulate:
    """The sum of a[i] (m, k) times the transpose of b[i] (n, k)."""
    return MatmulAccumulate(
        batch=batch, m=m, n=n, k=k, rs_a=k, cs_a=1, rs_b=1, cs_b=k, rs_c=n, batch_a=m * k, batch_b=n * k
    )


def batched(w: Tensor, x: Tensor, swap: bool, groups: int) -> Tensor:
    """y[i] = w @ x[i], or w.T @ x[i], group by group."""
    return apply(_BATCHED, (w, x), (swap, groups))


def _accumulated(a: Tensor, b: Tensor, groups: int) -> Tensor:
    return apply(_ACCUMULATE, (a, b), (groups,))


_BATCHED: Op = register(
    Op(
        "batched_matmul",
        _batched_plan,
        (
            lambda g, y, x, a: _accumulated(x[1], g, a[1]) if a[0] else _accumulated(g, x[1], a[1]),
            lambda g, y, x, a: batched(x[0], g, not a[0], a[1]),
        ),
        (LINEAR, LINEAR),
    )
)
_ACCUMULATE: Op = register(
    Op(
        "matmul_accumulate",
        _accumulate_plan,
        (lambda g, y, x, a: batched(g, x[1], False, a[0]), lambda g, y, x, a: batched(g, x[0], True, a[0])),
        (LINEAR, LINEAR),
    )
)


# Products with the columns of images that are never in memory as a whole: weights w (filters, lines of a window),
# images x and results y (n, filters, windows). As a product of w and unfold(x), and its gradients. Each is linear in
# both arguments. attrs: the windows.


def _convolution_record(windows: Windows, images: Spec, filters: int) -> Convolution:
    return Convolution(**windows.record(*images.shape[:2]).__dict__, filters=filters, continues=False)


def _convolution_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    (w, x), (windows,) = specs, attrs
    record = _convolution_record(windows, x, w.shape[0])
    out = Spec((x.shape[0], w.shape[0], windows.positions), x.dtype)
    return Plan(out, [Instr(name, x.code, [2], [0, 1], record)])


def _by_weight_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    (g, x), (windows,) = specs, attrs
    m, k = g.shape[1], x.shape[1] * windows.elements
    record = _convolution_record(windows, x, m)
    transpose = copy_code(x.code, 2, 3, (m, k), contiguous_strides((m, k)), [1, m])
    return Plan(Spec((m, k), x.dtype), [Instr(name, x.code, [3], [0, 1], record), transpose], [Spec((k, m), x.dtype)])


def _by_images_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    (w, g), (windows,) = specs, attrs
    out = Spec((g.shape[0], w.shape[1] // windows.elements, windows.h, windows.w), g.dtype)
    record = _convolution_record(windows, out, w.shape[0])
    return Plan(out, [Instr(name, g.code, [2], [0, 1], record)])


_CONVOLUTION: Op = register(
    Op(
        "convolution",
        _convolution_plan,
        (lambda g, y, x, a: apply(_BY_WEIGHT, (g, x[1]), a), lambda g, y, x, a: apply(_BY_IMAGES, (x[0], g), a)),
        (LINEAR, LINEAR),
    )
)
_BY_WEIGHT: Op = register(
    Op(
        "convolution_by_weight",
        _by_weight_plan,
        (lambda u, y, x, a: apply(_CONVOLUTION, (u, x[1]), a), lambda u, y, x, a: apply(_BY_IMAGES, (u, x[0]), a)),
        (LINEAR, LINEAR),
    )
)
_BY_IMAGES: Op = register(
    Op(
        "convolution_by_images",
        _by_images_plan,
        (lambda u, y, x, a: apply(_BY_WEIGHT, (x[1], u), a), lambda u, y, x, a: apply(_CONVOLUTION, (x[0], u), a)),
        (LINEAR, LINEAR),
    )
)

# Columns of an image from this size on are not kept: to arrange them twice takes less time than to write them to memory
# and to read them from there. Three convolutions 3x3, 32-32-64, of 32 x 32 images: a step
# takes 0.92 of the time.
_LARGE_COLUMNS = 128 << 10  # bytes


def columns_are_large(x: Tensor, windows: Windows) -> bool:
    """Whether `convolved` is faster than a product with `columns_of` the images."""
    return x.shape[1] * windows.elements * windows.positions * x.dtype.itemsize >= _LARGE_COLUMNS


def convolved(w: Tensor, x: Tensor, windows: Windows) -> Tensor:
    """The product of w (filters, lines) and the columns of each image."""
    return apply(_CONVOLUTION, (w, x), (windows,))


def convolved_back(w: Tensor, g: Tensor, windows: Windows) -> Tensor:
    """The images whose columns are the product of w.T (lines, filters) and each of g."""
    return apply(_BY_IMAGES, (w, g), (windows,))


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
    return images_of(columns, windows)


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


__all__ = ["fold", "unfold"]

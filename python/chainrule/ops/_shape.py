"""Data movement: reshape, transpose, broadcast_to, slices, concatenation, gathering rows by index, casts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._ir.instruction import Instr
from .._ir.records import Fill, IndexAdd, Take
from .._ir.shapes import contiguous_strides, product
from .._tensor import Tensor
from .._util.arrays import as_ndarray
from .._util.dtypes import INT64
from .._util.mode import EAGER, grad_mode
from ._cast import astype
from ._dtypes import common_dtype
from ._names import Dim, Ends, by_dim, check_ends
from ._op import LINEAR, Attrs, Op, Plan, Shape, Spec, Tangents, apply, register
from ._operands import one, own
from ._strides import (
    axes_of,
    broadcast_shapes,
    broadcast_strides,
    copy_code,
    transpose_code,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

# reshape shares memory and computes nothing; the op exists for its gradient and for compiled programs.


def _reshape_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    (x,) = specs
    strides = [1]
    return Plan(Spec(attrs[0], x.dtype), [copy_code(x.code, 1, 0, [x.size], strides, strides)])


_RESHAPE = register(
    Op(
        "reshape",
        _reshape_plan,
        (lambda g, y, x, a: reshape(g, x[0].shape),),
        (lambda t, y, x, a: reshape(t, y.shape),),
    )
)


def reshape(x: Any, shape: int | Sequence[int]) -> Tensor:
    """Change the shape, keeping the elements in C order.

    Arguments: `x`, any tensor; `shape`, lengths with the same product; one may be -1, to be inferred.
    Returns: a tensor that shares x's memory.
    Errors: ValueError when the sizes differ.

    >>> import chainrule as cr
    >>> cr.reshape([1.0, 2.0, 3.0, 4.0], (2, -1)).shape
    (2, 2)
    """

    source = own(x)
    source = grad_mode.replaced.get(source._number, source)
    wanted = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    try:
        data = source._data.reshape(wanted)
    except (ValueError, TypeError):
        raise ValueError(f"reshape: {source.size} elements of shape {source.shape} do not fit shape {wanted}") from None
    out = Tensor._wrap(data)
    out._version = source._version
    if grad_mode.enabled and source._requires_grad:
        out._record(_RESHAPE, (source,), (data.shape,))
    return out


def flatten(x: Any, start_axis: int = 0, end_axis: int = -1, **names: Unpack[Ends]) -> Tensor:
    """Merge the axes from `start_axis` to `end_axis` into one; negative ones count from the end.

    Arguments: `start_axis` and `end_axis`, also named `start_dim` and `end_dim`; a start behind the last axis appends
    one of length 1.
    Errors: ValueError for axes that do not exist or are not in order.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.flatten(np.ones((2, 3, 4)), start_axis=1).shape
    (2, 12)
    """
    if names:
        check_ends("flatten", names, start_axis, end_axis)
        start_axis, end_axis = names.get("start_dim", start_axis), names.get("end_dim", end_axis)
    source = own(x)
    ndim = source.ndim
    start, end = (axis + ndim if axis < 0 else axis for axis in (start_axis, end_axis))
    if not 0 <= start <= ndim:
        raise ValueError(f"flatten: start_axis {start_axis} is out of range for {ndim} dimensions")
    if not (start <= end < ndim or (start == ndim and end_axis == -1)):
        raise ValueError(f"flatten: axes {start_axis} to {end_axis} are not in shape {source.shape}")
    return reshape(source, (*source.shape[:start], product(source.shape[start : end + 1]), *source.shape[end + 1 :]))


def _transpose_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    code, out = transpose_code(specs[0], attrs[0], 1, 0)
    return Plan(out, [code])


_TRANSPOSE = register(
    Op(
        "transpose",
        _transpose_plan,
        (lambda g, y, x, a: transpose(g, [a[0].index(i) for i in range(len(a[0]))]),),
        (LINEAR,),
        copies_view=True,
    )
)


def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """Permute the axes, out.shape[i] = x.shape[axes[i]].

    Arguments: `axes`, a permutation (default: reversed). Errors: ValueError for anything else.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.transpose(np.ones((2, 3, 4)), (1, 0, 2)).shape
    (3, 2, 4)
    """
    source = own(x)
    order = tuple(range(source.ndim))[::-1] if axes is None else tuple(int(a) for a in axes)
    if axes is not None and axes_of("transpose", order, source.ndim) != tuple(range(source.ndim)):
        raise ValueError(f"transpose: axes {order} are not a permutation of {source.ndim} axes")
    order = tuple(a % source.ndim for a in order)
    if order == tuple(range(source.ndim)):
        return source
    return apply(_TRANSPOSE, (source,), (order,))


def _broadcast_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    (x,) = specs
    (shape,) = attrs
    code = copy_code(x.code, 1, 0, shape, contiguous_strides(shape), broadcast_strides(x.shape, shape))
    return Plan(Spec(shape, x.dtype), [code])


# Autodiff undoes broadcasting for all ops in one place: it sums the gradient to the argument's shape. Likewise it
# broadcasts a tangent to the output's shape.
_BROADCAST_TO = register(
    Op("broadcast_to", _broadcast_plan, (lambda g, y, x, a: g,), (lambda t, y, x, a: t,), copies_view=True)
)


def broadcast_to(x: Any, shape: Sequence[int]) -> Tensor:
    """Broadcast along axes of length 1 and new leading axes.

    Errors: ValueError when x does not broadcast to the shape.

    >>> import chainrule as cr
    >>> cr.broadcast_to([1.0, 2.0], (3, 2)).shape
    (3, 2)
    """
    source, wanted = own(x), tuple(int(n) for n in shape)
    if source.shape == wanted:
        return source
    if min(wanted, default=0) < 0:
        raise ValueError(f"broadcast_to: lengths must not be negative, got {wanted}")
    if len(source.shape) > len(wanted) or broadcast_shapes("broadcast_to", [source.shape, wanted]) != wanted:
        raise ValueError(f"broadcast_to: shape {source.shape} does not broadcast to {wanted}")
    return apply(_BROADCAST_TO, (source,), (wanted,))


# Slices: attrs are the shape, strides and offset of the slice within x, and the shape of x.


def _slice_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    shape, strides, offset, _ = attrs
    code = copy_code(specs[0].code, 1, 0, shape, contiguous_strides(shape), strides, 0, offset)
    return Plan(Spec(shape, specs[0].dtype), [code])


def _slice_grad_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    shape, strides, offset, whole = attrs
    (g,) = specs
    fill = Instr("fill", g.code, [1], [], Fill(product(whole)), [0.0])
    return Plan(
        Spec(whole, g.dtype), [fill, copy_code(g.code, 1, 0, shape, strides, contiguous_strides(shape), offset, 0)]
    )


_SLICE_GRAD: Op = register(Op("slice_grad", _slice_grad_plan, (lambda g, y, x, a: apply(_SLICE, (g,), a),), (LINEAR,)))
_SLICE: Op = register(
    Op("slice", _slice_plan, (lambda g, y, x, a: apply(_SLICE_GRAD, (g,), a),), (LINEAR,), copies_view=True)
)


def slice_of(source: Tensor, parts: tuple[Any, ...]) -> Tensor:
    """`source[parts]` for integers, slices, None and Ellipsis, as in NumPy."""
    # With an ellipsis NumPy returns a view, also of a single element.
    view = parts if any(part is Ellipsis for part in parts) else (*parts, ...)
    # Only the addresses of elements are computed, never their values, so any memory will do.
    size = source.dtype.itemsize
    whole = np.lib.stride_tricks.as_strided(
        np.empty(1, source.dtype), source.shape, [s * size for s in contiguous_strides(source.shape)]
    )
    try:
        part = whole[view]
    except (IndexError, OverflowError) as error:  # an integer beyond int64 is out of range like any other
        raise IndexError(f"index: {error} (shape {source.shape})") from None
    offset = (_core.address(part) - _core.address(whole)) // size if part.size else 0
    attrs = (part.shape, tuple(s // size for s in part.strides), offset, source.shape)
    return apply(_SLICE, (source,), attrs)


def _concatenate_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    (axis,) = attrs
    first = specs[0]
    shape = list(first.shape)
    shape[axis] = sum(s.shape[axis] for s in specs)
    strides = contiguous_strides(shape)
    code, at = [], 0
    for i, spec in enumerate(specs):
        own = contiguous_strides(spec.shape)
        code.append(copy_code(spec.code, len(specs), i, spec.shape, strides, own, at * strides[axis], 0))
        at += spec.shape[axis]
    return Plan(Spec(tuple(shape), first.dtype), code)


def _concatenate_rule(i: int, g: Tensor, out: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    (axis,) = attrs
    begin = sum(t.shape[axis] for t in inputs[:i])
    return slice_of(g, (slice(None),) * axis + (slice(begin, begin + inputs[i].shape[axis]),))


def _concatenate_tangents(tangents: Tangents, out: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    parts = [np.zeros(x.shape, x.dtype) if t is None else t for t, x in zip(tangents, inputs, strict=True)]
    return concatenate(parts, attrs[0])


_CONCATENATE = register(
    Op("concatenate", _concatenate_plan, variadic_vjp=_concatenate_rule, variadic_jvp=_concatenate_tangents)
)


def concatenate(tensors: Sequence[Any], axis: int = 0, **names: Unpack[Dim]) -> Tensor:
    """Join tensors along an axis.

    Arguments: `tensors`, at least one, with shapes that differ only in that axis; bool and int64 beside wider dtypes
    become these, as in `cr.add`; `axis`, also named `dim`.
    Errors: ValueError for shapes, TypeError for dtypes.

    >>> import chainrule as cr
    >>> cr.concatenate([[1.0], [2.0, 3.0]]).numpy()
    array([1., 2., 3.], dtype=float32)
    """
    if names:
        axis, _ = by_dim("concatenate", names, axis, default=0)
    parts = tuple(one(t) for t in tensors)
    if not parts:
        raise ValueError("concatenate: expected at least one tensor")
    (at,) = axes_of("concatenate", axis, parts[0].ndim)
    dtype = common_dtype("concatenate", [t.dtype for t in parts])
    parts = tuple(astype(t, dtype) for t in parts)
    for t in parts:
        if t.ndim != parts[0].ndim or any(
            n != m for d, (n, m) in enumerate(zip(t.shape, parts[0].shape, strict=True)) if d != at
        ):
            raise ValueError(f"concatenate: shapes {parts[0].shape} and {t.shape} differ outside axis {axis}")
    return apply(_CONCATENATE, parts, (at,))


def stack(tensors: Sequence[Any], axis: int = 0, **names: Unpack[Dim]) -> Tensor:
    """Join tensors of one shape along a new axis.

    >>> import chainrule as cr
    >>> cr.stack([[1.0, 2.0], [3.0, 4.0]]).shape
    (2, 2)
    """
    if names:
        axis, _ = by_dim("stack", names, axis, default=0)
    parts = [one(t) for t in tensors]
    if not parts:
        raise ValueError("stack: expected at least one tensor")
    if any(t.shape != parts[0].shape for t in parts):
        raise ValueError(f"stack: expected one shape, got {' and '.join(str(t.shape) for t in parts)}")
    common_dtype("stack", [t.dtype for t in parts])
    (at,) = axes_of("stack", axis, parts[0].ndim + 1)
    shape = (*parts[0].shape[:at], 1, *parts[0].shape[at:])
    return concatenate([reshape(t, shape) for t in parts], at)


# Rows by index. The indices are an int64 tensor without gradient, checked by the public function.


def _take_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    x, index = specs
    record = Take(rows=index.size, row_size=product(x.shape[1:]))
    return Plan(Spec((*index.shape, *x.shape[1:]), x.dtype), [Instr("take", x.code, [2], [0, 1], record)])


def _index_add_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    g, index = specs
    (rows,) = attrs
    tail: Shape = g.shape[len(index.shape) :]
    record = IndexAdd(rows=index.size, row_size=product(tail), out_rows=rows)
    return Plan(Spec((rows, *tail), g.dtype), [Instr("index_add", g.code, [2], [0, 1], record)])


_TAKE = register(
    Op("take", _take_plan, (lambda g, y, x, a: apply(_INDEX_ADD, (g, x[1]), (x[0].shape[0],)),), (LINEAR,))
)
_INDEX_ADD: Op = register(Op("index_add", _index_add_plan, (lambda g, y, x, a: apply(_TAKE, (g, x[1])),), (LINEAR,)))


def index_tensor(name: str, index: Any, length: int) -> Tensor:
    """Convert indices to an int64 tensor, check that they are in [-length, length) and make them non-negative."""
    given = index._data if isinstance(index, Tensor) else as_ndarray(index, f"{name}: indices")
    empty_list = isinstance(index, (list, tuple)) and given.size == 0
    if given.dtype.kind not in "iu" and not empty_list:
        advice = "; to select by a condition use cr.where" if given.dtype.kind == "b" else ""
        raise TypeError(f"{name}: expected integers, got {given.dtype}{advice}")
    shape = given.shape

    def out_of_range(at: int, value: int) -> Exception:
        position = tuple(int(i) for i in np.unravel_index(at, shape))
        return IndexError(f"{name}: {value} at position {position} is out of range for {length}")

    checked: Tensor
    if isinstance(index, Tensor):
        checked = grad_mode.executor.check_index(index, -length, length, out_of_range)
    else:  # an array is checked immediately, also while a function is traced
        fixed = Tensor._wrap(np.array(given, dtype=INT64, order="C"))
        checked = EAGER.check_index(fixed, -length, length, out_of_range)
    return checked


def take(x: Any, indices: Any, axis: int | None = 0) -> Tensor:
    """Gather rows, out[i] = x[indices[i]], or slices along another axis.

    Arguments: `x` (n, ...); `indices`, integers of any shape; negative ones count from the end; `axis`, whose place the
    axes of the indices take; None: the elements of x in C order, NumPy's default.
    Returns: a tensor of shape indices.shape + x.shape[1:] for axis 0.
    Errors: IndexError naming the position, TypeError for indices that are not integers, ValueError for an axis that
    does not exist.

    >>> import chainrule as cr
    >>> cr.take([[1.0], [2.0], [3.0]], [2, 0]).numpy()
    array([[3.],
           [1.]], dtype=float32)
    """
    source = one(x) if axis is not None else reshape(own(x), -1)
    if source.ndim == 0:
        raise ValueError("take: x has no rows: it is 0-d")
    axis = 0 if axis is None else axis
    (at,) = axes_of("take", axis, source.ndim)
    index = index_tensor("take", indices, source.shape[at])
    others = [i for i in range(source.ndim) if i != at]
    found = apply(_TAKE, (transpose(source, [at, *others]), index))
    n = index.ndim  # its axes come first
    return transpose(found, [*range(n, n + at), *range(n), *range(n + at, found.ndim)])


__all__ = [
    "broadcast_to",
    "concatenate",
    "flatten",
    "reshape",
    "stack",
    "take",
    "transpose",
]

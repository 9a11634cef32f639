"""Cumulative sums and products, which are linear recurrences along an axis, and extremes (docs/arithmetic.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._ir.instruction import Instr
from .._ir.records import Scan
from .._ir.shapes import product
from .._tensor import Tensor
from .._util.dtypes import BOOL, CODES, FLOATS, INT64
from .._util.exports import own_names
from ._arithmetic import add, greater_equal, less_equal, mul, not_equal, where
from ._cast import astype
from ._dtypes import common_dtype, converted
from ._getitem import getitem
from ._index import as_rows, from_rows, gather
from ._logic import logical_or
from ._names import Dim, Indexed, by_dim
from ._op import LINEAR, Attrs, Op, Plan, Spec, apply, register
from ._operands import one, own
from ._reduce import integer_prod, sum
from ._shape import broadcast_to, concatenate, reshape
from ._strides import axes_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

# recurrence(a, b): y[0] = b[0], y[k] = a[k] * y[k-1] + b[k]; in reverse y[n-1] = b[n-1], y[k] = a[k+1] * y[k+1] + b[k].
# The gradient by b is the recurrence in the other direction with the same factors, so derivatives of all orders are
# these ops. Attributes: the axis, and whether in reverse. cumsum is the recurrence with factors of 1.


def _scan_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    axis, reverse = attrs
    common = common_dtype(name, [spec.dtype for spec in specs])
    dtype = common if common in FLOATS else INT64
    x = Spec(specs[-1].shape, dtype)
    slots, code, temporaries = converted(specs, [dtype] * len(specs))
    record = Scan(product(x.shape[:axis]), x.shape[axis], product(x.shape[axis + 1 :]), int(reverse))
    code.append(Instr(name, CODES[dtype], [len(specs)], slots, record))
    return Plan(x, code, temporaries)


def _all_but(t: Tensor, axis: int, first: bool) -> Tensor:
    """All elements along the axis but the first, or but the last."""
    return getitem(t, (*(slice(None),) * axis, slice(1, None) if first else slice(None, -1)))


def _with_zero(t: Tensor, axis: int, first: bool) -> Tensor:
    """A zero along the axis before the first element, or behind the last."""
    shape = (*t.shape[:axis], 1, *t.shape[axis + 1 :])
    zero = Tensor._wrap(np.zeros(shape, t.dtype))
    return concatenate([zero, t] if first else [t, zero], axis)


def _by_factors(g: Tensor, y: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    axis, reverse = attrs
    if y.shape[axis] == 0:
        return g
    s = apply(_RECURRENCE, (x[0], g), (axis, not reverse))
    return _with_zero(mul(_all_but(s, axis, not reverse), _all_but(y, axis, reverse)), axis, True)


def _of_factors(t: Tensor, y: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    axis, reverse = attrs
    if y.shape[axis] == 0:
        return t
    terms = mul(_all_but(t, axis, True), _all_but(y, axis, reverse))
    return apply(_RECURRENCE, (x[0], _with_zero(terms, axis, not reverse)), attrs)


_CUMSUM: Op = register(
    Op("cumsum", _scan_plan, (lambda g, y, x, a: apply(_CUMSUM, (g,), (a[0], not a[1])),), (LINEAR,))
)
_RECURRENCE: Op = register(
    Op(
        "recurrence",
        _scan_plan,
        (_by_factors, lambda g, y, x, a: apply(_RECURRENCE, (x[0], g), (a[0], not a[1]))),
        (_of_factors, LINEAR),
    )
)


def _flat_or_axis(name: str, x: Any, axis: int | None, names: Dim) -> tuple[Tensor, int]:
    """The tensor and its axis; flattened for None."""
    if names:
        axis, _ = by_dim(name, names, axis)
    source = one(x)
    if axis is None:
        return reshape(source, -1), 0
    return source, axes_of(name, axis, source.ndim)[0]


def cumsum(x: Any, axis: int | None = None, **names: Unpack[Dim]) -> Tensor:
    """Cumulative sum, y[k] = x[0] + ... + x[k] along an axis, as one ascending chain.

    Arguments: `x`, a tensor; `axis`, also named `dim`; None, the default: x is flattened.
    Returns: a tensor of x's shape, or flat, of its dtype, int64 for bool. Errors: ValueError for an axis out of range.

    >>> import chainrule as cr
    >>> cr.cumsum([1.0, 2.0, 3.0]).tolist()
    [1.0, 3.0, 6.0]
    """
    source, at = _flat_or_axis("cumsum", x, axis, names)
    return apply(_CUMSUM, (source,), (at, False))


def cumprod(x: Any, axis: int | None = None, **names: Unpack[Dim]) -> Tensor:
    """Cumulative product, y[k] = x[0] * ... * x[k] along an axis; arguments as `cr.cumsum`.

    The gradient does not divide by the elements: zeros do not matter.

    >>> import chainrule as cr
    >>> cr.cumprod([1.0, 2.0, 3.0]).tolist()
    [1.0, 2.0, 6.0]
    """
    source, at = _flat_or_axis("cumprod", x, axis, names)
    return _products(source if source.dtype in FLOATS else astype(source, INT64), at)


def _products(x: Tensor, axis: int) -> Tensor:
    """y[k] = x[k] * y[k-1] + -0, where a sum with -0, or with 0 of integers, changes nothing."""
    if x.shape[axis] == 0:
        return x
    before = (slice(None),) * axis
    first = getitem(x, (*before, slice(0, 1)))
    zeros = np.full((*x.shape[:axis], x.shape[axis] - 1, *x.shape[axis + 1 :]), -0.0, x.dtype)
    return apply(_RECURRENCE, (x, concatenate([first, Tensor._wrap(zeros)], axis)), (axis, False))


def cummax(x: Any, axis: int | None = None, **names: Unpack[Dim]) -> Indexed:
    """Cumulative maximum along an axis and its indices, as `torch.cummax`: y[k] = max(x[0], ..., x[k]).

    Of equal elements the last one counts; NaN is greater than all numbers. The gradient goes to the elements found.

    Arguments: `x`, any tensor but bool; `axis`, also named `dim`; None, the default: x is flattened.
    Returns: a named tuple `(values, indices)`. Errors: ValueError for an axis out of range.

    >>> import chainrule as cr
    >>> [part.tolist() for part in cr.cummax([2.0, 1.0, 3.0, 3.0])]
    [[2.0, 2.0, 3.0, 3.0], [0, 0, 2, 3]]
    """
    return _extremes("cummax", x, axis, names, greater_equal)


def cummin(x: Any, axis: int | None = None, **names: Unpack[Dim]) -> Indexed:
    """Cumulative minimum along an axis and its indices, as `torch.cummin`; arguments and returns as `cr.cummax`.

    Of equal elements the last one counts; NaN is less than all numbers.

    >>> import chainrule as cr
    >>> [part.tolist() for part in cr.cummin([2.0, 3.0, 1.0])]
    [[2.0, 2.0, 1.0], [0, 0, 2]]
    """
    return _extremes("cummin", x, axis, names, less_equal)


def _extremes(name: str, x: Any, axis: int | None, names: Dim, at_least: Callable[[Tensor, Tensor], Tensor]) -> Indexed:
    """Each pass compares with what was found up to so many elements before, and doubles their number."""
    if names:
        axis, _ = by_dim(name, names, axis)
    source = own(x)
    if source.dtype == BOOL:
        raise TypeError(f"{name}: expected numbers, got bool")
    source, axis = (reshape(source, -1), 0) if axis is None else (source, axes_of(name, axis, source.ndim)[0])
    rows = as_rows(source, [axis])
    found, n = rows.detach(), rows.shape[1]
    index, step = broadcast_to(Tensor._wrap(np.arange(n)), rows.shape), 1
    while step < n:
        (old, new), (old_index, new_index) = ((t[:, :-step], t[:, step:]) for t in (found, index))
        later = logical_or(at_least(new, old), not_equal(new, new))
        found = concatenate([found[:, :step], where(later, new, old)], 1)
        index = concatenate([index[:, :step], where(later, new_index, old_index)], 1)
        step *= 2
    return Indexed(*(from_rows(t, source.shape, axis) for t in (gather(rows, index), index)))


def prod(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False, **names: Unpack[Dim]) -> Tensor:
    """Product over axes, as one ascending chain in C order; its gradient is right where elements are 0.

    Arguments, returns and errors as `cr.sum`; the product of no elements is 1.

    >>> import chainrule as cr
    >>> cr.prod([[1.0, 2.0], [3.0, 4.0]], axis=0).tolist()
    [3.0, 8.0]
    """
    if names:
        axis, keepdims = by_dim("prod", names, axis, keepdims)
    source = one(x)
    if source.dtype not in FLOATS:
        return integer_prod(source, axis, keepdims)
    axes = axes_of("prod", axis, source.ndim)
    rest = tuple(1 if i in axes else n for i, n in enumerate(source.shape))
    shape = rest if keepdims else tuple(n for i, n in enumerate(source.shape) if i not in axes)
    rows = as_rows(source, axes)
    if rows.shape[1] == 0:
        return reshape(add(sum(rows, 1), 1), shape)
    return reshape(getitem(_products(rows, 1), (slice(None), -1)), shape)


if not TYPE_CHECKING:
    __all__ = own_names(globals())

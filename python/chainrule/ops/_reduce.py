"""Reductions over any axes (docs/arithmetic.md, Sums)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

from .._ir.instruction import Instr
from .._ir.records import Reduce, ReduceMode
from .._ir.shapes import product
from .._tensor import Tensor
from .._util.checks import is_integer
from .._util.dtypes import FLOAT32, FLOAT64, FLOATS, INT64
from ._arithmetic import div, neg
from ._cast import astype
from ._dtypes import computed_in, converted
from ._logic import bitwise_not, truth
from ._names import Dim, Indexed, by_dim, pair_axis
from ._op import LINEAR, Attrs, Op, Plan, Rule, Shape, Spec, apply, register
from ._operands import one
from ._shape import reshape, transpose
from ._strides import axes_of, transpose_code

if TYPE_CHECKING:
    from typing_extensions import Unpack

Axis = int | Sequence[int] | None


def _without(shape: Shape, axes: tuple[int, ...]) -> Shape:
    return tuple(n for i, n in enumerate(shape) if i not in axes)


def reduce_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    """attrs: the sorted axes. The elements reduced to one output form a sequence in C order."""
    (axes,) = attrs
    dtype = computed_in(name, [specs[0].dtype])
    (source,), code, temporaries = converted(specs, [dtype])
    x = Spec(specs[0].shape, dtype)
    ndim = len(x.shape)
    last = axes[-1] if axes else ndim
    before = [i for i in range(last) if i not in axes]
    after = list(range(last + 1, ndim))
    order = [*before, *axes, *after]
    if name == "argmax":  # an index is not a chain over values: argmax reduces rows only
        before, after, order = [*before, *after], [], [*before, *after, *axes]
    by_rows = bool(axes) and order[-1] in axes
    outer, reduced, inner = (product([x.shape[i] for i in part]) for part in (before, axes, after))
    record = Reduce(outer, reduced, inner, ReduceMode.LANE_RULE if by_rows else ReduceMode.START_CHAIN)
    out = Spec(_without(x.shape, axes), INT64 if name == "argmax" else x.dtype)
    if order != list(range(ndim)):
        at = 2 + len(temporaries)
        move, transposed = transpose_code(x, order, at, source)
        code, temporaries, source = [*code, move], [*temporaries, transposed], at
    return Plan(out, [*code, Instr(name, x.code, [1], [source], record)], temporaries)


def _with_ones(shape: Shape, axes: tuple[int, ...]) -> Shape:
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def _sum_rule(g: Tensor, out: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    from ._shape import broadcast_to

    return broadcast_to(reshape(g, _with_ones(x[0].shape, attrs[0])), x[0].shape)


def _as_rows(shape: Shape, axes: tuple[int, ...]) -> tuple[tuple[int, ...], Shape]:
    """The order of axes, and the 2-d shape, in which the elements reduced to one output are a row."""
    remaining = tuple(i for i in range(len(shape)) if i not in axes)
    return (*remaining, *axes), (product(_without(shape, axes)), product([shape[i] for i in axes]))


def _extreme_rules(largest: bool) -> tuple[tuple[Rule], tuple[Rule]]:
    """Gradient and tangent rules of max and min: at a tie, those of the first extreme element."""

    def extreme_index(x: Tensor, axes: tuple[int, ...]) -> Tensor:
        order, rows = _as_rows(x.shape, axes)
        elements = reshape(transpose(x.detach(), order), rows)
        return apply(_ARGMAX, (elements if largest else neg(elements),), ((1,),))

    def reverse(g: Tensor, out: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
        from ._index import scatter

        shape = x[0].shape
        order, rows = _as_rows(shape, attrs[0])
        scattered = scatter(reshape(g, rows[:1]), extreme_index(x[0], attrs[0]), rows[1])
        return transpose(reshape(scattered, [shape[i] for i in order]), [order.index(i) for i in range(len(shape))])

    def forward(t: Tensor, out: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
        from ._index import gather

        order, rows = _as_rows(t.shape, attrs[0])
        return reshape(gather(reshape(transpose(t, order), rows), extreme_index(x[0], attrs[0])), out.shape)

    return (reverse,), (forward,)


def _truth_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    return reduce_plan("max" if name == "any" else "min", specs, attrs)


_SUM = register(Op("sum", reduce_plan, (_sum_rule,), (LINEAR,)))
_MAX = register(Op("max", reduce_plan, *_extreme_rules(True)))
_MIN = register(Op("min", reduce_plan, *_extreme_rules(False)))
_ARGMAX = register(Op("argmax", reduce_plan))
_INTEGER_PROD = Op("prod", reduce_plan)  # that of floats is a recurrence
_ANY, _ALL = (register(Op(name, _truth_plan)) for name in ("any", "all"))


def _reduce(op: Op, x: Any, axis: Axis, keepdims: bool, needs_elements: bool) -> Tensor:
    source = one(x)
    axes = axes_of(op.name, axis, source.ndim)
    if needs_elements and product([source.shape[i] for i in axes]) == 0:
        raise ValueError(f"{op.name}: no elements along axis {axis} of shape {source.shape}")
    out = apply(op, (source,), (axes,))
    return reshape(out, _with_ones(source.shape, axes)) if keepdims else out


def sum(x: Any, axis: Axis = None, keepdims: bool = False, **names: Unpack[Dim]) -> Tensor:
    """Sum over axes, in the order specified in docs/arithmetic.md.

    Arguments: `x`, a tensor; `axis`, an integer, a tuple or None for all; `keepdims`, keep the axes, with length 1;
    `dim` and `keepdim` are other names of them.
    Returns: a tensor without these axes, of x's dtype, int64 for bool; the sum of no elements is 0.
    Errors: ValueError for an axis out of range, TypeError for dtypes.

    >>> import chainrule as cr
    >>> cr.sum([[1.0, 2.0], [3.0, 4.0]], axis=0).numpy()
    array([4., 6.], dtype=float32)
    """
    if names:
        axis, keepdims = by_dim("sum", names, axis, keepdims)
    return _reduce(_SUM, x, axis, keepdims, False)


def mean(x: Any, axis: Axis = None, keepdims: bool = False, **names: Unpack[Dim]) -> Tensor:
    """Mean over axes, sum / n; arguments as `cr.sum`, NaN for no elements.

    Of integers and bools: computed in float64, given as float32.

    >>> import chainrule as cr
    >>> cr.mean([[1.0, 2.0], [3.0, 4.0]]).item()
    2.5
    """
    if names:
        axis, keepdims = by_dim("mean", names, axis, keepdims)
    source = one(x)
    if source.dtype not in FLOATS:
        return astype(mean(astype(source, FLOAT64), axis, keepdims), FLOAT32)
    axes = axes_of("mean", axis, source.ndim)
    count = product([source.shape[i] for i in axes])
    return div(_reduce(_SUM, source, axes, keepdims, False), count)


@overload
def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor: ...
@overload
def max(x: Any, *, dim: int, keepdim: bool = False) -> Indexed: ...
def max(x: Any, axis: Axis = None, keepdims: bool = False, **names: Unpack[Dim]) -> Tensor | Indexed:
    """Maximum over axes; NaN if any element is NaN. At a tie the gradient goes to the first element.

    Arguments as `cr.sum`. With `dim`, an integer, a named tuple `(values, indices)`, as `torch.max`.
    Errors: ValueError if there are no elements.

    >>> import chainrule as cr
    >>> cr.max([[1.0, 5.0], [3.0, 4.0]], axis=1).numpy()
    array([5., 4.], dtype=float32)
    """
    dim = pair_axis("max", names, axis)
    if names:
        axis, keepdims = by_dim("max", names, axis, keepdims)
    if dim is not None:
        return Indexed(_reduce(_MAX, x, dim, keepdims, True), argmax(x, dim, keepdims))
    return _reduce(_MAX, x, axis, keepdims, True)


@overload
def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor: ...
@overload
def min(x: Any, *, dim: int, keepdim: bool = False) -> Indexed: ...
def min(x: Any, axis: Axis = None, keepdims: bool = False, **names: Unpack[Dim]) -> Tensor | Indexed:
    """Minimum over axes; NaN if any element is NaN. At a tie the gradient goes to the first element.

    Arguments as `cr.sum`. With `dim`, an integer, a named tuple `(values, indices)`, as `torch.min`.
    Errors: ValueError if there are no elements.

    >>> import chainrule as cr
    >>> cr.min([[1.0, 5.0], [3.0, 4.0]], axis=1).numpy()
    array([1., 3.], dtype=float32)
    """
    dim = pair_axis("min", names, axis)
    if names:
        axis, keepdims = by_dim("min", names, axis, keepdims)
    if dim is not None:
        return Indexed(_reduce(_MIN, x, dim, keepdims, True), argmin(x, dim, keepdims))
    return _reduce(_MIN, x, axis, keepdims, True)


def argmax(x: Any, axis: int | None = None, keepdims: bool = False, **names: Unpack[Dim]) -> Tensor:
    """Index of the first maximum along an axis (None: of all elements, in C order) as int64; of the first NaN if any.

    Errors: ValueError if there are no elements or the axis is out of range.

    >>> import chainrule as cr
    >>> cr.argmax([[1.0, 5.0], [3.0, 4.0]], axis=1).numpy()
    array([1, 1])
    """
    if names:
        axis, keepdims = by_dim("argmax", names, axis, keepdims)
    source = one(x)
    if axis is not None and not is_integer(axis):
        raise TypeError(f"argmax: axis must be an integer or None, got {axis!r}")
    if source.ndim == 0:
        return argmax(reshape(source, (1,)), 0)
    if axis is None:
        flat = _reduce(_ARGMAX, reshape(source, (source.size,)), 0, False, True)
        return reshape(flat, (1,) * source.ndim) if keepdims else flat
    return _reduce(_ARGMAX, source, axis, keepdims, True)


def any(x: Any, axis: Axis = None, keepdims: bool = False, **names: Unpack[Dim]) -> Tensor:
    """Whether any element over axes is other than 0 (or NaN), as bool; False for no elements. Arguments as `cr.sum`.

    >>> import chainrule as cr
    >>> cr.any([[0.0, 2.0], [0.0, 0.0]], axis=1).tolist()
    [True, False]
    """
    if names:
        axis, keepdims = by_dim("any", names, axis, keepdims)
    return _reduce(_ANY, truth(x), axis, keepdims, False)


def all(x: Any, axis: Axis = None, keepdims: bool = False, **names: Unpack[Dim]) -> Tensor:
    """Whether all elements over axes are other than 0, as bool; True for no elements. Arguments as `cr.sum`.

    >>> import chainrule as cr
    >>> cr.all([[1.0, 2.0], [3.0, 0.0]], axis=1).tolist()
    [True, False]
    """
    if names:
        axis, keepdims = by_dim("all", names, axis, keepdims)
    return _reduce(_ALL, truth(x), axis, keepdims, False)


def count_nonzero(x: Any, axis: Axis = None, keepdims: bool = False, **names: Unpack[Dim]) -> Tensor:
    """Number of elements over axes that are other than 0, as int64. Arguments as `cr.sum`.

    >>> import chainrule as cr
    >>> cr.count_nonzero([[0.0, 2.0], [3.0, 4.0]], axis=1).tolist()
    [1, 2]
    """
    if names:
        axis, keepdims = by_dim("count_nonzero", names, axis, keepdims)
    return _reduce(_SUM, truth(x), axis, keepdims, False)


def integer_prod(x: Tensor, axis: Axis, keepdims: bool) -> Tensor:
    """Product of integers or bools over axes, as int64."""
    return _reduce(_INTEGER_PROD, x, axis, keepdims, False)


def argmin(x: Any, axis: int | None = None, keepdims: bool = False, **names: Unpack[Dim]) -> Tensor:
    """Index of the first minimum along an axis as int64; of the first NaN if any. Arguments and errors as `cr.argmax`.

    >>> import chainrule as cr
    >>> cr.argmin([[1.0, 5.0], [3.0, 2.0]], axis=1).numpy()
    array([0, 1])
    """
    if names:
        axis, keepdims = by_dim("argmin", names, axis, keepdims)
    source = one(x)
    # ~n is -n - 1, which turns the order of all integers and bools around: -n of the least int64 would wrap around.
    return argmax(neg(source) if source.dtype in FLOATS else bitwise_not(source), axis, keepdims)


def amax(x: Any, axis: Axis = None, keepdims: bool = False, **names: Unpack[Dim]) -> Tensor:
    """Maximum over axes, `cr.max`; it also takes `dim` and `keepdim`, as `torch.amax`.

    >>> import chainrule as cr
    >>> cr.amax([[1.0, 5.0], [3.0, 4.0]], dim=1).tolist()
    [5.0, 4.0]
    """
    axis, keepdims = by_dim("amax", names, axis, keepdims)
    return max(x, axis, keepdims)


def amin(x: Any, axis: Axis = None, keepdims: bool = False, **names: Unpack[Dim]) -> Tensor:
    """Minimum over axes, `cr.min`; it also takes `dim` and `keepdim`, as `torch.amin`.

    >>> import chainrule as cr
    >>> cr.amin([[1.0, 5.0], [3.0, 4.0]], dim=1).tolist()
    [1.0, 3.0]
    """
    axis, keepdims = by_dim("amin", names, axis, keepdims)
    return min(x, axis, keepdims)


__all__ = ["all", "amax", "amin", "any", "argmax", "argmin", "count_nonzero", "max", "mean", "min", "sum"]

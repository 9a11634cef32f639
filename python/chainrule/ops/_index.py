"""Gather elements of rows by index, and its transpose, scatter; the order of rows; select between indices."""

from __future__ import annotations

from collections.abc import Sequence

from .._ir.instruction import Instr
from .._ir.records import Gather, Order, Scatter
from .._ir.shapes import product
from .._tensor import Tensor
from .._util.dtypes import FLOAT64, INT64
from ._arithmetic import where
from ._cast import astype
from ._op import LINEAR, OPS, Attrs, Op, Plan, Shape, Spec, apply, register
from ._shape import concatenate, reshape, transpose

__all__ = ["as_rows", "from_rows", "gather", "order", "overlaid", "picked", "scatter", "where_index"]


def _gather_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    x, index = specs
    rows, cols = x.shape
    record = Gather(rows=rows, cols=cols, picks=product(index.shape[1:]))
    return Plan(Spec(index.shape, x.dtype), [Instr("gather", x.code, [2], [0, 1], record)])


def _scatter_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    g, _ = specs
    (cols,) = attrs
    record = Scatter(rows=g.shape[0], cols=cols, picks=product(g.shape[1:]))
    return Plan(Spec((g.shape[0], cols), g.dtype), [Instr("scatter", g.code, [2], [0, 1], record)])


def _overlay_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    (index,) = specs
    (cols,) = attrs
    rows, picks = index.shape
    return Plan(Spec((rows, cols), INT64), [Instr("overlay", index.code, [1], [0], Scatter(rows, cols, picks))])


def _order_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    (x,) = specs
    (descending,) = attrs
    return Plan(
        Spec(x.shape, INT64), [Instr("argsort", x.code, [1], [0], Order(x.shape[0], x.shape[1], int(descending)))]
    )


_GATHER = register(Op("gather", _gather_plan, (lambda g, y, x, a: scatter(g, x[1], x[0].shape[1]),), (LINEAR,)))
_SCATTER = register(Op("scatter", _scatter_plan, (lambda g, y, x, a: gather(g, x[1]),), (LINEAR,)))
_OVERLAY = register(Op("overlay", _overlay_plan))
_ARGSORT = register(Op("argsort", _order_plan))


def gather(x: Tensor, index: Tensor) -> Tensor:
    """out[i, j] = x[i, index[i, j]] for x (rows, cols) and checked int64 indices (rows, picks) or (rows,)."""
    return apply(_GATHER, (x, index))


def scatter(g: Tensor, index: Tensor, cols: int) -> Tensor:
    """out[i, index[i, j]] += g[i, j] from zeros (rows, cols)."""
    return apply(_SCATTER, (g, index), (cols,))


def overlaid(x: Tensor, index: Tensor, values: Tensor) -> Tensor:
    """x (rows, cols) with x[i, index[i, j]] = values[i, j], the last of equal indices; values (rows, picks)."""
    return gather(concatenate([x, values], 1), apply(_OVERLAY, (index,), (x.shape[1],)))


def order(x: Tensor, descending: bool = False) -> Tensor:
    """The positions of the elements of each row (rows, cols) in ascending order, equal ones in the order of position.

    -0 equals +0; NaN is greater than all others.
    """
    return apply(_ARGSORT, (x.detach(),), (bool(descending),))


def as_rows(x: Tensor, axes: Sequence[int]) -> Tensor:
    """A matrix whose rows are the elements along the axes, in C order."""
    others = [i for i in range(x.ndim) if i not in axes]
    shape = product([x.shape[i] for i in others]), product([x.shape[i] for i in axes])
    return reshape(transpose(x, [*others, *axes]), shape)


def from_rows(rows: Tensor, shape: Shape, axis: int) -> Tensor:
    """The inverse for one axis: its length is that of the rows, the other lengths are those of `shape`."""
    others = [i for i in range(len(shape)) if i != axis]
    order = [*others, axis]
    apart = reshape(rows, (*(shape[i] for i in others), rows.shape[1]))
    return transpose(apart, [order.index(i) for i in range(len(shape))])


def picked(x: Tensor, index: Tensor, axis: int) -> Tensor:
    """Elements along an axis by checked indices, whose other lengths are those of x."""
    return from_rows(gather(as_rows(x, [axis]), as_rows(index, [axis])), index.shape, axis)


def where_index(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Select elementwise, a where the condition is true, else b, for indices: `where` takes floats, and float64 holds
    every index."""
    numbers = where(condition, astype(a, FLOAT64), astype(b, FLOAT64))
    return apply(OPS["astype"], (numbers,), (INT64.char,))

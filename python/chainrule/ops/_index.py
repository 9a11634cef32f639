"""Gather one element per row by index, and its transpose, scatter."""

from __future__ import annotations

from collections.abc import Sequence

from .._ir.instruction import Instr
from .._ir.records import Gather, Scatter
from .._tensor import Tensor
from ._op import LINEAR, Attrs, Op, Plan, Spec, apply, register

__all__ = ["gather", "scatter"]


def _gather_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    x, _ = specs
    rows, cols = x.shape
    return Plan(Spec((rows,), x.dtype), [Instr("gather", x.code, [2], [0, 1], Gather(rows=rows, cols=cols))])


def _scatter_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    g, _ = specs
    (cols,) = attrs
    record = Scatter(rows=g.size, cols=cols)
    return Plan(Spec((*g.shape, cols), g.dtype), [Instr("scatter", g.code, [2], [0, 1], record)])


_GATHER = register(Op("gather", _gather_plan, (lambda g, y, x, a: scatter(g, x[1], x[0].shape[1]),), (LINEAR,)))
_SCATTER = register(Op("scatter", _scatter_plan, (lambda g, y, x, a: gather(g, x[1]),), (LINEAR,)))


def gather(x: Tensor, index: Tensor) -> Tensor:
    """out[i] = x[i, index[i]] for x (rows, cols) and checked int64 indices."""
    return apply(_GATHER, (x, index))


def scatter(g: Tensor, index: Tensor, cols: int) -> Tensor:
    """out[i, index[i]] = g[i], zero elsewhere."""
    return apply(_SCATTER, (g, index), (cols,))

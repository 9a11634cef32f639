"""One element per row, chosen by an integer: pick, and its transpose, place."""

from __future__ import annotations

from collections.abc import Sequence

from .._tensor import Tensor
from ._op import LINEAR, Attrs, Op, Plan, Spec, apply, register

__all__ = ["pick", "place"]


def _pick_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    x, _ = specs
    rows, cols = x.shape
    return Plan(Spec((rows,), x.dtype), [("pick", x.code, [2], [0, 1], [rows, cols], [])])


def _place_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    g, _ = specs
    (cols,) = attrs
    return Plan(Spec((*g.shape, cols), g.dtype), [("place", g.code, [2], [0, 1], [g.size, cols], [])])


_PICK = register(Op("pick", _pick_plan, (lambda g, y, x, a: place(g, x[1], x[0].shape[1]),), (LINEAR,)))
_PLACE = register(Op("place", _place_plan, (lambda g, y, x, a: pick(g, x[1]),), (LINEAR,)))


def pick(x: Tensor, index: Tensor) -> Tensor:
    """out[i] = x[i, index[i]] for x (rows, cols) and checked int64 indices."""
    return apply(_PICK, (x, index))


def place(g: Tensor, index: Tensor, cols: int) -> Tensor:
    """out[i, index[i]] = g[i], zero elsewhere."""
    return apply(_PLACE, (g, index), (cols,))

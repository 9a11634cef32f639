"""The chain rule over a graph's nodes, edge by edge: reverse mode, forward mode, local derivatives.

Nothing of it touches `grad`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .. import ops
from .._ir.elementwise import Map
from .._ir.instruction import Instr
from .._tensor import Tensor
from .._util.dtypes import Spec
from ..autodiff._sweeps import _sum_to, check_unchanged, no_grad
from ._nodes import Node
from ._text import SMALL

__all__ = ["Step", "instructions", "is_elementwise", "local", "steps", "tangents"]


@dataclass(frozen=True, eq=False)
class Step:
    """What a node passes back to its input number `at`."""

    node: Node
    at: int
    part: Tensor  # local derivative times what arrived at the node
    total: Tensor  # what the input has got so far


def steps(nodes: Sequence[Node], totals: dict[int, Tensor]) -> Iterator[Step]:
    """Reverse mode, in the order of `backward`: `totals`, gradients by tensor number, are added up step by step.

    It begins with the gradients of the outputs. To be used where ops record no graph.
    """
    for node in reversed(nodes):
        t, g = node.tensor, totals.get(node.number)
        if t._op is None or g is None:
            continue
        check_unchanged(t, "trace")
        for i, x in enumerate(t._inputs):
            part = _rule(node, i, g) if x._requires_grad else None
            if part is None:
                continue
            part = _sum_to(part, x.shape)
            before = totals.get(x._number)
            totals[x._number] = part if before is None else ops.add(before, part)
            yield Step(node, i, part, totals[x._number])


def _rule(node: Node, i: int, g: Tensor) -> Tensor | None:
    t = node.tensor
    return None if t._op is None else t._op.gradient(i, g, t, t._inputs, t._attrs)


def instructions(node: Node) -> tuple[list[Instr], list[Spec]] | None:
    """What the node's op runs, over numbers of the given specs; None for a call that is no op of the table."""
    t = node.tensor
    if t._op is None or any(x._version is t._version for x in t._inputs):
        return [], []  # a reshape shares memory
    specs = [Spec(x.shape, x.dtype) for x in t._inputs]
    try:
        plan = t._op.plan(t._op.name, specs, t._attrs)
    except TypeError:
        return None
    return plan.code, [*specs, plan.out, *plan.temporaries]


def is_elementwise(node: Node) -> bool:
    """Whether each element of the node depends on the elements at its place only."""
    found = instructions(node)
    return found is not None and bool(found[0]) and all(isinstance(instr.record, Map) for instr in found[0])


def local(node: Node, i: int) -> Tensor | None:
    """The derivative of a node by input i.

    Of an elementwise op: of each element, in the node's shape. Of one element: in the input's shape. Else the Jacobian,
    a row for each element of the node, a column for each of the input; None where it is too large to be shown.
    """
    t = node.tensor
    x = t._inputs[i]
    with no_grad():
        if is_elementwise(node):
            return _rule(node, i, Tensor._wrap(np.ones(t.shape, t.dtype)))
        if t.size == 0 or (t.size != 1 and t.size * x.size > SMALL):
            return None
        rows = []
        for k in range(t.size):
            unit = np.zeros(t.size, t.dtype)
            unit[k] = 1
            row = _rule(node, i, Tensor._wrap(unit.reshape(t.shape)))
            if row is None:
                return None
            rows.append(_sum_to(row, x.shape))
        return rows[0] if t.size == 1 else ops.reshape(ops.stack(rows), (t.size, x.size))


def tangents(nodes: Sequence[Node], number: int, tangent: Tensor) -> dict[int, Tensor]:
    """Forward mode: the derivative of every node along `tangent` of the leaf with this number, by tensor number."""
    found = {number: tangent}
    with no_grad():
        for node in nodes:
            t = node.tensor
            given = [found.get(x.number) for x in node.inputs]
            if t._op is None or all(g is None for g in given):
                continue
            check_unchanged(t, "trace")
            moved = t._op.tangent(given, t, t._inputs, t._attrs)
            if moved is not None:
                found[node.number] = ops.broadcast_to(moved, t.shape)
    return found

"""The chain rule over a graph's nodes, edge by edge: reverse mode, forward mode, local derivatives.

Nothing of it touches `grad`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .. import ops
from .._ir.elementwise import Map
from .._ir.instruction import Instr
from .._tensor import Tensor
from .._util.dtypes import Spec
from ..autodiff._sweeps import ancestors, forward_sweep, no_grad, reverse_sweep, sum_to
from ._nodes import Node
from ._text import SMALL

__all__ = ["Step", "instructions", "is_elementwise", "local", "reverse", "tangents"]


@dataclass(frozen=True, eq=False)
class Step:
    """What a node passes back to its input number `at`."""

    node: Node
    at: int
    part: Tensor  # local derivative times the upstream gradient
    total: Tensor  # the sum of what the input has got so far


def reverse(
    nodes: Sequence[Node], totals: dict[int, Tensor], visit: Callable[[Step], None] = lambda step: None
) -> None:
    """Reverse mode, edge by edge: `totals`, gradients by tensor number, are added up, `visit` is called for each step.

    It begins with the gradients of the outputs. To be used where ops record no graph.
    """
    by_number = {node.number: node for node in nodes}
    outputs = [by_number[number].tensor for number in totals]
    leaves = {node.number for node in nodes if node.tensor._op is None}

    def note(t: Tensor, i: int, part: Tensor, total: Tensor) -> None:
        totals[t._inputs[i]._number] = total
        visit(Step(by_number[t._number], i, part, total))

    reverse_sweep(outputs, list(totals.values()), leaves, ancestors(outputs), "trace", note)


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
            rows.append(sum_to(row, x.shape))
        return rows[0] if t.size == 1 else ops.reshape(ops.stack(rows), (t.size, x.size))


def tangents(outputs: Sequence[Node], number: int, tangent: Tensor) -> dict[int, Tensor]:
    """Forward mode: the derivative of every node along `tangent` of the leaf with this number, by tensor number."""
    with no_grad():
        return forward_sweep([node.tensor for node in outputs], {number: tangent}, {number}, what="trace")

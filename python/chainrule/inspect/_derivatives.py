"""The chain rule over a graph's nodes, edge by edge: reverse mode, forward mode, local derivatives.

No `grad` changes.
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
    """One step of reverse mode: a node's contribution to the gradient of its input number `at`."""

    node: Node
    at: int
    part: Tensor  # local derivative times the upstream gradient
    total: Tensor  # the input's gradient so far: the sum of the contributions


def reverse(
    nodes: Sequence[Node], totals: dict[int, Tensor], visit: Callable[[Step], None] = lambda step: None
) -> None:
    """Reverse mode, edge by edge: accumulate gradients in `totals`, by tensor number, and call `visit` for each step.

    At the beginning `totals` has the upstream gradients of the outputs. To be called under `no_grad`.
    """
    by_number = {node.number: node for node in nodes}
    outputs = [by_number[number].tensor for number in totals]
    leaves = {node.number for node in nodes if node.tensor._op is None}

    def record(t: Tensor, i: int, part: Tensor, total: Tensor) -> None:
        totals[t._inputs[i]._number] = total
        visit(Step(by_number[t._number], i, part, total))

    reverse_sweep(outputs, list(totals.values()), leaves, ancestors(outputs), "trace", record)


def _rule(node: Node, i: int, g: Tensor) -> Tensor | None:
    t = node.tensor
    return None if t._op is None else t._op.gradient(i, g, t, t._inputs, t._attrs)


def instructions(node: Node) -> tuple[list[Instr], list[Spec]] | None:
    """The instructions of the node's op and the specs of their values; None if it is not an op of the table."""
    t = node.tensor
    if t._op is None or any(x._version is t._version for x in t._inputs):
        return [], []  # a reshape shares memory
    specs = [Spec(x.shape, x.dtype) for x in t._inputs]
    try:
        plan = t._op.planned(specs, t._attrs)
    except TypeError:
        return None
    return plan.code, [*specs, plan.out, *plan.temporaries]


def is_elementwise(node: Node) -> bool:
    """Whether each element of the node depends only on the elements of the inputs at the same index."""
    planned = instructions(node)
    return planned is not None and bool(planned[0]) and all(isinstance(instr.record, Map) for instr in planned[0])


def local(node: Node, i: int) -> Tensor | None:
    """The derivative of a node with respect to input i.

    For an elementwise op: elementwise, in the node's shape. For a node of one element: in the input's shape. Otherwise
    the Jacobian, with a row for each element of the node and a column for each of the input; None if too large to show.
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
            one_hot = np.zeros(t.size, t.dtype)
            one_hot[k] = 1
            row = _rule(node, i, Tensor._wrap(one_hot.reshape(t.shape)))
            if row is None:
                return None
            rows.append(sum_to(row, x.shape))
        return rows[0] if t.size == 1 else ops.reshape(ops.stack(rows), (t.size, x.size))


def tangents(outputs: Sequence[Node], number: int, tangent: Tensor) -> dict[int, Tensor]:
    """Forward mode: the derivative of every node along `tangent` of the leaf with this number, by tensor number."""
    with no_grad():
        return forward_sweep([node.tensor for node in outputs], {number: tangent}, {number}, what="trace")

"""Operations and bytes of every node, forward and backward.

Forward they are those of the op's instructions, backward those that the gradient rules append to a trace: nothing is
computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .._ir.instruction import Instr, flops
from .._tensor import Tensor
from .._util.dtypes import Spec
from .._util.text_table import text_table
from ..autodiff._sweeps import no_grad
from ..compiler.trace import Trace
from ._derivatives import Step, instructions, reverse
from ._formulas import expression
from ._nodes import Node
from ._text import shape_text

__all__ = ["Cost", "Costs", "costs"]


@dataclass
class Cost:
    """Of one node: operations, and bytes that instructions read and write."""

    node: Node
    flops: int = 0
    backward_flops: int = 0
    bytes: int = 0
    backward_bytes: int = 0
    known: bool = True  # False for a call that is no op of the table: a compiled function's `.program` tells


class Costs:
    """What a forward and a backward pass cost: a row for each node, and the sums. Printed, a table.

    A multiply-add counts as 2 operations, any other result of an element as 1, as in `compile`'s `.program`; what the
    backward pass would compute twice from the same values counts once, as there. Bytes are those of the operands and
    results of each instruction by itself: what is read twice counts twice.
    """

    def __init__(self, rows: Sequence[Cost]) -> None:
        self.rows = list(rows)

    @property
    def forward(self) -> int:
        """Operations of the forward pass."""
        return sum(row.flops for row in self.rows)

    @property
    def backward(self) -> int:
        """Operations of the backward pass."""
        return sum(row.backward_flops for row in self.rows)

    @property
    def bytes(self) -> int:
        """Bytes read and written by the forward pass."""
        return sum(row.bytes for row in self.rows)

    @property
    def backward_bytes(self) -> int:
        """Bytes read and written by the backward pass."""
        return sum(row.backward_bytes for row in self.rows)

    def __str__(self) -> str:
        head = ("node", "expression", "shape", "flop", "backward flop", "bytes", "backward bytes")
        rows = [
            (
                row.node.name,
                expression(row.node),
                shape_text(row.node.tensor.shape),
                f"{row.flops}" if row.known else "?",
                f"{row.backward_flops}",
                f"{row.bytes}" if row.known else "?",
                f"{row.backward_bytes}",
            )
            for row in self.rows
            if row.node.kind == "op"
        ]
        sums = [str(n) for n in (self.forward, self.backward, self.bytes, self.backward_bytes)]
        text = text_table(head, [*rows, ("", "all", "", *sums)])
        if not all(row.known for row in self.rows):
            return f"{text}\n?: not an op of the table; a compiled function's .program tells"
        return f"{text}\nbackward / forward: {self.backward / self.forward:.3f} flop" if self.forward else text

    __repr__ = __str__


def _bytes(code: Sequence[Instr], spec_of: Callable[[int], Spec]) -> int:
    return sum(spec.size * spec.dtype.itemsize for instr in code for spec in map(spec_of, set(instr.uses())))


def costs(nodes: Sequence[Node], seeds: dict[int, Tensor]) -> Costs:
    """Count; `seeds` are gradients of the outputs by tensor number, that only shapes are asked of."""
    rows = {node.number: Cost(node) for node in nodes}
    for node in nodes:
        found, row = instructions(node), rows[node.number]
        if found is None:
            row.known = False
        else:
            row.flops, row.bytes = sum(map(flops, found[0])), _bytes(found[0], found[1].__getitem__)
    trace, at = Trace(), 0

    def count(step: Step) -> None:
        """Count what was appended since the step before."""
        nonlocal at
        new, at = trace.code[at:], len(trace.code)
        row = rows[step.node.number]
        row.backward_flops += sum(map(flops, new))
        row.backward_bytes += _bytes(new, lambda v: trace.values[v].spec)

    with no_grad(), trace.running():
        reverse(nodes, dict(seeds), count)
    return Costs(list(rows.values()))

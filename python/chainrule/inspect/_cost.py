"""Operation counts and memory traffic of every node, forward and backward.

The forward counts are those of the op's instructions; the backward counts are those of the instructions that the
gradient rules append to a trace. Nothing is computed.
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
    """The cost of one node: operations, and bytes that its instructions read and write."""

    node: Node
    flops: int = 0
    backward_flops: int = 0
    bytes: int = 0
    backward_bytes: int = 0
    known: bool = True  # False for a call of a compiled function, which is not an op of the table; see its `.program`


class Costs:
    """The costs of a forward and a backward pass: a row for each node, and the sums. Printed, a table.

    A multiply-add counts as 2 operations, any other operation on an element as 1, as in `compile`'s `.program`; equal
    computations of the backward pass count once, as there. Bytes are summed over the operands and results of each
    instruction: a value that is read twice counts twice.
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
            return f"{text}\n?: not an op of the table; see the compiled function's .program"
        return f"{text}\nbackward / forward: {self.backward / self.forward:.3f} flop" if self.forward else text

    __repr__ = __str__


def _bytes(code: Sequence[Instr], spec_of: Callable[[int], Spec]) -> int:
    return sum(spec.size * spec.dtype.itemsize for instr in code for spec in map(spec_of, set(instr.uses())))


def costs(nodes: Sequence[Node], seeds: dict[int, Tensor]) -> Costs:
    """Count; `seeds`: upstream gradients of the outputs by tensor number, of which only the shapes matter."""
    rows = {node.number: Cost(node) for node in nodes}
    for node in nodes:
        planned, row = instructions(node), rows[node.number]
        if planned is None:
            row.known = False
        else:
            row.flops, row.bytes = sum(map(flops, planned[0])), _bytes(planned[0], planned[1].__getitem__)
    trace, at = Trace(), 0

    def count(step: Step) -> None:
        """Count the instructions appended since the previous step."""
        nonlocal at
        new, at = trace.code[at:], len(trace.code)
        row = rows[step.node.number]
        row.backward_flops += sum(map(flops, new))
        row.backward_bytes += _bytes(new, lambda v: trace.values[v].spec)

    with no_grad(), trace.running():
        reverse(nodes, dict(seeds), count)
    return Costs(list(rows.values()))

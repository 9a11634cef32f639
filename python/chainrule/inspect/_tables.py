"""The forward and the backward pass as tables, in the form of a calculation by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .._util.dtypes import Array
from .._util.text_table import text_table
from ._formulas import expression
from ._nodes import Node
from ._text import array_text, number, shape_text

__all__ = ["BackwardRow", "ForwardRow", "Tables"]


@dataclass(frozen=True, eq=False)
class ForwardRow:
    """A node, its value, and in forward mode its derivative with respect to the selected leaf."""

    node: Node
    value: Array
    tangent: Array | None


@dataclass(frozen=True, eq=False)
class BackwardRow:
    """A node's contribution to the gradient of one input.

    `local` is the derivative of the node with respect to the input (None if too large to be formed), `upstream` the
    upstream gradient of the node, `part` their product, `total` the input's gradient so far.
    """

    node: Node
    input: Node
    formula: str
    local: Array | None
    upstream: Array
    part: Array
    total: Array


@dataclass(frozen=True)
class Agreement:
    """The derivative of the outputs with respect to the selected leaf, a scalar, computed by both modes."""

    name: str
    forward: Array
    backward: Array


class Tables:
    """Both tables as rows, `forward` and `backward`, and with `wrt` their `agreement`; printed, as text."""

    def __init__(
        self,
        forward: Sequence[ForwardRow],
        backward: Sequence[BackwardRow],
        output: str,
        agreement: Agreement | None,
        digits: int | None,
    ) -> None:
        self.forward, self.backward, self.agreement = list(forward), list(backward), agreement
        self._output, self._digits = output, digits

    def __str__(self) -> str:
        parts = [f"forward\n{self._forward()}", f"backward\n{self._backward()}"]
        if self.agreement is not None:
            found = [number(value, self._digits) for value in (self.agreement.forward, self.agreement.backward)]
            parts.append(f"d{self._output}/d{self.agreement.name}: {found[0]} forward, {found[1]} backward")
        return "\n\n".join(parts)

    __repr__ = __str__

    def _text(self, values: Array) -> str:
        return array_text(values, self._digits)

    def _forward(self) -> str:
        head = ["node", "expression", "value"]
        rows = [[row.node.name, expression(row.node), self._text(row.value)] for row in self.forward]
        if self.agreement is not None:
            head.append(f"d/d{self.agreement.name}")
            for cells, row in zip(rows, self.forward, strict=True):
                cells.append("0" if row.tangent is None else self._text(row.tangent))
        return text_table(head, rows)

    def _backward(self) -> str:
        y = self._output
        head = ("node", f"upstream d{y}/dnode", "input", "local derivative", "value", "upstream * local", "sum so far")
        rows: list[tuple[str, ...]] = []
        previous: Node | None = None
        for row in self.backward:
            own = (row.node.name, self._text(row.upstream)) if row.node is not previous else ("", "")
            previous = row.node
            left = "ȳ -> " if "ȳ" in row.formula else f"d{row.node.name}/d{row.input.name} = "
            formula = left + row.formula
            rows.append((*own, row.input.name, formula, self._local(row), self._text(row.part), self._text(row.total)))
        note = "\nȳ: the upstream gradient of the node" if any("ȳ" in row.formula for row in self.backward) else ""
        return text_table(head, rows) + note

    def _local(self, row: BackwardRow) -> str:
        if row.local is not None:
            return self._text(row.local)
        return f"Jacobian {shape_text((row.upstream.size, row.part.size))}, not formed"

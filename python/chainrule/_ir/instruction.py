"""Instructions over numbered values (the numbers index a program's list of values)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .record import Batch, Record, RowBlock, RowRole
from .table import INSTRUCTIONS

__all__ = ["PRODUCT", "Instr", "flops"]

# In a fused body: the value that the kernel has just computed. Numbers below it are temporaries of the body.
PRODUCT = -1
_NO_SLOTS: Mapping[int, int] = {}


class Instr:
    """One instruction over numbered values; `body` holds the steps of a fused instruction.

    `stores_product`, of a gemm: whether outs[0] is the product, which else exists only inside the body.
    """

    __slots__ = ("body", "dtype", "ins", "name", "outs", "reals", "record", "stores_product")

    def __init__(
        self,
        name: str,
        dtype: int,
        outs: list[int],
        ins: list[int],
        record: Record,
        reals: Sequence[float] = (),
        body: Sequence[Instr] = (),
        stores_product: bool = True,
    ) -> None:
        self.name = name
        self.dtype = dtype
        self.outs = outs
        self.ins = ins
        self.record = record
        self.reals = reals
        self.body = body
        self.stores_product = stores_product

    def uses(self) -> list[int]:
        """All values that it reads or writes."""
        return [*self.outs, *self.ins]

    def may_overwrite(self, source: int, out: int) -> bool:
        """Whether `out` may share the memory of `source`: each element is read before it is overwritten."""
        if self.outs != [out]:
            return False
        read = False
        for i, v in enumerate(self.ins):
            if v == source:
                read = True
                if not self.record.may_overwrite(i) or i in INSTRUCTIONS[self.name].resized_inputs:
                    return False
        return read

    def row_role(self, batch: Batch) -> RowRole:
        """How it treats the rows of a batch."""
        role = self.record.row_role(batch, self.outs, self.ins)
        return RowRole.AFTER if role is RowRole.SUM and not INSTRUCTIONS[self.name].sums_rows else role

    def cut(self, block: RowBlock, role: RowRole) -> Instr:
        """The same instruction restricted to a block of rows."""
        record = self.record.cut(block, role, self.outs, self.ins)
        return Instr(self.name, self.dtype, self.outs, self.ins, record, self.reals, self.body, self.stores_product)

    def with_inputs(self, ins: list[int]) -> Instr:
        """The same instruction with other inputs."""
        return Instr(self.name, self.dtype, self.outs, ins, self.record, self.reals, self.body, self.stores_product)

    def lower(self, slots: Mapping[int, int] = _NO_SLOTS) -> tuple[Any, ...]:
        """Encode for the core, with values replaced by slots; negative numbers are temporaries of a fused body."""
        outs = [slots.get(v, v) for v in self.outs]
        if not self.stores_product:
            outs.insert(0, PRODUCT)
        code = (self.name, self.dtype, outs, [slots.get(v, v) for v in self.ins], self.record.encode(), self.reals)
        return (*code, [step.lower(slots) for step in self.body]) if self.body else code


def flops(instr: Instr) -> int:
    """Floating-point operations of an instruction: 2 for a multiply-add, 1 for any other result per element."""
    own = INSTRUCTIONS[instr.name].flops * instr.record.operations()
    return own + instr.record.body_elements() * sum(INSTRUCTIONS[step.name].flops for step in instr.body)

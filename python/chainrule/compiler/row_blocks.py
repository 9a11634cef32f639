"""Row blocks: a batch runs through the program a few rows at a time, so that activations stay in cache.

Most instructions compute every row independently; sums over the rows (weight and bias gradients) are chains over
ascending rows, which the next block continues. Therefore the bits are those of the whole batch. Instructions that need
all rows at once, and all that overwrite captured memory, run after the last block; sums of one input value per row
(sample weights, by whose sum a mean is divided) run before the first block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .._ir.elementwise import Map
from .._ir.instruction import Instr
from .._ir.record import Batch, RowBlock, RowRole
from .._ir.records import Cast, CheckIndex, Copy, Take
from .._ir.values import Value
from .dataflow import owner

__all__ = ["RowBlocks", "plan_row_blocks"]


@dataclass(eq=False)
class RowBlocks:
    """A program in three parts; `loop` covers all rows and is cut into blocks."""

    rows: int
    before: list[Instr]
    loop: list[Instr]
    after: list[Instr]
    whole: set[int] = field(default_factory=set)  # of `by_rows`: those with all rows in memory before the loop
    by_rows: set[int] = field(default_factory=set)  # values with one row, or several, for each row of the batch
    sums: set[int] = field(default_factory=set)  # values accumulated over the blocks
    needed: set[int] = field(default_factory=set)  # values of the loop that are read after it

    def streamed(self, v: int) -> bool:
        """Whether all rows of a value are in memory, and each block reads or writes the next ones."""
        return v in self.by_rows and (v in self.needed or v in self.whole)

    def per_block(self, v: int) -> bool:
        """Whether a value is live within one block only."""
        return v in self.by_rows and not self.streamed(v)

    def cut(self, values: list[Value], rows: int, first: bool) -> list[Instr]:
        """The loop for a block of `rows` rows: the first one, or one that continues the sums."""
        block = RowBlock(Batch(self.rows, values, self.by_rows), rows, first)
        return [instr.cut(block, RowRole.SUM if instr.outs[0] in self.sums else RowRole.ROWS) for instr in self.loop]


def plan_row_blocks(
    code: Sequence[Instr], values: list[Value], inputs: Sequence[int], outputs: Sequence[int], rows: int
) -> RowBlocks:
    """Sort instructions into those before, inside and after the loop over blocks of rows."""
    blocks = RowBlocks(rows, [], [], [])
    batch = Batch(rows, values, blocks.by_rows)
    for v in inputs:
        shape = values[v].spec.shape
        if shape and shape[0] == rows:
            blocks.by_rows.add(v)
            blocks.whole.add(v)
    early: set[int] = set()  # values computed before the loop
    first = _sums_of_inputs(code, values, rows)
    late: set[int] = set()  # values computed after the loop
    written: set[int] = set()  # captured memory that has been overwritten, which the loop must not read
    for instr in code:
        overwrites = {v for v in instr.outs if values[v].array is not None}
        role = RowRole.AFTER
        if id(instr) in first:
            results = {v for v in _results(instr) if values[v].spec.shape[:1] == (rows,)}
            blocks.by_rows |= results
            blocks.whole |= results
            blocks.before.append(instr)
            early.update(instr.outs)
            continue
        if overwrites or not late.isdisjoint(instr.ins) or _reads_memory(written, instr.ins, values):
            written.update(id(owner(values[v])) for v in overwrites)
        elif blocks.by_rows.isdisjoint(instr.ins) and blocks.by_rows.isdisjoint(instr.outs):
            # It reads no rows, but its result may be computed block by block, for example a broadcast.
            if not _produces_rows(instr, batch):
                blocks.before.append(instr)
                early.update(instr.outs)
                continue
            role = RowRole.ROWS
        else:
            role = instr.row_role(batch)
        if role is RowRole.ROWS and not early.isdisjoint(instr.outs):
            role = RowRole.AFTER
        if role is RowRole.AFTER:
            blocks.after.append(instr)
            late.update(instr.outs)
            continue
        blocks.loop.append(_with_slices(instr, values, blocks, batch, role))
        if role is RowRole.ROWS:
            blocks.by_rows.update(_results(instr))
        else:
            blocks.sums.update(instr.outs)
            late.update(instr.outs)
    read_after = {v for instr in blocks.after for v in instr.uses()} | set(outputs)
    blocks.needed = {v for instr in blocks.loop for v in instr.outs if v in read_after}
    return blocks


def _results(instr: Instr) -> list[int]:
    """The outputs without the status of a check."""
    return instr.outs[1:] if instr.record.is_check else instr.outs


def _sums_of_inputs(code: Sequence[Instr], values: list[Value], rows: int) -> set[int]:
    """Ids of the sums over one value per row, gathered or computed from inputs, and of the instructions they depend on.

    All rows of these values take little memory, and instructions that depend on such a sum need not wait for the last
    block.
    """
    outs = {v for instr in code for v in instr.outs}
    early: dict[int, Instr] = {}  # by result, the instructions that may run before the loop
    found: set[int] = set()
    for instr in code:
        if any(values[v].array is not None for v in instr.outs):  # captured memory may have another value from here on
            break
        if any(v in outs and v not in early for v in instr.ins) or any(values[v].spec.size > rows for v in instr.outs):
            continue
        if isinstance(instr.record, (Map, Take, CheckIndex, Cast, Copy)):
            early.update(dict.fromkeys(instr.outs, instr))
        elif instr.name == "sum" and values[instr.ins[0]].spec.shape == (rows,) and instr.ins[0] in early:
            found.add(id(instr))
            pending = [instr.ins[0]]
            while pending:
                source = early.get(pending.pop())
                if source is not None and id(source) not in found:
                    found.add(id(source))
                    pending.extend(source.ins)
    return found


def _reads_memory(memory: set[int], ins: Sequence[int], values: list[Value]) -> bool:
    return bool(memory) and any(values[v].array is not None and id(owner(values[v])) in memory for v in ins)


def _produces_rows(instr: Instr, batch: Batch) -> bool:
    shapes = (batch.values[v].spec.shape for v in instr.outs)
    if instr.record.is_check or not all(shape[:1] > (0,) and shape[0] % batch.rows == 0 for shape in shapes):
        return False
    return instr.row_role(batch._replace(by_rows=instr.outs)) is RowRole.ROWS


def _with_slices(instr: Instr, values: list[Value], blocks: RowBlocks, batch: Batch, role: RowRole) -> Instr:
    """Give captured arrays that are read row by row a new value id, because each block reads other rows of them."""
    ins = list(instr.ins)
    for i, v in enumerate(ins):
        if v not in blocks.by_rows and batch.sliceable(v) and instr.record.reads_by_row(i, role):
            values.append(Value(values[v].spec, values[v].array, values[v].constant))
            ins[i] = len(values) - 1
            blocks.by_rows.add(ins[i])
            blocks.whole.add(ins[i])
    return instr.with_inputs(ins)

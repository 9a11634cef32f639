"""Row blocks: a batch goes through the program a few rows at a time, so that activations stay in cache.

Most instructions treat every row by itself; sums over the rows (weight and bias gradients) are chains over ascending
rows, which the next block continues. So the bits are those of the whole batch. What needs all rows at once, and
everything that overwrites captured memory, runs after the last block; but sums of what is given for each row (weights
of rows and labels, by whose sum a mean is divided) run before the first.
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
    """A program in three parts; `loop` is for all rows, to be cut into blocks."""

    rows: int
    before: list[Instr]
    loop: list[Instr]
    after: list[Instr]
    given: set[int] = field(default_factory=set)  # arguments, and captured arrays, that have a row for each row
    by_rows: set[int] = field(default_factory=set)  # values of which a block has its own rows
    sums: set[int] = field(default_factory=set)  # values that grow from block to block
    needed: set[int] = field(default_factory=set)  # values of the loop that are read after it

    def streamed(self, v: int) -> bool:
        """Whether a value has all its rows in memory, of which a block takes the next ones."""
        return v in self.by_rows and (v in self.needed or v in self.given)

    def per_block(self, v: int) -> bool:
        """Whether a value lives for one block only."""
        return v in self.by_rows and not self.streamed(v)

    def cut(self, values: list[Value], rows: int, first: bool) -> list[Instr]:
        """The loop for a block of so many rows: the first one, or one that continues its sums."""
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
            blocks.given.add(v)
    early: set[int] = set()  # values made before the loop, as a whole
    ahead = _sums_of_given(code, values, rows)
    late: set[int] = set()  # values known after it
    written: set[int] = set()  # captured memory that is overwritten by then, which the loop must not read
    for instr in code:
        overwrites = {v for v in instr.outs if values[v].array is not None}
        role = RowRole.AFTER
        if id(instr) in ahead:
            own = {v for v in _results(instr) if values[v].spec.shape[:1] == (rows,)}
            blocks.by_rows |= own
            blocks.given |= own
            blocks.before.append(instr)
            early.update(instr.outs)
            continue
        if overwrites or not late.isdisjoint(instr.ins) or _touches(written, instr.ins, values):
            written.update(id(owner(values[v])) for v in overwrites)
        elif blocks.by_rows.isdisjoint(instr.ins) and blocks.by_rows.isdisjoint(instr.outs):
            # It reads no rows so far, but may make its result block by block: a broadcast, say.
            if not _makes_rows(instr, batch):
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
    """What it computes: all outputs but the status of a check."""
    return instr.outs[1:] if instr.record.is_check else instr.outs


def _sums_of_given(code: Sequence[Instr], values: list[Value], rows: int) -> set[int]:
    """Sums over one number for each row, gathered or computed from what is given, with the instructions that they need.

    As identities of instructions. All rows of them take little memory, and what follows from such a sum need not wait
    for the last block.
    """
    outs = {v for instr in code for v in instr.outs}
    made: dict[int, Instr] = {}
    found: set[int] = set()
    for instr in code:
        if any(values[v].array is not None for v in instr.outs):  # what is read later may be another value
            break
        if any(v in outs and v not in made for v in instr.ins) or any(values[v].spec.size > rows for v in instr.outs):
            continue
        if isinstance(instr.record, (Map, Take, CheckIndex, Cast, Copy)):
            made.update(dict.fromkeys(instr.outs, instr))
        elif instr.name == "sum" and values[instr.ins[0]].spec.shape == (rows,) and instr.ins[0] in made:
            found.add(id(instr))
            waiting = [instr.ins[0]]
            while waiting:
                source = made.get(waiting.pop())
                if source is not None and id(source) not in found:
                    found.add(id(source))
                    waiting.extend(source.ins)
    return found


def _touches(memory: set[int], numbers: Sequence[int], values: list[Value]) -> bool:
    return bool(memory) and any(values[v].array is not None and id(owner(values[v])) in memory for v in numbers)


def _makes_rows(instr: Instr, batch: Batch) -> bool:
    shapes = (batch.values[v].spec.shape for v in instr.outs)
    if instr.record.is_check or not all(shape[:1] > (0,) and shape[0] % batch.rows == 0 for shape in shapes):
        return False
    return instr.row_role(batch._replace(by_rows=instr.outs)) is RowRole.ROWS


def _with_slices(instr: Instr, values: list[Value], blocks: RowBlocks, batch: Batch, role: RowRole) -> Instr:
    """Captured arrays that are read row by row get a number of their own: a block reads other rows of them."""
    ins = list(instr.ins)
    for i, v in enumerate(ins):
        if v not in blocks.by_rows and batch.sliceable(v) and instr.record.reads_by_row(i, role):
            values.append(Value(values[v].spec, values[v].array, values[v].constant))
            ins[i] = len(values) - 1
            blocks.by_rows.add(ins[i])
            blocks.given.add(ins[i])
    return instr.with_inputs(ins)

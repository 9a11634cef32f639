"""From a trace to a Program: what nobody reads is dropped, fusions are made, memory is planned."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from .. import _core
from ..ops._layout import copy_code
from ..ops._table import Spec
from .flow import checks_first, live_code
from .fuse import fuse, uniform_constants
from .rows import Blocks, split
from .trace import Instr, Trace, Value

__all__ = ["Built", "build", "place"]

_ALIGNMENT = 64


_BLOCK_BYTES = 256 << 10  # of activations that a block of rows keeps alive: with the weights they fit into L2
_WORTH_BYTES = 768 << 10  # from where on blocks of rows are worth it
_FEWEST_ROWS = 64


@dataclass(eq=False)
class Built:
    """A program, what it was built from, and what its memory is for. Made anew when the ISA level changes."""

    blocks: Blocks  # one block of all rows where there is no loop
    block_rows: int
    values: list[Value]
    inputs: list[int]
    outputs: list[int]
    output_specs: list[Spec]  # the shapes of the outputs: a reshape makes no value of its own
    errors: dict[int, Any]  # by the value that the check writes first
    arena_bytes: int = 0
    live_bytes: int = 0  # largest sum of temporaries that hold a value at the same time
    program: _core.Program = field(init=False)

    def __post_init__(self) -> None:
        blocks = self.blocks
        listed = [*blocks.before, *blocks.loop, *blocks.after]
        seen = {*self.inputs, *self.outputs}
        used = dict.fromkeys(v for instr in listed for v in instr.uses() if v not in seen)
        self.bound = [v for v in used if self.values[v].array is not None]
        self.temporaries = [v for v in used if self.values[v].array is None]
        self.sizes = [self._elements(v) for v in self.temporaries]
        sizes = {v: _padded(n, self.values[v].spec) for v, n in zip(self.temporaries, self.sizes, strict=True)}
        self.offsets, self.arena_bytes, self.live_bytes = place(listed, sizes, self._during_loop())
        self.load()

    def _elements(self, v: int) -> int:
        size = self.values[v].spec.size
        return size // self.blocks.rows * self.block_rows if self.blocks.per_block(v) else size

    def _during_loop(self) -> tuple[int, int, set[int]]:
        """The loop's positions, and what is alive in all of it: whatever more than one block uses."""
        begin = len(self.blocks.before)
        users = (v for instr in self.blocks.loop for v in instr.uses())
        through = {v for v in users if not self.blocks.per_block(v)} if self.block_rows < self.blocks.rows else set()
        return begin, begin + len(self.blocks.loop), through

    def load(self) -> None:
        """Make the program for the ISA level that is active now."""
        blocks, rows = self.blocks, self.block_rows
        order = [*self.inputs, *self.outputs, *self.bound, *self.temporaries]
        slots = {v: i for i, v in enumerate(order)}
        code = [*blocks.before]
        full, rest = divmod(blocks.rows, rows) if rows < blocks.rows else (1, 0)
        loop: tuple[Any, ...] = ()
        if rows < blocks.rows:
            code += [*blocks.cut(self.values, rows, True), *blocks.cut(self.values, rows, False)]
            code += blocks.cut(self.values, rest, False) if rest else []
            streams = [
                (slots[v], self.values[v].spec.size // blocks.rows * rows * self.values[v].spec.dtype.itemsize)
                for v in order
                if blocks.streamed(v)
            ]
            loop = (len(blocks.before), len(blocks.loop), full, rest > 0, streams)
        else:
            code += blocks.loop
        code += blocks.after
        flat = [(self.values[v].spec.code, (n,)) for v, n in zip(self.temporaries, self.sizes, strict=True)]
        self.program = _core.Program(
            [(self.values[v].spec.code, self.values[v].spec.shape) for v in self.inputs],
            [(spec.code, spec.shape) for spec in self.output_specs],
            flat,
            [instr.lower(slots) for instr in code],
            [array for v in self.bound if (array := self.values[v].array) is not None],
            self.offsets,
            partial(_refused, {i: self.errors[instr.outs[0]] for i, instr in enumerate(code) if instr.checks}),
            loop,
        )


def _refused(errors: dict[int, Any], number: int, at: int, wrong: int) -> Exception:
    """The exception for what a check found. It knows no program: C++ holds it, and a cycle would never be freed."""
    error: Exception = errors[number](at, wrong)
    return error


def build(trace: Trace, outputs: Sequence[tuple[int, Spec]], micro_batch: int | None = None) -> Built:
    """The program of a trace that returns these values, as reshaped last.

    `micro_batch`: so many rows at a time, else as many as the cache wants.
    """
    code = list(trace.code)
    returned: list[int] = []
    for value, spec in outputs:
        if trace.values[value].array is not None or value in trace.inputs or value in returned:
            copy = trace.new(spec)
            name, dtype, _, _, ints, reals = copy_code(spec.code, 0, 0, [spec.size], [1], [1])
            code.append(Instr(name, dtype, [copy], [value], list(ints), reals))
            value = copy
        returned.append(value)
    code = checks_first(live_code(code, trace.values, returned), trace.values)
    uniform_constants(code, trace.values)
    errors = {check.instr.outs[0]: check.error for check in trace.checks}

    def built(blocks: Blocks, rows: int) -> Built:
        specs = [spec for _, spec in outputs]
        return Built(_fused(blocks, trace, returned), rows, trace.values, list(trace.inputs), returned, specs, errors)

    whole = built(Blocks(1, [], code, []), 1)
    if micro_batch is None and whole.live_bytes < _WORTH_BYTES:
        return whole
    for rows in _row_counts(trace):
        blocks = split(code, trace.values, trace.inputs, returned, rows)
        size = _block_rows(blocks, trace) if micro_batch is None else micro_batch
        if blocks.loop and 0 < size < rows:
            return built(blocks, size)
    return whole


def _fused(blocks: Blocks, trace: Trace, outputs: Sequence[int]) -> Blocks:
    """Fusions inside of each part."""
    read_later = {v for instr in (*blocks.loop, *blocks.after) for v in instr.ins}
    parts = (
        fuse(blocks.before, trace.values, {*outputs, *read_later}),
        fuse(blocks.loop, trace.values, {*outputs, *blocks.needed}),
        fuse(blocks.after, trace.values, set(outputs)),
    )
    return replace(blocks, before=parts[0], loop=parts[1], after=parts[2])


def _row_counts(trace: Trace) -> list[int]:
    """What the number of rows may be: first lengths of the arguments, the most frequent first."""
    lengths = [trace.values[v].spec.shape[0] for v in trace.inputs if trace.values[v].spec.shape]
    return sorted({n for n in lengths if n > 1}, key=lambda n: (-lengths.count(n), -n))


def _block_rows(blocks: Blocks, trace: Trace) -> int:
    """Rows of a block: as many as keep the activations in L2, if the weights leave room there. 0: no blocks."""
    used = {v for instr in blocks.loop for v in instr.uses()}
    read_whole = {v for instr in blocks.loop if instr.name != "take" for v in instr.uses()} - blocks.by_rows

    def bytes_of(v: int) -> int:
        return trace.values[v].spec.size * trace.values[v].spec.dtype.itemsize

    weights = sum(bytes_of(v) for v in read_whole)
    per_row = sum(bytes_of(v) for v in used & blocks.by_rows) // blocks.rows
    if not blocks.loop or weights > _BLOCK_BYTES or per_row == 0:
        return 0
    # About half of what the loop names is alive at the same time.
    size = max(2 * _BLOCK_BYTES // per_row // 16 * 16, _FEWEST_ROWS)
    return -(-blocks.rows // -(-blocks.rows // size))


def _padded(elements: int, spec: Spec) -> int:
    return -(-elements * spec.dtype.itemsize // _ALIGNMENT) * _ALIGNMENT


def place(
    code: Sequence[Instr], sizes: dict[int, int], during: tuple[int, int, set[int]]
) -> tuple[list[int], int, int]:
    """Offsets of the temporaries by first and last use, the size of the arena, and the largest sum alive at once."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    begin, end, through = during
    for i, instr in enumerate(code):
        for v in instr.uses():
            if v in sizes:
                first.setdefault(v, min(i, begin) if v in through else i)
                last[v] = max(i, end - 1) if v in through else i
    starts: dict[int, list[int]] = defaultdict(list)
    for v, i in first.items():
        starts[i].append(v)
    ends: dict[int, list[int]] = defaultdict(list)
    for v, i in last.items():
        ends[i].append(v)
    arena = _Arena()
    alive = most = 0
    for i, instr in enumerate(code):
        dying = [v for v in ends[i] if first[v] < i]
        for v in starts[i]:
            heir = next((d for d in dying if instr.may_overwrite(d, v) and sizes[d] == sizes[v]), None)
            if heir is not None:
                arena.inherit(v, heir)
                dying.remove(heir)
            else:
                arena.take(v, sizes[v])
                alive += sizes[v]
        most = max(most, alive)
        for v in [*dying, *[v for v in ends[i] if first[v] == i]]:
            alive -= sizes[v]
            arena.free(v, sizes[v])
    return [arena.at[v] for v in sizes], arena.size, most


class _Arena:
    """Best fit among the gaps; neighbouring gaps are joined."""

    def __init__(self) -> None:
        self.at: dict[int, int] = {}
        self.size = 0
        self._gaps: list[tuple[int, int]] = []  # (offset, size), ascending

    def take(self, v: int, size: int) -> None:
        fitting = [(gap[1], i) for i, gap in enumerate(self._gaps) if gap[1] >= size]
        if fitting:
            _, i = min(fitting)
            offset, length = self._gaps.pop(i)
            if length > size:
                self._gaps.insert(i, (offset + size, length - size))
        elif self._gaps and sum(self._gaps[-1]) == self.size:  # the last gap grows
            offset = self._gaps.pop()[0]
            self.size = offset + size
        else:
            offset = self.size
            self.size += size
        self.at[v] = offset

    def inherit(self, v: int, heir: int) -> None:
        self.at[v] = self.at[heir]

    def free(self, v: int, size: int) -> None:
        if size == 0:
            return
        offset = self.at[v]
        i = bisect.bisect(self._gaps, (offset, 0))
        if i < len(self._gaps) and offset + size == self._gaps[i][0]:
            size += self._gaps.pop(i)[1]
        if i > 0 and sum(self._gaps[i - 1]) == offset:
            i -= 1
            before = self._gaps.pop(i)
            offset, size = before[0], before[1] + size
        self._gaps.insert(i, (offset, size))

"""From a trace to a Program: dead-code elimination, fusions, row blocks, memory planning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from .. import _core
from .._ir.instruction import Instr
from .._ir.records import Copy, Take, Windows
from .._ir.values import Value
from .._util.dtypes import Spec
from .dataflow import checks_first, live_code
from .fuse import fuse, uniform_constants
from .memory import plan_memory
from .reuse import recall, remember, signature
from .row_blocks import RowBlocks, plan_row_blocks
from .trace import Trace
from .update_rows import update_rows

__all__ = ["CompiledProgram", "build"]


# Bytes of the live activations of a row block, and of the weights: together they fit into L2 (Zen 4, 1 MiB). Half as
# much takes 4 % longer for a net of 50 columns, whose weights are packed again for each block; twice as much is no
# faster.
_BLOCK_BYTES, _MAX_WEIGHT_BYTES = 512 << 10, 256 << 10
_MIN_LIVE_BYTES = 768 << 10  # from this size on, row blocks are faster
_MIN_ROWS = 64
# One image is a matrix product by itself, and larger than the weights: a step with 64 images of 28 x 28 took 15.5 ms in
# one block, 11.5 ms in blocks of 4.
_MIN_IMAGES = 4


@dataclass(eq=False)
class CompiledProgram:
    """A program with the instructions it was built from and its memory plan. Rebuilt when the ISA level changes."""

    blocks: RowBlocks  # without a loop, one block of all rows
    block_rows: int
    values: list[Value]
    inputs: list[int]
    outputs: list[int]
    output_specs: list[Spec]  # the shapes of the outputs: a reshape creates no new value
    errors: dict[int, Any]  # by the first output of the check
    arena_bytes: int = 0
    live_bytes: int = 0  # the largest sum of temporaries that are live at the same time
    program: _core.Program = field(init=False)

    def __post_init__(self) -> None:
        blocks = self.blocks
        code = [*blocks.before, *blocks.loop, *blocks.after]
        external = {*self.inputs, *self.outputs}
        used = dict.fromkeys(v for instr in code for v in instr.uses() if v not in external)
        self.bound = [v for v in used if self.values[v].array is not None]
        self.temporaries = [v for v in used if self.values[v].array is None]
        self.sizes = [self._elements(v) for v in self.temporaries]
        sizes = {v: _padded(n, self.values[v].spec) for v, n in zip(self.temporaries, self.sizes, strict=True)}
        self.offsets, self.arena_bytes, self.live_bytes = plan_memory(code, sizes, self._loop_range())
        self.load()

    def _elements(self, v: int) -> int:
        size = self.values[v].spec.size
        return size // self.blocks.rows * self.block_rows if self.blocks.per_block(v) else size

    def _loop_range(self) -> tuple[int, int, set[int]]:
        """The loop's first and end position, and the values used by more than one block: live in the whole loop."""
        begin = len(self.blocks.before)
        users = (v for instr in self.blocks.loop for v in instr.uses())
        shared = {v for v in users if not self.blocks.per_block(v)} if self.block_rows < self.blocks.rows else set()
        return begin, begin + len(self.blocks.loop), shared

    def load(self) -> None:
        """Create the program for the active ISA level."""
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
            partial(_failed, {i: self.errors[instr.outs[0]] for i, instr in enumerate(code) if instr.record.is_check}),
            loop,
        )


def _failed(errors: dict[int, Any], check: int, position: int, wrong: int) -> Exception:
    """The exception of a failed check; the program holds this function, which must not refer back to the program."""
    error: Exception = errors[check](position, wrong)
    return error


def build(trace: Trace, outputs: Sequence[tuple[int, Spec]], micro_batch: int | None = None) -> CompiledProgram:
    """The program of a trace that returns these values, each with the shape of its spec.

    `micro_batch`: rows of a block; by default chosen by the size of the cache.
    """
    errors = {check.instr.outs[0]: check.error for check in trace.checks}
    key, count = signature(trace, outputs, micro_batch), len(trace.values)
    built = None if key is None else recall(CompiledProgram, key, trace, errors)
    if built is None:
        built = _planned(trace, outputs, micro_batch, errors)
        if key is not None:
            remember(key, built, count)
    return built


def _planned(
    trace: Trace, outputs: Sequence[tuple[int, Spec]], micro_batch: int | None, errors: dict[int, Any]
) -> CompiledProgram:
    code = update_rows(trace.code, trace.values)
    returned: list[int] = []
    for value, spec in outputs:
        if trace.values[value].array is not None or value in trace.inputs or value in returned:
            copy = trace.new(spec)
            code.append(Instr("copy", spec.code, [copy], [value], Copy.contiguous(spec.size)))
            value = copy
        returned.append(value)
    code = checks_first(live_code(code, trace.values, returned), trace.values)
    uniform_constants(code, trace.values)

    def compiled(blocks: RowBlocks, rows: int) -> CompiledProgram:
        specs = [spec for _, spec in outputs]
        fused, inputs = _fused(blocks, trace, returned), list(trace.inputs)
        return CompiledProgram(fused, rows, trace.values, inputs, returned, specs, errors)

    whole = compiled(RowBlocks(1, [], code, []), 1)
    if micro_batch is None and whole.live_bytes < _MIN_LIVE_BYTES:
        return whole
    for rows in _row_counts(trace):
        blocks = plan_row_blocks(code, trace.values, trace.inputs, returned, rows)
        size = _block_rows(blocks, trace) if micro_batch is None else micro_batch
        if blocks.loop and 0 < size < rows:
            return compiled(blocks, size)
    return whole


def _fused(blocks: RowBlocks, trace: Trace, outputs: Sequence[int]) -> RowBlocks:
    """Apply the fusions inside each part."""
    read_later = {v for instr in (*blocks.loop, *blocks.after) for v in instr.ins}
    parts = (
        fuse(blocks.before, trace.values, {*outputs, *read_later}),
        fuse(blocks.loop, trace.values, {*outputs, *blocks.needed}),
        fuse(blocks.after, trace.values, set(outputs)),
    )
    return replace(blocks, before=parts[0], loop=parts[1], after=parts[2])


def _row_counts(trace: Trace) -> list[int]:
    """Candidates for the number of rows: first dimensions of the arguments, the most frequent first."""
    lengths = [trace.values[v].spec.shape[0] for v in trace.inputs if trace.values[v].spec.shape]
    return sorted({n for n in lengths if n > 1}, key=lambda n: (-lengths.count(n), -n))


def _block_rows(blocks: RowBlocks, trace: Trace) -> int:
    """Rows of a block, so that its activations stay in L2; 0 (no blocks) if the weights leave no room there."""
    used = {v for instr in blocks.loop for v in instr.uses()}
    read_whole = {v for instr in blocks.loop if not isinstance(instr.record, Take) for v in instr.uses()}

    def bytes_of(v: int) -> int:
        return trace.values[v].spec.size * trace.values[v].spec.dtype.itemsize

    weights = sum(bytes_of(v) for v in read_whole - blocks.by_rows)
    per_row = sum(bytes_of(v) for v in used & blocks.by_rows) // blocks.rows
    if not blocks.loop or per_row == 0:
        return 0
    # About half of the loop's values are live at the same time.
    size = 2 * _BLOCK_BYTES // per_row
    if any(isinstance(instr.record, Windows) for instr in blocks.loop):
        size = max(size, _MIN_IMAGES)
        max_weights = max(size * per_row, _MAX_WEIGHT_BYTES)
    else:
        size = max(size // 16 * 16, _MIN_ROWS)
        max_weights = _MAX_WEIGHT_BYTES
    if weights > max_weights:
        return 0
    return -(-blocks.rows // -(-blocks.rows // size))


def _padded(elements: int, spec: Spec) -> int:
    return -(-elements * spec.dtype.itemsize // _core.ALIGNMENT) * _core.ALIGNMENT

"""Who reads and writes what, and when: the questions that every pass over the instructions asks."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Collection, Sequence

import numpy as np

from .._ir.instruction import Instr
from .._ir.values import Value

__all__ = ["Flow", "checks_first", "live_code", "owner"]


def live_code(code: list[Instr], values: list[Value], outputs: Sequence[int]) -> list[Instr]:
    """Dead-code elimination: what is returned, overwrites captured memory or checks stays, and what such ones read."""
    wanted = set(outputs)
    kept = []
    for instr in reversed(code):
        if instr.record.is_check or any(v in wanted or values[v].array is not None for v in instr.outs):
            wanted.update(instr.ins)
            kept.append(instr)
    return kept[::-1]


def owner(value: Value) -> object:
    """Whose memory the array of a value is; arrays that share memory have one owner."""
    array = value.array
    while array is not None and isinstance(array.base, np.ndarray):  # an unpickled array's base may be a memoryview
        array = array.base
    return array


def checks_first(code: list[Instr], values: list[Value]) -> list[Instr]:
    """The same instructions, but checks before what overwrites captured memory, where their values are known then."""
    if not any(instr.record.is_check for instr in code):
        return code
    wanted: set[int] = set()
    for instr in reversed(code):
        if instr.record.is_check or not wanted.isdisjoint(instr.outs):
            wanted.update(instr.ins)
    early, rest = [], []
    late: set[int] = set()  # values known later on
    written: set[int] = set()  # owners of memory
    for instr in code:
        read = {id(owner(values[v])) for v in instr.ins if values[v].array is not None}
        overwrites = {id(owner(values[v])) for v in instr.outs if values[v].array is not None}
        needed = instr.record.is_check or not wanted.isdisjoint(instr.outs)
        if needed and not overwrites and late.isdisjoint(instr.ins) and written.isdisjoint(read):
            early.append(instr)
        else:
            rest.append(instr)
            late.update(v for v in instr.outs if values[v].array is None)
            written |= overwrites
    return early + rest


class Flow:
    """Readers and writers of memory by position. Instructions may move to another position or be taken out."""

    def __init__(self, code: list[Instr], values: list[Value], outputs: Collection[int]) -> None:
        self.code: list[Instr | None] = list(code)
        self.values = values
        self.outputs = set(outputs)
        self._owner: dict[int, int] = {}  # arrays that share memory are one
        self._memory: dict[int, int] = {}
        self._reads: dict[int, list[int]] = defaultdict(list)
        self._writes: dict[int, list[int]] = defaultdict(list)
        for at, instr in enumerate(code):
            self._note(instr, at)

    def memory(self, v: int) -> int:
        """One number for all values that share memory."""
        found = self._memory.get(v)
        if found is None:
            if self.values[v].array is None:
                found = v
            else:
                found = self._owner.setdefault(id(owner(self.values[v])), v)
            self._memory[v] = found
        return found

    def _note(self, instr: Instr, at: int) -> None:
        for v in instr.ins:
            if not self.values[v].constant:
                bisect.insort(self._reads[self.memory(v)], at)
        for v in instr.outs:
            bisect.insort(self._writes[self.memory(v)], at)

    def _forget(self, instr: Instr, at: int) -> None:
        for v in instr.ins:
            if not self.values[v].constant:
                _take_out(self._reads[self.memory(v)], at)
        for v in instr.outs:
            _take_out(self._writes[self.memory(v)], at)

    def readers(self, v: int) -> list[int]:
        """Positions that read a value, ascending, each once."""
        return sorted(set(self._reads[self.memory(v)]))

    def read_once(self, v: int) -> bool:
        """Whether one instruction reads it and nothing else needs it."""
        return v not in self.outputs and self.values[v].array is None and len(self.readers(v)) == 1

    def may_join(self, at: int, host: int) -> bool:
        """Whether the instruction at `at` may become the last part of the one at `host`, before it."""
        instr = self.code[at]
        assert instr is not None
        # What the host writes is there for it; what the host reads must not change under its hands.
        return not any(_between(self._writes[self.memory(v)], host + 1, at) for v in instr.ins) and not any(
            _between(where[self.memory(v)], host, at) for v in instr.outs for where in (self._reads, self._writes)
        )

    def may_wait(self, at: int, later: int) -> bool:
        """Whether the instruction at `at` may run at `later` instead, where its results are read first."""
        instr = self.code[at]
        assert instr is not None
        return not any(_between(self._writes[self.memory(v)], at + 1, later) for v in instr.ins) and not any(
            _between(where[self.memory(v)], at + 1, later) for v in instr.outs for where in (self._reads, self._writes)
        )

    def replace(self, at: int, new: Instr, gone: Sequence[int]) -> None:
        """Put `new` at position `at`; the instructions at `gone` (and the one at `at`) are taken out."""
        for position in (at, *gone):
            old = self.code[position]
            if old is not None:
                self._forget(old, position)
                self.code[position] = None
        self.code[at] = new
        self._note(new, at)

    def result(self) -> list[Instr]:
        """The instructions in order."""
        return [instr for instr in self.code if instr is not None]


def _take_out(positions: list[int], at: int) -> None:
    """Remove one of the ascending positions, found by halves: all updates read the same numbers."""
    del positions[bisect.bisect_left(positions, at)]


def _between(positions: list[int], low: int, high: int) -> bool:
    """Whether one of the ascending positions is in [low, high)."""
    i = bisect.bisect_left(positions, low)
    return i < len(positions) and positions[i] < high

"""Data flow: which instructions read and write which memory, and dead-code elimination."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Collection, Sequence

import numpy as np

from .._ir.instruction import Instr
from .._ir.values import Value

__all__ = ["Flow", "checks_first", "live_code", "owner"]


def live_code(code: list[Instr], values: list[Value], outputs: Sequence[int]) -> list[Instr]:
    """Dead-code elimination: keep outputs, writes to captured memory and checks, and everything that they depend on."""
    needed = set(outputs)
    live = []
    for instr in reversed(code):
        if instr.record.is_check or any(v in needed or values[v].array is not None for v in instr.outs):
            needed.update(instr.ins)
            live.append(instr)
    return live[::-1]


def owner(value: Value) -> object:
    """The object that owns the memory of a value's array; arrays that share memory have one owner."""
    array = value.array
    while array is not None and isinstance(array.base, np.ndarray):  # an unpickled array's base may be a memoryview
        array = array.base
    return array


def checks_first(code: list[Instr], values: list[Value]) -> list[Instr]:
    """Move checks before the first write to captured memory, if the values that they read are known there."""
    if not any(instr.record.is_check for instr in code):
        return code
    needed: set[int] = set()  # values that checks depend on
    for instr in reversed(code):
        if instr.record.is_check or not needed.isdisjoint(instr.outs):
            needed.update(instr.ins)
    early, rest = [], []
    late: set[int] = set()  # values computed after that write
    written: set[int] = set()  # owners of captured memory that has been overwritten
    for instr in code:
        read = {id(owner(values[v])) for v in instr.ins if values[v].array is not None}
        overwrites = {id(owner(values[v])) for v in instr.outs if values[v].array is not None}
        for_check = instr.record.is_check or not needed.isdisjoint(instr.outs)
        if for_check and not overwrites and late.isdisjoint(instr.ins) and written.isdisjoint(read):
            early.append(instr)
        else:
            rest.append(instr)
            late.update(v for v in instr.outs if values[v].array is None)
            written |= overwrites
    return early + rest


class _MemoryIds(dict[int, int]):
    """The id of each value's memory: the same for all values that share it. A dict: a trace looks up hundreds."""

    def __init__(self, values: list[Value]) -> None:
        self._values = values
        self._first: dict[int, int] = {}  # the first value of each owner of memory

    def __missing__(self, v: int) -> int:
        value = self._values[v]
        found = self[v] = v if value.array is None else self._first.setdefault(id(owner(value)), v)
        return found


class Flow:
    """Readers and writers of memory by position. Instructions can be moved or removed."""

    def __init__(self, code: list[Instr], values: list[Value], outputs: Collection[int]) -> None:
        self.code: list[Instr | None] = list(code)
        self.values = values
        self.outputs = set(outputs)
        self.memory = _MemoryIds(values)
        self._reads: dict[int, list[int]] = defaultdict(list)
        self._writes: dict[int, list[int]] = defaultdict(list)
        for at, instr in enumerate(code):  # positions ascend: nothing to search for, 2 to 3 % of a trace
            for v in instr.ins:
                if not values[v].constant:
                    self._reads[self.memory[v]].append(at)
            for v in instr.outs:
                self._writes[self.memory[v]].append(at)

    def _insert(self, instr: Instr, at: int) -> None:
        for v in instr.ins:
            if not self.values[v].constant:
                bisect.insort(self._reads[self.memory[v]], at)
        for v in instr.outs:
            bisect.insort(self._writes[self.memory[v]], at)

    def _remove(self, instr: Instr, at: int) -> None:
        for v in instr.ins:
            if not self.values[v].constant:
                _remove_sorted(self._reads[self.memory[v]], at)
        for v in instr.outs:
            _remove_sorted(self._writes[self.memory[v]], at)

    def readers(self, v: int) -> list[int]:
        """Positions of the instructions that read a value, ascending, without duplicates."""
        return sorted(set(self._reads[self.memory[v]]))

    def read_once(self, v: int) -> bool:
        """Whether exactly one instruction reads a value, which is neither an output nor captured memory."""
        return v not in self.outputs and self.values[v].array is None and len(self.readers(v)) == 1

    def may_join(self, at: int, host: int) -> bool:
        """Whether the instruction at `at` may be fused into the earlier one at `host`, as its last step."""
        instr = self.code[at]
        assert instr is not None
        # It may read the host's results, but must not overwrite memory that the host reads.
        return not any(_any_between(self._writes[self.memory[v]], host + 1, at) for v in instr.ins) and not any(
            _any_between(where[self.memory[v]], host, at) for v in instr.outs for where in (self._reads, self._writes)
        )

    def replace(self, at: int, new: Instr, removed: Sequence[int]) -> None:
        """Replace the instruction at `at` by `new` and remove those at the positions `removed`."""
        for position in (at, *removed):
            old = self.code[position]
            if old is not None:
                self._remove(old, position)
                self.code[position] = None
        self.code[at] = new
        self._insert(new, at)

    def result(self) -> list[Instr]:
        """The instructions in order."""
        return [instr for instr in self.code if instr is not None]


def _remove_sorted(positions: list[int], at: int) -> None:
    """Remove one of the ascending positions by binary search: all updates read the same hyperparameters."""
    del positions[bisect.bisect_left(positions, at)]


def _any_between(positions: list[int], low: int, high: int) -> bool:
    """Whether any of the ascending positions is in [low, high)."""
    i = bisect.bisect_left(positions, low)
    return i < len(positions) and positions[i] < high

"""From a trace to a Program: what nobody reads is dropped, fusions are made, memory is planned."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from .. import _core
from ..ops._layout import copy_code
from ..ops._table import Spec
from .flow import live_code
from .fuse import fuse
from .trace import Instr, Trace, Value

__all__ = ["Built", "build"]

_ALIGNMENT = 64


@dataclass(eq=False)
class Built:
    """A program, what it was built from, and what its memory is for. Made anew when the ISA level changes."""

    code: list[Instr]
    values: list[Value]
    inputs: list[int]
    outputs: list[int]
    checks: list[tuple[Instr, Any]]
    slots: dict[int, int] = field(default_factory=dict)
    arena_bytes: int = 0
    live_bytes: int = 0  # largest sum of temporaries that hold a value at the same time
    program: _core.Program = field(init=False)

    def __post_init__(self) -> None:
        order = [*self.inputs, *self.outputs]
        seen = set(order)
        used = dict.fromkeys(v for instr in self.code for v in instr.uses() if v not in seen)
        bound = [v for v in used if self.values[v].array is not None]
        self.temporaries = [v for v in used if self.values[v].array is None]
        self.slots = {v: i for i, v in enumerate([*order, *bound, *self.temporaries])}
        self.offsets, self.arena_bytes, self.live_bytes = _place(self.code, self.values, self.temporaries)
        self.bound = [self.values[v].array for v in bound]
        self.load()

    def load(self) -> None:
        """Make the program for the ISA level that is active now."""

        def specs(numbers: Sequence[int]) -> list[Any]:
            return [(self.values[v].spec.code, self.values[v].spec.shape) for v in numbers]

        self.program = _core.Program(
            specs(self.inputs),
            specs(self.outputs),
            specs(self.temporaries),
            [instr.lower(self.slots) for instr in self.code],
            self.bound,
            self.offsets,
            partial(_refused, {self.code.index(instr): error for instr, error in self.checks if instr in self.code}),
        )


def _refused(errors: dict[int, Any], number: int, at: int, wrong: int) -> Exception:
    """The exception for what a check found. It knows no program: C++ holds it, and a cycle would never be freed."""
    error: Exception = errors[number](at, wrong)
    return error


def build(trace: Trace, outputs: Sequence[tuple[int, Spec]]) -> Built:
    """The program of a trace that returns these values in these shapes (reshape makes no value of its own)."""
    code = list(trace.code)
    returned: list[int] = []
    for value, spec in outputs:
        if trace.values[value].array is not None or value in trace.inputs or value in returned:
            copy = trace.new(spec)
            name, dtype, _, _, ints, reals = copy_code(spec.code, 0, 0, [spec.size], [1], [1])
            code.append(Instr(name, dtype, [copy], [value], list(ints), reals))
            value = copy
        trace.values[value].spec = spec
        returned.append(value)
    code = live_code(code, trace.values, returned)
    code = fuse(code, trace.values, returned)
    checks = [(check.instr, check.error) for check in trace.checks]
    return Built(code, trace.values, list(trace.inputs), returned, checks)


def _bytes(spec: Spec) -> int:
    return -(-spec.size * spec.dtype.itemsize // _ALIGNMENT) * _ALIGNMENT


def _place(code: list[Instr], values: list[Value], temporaries: list[int]) -> tuple[list[int], int, int]:
    """Offsets of the temporaries by first and last use, the size of the arena, and the largest sum alive at once."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    wanted = set(temporaries)
    for i, instr in enumerate(code):
        for v in instr.uses():
            if v in wanted:
                first.setdefault(v, i)
                last[v] = i
    arena = _Arena()
    alive = most = 0
    for i, instr in enumerate(code):
        used = [v for v in dict.fromkeys(instr.uses()) if v in wanted]
        dying = [v for v in used if last[v] == i and first[v] < i]
        for v in used:
            if first[v] != i:
                continue
            size = _bytes(values[v].spec)
            heir = next((d for d in dying if instr.may_overwrite(d, v) and _bytes(values[d].spec) == size), None)
            if heir is not None:
                arena.inherit(v, heir)
                dying.remove(heir)
            else:
                arena.take(v, size)
                alive += size
        most = max(most, alive)
        for v in [*dying, *[v for v in used if first[v] == last[v] == i]]:
            alive -= _bytes(values[v].spec)
            arena.free(v, _bytes(values[v].spec))
    return [arena.at[v] for v in temporaries], arena.size, most


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

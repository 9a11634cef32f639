"""Where temporaries lie: memory whose value is dead is used again.

Temporaries become allocations, with a size and a lifetime; one that may be written onto a dying one shares its
allocation. Allocations that are alive at the same time must not overlap. The bound is the largest sum alive at once.
Taking allocations as they come is fast, and reaches it where layers are alike; else the largest ones are placed first,
or those that take most of memory and time.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._ir.instruction import Instr

__all__ = ["Allocation", "arrange", "plan_memory"]

# What is asked for, in times of the bound: soon, and in the end.
_GOOD, _TRIES = 1.1, 12
_FAIR, _MOST_TRIES = 1.2, 100


class Allocation(NamedTuple):
    """Bytes that are needed from one position of the program to another, both included."""

    size: int
    first: int
    last: int


def plan_memory(
    code: Sequence[Instr], sizes: dict[int, int], during: tuple[int, int, set[int]]
) -> tuple[list[int], int, int]:
    """Offsets of the temporaries in `sizes`, the size of the arena, and the largest sum alive at once.

    `during`: the beginning and end of a loop, and the temporaries that are alive in all of it.
    """
    allocations, allocation_of, most = _allocations(code, sizes, during)
    offsets, size = arrange(allocations, most)
    return [offsets[allocation_of[v]] for v in sizes], size, most


def _allocations(
    code: Sequence[Instr], sizes: dict[int, int], during: tuple[int, int, set[int]]
) -> tuple[list[Allocation], dict[int, int], int]:
    """The allocations, that of each temporary, and the largest sum alive at once."""
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
    allocations: list[Allocation] = []
    allocation_of: dict[int, int] = {}
    alive = most = 0
    for i, instr in enumerate(code):
        dying = [v for v in ends[i] if first[v] < i]
        for v in starts[i]:
            heir = next((d for d in dying if instr.may_overwrite(d, v) and sizes[d] == sizes[v]), None)
            if heir is not None:
                allocation_of[v] = allocation_of[heir]
                allocations[allocation_of[v]] = allocations[allocation_of[v]]._replace(last=last[v])
                dying.remove(heir)
            else:
                allocation_of[v] = len(allocations)
                allocations.append(Allocation(sizes[v], i, last[v]))
                alive += sizes[v]
        most = max(most, alive)
        alive -= sum(sizes[v] for v in (*dying, *[v for v in ends[i] if first[v] == i]))
    return allocations, allocation_of, most


def arrange(allocations: Sequence[Allocation], most: int) -> tuple[list[int], int]:
    """Offsets of allocations, and the end of the last; `most` is the bound. They are given in the order of `first`."""
    best = _as_they_come(allocations)
    for weigh in (_largest, _largest_in_time):
        if best[1] <= _GOOD * most:
            break
        order = sorted(range(len(allocations)), key=lambda k: weigh(allocations[k]))
        # The one that reached the end is placed before all others, again and again.
        for attempt in range(_MOST_TRIES):
            if best[1] <= (_GOOD if attempt < _TRIES else _FAIR) * most:
                break
            offsets, size = _in_order(allocations, order)
            if size < best[1]:
                best = offsets, size
            top = next(k for k in order if offsets[k] + allocations[k].size == size)
            order.remove(top)
            order.insert(0, top)
    return best


def _largest(allocation: Allocation) -> tuple[int, int]:
    """Of equal ones that which is needed longest: what lies at the bottom leaves no gap below it."""
    return -allocation.size, allocation.first - allocation.last


def _largest_in_time(allocation: Allocation) -> int:
    return -allocation.size * (allocation.last - allocation.first + 1)


def _in_order(allocations: Sequence[Allocation], order: Sequence[int]) -> tuple[list[int], int]:
    """Each allocation in turn at the lowest offset that is free during its lifetime."""
    size, first, last = (np.array([b[i] for b in allocations], np.int64) for i in range(3))
    begin, end = np.zeros_like(size), np.zeros_like(size)
    placed = np.zeros(len(allocations), np.bool_)
    for k in order:
        beside = np.flatnonzero(placed & (first <= last[k]) & (last >= first[k]))
        beside = beside[np.argsort(begin[beside], kind="stable")]
        free = np.concatenate([[0], np.maximum.accumulate(end[beside])])
        room = np.append(begin[beside], np.iinfo(np.int64).max) - free
        begin[k] = free[np.argmax(room >= size[k])]
        end[k], placed[k] = begin[k] + size[k], size[k] > 0
    return begin.tolist(), int(end.max(initial=0))


def _as_they_come(allocations: Sequence[Allocation]) -> tuple[list[int], int]:
    """Each allocation in the smallest gap that is large enough."""
    arena = _Arena()
    offsets: list[int] = []
    ends = sorted(range(len(allocations)), key=lambda k: allocations[k].last)
    ended = 0
    for allocation in allocations:
        while allocations[ends[ended]].last < allocation.first:
            arena.free(offsets[ends[ended]], allocations[ends[ended]].size)
            ended += 1
        offsets.append(arena.take(allocation.size))
    return offsets, arena.size


class _Arena:
    """Gaps by offset; neighbouring ones are joined."""

    def __init__(self) -> None:
        self.size = 0
        self._gaps: list[tuple[int, int]] = []  # (offset, size), ascending

    def take(self, size: int) -> int:
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
        return offset

    def free(self, offset: int, size: int) -> None:
        if size == 0:
            return
        i = bisect.bisect(self._gaps, (offset, 0))
        if i < len(self._gaps) and offset + size == self._gaps[i][0]:
            size += self._gaps.pop(i)[1]
        if i > 0 and sum(self._gaps[i - 1]) == offset:
            i -= 1
            before = self._gaps.pop(i)
            offset, size = before[0], before[1] + size
        self._gaps.insert(i, (offset, size))

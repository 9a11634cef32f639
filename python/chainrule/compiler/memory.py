"""Memory planning: offsets of temporaries in one arena, where dead values make room for new ones.

Each temporary belongs to an allocation with a size and a lifetime; a result that may overwrite an operand in its last
use shares the operand's allocation. Allocations that are live at the same time must not overlap. The lower bound of the
arena's size is the largest sum of sizes that are live at once. Best fit in program order is fast, and reaches the bound
if all layers are alike; otherwise first fit is tried, by decreasing size and by decreasing size times lifetime.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from .._ir.instruction import Instr

__all__ = ["Allocation", "arrange", "plan_memory"]

# Accepted sizes in multiples of the lower bound: 1.1 in the first 12 attempts of an order, then 1.2.
_GOOD_RATIO, _GOOD_ATTEMPTS = 1.1, 12
_FAIR_RATIO, _MAX_ATTEMPTS = 1.2, 100


class Allocation(NamedTuple):
    """Bytes that are live from position `first` of the program to position `last`, both included."""

    size: int
    first: int
    last: int


def plan_memory(
    code: Sequence[Instr], sizes: dict[int, int], loop: tuple[int, int, set[int]]
) -> tuple[list[int], int, int]:
    """Offsets of the temporaries in `sizes`, the size of the arena, and the largest sum of sizes live at once.

    `loop`: the first and end position of a loop, and the temporaries that are live in all of it.
    """
    allocations, allocation_of, bound = _allocations(code, sizes, loop)
    offsets, size = arrange(allocations, bound)
    return [offsets[allocation_of[v]] for v in sizes], size, bound


def _allocations(
    code: Sequence[Instr], sizes: dict[int, int], loop: tuple[int, int, set[int]]
) -> tuple[list[Allocation], dict[int, int], int]:
    """The allocations, the allocation of each temporary, and the largest sum of sizes live at once."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    begin, end, whole_loop = loop
    for i, instr in enumerate(code):
        for v in instr.uses():
            if v in sizes:
                first.setdefault(v, min(i, begin) if v in whole_loop else i)
                last[v] = max(i, end - 1) if v in whole_loop else i
    starts: dict[int, list[int]] = defaultdict(list)
    for v, i in first.items():
        starts[i].append(v)
    ends: dict[int, list[int]] = defaultdict(list)
    for v, i in last.items():
        ends[i].append(v)
    allocations: list[Allocation] = []
    allocation_of: dict[int, int] = {}
    live = bound = 0
    for i, instr in enumerate(code):
        dying = [v for v in ends[i] if first[v] < i]
        for v in starts[i]:
            overwritten = next((d for d in dying if instr.may_overwrite(d, v) and sizes[d] == sizes[v]), None)
            if overwritten is not None:
                allocation_of[v] = allocation_of[overwritten]
                allocations[allocation_of[v]] = allocations[allocation_of[v]]._replace(last=last[v])
                dying.remove(overwritten)
            else:
                allocation_of[v] = len(allocations)
                allocations.append(Allocation(sizes[v], i, last[v]))
                live += sizes[v]
        bound = max(bound, live)
        live -= sum(sizes[v] for v in (*dying, *[v for v in ends[i] if first[v] == i]))
    return allocations, allocation_of, bound


def arrange(allocations: Sequence[Allocation], bound: int) -> tuple[list[int], int]:
    """Offsets of allocations that are sorted by `first`, and the size of the arena; `bound`: the lower bound of it."""
    best = _best_fit(allocations)
    for priority in (_by_size, _by_size_and_lifetime):
        if best[1] <= _GOOD_RATIO * bound:
            break
        order = sorted(range(len(allocations)), key=lambda k: priority(allocations[k]))
        # Each attempt places the allocation that reached the arena's end before all others.
        for attempt in range(_MAX_ATTEMPTS):
            if best[1] <= (_GOOD_RATIO if attempt < _GOOD_ATTEMPTS else _FAIR_RATIO) * bound:
                break
            offsets, size = _first_fit(allocations, order)
            if size < best[1]:
                best = offsets, size
            top = next(k for k in order if offsets[k] + allocations[k].size == size)
            order.remove(top)
            order.insert(0, top)
    return best


def _by_size(allocation: Allocation) -> tuple[int, int]:
    """Larger ones first; of equal ones the longest-lived, because allocations at the bottom leave no gap below them."""
    return -allocation.size, allocation.first - allocation.last


def _by_size_and_lifetime(allocation: Allocation) -> int:
    return -allocation.size * (allocation.last - allocation.first + 1)


def _first_fit(allocations: Sequence[Allocation], order: Sequence[int]) -> tuple[list[int], int]:
    """First fit: each allocation, in this order, at the lowest offset that is free during its lifetime."""
    offsets, top = [0] * len(allocations), 0
    placed: list[tuple[int, int, int, int]] = []  # offset, end, first, last; by offset
    for k in order:
        size, first, last = allocations[k]
        offset = 0
        for begin, end, since, until in placed:
            if since <= last and until >= first:
                if begin - offset >= size:
                    break
                if end > offset:
                    offset = end
        offsets[k] = offset
        if size > 0:
            bisect.insort(placed, (offset, offset + size, first, last))
            top = max(top, offset + size)
    return offsets, top


def _best_fit(allocations: Sequence[Allocation]) -> tuple[list[int], int]:
    """Best fit in program order: each allocation in the smallest gap that is large enough."""
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
    """Free gaps by offset; adjacent gaps are merged."""

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

"""The trees of sums and products are the documented ones, recovered from results alone.

n numbers 1, but M at place i and -M at place j: M absorbs every 1 that meets it before -M does, so the result is n less
the number of leaves below the lowest common ancestor of i and j. Asking this of one leaf and all others, then within
each group of equal answers, recovers the whole tree (FPRev, Xie et al., 2024).
"""

from collections.abc import Callable

import numpy as np
import pytest

from chainrule import _core
from reference.bits import Array
from support.programs import Float, blank, reduce

Record = Callable[[str, object], None]  # pytest's record_property
Sizes = Callable[[int, Array], Array]  # (i, others) -> numbers of leaves below the lowest common ancestors
Sum = Callable[[Array], Array]  # of each row
M = {np.float32: 2.0**60, np.float64: 2.0**90}  # so large that it absorbs sums of 4096 ones
MOST = 2**18  # elements of the matrix of one call: it stays in cache
FIRST, LAST = 2, 4096


def measured(row_sums: Sum, n: int, dtype: Float) -> Sizes:
    """By experiment: a row of ones for each of the others."""
    lines = max(1, MOST // n)
    ones, large = np.ones((min(n, lines), n), dtype), M[dtype]

    def sizes(i: int, others: Array) -> Array:
        found = []
        for part in np.split(others, range(lines, others.size, lines)):
            rows, at = ones[: part.size], np.arange(part.size)
            rows[:, i], rows[at, part] = large, -large
            found.append(n - row_sums(rows))
            rows[:, i], rows[at, part] = 1, 1
        return np.concatenate(found).astype(np.int64)

    return sizes


def lane_sum(n: int) -> Sizes:
    """One chunk of the lane sum of docs/arithmetic.md: chains over every 16th element, folded 8, 4, 2, 1."""

    def sizes(i: int, others: Array) -> Array:
        in_chain = np.maximum(i, others) // 16 + 1  # the later one and all before it
        folded = np.empty_like(others)
        for width in (1, 2, 4, 8):  # after this fold lanes that are equal modulo `width` are one
            below = sum(len(range(lane, n, 16)) for lane in range(i % width, 16, width))
            folded[others % width == i % width] = below
        return np.where(others % 16 == i % 16, in_chain, folded)

    return sizes


def chain(n: int) -> Sizes:
    return lambda i, others: np.maximum(i, others) + 1


def last_axis(rows: Array) -> Array:
    return reduce("sum", rows, 1)


def leading_axis(rows: Array) -> Array:
    return reduce("sum", np.ascontiguousarray(rows.T), 0)


def product(rows: Array) -> Array:
    out = blank((rows.shape[0], 1), rows.dtype)
    _core.matmul(rows, np.ones((rows.shape[1], 1), rows.dtype), out)
    return out[:, 0]


KINDS: dict[str, tuple[Sum, Callable[[int], Sizes]]] = {
    "last axis": (last_axis, lane_sum),
    "leading axis": (leading_axis, chain),
    "product": (product, chain),
}


def check(kind: str, n: int, dtype: Float) -> None:
    """Recover the whole tree and compare it on the way."""
    row_sums, documented = KINDS[kind]
    found, expected = measured(row_sums, n, dtype), documented(n)
    groups = [np.arange(n)]
    while groups:
        leaves = groups.pop()
        first, others = int(leaves[0]), leaves[1:]
        if not others.size:
            continue
        sizes = found(first, others)
        np.testing.assert_array_equal(sizes, expected(first, others), f"{kind}, n = {n}, from leaf {first}")
        groups += [others[sizes == size] for size in np.unique(sizes)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_some_lengths(isa: str, kind: str, dtype: Float, record_property: Record) -> None:
    lengths = [*range(FIRST, 70), 127, 128, 255, 256, 257, 1000]
    for n in lengths:
        check(kind, n, dtype)
    record_property("trees", len(lengths))


@pytest.mark.full
@pytest.mark.parametrize("part", range(4))
def test_every_length(isa: str, part: int, record_property: Record) -> None:
    lengths = range(FIRST + part, LAST + 1, 4)
    for n in lengths:
        check("last axis", n, np.float32)
        if n % 61 < 2 or n == LAST:
            check("leading axis", n, np.float32)
            check("product", n, np.float32)
    record_property("trees", len(lengths))


def test_another_order_is_seen() -> None:
    """Pairs instead of lanes, a chain from the end."""
    for wrong in (
        lambda rows: rows[:, ::2].sum(1) + rows[:, 1::2].sum(1),
        lambda rows: last_axis(rows[:, ::-1].copy()),
    ):
        KINDS["wrong"] = (wrong, lane_sum)
        try:
            with pytest.raises(AssertionError, match="wrong, n = 40, from leaf"):
                check("wrong", 40, np.float32)
        finally:
            del KINDS["wrong"]

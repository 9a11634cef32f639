"""The table of instructions: the record of each, its flops, and how it may be fused and planned.

Rowwise instructions are registered with their ops in ops/_softmax.py, updates with the classes of their optimizers.
"""

from __future__ import annotations

from typing import NamedTuple

from .. import _core
from .elementwise import Chain, Map
from .products import Gemm, Matmul, MatmulAccumulate
from .record import Record
from .records import (
    Advance,
    Bernoulli,
    Cast,
    CheckFinite,
    CheckIndex,
    Convolution,
    Copy,
    CrossEntropy,
    CrossEntropyBoth,
    Distinct,
    Draw,
    Fill,
    Gather,
    IndexAdd,
    Order,
    Random,
    Reduce,
    Scan,
    Scatter,
    Take,
    Windows,
)

__all__ = ["ELEMENTWISE", "INSTRUCTIONS", "Entry", "add_instruction"]


class Entry(NamedTuple):
    """The properties of an instruction by name."""

    record: type[Record]
    flops: int = 0  # per operation, as counted by the record
    resized_inputs: tuple[int, ...] = ()  # inputs whose element size differs from the output's
    sums_rows: bool = False  # whether a chain over rows can continue from the output's values
    # Whether the update is fused into the matrix product that computes its gradient. Those with more states than SGD
    # are not: fusing Adam made a step of 784-512-256-10 5 % slower, with 2048 x 2048 weights 12 %, and that of
    # 2-16-16-2 2 % faster.
    joins_product: bool = False


ELEMENTWISE = frozenset((*_core.elementwise_names(), *_core.integer_names()))

INSTRUCTIONS: dict[str, Entry] = {
    **{name: Entry(Map, 1) for name in ELEMENTWISE},
    **{
        name: Entry(Map, 1, resized_inputs=(0, 1))  # from floats to bool
        for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
    },
    "where": Entry(Map, 1, resized_inputs=(0,)),  # the condition is bool
    "sum": Entry(Reduce, 1, sums_rows=True),
    "prod": Entry(Reduce, 1),
    "max": Entry(Reduce, 1),
    "min": Entry(Reduce, 1),
    "argmax": Entry(Reduce),
    **{name: Entry(CrossEntropy, 4) for name in ("cross_entropy", "cross_entropy_grad")},
    "cross_entropy_both": Entry(CrossEntropyBoth, 4),
    "unfold": Entry(Windows),
    "fold": Entry(Windows, 1),
    "convolution": Entry(Convolution, 2),
    "convolution_by_images": Entry(Convolution, 2),
    "convolution_by_weight": Entry(Convolution, 2, sums_rows=True),
    "max_pool": Entry(Windows, 1),
    "max_pool_grad": Entry(Windows, 1),
    "matmul": Entry(Matmul, 2, sums_rows=True),
    "matmul_integers": Entry(Matmul),
    "matmul_accumulate": Entry(MatmulAccumulate, 2, sums_rows=True),
    "gemm": Entry(Gemm, 2),
    "chain": Entry(Chain),
    "advance": Entry(Advance),
    "uniform": Entry(Random),
    "normal": Entry(Random),
    **{
        name: Entry(Bernoulli)
        for name in ("bernoulli", "draw_uniform", "draw_normal", "draw_integers", "draw_permutation")
    },
    "copy": Entry(Copy),
    "fill": Entry(Fill),
    "cast": Entry(Cast),
    "take": Entry(Take),
    "index_add": Entry(IndexAdd),
    "distinct": Entry(Distinct),
    "gather": Entry(Gather),
    "scatter": Entry(Scatter),
    "overlay": Entry(Scatter),
    "argsort": Entry(Order, resized_inputs=(0,)),
    "cumsum": Entry(Scan, 1),
    "recurrence": Entry(Scan, 2),
    "check_index": Entry(CheckIndex),
    "check_finite": Entry(CheckFinite),
    "draw": Entry(Draw),
}


def add_instruction(name: str, entry: Entry) -> None:
    """Add a row; a name can be taken once."""
    if name in INSTRUCTIONS:
        raise ValueError(f"add_instruction: instruction {name} exists")
    INSTRUCTIONS[name] = entry

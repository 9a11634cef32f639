"""The instruction records: the fields of the core, and the methods of each record."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import _core
from chainrule._ir import elementwise, products, records
from chainrule._ir.elementwise import Chain, Map, MapStep, Update, UpdateStep
from chainrule._ir.instruction import Instr, flops
from chainrule._ir.products import Gemm, Matmul, MatmulAccumulate
from chainrule._ir.record import Batch, Record, RowBlock, RowRole
from chainrule._ir.records import (
    Advance,
    Attention,
    Bernoulli,
    Cast,
    Channels,
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
    Recurrent,
    Reduce,
    ReduceMode,
    Rowwise,
    Scan,
    Scatter,
    Take,
    Windows,
)
from chainrule._ir.table import INSTRUCTIONS
from chainrule._ir.values import Value
from chainrule._util.dtypes import Spec

ROWS = 12
Shapes = tuple[tuple[int, ...], ...]

CONVOLUTION = Convolution(12, 3, 4, 5, 2, 2, 1, 1, 1, 1, 0, 0, 3, 4, 7)
# Of each record: an instruction, shapes of outputs and inputs, which inputs have a row for each of 12 rows, its role.
CASES: list[tuple[str, Record, Shapes, Shapes, tuple[int, ...], RowRole]] = [
    ("add", Map((12, 5), ((5, 1), (0, 1))), ((12, 5),), ((12, 5), (5,)), (0,), RowRole.ROWS),
    ("exp", Map((60,), ((1,),)), ((12, 5),), ((12, 5),), (0,), RowRole.ROWS),
    ("add", Map((5, 12), ((12, 1), (1, 0))), ((5, 12),), ((5, 12), (5,)), (0,), RowRole.AFTER),
    ("sum", Reduce(1, 12, 5, ReduceMode.START_CHAIN), ((5,),), ((12, 5),), (0,), RowRole.SUM),
    ("max", Reduce(1, 12, 5, ReduceMode.START_CHAIN), ((5,),), ((12, 5),), (0,), RowRole.AFTER),
    ("sum", Reduce(12, 5, 1, ReduceMode.LANE_RULE), ((12,),), ((12, 5),), (0,), RowRole.ROWS),
    ("sum", Reduce(1, 60, 1, ReduceMode.LANE_RULE), ((),), ((12, 5),), (0,), RowRole.AFTER),
    ("softmax", Rowwise(12, 5), ((12, 5),), ((12, 5),), (0,), RowRole.ROWS),
    ("moments", Channels(1, 12, 5, 1), ((12, 2),), ((12, 5),), (0,), RowRole.ROWS),
    ("moments", Channels(12, 5, 1, 0), ((2, 5),), ((12, 5),), (0,), RowRole.AFTER),
    (
        "centred_sums",
        Channels(1, 12, 5, 1),
        ((12, 2),),
        ((12, 5), (12, 1), (12, 5)),
        (0, 1, 2),
        RowRole.ROWS,
    ),
    ("attention", Attention(12, 4, 2, 5, False, 0, 0, 0, False), ((672,),), ((12, 4, 30),), (0,), RowRole.AFTER),
    ("rnn_tanh", Recurrent(4, 12, 5, True, False), ((12, 4, 5),), ((12, 4, 5), (12, 5), (5, 5)), (0, 1), RowRole.AFTER),
    ("cross_entropy", CrossEntropy(12, 5), ((12,),), ((12, 5), (12,)), (0, 1), RowRole.ROWS),
    (
        "cross_entropy_both",
        CrossEntropyBoth(12, 5, 1),
        ((12,), (12, 5)),
        ((12, 5), (12,), (12,)),
        (0, 1, 2),
        RowRole.ROWS,
    ),
    ("cross_entropy_both", CrossEntropyBoth(12, 5, 0), ((12,), (12, 5)), ((12, 5), (12,), ()), (0, 1), RowRole.ROWS),
    ("fold", Windows(12, 3, 4, 5, 2, 2, 1, 1, 1, 1, 0, 0, 3, 4), ((12, 3, 4, 5),), ((12, 12, 12),), (0,), RowRole.ROWS),
    ("convolution", CONVOLUTION, ((12, 7, 12),), ((7, 12), (12, 3, 4, 5)), (1,), RowRole.ROWS),
    ("convolution_by_images", CONVOLUTION, ((12, 3, 4, 5),), ((7, 12), (12, 7, 12)), (1,), RowRole.ROWS),
    ("convolution_by_weight", CONVOLUTION, ((12, 7),), ((12, 7, 12), (12, 3, 4, 5)), (0, 1), RowRole.SUM),
    ("convolution_by_weight", CONVOLUTION, ((12, 7),), ((12, 7, 12), (12, 3, 4, 5)), (1,), RowRole.AFTER),
    ("matmul", Matmul((), 12, 7, 5, 5, 1, 7, 1, 7, (), ()), ((12, 7),), ((12, 5), (5, 7)), (0,), RowRole.ROWS),
    ("matmul", Matmul((), 5, 7, 12, 1, 5, 7, 1, 7, (), ()), ((5, 7),), ((12, 5), (12, 7)), (0, 1), RowRole.SUM),
    ("matmul", Matmul((), 12, 7, 5, 5, 1, 7, 1, 7, (), ()), ((12, 7),), ((12, 5), (5, 7)), (), RowRole.AFTER),
    (
        "matmul",
        Matmul((12,), 2, 3, 4, 4, 1, 3, 1, 3, (0,), (12,)),
        ((12, 2, 3),),
        ((2, 4), (12, 4, 3)),
        (1,),
        RowRole.ROWS,
    ),
    (
        "matmul_accumulate",
        MatmulAccumulate(12, 2, 3, 4, 4, 1, 1, 4, 3, 8, 12),
        ((2, 3),),
        ((12, 2, 4), (12, 3, 4)),
        (0, 1),
        RowRole.SUM,
    ),
    ("sgd", Update(60), ((12, 5),), ((12, 5), (4,)), (0,), RowRole.AFTER),
    ("sgd", Update(60, 5), ((20, 5),), ((12, 5), (4,), (12,)), (0,), RowRole.AFTER),
    ("advance", Advance(3), ((3,),), ((4,),), (), RowRole.AFTER),
    ("uniform", Random(60, 1, 2), ((12, 5),), (), (), RowRole.AFTER),
    ("copy", Copy(0, 0, (12, 5), (5, 1), (5, 1)), ((12, 5),), ((12, 5),), (0,), RowRole.ROWS),
    ("copy", Copy(2, 0, (12, 3), (5, 1), (3, 1)), ((12, 5),), ((12, 3),), (0,), RowRole.ROWS),
    ("copy", Copy(0, 0, (5, 12), (12, 1), (1, 5)), ((5, 12),), ((12, 5),), (0,), RowRole.AFTER),
    ("fill", Fill(60), ((12, 5),), (), (), RowRole.ROWS),
    ("cast", Cast(60, 1), ((12, 5),), ((12, 5),), (0,), RowRole.ROWS),
    ("take", Take(12, 5), ((12, 5),), ((7, 5), (12,)), (1,), RowRole.ROWS),
    ("take", Take(7, 5), ((7, 5),), ((12, 5), (7,)), (0,), RowRole.AFTER),
    ("index_add", IndexAdd(12, 5, 7), ((7, 5),), ((12, 5), (12,)), (0, 1), RowRole.AFTER),
    ("distinct", Distinct(12, 7, 16), ((7,), (12,), (16,)), ((12,),), (0,), RowRole.AFTER),
    ("gather", Gather(12, 5, 1), ((12,),), ((12, 5), (12,)), (0, 1), RowRole.ROWS),
    ("scatter", Scatter(12, 5, 1), ((12, 5),), ((12,), (12,)), (0, 1), RowRole.ROWS),
    ("argsort", Order(12, 5, 0), ((12, 5),), ((12, 5),), (0,), RowRole.ROWS),
    ("cumsum", Scan(12, 5, 1, 0), ((12, 5),), ((12, 5),), (0,), RowRole.ROWS),
    ("recurrence", Scan(1, 12, 5, 1), ((12, 5),), ((12, 5), (12, 5)), (0, 1), RowRole.AFTER),
    ("check_index", CheckIndex(12, 0, 5), ((3,), (12,)), ((12,),), (0,), RowRole.ROWS),
    ("check_finite", CheckFinite(12), ((3,), (12,)), ((12,),), (0,), RowRole.AFTER),
    ("draw", Draw(2), ((2,),), (), (), RowRole.AFTER),
]
FUSED: list[tuple[str, Record]] = [
    ("gemm", Gemm(12, 7, 5, 5, 1, 7, 1, 7, bias=True)),
    ("chain", Chain(12, 5)),
    ("chain", Chain(1, 60)),
]


def classes() -> dict[str, type[Record]]:
    found = (getattr(module, name) for module in (records, products, elementwise) for name in module.__all__)
    return {c.__name__: c for c in found if issubclass(c, Record)}


def batch_of(outs: Shapes, ins: Shapes, by_rows: tuple[int, ...]) -> tuple[Batch, list[int], list[int]]:
    """Values of these shapes, outputs first."""
    values = [Value(Spec(shape, np.dtype(np.float32))) for shape in (*outs, *ins)]
    at = len(outs)
    return Batch(ROWS, values, {at + i for i in by_rows}), list(range(at)), list(range(at, len(values)))


def test_the_core_has_the_same_records_and_fields() -> None:
    assert {name: record.wire_fields() for name, record in classes().items()} == _core.instruction_fields()


def test_every_instruction_has_its_record() -> None:
    assert {*_core.elementwise_names(), *_core.update_names()} <= set(INSTRUCTIONS)
    for name, entry in INSTRUCTIONS.items():
        assert _core.instruction_record(name) == entry.record.__name__, name
    steps = {MapStep, UpdateStep}
    assert {entry.record for entry in INSTRUCTIONS.values()} | steps == set(classes().values())


def test_every_record_is_here() -> None:
    seen = {type(case[1]) for case in (*CASES, *FUSED)} | {Bernoulli, MapStep, UpdateStep}
    assert seen == set(classes().values())


@pytest.mark.parametrize("record", [case[1] for case in (*CASES, *FUSED)], ids=repr)
def test_encoding_has_every_field(record: Record) -> None:
    """As many integers as the names of the fields say; each field of one integer is where its name is."""
    lengths = {"ndim": len(getattr(record, "dims", getattr(record, "batch", ()))) if _has_lists(record) else 0}
    lengths["inputs"] = len(getattr(record, "strides", ()))
    wire, at = record.encode(), 0
    for name in record.wire_fields():
        plain, *counts = name.replace("]", "").split("[")
        size = int(np.prod([lengths[c] if c in lengths else int(c) for c in counts], dtype=int))
        part = wire[at : at + size]
        at += size
        expected = lengths["ndim"] if plain == "ndim" else getattr(record, plain)
        assert part == [int(n) for n in np.asarray(expected, dtype=np.int64).reshape(-1)], name
    assert at == len(wire)


def _has_lists(record: Record) -> bool:
    return any("[ndim]" in name for name in record.wire_fields())


def test_encoding_of_steps() -> None:
    assert MapStep(((9, 1), (0, 1)), 7).encode() == [9, 1, 0, 1, 7]
    assert UpdateStep(5).encode() == [5]


@pytest.mark.parametrize(("name", "record", "outs", "ins", "by_rows", "role"), CASES)
def test_rows(name: str, record: Record, outs: Shapes, ins: Shapes, by_rows: tuple[int, ...], role: RowRole) -> None:
    """The role, and blocks: all rows are the whole; blocks together do as many operations as the whole."""
    batch, out_slots, in_slots = batch_of(outs, ins, by_rows)
    instr = Instr(name, 0, out_slots, in_slots, record)
    assert instr.row_role(batch) is role
    if role is RowRole.AFTER:
        return
    assert instr.cut(RowBlock(batch, ROWS, first=True), role).record == record
    first, rest = (instr.cut(RowBlock(batch, rows, first=first), role) for rows, first in ((8, True), (4, False)))
    assert flops(first) + flops(rest) == flops(instr)


@pytest.mark.parametrize(("name", "record"), FUSED)
def test_fused_rows(name: str, record: Record) -> None:
    batch, _, _ = batch_of((), (), ())
    cut = [record.cut(RowBlock(batch, rows, rows == 8), RowRole.ROWS, [], []) for rows in (12, 8, 4)]
    assert cut[0] == record
    assert cut[1].body_elements() + cut[2].body_elements() == record.body_elements() > 0


def test_sums_are_continued() -> None:
    batch, _, _ = batch_of((), (), ())
    sums: list[tuple[Record, Callable[[Any], bool]]] = [
        (Reduce(1, 12, 5, ReduceMode.START_CHAIN), lambda r: r.mode is ReduceMode.CONTINUE_CHAIN and r.reduced == 4),
        (MatmulAccumulate(12, 2, 3, 4, 4, 1, 1, 4, 3, 8, 12), lambda r: r.continues and r.batch == 4),
        (CONVOLUTION, lambda r: r.continues and r.images == 4),
        (Gemm(5, 7, 12, 1, 5, 7, 1, 7), lambda r: r.continues and r.k == 4 and r.m == 5),
    ]
    for record, continues in sums:
        assert continues(record.cut(RowBlock(batch, 4, first=False), RowRole.SUM, [], []))
        assert not continues(record.cut(RowBlock(batch, 4, first=True), RowRole.SUM, [], []))


def test_a_mask_has_its_own_rows() -> None:
    """The row indices are an array of which a block reads its part."""
    values = [Value(Spec(s, np.dtype(np.float32))) for s in ((12, 5), (2,))]
    values.append(Value(Spec((12,), np.dtype(np.int64)), np.arange(12), constant=True))
    batch, mask = Batch(ROWS, values, {0}), Bernoulli(60, 5, 0)
    instr = Instr("bernoulli", 0, [0], [1, 2], mask)
    assert instr.row_role(batch) is RowRole.ROWS
    assert [mask.reads_by_row(i, RowRole.ROWS) for i in range(2)] == [False, True]
    assert instr.cut(RowBlock(batch, 4, first=False), RowRole.ROWS).record == mask.replace(n=20)


def test_which_inputs_are_read_by_row() -> None:
    def read(record: Record, inputs: int, role: RowRole = RowRole.ROWS) -> list[bool]:
        return [record.reads_by_row(i, role) for i in range(inputs)]

    one = Matmul((), 12, 7, 5, 5, 1, 7, 1, 7, (), ())
    assert read(Map((12, 5), ((5, 1), (0, 1))), 2) == [True, False]
    assert read(one, 2) == [True, False]
    assert read(one, 2, RowRole.SUM) == [True, True]
    assert read(Take(12, 5), 2) == [False, True]
    assert read(Gather(12, 5, 1), 2) == [True, True]
    assert read(CrossEntropyBoth(12, 5, 0), 3) == [True, True, False]
    assert read(Copy.contiguous(60), 1) == read(Update(60), 1) == [False]


FLOPS: list[tuple[str, Record, int]] = [
    ("exp", Map((3, 4), ((4, 1),)), 12),
    ("max", Reduce(2, 3, 4, ReduceMode.START_CHAIN), 24),
    ("argmax", Reduce(2, 3, 1, ReduceMode.LANE_RULE), 0),
    ("softmax", Rowwise(3, 4), 48),
    ("fold", Windows(2, 3, 8, 8, 2, 5, 1, 1, 1, 1, 0, 0, 7, 4), 2 * 3 * 2 * 5 * 7 * 4),
    ("unfold", Windows(2, 3, 8, 8, 2, 5, 1, 1, 1, 1, 0, 0, 7, 4), 0),
    ("matmul", Matmul((2,), 3, 4, 5, 5, 1, 4, 1, 4, (0,), (20,)), 240),
    ("matmul_accumulate", MatmulAccumulate(2, 3, 4, 5, 5, 1, 1, 5, 4, 15, 20), 240),
    ("adam", Update(10), 120),
    ("copy", Copy.contiguous(10), 0),
]


@pytest.mark.parametrize(("name", "record", "count"), FLOPS)
def test_flops(name: str, record: Record, count: int) -> None:
    assert flops(Instr(name, 0, [0], [1], record)) == count


def test_flops_of_a_body() -> None:
    body = [Instr("relu", 0, [-1], [-1], MapStep(((4, 1),), 4)), Instr("sgd", 0, [0], [-1, 3], UpdateStep(4))]
    assert flops(Instr("gemm", 0, [0], [1, 2, 3], Gemm(3, 4, 5, 5, 1, 4, 1, 4), body=body)) == 2 * 60 + (1 + 4) * 12
    assert flops(Instr("chain", 0, [0], [1], Chain(3, 4), body=body[:1])) == 12


def test_what_may_be_overwritten() -> None:
    def may(name: str, record: Record, ins: list[int], source: int) -> bool:
        return Instr(name, 0, [9], ins, record).may_overwrite(source, 9)

    whole, row = (4, 1), (0, 1)
    two = Map((3, 4), (whole, row))
    assert may("add", two, [1, 2], 1)
    assert not may("add", two, [1, 2], 2)
    assert not may("add", two, [1, 1], 1)  # also read as a row
    assert not may("less", Map((3, 4), (whole, whole)), [1, 2], 1)  # floats, and the result is bool
    choice = Map((3, 4), (whole,) * 3)
    assert [may("where", choice, [1, 2, 3], v) for v in (1, 2, 3)] == [False, True, True]
    assert not may("softmax", Rowwise(3, 4), [1], 1)
    assert not Instr("add", 0, [9], [1, 2], two).may_overwrite(1, 8)


def test_regions_and_steps() -> None:
    assert Map((60,), ((1,),)).elementwise_region() == (1, 60)
    assert Map((3, 4), ((4, 1), (1, 0))).elementwise_region() == (3, 4)
    assert Map((3, 4), ((1, 3),)).elementwise_region() is None
    assert Map((12,), ((1,),)).step((3, 4)) == MapStep(((4, 1),), 4)
    assert Map((3, 4), ((4, 1), (0, 1), (1, 0), (0, 0))).step((3, 4)) == MapStep(((4, 1), (0, 1), (1, 0), (0, 0)), 4)
    assert Map((12,), ((1,),)).step((3, 5)) is None
    assert Update(12).step((3, 4)) == UpdateStep(4)
    assert Update(12).step((3, 5)) is None
    assert Update(12, 4).step((3, 4)) is None
    assert Chain(3, 4).elementwise_region() == (3, 4)
    assert Rowwise(3, 4).elementwise_region() is Rowwise(3, 4).step((3, 4)) is None

"""Programs of several instructions: temporaries, barriers, text, rejected input."""

from typing import Any

import numpy as np
import pytest

import oracle
from chainrule import _core
from chainrule._ir.elementwise import Map
from chainrule._ir.instruction import Instr
from chainrule._ir.record import Record
from chainrule._ir.records import Cast, Copy, Distinct, Gather, Reduce, ReduceMode, Rowwise, Scatter
from reference import assert_same_bits, softmax_losses
from reference import reduce as reference
from reference.bits import Array
from support.programs import blank, cast, copy, execute, flat, index_add, one_matmul, take
from support.variants import every_setting, force_level

F32, F64, I64, BOOL = range(4)
Spec = tuple[int, tuple[int, ...]]
Code = list[tuple[Any, ...]]


def values(shape: tuple[int, ...], dtype: type[np.floating[Any]] = np.float32, seed: int = 91) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def network(rows: int) -> tuple[list[Spec], list[Spec], list[Spec], Code]:
    """softmax(relu(x w + b) v) and its column sums; x (rows, 23), w (23, 31), b (31), v (31, 11)."""
    inputs: list[Spec] = [(F32, (rows, 23)), (F32, (23, 31)), (F32, (31,)), (F32, (31, 11))]
    outputs: list[Spec] = [(F32, (rows, 11)), (F32, (11,))]
    temporaries: list[Spec] = [(F32, (rows, 31)), (F32, (rows, 11))]
    code = [
        Instr("matmul", F32, [6], [0, 1], one_matmul((rows, 23), (23, 31))),
        Instr("add", F32, [6], [6, 2], Map((rows, 31), ((31, 1), (0, 1)))),
        flat("relu", np.float32, 6, [6], rows * 31),
        Instr("matmul", F32, [7], [6, 3], one_matmul((rows, 31), (31, 11))),
        Instr("softmax", F32, [4], [7], Rowwise(rows, 11)),
        Instr("sum", F32, [5], [4], Reduce(1, rows, 11, ReduceMode.START_CHAIN)),
    ]
    return inputs, outputs, temporaries, [instr.lower() for instr in code]


def one(name: str, record: Record, outs: tuple[int, ...] = (1,), ins: tuple[int, ...] = (0,), dtype: int = F32) -> Code:
    """A program of one instruction."""
    return [Instr(name, dtype, list(outs), list(ins), record).lower()]


def one_map(name: str, n: int, **slots: Any) -> Code:
    return one(name, Map((n,), ((1,),)), **slots)


@pytest.mark.parametrize("rows", [1, 2, 37, 300])
def test_instructions_wait_for_each_other(rows: int) -> None:
    """Each instruction is shared in another way than the one before: without barriers a thread would read too early."""
    x, w, b, v = values((rows, 23)), values((23, 31)), values((31,)), values((31, 11))
    hidden = oracle.matmul(x, w) + b
    expected = softmax_losses.softmax(oracle.matmul(np.where(hidden <= 0, np.float32(0), hidden), v))
    sums = reference.sum(expected, 0)
    for setting in every_setting():
        program = _core.Program(*network(rows))
        for _ in range(20):
            probabilities, columns = program(x, w, b, v)
            assert_same_bits(probabilities, expected, setting)
            assert_same_bits(columns, sums, setting)


def test_results_are_new_arrays() -> None:
    program = _core.Program([(F32, (5,))], [(F32, (5,))], [], one_map("neg", 5))
    x = values((5,))
    first = program(x)
    second = program(x * 2)
    assert_same_bits(first, -x)
    assert_same_bits(second, -x * 2)


def test_a_program_keeps_its_level(isa: str) -> None:
    program = _core.Program([(F32, (5,))], [(F32, (5,))], [], one_map("exp", 5))
    force_level("scalar")
    assert str(program).startswith(f"program on {isa}")
    x = values((5,))
    _core.unary("exp", x, out := blank(5, np.float32))
    assert_same_bits(program(x), out)


def test_more_slots_than_fit_on_the_stack() -> None:
    count = 150
    temporaries: list[Spec] = [(F32, (3,))] * count
    instructions = [flat("add", np.float32, 2 + i, [1 + i if i else 0, 0], 3) for i in range(count)]
    code = [instr.lower() for instr in (*instructions, flat("neg", np.float32, 1, [1 + count], 3))]
    x = np.asarray([1.0, -2.0, 0.5], np.float32)
    for setting in every_setting(threads=(1, 2)):
        program = _core.Program([(F32, (3,))], [(F32, (3,))], temporaries, code)
        assert_same_bits(program(x), -(x * np.float32(count + 1)), setting)


def test_text_lists_slots_and_instructions() -> None:
    text = str(_core.Program(*network(4))).splitlines()
    assert "6 external slots" in text[0]
    assert text[1:9] == [
        *(f"  %{i}: float32[{n}]" for i, n in enumerate((92, 713, 31, 341, 44, 11))),
        *(f"  t{i}: float32[{n}]" for i, n in enumerate((124, 44))),
    ]
    assert text[10].startswith("  t0 = add.float32 t0 %2  (2 4 31 31 1 0 1")
    assert len(text) == 9 + 6


ONE: tuple[list[Spec], list[Spec], list[Spec]] = ([(F32, (4,))], [(F32, (4,))], [])
REFUSED: list[tuple[tuple[Any, ...], str]] = [
    ((*ONE, [("frobnicate", F32, [1], [0], [1, 4, 1], [])]), "unknown instruction 'frobnicate'"),
    ((*ONE, one_map("exp", 4, dtype=I64)), "exp: expected float32 or float64, got int64"),
    ((*ONE, [("exp", F32, [1], [0], [1, 4], [])]), "exp: expected 1 outputs, 1 inputs, 3 ints"),
    ((*ONE, one_map("exp", 4, ins=(0, 0))), "exp: expected 1 outputs, 1 inputs"),
    ((*ONE, [("exp", F32, [1], [0], [0], [])]), "exp: ints must begin with a number of dimensions from 1 to 32"),
    ((*ONE, one_map("exp", 4, outs=(2,))), "exp names slot 2 of 2"),
    ((*ONE, one_map("exp", 4, ins=(-1,))), "exp names slot -1 of 2"),
    ((*ONE, one("argmax", Reduce(1, 4, 1, ReduceMode.START_CHAIN))), "argmax: reduces rows only"),
    ((*ONE, one("cast", Cast(4, F32), dtype=BOOL)), "cast: expected"),
    ((*ONE, one("cast", Cast(4, F32), dtype=I64)), "cast: expected"),
    (
        (*ONE, one("copy", Copy(0, 0, (4,), (1,), (1,)))),
        "copy: ints must begin with a number of dimensions",
    ),
    (([(7, (4,))], [], [], []), "unknown dtype 7"),
    (([(F32, (-1,))], [], [], []), r"shape \(-1,\) has too many elements"),
    (([(F32, (2**40, 2**40))], [], [], []), "too many elements"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_refused_programs(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _core.Program(*arguments)


WRONG_ARRAYS: list[Any] = [
    np.ones(5, np.float32),
    np.ones((4, 1), np.float32),
    np.ones(4, np.float64),
    np.ones(8, np.float32)[::2],
    np.ones(4, ">f4"),
    [1.0, 2.0, 3.0, 4.0],
    None,
]


@pytest.mark.parametrize("array", WRONG_ARRAYS, ids=str)
def test_wrong_arrays_are_rejected(array: Any) -> None:
    program = _core.Program(*ONE, one_map("neg", 4))
    with pytest.raises(TypeError, match="Program input"):
        program(array)
    with pytest.raises(TypeError, match="takes 1 arrays, got 2"):
        program(np.ones(4, np.float32), array)


def test_copies_of_any_layout() -> None:
    base = values((3, 5, 7, 4))
    for setting in every_setting():
        for axes in [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2), (0, 1, 3, 2)]:
            view = base.transpose(axes)
            assert_same_bits(copy(view), view, f"{setting}, axes {axes}")
        for array in (base.astype(np.float64), base > 0, (base * 100).astype(np.int64)):
            assert_same_bits(copy(array.T), array.T, setting)


def test_copies_by_steps_and_offsets() -> None:
    base, expected = values((40, 50)), blank((40, 50), np.float32)
    expected[3:23:2, 45:5:-4] = base[39:29:-1, 2:32:3]
    for setting in every_setting():
        out = blank((40, 50), np.float32)
        record = Copy(3 * 50 + 45, 39 * 50 + 2, dims=(10, 10), out_strides=(100, -4), in_strides=(-50, 3))
        execute("copy", np.float32, [out], [base], record)
        assert_same_bits(out, expected, setting)


def test_casts() -> None:
    wide = np.concatenate([values((500,), np.float64) * 1e30, values((500,), np.float64) * 1e-40, [1e39, -1e300]])
    narrow = np.concatenate([values((500,)), np.asarray([np.nan, -0.0, 1e-45, -3e38, np.inf], np.float32)])
    whole = np.random.default_rng(92).integers(-(2**63), 2**63, 1000)
    for setting in every_setting():
        with np.errstate(over="ignore"):
            assert_same_bits(cast(wide, np.float32), wide.astype(np.float32), setting)
        casts: list[tuple[Array, type]] = [
            (narrow, np.float64),
            (whole, np.float32),
            (whole, np.float64),
            (whole > 0, np.float32),
            (whole > 0, np.int64),
        ]
        for x, dtype in casts:
            assert_same_bits(cast(x, dtype), x.astype(dtype), f"{setting}, {x.dtype} to {np.dtype(dtype).name}")


def test_different_indices() -> None:
    """In the order in which they first come, with the place of each; also where all fall into one bucket."""
    rng = np.random.default_rng(3)
    for n, high, step in ((0, 5, 1), (1, 1, 1), (50, 9, 1), (300, 1000, 2**40), (257, 2**60, 1)):
        index = rng.integers(0, high, n) * step
        kept = min(n, high)
        buckets = 1 << (2 * kept + 1).bit_length()
        found, places, table = (np.full(size, 77) for size in (kept, n, buckets))
        for setting in every_setting(threads=(1, 2)):
            execute("distinct", np.int64, [found, places, table], [index], Distinct(n, kept, buckets))
            expected = list(dict.fromkeys(index.tolist()))
            assert found.tolist() == [*expected, *[-1] * (kept - len(expected))], setting
            assert found[places].tolist() == index.tolist(), setting
    with pytest.raises(ValueError, match="distinct: buckets must be a power of 2 above kept"):
        execute(
            "distinct", np.int64, [np.zeros(3, int), np.zeros(3, int), np.zeros(6, int)], [index[:3]], Distinct(3, 3, 6)
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_by_index(dtype: type[np.floating[Any]]) -> None:
    x, g = values((9, 21), dtype), values((50, 21), dtype) * 100
    index = np.random.default_rng(93).integers(0, 9, 50)
    added = np.zeros((9, 21), dtype)
    for i, row in zip(index, g, strict=True):
        added[i] = added[i] + row
    picked, placed = x[np.arange(9), index[:9]], np.zeros((9, 21), dtype)
    placed[np.arange(9), index[:9]] = g[:9, 0]
    for setting in every_setting():
        assert_same_bits(take(x, index), x[index], setting)
        assert_same_bits(index_add(g, index, 9), added, setting)
        out, wide = blank(9, dtype), blank((9, 21), dtype)
        execute("gather", dtype, [out], [x, index[:9]], Gather(9, 21, 1))
        assert_same_bits(out, picked, setting)
        execute("scatter", dtype, [wide], [g[:9, 0].copy(), index[:9]], Scatter(9, 21, 1))
        assert_same_bits(wide, placed, setting)

"""Fused instructions have the bits of the separate instructions: any shape, body, level and number of threads."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from cases.kernel_rows import label
from chainrule import _core
from chainrule._ir.elementwise import Chain, MapStep, Update, UpdateStep
from chainrule._ir.instruction import PRODUCT, Instr
from chainrule._ir.records import Reduce, ReduceMode
from chainrule.compiler.fuse import register_steps
from reference import UPDATES, assert_same_bits
from reference import reduce as reference_reduce
from reference.bits import Array
from support.fusion import FIRST_LOCAL, Fused, Fusion, values
from support.programs import CODE, Float, blank, execute, flat, matmul, one_matmul, sgd_step
from support.variants import every_setting

FLOATS = (np.float32, np.float64)
each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=label)


def bias_relu(f: Fusion) -> None:
    f.step("add", ["c"], ["c", f.array("row")])
    f.step("relu", ["c"], ["c"])


def bias_relu_elsewhere(f: Fusion) -> None:
    f.step("add", ["l"], ["c", f.array("row")])
    f.step("relu", [f.result("y")], ["l"])


def relu_grad(f: Fusion) -> None:
    f.step("relu_grad", [f.result("dx")], [f.array("y"), "c"])


def in_registers(f: Fusion) -> None:
    """All that the write-back can do, and a step that sees its result."""
    f.step("add", ["c"], [f.array("row"), "c"])
    f.step("relu", ["c"], ["c"])
    f.step("relu_grad", ["c"], [f.array("y"), "c"])
    f.step("add", [f.result("z")], ["c", f.array("x")])


def twice_in_registers(f: Fusion) -> None:
    """The write-back does only the first of each."""
    f.step("relu", ["c"], ["c"])
    f.step("relu_grad", ["c"], [f.array("y"), "c"])
    f.step("add", ["c"], ["c", f.array("row")])
    f.step("relu", [f.result("z")], ["c"])


def gradient_of_relu(f: Fusion) -> None:
    f.step("relu_grad", ["c"], [f.array("y"), "c"])
    f.step("add", ["c"], ["c", f.array("row")])
    f.step("sgd", [f.array("p")], ["c", f.hyper(0.3, 0.0, 0.0, 0.0, 0.0)])


def sgd(f: Fusion) -> None:
    f.step("sgd", [f.array("p"), f.array("v")], ["c", f.hyper(0.1, 0.9, 0.0, 0.0, 0.0)])


def sgd_with_all(f: Fusion) -> None:
    f.step("mul", ["l"], ["c", f.array("number")])
    f.step("sgd", [f.array("p"), f.array("v")], ["l", f.hyper(0.1, 0.7, 0.01, 1.0, 0.0)])


def update(name: str) -> Callable[[Fusion], None]:
    def body(f: Fusion) -> None:
        f.update(name, UPDATES[name].states[-1], UPDATES[name].hyperparameters[1])

    body.__name__ = name
    return body


def plain_sgd(f: Fusion) -> None:
    f.step("sgd", [f.array("p")], ["c", f.hyper(0.3, 0.0, 0.0, 0.0, 0.0)])


def mixture(f: Fusion) -> None:
    """Locals of both sizes, every kind of operand, a bool result, a number of a step."""
    f.step("less", ["chosen"], ["c", f.array("row")])
    f.step("greater_equal", [f.result("mask", np.bool_)], ["c", f.array("column")])
    f.step("leaky_relu", ["l"], ["c"], 0.01)
    f.step("where", ["m"], ["chosen", "l", f.array("x")])
    f.step("mul", ["m"], ["m", f.array("column2")])
    f.step("where", ["l"], ["mask", "m", f.array("number")])
    f.step("tanh", [f.result("y")], ["l"])
    f.step("sub", [f.result("z")], ["y", "c"])


def of_units(f: Fusion) -> None:
    """Steps with two scalar parameters, one and none."""
    f.step("hardtanh", ["l"], ["c"], -0.75, 1.5)
    f.step("silu", ["m"], ["c"], 1.25)
    f.step("prelu", ["m"], ["m", f.array("row")])
    f.step("clip_grad", ["l"], ["m", "l"], -0.5, 0.25)
    f.step("heaviside", [f.result("y")], ["l"], 0.5)
    f.step("selu", [f.result("z")], ["m"])


BODIES: list[Callable[[Fusion], None]] = [
    bias_relu,
    bias_relu_elsewhere,
    relu_grad,
    in_registers,
    twice_in_registers,
    gradient_of_relu,
    sgd,
    sgd_with_all,
    plain_sgd,
    mixture,
    of_units,
    *[update(name) for name in UPDATES if name != "sgd"],
]
IN_PLACE = (bias_relu,)  # the product itself is changed: it must be stored
DEPTH = {np.float32: 512, np.float64: 256}  # k up to which a product stays in registers


def shapes(count: int, seed: int) -> Iterator[tuple[int, int, int]]:
    """m to 40, n to 70, k to 40; then several blocks of k, wide and tall ones."""
    rng = np.random.default_rng(seed)
    yield from [(1, 70, 40), (1, 1, 9), (40, 1, 7), (32, 2, 16), (32, 16, 2), (16, 16, 32), (2, 16, 32), (33, 10, 20)]
    yield from [(12, 200, 3), (13, 700, 5), (700, 3, 4), (300, 33, 6), (5, 3000, 2), (1, 5000, 3), (3000, 1, 3)]
    yield from [(26, 40, 530), (3, 70, 1030), (40, 2, 600), (1, 33, 513), (50, 50, 512), (16, 16, 256), (7, 9, 0)]
    for _ in range(count):
        yield int(rng.integers(1, 41)), int(rng.integers(1, 71)), int(rng.integers(0, 41))


def check_products(dtype: Float, count: int, seed: int, specials: bool, threads: tuple[int, ...] = (1, 2, 3)) -> None:
    cases = []
    for i, (m, n, k) in enumerate(shapes(count, seed)):
        a, b = values((m, k), dtype, i, specials), values((k, n), dtype, i + 1000, specials)
        a, b = (np.asarray(x, order="F") if i >> bit & 1 else x for bit, x in enumerate((a, b)))
        for body in BODIES if i < 22 else (BODIES[i % len(BODIES)], BODIES[(i // 2 + 3) % len(BODIES)]):
            keep = body in IN_PLACE or k > DEPTH[dtype] or i % 3 == 0
            fusion = Fusion(m, n, dtype, gap=i % 4 // 3 * 5, specials=specials)
            body(fusion)
            fused = Fused(fusion, (a, b), keep)
            cases.append((fused, fusion.one_by_one(matmul(a, b)), f"{body.__name__} m={m} n={n} k={k} keep={keep}"))
    for setting in every_setting(threads):
        for fused, expected, what in cases:
            compare(fused(), expected, f"{what}, {setting}")


def compare(found: dict[str, Array], expected: dict[str, Array], what: str) -> None:
    for name in found.keys() & expected.keys():
        assert_same_bits(found[name], expected[name], f"{name} of {what}")


@each_dtype
@pytest.mark.parametrize("specials", [False, True])
def test_products_with_bodies(dtype: Float, specials: bool) -> None:
    check_products(dtype, 60, seed=101, specials=specials)


@pytest.mark.full
@each_dtype
def test_many_products_with_bodies(dtype: Float) -> None:
    for seed in range(20):
        check_products(dtype, 200, seed=seed, specials=seed % 2 == 1)


@each_dtype
def test_a_product_in_parts(dtype: Float) -> None:
    """continues: micro-batches give the whole batch's bits; the body runs at the end only."""
    for m, n, k in [(16, 10, 64), (1, 33, 7), (5, 1, 30), (30, 2, 12), (40, 70, 600), (3, 300, 9), (20, 16, 0)]:
        x, g = values((k, m), dtype, k), values((k, n), dtype, k + 1)
        fusion = Fusion(m, n, dtype)
        bias_relu(fusion)
        whole = matmul(x.T, g)
        expected = fusion.one_by_one(whole)
        for cut in {0, 1, k // 3, k}:
            first, second = (x[:cut].T, g[:cut]), (x[cut:].T, g[cut:])
            fused = Fused(fusion, second, keep=True, continues=True)
            plain = Fused(Fusion(m, n, dtype), second, keep=True, continues=True)
            for setting in every_setting((1, 2, 3)):
                start = matmul(*first)
                compare(fused(start), expected, f"m={m} n={n} k={k} cut {cut}, {setting}")
                assert_same_bits(plain(start)["c"], whole, f"without a body, m={m} n={n} k={k} cut {cut}, {setting}")


@each_dtype
def test_steps_that_are_not_marked(dtype: Float) -> None:
    """The same bits as with the first steps in registers."""
    marked = 0
    for i, (m, n, k) in enumerate([(13, 50, 9), (40, 7, 30), (1, 33, 5), (7, 64, 600)]):
        a, b = values((m, k), dtype, i), values((k, n), dtype, i + 1000)
        for body in BODIES:
            fusion = Fusion(m, n, dtype)
            body(fusion)
            keep = body in IN_PLACE or k > DEPTH[dtype]
            plain, fast = Fused(fusion, (a, b), keep, marked=False), Fused(fusion, (a, b), keep)
            marked += plain.code != fast.code
            expected = fusion.one_by_one(matmul(a, b))
            for setting in every_setting((1, 2)):
                compare(plain(), expected, f"{body.__name__} m={m} n={n} k={k}, {setting}")
    assert marked >= 8


def test_a_body_waits_for_the_end() -> None:
    a, b, row = values((6, 4), np.float32, 1), values((4, 9), np.float32, 2), values((9,), np.float32, 3)
    c = blank((6, 9), np.float32)
    body = [Instr("add", 0, [PRODUCT], [PRODUCT, 3], MapStep(((9, 1), (0, 1)), 9))]
    assert register_steps(body, 6) == (True, False, False)
    ends = one_matmul(a.shape, b.shape).gemm(bias=True)
    execute("gemm", np.float32, [c], [a, b, row], ends.replace(ends=False), body=body)
    assert_same_bits(c, matmul(a, b))
    execute("gemm", np.float32, [c], [a, b, row], ends, body=body)
    assert_same_bits(c, matmul(a, b) + row)


@pytest.mark.parametrize("shape", [(9, 4), (700, 33), (1100, 1100)])
def test_the_kernel_adds_any_matrix_of_one_row(shape: tuple[int, int]) -> None:
    n, sizes = shape[1], [(1, shape[0]), shape, shape[1:]]
    a, b, row = (values(size, np.float32, i) for i, size in enumerate(sizes))
    body = [Instr("add", 0, [PRODUCT], [3, PRODUCT], MapStep(((n, 1), (n, 1)), n))]
    assert (register_steps(body, 1)[0], register_steps(body, 2)[0]) == (True, False)
    for setting in every_setting((1, 2)):
        c, gemm = blank((1, n), np.float32), one_matmul(a.shape, b.shape).gemm(bias=True)
        execute("gemm", np.float32, [c], [a, b, row], gemm, body=body)
        compare({"c": c}, {"c": matmul(a, b) + row}, setting)


def of_matrices(f: Fusion) -> None:
    f.step("mul", ["l"], [f.array("x"), f.array("number")])
    f.step("add", ["m"], ["l", f.array("x2")])
    f.step("exp_grad", [f.result("y")], ["m", "l"])
    f.step("relu", ["x2"], ["m"])


def of_vectors(f: Fusion) -> None:
    f.step("sub", ["l"], [f.array("x"), f.array("column")])
    f.step("greater", ["m"], ["l", f.array("row")])
    f.step("where", [f.result("y")], ["m", "l", "number"])
    f.step("not_equal", [f.result("mask", np.bool_)], ["y", "number"])


def of_vectors_and_a_number(f: Fusion) -> None:
    f.array("number")
    of_vectors(f)


def an_update(f: Fusion) -> None:
    f.step("mul", ["l"], [f.array("g"), f.array("number")])
    f.step("sgd", [f.array("p"), f.array("v")], ["l", f.hyper(0.1, 0.9, 0.001, 0.0, 0.0)])


def without_locals(f: Fusion) -> None:
    f.step("neg", ["x"], [f.array("x")])
    f.step("square", ["x"], ["x"])


CHAINS = [of_matrices, of_vectors_and_a_number, an_update, without_locals]


@each_dtype
@pytest.mark.parametrize("chain", CHAINS, ids=label)
@pytest.mark.parametrize("specials", [False, True])
def test_chains(dtype: Float, chain: Callable[[Fusion], None], specials: bool) -> None:
    cases = []
    sizes = [
        (1, 1),
        (1, 9000),
        (9000, 1),
        (33, 17),
        (2, 5000),
        (300, 70),
        (64, 64),
        (7, 2048),
        (0, 5),
        (5, 0),
        (3000, 3),
    ]
    for rows, cols in sizes:
        for gap in (0, 3):
            fusion = Fusion(rows, cols, dtype, gap, specials)
            chain(fusion)
            what = f"{rows} x {cols}, gap {gap}"
            cases.append((Fused(fusion, None, keep=False), fusion.one_by_one(None), what))
    for setting in every_setting((1, 2, 3, 7)):
        for fused, expected, what in cases:
            compare(fused(), expected, f"{what}, {setting}")


@each_dtype
def test_numbers_of_a_step_are_read_when_it_runs(dtype: Float) -> None:
    p, g, hyper = values((37,), dtype, 4), values((37,), dtype, 5), np.zeros(5)
    slots = [(CODE[x.dtype], x.shape) for x in (p, g, hyper)]
    for setting in every_setting((1, 2)):
        program = _core.Program(slots, [], [], [Instr("sgd", CODE[p.dtype], [0], [1, 2], Update(37)).lower()])
        for lr, decay in [(0.1, 0.0), (0.02, 0.01)]:
            hyper[:] = lr, 0.0, decay, 0.0, 0.0
            got, expected = p.copy(), p.copy()
            program(got, g, hyper)
            sgd_step(expected, g, None, lr, 0.0, decay, False)
            assert_same_bits(got, expected, f"{setting}, lr {lr}")
            assert not np.array_equal(got, p)


@each_dtype
def test_column_sums_in_parts(dtype: Float) -> None:
    x = values((41, 23), dtype, 6)
    for setting in every_setting():
        for cut in (0, 1, 20, 41):
            out = np.zeros(23, dtype)
            if cut > 0:
                execute("sum", dtype, [out], [x[:cut]], Reduce(1, cut, 23, ReduceMode.START_CHAIN))
            execute("sum", dtype, [out], [x[cut:]], Reduce(1, 41 - cut, 23, ReduceMode.CONTINUE_CHAIN))
            assert_same_bits(out, reference_reduce.sum(x, 0), f"{setting}, cut {cut}")


def test_text_shows_the_body() -> None:
    body = [
        Instr("add", 0, [FIRST_LOCAL], [PRODUCT, 3], MapStep(((0, 0), (0, 1)), 0)),
        Instr("relu", 0, [0], [FIRST_LOCAL], MapStep(((0, 0),), 9)),
    ]
    gemm = Instr("gemm", 0, [0], [1, 2, 3], one_matmul((6, 4), (4, 9)).gemm(), (), body, stores_product=False)
    text = str(_core.Program([(0, (6, 9)), (0, (6, 4)), (0, (4, 9)), (0, (9,))], [], [], [gemm.lower()])).splitlines()
    assert text[-3:] == [
        "  c %0 = gemm.float32 %1 %2 %3  (6 9 4 4 1 9 1 9 0 1 0 0 0)",
        "    l0 = add.float32 c %3  (0 0 0 1 0)",
        "    %0 = relu.float32 l0  (0 0 9)",
    ]


def with_numbers(instr: Instr, *numbers: int) -> tuple[Any, ...]:
    """An instruction as the core reads it, with other integers than its record's."""
    name, dtype, outs, ins, _, *rest = instr.lower()
    return (name, dtype, outs, ins, numbers, *rest)


def rejected() -> Iterator[tuple[Any, str]]:
    local, unset = FIRST_LOCAL, -9000

    def step(name: str, out: int, *ins: int, dtype: int = 0, stride: int = 1) -> Instr:
        return Instr(name, dtype, [out], list(ins), MapStep(((4, stride),) * len(ins), 4))

    def chain(*steps: Instr) -> tuple[Any, ...]:
        return Instr("chain", 0, [0], [1], Chain(3, 4), (), steps).lower()

    def gemm(stored: bool, k: int, *steps: Instr, **flags: bool) -> tuple[Any, ...]:
        record = one_matmul((3, k), (k, 4)).gemm().replace(**flags)
        outs = [0, 0] if stored else [0]
        return Instr("gemm", 0, outs, [1, 2], record, (), steps, stores_product=stored).lower()

    relu, one_relu = step("relu", 0, 1), flat("relu", np.float32, 0, [1], 4)
    yield chain(), "chain: expected a body"
    yield (
        with_numbers(Instr("chain", 0, [0], [1], Chain(3, 4), (), [relu]), 3),
        "chain: expected 1 outputs, 1 inputs, 2 ints",
    )
    yield chain(step("sum", 0, 1)), "chain: its step sum is neither elementwise nor an update"
    yield chain(step("relu", 0, 1, dtype=1)), "relu is of another dtype, float64"
    yield (
        (*Instr("chain", 0, [0], [1], Chain(3, 4)).lower(), [with_numbers(relu, 4, 1)]),
        "relu: expected 1 outputs, 1 inputs, 3 ints",
    )
    yield chain(step("relu", 0, 1, stride=2)), "relu has a step of 2"
    yield chain(step("relu", 0, 2)), "relu uses slot 2, which chain does not list"
    yield chain(step("relu", 1, 1)), "relu uses slot 1, which chain does not list"
    yield chain(step("relu", 0, local)), "relu reads local 0 before it is written"
    yield chain(step("relu", 0, PRODUCT)), "relu takes the product"
    yield chain(step("less", local, 1, 1), relu, step("relu", 0, local)), "reads local"
    yield chain(step("less", local, 1, 1), step("relu", local, 1)), "changes the dtype"
    yield chain(step("relu", unset, 1)), "too many local buffers, 8999"
    yield chain(Instr("sgd", 0, [local], [1, 1], UpdateStep(4))), "sgd updates a buffer of the body"
    yield chain(Instr("sgd", 0, [0], [1, local], UpdateStep(4))), "sgd reads its hyperparameters from a buffer"
    yield (*one_relu.lower(), [relu.lower()]), "relu: takes no body"
    yield gemm(False, 513, relu), "gemm: a product that is not kept needs"
    yield gemm(False, 5, relu, continues=True), "gemm: a product that is not kept needs"
    yield gemm(False, 5, relu, ends=False), "gemm: a product that is not kept needs"
    yield gemm(False, 5), "gemm: a product that is not kept needs"
    unknown = Instr("gemm", 0, [local, 0], [1, 2], one_matmul((3, 5), (5, 4)).gemm(), (), [relu])
    yield unknown.lower(), "gemm names slot -2 of 3"
    yield gemm(True, 5, step("less", PRODUCT, 1, 1)), "less takes the product"
    yield flat("relu", np.float32, PRODUCT, [1], 4).lower(), "relu names slot -1 of 3"
    inside, gradient = step("relu", PRODUCT, PRODUCT), step("relu_grad", PRODUCT, 0, PRODUCT)
    unfit = "gemm: its body does not begin with the marked steps; "
    yield gemm(True, 5, inside, relu_grad=True), unfit + "relu_grad"
    yield gemm(True, 5, gradient, inside, relu=True, relu_grad=True), unfit + "relu"
    yield gemm(True, 5, inside, relu=True, relu_grad=True), unfit + "relu_grad"
    yield gemm(True, 5, bias=True), unfit + "add"
    yield gemm(True, 5, relu, relu=True), unfit + "relu"
    yield gemm(True, 5, step("relu_grad", PRODUCT, PRODUCT, 1), relu_grad=True), unfit + "relu_grad"
    column = Instr("relu_grad", 0, [PRODUCT], [1, PRODUCT], MapStep(((4, 0), (4, 1)), 4))
    yield gemm(True, 5, column, relu_grad=True), unfit + "relu_grad"
    for operand in ((4, 1), (1, 0), (0, 0)):
        added = Instr("add", 0, [PRODUCT], [PRODUCT, 1], MapStep(((4, 1), operand), 4))
        yield gemm(True, 5, added, bias=True), unfit + "add"
    yield gemm(True, 5, step("add", PRODUCT, PRODUCT, PRODUCT), bias=True), unfit + "add"


@pytest.mark.parametrize(("code", "message"), list(rejected()))
def test_rejected(code: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _core.Program([(0, (3, 4)), (0, (3, 4)), (0, (3, 4))], [], [], [code])

"""Kernels on arrays directly before inaccessible pages: a read or write outside ends the process.

test_guard_pages.py runs elementwise, rows, update, matmul and fused each in a separate interpreter. Inputs are in
read-only pages; the memory around an output must be unchanged.
"""

import ctypes
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from cases.kernel_rows import KERNELS, Kernel
from chainrule import _core
from chainrule._ir.elementwise import MapStep, UpdateStep
from chainrule._ir.instruction import PRODUCT, Instr
from chainrule._ir.records import Attention, Recurrent
from chainrule.compiler.fuse import register_steps
from reference import ROWWISE, UPDATES, Update, bernoulli
from reference.bits import Array
from support import programs
from support.guarded_memory import PAGE, Output, Region
from support.variants import ISAS, force_level, force_threads

FLOATS = (np.float32, np.float64)
SIZES = range(1, 257)


def every_level() -> Iterator[str]:
    for isa in ISAS:
        force_level(isa)
        force_threads(1)
        yield isa


def elementwise(every: bool = False) -> int:
    """Every kernel, every size, at the end of the region and at 16 offsets from its start.

    Of sizes beyond 80, more than two rounds of the widest loop, at every fourth offset, unless `every`.
    """
    kernels = {kernel.name: kernel for kernel in KERNELS}.values()
    regions, output = [Region() for _ in range(3)], Output()
    return sum(_elementwise(kernel, dtype, regions, output, every) for kernel in kernels for dtype in FLOATS)


def _elementwise(kernel: Kernel, dtype: programs.Float, regions: list[Region], output: Output, every: bool) -> int:
    count = PAGE // np.dtype(dtype).itemsize
    values = kernel.ordinary([(count,)] * len(kernel.domain), dtype, seed=71)
    wanted = kernel.reference(*values)
    inputs = [region.fill(x) for region, x in zip(regions, values, strict=False)]
    results = output.bytes.view(wanted.dtype)
    code = [programs.CODE[x.dtype] for x in (results, *inputs)]
    slots, calls = list(range(len(code))), 0
    for isa in every_level():
        for n in SIZES:
            instr = programs.flat(kernel.name, dtype, slots[0], slots[1:], n, kernel.params)
            program = _core.Program([(c, (n,)) for c in code], [], [], [instr.lower()])
            for place in (-1, *(range(16) if every or n <= 80 else range(n % 4, 16, 4))):
                # One position in the result, and in each array its own: a bool array has more elements in its page.
                starts = [x.size - n if place < 0 else place for x in inputs]
                first = min(starts)
                out_start = results.size - n if place < 0 else place
                views = [x[s : s + n] for x, s in zip(inputs, starts, strict=True)]
                out = results[out_start : out_start + n]
                program(out, *views)
                expected = wanted[first : first + n] if place >= 0 else wanted[count - n :]
                output.check(out, expected.tobytes(), f"{kernel.name} on {isa}, {n} elements, place {place}")
                calls += 1
    return calls


Case = tuple[Callable[..., Array], list[Array], tuple[int, ...], npt.DTypeLike]


def row_cases(n: int, dtype: programs.Float) -> dict[str, Case]:
    """Every other family on rows of n elements: function, inputs, shape and dtype of the output."""
    rng = np.random.default_rng(n)

    def draw(*shape: int) -> Array:
        return rng.standard_normal(shape).astype(dtype)

    def index(high: int, count: int) -> Array:
        return rng.integers(0, high, count)

    other = np.float64 if dtype == np.float32 else np.float32
    rows = 1 + n % 3
    cases: dict[str, Case] = {}
    for name in ("sum", "max", "min", "argmax"):
        result = np.int64 if name == "argmax" else dtype
        cases[f"{name} rows"] = (partial(programs.reduce, name, axis=1), [draw(rows, n)], (rows,), result)
        cases[f"{name} columns"] = (partial(programs.reduce, name, axis=0), [draw(rows, n)], (n,), result)
        cases[f"{name} down"] = (partial(programs.reduce, name, axis=0), [draw(n, rows)], (rows,), result)
    for name in ROWWISE:
        cases[name] = (partial(programs.rowwise, name), [draw(rows, n)], (rows, n), dtype)
        cases[f"{name}_grad"] = (
            partial(programs.rowwise, f"{name}_grad"),
            [draw(rows, n), draw(rows, n)],
            (rows, n),
            dtype,
        )
        cases[f"{name} down"] = (partial(programs.rowwise, name), [draw(n, rows)], (n, rows), dtype)
    forms = ("rows", True, draw(rows, n)), ("columns", False, draw(rows, n)), ("lines", False, draw(2, rows, n))
    for name, by_rows, x in forms:
        number = (rows, 1) if by_rows else (x.shape[1],)
        pairs = (rows, 2) if by_rows else (2, x.shape[1])
        cases[f"moments {name}"] = (partial(programs.channels, "moments", by_rows), [x], pairs, dtype)
        sums = partial(programs.channels, "centred_sums", by_rows)
        cases[f"centred_sums {name}"] = (sums, [x, draw(*number), draw(*x.shape)], pairs, dtype)
    inputs = [draw(rows, n), draw(rows, 1), draw(rows, 1), draw(rows, n)]
    cases["row_norm_backward"] = (partial(programs.channels, "row_norm_backward", True), inputs, (rows, n), dtype)
    labels = index(n, rows)
    cases["cross_entropy"] = (programs.cross_entropy, [draw(rows, n), labels], (rows,), dtype)
    cases["cross_entropy_grad"] = (programs.cross_entropy_grad, [draw(rows, n), labels, draw(rows)], (rows, n), dtype)
    both = programs.cross_entropy_both
    cases["cross_entropy_both"] = (both, [draw(rows, n), labels, draw(rows)], (rows * n + rows,), dtype)
    cases["cross_entropy_both down"] = (both, [draw(n, rows), index(rows, n), draw(n)], (n * rows + n,), dtype)
    cases["copy"] = (programs.copy, [draw(rows, n)], (rows, n), dtype)
    cases["copy transposed"] = (lambda x, out: programs.copy(x.T, out), [draw(rows, n)], (n, rows), dtype)
    cases["cast"] = (lambda x, out: programs.cast(x, dtype, out), [draw(n).astype(other)], (n,), dtype)
    cases["take"] = (programs.take, [draw(n, rows), index(n, 5)], (5, rows), dtype)
    cases["take wide"] = (programs.take, [draw(rows, n), index(rows, 5)], (5, n), dtype)
    cases["index_add"] = (lambda g, i, out: programs.index_add(g, i, 4, out), [draw(5, n), index(4, 5)], (4, n), dtype)
    image = [draw(1, 1, 3, n)]
    for step in (1, 2):
        window = {"kernel": (2, 1 + n % min(n, 3)), "padding": (0, 1), "stride": (1, step)}
        columns, pooled = programs.unfold(image[0], **window), programs.max_pool(image[0], **window)
        cases[f"unfold {step}"] = (partial(programs.unfold, **window), image, columns.shape, dtype)
        folded = partial(programs.fold, image=(3, n), **window)
        cases[f"fold {step}"] = (folded, [draw(*columns.shape)], image[0].shape, dtype)
        cases[f"max_pool {step}"] = (partial(programs.max_pool, **window), image, pooled.shape, dtype)
        grad, given = partial(programs.max_pool_grad, **window), [image[0], draw(*pooled.shape)]
        cases[f"max_pool_grad {step}"] = (grad, given, image[0].shape, dtype)
    twos, given = {"kernel": (2, 2), "stride": (2, 2)}, [draw(1, 1, 3, n + 1), draw(1, 1, 1, (n + 1) // 2)]
    cases["max_pool_grad of quarters"] = (partial(programs.max_pool_grad, **twos), given, given[0].shape, dtype)
    if n <= 24:  # larger arrays exceed the regions
        cases |= sequence_cases(rows, n, draw, dtype)
    batches = [draw(2, rows, n), draw(2, 3, n)]
    cases["matmul_accumulate"] = (programs.matmul_accumulate, batches, (rows, 3), dtype)
    cases["matmul_accumulate down"] = (programs.matmul_accumulate, [draw(2, n, rows), draw(2, 3, rows)], (n, 3), dtype)
    for name, entry in (("uniform", _core.uniform), ("normal", _core.normal)):
        cases[name] = (lambda out, entry=entry: (entry(5, 6, out, -1.0, 2.0), out)[1], [], (n,), dtype)
    return cases


def sequence_cases(rows: int, n: int, draw: Callable[..., Array], dtype: programs.Float) -> dict[str, Case]:
    """Recurrences of n units over two steps, self-attention over n steps, and their gradients."""
    cases: dict[str, Case] = {}
    state = [draw(rows, n), draw(rows, n)]
    kinds = {"rnn_tanh": (1, 1, []), "gru": (3, 5, [draw(n)]), "lstm": (4, 7, [state[0]])}
    for name, (gates, planes, more) in kinds.items():
        record, size = Recurrent(2, rows, n, False, True), 2 * rows * n
        weight = draw(n, gates * n)
        cases[name] = (
            partial(programs.sequence, name, record, [planes * size]),
            [draw(2, rows, gates * n), state[1], weight, *more],
            (planes * size,),
            dtype,
        )
        gradients = [size * gates * (2 if name == "gru" else 1), rows * n, rows * n]
        cases[f"{name}_grad"] = (
            partial(programs.sequence, f"{name}_grad", record, gradients),
            [
                draw(planes * size),
                draw(2, rows, n),
                draw(gates * n, n),
                *{"gru": state[:1], "lstm": state}.get(name, []),
            ],
            (sum(gradients),),
            dtype,
        )
    attention, packed = Attention(2, n, 2, rows, True, 0, 0, n, False), [draw(2, n, 6 * rows), draw(n, n)]
    planes = 4 * n * rows + 4 * n * n
    heads = partial(programs.sequence, reals=[0.5])
    cases["attention"] = (partial(heads, "attention", attention, [planes]), packed, (planes,), dtype)
    given = [draw(planes), draw(2, n, 2 * rows), *packed]
    gradient = partial(heads, "attention_grad", attention, [12 * n * rows])
    cases["attention_grad"] = (gradient, given, (12 * n * rows,), dtype)
    return cases


def rows() -> int:
    """Reductions, softmax, losses, copies, gathers and draws, against the end and behind the beginning."""
    regions, output, calls = [Region(8) for _ in range(5)], Output(8), 0
    for dtype in FLOATS:
        for n in SIZES:
            for name, (function, values, shape, result) in row_cases(n, dtype).items():
                expected = function(*values, out=programs.blank(shape, result)).tobytes()
                for isa in every_level():
                    for place in (None, 0, n * 7 % 16):
                        inputs = [r.put(x, place) for r, x in zip(regions, values, strict=False)]
                        out = output.array(shape, result, place)
                        function(*inputs, out=out)
                        output.check(out, expected, f"{name} on {isa}, {n} elements, place {place}")
                        calls += 1
    return calls


def update() -> int:
    """Every optimizer's step with every number of states, and masks."""
    gradient, outputs = Region(), [Output() for _ in range(4)]
    variants = [(name, n, row) for name, row in UPDATES.items() for n in row.states]
    calls = sum(_update(*variant, gradient, outputs) for variant in [*variants, ("sgd", 0, UPDATES["sgd"])])
    for isa in every_level():
        for dtype, n, place in product(FLOATS, SIZES[:140], (None, *range(16))):
            out = outputs[0].array((n,), dtype, place)
            _core.bernoulli(5, 6, out, 0.3, 1.5)
            expected = bernoulli(5, 6, (n,), 0.3, 1.5, dtype).tobytes()
            outputs[0].check(out, expected, f"bernoulli on {isa}, {n} elements, place {place}")
            calls += 1
    return calls


def _update(name: str, states: int, row: Update, gradient: Region, outputs: list[Output]) -> int:
    calls, numbers = 0, np.array([*row.hyperparameters[1], 0.0] if states else [0.1, 0.0, 0.01, 0.0, 0.0])
    for isa in every_level():
        for dtype, n in product(FLOATS, SIZES[:140]):
            values = np.abs(np.random.default_rng(n).standard_normal((2 + states, n)).astype(dtype))
            expected = values.copy()
            clocks = [np.array(row.advanced(row.start, numbers)) if row.step_state else None for _ in range(18)]
            _core.update_step(name, expected[0], expected[1], tuple(expected[2:]), numbers, clocks[17])
            for place in (None, *range(16)):
                got = [output.array((n,), dtype, place) for output in outputs[: 1 + states]]
                for out, value in zip(got, (values[0], *values[2:]), strict=True):
                    out[:] = value
                _core.update_step(
                    name, got[0], gradient.put(values[1], place), tuple(got[1:]), numbers, clocks[calls % 17]
                )
                for output, out, wanted in zip(outputs, got, (expected[0], *expected[2:]), strict=False):
                    output.check(out, wanted.tobytes(), f"{name} on {isa}, {n} elements, place {place}")
                calls += 1
    return calls


SMALL = (1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 33)


def matmul_shapes() -> list[tuple[int, int, int]]:
    """All small (m, n, k), and every size to 256 along each axis."""
    shapes = [(m, n, k) for m in SMALL for n in SMALL for k in SMALL]
    for size in SIZES:
        shapes += [(1, size, 3), (size, 1, 3), (3, 2, size), (size, 5, 2), (5, size, 4), (13, size, 2)]
    return shapes


TRANSPOSITIONS = [(a, b, 0) for a in (False, True) for b in (False, True)] + [(False, False, 3), (True, True, 1)]
Operand = tuple[int, int, int]  # address, row stride, column stride


def matmul() -> int:
    """All transpositions, dense and with gaps between rows, through the C entry."""
    entry = ctypes.CDLL(_core.__file__).chainrule_matmul
    i64, pointer = ctypes.c_int64, ctypes.c_void_p
    entry.argtypes = [ctypes.c_int, i64, i64, i64, pointer, i64, i64, pointer, i64, i64, pointer, i64]
    data, regions, output, calls = np.random.default_rng(72).standard_normal(PAGE), [Region(5), Region(5)], Output(7), 0
    for dtype in FLOATS:
        for region in regions:
            region.fill(data.astype(dtype))
        for isa in every_level():
            for m, n, k in matmul_shapes():
                for transposed_a, transposed_b, gap in TRANSPOSITIONS:
                    for place in (None, (m + n + k) % 16):
                        a = operand(regions[0], m, k, transposed_a, gap, dtype, place)
                        b = operand(regions[1], k, n, transposed_b, gap, dtype, place)
                        flat = output.array((m * (n + gap) - gap,), dtype, place)
                        assert entry(dtype == np.float64, m, n, k, *a, *b, flat.ctypes.data, n + gap) == 0
                        c = flat.reshape(m, n) if gap == 0 else rows_of(flat, m, n, gap)
                        what = f"matmul on {isa}, m={m} n={n} k={k}, a {transposed_a}, b {transposed_b}, gap {gap}"
                        output.check_view(c, what)
                        calls += 1
    return calls


def operand(
    region: Region, rows: int, columns: int, transposed: bool, gap: int, dtype: programs.Float, place: int | None
) -> Operand:
    """A matrix at the end of the region, or at an offset from its start; `gap` unused elements between its rows."""
    lines, length = (columns, rows) if transposed else (rows, columns)
    size, stride = np.dtype(dtype).itemsize, length + gap
    address = region.begin + (region.size - (lines * stride - gap) * size if place is None else place * size)
    return (address, 1, stride) if transposed else (address, stride, 1)


def rows_of(flat: Array, rows: int, columns: int, gap: int) -> Array:
    """The rows of a matrix with gaps between them."""
    return np.lib.stride_tricks.as_strided(flat, (rows, columns), ((columns + gap) * flat.itemsize, flat.itemsize))


def fused_bodies(code: int, n: int) -> dict[str, tuple[bool, list[str], list[str], list[Instr]]]:
    """Whether the product is stored, outputs and inputs after c, a and b, and steps; slots: c p v a b row y hyper."""
    matrix, row_vector = (n, 1), (0, 1)
    p, v, row, y, hyper = 1, 2, 5, 6, 7
    mask, kept = PRODUCT - 1, PRODUCT - 2

    def step(name: str, out: int, *operands: tuple[int, tuple[int, int]]) -> Instr:
        record = MapStep(tuple(strides for _, strides in operands), n)
        return Instr(name, code, [out], [at for at, _ in operands], record)

    c = (PRODUCT, matrix)
    return {
        "bias relu": (
            True,
            [],
            ["row"],
            [step("add", PRODUCT, c, (row, row_vector)), step("relu", PRODUCT, c)],
        ),
        "mask": (True, [], ["y"], [step("relu_grad", PRODUCT, (y, matrix), c)]),
        "locals": (
            False,
            ["p"],
            ["row", "y"],
            [
                step("less", mask, c, (row, row_vector)),
                step("where", kept, (mask, matrix), c, (y, matrix)),
                step("sub", p, (kept, matrix), (y, matrix)),
            ],
        ),
        "sgd": (False, ["p", "v"], ["hyper"], [Instr("sgd", code, [p, v], [PRODUCT, hyper], UpdateStep(n))]),
    }


NAMES = ("c", "p", "v", "a", "b", "row", "y", "hyper")


def fused_program(
    dtype: programs.Float, m: int, n: int, k: int, transposed: tuple[bool, bool], body: str
) -> tuple[Any, list[str]]:
    """A gemm with this body over the arrays it uses, in the order of their names."""
    code = programs.CODE[np.dtype(dtype)]
    keep, outputs, inputs, steps = fused_bodies(code, n)[body]
    used = [name for name in NAMES if name in (*(["c"] if keep else []), *outputs, "a", "b", *inputs)]
    slot = {NAMES.index(name): i for i, name in enumerate(used)}
    shapes = (k, m) if transposed[0] else (m, k), (n, k) if transposed[1] else (k, n)
    record = programs.one_matmul(*shapes, transposed).gemm(*register_steps(steps, m))
    to = [NAMES.index(name) for name in (*(["c"] if keep else []), *outputs)]
    of = [NAMES.index(name) for name in ("a", "b", *inputs)]
    instr = Instr("gemm", code, to, of, record, (), steps, stores_product=keep)
    spec = [(programs.CODE[np.dtype(d)], s) for s, d in (fused_shape(name, dtype, m, n, k) for name in used)]
    return _core.Program(spec, [], [], [instr.lower(slot)]), used


def fused_shape(name: str, dtype: programs.Float, m: int, n: int, k: int) -> tuple[tuple[int], npt.DTypeLike]:
    """Number of elements (all are flat here) and dtype."""
    counts = {"a": m * k, "b": k * n, "row": n, "hyper": 5}
    return (counts.get(name, m * n),), np.float64 if name == "hyper" else dtype


def fused() -> int:
    """Products with bodies: in registers, in the buffer of the epilogue, in place."""
    outputs, inputs, calls = [Output(7) for _ in range(3)], [Region(7) for _ in range(5)], 0
    shapes = [(m, n, k) for m in SMALL for n in SMALL for k in (1, 2, 5, 16)]
    shapes += [(1, size, 2) for size in SIZES] + [(size, 1, 3) for size in SIZES] + [(13, 150, 3), (40, 70, 9)]
    for dtype in FLOATS:
        for i, (m, n, k) in enumerate(shapes):
            transposed = (i % 2 == 1, i // 2 % 2 == 1)
            rng = np.random.default_rng(i)
            for body in fused_bodies(0, n):
                force_level(ISAS[-1])
                program, used = fused_program(dtype, m, n, k, transposed, body)
                values = {
                    name: np.asarray([0.1, 0.9, 0.0, 0.0, 0.0])
                    if name == "hyper"
                    else rng.standard_normal(shape).astype(d)
                    for name in used
                    for shape, d in [fused_shape(name, dtype, m, n, k)]
                }
                expected = {name: x.copy() for name, x in values.items()}
                program(*expected.values())
                for isa in every_level():
                    program, _ = fused_program(dtype, m, n, k, transposed, body)
                    for place in (None, (m + n + k) % 16):
                        arrays = {}
                        for name, x in values.items():
                            at = NAMES.index(name)
                            if at < len(outputs):
                                arrays[name] = outputs[at].array(x.shape, x.dtype, place)
                                arrays[name][:] = x
                            else:
                                arrays[name] = inputs[at - len(outputs)].put(x, place)
                        program(*arrays.values())
                        for name in set(used) & set(NAMES[: len(outputs)]):
                            what = f"{name} of {body} on {isa}, m={m} n={n} k={k}, {transposed}, place {place}"
                            outputs[NAMES.index(name)].check(arrays[name], expected[name].tobytes(), what)
                        calls += 1
    return calls


def overread() -> int:
    """Check of the guards: an access one element too far."""
    return ctypes.c_uint8.from_address(Region().begin + PAGE).value


def write_to_input() -> int:
    """Inputs cannot be written."""
    region = Region()
    region.fill(np.ones(3, np.float32))
    ctypes.c_uint8.from_address(region.begin).value = 1
    return 0

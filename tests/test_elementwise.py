"""Every elementwise kernel has the reference's bits: all lengths, strides, levels and numbers of threads."""

import itertools
from typing import Any

import numpy as np
import pytest

from cases.kernel_rows import KERNELS, Kernel, label
from chainrule import _core
from reference import assert_same_bits, special_values, ulp_error
from reference.elementary import NUMPY64
from support.programs import Float, blank, elementwise, level
from support.variants import every_setting

FLOATS = (np.float32, np.float64)
each_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=label)
each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=label)


@each_kernel
@each_dtype
def test_any_bits(kernel: Kernel, dtype: Float) -> None:
    inputs = kernel.bits(3001, dtype, seed=11)
    expected = kernel.reference(*inputs)
    for setting in every_setting():
        assert_same_bits(kernel.run(*inputs), expected, setting)


@each_kernel
@each_dtype
def test_every_pair_of_special_values(kernel: Kernel, dtype: Float) -> None:
    special = [np.asarray([False, True]) if d is None else special_values(dtype) for d in kernel.domain]
    inputs = [grid.ravel() for grid in np.meshgrid(*special)]
    expected = kernel.reference(*inputs)
    for setting in every_setting(threads=(1, 3)):
        assert_same_bits(kernel.run(*inputs), expected, setting)


@each_kernel
@each_dtype
def test_every_length_and_step(kernel: Kernel, dtype: Float) -> None:
    full = kernel.ordinary([(67,)] * len(kernel.domain), dtype, seed=12)
    cases = []
    for n, steps in itertools.product(range(68), itertools.product((0, 1), repeat=len(full))):
        inputs = [x[:n] if step else x[n - 1 :][:1] for x, step in zip(full, steps, strict=True)]
        if any(steps):
            cases.append((inputs, kernel.reference(*inputs)))
    for setting in every_setting(threads=(1,)):
        for inputs, expected in cases:
            assert_same_bits(kernel.run(*inputs), expected, setting)


SHAPES: list[list[tuple[int, ...]]] = [
    [(), (), ()],
    [(5, 7), (5, 7), (5, 7)],
    [(5, 7), (7,), ()],
    [(5, 1), (1, 7), (5, 7)],
    [(), (4, 3), (3,)],
    [(3, 1, 5), (4, 1), (1, 1, 5)],
    [(2, 3, 1, 17), (3, 4, 17), (1, 4, 1)],
    [(300, 3), (1, 3), (300, 1)],
    [(2, 2500), (2500,), (2, 1)],
    [(0, 3), (1, 3), (3,)],
    [(4, 0), (1,), (4, 1)],
]


@each_kernel
@each_dtype
def test_broadcasting(kernel: Kernel, dtype: Float) -> None:
    cases = [kernel.ordinary(shapes[: len(kernel.domain)], dtype, seed=13) for shapes in SHAPES]
    expected = [kernel.reference(*inputs) for inputs in cases]
    for setting in every_setting():
        for inputs, result in zip(cases, expected, strict=True):
            assert_same_bits(kernel.run(*inputs), result, f"{setting}, {[x.shape for x in inputs]}")


@each_kernel
@each_dtype
def test_onto_an_input(kernel: Kernel, dtype: Float) -> None:
    inputs = kernel.ordinary([(1037,)] * len(kernel.domain), dtype, seed=14)
    expected = kernel.reference(*inputs)
    for setting in every_setting(threads=(1, 3)):
        for place, x in enumerate(inputs):
            if x.dtype == expected.dtype:
                changed = [y.copy() for y in inputs]
                kernel.run(*changed, out=changed[place])
                assert_same_bits(changed[place], expected, f"{setting}, onto input {place}")


@each_dtype
@pytest.mark.parametrize("name", ["exp", "relu", "sub", "tanh_grad"])
def test_direct_entries_equal_programs(name: str, dtype: Float) -> None:
    kernel = next(k for k in KERNELS if k.name == name)
    inputs = kernel.ordinary([(3, 41)] * len(kernel.domain), dtype, seed=15)
    out = blank((3, 41), dtype)
    entry: Any = _core.unary if len(inputs) == 1 else _core.binary
    for setting in every_setting():
        entry(name, *inputs, out)
        assert_same_bits(out, kernel.reference(*inputs), setting)


@pytest.mark.parametrize("name", NUMPY64)
def test_float32_functions_are_correctly_rounded_over_all_magnitudes(name: str) -> None:
    kernel = next(k for k in KERNELS if k.name == name)
    rng = np.random.default_rng(16)
    lower, upper = kernel.domain[0] or (0, 0)
    dense = rng.uniform(lower, upper, 60_000).astype(np.float32)
    inputs = np.concatenate([kernel.bits(60_000, np.float32, seed=17)[0], dense])
    expected = kernel.reference(inputs)
    for setting in every_setting(threads=(1,)):
        assert_same_bits(kernel.run(inputs), expected, setting)


@pytest.mark.parametrize("name", NUMPY64)
def test_float64_functions_are_within_one_ulp(name: str) -> None:
    kernel = next(k for k in KERNELS if k.name == name)
    rng = np.random.default_rng(18)
    near_zero = np.ldexp(rng.uniform(0.5, 1, 500), rng.integers(-60, 4, 500)) * rng.choice([-1, 1], 500)
    around_one = 1 + np.ldexp(rng.uniform(-1, 1, 300), rng.integers(-52, -1, 300))
    wide = rng.uniform(-750, 750, 300)
    inputs = np.concatenate(
        [*kernel.ordinary([(700,)], np.float64, seed=19), near_zero, around_one, wide, special_values(np.float64)]
    )
    with level("scalar"):
        result = elementwise(name, inputs)
    error = ulp_error(name, inputs, result)
    worst = int(error.argmax())
    assert error[worst] <= 1, f"{name}({inputs[worst].hex()}) = {result[worst].hex()}: {error[worst]} ULP"

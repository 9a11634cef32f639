"""The caller's floating-point mode changes no bit on any thread and is restored after every call."""

import ctypes
import itertools
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest

import native
from cases.kernel_rows import KERNELS
from chainrule import _core
from reference import ROWWISE, UPDATES, assert_same_bits, special_values
from reference.bits import Array
from support import fresh_interpreter as fresh
from support import short_training as training
from support.programs import (
    cast,
    cross_entropy,
    cross_entropy_both,
    cross_entropy_grad,
    fold,
    index_add,
    matmul,
    matmul_accumulate,
    normal,
    reduce,
    rowwise,
    uniform,
)
from support.variants import force_threads

pytestmark = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="sets the MXCSR of x86-64")

DEFAULT = 0x1F80  # exceptions masked, round to nearest, no flushing
FLAGS = 0x3F  # sticky: what happened, not how to compute
ROUNDING = {"nearest": 0x0000, "down": 0x2000, "up": 0x4000, "zero": 0x6000}
FTZ, DAZ = 0x8000, 0x0040
MODES = {
    f"{name}{'-ftz' if ftz else ''}{'-daz' if daz else ''}": DEFAULT | rounding | ftz | daz
    for (name, rounding), ftz, daz in itertools.product(ROUNDING.items(), (0, FTZ), (0, DAZ))
}
TRAPPING = DEFAULT & ~(0x0080 | 0x0200 | 0x0400)  # invalid operation, division by zero and overflow raise SIGFPE
each_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())


def helper() -> ctypes.CDLL:
    """fp_mode.c."""
    return native.library("fp_mode", "-fopenmp")


@contextmanager
def nondefault_fp_mode(mode: int) -> Iterator[None]:
    """The block runs under `mode`; at its end that mode must still be set."""
    helper().set_mode(mode)
    try:
        yield
        after = helper().get_mode() & 0xFFFF
    finally:
        helper().set_mode(DEFAULT)
    assert after & ~FLAGS == mode, f"mode {mode:#06x} became {after:#06x}"


@each_mode
def test_the_modes_change_arithmetic(mode: int) -> None:
    out = np.zeros(4, np.float32)
    with nondefault_fp_mode(mode):
        helper().probe(out.ctypes.data_as(ctypes.c_void_p))
    rounded_up, rounded_down, tiny, scaled = (float(x) for x in out)
    rounding = mode & 0x6000
    assert (rounded_up > 1) == (rounding == ROUNDING["up"])
    assert (rounded_down < -1) == (rounding == ROUNDING["down"])
    assert (tiny == 0) == bool(mode & FTZ)
    assert (scaled == 0) == bool(mode & DAZ)


def values(shape: tuple[int, ...], dtype: type[np.floating], seed: int) -> Array:
    """Ordinary values, every fifth one subnormal or nearly so."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    tiny = np.finfo(dtype).smallest_normal
    return np.where(rng.random(shape) < 0.2, x * float(tiny), x).astype(dtype)


def all_kernels(dtype: type[np.floating]) -> dict[str, Callable[[], Array]]:
    """A run of every kernel whose results rounding or flushing would change."""
    a, b, g = values((13, 29), dtype, 1), values((29, 21), dtype, 2), values((13, 29), dtype, 3)
    x = np.concatenate([values((301,), dtype, 4), special_values(dtype)])
    labels = np.arange(13) * 2
    with np.errstate(over="ignore"):
        other = x.astype(np.float64 if dtype == np.float32 else np.float32)
    runs: dict[str, Callable[[], Array]] = {
        "matmul": lambda: matmul(a, b),
        "matmul transposed": lambda: matmul(b.T, a.T),
        "sum of rows": lambda: reduce("sum", a, 1),
        "sum of columns": lambda: reduce("sum", a, 0),
        "max": lambda: reduce("max", a, 1),
        "argmax": lambda: reduce("argmax", a, 1),
        **{name: partial(rowwise, name, a) for name in ROWWISE},
        **{f"{name}_grad": partial(rowwise, f"{name}_grad", a, g) for name in ROWWISE},
        "cross_entropy": lambda: cross_entropy(a, labels),
        "cross_entropy_grad": lambda: cross_entropy_grad(a, labels, g[:, 0].copy()),
        "cross_entropy_both": lambda: cross_entropy_both(a, labels, g[:, 0].copy()),
        "uniform": lambda: uniform(5, 6, 301, dtype, -0.3, 0.7),
        "normal": lambda: normal(5, 6, 301, dtype, 0.1, 0.3),
        "cast": lambda: cast(other, dtype),
        "cast of int": lambda: cast(np.arange(2**53 + 1, 2**53 + 90), dtype),
        "index_add": lambda: index_add(a, np.arange(13) % 4, 5),
        "fold": lambda: fold(g.reshape(1, 13, 29)[:, :12].copy(), (2, 31), (2, 3)),
        "matmul_accumulate": lambda: matmul_accumulate(a.reshape(1, 13, 29), g.reshape(1, 13, 29)),
    }
    for name, row in UPDATES.items():
        for numbers in row.hyperparameters:
            clock = np.array(row.advanced(row.start, numbers))
            arrays = [a, *(abs(a) * dtype(0.5 + i) for i in range(row.states[-1]))]
            runs[f"{name} {numbers}"] = partial(updated, name, arrays, np.array([*numbers, 0.0]), g, clock)
    for number, kernel in enumerate(KERNELS):
        inputs = [values((301,), dtype, 10 + i) if d is not None else x[:301] > 0 for i, d in enumerate(kernel.domain)]
        runs[f"{kernel.name} {number}"] = partial(kernel.run, *inputs)
    return runs


def updated(name: str, arrays: list[Array], numbers: Array, g: Array, start: Array) -> Array:
    """p, states and clock after an optimizer's step, in one array."""
    made, clock = [x.copy() for x in arrays], start.copy()
    _core.update_step(name, made[0], g, tuple(made[1:]), numbers, clock if clock.size else None)
    _core.advance([clock] if clock.size else [], numbers)
    return np.concatenate([*(x.ravel() for x in made), clock.view(g.dtype)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("threads", [1, 2])
def test_no_kernel_sees_the_mode(
    isa: str, threads: int, dtype: type[np.floating], record_property: Callable[[str, object], None]
) -> None:
    force_threads(threads)
    runs = all_kernels(dtype)
    expected = {name: run() for name, run in runs.items()}
    for words, mode in {**MODES, "trapping": TRAPPING}.items():
        for name, run in runs.items():
            with nondefault_fp_mode(mode):
                result = run()
            assert_same_bits(result, expected[name], f"{name} under {words}")
    record_property("environments", len(MODES))


@pytest.mark.parametrize("threads", [1, 2])
def test_training_does_not_see_the_mode(threads: int) -> None:
    force_threads(threads)
    expected = training.digest()
    for words, mode in MODES.items():
        with nondefault_fp_mode(mode):
            found = training.digest()
        assert found == expected, words


def start_pool_in_mode(mode: int) -> None:
    """In a fresh process: the threads of the pool are born under `mode`, see nothing of it and keep it."""
    runs = all_kernels(np.float32)
    with nondefault_fp_mode(mode):
        force_threads(2)
        found = {name: run() for name, run in runs.items()}
        modes = np.zeros(2, np.uint32)
        assert helper().worker_modes(2, modes.ctypes.data_as(ctypes.c_void_p)) == 2
        assert [int(m) & 0xFFFF & ~FLAGS for m in modes] == [mode, mode]
    force_threads(1)
    for name, run in runs.items():
        assert_same_bits(found[name], run(), name)


@pytest.mark.parametrize("mode", ["down", "up-ftz", "zero-ftz-daz", "nearest-daz"])
def test_worker_threads_do_not_see_the_mode_they_were_born_in(mode: str) -> None:
    fresh.output(f"import test_fp_modes; test_fp_modes.start_pool_in_mode({MODES[mode]})")

"""The optimizers' in-place update kernels have the reference's bits with every number of states and every option."""

import itertools
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import pytest

from cases.kernel_rows import label
from chainrule import _core
from chainrule._ir.elementwise import Update
from chainrule._ir.instruction import Instr, flops
from chainrule._ir.records import Advance
from reference import UPDATES, assert_same_bits, special_values
from reference.bits import Array
from support.programs import Float, execute
from support.variants import every_setting

FLOATS = (np.float32, np.float64)
each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=label)
each_update = pytest.mark.parametrize("name", UPDATES)
SIZES = (0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 257, 1023, 3001)


def test_every_update_has_a_reference() -> None:
    assert set(_core.update_names()) == set(UPDATES), "add a row to tests/reference/updates.py"
    assert [name for name in UPDATES if flops(Instr(name, 0, [0], [1, 2], Update(10))) < 40] == []


def values(n: int, dtype: Float, seed: int, states: int) -> list[Array]:
    """p, g and states; squares are positive."""
    rng = np.random.default_rng(seed)
    found = [np.ldexp(rng.standard_normal(n), rng.integers(-12, 4, n)).astype(dtype) for _ in range(2 + states)]
    return [*found[:2], *[np.abs(s) for s in found[2:]]]


@lru_cache(maxsize=512)
def _expected(
    name: str, dtype: str, arrays: tuple[bytes, ...], numbers: tuple[float, ...], clock: tuple[float, ...]
) -> tuple[Array, Sequence[Array]]:
    """The reference's step, once for all settings: emulating fma takes it most of the time of these tests."""
    p, g, *states = (np.frombuffer(x, dtype) for x in arrays)
    return UPDATES[name].step(p, g, states, numbers, clock)


def compare(
    name: str, arrays: Sequence[Array], numbers: Sequence[float], clock: Sequence[float], what: str
) -> list[Array]:
    """Compare a step of the active level with the reference; g must be unchanged. Returns p and the new states."""
    p, g, *states = arrays
    read = tuple(x.tobytes() for x in arrays)
    expected_p, expected_states = _expected(name, p.dtype.str, read, tuple(numbers), tuple(clock))
    got = [x.copy() for x in arrays]
    time = np.array(clock) if UPDATES[name].step_state else None
    hyperparameters = np.array([*numbers, 0.0])
    _core.update_step(name, got[0], got[1], tuple(got[2:]), hyperparameters, time)
    _core.advance([] if time is None else [time], hyperparameters, name if UPDATES[name].advance else "")
    what = f"{name}, {what}, numbers {numbers}, clock {clock}, {p.size} elements"
    assert_same_bits(got[0], expected_p, f"p, {what}")
    assert_same_bits(got[1], g, f"g, {what}")
    for i, (state, expected) in enumerate(zip(got[2:], expected_states or states, strict=True)):
        assert_same_bits(state, expected, f"state {i}, {what}")
    if time is not None:
        assert time.tolist() == UPDATES[name].advanced(clock, numbers), what
    return [got[0], *got[2:]]


def variants(name: str) -> Iterator[tuple[int, tuple[float, ...], list[float]]]:
    """Combinations of states, hyperparameters and step states."""
    row = UPDATES[name]
    clocks = [[], [0.0], [7.0]][1 if row.step_state == 1 else 0 : 3 if row.step_state == 1 else 1]
    if row.step_state == 3:
        clocks = [row.start, [3.0, 0.5, 0.9]]
    if row.step_state == 2:
        clocks = [row.start, [3.0, 0.5]]
    clocks = [list(clock) for clock in row.clocks] or clocks
    yield from itertools.product(row.states, row.hyperparameters, clocks)


@each_dtype
@each_update
def test_options(name: str, dtype: Float) -> None:
    for n in SIZES:
        for states, numbers, clock in variants(name):
            arrays = values(n, dtype, 61 + n, states)
            for setting in every_setting():
                compare(name, arrays, numbers, clock, setting)


def step_by_rows(
    name: str, arrays: Sequence[Array], numbers: Sequence[float], clock: Sequence[float], index: Array
) -> list[Array]:
    """p and states after a step of the rows that an index names; rows whose gradient is 0 stay."""
    p, g, *states = [x.copy() for x in arrays]
    for row, at in zip(g, index, strict=True):
        if at >= 0 and row.any():
            p[at], new = UPDATES[name].step(p[at], row, [s[at] for s in states], numbers, clock)
            for s, value in zip(states, new, strict=False):
                s[at] = value
    return [p, *states]


def rows_with_zeros(name: str, dtype: Float) -> Iterator[tuple[str, list[Array], tuple[float, ...], list[float]]]:
    """Arrays of nine rows, of which the gradient of some is 0; what they are, hyperparameters and step states."""
    for n in (1, 5, 16, 35):
        for states, numbers, clock in variants(name):
            arrays = [x.reshape(9, n) for x in values(9 * n, dtype, 5 + n, states)]
            arrays[1][[2, 5]] = 0
            arrays[1][3] = -0.0
            arrays[1][4] = [*[0.0] * (n - 1), np.nan]
            yield f"{name}, rows of {n}, numbers {numbers}, clock {clock}", arrays, numbers, clock


@each_dtype
@each_update
def test_rows_without_gradient_stay(name: str, dtype: Float) -> None:
    """Of the whole array, and of the rows that an index names."""
    rng = np.random.default_rng(7)
    for what, arrays, numbers, clock in rows_with_zeros(name, dtype):
        n = arrays[0].shape[1]
        index = np.array([*rng.permutation(9)[:6], -1])
        chosen = [arrays[0], arrays[1][2:], *arrays[2:]]
        whole = step_by_rows(name, arrays, numbers, clock, np.arange(9))
        by_index = step_by_rows(name, chosen, numbers, clock, index)
        time = np.array(clock) if UPDATES[name].step_state else None
        options = np.array([*numbers, 0.0])
        for setting in every_setting():
            got = [x.copy() for x in arrays]
            _core.update_step(name, got[0], got[1], tuple(got[2:]), options, time, n)
            for a, b in zip([got[0], *got[2:]], whole, strict=True):
                assert_same_bits(a, b, f"{what}, {setting}")
            outs = [arrays[0].copy(), *[s.copy() for s in arrays[2:]]]
            inputs = [chosen[1], options, *([] if time is None else [time]), index]
            execute(name, dtype, outs, inputs, Update(7 * n, n))
            for a, b in zip(outs, by_index, strict=True):
                assert_same_bits(a, b, f"{what}, {setting}, by index")


def test_rows_must_be_whole() -> None:
    p, g, numbers = np.ones((3, 4)), np.ones((3, 4)), np.zeros(5)
    for size in (5, -1):
        with pytest.raises(ValueError, match="sgd: expected whole rows, or a row size of 0"):
            _core.update_step("sgd", p, g, (), numbers, None, size)


@each_dtype
def test_sgd_without_momentum(dtype: Float) -> None:
    """With and without a buffer, which then stays."""
    for setting in every_setting(threads=(1, 2)):
        for states, decay, n in itertools.product((0, 1), (0.0, 0.003), (37, 1023)):
            compare("sgd", values(n, dtype, 62, states), (0.1, 0.0, decay, 0.0), [], setting)


@each_dtype
@each_update
def test_special_values(name: str, dtype: Float) -> None:
    special = special_values(dtype)
    cube = [x.ravel() for x in np.meshgrid(special, special, special)]
    for states, numbers, clock in variants(name):
        rolled = [np.roll(cube[2], 7 * i) for i in range(1, states)]
        for setting in every_setting(threads=(1, 2)):
            compare(name, [*cube[: 2 + states], *rolled][: 2 + states], numbers, clock, setting)


@each_dtype
def test_hyper_parameters_are_rounded_once(dtype: Float) -> None:
    """A hyperparameter that rounds to zero in the arrays' dtype is zero: its factor may be infinite."""
    tiny = 1e-60 if dtype == np.float32 else 5e-324
    p, g, v = values(100, dtype, seed=63, states=1)
    p[::7], v[::5] = np.inf, -np.inf
    for setting in every_setting(threads=(1,)):
        for lr, momentum, decay in [(1 / 3, 0.1, 1 / 7), (1e-40, 0.7, 1e-42), (0.1, 0.9, tiny), (0.1, tiny, 0.0)]:
            compare("sgd", [p, g, v], (lr, momentum, decay, 0.0), [], setting)
        for name in ("adam", "adamw"):
            compare(name, [p, g, v, abs(v)], (1 / 3, 0.1, 1 / 7, 1e-42, tiny, 0.0), [2.0, 0.3, 0.7], setting)
        compare("rmsprop", [p, g, abs(v), v], (1 / 3, 0.1, 1e-42, tiny, tiny), [], setting)
        compare("adagrad", [p, g, abs(v)], (1 / 3, 0.1, tiny, 1e-42), [2.0], setting)


@each_dtype
def test_a_centered_average_of_equal_gradients_has_a_root(dtype: Float) -> None:
    """The average of squares less the square of the average: rounding must not make it negative."""
    g = np.random.default_rng(1).standard_normal(500).astype(dtype)
    p, s, a = g * 3, np.zeros_like(g), np.zeros_like(g)
    for _ in range(60):
        p, s, a = compare("rmsprop_centered", [p, g, s, a], (0.001, 0.5, 1e-3, 0.0, 0.0), [], "equal gradients")
    assert np.isfinite(p).all()
    assert (s - a * a < 0).any()


@each_dtype
@each_update
def test_many_steps(name: str, dtype: Float) -> None:
    row = UPDATES[name]
    for states, numbers in itertools.product(row.states, row.hyperparameters[1:2]):
        start = values(300, dtype, 64, states)
        for setting in every_setting(threads=(1, 2)):
            arrays, clock = [start[0], *start[2:]], row.start
            for step in range(20):
                g = values(300, dtype, 65 + step, 0)[1]
                arrays = compare(name, [arrays[0], g, *arrays[1:]], numbers, clock, f"{setting}, step {step}")
                clock = row.advanced(clock, numbers)


def test_clocks_advance() -> None:
    numbers = np.array([0.1, 0.75, 0.5, 9.0])
    for setting in every_setting():
        clocks = [np.array([i, 0.5 + i, 3.0]) for i in range(9)]
        execute("advance", np.float64, clocks, [numbers], Advance(3))
        for i, clock in enumerate(clocks):
            assert clock.tolist() == [i + 1, (0.5 + i) * 0.75, 1.5], setting
        _core.advance(clocks, numbers)
        for i, clock in enumerate(clocks):
            assert clock.tolist() == [i + 2, (0.5 + i) * 0.75 * 0.75, 0.75], setting


@pytest.mark.parametrize("states", [[np.zeros(3), np.zeros(2)], [np.zeros(3, np.float32)], [np.zeros((1, 3))]])
def test_wrong_step_states(states: list[Array]) -> None:
    with pytest.raises(TypeError, match=r"advance step_state: expected at least . float64 numbers"):
        _core.advance(states, np.ones(3))
    with pytest.raises(TypeError, match="advance hyperparameters: expected at least 3 float64 numbers"):
        _core.advance([np.zeros(3)], np.ones(2))
    with pytest.raises(TypeError, match="advance hyperparameters: expected at least 8 float64 numbers"):
        _core.advance([np.zeros(5)], np.ones(7), "nadam")
    with pytest.raises(ValueError, match="advance nadam: expected step states of 5 numbers"):
        _core.advance([np.zeros(6)], np.ones(8), "nadam")


WRONG = {
    "name": (("adamx", ()), ValueError, "no update is called adamx"),
    "few states": (("adam", (1,)), ValueError, "adam: expected 3 outputs"),
    "many states": (("adagrad", (1, 1)), ValueError, "adagrad: expected 2 outputs"),
    "numbers": (("sgd", (1,), np.zeros(3)), TypeError, "hyperparameters: expected at least 5 float64 numbers"),
    "numbers dtype": (("sgd", (1,), np.zeros(5, np.float32)), TypeError, "hyperparameters: expected at least 5"),
    "clock": (("adam", (1, 1), np.zeros(6), np.zeros(2)), TypeError, "step_state: expected at least 3 float64 numbers"),
}


@pytest.mark.parametrize("case", WRONG)
def test_rejected(case: str) -> None:
    (name, states, *rest), error, message = WRONG[case]
    numbers, clock = [*rest, *[np.zeros(6), np.zeros(3)][len(rest) :]]
    with pytest.raises(error, match=message):
        _core.update_step(name, np.ones(3), np.ones(3), tuple(np.ones(3) for _ in states), numbers, clock)

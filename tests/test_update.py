"""The SGD step, in place, gives the reference's bits with every combination of its options."""

import itertools

import numpy as np
import pytest

from chainrule import _core
from kernel_rows import label
from programs import Float
from reference import assert_same_bits, sgd_step, special_values
from reference.bits import Array
from settings import every_setting

FLOATS = (np.float32, np.float64)
each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=label)
OPTIONS = list(itertools.product((0.0, 0.9), (0.0, 0.003), (False, True)))


def values(n: int, dtype: Float, seed: int) -> list[Array]:
    """p, g and v."""
    rng = np.random.default_rng(seed)
    return [np.ldexp(rng.standard_normal(n), rng.integers(-12, 4, n)).astype(dtype) for _ in range(3)]


def compare(
    p: Array, g: Array, v: Array | None, lr: float, momentum: float, decay: float, nesterov: bool, what: str
) -> None:
    """The step of the active level is the reference's; g stays as it is."""
    expected_p, expected_v = sgd_step(p, g, v, lr, momentum, decay, nesterov)
    got_p, got_g, got_v = p.copy(), g.copy(), None if v is None else v.copy()
    _core.sgd_step(got_p, got_g, got_v, lr, momentum, decay, nesterov)
    what = f"{what}, lr {lr} momentum {momentum} decay {decay} nesterov {nesterov}, {p.size} elements"
    assert_same_bits(got_p, expected_p, f"p, {what}")
    assert_same_bits(got_g, g, f"g, {what}")
    if got_v is not None and expected_v is not None:
        assert_same_bits(got_v, expected_v, f"v, {what}")


@each_dtype
@pytest.mark.parametrize(("momentum", "decay", "nesterov"), [o for o in OPTIONS if o[0] or not o[2]])
def test_options(dtype: Float, momentum: float, decay: float, nesterov: bool) -> None:
    for setting in every_setting():
        for n in (0, 1, 2, 3, 7, 15, 16, 17, 31, 33, 257, 1023, 3001):
            p, g, v = values(n, dtype, seed=61 + n)
            compare(p, g, v if momentum else None, 0.1, momentum, decay, nesterov, setting)


@each_dtype
def test_a_buffer_without_momentum_stays(dtype: Float) -> None:
    p, g, v = values(37, dtype, seed=62)
    for setting in every_setting(threads=(1, 2)):
        compare(p, g, v, 0.1, 0.0, 0.01, False, setting)


@each_dtype
def test_special_values(dtype: Float) -> None:
    special = special_values(dtype)
    p, g, v = (x.ravel() for x in np.meshgrid(special, special, special))
    for setting in every_setting(threads=(1, 2)):
        compare(p, g, None, 0.1, 0.0, 0.0, False, setting)
        compare(p, g, v, 0.1, 0.9, 0.01, False, setting)


@each_dtype
def test_hyper_parameters_are_rounded_once(dtype: Float) -> None:
    """A number that rounds to zero in the arrays' dtype is zero: what it would multiply may be infinite."""
    p, g, v = values(100, dtype, seed=63)
    p[::7], v[::5] = np.inf, -np.inf
    tiny = 1e-60 if dtype == np.float32 else 5e-324
    for setting in every_setting(threads=(1,)):
        for lr, momentum, decay in [(1 / 3, 0.1, 1 / 7), (1e-40, 0.7, 1e-42), (0.1, 0.9, tiny), (0.1, tiny, 0.0)]:
            compare(p, g, v, lr, momentum, decay, False, setting)


@each_dtype
def test_many_steps(dtype: Float) -> None:
    p, _, v = values(300, dtype, seed=64)
    gradients = [values(300, dtype, seed=65 + step)[1] for step in range(20)]
    expected_p, expected_v = p.copy(), v.copy()
    for g in gradients:
        new_p, new_v = sgd_step(expected_p, g, expected_v, 0.05, 0.9, 1e-4, True)
        assert new_v is not None
        expected_p, expected_v = new_p, new_v
    for setting in every_setting():
        got_p, got_v = p.copy(), v.copy()
        for g in gradients:
            _core.sgd_step(got_p, g, got_v, 0.05, 0.9, 1e-4, True)
        assert_same_bits(got_p, expected_p, setting)
        assert_same_bits(got_v, expected_v, setting)

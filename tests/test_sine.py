"""sin and cos where they are hard: far from 0, beside their zeros, and where a rounding is nearly a tie."""

import math

import mpmath
import numpy as np
import pytest

import chainrule as cr
from reference import any_bits, assert_same_bits, ulp_error
from reference.bits import Array
from reference.elementary import correctly_rounded
from support.programs import elementwise
from support.variants import every_setting

NAMES = pytest.mark.parametrize("name", ["sin", "cos"])


def beside(values: Array, steps: int) -> Array:
    """The values with their neighbours, and all of them negative."""
    bits = values.view(np.int32 if values.dtype == np.float32 else np.int64)
    near = (bits[:, None] + np.arange(-steps, steps + 1, dtype=bits.dtype)).view(values.dtype).ravel()
    return np.concatenate([near, -near])


def multiples(dtype: type) -> Array:
    """Multiples of pi / 2, rounded: the first, some around every power of two, and the nearest of all to a number."""
    with mpmath.workprec(2500):
        counts = [
            *range(1, 40),
            *(2**k + d for k in range(6, 127 if dtype is np.float32 else 1022) for d in (-1, 0, 1)),
        ]
        found = [float(k * mpmath.pi / 2) for k in counts]
    # The float32 and float64 nearest to a multiple of pi / 2 (Muller, Elementary Functions, 2016, table 11.1).
    nearest = 16367173 * 2.0**72 if dtype is np.float32 else 6381956970095103 * 2.0**797
    ranges = [2.0**20, 2.0**28, 2.0**30, math.pi / 32, math.pi / 4]  # of the reductions
    return np.asarray([*found, nearest, *ranges], dtype)


@NAMES
def test_float32_near_zeros_and_far_from_0(name: str) -> None:
    inputs = np.concatenate([beside(multiples(np.float32), 2), any_bits(3000, np.float32, seed=51)])
    expected = correctly_rounded(name, inputs)
    for setting in every_setting(threads=(1,)):
        assert_same_bits(elementwise(name, inputs), expected, setting)


# Values within 2^-25 of an ULP of the middle of two float32, and the smallest x at which the cosine leaves 1.
NEARLY_TIES = {
    "sin": [
        241.6792449951172,
        0.47560927271842957,
        0.1012374684214592,
        106.13507080078125,
        0.03279200941324234,
        2.48638916015625,
        0.00101566594094038,
    ],
    "cos": [
        0.00881955586373806,
        49.89141082763672,
        45.888397216796875,
        0.2184107005596161,
        2.2600553035736084,
        0.0029801172204315662,
        0.000244140625,
    ],
}


@NAMES
def test_float32_nearly_ties(name: str) -> None:
    """Alone, where each decides for itself, and beside others, which then take the exact way with it."""
    hard = np.asarray(NEARLY_TIES[name], np.float32)
    inputs = np.concatenate([beside(hard, 1), np.repeat(hard, 17)])
    expected = correctly_rounded(name, inputs)
    for setting in every_setting(threads=(1,)):
        assert_same_bits(elementwise(name, inputs), expected, setting)
        for x, y in zip(inputs, expected, strict=True):
            assert_same_bits(elementwise(name, np.full(1, x)), np.full(1, y), setting)


@NAMES
def test_float64_near_zeros_and_far_from_0(name: str) -> None:
    rng = np.random.default_rng(52)
    wide = np.ldexp(rng.uniform(0.5, 1, 1500), rng.integers(-40, 1024, 1500))
    inputs = np.concatenate([beside(multiples(np.float64), 1), wide])
    results = [elementwise(name, inputs) for _ in every_setting(threads=(1,))]
    for result in results[1:]:
        assert_same_bits(result, results[0])
    some = np.concatenate([np.arange(0, inputs.size, 4), np.flatnonzero(np.abs(results[0]) < 1e-12)])
    error = ulp_error(name, inputs[some], results[0][some])
    assert error.max() <= 0.53, inputs[some][int(error.argmax())].hex()


@NAMES
def test_float64_beside_others_in_a_vector(name: str) -> None:
    """Large, small, infinite and NaN lanes do not touch each other."""
    values = np.asarray([0.5, 1e300, -(2.0**20), np.inf, -1e22, np.nan, -0.0, 3.0, 2.0**21 + 0.5, -np.inf, 7e-310])
    alone = np.concatenate([elementwise(name, values[i : i + 1]) for i in range(values.size)])
    for setting in every_setting(threads=(1,)):
        for shift in range(values.size):
            assert_same_bits(elementwise(name, np.roll(values, shift)), np.roll(alone, shift), setting)


def test_each_is_the_derivative_of_the_other() -> None:
    x = np.linspace(-7, 7, 29)
    for f, signs in ((cr.sin, (1, 1, -1, -1)), (cr.cos, (1, -1, -1, 1))):
        g, other = f, cr.cos if f is cr.sin else cr.sin
        for order, sign in enumerate(signs):
            expected = sign * (f if order % 2 == 0 else other)(cr.tensor(x)).numpy()
            assert np.array_equal(g(cr.tensor(x)).numpy(), expected)
            assert np.array_equal(cr.compile(g)(x).numpy(), expected)
            g = cr.grad(lambda t, g=g: cr.sum(g(t)))
        pushed = cr.jvp(f, (x,), (np.full_like(x, 2.0),))[1].numpy()
        assert np.array_equal(pushed, 2 * (np.cos if f is cr.sin else lambda t: -np.sin(t))(cr.tensor(x)).numpy())


def test_numpy_and_methods() -> None:
    x = cr.tensor([0.25, -2.0, 40.0])
    assert_same_bits(np.sin(x).numpy(), cr.sin(x).numpy())
    assert_same_bits(x.cos().numpy(), cr.cos(x).numpy())
    assert_same_bits((np.cos(x) + x.sin()).numpy(), (cr.cos(x) + cr.sin(x)).numpy())

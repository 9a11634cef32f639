"""Elementary functions that are evaluated as pairs, and powers: values, special points, derivatives, names."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import chainrule as cr
from reference import assert_same_bits, special_values, ulp_error
from reference.bits import Array
from reference.elementary import KERNELS64, correctly_rounded
from reference.elementary_pairs import DOMAINS
from reference.exact import EXACT, EXACT2
from support.programs import elementwise
from support.variants import every_setting

INF, NAN = math.inf, math.nan
FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def spread(rng: np.random.Generator, n: int, low: int, high: int, dtype: Any) -> Array:
    """Numbers of both signs with exponents between two bounds."""
    return (rng.choice([-1.0, 1.0], n) * np.ldexp(rng.uniform(1, 2, n), rng.integers(low, high, n))).astype(dtype)


# Values of two arguments.

PAIRS: dict[str, Callable[[np.random.Generator, Any], tuple[Array, Array]]] = {
    "atan2": lambda r, t: (spread(r, 900, -9, 9, t), spread(r, 900, -9, 9, t)),
    "hypot": lambda r, t: (spread(r, 900, -13, 13, t), spread(r, 900, -13, 13, t)),
    "logaddexp": lambda r, t: (spread(r, 900, -9, 7, t), spread(r, 900, -9, 7, t)),
    "xlogy": lambda r, t: (spread(r, 900, -9, 9, t), np.abs(spread(r, 900, -20, 20, t))),
    "pow0": lambda r, t: (np.exp(r.uniform(-3, 3, 900)).astype(t), spread(r, 900, -9, 5, t)),
    "pow1": lambda r, t: ((1 + spread(r, 900, -9, -1, t)).astype(t), spread(r, 900, -3, 6, t)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_two_arguments_float32_is_the_nearest(name: str) -> None:
    kernel, params, _ = KERNELS64[name]
    x, y = PAIRS[name](np.random.default_rng(61), np.float32)
    expected = correctly_rounded(name, x, y)
    for setting in every_setting(threads=(1,)):
        assert_same_bits(elementwise(kernel, x, y, params=params), expected, setting)


@pytest.mark.parametrize("name", PAIRS)
def test_two_arguments_float64_is_within_half_an_ulp_and_a_bit(name: str) -> None:
    kernel, params, _ = KERNELS64[name]
    x, y = PAIRS[name](np.random.default_rng(62), np.float64)
    results = [elementwise(kernel, x, y, params=params) for _ in every_setting(threads=(1,))]
    for result in results[1:]:
        assert_same_bits(result, results[0])
    worst = 0.0
    with mpmath.workprec(200):
        for a, b, got in zip(x.tolist(), y.tolist(), results[0].tolist(), strict=True):
            exact = EXACT2[name](mpmath.mpf(a), mpmath.mpf(b))
            scale = max(abs(exact), abs(a) / 64 if name == "logaddexp" else 0)
            worst = max(worst, float(abs(got - exact) / mpmath.ldexp(1, int(mpmath.mag(scale)) - 53)))
    assert worst <= 0.54


@pytest.mark.parametrize("name", sorted(DOMAINS))
def test_float64_errors_that_are_stated(name: str) -> None:
    x = np.random.default_rng(63).uniform(*DOMAINS[name], 400)
    assert ulp_error(name, x, getattr(cr, name)(cr.tensor(x)).numpy()).max() <= 0.54


@FLOATS
def test_tan_far_from_0_and_beside_its_poles(dtype: Any) -> None:
    rng = np.random.default_rng(64)
    with mpmath.workprec(2500):
        near = [float(k * mpmath.pi / 2) for k in (1, 2, 3, 11, 2**20 + 1, 2**40 - 1, 2**90 + 3)]
    hardest = 16367173 * 2.0**72 if dtype is np.float32 else 6381956970095103 * 2.0**797
    top = 100 if dtype is np.float32 else 1000
    x = np.concatenate([np.asarray([*near, hardest], dtype), spread(rng, 200, -top, top, dtype)])
    y = cr.tan(x).numpy()
    if dtype is np.float32:
        assert_same_bits(y, correctly_rounded("tan", x))
    else:
        assert ulp_error("tan", x, y).max() <= 0.51


@pytest.mark.parametrize("name", ["lgamma", "digamma"])
def test_gamma_beside_its_zeros(name: str) -> None:
    """The absolute error is that of the terms, which cancel there."""
    starts = {"lgamma": (-2.457, -2.747, -3.143, -3.955, -4.04), "digamma": (1.4616, -0.504, -1.573, -2.611)}[name]
    with mpmath.workprec(200):
        for start in starts:
            zero = float(mpmath.findroot(EXACT[name], start))
            x = zero + np.asarray([-1e-3, -1e-9, 0.0, 1e-12, 1e-5])
            for at, got in zip(x.tolist(), getattr(cr, name)(x).numpy().tolist(), strict=True):
                assert abs(got - EXACT[name](mpmath.mpf(at))) < (1e-17 if start > 0 else 1e-15)


@FLOATS
def test_beyond_the_largest_number_it_is_infinite(dtype: Any) -> None:
    x = np.linspace(1025, 2000, 400).astype(dtype)
    for y in (
        cr.exp2(x),
        cr.sinh(x),
        cr.cosh(-x),
        -cr.sinh(-x),
        cr.power(cr.tensor(x), cr.tensor(x)),
        2.5 ** cr.tensor(x),
    ):
        assert (y.numpy() == np.inf).all()
    for y in (cr.exp2(-x - 60), 0.25 ** cr.tensor(x), cr.erfc(x)):
        assert (y.numpy() == 0).all()


# Powers.


@FLOATS
def test_powers_of_special_values_are_those_of_c(dtype: Any) -> None:
    numbers = np.concatenate([special_values(dtype), np.asarray([2, -2, 3, -3, 0.5, -0.5, 2.5, 1e6], dtype)])
    x, y = (v.ravel() for v in np.meshgrid(numbers, numbers))
    with np.errstate(all="ignore"):
        expected = np.power(x, y)
    got = cr.power(cr.tensor(x), cr.tensor(y)).numpy()
    exact = ~np.isfinite(expected) | (expected == 0) | (np.abs(x) == 1) | (y == 0)
    assert_same_bits(got[exact], expected[exact])
    assert (
        np.array_equal(np.signbit(got), np.signbit(expected))
        or np.isnan(expected[np.signbit(got) != np.signbit(expected)]).all()
    )
    np.testing.assert_allclose(got[~exact], expected[~exact], rtol=4 * np.finfo(dtype).eps, atol=0)


@FLOATS
def test_powers_of_two_are_exact(dtype: Any) -> None:
    """Also 2^-150, the middle of 0 and the smallest float32, on every level."""
    bits = {np.float32: (-152, 130), np.float64: (-1077, 1026)}[dtype]
    n = np.arange(*bits)
    with np.errstate(all="ignore"):
        expected = np.ldexp(dtype(1), n)
    for _ in every_setting():
        assert_same_bits(cr.exp2(cr.tensor(n, dtype=dtype)).numpy(), expected)


def test_powers_that_are_the_middle_of_two_floats_go_to_the_even_one() -> None:
    x = np.asarray([4097, 4099, -4097, 2.0**-60 * 4101, 257, 0.25 * 41], np.float32)
    y = np.asarray([2, 2, 2, 2, 3, 4], np.float32)
    expected = (x.astype(np.float64) ** y).astype(np.float32)
    assert_same_bits(cr.power(cr.tensor(x), cr.tensor(y)).numpy(), expected)
    assert_same_bits(cr.power(cr.tensor([2.0**-75 * 3]), cr.tensor([2.0])).numpy(), np.float32([2.0**-150 * 9]))


POWERS: dict[str, tuple[Callable[..., Any], tuple[float, ...], tuple[float, ...]]] = {
    "square at 0": (lambda x: x**2, (0.0,), (0.0,)),
    "square by a tensor": (lambda x, y: x**y, (0.0, 2.0), (0.0, 0.0)),
    "first power": (lambda x, y: x**y, (0.0, 1.0), (1.0, 0.0)),
    "0 to the 0": (lambda x, y: x**y, (0.0, 0.0), (0.0, 0.0)),
    "NaN to the 0": (lambda x, y: x**y, (NAN, 0.0), (0.0, NAN)),
    "0 to a positive power": (lambda y: 0.0**y, (1.5,), (0.0,)),
    "root at 0": (lambda x: x**0.25, (0.0,), (INF,)),
    "2.5 at 0": (lambda x: x**2.5, (0.0,), (0.0,)),
    "a negative base": (lambda x: x ** cr.tensor(3.0, dtype="float64"), (-2.0,), (12.0,)),
    "2 to the x": (lambda x: 2**x, (3.0,), (8 * math.log(2),)),
    "an infinite base": (lambda x, y: x**y, (INF, 0.0), (0.0, INF)),
    "beyond 64": (lambda x: x**100, (1.0,), (100.0,)),
}


@pytest.mark.parametrize("name", POWERS)
def test_gradients_of_powers_at_special_points(name: str) -> None:
    function, at, slopes = POWERS[name]
    x = [np.asarray(v) for v in at]
    for make in (lambda f: f, cr.compile):
        found = make(cr.grad(function, tuple(range(len(x)))))(*x)
        assert np.allclose([float(g) for g in found], slopes, rtol=1e-15, equal_nan=True)


def test_second_derivatives_of_powers() -> None:
    hessian = cr.hessian(lambda v: v[0] ** v[1])
    for x, y in ((1.7, 2.3), (0.4, -1.5), (2.0, 0.0), (3.0, 1.0), (0.0, 3.0), (5e-3, 2.0)):
        log = math.log(x) if x else 0.0
        mixed = x ** (y - 1) * (1 + y * log) if x else 0.0
        expected = [[y * (y - 1) * x ** (y - 2) if x or y > 2 else 0.0, mixed], [mixed, x**y * log * log]]
        np.testing.assert_allclose(hessian(np.asarray([x, y])).numpy(), expected, rtol=1e-13, atol=1e-300)


def test_powers_of_numbers_arrays_and_tensors() -> None:
    x = cr.tensor([0.5, 2.0], requires_grad=True)
    assert (x ** [1.0, 3.0]).tolist() == [0.5, 8.0]
    assert (np.asarray([2.0, 3.0]) ** x).requires_grad and (3.0**x).requires_grad
    assert_same_bits((2**x).detach().numpy(), cr.exp2(x).detach().numpy())
    assert_same_bits(cr.pow(x, 1.5).detach().numpy(), x.pow(1.5).detach().numpy())
    assert (x**2.1).dtype == np.float32  # the exponent is rounded to float32
    assert_same_bits((x**2.1).detach().numpy(), (x ** cr.tensor(np.float32(2.1))).detach().numpy())
    with pytest.raises(ValueError, match=r"^pow: .*broadcast"):
        x ** cr.tensor([1.0, 2.0, 3.0])


# Derivatives where values and slopes are ordinary numbers.

SLOPES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], tuple[float, ...]]] = {
    "atan": (cr.atan, lambda x: 1 / (1 + x * x), (1e-30, 0.5, 3e4, 1e15)),
    "asinh": (cr.asinh, lambda x: 1 / mpmath.sqrt(1 + x * x), (1e-30, 0.5, 1e30)),
    "asin": (cr.asin, lambda x: 1 / mpmath.sqrt(1 - x * x), (1e-20, 0.5, 0.99999, 1 - 2.0**-24)),
    "acos": (cr.acos, lambda x: -1 / mpmath.sqrt(1 - x * x), (-0.9, 0.5, 0.99999, 1 - 2.0**-24)),
    "acosh": (cr.acosh, lambda x: 1 / mpmath.sqrt(x * x - 1), (1 + 2.0**-23, 1.5, 1e30)),
    "atanh": (cr.atanh, lambda x: 1 / (1 - x * x), (1e-20, 0.5, 1 - 2.0**-24)),
    "rsqrt": (cr.rsqrt, lambda x: -1 / (2 * x * mpmath.sqrt(x)), (1e-20, 0.5, 1e20)),
    "cbrt": (cr.cbrt, lambda x: 1 / (3 * mpmath.cbrt(x) ** 2), (1e-30, 0.5, 1e30)),
    "erfc": (cr.erfc, lambda x: -2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-x * x), (-3.0, 0.5, 8.5)),
    "erfinv": (
        cr.erfinv, lambda x: mpmath.sqrt(mpmath.pi) / 2 * mpmath.exp(mpmath.erfinv(x) ** 2), (0.1, 0.999, 1 - 2.0**-23),
    ),
    "lgamma": (cr.lgamma, mpmath.digamma, (1e-10, 0.5, 3.3, 1e8)),
    "digamma": (cr.digamma, lambda x: mpmath.psi(1, x), (1e-10, 0.5, 3.3, 1e8)),
    "tan": (cr.tan, lambda x: 1 + mpmath.tan(x) ** 2, (0.1, 1.5, 1.57079)),
    "logaddexp": (lambda x: cr.logaddexp(x, x * 0 + 1), lambda x: 1 / (1 + mpmath.exp(1 - x)), (-60.0, 1.0, 60.0)),
    "hypot": (lambda x: cr.hypot(x, 0 * x + 2.0**99), lambda x: x / mpmath.hypot(x, 2**99), (1e25, 4e30)),
    "atan2": (lambda x: cr.atan2(x, 0 * x + 2.0**80), lambda x: 2**80 / (x * x + 2**160), (1e20, 4e25)),
}  # fmt: skip


@FLOATS
@pytest.mark.parametrize("name", SLOPES)
def test_slopes(name: str, dtype: Any) -> None:
    function, slope, points = SLOPES[name]
    x = np.asarray(points, dtype)
    tolerance = 2e-6 if dtype is np.float32 else 4e-15
    wide = name in ("hypot", "atan2")
    for make in (lambda f: f, cr.compile):
        got = make(cr.grad(lambda x: cr.sum(function(x))))(x).numpy().tolist()
        with mpmath.workdps(60):
            for at, g in zip(x.tolist(), got, strict=True):
                exact = slope(mpmath.mpf(at))
                assert abs(g - exact) <= tolerance * (2 if wide else 1) * abs(exact), (at, g, exact)


def test_gradients_that_are_0_or_finite_where_a_formula_is_not() -> None:
    zero = np.zeros(())
    for function in (cr.hypot, cr.atan2, cr.xlogy):
        assert [float(g) for g in cr.grad(function, (0, 1))(zero, zero)] == [0, 0]
    for infinity in (INF, -INF):
        x = np.asarray(infinity)
        assert [float(g) for g in cr.grad(cr.logaddexp, (0, 1))(x, x)] == [0.5, 0.5]
    assert float(cr.hessian(lambda x: cr.logaddexp(x, 1.0))(np.asarray(1.0))) == 0.25
    assert float(cr.xlogy(0.0, 0.0)) == 0 and float(cr.grad(cr.xlogy, 1)(zero, np.asarray(2.0))) == 0
    assert math.isnan(float(cr.xlogy(0.0, NAN)))


@pytest.mark.parametrize("n", [0, 1, 2, 5, 12])
def test_polygamma(n: int) -> None:
    x = np.asarray([0.1, 0.75, 1.5, 4.0, 40.0, 1e4, -0.3, -3.7])
    with mpmath.workdps(40):
        expected = [float(mpmath.psi(n, mpmath.mpf(v))) for v in x.tolist()]
        slopes = [float(mpmath.psi(n + 1, mpmath.mpf(v))) for v in x.tolist()]
    np.testing.assert_allclose(cr.polygamma(n, x).numpy(), expected, rtol=5e-15)
    np.testing.assert_allclose(cr.grad(lambda x: cr.sum(cr.polygamma(n, x)))(x).numpy(), slopes, rtol=5e-15)


def test_polygamma_refuses() -> None:
    with pytest.raises(ValueError, match="polygamma: n"):
        cr.polygamma(-1, [1.0])
    with pytest.raises(ValueError, match=r"^polygamma: expected n from 0 to 100, got 101"):
        cr.polygamma(101, [1.0])
    with pytest.raises(TypeError, match="polygamma: n"):
        cr.polygamma(1.5, [1.0])  # type: ignore[arg-type]


# Names.


def test_other_names() -> None:
    x = cr.tensor([0.25, 0.5], requires_grad=True)
    for name in ("arcsin", "arccos", "arctan", "arcsinh", "arctanh"):
        assert_same_bits(
            getattr(np, name)(x).detach().numpy(), getattr(cr, name.replace("arc", "a"))(x).detach().numpy()
        )
        assert getattr(cr, name) is getattr(cr, name.replace("arc", "a"))
    for name in ("tan", "sinh", "cosh", "exp2", "log2", "log10", "cbrt", "reciprocal"):
        assert getattr(np, name)(x).requires_grad and getattr(x, name)().requires_grad
    for name in ("rsqrt", "asin", "acos", "atan", "asinh", "atanh", "erf", "erfc", "erfinv", "lgamma", "digamma"):
        assert_same_bits(getattr(x, name)().detach().numpy(), getattr(cr, name)(x).detach().numpy())
    for name in ("hypot", "logaddexp", "arctan2", "power"):
        assert getattr(np, name)(x, 2.0).requires_grad and getattr(np, name)(2.0, x).requires_grad
    assert_same_bits(x.atan2(x + 1).detach().numpy(), np.arctan2(x, x + 1).detach().numpy())
    assert_same_bits(x.xlogy(2.0).detach().numpy(), cr.xlogy(x, 2.0).detach().numpy())

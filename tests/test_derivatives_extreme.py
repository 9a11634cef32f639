"""Derivatives far out: right wherever value and slope are ordinary numbers, in both modes, eager and compiled.

The truth is mpmath's. Intermediate products must not over- or underflow, and a tail must not be computed as 1 - y from
a y near 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import chainrule as cr

Function = Callable[[Any], Any]
TOLERANCE = {np.float32: 2e-6, np.float64: 4e-15}


def one(x: Any) -> Any:
    return np.ones(x.shape, x.dtype)


def slope_by_grad(f: Function) -> Function:
    return cr.grad(lambda x: cr.sum(f(x)))


def slope_by_jvp(f: Function) -> Function:
    return lambda x: cr.jvp(f, (x,), (one(x),))[1]


FIRST: dict[str, Callable[[Function], Function]] = {
    "grad": slope_by_grad,
    "jvp": slope_by_jvp,
    "compiled": lambda f: cr.compile(slope_by_grad(f)),
    "of compiled": lambda f: slope_by_grad(cr.compile(f)),
}
SECOND: dict[str, Callable[[Function], Function]] = {
    "grad of grad": lambda f: slope_by_grad(slope_by_grad(f)),
    "jvp of grad": lambda f: slope_by_jvp(slope_by_grad(f)),
    "grad of jvp": lambda f: slope_by_grad(slope_by_jvp(f)),
    "jvp of jvp": lambda f: slope_by_jvp(slope_by_jvp(f)),
    "compiled": lambda f: cr.compile(slope_by_grad(slope_by_grad(f))),
    "of compiled": lambda f: slope_by_grad(slope_by_grad(cr.compile(f))),
}


def ordinary(numbers: Any, dtype: Any) -> Any:
    """Whether numbers of mpmath are normal in the dtype, with a factor to spare."""
    info = np.finfo(dtype)
    return np.asarray([float(info.tiny) * 4 < abs(float(n)) < float(info.max) / 4 for n in numbers])


def check(got: cr.Tensor, truth: list[Any], where: Any, dtype: Any, what: str, factor: float = 1.0) -> int:
    """Compare the elements `where` something; return their number."""
    wrong = []
    for i in np.flatnonzero(where):
        error = abs(mp.mpf(float(got.numpy()[i])) - truth[i]) / abs(truth[i])
        if not error <= TOLERANCE[dtype] * factor:
            wrong.append((i, float(got.numpy()[i]), mp.nstr(truth[i], 8)))
    assert wrong == [], f"{what}: {len(wrong)} of {np.count_nonzero(where)} wrong, such as {wrong[:3]}"
    return int(np.count_nonzero(where))


def decades(dtype: Any, count: int = 97) -> Any:
    """Positive numbers over the whole range, their mantissas all different."""
    info = np.finfo(dtype)
    exponents = np.linspace(np.log10(float(info.tiny)) + 1, np.log10(float(info.max)) - 1, count)
    return (10.0**exponents).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [-1, -2, -3, -4, -5, -7, -8, -12, 2, 3, 5, 8])
def test_powers(n: int, dtype: Any) -> None:
    x = decades(dtype)
    x[::3] *= -1
    exact = [mp.mpf(float(v)) for v in x]
    value, first, second = ([c * v**k for v in exact] for c, k in ((1, n), (n, n - 1), (n * (n - 1), n - 2)))
    near = ordinary(value, dtype) & ordinary(first, dtype)
    both = near & ordinary(second, dtype)
    factor = 2.0 * abs(n)  # a rounding in each product
    for name, make in FIRST.items():
        assert check(make(lambda x: x**n)(x), first, near, dtype, name, factor) > 5
    for name, make in SECOND.items():
        assert check(make(lambda x: x**n)(x), second, both, dtype, name, 2 * factor) > 3


@pytest.mark.parametrize("n", [-2, -3, -8])
def test_powers_at_the_ends(n: int) -> None:
    x = np.asarray([0.0, -0.0, np.inf, -np.inf, np.nan, 3e38], np.float32)
    below = np.inf if n % 2 == 0 else -np.inf
    for make in (slope_by_grad, slope_by_jvp):
        assert np.array_equal(make(lambda x: x**n)(x).numpy(), [-np.inf, below, 0, 0, np.nan, 0], equal_nan=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_powers_have_the_bits_of_repeated_squaring(dtype: Any) -> None:
    x = np.random.default_rng(0).uniform(-3, 3, 50).astype(dtype)
    for n in range(1, 30):
        result, base, left = None, x, n
        while left:
            if left & 1:
                result = base if result is None else result * base
            base, left = base * base, left >> 1
        assert result is not None
        assert np.array_equal(cr.power(x, n).numpy(), result)
        assert np.array_equal(cr.power(x, -n).numpy(), dtype(1) / result)
        assert np.array_equal(cr.compile(lambda x, n=n: x**-n)(x).numpy(), dtype(1) / result)


def quotients(dtype: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Numerators, denominators and upstream gradients from all over the range."""
    rng, limit = np.random.default_rng(1), 0.9 * np.log10(float(np.finfo(dtype).max))
    for spread in (0.2, 0.5, 0.9):
        yield tuple((10.0 ** rng.uniform(-limit * spread, limit * spread, 200)).astype(dtype) for _ in range(3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("how", ["grad", "jvp", "compiled", "vjp"])
def test_quotients(how: str, dtype: Any) -> None:
    """By the denominator, with an upstream gradient: -g a / b^2."""
    checked = 0
    for a, b, g in quotients(dtype):
        exact = [[mp.mpf(float(v)) for v in x] for x in (a, b, g)]
        value = [x / y for x, y, _ in zip(*exact, strict=True)]
        slope = [-x / y**2 for x, y, _ in zip(*exact, strict=True)]
        truth = [s * z for s, z in zip(slope, exact[2], strict=True)]
        where = ordinary(value, dtype) & ordinary(slope, dtype) & ordinary(truth, dtype)
        if how == "jvp":
            got = cr.jvp(lambda b, a=a: a / b, (b,), (g,))[1]
        elif how == "vjp":
            got = cr.vjp(lambda b, a=a: a / b, b)[1](g)[0]
        else:
            f = cr.grad(lambda b, a, g: cr.sum((a / b) * g))
            got = (cr.compile(f) if how == "compiled" else f)(b, a, g)
        checked += check(got, truth, where, dtype, how)
    assert checked > 100


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", SECOND)
def test_second_derivatives_of_quotients(mode: str, dtype: Any) -> None:
    """2 a / b^3."""
    checked = 0
    for a, b, _ in quotients(dtype):
        exact = [(mp.mpf(float(v)), mp.mpf(float(w))) for v, w in zip(a, b, strict=True)]
        parts = [[x / y for x, y in exact], [-x / y**2 for x, y in exact], [2 * x / y**3 for x, y in exact]]
        reciprocal = ordinary([1 / y for _, y in exact], dtype)
        where = reciprocal & np.logical_and.reduce([ordinary(part, dtype) for part in parts])
        checked += check(SECOND[mode](lambda b, a=a: a / b)(b), parts[2], where, dtype, mode, 2)
    assert checked > 100


def s(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def gate(x: Any) -> Any:
    return s(x) * s(-x)


def cubic(x: Any) -> Any:
    return mp.sqrt(8 / mp.pi) * (x + mp.mpf("0.044715") * x**3)


# The second derivative, and points far out on both sides as fractions of the end of the dtype's range of e^-x.
TAILS: dict[str, tuple[Function, Function, float]] = {
    "softplus": (cr.softplus, gate, 1.0),
    "logsigmoid": (cr.logsigmoid, lambda x: -gate(x), 1.0),
    "bce, target 1": (
        lambda x: cr.binary_cross_entropy_with_logits(x, np.ones(x.shape, x.dtype), reduction="none"), gate, 1.0,
    ),
    "bce, target 0": (
        lambda x: cr.binary_cross_entropy_with_logits(x, np.zeros(x.shape, x.dtype), reduction="none"), gate, 1.0,
    ),
    "bce, target 0.25": (
        lambda x: cr.binary_cross_entropy_with_logits(x, np.full(x.shape, 0.25, x.dtype), reduction="none"), gate, 1.0,
    ),
    "bce, weighted": (
        lambda x: cr.binary_cross_entropy_with_logits(
            x, np.full(x.shape, 0.25, x.dtype), reduction="none", pos_weight=np.full(x.shape, 3.0, x.dtype)
        ), lambda x: mp.mpf(1.5) * gate(x), 1.0,
    ),
    "silu": (cr.silu, lambda x: gate(x) * (2 + x * (1 - 2 * s(x))), 1.0),
    "expm1": (cr.expm1, mp.exp, 0.9),
    "exp": (cr.exp, mp.exp, 0.9),
    "erf": (cr.erf, lambda x: -4 / mp.sqrt(mp.pi) * x * mp.exp(-x * x), 0.09),
    "ndtr": (cr.ndtr, lambda x: -x / mp.sqrt(2 * mp.pi) * mp.exp(-x * x / 2), 0.12),
    "gelu": (cr.gelu, lambda x: (2 - x * x) / mp.sqrt(2 * mp.pi) * mp.exp(-x * x / 2), 0.12),
    "gelu_tanh": (lambda x: cr.gelu(x, "tanh"), lambda x: mp.diff(lambda x: x * s(cubic(x)), x, 2), 0.04),
    "elu": (cr.elu, lambda x: mp.exp(x) if x < 0 else mp.mpf(0), 1.0),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", TAILS)
def test_second_derivatives_in_the_tails(name: str, dtype: Any) -> None:
    f, second, share = TAILS[name]
    end = 80.0 if dtype is np.float32 else 700.0
    x = np.concatenate([np.linspace(-end, end, 41), [-30.0, -20.0, -12.0, -8.0, 8.0, 12.0, 20.0, 30.0]]) * share
    x = x[x != 0].astype(dtype)
    with mp.workdps(400 if name == "gelu_tanh" else 30):
        truth = [second(mp.mpf(float(v))) for v in x]
        where = ordinary(truth, dtype)
        assert np.count_nonzero(where) > 15
        near = 4.0 if name in ("exp", "expm1", "elu", "softplus", "logsigmoid") or name.startswith("bce") else 60.0
        factor = near * (1000.0 if name in ("gelu_tanh", "gelu") else 1.0)
        for mode, make in SECOND.items():
            check(make(f)(x), truth, where, dtype, mode, factor)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_third_derivatives_in_the_tails(dtype: Any) -> None:
    x = np.asarray([-40.0, -20.0, -8.0, 8.0, 20.0, 40.0], dtype)
    truth = [gate(mp.mpf(float(v))) * (1 - 2 * s(mp.mpf(float(v)))) for v in x]
    for f, sign in ((cr.softplus, 1), (cr.logsigmoid, -1)):
        got = slope_by_grad(slope_by_grad(slope_by_grad(f)))(x)
        check(got, [sign * t for t in truth], np.ones(6, bool), dtype, "third", 8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", ["first", *SECOND])
def test_first_derivatives_of_expm1(mode: str, dtype: Any) -> None:
    x = np.linspace(-80, 80, 33).astype(dtype)
    truth = [mp.exp(mp.mpf(float(v))) for v in x]
    make = slope_by_grad if mode == "first" else SECOND[mode]
    check(make(cr.expm1)(x), truth, np.ones(33, bool), dtype, mode)


ROOTS: dict[str, tuple[Function, Function, Function]] = {
    "sqrt": (cr.sqrt, lambda x: 1 / (2 * mp.sqrt(x)), lambda x: -1 / (4 * x * mp.sqrt(x))),
    "log": (cr.log, lambda x: 1 / x, lambda x: -1 / x**2),
    "log1p": (cr.log1p, lambda x: 1 / (1 + x), lambda x: -1 / (1 + x) ** 2),
    "softsign": (cr.softsign, lambda x: 1 / (1 + x) ** 2, lambda x: -2 / (1 + x) ** 3),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["sqrt", "log", "log1p", "softsign"])
def test_over_the_whole_range(name: str, dtype: Any) -> None:
    f, first, second = ROOTS[name]
    x = decades(dtype)
    exact = [mp.mpf(float(v)) for v in x]
    slopes, curvatures = [first(v) for v in exact], [second(v) for v in exact]
    for mode, make in FIRST.items():
        check(make(f)(x), slopes, ordinary(slopes, dtype), dtype, mode, 2)
    for mode, make in SECOND.items():
        check(make(f)(x), curvatures, ordinary(slopes, dtype) & ordinary(curvatures, dtype), dtype, mode, 4)


@pytest.mark.parametrize("name", ["sign", "heaviside", "relu", "abs", "hardtanh", "leaky_relu"])
@pytest.mark.parametrize("mode", SECOND)
def test_second_derivatives_of_nan(name: str, mode: str) -> None:
    """Not 1, as if the function were linear there."""
    got = SECOND[mode](getattr(cr, name))(np.asarray([np.nan, 2.0])).numpy()
    assert np.isnan(got[0]) or got[0] == 0
    assert got[1] == 0

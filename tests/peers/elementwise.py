"""Elementwise functions, powers and activations."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from peers.call import Call, Draw, Generator, shape_of
from reference.bits import Array

__all__ = ["CALLS", "SPECIAL_OF_ONE", "SPECIAL_OF_TWO"]


def inside(*domains: tuple[float, float]) -> Draw:
    """Arguments of one shape."""

    def draw(rng: Generator) -> list[Array]:
        shape = shape_of(rng)
        return [rng.uniform(low, high, shape) for low, high in domains]

    return draw


def broadcast(*domains: tuple[float, float]) -> Draw:
    """Arguments of (n, m) and (m,)."""

    def draw(rng: Generator) -> list[Array]:
        n, m = rng.integers(1, 6, 2)
        return [rng.uniform(low, high, (n, m) if i == 0 else (m,)) for i, (low, high) in enumerate(domains)]

    return draw


def below_zero(rng: Generator) -> list[Array]:
    """Numbers between the poles of the gamma function."""
    return [-rng.integers(0, 5, 7) - rng.uniform(0.1, 0.9, 7)]


def named(name: str) -> Callable[..., Any]:
    """The function of this name in either library."""
    return lambda F, *xs: getattr(F, name)(*xs)


REAL, POSITIVE, UNIT, SMALL = (-6.0, 6.0), (0.05, 9.0), (-0.95, 0.95), (-3.0, 3.0)
DOMAINS: Mapping[tuple[float, float], str] = {
    REAL: "abs asinh atan ceil cos cosh erf erfc exp exp2 expm1 floor neg round sigmoid sign sin sinh square tanh "
    "trunc relu relu6 selu silu mish softsign logsigmoid hardswish hardtanh celu elu gelu leaky_relu softplus "
    "arctan arcsinh ndtr",
    POSITIVE: "log log10 log1p log2 reciprocal rsqrt sqrt",
    UNIT: "acos asin atanh erfinv arccos arcsin arctanh",
    (1.05, 9.0): "acosh arccosh",
    (-1.5, 1.5): "tan",
}
BINARY: Mapping[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "add": (REAL, REAL),
    "sub": (REAL, REAL),
    "mul": (REAL, REAL),
    "div": (REAL, POSITIVE),
    "maximum": (REAL, REAL),
    "minimum": (REAL, REAL),
    "atan2": (REAL, REAL),
    "arctan2": (REAL, REAL),
    "hypot": (REAL, REAL),
    "logaddexp": (REAL, REAL),
    "xlogy": (REAL, POSITIVE),
    "fmod": (REAL, POSITIVE),
    "remainder": (REAL, POSITIVE),
    "pow": (POSITIVE, SMALL),
}

SPECIAL = np.array([0.0, 1.0, 0.5, 2.0, 5e-324, 1e-310, 1e-30, 1e30, 1.5, 2.5, 25.0, 800.0, np.inf, np.nan], np.float64)
SPECIAL = np.concatenate([SPECIAL, -SPECIAL])

CALLS: dict[str, Call] = {
    **{name: Call(named(name), inside(domain)) for domain, names in DOMAINS.items() for name in names.split()},
    **{name: Call(named(name), inside(*domains)) for name, domains in BINARY.items()},
    **{f"{name} broadcast": Call(named(name), broadcast(*domains)) for name, domains in BINARY.items()},
    # PyTorch's trigamma is good to 5e-10 only, and so are the slopes of digamma: tests/test_elementary.py has them.
    "lgamma": Call(named("lgamma"), inside(POSITIVE), order=1),
    "lgamma below 0": Call(named("lgamma"), below_zero, order=1),
    "digamma": Call(named("digamma"), inside(POSITIVE), order=0),
    "digamma below 0": Call(named("digamma"), below_zero, order=0),
    "polygamma": Call(lambda F, x: [F.polygamma(n, x) for n in (2, 3)], inside((0.3, 9.0))),
    # PyTorch has no derivatives of these, or not the second ones.
    "hardsigmoid": Call(
        lambda F, x: F.hardsigmoid(x) if hasattr(F, "OPS") else F.relu6(x + 3) / 6,  # its slope is a float32 there
        inside(REAL),
    ),
    "floor_divide": Call(lambda F, x, y: [F.floor_divide(x, y), x // y], inside(REAL, POSITIVE), order=0),
    "cbrt": Call(lambda F, x: F.cbrt(x) if hasattr(F, "cbrt") else F.sign(x) * F.abs(x) ** (1 / 3), inside(REAL)),
    "power of a number": Call(lambda F, x: [2.0**x, x**2.5, x**-1.5, x**3, x**0.5], inside((0.2, 4.0))),
    "integer powers": Call(lambda F, x: [x**2, x**3, x**-1, x**-2], inside((-4.0, -0.3))),
    "operators": Call(
        lambda F, x, y: [x + y, x - y, x * y, x / y, x**y, -x, x % y, abs(x)], inside((0.3, 5.0), (0.4, 3.0))
    ),
    "clip": Call(lambda F, x: [F.clip(x, -1.0, 2.0), F.clamp(x, min=0.5), F.clamp(x, max=0.5)], inside(REAL)),
    "clip between tensors": Call(lambda F, x, a, b: F.clip(x, a, b), inside(REAL, (-2.0, 0.0), (0.5, 2.0))),
    "where": Call(lambda F, x, y: F.where(x > 0.5, x * y, y), inside(REAL, REAL)),
    "softplus of beta": Call(lambda F, x: F.softplus(x, beta=2.5), inside(REAL)),
    "softplus of beta and threshold": Call(lambda F, x: F.softplus(x, beta=0.7, threshold=3.0), inside(REAL)),
    "elu of alpha": Call(lambda F, x: F.elu(x, alpha=0.3), inside(REAL)),
    "celu of alpha": Call(lambda F, x: F.celu(x, alpha=0.5), inside(REAL)),
    "leaky_relu of slope": Call(lambda F, x: F.leaky_relu(x, 0.3), inside(REAL)),
    "gelu by tanh": Call(lambda F, x: F.gelu(x, approximate="tanh"), inside(REAL)),
    "threshold": Call(lambda F, x: F.threshold(x, 0.7, -2.0), inside(REAL)),
    "hardtanh of bounds": Call(lambda F, x: F.hardtanh(x, -0.5, 2.0), inside(REAL)),
    "isfinite": Call(lambda F, x: [F.isnan(x), F.isinf(x), F.isfinite(x)], lambda rng: [rng.choice(SPECIAL, 9)]),
    "comparisons": Call(
        lambda F, x, y: [x < y, x <= y, x > y, x >= y, x == y, x != y],
        lambda rng: [rng.choice(SPECIAL, 9), rng.choice(SPECIAL, 9)],
    ),
}

# Values at special points: of functions of one number at each, of two at all pairs.
SPECIAL_OF_ONE = {
    name: Call(named(name), lambda rng: [SPECIAL], order=0) for names in DOMAINS.values() for name in names.split()
}
SPECIAL_OF_TWO = {
    name: Call(named(name), lambda rng: [x.ravel() for x in np.meshgrid(SPECIAL, SPECIAL)], order=0) for name in BINARY
}

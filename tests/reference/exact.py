"""The elementary functions in mpmath, to determine roundings to float32 and the ULP error of float64 results."""

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt

from .bits import Array, same_bits

PRECISION = 256  # bits; correct rounding needs about 100 for a float32 argument, about 160 for float64
TOP = 1024  # 2^1024 represents float64 infinity in error computations


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x))


def _softplus(x: Any) -> Any:
    return x + mpmath.log1p(mpmath.exp(-x)) if x > 0 else mpmath.log1p(mpmath.exp(x))


def _ndtr(x: Any) -> Any:
    """Clamped at +-1000, because mpmath fails for very large arguments; there the value is 0 or 1 in float64."""
    return mpmath.erfc(-min(max(x, -1000), 1000) / mpmath.sqrt(2)) / 2


EXACT: dict[str, Callable[[Any], Any]] = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "tanh": mpmath.tanh,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "erf": mpmath.erf,
    "ndtr": _ndtr,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
}
POLE = {"log": 0.0, "log1p": -1.0}  # at or below it: -inf or NaN


def exact(name: str, x: float) -> Any:
    """The value of function `name` at a finite x above its pole, as an mpf of 256 bits."""
    with mpmath.workprec(PRECISION):
        return EXACT[name](mpmath.mpf(float(x)))


def special(name: str, x: float) -> float | None:
    """The float64 result that is fixed by IEEE 754 and C99 annex F (poles, infinities, NaN, exact zeros), else None."""
    if np.isnan(x) or (np.isinf(x) and name in ("sin", "cos")) or x < POLE.get(name, -np.inf):
        return float("nan")
    if x == POLE.get(name):
        return float("-inf")
    if np.isinf(x):
        lower = {"exp": 0.0, "expm1": -1.0, "tanh": -1.0, "sigmoid": 0.0, "softplus": 0.0, "erf": -1.0, "ndtr": 0.0}
        upper = {"tanh": 1.0, "sigmoid": 1.0, "erf": 1.0, "ndtr": 1.0}
        return lower[name] if x < 0 else upper.get(name, float("inf"))
    if x == 0 and name in ("expm1", "log1p", "tanh", "erf", "sin"):
        return float(x)
    return 0.0 if x == 1 and name == "log" else None


def ulp_error(name: str, x: npt.ArrayLike, y: npt.ArrayLike) -> Array:
    """``|y - f(x)| / ulp(f(x))`` of float64 results y of function `name`, elementwise.

    ulp(v) is the spacing of float64 values in v's binade (2^-1074 for subnormals); infinity counts as 2^1024. If the
    result is fixed (see `special`), the error is 0 or infinite; for an unexpected NaN it is infinite.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    pairs = zip(x.ravel().tolist(), y.ravel().tolist(), strict=True)
    return np.asarray([_ulp_error(name, a, b) for a, b in pairs], np.float64).reshape(x.shape)


def _ulp_error(name: str, x: float, y: float) -> float:
    fixed = special(name, x)
    if fixed is not None:
        return 0.0 if same_bits(np.float64(y), np.float64(fixed)) else float("inf")
    if np.isnan(y):
        return float("inf")
    with mpmath.workprec(PRECISION):
        top = mpmath.ldexp(1, TOP)
        value = min(max(EXACT[name](mpmath.mpf(x)), -top), top)
        got = mpmath.sign(y) * top if np.isinf(y) else mpmath.mpf(y)
        exponent = min(max(mpmath.mag(value) - 1, -1022), TOP - 1)
        return float(mpmath.ldexp(abs(got - value), 52 - exponent))

"""The elementary functions in mpmath, to determine roundings to float32 and the ULP error of float64 results."""

import math
import statistics
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


def _cbrt(x: Any) -> Any:
    return mpmath.sign(x) * mpmath.cbrt(abs(x))


def _lgamma(x: Any) -> Any:
    """Below 0 by reflection: mpmath's logarithm of gamma is complex there."""
    if x > 0:
        return mpmath.loggamma(x)
    return mpmath.log(mpmath.pi / abs(x * mpmath.sinpi(x))) - mpmath.loggamma(-x)


def _erfinv(x: Any) -> Any:
    """Newton's method from a float64: mpmath's own takes 20 ms near 1."""
    a = abs(x)
    y = mpmath.sqrt(mpmath.pi) / 2 * a
    if a > 1e-3:
        y = mpmath.mpf(-statistics.NormalDist().inv_cdf(float((1 - a) / 2)) / math.sqrt(2))
    for _ in range(12):
        residual = mpmath.erf(y) - a if a < 0.5 else (1 - a) - mpmath.erfc(y)
        step = residual * mpmath.sqrt(mpmath.pi) / 2 * mpmath.exp(y * y)
        y -= step
        if abs(step) < mpmath.ldexp(y, -mpmath.mp.prec // 2 - 9):
            break
    return mpmath.sign(x) * y


def _digamma(x: Any) -> Any:
    return mpmath.digamma(x) if x > 0 else mpmath.digamma(-x) - 1 / x - mpmath.pi * mpmath.cot(mpmath.pi * x)


EXACT |= {
    "rsqrt": lambda x: 1 / mpmath.sqrt(x),
    "cbrt": _cbrt,
    "exp2": lambda x: mpmath.mpf(2) ** x,
    "log2": lambda x: mpmath.log(x) / mpmath.log(2),
    "log10": lambda x: mpmath.log(x) / mpmath.log(10),
    "tan": mpmath.tan,
    "asin": mpmath.asin,
    "acos": mpmath.acos,
    "atan": mpmath.atan,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "asinh": mpmath.asinh,
    "acosh": mpmath.acosh,
    "atanh": mpmath.atanh,
    "erfc": lambda x: mpmath.erfc(min(max(x, -1000), 1000)),
    "erfinv": _erfinv,
    "lgamma": _lgamma,
    "digamma": _digamma,
}


def _polygamma(n: int, x: Any) -> Any:
    """The series of Euler and Maclaurin, below 0 by derivatives of the cotangent: mpmath's takes a second far out."""
    if x < 0:
        c, terms = mpmath.cot(mpmath.pi * x), [mpmath.mpf(0), mpmath.mpf(1)]
        for _ in range(n):  # the derivative of c^i is -i c^(i-1) (1 + c^2)
            slopes = [-i * a for i, a in enumerate(terms)][1:]
            terms = [a + b for a, b in zip([*slopes, 0, 0], [0, 0, *slopes], strict=True)]
        reflected = mpmath.pi ** (n + 1) * mpmath.polyval(terms[::-1], c)
        return (-1) ** n * _polygamma(n, 1 - x) - reflected
    z, total = x, mpmath.mpf(0)
    while z < mpmath.mp.prec // 3 + n:
        total, z = total + z ** (-n - 1), z + 1
    total += z**-n / n + z ** (-n - 1) / 2
    rising = mpmath.mpf(n + 1)
    for k in range(1, mpmath.mp.prec // 4):
        total += mpmath.bernoulli(2 * k) / mpmath.factorial(2 * k) * rising * z ** (-n - 2 * k)
        rising *= (n + 2 * k) * (n + 2 * k + 1)
    return (-1) ** (n + 1) * mpmath.factorial(n) * total


# Of two arguments, or one of several functions by a number.
EXACT2: dict[str, Callable[..., Any]] = {
    "atan2": mpmath.atan2,
    "hypot": lambda x, y: mpmath.sqrt(x * x + y * y),
    "logaddexp": lambda x, y: max(x, y) + mpmath.log1p(mpmath.exp(-abs(x - y))),
    "xlogy": lambda x, y: x * mpmath.log(y),
    **{f"pow{n}": lambda x, y, n=n: mpmath.re(mpmath.power(x, y - n)) for n in (0, 1, 2)},
    **{f"polygamma{n}": lambda x, n=n: _polygamma(n, x) for n in (1, 2, 3, 4)},
}
# The ends of the domain and the values there; beyond them NaN.
NAN, INF = float("nan"), float("inf")
DOMAIN: dict[str, tuple[float, float, float, float]] = {
    **dict.fromkeys(("log", "log2", "log10"), (0.0, INF, -INF, INF)),
    "log1p": (-1.0, INF, -INF, INF),
    "rsqrt": (0.0, INF, INF, 0.0),
    "asin": (-1.0, 1.0, -0.5 * np.pi, 0.5 * np.pi),
    "acos": (-1.0, 1.0, np.pi, 0.0),
    "acosh": (1.0, INF, 0.0, INF),
    "atanh": (-1.0, 1.0, -INF, INF),
    "erfinv": (-1.0, 1.0, -INF, INF),
}
# Values at -inf and inf of those that are defined everywhere.
LIMITS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("sin", "cos", "tan"), (NAN, NAN)),
    **dict.fromkeys(("exp", "exp2", "softplus"), (0.0, INF)),
    **dict.fromkeys(("tanh", "erf"), (-1.0, 1.0)),
    **dict.fromkeys(("sigmoid", "ndtr"), (0.0, 1.0)),
    **dict.fromkeys(("cbrt", "sinh", "asinh"), (-INF, INF)),
    **dict.fromkeys(("cosh", "lgamma"), (INF, INF)),
    "expm1": (-1.0, INF),
    "atan": (-0.5 * np.pi, 0.5 * np.pi),
    "erfc": (2.0, 0.0),
    "digamma": (NAN, INF),
}
ODD = ("expm1", "log1p", "tanh", "erf", "sin", "cbrt", "tan", "asin", "atan", "sinh", "asinh", "atanh", "erfinv")


def exact(name: str, *x: float) -> Any:
    """The value of function `name` at finite arguments inside its domain, as an mpf of 256 bits."""
    with mpmath.workprec(PRECISION):
        return (EXACT.get(name) or EXACT2[name])(*(mpmath.mpf(float(v)) for v in x))


def rounded64(name: str, *x: float) -> float:
    """The value rounded to float64, also at the ends of the domain."""
    fixed = special(name, x[0]) if name in EXACT else None
    if fixed is None and name.startswith("polygamma"):
        fixed = _special_polygamma(int(name.removeprefix("polygamma")), x[0])
    if fixed is not None:
        return fixed
    with mpmath.workprec(PRECISION // 2):
        return float((EXACT.get(name) or EXACT2[name])(*(mpmath.mpf(float(v)) for v in x)))


def _special_polygamma(n: int, x: float) -> float | None:
    if np.isnan(x) or (x < 0 and x == np.floor(x)):
        return NAN
    sign = 1.0 if n % 2 else -1.0
    if x == 0:
        return sign * (INF if n % 2 else float(np.copysign(INF, x)) ** 3)
    return sign * 0.0 if np.isinf(x) else None


def special(name: str, x: float) -> float | None:
    """The float64 result that is fixed by IEEE 754 and C99 annex F (poles, infinities, NaN, exact zeros), else None."""
    if np.isnan(x):
        return NAN
    if name in DOMAIN:
        low, high, at_low, at_high = DOMAIN[name]
        if not low <= x <= high:
            return NAN
        if x in (low, high):
            return float(np.copysign(INF, x)) if name == "rsqrt" and x == 0 else at_low if x == low else at_high
    if np.isinf(x):
        return LIMITS[name][int(x > 0)]
    if name in ("lgamma", "digamma") and x <= 0 and x == np.floor(x):
        return INF if name == "lgamma" else float(np.copysign(INF, -x)) if x == 0 else NAN
    if x == 0 and name in ODD:
        return float(x)
    return 0.0 if (x == 1 and name in ("log", "log2", "log10", "lgamma")) or (x == 2 and name == "lgamma") else None


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

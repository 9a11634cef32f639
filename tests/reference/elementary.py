"""Elementary functions of one and of two arguments.

float32: the correctly rounded result. NumPy's float64 value d is used if d*(1 - 2^-45) and d*(1 + 2^-45) round to the
same float32; otherwise (for about one argument in a million) mpmath determines on which side of the midpoint the value
lies.

float64: the contract fixes the sequence of operations in cpp/math, not the value; `exact.ulp_error` measures the error.
Here float64 functions are NumPy's, unless a test substitutes the kernels' own functions by `float64_functions` to
compare functions built on them (softmax, losses, normal) bit by bit.
"""

import math
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import mpmath
import numpy as np

from .bits import Array
from .exact import exact, rounded64

Function = Callable[..., Array]
ERROR_BOUND = 2.0**-45  # far more than the error of any float64 libm, far less than a float32 ULP


def _sigmoid64(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def _softplus64(x: Array) -> Array:
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


ROOT_HALF, ROOT_HALF_LOW = 0.7071067811865476, -4.833646656726457e-17  # high and low part of 1 / sqrt(2)
_SHORT = float(np.float32(ROOT_HALF))

# NumPy has no erf: the C library's, element by element.
_erf64 = np.frompyfunc(math.erf, 1, 1)
_erfc64 = np.frompyfunc(math.erfc, 1, 1)


def _erf(x: Array) -> Array:
    return np.asarray(_erf64(x), np.float64)


def _ndtr64(x: Array) -> Array:
    """erfc(t) / 2, t = -x / sqrt(2), corrected to first order for the rounding error of t: 2^-46 of it in the tail."""
    t = -x * ROOT_HALF
    high = x.astype(np.float32).astype(np.float64)
    lost = -((high * _SHORT + t) + (high * (ROOT_HALF - _SHORT + ROOT_HALF_LOW) + (x - high) * ROOT_HALF))
    correction = np.where(np.abs(x) < 40, np.exp(-t * t) * lost / np.sqrt(np.pi), 0.0)
    return np.asarray(0.5 * np.asarray(_erfc64(t), np.float64) - correction)


# NumPy's own sin and cos are not as accurate everywhere; the C library's refuse infinity.
_sin64, _cos64 = np.frompyfunc(math.sin, 1, 1), np.frompyfunc(math.cos, 1, 1)


def _sin(x: Array) -> Array:
    return np.asarray(_sin64(np.where(np.isinf(x), np.nan, x)), np.float64)


def _cos(x: Array) -> Array:
    return np.asarray(_cos64(np.where(np.isinf(x), np.nan, x)), np.float64)


def _by_element(function: Callable[..., float], x: Array) -> Array:
    return np.asarray(np.frompyfunc(function, 1, 1)(x), np.float64)


def _tan(x: Array) -> Array:
    return _by_element(math.tan, np.where(np.isinf(x), np.nan, x))


def _erfinv_of(x: float) -> float:
    """One step of Newton from a quantile of the normal distribution, or near 0 from the series."""
    a = abs(x)
    if not 0 < a < 1:
        return math.copysign(math.inf, x) if a == 1 else x if a == 0 else math.nan
    y = a * math.sqrt(math.pi) / 2 * (1 + math.pi / 12 * a * a)
    if a > 1e-3:
        y = -statistics.NormalDist().inv_cdf((1 - a) / 2) / math.sqrt(2)
    residual = math.erf(y) - a if a < 0.5 else (1 - a) - math.erfc(y)
    return math.copysign(y - residual * math.sqrt(math.pi) / 2 * math.exp(y * y), x)


def _where_it_cancels(name: str, y: Array, terms: Array, x: Array) -> Array:
    """y, but by mpmath where it is much smaller than its terms: beside zeros."""
    y = np.asarray(y)
    for i in np.argwhere(np.abs(y) < np.abs(terms) / 64):
        y[tuple(i)] = rounded64(name, float(x[tuple(i)]))
    return y


def _half_turn(a: Array) -> tuple[Array, Array]:
    """sin(pi a) and cos(pi a), up to a common sign."""
    f = a - np.rint(a)
    return np.sin(np.pi * f), np.where(np.abs(f) == 0.5, 0.0, np.cos(np.pi * f))


def _lgamma64(x: Array) -> Array:
    """The C library's logarithm of gamma in Python, by reflection below 0."""
    a = np.abs(x)
    right = _by_element(lambda v: math.lgamma(v) if 0 < v < 1e305 else math.inf, a)
    left = np.log(np.pi / (a * np.abs(_half_turn(a)[0]))) - np.where(a < 1e-90, 0.0, right)
    y = np.where(x < 0, np.where(a < 1e-90, right, left), right)
    y = np.where((x <= 0) & (x == np.floor(x)), np.inf, np.where(np.isnan(x), x, y))
    near = (np.abs(a - 1.5) < 0.75) | (np.abs(y) < right / 16)
    return _where_it_cancels("lgamma", y, np.where(near & np.isfinite(y), np.inf, 0.0), x)


def _series64(n: int, x: Array) -> Array:
    """The derivative of order n of digamma for x > 0: 20 steps up, then the series in 1 / x^2."""
    z, total = np.array(x), np.zeros_like(x)
    for _ in range(20 + n):
        small = z < 20 + n
        total = np.where(small, total + z ** (-n - 1.0), total)
        z = np.where(small, z + 1, z)
    rising = [math.factorial(2 * k + n - 1) for k in range(1, 9)]
    bernoulli = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510]
    rest = [b * r / math.factorial(2 * k) for k, (b, r) in enumerate(zip(bernoulli, rising, strict=True), 1)]
    tail = sum(c * z ** (-2.0 * k) for k, c in enumerate(rest, 1))
    if n == 0:
        return np.asarray(np.log(z) - 0.5 / z - tail - total)
    head = math.factorial(n - 1) * z**-n + math.factorial(n) * z ** (-n - 1.0) / 2
    return np.asarray((-1) ** (n + 1) * (head + z**-n * tail + math.factorial(n) * total))


def _digamma64(x: Array) -> Array:
    a = np.abs(x)
    right = _series64(0, a)
    sine, cosine = _half_turn(a)
    left = (right + 1 / a) + np.pi * cosine / sine
    y = np.where(x < 0, np.where(a < 1e-18, 1 / a, left), right)
    y = np.where((x < 0) & (x == np.floor(x)), np.nan, np.where(x == 0, np.copysign(np.inf, -x), y))
    terms = np.where(x < 0, np.abs(right) + 1 / a, np.where(np.abs(x - 1.46) < 0.5, 100.0, 0.0))
    return _where_it_cancels("digamma", np.where(x == np.inf, x, y), terms, x)


def _polygamma64(n: int, x: Array) -> Array:
    right = _series64(n, np.where(x < 0, 1 - x, x))
    sine, cosine = _half_turn(np.abs(x))
    c, s = -cosine / sine, sine * sine
    slopes = [c, -1 / s, 2 * c / s, -(4 * c * c / s + 2 / (s * s)), 8 * c**3 / s + 16 * c / (s * s)]  # of the cotangent
    reflected = np.pi ** (n + 1) * slopes[n]
    y = np.where(x < 0, (-1) ** n * right - reflected, right)
    y = np.where((x < 0) & (x == np.floor(x)), np.nan, y)
    at_zero = (-1) ** (n + 1) * np.copysign(np.inf, x) ** (n + 1)
    y = np.where(x == 0, at_zero, np.where(x == np.inf, (-1) ** (n + 1) * 0.0, y))
    return _where_it_cancels(f"polygamma{n}", y, np.where(x < 0, np.abs(right), 0.0), x)


def _logaddexp(a: Array, b: Array) -> Array:
    """Where the sum of the exponentials is near 1, mpmath."""
    y = np.asarray(np.logaddexp(a, b))
    larger = np.abs(np.maximum(a, b))
    for i in np.argwhere((np.abs(y) < larger / 8) & (larger < 1)):
        y[tuple(i)] = rounded64("logaddexp", a[tuple(i)], b[tuple(i)])
    return y


def _xlogy(x: Array, y: Array) -> Array:
    return np.where((x == 0) & ~np.isnan(y), 0.0, x * np.log(y))


def _pow(x: Array, y: Array, n: int = 0) -> Array:
    """NumPy's power; y - n as a sum of two, the second's power to first order."""
    e = np.asarray(y - n)
    lost = np.where(np.isfinite(y), (y - (e + n)) + ((e + n) - e - n), 0.0) if n else np.zeros_like(e)
    small = np.where((lost != 0) & (x > 0) & np.isfinite(x), lost * np.log(np.abs(x)), 0.0)
    broken = np.isfinite(y) & (y != np.floor(y))
    value = np.power(np.where(broken, np.abs(x), x), e) * np.exp(small)
    return np.where(broken & (x < 0) & np.isfinite(x), np.nan, value)


NUMPY64: dict[str, Function] = {
    "rsqrt": lambda x: np.where(x < 0, np.nan, 1 / np.sqrt(x)),
    "cbrt": np.cbrt,
    "exp2": np.exp2,
    "log2": np.log2,
    "log10": np.log10,
    "tan": _tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "erfc": lambda x: _by_element(math.erfc, x),
    "erfinv": lambda x: _by_element(_erfinv_of, x),
    "lgamma": _lgamma64,
    "digamma": _digamma64,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": _sigmoid64,
    "softplus": _softplus64,
    "erf": _erf,
    "ndtr": _ndtr64,
    "sin": _sin,
    "cos": _cos,
}
# Of two arguments, or with a number that chooses one of several functions: the kernel and its parameters.
KERNELS64: dict[str, tuple[str, tuple[float, ...], Function]] = {
    "atan2": ("atan2", (), np.arctan2),
    "hypot": ("hypot", (), np.hypot),
    "logaddexp": ("logaddexp", (), _logaddexp),
    "xlogy": ("xlogy", (), _xlogy),
    **{f"pow{n}": ("pow", (n,), lambda x, y, n=n: _pow(x, y, n)) for n in (0, 1, 2)},
    **{f"polygamma{n}": ("polygamma", (n,), lambda x, n=n: _polygamma64(n, x)) for n in (1, 2, 3, 4)},
}
_replaced64: dict[str, Function] = {}


def _function64(name: str) -> Function:
    return NUMPY64[name] if name in NUMPY64 else KERNELS64[name][2]


@contextmanager
def float64_functions(**functions: Function) -> Iterator[None]:
    """Use the given functions for float64 inside the block: ``with float64_functions(exp=kernel_exp): ...``."""
    unknown = functions.keys() - NUMPY64.keys() - KERNELS64.keys()
    if unknown:
        raise ValueError(f"float64_functions: unknown {sorted(unknown)}, expected some of {sorted(NUMPY64)}")
    saved = dict(_replaced64)
    _replaced64.update(functions)
    try:
        yield
    finally:
        _replaced64.clear()
        _replaced64.update(saved)


def evaluate(name: str, *x: Array) -> Array:
    """Function `name` on float32 (correctly rounded) or float64 arrays."""
    x = tuple(map(np.asarray, x))
    if x[0].dtype == np.float32:
        return correctly_rounded(name, *x)
    with np.errstate(all="ignore"):
        return np.asarray(_replaced64.get(name, _function64(name))(*x))


def correctly_rounded(name: str, *x: Array) -> Array:
    """The float32 value nearest to the mathematical value, for all float32 arguments."""
    x = tuple(np.broadcast_arrays(*x))
    with np.errstate(all="ignore"):
        d = np.asarray(_function64(name)(*(np.asarray(v, np.float64) for v in x)))
        inner = np.asarray(d * (1 - ERROR_BOUND)).astype(np.float32)
        outer = np.asarray(d * (1 + ERROR_BOUND)).astype(np.float32)
    for index in np.argwhere((inner != outer) & ~np.isnan(d)):
        i = tuple(index)
        inner[i] = _decide(name, [v[i] for v in x], inner[i], outer[i])
    return inner


def _decide(name: str, x: list[np.float32], inner: np.float32, outer: np.float32) -> np.float32:
    """The neighbour (inner is closer to zero) that is nearest to the exact value; 2^128 represents infinity."""
    edge = float(outer) if np.isfinite(outer) else float(np.copysign(2.0**128, outer))
    midpoint = mpmath.mpf((float(inner) + edge) / 2)
    value = exact(name, *map(float, x))
    if value == midpoint:
        if name not in ("pow0", "hypot"):
            raise ArithmeticError(f"{name}({x}): mpmath's precision is insufficient to round correctly")
        return outer if int(inner.view(np.int32)) & 1 else inner  # a tie, to even
    # Comparisons of mpf are exact; abs() would round to mpmath's current precision first.
    is_outer = value > midpoint if midpoint > 0 else value < midpoint
    return outer if is_outer else inner


def exp(x: Array) -> Array:
    """``e^x``."""
    return evaluate("exp", x)


def expm1(x: Array) -> Array:
    """``e^x - 1``."""
    return evaluate("expm1", x)


def log(x: Array) -> Array:
    """``ln x``."""
    return evaluate("log", x)


def log1p(x: Array) -> Array:
    """``ln(1 + x)``."""
    return evaluate("log1p", x)


def tanh(x: Array) -> Array:
    """``(e^x - e^-x) / (e^x + e^-x)``."""
    return evaluate("tanh", x)


def sigmoid(x: Array) -> Array:
    """``1 / (1 + e^-x)``."""
    return evaluate("sigmoid", x)


def softplus(x: Array) -> Array:
    """``ln(1 + e^x)``."""
    return evaluate("softplus", x)


def erf(x: Array) -> Array:
    """``2/sqrt(pi) * integral of e^(-t^2) from 0 to x``."""
    return evaluate("erf", x)


def ndtr(x: Array) -> Array:
    """``(1 + erf(x / sqrt(2))) / 2``."""
    return evaluate("ndtr", x)


def sin(x: Array) -> Array:
    """``sin x``."""
    return evaluate("sin", x)


def cos(x: Array) -> Array:
    """``cos x``."""
    return evaluate("cos", x)


def power(x: Array, y: Array, shift: int = 0) -> Array:
    """``x^(y - shift)``."""
    return evaluate(f"pow{shift}", x, y)


def polygamma(n: int, x: Array) -> Array:
    """The derivative of order n of digamma."""
    return evaluate(f"polygamma{n}", x)

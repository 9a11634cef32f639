"""exp, expm1, log, log1p, tanh, sigmoid, softplus, erf, ndtr, sin, cos.

float32: the correctly rounded result. NumPy's float64 value d is used if d*(1 - 2^-45) and d*(1 + 2^-45) round to the
same float32; otherwise (for about one argument in a million) mpmath determines on which side of the midpoint the value
lies.

float64: the contract fixes the sequence of operations in cpp/math, not the value; `exact.ulp_error` measures the error.
Here float64 functions are NumPy's, unless a test substitutes the kernels' own functions by `float64_functions` to
compare functions built on them (softmax, losses, normal) bit by bit.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import mpmath
import numpy as np

from .bits import Array
from .exact import exact

Function = Callable[[Array], Array]
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


NUMPY64: dict[str, Function] = {
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
_replaced64: dict[str, Function] = {}


@contextmanager
def float64_functions(**functions: Function) -> Iterator[None]:
    """Use the given functions for float64 inside the block: ``with float64_functions(exp=kernel_exp): ...``."""
    unknown = functions.keys() - NUMPY64.keys()
    if unknown:
        raise ValueError(f"float64_functions: unknown {sorted(unknown)}, expected some of {sorted(NUMPY64)}")
    saved = dict(_replaced64)
    _replaced64.update(functions)
    try:
        yield
    finally:
        _replaced64.clear()
        _replaced64.update(saved)


def evaluate(name: str, x: Array) -> Array:
    """Function `name` on a float32 (correctly rounded) or float64 array."""
    x = np.asarray(x)
    if x.dtype == np.float32:
        return correctly_rounded(name, x)
    with np.errstate(all="ignore"):
        return np.asarray(_replaced64.get(name, NUMPY64[name])(x))


def correctly_rounded(name: str, x: Array) -> Array:
    """The float32 value nearest to the mathematical value, for every float32 argument."""
    with np.errstate(all="ignore"):
        d = np.asarray(NUMPY64[name](np.asarray(x, np.float64)))
        inner = np.asarray(d * (1 - ERROR_BOUND)).astype(np.float32)
        outer = np.asarray(d * (1 + ERROR_BOUND)).astype(np.float32)
    for index in np.argwhere((inner != outer) & ~np.isnan(d)):
        i = tuple(index)
        inner[i] = _decide(name, x[i], inner[i], outer[i])
    return inner


def _decide(name: str, x: np.float32, inner: np.float32, outer: np.float32) -> np.float32:
    """The neighbour (inner is closer to zero) that is nearest to the exact value; 2^128 represents infinity."""
    edge = float(outer) if np.isfinite(outer) else float(np.copysign(2.0**128, outer))
    midpoint = mpmath.mpf((float(inner) + edge) / 2)
    value = exact(name, float(x))
    if value == midpoint:
        raise ArithmeticError(f"{name}({float(x).hex()}): mpmath's precision is insufficient to round correctly")
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

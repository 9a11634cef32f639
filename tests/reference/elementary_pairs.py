"""Rows of the functions that are evaluated as pairs; their gradients are made of other ops, as below."""

from collections.abc import Callable
from functools import partial

import numpy as np

from . import elementary
from .bits import Array
from .elementary import evaluate
from .elementary_gradients import erf_grad
from .row import ORDINARY, PAIR, REFERENCE, Row

DOMAINS = {
    "rsqrt": (0.25, 4.0),
    "cbrt": (0.25, 4.0),
    "exp2": (-5.0, 5.0),
    "log2": (0.1, 10.0),
    "log10": (0.1, 10.0),
    "tan": (-1.3, 1.3),
    "asin": (-0.9, 0.9),
    "acos": (-0.9, 0.9),
    "atan": (-5.0, 5.0),
    "sinh": (-4.0, 4.0),
    "cosh": (-4.0, 4.0),
    "asinh": (-5.0, 5.0),
    "acosh": (1.2, 5.0),
    "atanh": (-0.9, 0.9),
    "erfc": (-2.0, 2.0),
    "erfinv": (-0.9, 0.9),
    "lgamma": (0.4, 9.0),
    "digamma": (0.4, 9.0),
}
REFERENCE.update({name: Row(partial(evaluate, name), domain=(domain,)) for name, domain in DOMAINS.items()})
REFERENCE["atan2"] = Row(partial(evaluate, "atan2"), domain=(ORDINARY, (0.25, 4.0)))
REFERENCE["hypot"] = Row(partial(evaluate, "hypot"), domain=((0.25, 3.0), (-3.0, -0.25)))
REFERENCE["logaddexp"] = Row(partial(evaluate, "logaddexp"), domain=PAIR)
REFERENCE["xlogy"] = Row(partial(evaluate, "xlogy"), domain=(ORDINARY, (0.25, 4.0)))


def _other_side(x: Array) -> Array:
    one = x.dtype.type(1)
    return np.asarray(np.sqrt((one - x) * (one + x)))


def _hypot(x: Array, y: Array) -> Array:
    return evaluate("hypot", x, np.asarray(y, x.dtype))


def _number(x: Array, value: float) -> Array:
    return np.asarray(value, x.dtype)


Gradient = Callable[[Array, Array, Array], Array]  # g, y, x
GRADIENTS1: dict[str, Gradient] = {
    "rsqrt": lambda g, y, x: g * (_number(x, -0.5) * (y / x)),
    "cbrt": lambda g, y, x: g / (_number(x, 3) * (y * y)),
    "exp2": lambda g, y, x: g * (y * _number(x, np.log(2))),
    "log2": lambda g, y, x: g / (x * _number(x, np.log(2))),
    "log10": lambda g, y, x: g / (x * _number(x, np.log(10))),
    "tan": lambda g, y, x: g * (_number(x, 1) + y * y),
    "asin": lambda g, y, x: g / _other_side(x),
    "acos": lambda g, y, x: -(g / _other_side(x)),
    "atan": lambda g, y, x: g / _hypot(x, _number(x, 1)) / _hypot(x, _number(x, 1)),
    "sinh": lambda g, y, x: g * evaluate("cosh", x),
    "cosh": lambda g, y, x: g * evaluate("sinh", x),
    "asinh": lambda g, y, x: g / _hypot(x, _number(x, 1)),
    "acosh": lambda g, y, x: g / (np.sqrt(x - _number(x, 1)) * np.sqrt(x + _number(x, 1))),
    "atanh": lambda g, y, x: g / ((_number(x, 1) - x) * (_number(x, 1) + x)),
    "erfc": lambda g, y, x: -erf_grad(x, g),
    "erfinv": lambda g, y, x: g / erf_grad(y, _number(x, 1)),
    "lgamma": lambda g, y, x: g * evaluate("digamma", x),
    "digamma": lambda g, y, x: g * elementary.polygamma(1, x),
}
Gradient2 = Callable[[Array, Array, Array, Array], Array]  # g, y, a, b
GRADIENTS2: dict[str, tuple[Gradient2, Gradient2]] = {
    "hypot": (lambda g, y, a, b: g * (a / y), lambda g, y, a, b: g * (b / y)),
    "atan2": (
        lambda g, y, a, b: g * (b / _hypot(a, b) / _hypot(a, b)),
        lambda g, y, a, b: -(g * (a / _hypot(a, b) / _hypot(a, b))),
    ),
    "logaddexp": (
        lambda g, y, a, b: g * elementary.sigmoid(np.asarray(a - b)),
        lambda g, y, a, b: g * elementary.sigmoid(np.asarray(-(a - b))),
    ),
    "xlogy": (lambda g, y, a, b: g * elementary.log(b), lambda g, y, a, b: g * (a / b)),
}


@np.errstate(all="ignore")
def power(x: Array, exponent: float) -> Array:
    """``x**n`` by repeated squaring from the lowest bit of |n|, then 1/r if n < 0; ``x**0.5 = sqrt(x)``."""
    x = np.asarray(x)
    if exponent == 0.5:
        return np.asarray(np.sqrt(x))
    if exponent != int(exponent) or abs(exponent) > 64:
        return elementary.power(x, np.full_like(x, exponent))
    n, base, result = int(np.abs(exponent)), x, None
    while n:
        if n & 1:
            result = base if result is None else result * base
        base = base * base
        n >>= 1
    one = np.ones_like(x)
    if result is None:
        return one
    return np.asarray(one / result if exponent < 0 else result)

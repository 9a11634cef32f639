"""The activation functions of docs/arithmetic.md, and their rows of the table; ``<op>_grad(kept, g)`` as in
elementary_gradients.py.

Numbers of an op are rounded to the dtype of x once.
"""

import numpy as np

from . import reduce
from .bits import Array
from .elementary import exp, expm1, ndtr, sigmoid, softplus
from .elementary_gradients import density
from .elementwise import maximum, minimum
from .fma import fma
from .row import PAIR, REFERENCE, Row, at_zero, numbers_of

BOUNDS = ((-1.0, 1.0), (0.0, 6.0), (-0.25, 2.5))
SELU_UP, SELU_DOWN = 1.0507009873554805, 1.7580993408473768
LINEAR, CUBIC = 1.5957691216057308, 0.07135481627260025  # 2 sqrt(2/pi) (1, 0.044715)


def numbers(x: Array, *values: float) -> list[Array]:
    """Numbers in the dtype of x, 0-d."""
    return [np.asarray(value, x.dtype) for value in values]


def inside(kept: Array, g: Array, passes: Array) -> Array:
    """g where it passes, else 0; NaN where the kept value is."""
    return np.where(np.isnan(kept), kept, np.where(passes, g, kept.dtype.type(0)))


def limited(x: Array, bound: float) -> Array:
    """x between -bound and bound."""
    low, high = numbers(x, -bound, bound)
    return np.where(x > high, high, np.where(x < low, low, x))


def gated(x: Array, s: Array) -> Array:
    """``s == 0 ? (0 with the sign of x) : x*s``."""
    return np.where(s == 0, np.copysign(s, x), x * s)


def logistic(z: Array) -> tuple[Array, Array]:
    """sigmoid(z) and 1 - sigmoid(z): ``q = sigmoid(-|z|)`` and ``1 - q``."""
    q = sigmoid(-np.abs(z))
    rest = z.dtype.type(1) - q
    return np.where(z < 0, q, rest), np.where(z < 0, rest, q)


def relu(x: Array) -> Array:
    """``x <= 0 ? +0 : x``."""
    x = np.asarray(x)
    return np.where(x <= 0, x.dtype.type(0), x)


def relu_grad(y: Array, g: Array) -> Array:
    """``y == 0 ? +0 : (y is NaN ? y : g)``."""
    y, g = np.asarray(y), np.asarray(g)
    return np.where(y == 0, y.dtype.type(0), np.where(np.isnan(y), y, g))


REFERENCE["relu"] = Row(relu, relu_grad, "y", kinks=at_zero)


@np.errstate(all="ignore")
def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    """``x > 0 ? x : s*x``, s rounded to the dtype of x."""
    x = np.asarray(x)
    return np.where(x > 0, x, x.dtype.type(negative_slope) * x)


@np.errstate(all="ignore")
def leaky_relu_grad(x: Array, g: Array, negative_slope: float = 0.01) -> Array:
    """``x is NaN ? x : (x > 0 ? g : s*g)``."""
    x, g = np.asarray(x), np.asarray(g)
    return np.where(np.isnan(x), x, np.where(x > 0, g, x.dtype.type(negative_slope) * g))


REFERENCE["leaky_relu"] = Row(
    leaky_relu,
    leaky_relu_grad,
    "x",
    attributes=numbers_of("negative_slope", 0.01, 0.0, 0.3, -0.5),
    kinks=at_zero,
)


@np.errstate(all="ignore")
def clip(x: Array, min: float, max: float) -> Array:
    """``minimum(maximum(x, min), max)``."""
    x = np.asarray(x)
    low, high = numbers(x, min, max)
    return minimum(maximum(x, low), high)


def clip_grad(x: Array, g: Array, min: float, max: float) -> Array:
    """``x is NaN ? x : (min <= x <= max ? g : +0)``."""
    x, g = np.asarray(x), np.asarray(g)
    low, high = numbers(x, min, max)
    return inside(x, g, (low <= x) & (x <= high))


REFERENCE["clip"] = Row(
    clip,
    clip_grad,
    "x",
    attributes=tuple({"min": a, "max": b} for a, b in BOUNDS),
    kinks=lambda min, max: (min, max),
)


def hardtanh(x: Array, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    """``clip(x, min_val, max_val)``."""
    return clip(x, min_val, max_val)


def hardtanh_grad(y: Array, g: Array, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    """``y is NaN ? y : (min_val < y < max_val ? g : +0)``."""
    y, g = np.asarray(y), np.asarray(g)
    low, high = numbers(y, min_val, max_val)
    return inside(y, g, (low < y) & (y < high))


REFERENCE["hardtanh"] = Row(
    hardtanh,
    hardtanh_grad,
    "y",
    attributes=tuple({"min_val": a, "max_val": b} for a, b in BOUNDS),
    kinks=lambda min_val=-1.0, max_val=1.0: (min_val, max_val),
)


@np.errstate(all="ignore")
def hardsigmoid(x: Array, slope: float = 1 / 6) -> Array:
    """``clip(fma(slope, x, 0.5), 0, 1)``."""
    x = np.asarray(x)
    factor, half = numbers(x, slope, 0.5)
    return clip(fma(factor, x, half), 0.0, 1.0)


@np.errstate(all="ignore")
def hardsigmoid_grad(y: Array, g: Array, slope: float = 1 / 6) -> Array:
    """``y is NaN ? y : (0 < y < 1 ? slope*g : +0)``."""
    y = np.asarray(y)
    return inside(y, np.asarray(y.dtype.type(slope) * g), (y > 0) & (y < 1))


REFERENCE["hardsigmoid"] = Row(
    hardsigmoid,
    hardsigmoid_grad,
    "y",
    ((-2.5, 3.5),),
    numbers_of("slope", 1 / 6, 1.0, -0.125),
    kinks=lambda slope=1 / 6: (-0.5 / slope, 0.5 / slope),
)


@np.errstate(all="ignore")
def softsign(x: Array) -> Array:
    """``u / (1 + |u|)``, u = x between the largest finite numbers."""
    x = np.asarray(x)
    u = limited(x, np.finfo(x.dtype).max)
    return np.asarray(u / (x.dtype.type(1) + np.abs(u)))


@np.errstate(all="ignore")
def softsign_grad(x: Array, g: Array) -> Array:
    """``(g / d) / d``, ``d = 1 + |x|``."""
    x = np.asarray(x)
    d = x.dtype.type(1) + np.abs(x)
    return np.asarray((g / d) / d)


REFERENCE["softsign"] = Row(softsign, softsign_grad, "x", kinks=at_zero)


@np.errstate(all="ignore")
def logsigmoid(x: Array) -> Array:
    """``-softplus(-x)``."""
    return np.asarray(-softplus(-np.asarray(x)))


@np.errstate(all="ignore")
def logsigmoid_grad(x: Array, g: Array) -> Array:
    """``g * sigmoid(-x)``."""
    return np.asarray(g * sigmoid(-np.asarray(x)))


REFERENCE["logsigmoid"] = Row(logsigmoid, logsigmoid_grad, "x", ((-20.0, 20.0),))


@np.errstate(all="ignore")
def exponential(x: Array, up: float, down: float) -> Array:
    """``x > 0 ? up*x : down*expm1(x)``."""
    x = np.asarray(x)
    above, below = numbers(x, up, down)
    return np.where(x > 0, above * x, below * expm1(x))


@np.errstate(all="ignore")
def exponential_grad(x: Array, g: Array, up: float, down: float) -> Array:
    """``x > 0 ? up*g : g*(down*exp(x))``."""
    x = np.asarray(x)
    above, below = numbers(x, up, down)
    return np.where(x > 0, above * g, g * (below * exp(x)))


def elu(x: Array, alpha: float = 1.0) -> Array:
    """``x > 0 ? x : alpha*expm1(x)``."""
    return exponential(x, 1.0, alpha)


def elu_grad(x: Array, g: Array, alpha: float = 1.0) -> Array:
    """``x > 0 ? g : g*(alpha*exp(x))``."""
    return exponential_grad(x, g, 1.0, alpha)


REFERENCE["elu"] = Row(elu, elu_grad, "x", ((-10.0, 4.0),), numbers_of("alpha", 1.0, 0.3, -2.0), kinks=at_zero)


def selu(x: Array) -> Array:
    """elu with both sides scaled."""
    return exponential(x, SELU_UP, SELU_DOWN)


def selu_grad(x: Array, g: Array) -> Array:
    """As elu's."""
    return exponential_grad(x, g, SELU_UP, SELU_DOWN)


REFERENCE["selu"] = Row(selu, selu_grad, "x", ((-10.0, 4.0),), kinks=at_zero)


@np.errstate(all="ignore")
def silu(x: Array, beta: float = 1.0) -> Array:
    """``gated(x, sigmoid(beta*x))``."""
    x = np.asarray(x)
    return gated(x, sigmoid(np.asarray(x.dtype.type(beta) * x)))


@np.errstate(all="ignore")
def silu_grad(x: Array, g: Array, beta: float = 1.0) -> Array:
    """``g * (s * fma(z, 1-s, 1))``, z = beta*x between the largest finite numbers."""
    x = np.asarray(x)
    z = limited(np.asarray(x.dtype.type(beta) * x), np.finfo(x.dtype).max)
    s, rest = logistic(z)
    return np.asarray(g * (s * fma(z, rest, np.ones_like(z))))


REFERENCE["silu"] = Row(silu, silu_grad, "x", ((-5.0, 5.0),), numbers_of("beta", 1.0, 1.7, -0.6))


def _mish_parts(x: Array) -> tuple[Array, Array]:
    """``u``, x between -1000 and 40, and ``n = e*(e + 2)`` with ``e = exp(u)``."""
    u = np.minimum(np.maximum(x, x.dtype.type(-1000)), x.dtype.type(40))
    e = exp(u)
    return u, e * (e + x.dtype.type(2))


@np.errstate(all="ignore")
def mish(x: Array) -> Array:
    """``gated(x, n/(n + 2))``."""
    x = np.asarray(x)
    n = _mish_parts(x)[1]
    return gated(x, n / (n + x.dtype.type(2)))


@np.errstate(all="ignore")
def mish_grad(x: Array, g: Array) -> Array:
    """``g * fma(u, ((2/d)*(1 + q))*sigmoid(u), q)`` with ``d = n + 2`` and ``q = n/d``."""
    x = np.asarray(x)
    one, two = numbers(x, 1.0, 2.0)
    u, n = _mish_parts(x)
    d = n + two
    q = n / d
    return np.asarray(g * fma(u, ((two / d) * (one + q)) * sigmoid(u), q))


REFERENCE["mish"] = Row(mish, mish_grad, "x", ((-5.0, 5.0),))


@np.errstate(all="ignore")
def gelu(x: Array) -> Array:
    """``gated(x, ndtr(x))``."""
    x = np.asarray(x)
    return gated(x, ndtr(x))


@np.errstate(all="ignore")
def gelu_grad(x: Array, g: Array) -> Array:
    """``g * fma(u, density(u), ndtr(u))``, u = x between -40 and 40."""
    u = limited(np.asarray(x), 40.0)
    return np.asarray(g * fma(u, density(u), ndtr(u)))


REFERENCE["gelu"] = Row(gelu, gelu_grad, "x", ((-10.0, 6.0),))


def argument(x: Array) -> Array:
    """``x * fma(CUBIC, x*x, LINEAR)``."""
    linear, cubic = numbers(x, LINEAR, CUBIC)
    return np.asarray(x * fma(cubic, x * x, linear))


@np.errstate(all="ignore")
def gelu_tanh(x: Array) -> Array:
    """``gated(x, sigmoid(argument(x)))``."""
    x = np.asarray(x)
    return gated(x, sigmoid(argument(x)))


@np.errstate(all="ignore")
def gelu_tanh_grad(x: Array, g: Array) -> Array:
    """``g * (s * fma(u*slope, 1-s, 1))``, u = x between -40 and 40, ``slope = fma(3*CUBIC, u*u, LINEAR)``."""
    x = np.asarray(x)
    u = limited(x, 40.0)
    linear, cubic = numbers(x, LINEAR, 3 * CUBIC)
    s, rest = logistic(argument(u))
    return np.asarray(g * (s * fma(u * fma(cubic, u * u, linear), rest, np.ones_like(u))))


REFERENCE["gelu_tanh"] = Row(gelu_tanh, gelu_tanh_grad, "x", ((-2.0, 3.0),))


def sign(x: Array) -> Array:
    """1, -1, and +0 at zeros of both signs; NaN stays."""
    x = np.asarray(x)
    one, zero = numbers(x, 1.0, 0.0)
    return np.where(x > 0, one, np.where(x < 0, -one, np.where(x == 0, zero, x)))


REFERENCE["sign"] = Row(sign, kinks=at_zero)


def heaviside(x: Array, value: float = 0.5) -> Array:
    """1, 0, and value at zeros of both signs; NaN stays."""
    x = np.asarray(x)
    one, zero, middle = numbers(x, 1.0, 0.0, value)
    return np.where(x > 0, one, np.where(x < 0, zero, np.where(x == 0, middle, x)))


REFERENCE["heaviside"] = Row(heaviside, attributes=numbers_of("value", 0.5, 0.0, 1.0), kinks=at_zero)


@np.errstate(all="ignore")
def prelu(x: Array, weight: Array) -> Array:
    """``x > 0 ? x : weight*x``."""
    x, weight = np.broadcast_arrays(x, weight)
    return np.where(x > 0, x, weight * x)


REFERENCE["prelu"] = Row(prelu, domain=PAIR, kinks=at_zero)


def grouped(x: Array, pieces: int, axis: int) -> Array:
    """The axis as two: groups, and the pieces of each."""
    at = axis % x.ndim
    return x.reshape(*x.shape[:at], x.shape[at] // pieces, pieces, *x.shape[at + 1 :])


def maxout(x: Array, pieces: int, axis: int = -1) -> Array:
    """``max`` over groups of neighbours."""
    x = np.asarray(x)
    return reduce.max(grouped(x, pieces, axis), axis % x.ndim + 1)


def maxout_grad(x: Array, g: Array, pieces: int, axis: int = -1) -> Array:
    """g to the first of the largest of each group."""
    x, g = np.asarray(x), np.asarray(g)
    at = axis % x.ndim + 1
    groups = grouped(x, pieces, axis)
    result = np.zeros_like(groups)
    index = reduce.argmax(groups, at, keepdims=True)
    np.put_along_axis(result, index, np.expand_dims(g, at), at)
    return result.reshape(x.shape)

"""relu, leaky_relu and the gradients of the table in docs/arithmetic.md.

``<op>_grad(kept, g)``: kept is y where the gradient is taken from the output, x where it is taken from the input.
"""

import numpy as np

from .bits import Array
from .elementary import exp, sigmoid
from .fma import fma


def relu(x: Array) -> Array:
    """``x <= 0 ? +0 : x``."""
    x = np.asarray(x)
    return np.where(x <= 0, x.dtype.type(0), x)


def relu_grad(y: Array, g: Array) -> Array:
    """``y == 0 ? +0 : (y is NaN ? y : g)``."""
    y, g = np.asarray(y), np.asarray(g)
    return np.where(y == 0, y.dtype.type(0), np.where(np.isnan(y), y, g))


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


@np.errstate(all="ignore")
def tanh_grad(y: Array, g: Array) -> Array:
    """``g * fma(-y, y, 1)``."""
    y = np.asarray(y)
    return np.asarray(g * fma(-y, y, np.ones_like(y)))


@np.errstate(all="ignore")
def sigmoid_grad(y: Array, g: Array) -> Array:
    """``g * (y * (1 - y))``."""
    y = np.asarray(y)
    return np.asarray(g * (y * (y.dtype.type(1) - y)))


@np.errstate(all="ignore")
def softplus_grad(x: Array, g: Array) -> Array:
    """``g * sigmoid(x)``."""
    return np.asarray(g * sigmoid(x))


@np.errstate(all="ignore")
def exp_grad(y: Array, g: Array) -> Array:
    """``g * y``."""
    return np.asarray(g * y)


@np.errstate(all="ignore")
def expm1_grad(y: Array, g: Array) -> Array:
    """``g * (y + 1)``."""
    y = np.asarray(y)
    return np.asarray(g * (y + y.dtype.type(1)))


@np.errstate(all="ignore")
def log_grad(x: Array, g: Array) -> Array:
    """``g / x``."""
    return np.asarray(g / x)


@np.errstate(all="ignore")
def log1p_grad(x: Array, g: Array) -> Array:
    """``g / (1 + x)``."""
    x = np.asarray(x)
    return np.asarray(g / (x.dtype.type(1) + x))


@np.errstate(all="ignore")
def sqrt_grad(y: Array, g: Array) -> Array:
    """``g / (y + y)``."""
    y = np.asarray(y)
    return np.asarray(g / (y + y))


def bell(x: Array, f: float) -> Array:
    """``e^(-f x^2)``: u = x between -40 and 40, q = u*u, r = fma(u, u, -q), e = exp(-f*q), fma(-f*r, e, e)."""
    bound, factor = x.dtype.type(40), x.dtype.type(-f)
    u = np.where(x > bound, bound, np.where(x < -bound, -bound, x))
    q = u * u
    e = exp(factor * q)
    return fma(factor * fma(u, u, -q), e, e)


@np.errstate(all="ignore")
def erf_grad(x: Array, g: Array) -> Array:
    """``g * (2/sqrt(pi) * bell(x, 1))``."""
    x = np.asarray(x)
    return np.asarray(g * (x.dtype.type(1.1283791670955126) * bell(x, 1.0)))


@np.errstate(all="ignore")
def density(x: Array) -> Array:
    """``1/sqrt(2 pi) * bell(x, 1/2)``."""
    return np.asarray(x.dtype.type(0.3989422804014327) * bell(x, 0.5))


def ndtr_grad(x: Array, g: Array) -> Array:
    """``g * density(x)``."""
    with np.errstate(all="ignore"):
        return np.asarray(g * density(np.asarray(x)))

"""The gradients of the elementary functions in docs/arithmetic.md, and their rows of the table.

``<op>_grad(kept, g)``: kept is y where the gradient is taken from the output, x where it is taken from the input.
"""

import numpy as np

from . import elementary, elementwise
from .bits import Array
from .elementary import exp, sigmoid
from .fma import fma
from .row import REFERENCE, Row


@np.errstate(all="ignore")
def tanh_grad(y: Array, g: Array) -> Array:
    """``g * fma(-y, y, 1)``."""
    y = np.asarray(y)
    return np.asarray(g * fma(-y, y, np.ones_like(y)))


REFERENCE["tanh"] = Row(elementary.tanh, tanh_grad, "y", ((-10.0, 10.0),))


@np.errstate(all="ignore")
def sigmoid_grad(y: Array, g: Array) -> Array:
    """``g * (y * (1 - y))``."""
    y = np.asarray(y)
    return np.asarray(g * (y * (y.dtype.type(1) - y)))


REFERENCE["sigmoid"] = Row(elementary.sigmoid, sigmoid_grad, "y", ((-20.0, 20.0),))


@np.errstate(all="ignore")
def softplus_grad(x: Array, g: Array) -> Array:
    """``g * sigmoid(x)``."""
    return np.asarray(g * sigmoid(x))


REFERENCE["softplus"] = Row(elementary.softplus, softplus_grad, "x", ((-20.0, 20.0),))


@np.errstate(all="ignore")
def exp_grad(y: Array, g: Array) -> Array:
    """``g * y``."""
    return np.asarray(g * y)


REFERENCE["exp"] = Row(elementary.exp, exp_grad, "y", ((-20.0, 20.0),))


@np.errstate(all="ignore")
def expm1_grad(x: Array, g: Array) -> Array:
    """``g * exp(x)``."""
    return np.asarray(g * exp(np.asarray(x)))


REFERENCE["expm1"] = Row(elementary.expm1, expm1_grad, "x", ((-20.0, 20.0),))


@np.errstate(all="ignore")
def log_grad(x: Array, g: Array) -> Array:
    """``g / x``."""
    return np.asarray(g / x)


REFERENCE["log"] = Row(elementary.log, log_grad, "x", ((0.01, 100.0),))


@np.errstate(all="ignore")
def log1p_grad(x: Array, g: Array) -> Array:
    """``g / (1 + x)``."""
    x = np.asarray(x)
    return np.asarray(g / (x.dtype.type(1) + x))


REFERENCE["log1p"] = Row(elementary.log1p, log1p_grad, "x", ((-0.9, 20.0),))


@np.errstate(all="ignore")
def sqrt_grad(y: Array, g: Array) -> Array:
    """``g / (y + y)``."""
    y = np.asarray(y)
    return np.asarray(g / (y + y))


REFERENCE["sqrt"] = Row(elementwise.sqrt, sqrt_grad, "y", ((0.01, 100.0),))


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


REFERENCE["erf"] = Row(elementary.erf, erf_grad, "x", ((-4.0, 4.0),))


@np.errstate(all="ignore")
def density(x: Array) -> Array:
    """``1/sqrt(2 pi) * bell(x, 1/2)``."""
    return np.asarray(x.dtype.type(0.3989422804014327) * bell(x, 0.5))


def ndtr_grad(x: Array, g: Array) -> Array:
    """``g * density(x)``."""
    with np.errstate(all="ignore"):
        return np.asarray(g * density(np.asarray(x)))


REFERENCE["ndtr"] = Row(elementary.ndtr, ndtr_grad, "x", ((-10.0, 5.0),))


@np.errstate(all="ignore")
def sin_grad(x: Array, g: Array) -> Array:
    """``g * cos(x)``."""
    return np.asarray(g * elementary.cos(np.asarray(x)))


REFERENCE["sin"] = Row(elementary.sin, sin_grad, "x", ((-10.0, 10.0),))


@np.errstate(all="ignore")
def cos_grad(x: Array, g: Array) -> Array:
    """``g * -sin(x)``."""
    return np.asarray(g * -elementary.sin(np.asarray(x)))


REFERENCE["cos"] = Row(elementary.cos, cos_grad, "x", ((-10.0, 10.0),))

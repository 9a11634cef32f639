"""Roots, powers of 2, logarithms, trigonometric and hyperbolic functions.

Each is one kernel, evaluated once for both dtypes as an unevaluated sum of two float64 (cpp/math/pair_arithmetic.h).
Derivatives are made of other ops, so that there are those of every order. They are written so that no part overflows or
vanishes where value and slope are ordinary numbers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .._tensor import Tensor
from .._util.exports import own_names
from ._arithmetic import _map_op, add, div, equal, mul, neg, square, sub, where
from ._math import sqrt
from ._op import apply
from ._operands import one, pair

_LN2, _LN10 = math.log(2), math.log(10)


def _other_side(x: Tensor) -> Tensor:
    """sqrt(1 - x**2), exact in 1 - x."""
    return sqrt(mul(sub(1, x), add(1, x)))


def _if_zero(x: Tensor, otherwise: float = 1.0) -> Tensor:
    """x, and 1 where it is 0: a denominator."""
    return where(equal(x, 0), otherwise, x)


def _twice_over(a: Tensor, h: Tensor) -> Tensor:
    """a / h**2 without the square."""
    return div(div(a, h), h)


# Roots, powers of 2, logarithms.

_RSQRT = _map_op("rsqrt", lambda g, y, x, a: mul(g, mul(-0.5, div(y, x[0]))))
_CBRT = _map_op("cbrt", lambda g, y, x, a: div(g, mul(3, square(y))))
_EXP2 = _map_op("exp2", lambda g, y, x, a: mul(g, mul(y, _LN2)))
_LOG2 = _map_op("log2", lambda g, y, x, a: div(g, mul(x[0], _LN2)))
_LOG10 = _map_op("log10", lambda g, y, x, a: div(g, mul(x[0], _LN10)))


def reciprocal(x: Any) -> Tensor:
    """Reciprocal, 1 / x; infinite at 0.

    >>> import chainrule as cr
    >>> cr.reciprocal([4.0, -0.5]).numpy()
    array([ 0.25, -2.  ], dtype=float32)
    """
    return div(1, x)


def rsqrt(x: Any) -> Tensor:
    """Reciprocal square root, 1 / sqrt(x), rounded once; infinite at 0, NaN below.

    >>> import chainrule as cr
    >>> cr.rsqrt([4.0, 0.25]).numpy()
    array([0.5, 2. ], dtype=float32)
    """
    return apply(_RSQRT, (one(x),))


def cbrt(x: Any) -> Tensor:
    """Cube root, also of negative numbers; its gradient at 0 is infinite.

    >>> import chainrule as cr
    >>> cr.cbrt([8.0, -27.0]).numpy()
    array([ 2., -3.], dtype=float32)
    """
    return apply(_CBRT, (one(x),))


def exp2(x: Any) -> Tensor:
    """Power of two, 2**x; correctly rounded on float32.

    >>> import chainrule as cr
    >>> cr.exp2([-1.0, 0.5, 10.0]).numpy()
    array([5.0000000e-01, 1.4142135e+00, 1.0240000e+03], dtype=float32)
    """
    return apply(_EXP2, (one(x),))


def log2(x: Any) -> Tensor:
    """Logarithm of base 2; -inf at 0, NaN below.

    >>> import chainrule as cr
    >>> cr.log2([1.0, 8.0]).numpy()
    array([0., 3.], dtype=float32)
    """
    return apply(_LOG2, (one(x),))


def log10(x: Any) -> Tensor:
    """Logarithm of base 10; -inf at 0, NaN below.

    >>> import chainrule as cr
    >>> cr.log10([1.0, 1000.0]).numpy()
    array([0., 3.], dtype=float32)
    """
    return apply(_LOG10, (one(x),))


# Sides and angles.

_HYPOT = _map_op(
    "hypot",
    lambda g, y, x, a: mul(g, div(x[0], _if_zero(y))),
    lambda g, y, x, a: mul(g, div(x[1], _if_zero(y))),
)
_TAN = _map_op("tan", lambda g, y, x, a: mul(g, add(1, square(y))))
_ASIN = _map_op("asin", lambda g, y, x, a: div(g, _other_side(x[0])))
_ACOS = _map_op("acos", lambda g, y, x, a: neg(div(g, _other_side(x[0]))))
_ATAN = _map_op("atan", lambda g, y, x, a: _twice_over(g, hypot(x[0], 1)))
_ATAN2 = _map_op(
    "atan2",
    lambda g, y, x, a: mul(g, _twice_over(x[1], _if_zero(hypot(*x)))),
    lambda g, y, x, a: neg(mul(g, _twice_over(x[0], _if_zero(hypot(*x))))),
)


def hypot(a: Any, b: Any) -> Tensor:
    """Hypotenuse, sqrt(a**2 + b**2), without overflow; arguments as `cr.add`.

    Its gradient at (0, 0) is 0. An infinite side makes it infinite, also beside a NaN.

    >>> import chainrule as cr
    >>> cr.hypot([3.0, 3e30], [4.0, 4e30]).numpy()
    array([5.e+00, 5.e+30], dtype=float32)
    """
    return apply(_HYPOT, pair(a, b))


def tan(x: Any) -> Tensor:
    """Tangent of an angle in radians, of any size; NaN at infinity.

    >>> import chainrule as cr
    >>> cr.tan([0.0, 1.0, 1e22]).numpy()
    array([ 0.       ,  1.5574077, -1.0810239], dtype=float32)
    """
    return apply(_TAN, (one(x),))


def asin(x: Any) -> Tensor:
    """Inverse sine (`np.arcsin`), from -pi/2 to pi/2; NaN beyond -1 and 1, where its gradient is infinite.

    >>> import chainrule as cr
    >>> cr.asin([0.0, 1.0]).numpy()
    array([0.       , 1.5707964], dtype=float32)
    """
    return apply(_ASIN, (one(x),))


def acos(x: Any) -> Tensor:
    """Inverse cosine (`np.arccos`), from 0 to pi; NaN beyond -1 and 1, where its gradient is infinite.

    >>> import chainrule as cr
    >>> cr.acos([0.0, -1.0]).numpy()
    array([1.5707964, 3.1415927], dtype=float32)
    """
    return apply(_ACOS, (one(x),))


def atan(x: Any) -> Tensor:
    """Inverse tangent (`np.arctan`), from -pi/2 to pi/2.

    >>> import chainrule as cr
    >>> cr.atan([1.0, -1.0]).numpy()
    array([ 0.7853982, -0.7853982], dtype=float32)
    """
    return apply(_ATAN, (one(x),))


def atan2(y: Any, x: Any) -> Tensor:
    """Angle of the point (x, y), from -pi to pi (`np.arctan2`); arguments as `cr.add`, y first.

    Signed zeros and infinities count as in C; the gradient at the origin is 0.

    >>> import chainrule as cr
    >>> cr.atan2([1.0, 1.0, -1.0], [1.0, -1.0, 0.0]).numpy()
    array([ 0.7853982,  2.3561945, -1.5707964], dtype=float32)
    """
    return apply(_ATAN2, pair(y, x))


# Hyperbolic functions.

_SINH = _map_op("sinh", lambda g, y, x, a: mul(g, cosh(x[0])))
_COSH = _map_op("cosh", lambda g, y, x, a: mul(g, sinh(x[0])))
_ASINH = _map_op("asinh", lambda g, y, x, a: div(g, hypot(x[0], 1)))
_ACOSH = _map_op("acosh", lambda g, y, x, a: div(g, mul(sqrt(sub(x[0], 1)), sqrt(add(x[0], 1)))))
_ATANH = _map_op("atanh", lambda g, y, x, a: div(g, mul(sub(1, x[0]), add(1, x[0]))))


def sinh(x: Any) -> Tensor:
    """Hyperbolic sine, (e**x - e**-x) / 2.

    >>> import chainrule as cr
    >>> cr.sinh([0.0, 1.0]).numpy()
    array([0.       , 1.1752012], dtype=float32)
    """
    return apply(_SINH, (one(x),))


def cosh(x: Any) -> Tensor:
    """Hyperbolic cosine, (e**x + e**-x) / 2.

    >>> import chainrule as cr
    >>> cr.cosh([0.0, 1.0]).numpy()
    array([1.       , 1.5430807], dtype=float32)
    """
    return apply(_COSH, (one(x),))


def asinh(x: Any) -> Tensor:
    """Inverse hyperbolic sine (`np.arcsinh`), log(x + sqrt(x**2 + 1)).

    >>> import chainrule as cr
    >>> cr.asinh([0.0, -1e30]).numpy()
    array([  0.    , -69.7707], dtype=float32)
    """
    return apply(_ASINH, (one(x),))


def acosh(x: Any) -> Tensor:
    """Inverse hyperbolic cosine (`np.arccosh`), log(x + sqrt(x**2 - 1)); NaN below 1, where its gradient is infinite.

    >>> import chainrule as cr
    >>> cr.acosh([1.0, 2.0]).numpy()
    array([0.      , 1.316958], dtype=float32)
    """
    return apply(_ACOSH, (one(x),))


def atanh(x: Any) -> Tensor:
    """Inverse hyperbolic tangent (`np.arctanh`), log((1 + x) / (1 - x)) / 2; infinite at -1 and 1, NaN beyond.

    >>> import chainrule as cr
    >>> cr.atanh([0.0, 0.5]).numpy()
    array([0.        , 0.54930615], dtype=float32)
    """
    return apply(_ATANH, (one(x),))


if not TYPE_CHECKING:
    __all__ = own_names(globals())

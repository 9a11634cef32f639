"""Functions of statistics: of the error and gamma functions, and logarithms of sums; see _elementary.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._tensor import Tensor
from .._util.checks import check_integer
from .._util.exports import own_names
from ._arithmetic import _map_op, _map_plan, abs, div, equal, less_equal, mul, neg, sub, where
from ._math import _apply_gradient, _logistic, log
from ._op import Attrs, Op, Plan, Spec, apply, register
from ._operands import one, pair

_INFINITY = float("inf")
_MOST = 100  # the largest order of polygamma

# The error function.

_ERFC = _map_op("erfc", lambda g, y, x, a: neg(_apply_gradient("erf", g, pair(x[0], 1))))
_ERFINV = _map_op("erfinv", lambda g, y, x, a: div(g, _apply_gradient("erf", one(1.0).astype(y.dtype), pair(y, 1))))


def erfc(x: Any) -> Tensor:
    """Complementary error function, 1 - erf(x), accurate where it is small.

    >>> import chainrule as cr
    >>> cr.erfc([0.0, 5.0]).numpy()
    array([1.0000000e+00, 1.5374598e-12], dtype=float32)
    """
    return apply(_ERFC, (one(x),))


def erfinv(x: Any) -> Tensor:
    """Inverse of the error function, y with erf(y) = x; infinite at -1 and 1, NaN beyond.

    >>> import chainrule as cr
    >>> cr.erfinv([0.0, 0.5]).numpy()
    array([0.        , 0.47693628], dtype=float32)
    """
    return apply(_ERFINV, (one(x),))


# The gamma function.


def _polygamma_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    if attrs[0] > _MOST:
        raise ValueError(f"{name}: expected n from 0 to {_MOST}, got {attrs[0]}")
    return _map_plan(name, specs, attrs)


_LGAMMA = _map_op("lgamma", lambda g, y, x, a: mul(g, digamma(x[0])))
_DIGAMMA = _map_op("digamma", lambda g, y, x, a: mul(g, polygamma(1, x[0])))
_POLYGAMMA: Op = register(Op("polygamma", _polygamma_plan, (lambda g, y, x, a: mul(g, polygamma(a[0] + 1, x[0])),)))


def lgamma(x: Any) -> Tensor:
    """Logarithm of the absolute value of the gamma function, log |gamma(x)|; infinite at 0, -1, -2, ...

    >>> import chainrule as cr
    >>> cr.lgamma([0.5, 1.0, 5.0]).numpy()
    array([0.5723649, 0.       , 3.1780539], dtype=float32)
    """
    return apply(_LGAMMA, (one(x),))


def digamma(x: Any) -> Tensor:
    """Derivative of `cr.lgamma`; -inf at 0 and inf at -0, NaN at -1, -2, ...

    >>> import chainrule as cr
    >>> cr.digamma([1.0, 2.0]).numpy()
    array([-0.5772157 ,  0.42278433], dtype=float32)
    """
    return apply(_DIGAMMA, (one(x),))


def polygamma(n: int, x: Any) -> Tensor:
    """Derivative of order n of `cr.digamma`, (-1)**(n+1) n! sum of (x + i)**-(n+1) over i from 0 on.

    Arguments: `n`, an integer from 0 to 100; `x`, a float tensor.
    Errors: TypeError for other n, ValueError for an n out of range.
    Source: the sum's rest by the series of Euler and Maclaurin; below 0 by the derivatives of the cotangent.

    >>> import chainrule as cr
    >>> cr.polygamma(1, [1.0, 0.5]).numpy()
    array([1.644934, 4.934802], dtype=float32)
    """
    order = check_integer("polygamma: n", n, 0)
    return digamma(x) if order == 0 else apply(_POLYGAMMA, (one(x),), (order,))


# Logarithms.


def _difference(x: tuple[Tensor, ...]) -> Tensor:
    """a - b, and 0 for equal infinities."""
    a, b = x
    d = sub(a, b)
    return where(equal(abs(a), _INFINITY), where(equal(a, b), 0, d), d)


def _unless(x: Tensor, wrong: Tensor, y: Tensor) -> Tensor:
    """y, and 1 where x is 0 and y is wrong."""
    return where(equal(x, 0), where(wrong, 1, y), y)


_LOGADDEXP = _map_op(
    "logaddexp",
    lambda g, y, x, a: mul(g, _logistic(_difference(x))),
    lambda g, y, x, a: mul(g, _logistic(neg(_difference(x)))),
)
_XLOGY = _map_op(
    "xlogy",
    lambda g, y, x, a: mul(g, log(_unless(x[0], less_equal(x[1], 0), x[1]))),
    lambda g, y, x, a: mul(g, div(x[0], _unless(x[0], equal(x[1], 0), x[1]))),
)


def logaddexp(a: Any, b: Any) -> Tensor:
    """Logarithm of a sum of exponentials, log(e**a + e**b), without overflow; arguments as `cr.add`.

    >>> import chainrule as cr
    >>> cr.logaddexp([0.0, 1000.0], [0.0, 1000.0]).numpy()
    array([6.9314718e-01, 1.0006932e+03], dtype=float32)
    """
    return apply(_LOGADDEXP, pair(a, b))


def xlogy(x: Any, y: Any) -> Tensor:
    """x * log(y), and 0 where x is 0, unless y is NaN; arguments as `cr.add`.

    >>> import chainrule as cr
    >>> cr.xlogy([0.0, 2.0], [0.0, 3.0]).numpy()
    array([0.       , 2.1972246], dtype=float32)
    """
    return apply(_XLOGY, pair(x, y))


if not TYPE_CHECKING:
    __all__ = own_names(globals())

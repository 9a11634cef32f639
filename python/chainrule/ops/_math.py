"""Elementary functions: a kernel for the value, and one for the gradient, computed from the saved tensor.

To add one: its kernel struct in cpp/kernels, a line `_unary(...)` and a function here, and its reference
implementation in tests/reference. `second` is the derivative of the gradient kernel `g * h(saved)` with respect to
`saved`, times gg; None if h is constant almost everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._tensor import Tensor
from .._util.checks import check_number
from .._util.exports import own_names
from ._arithmetic import _map_plan, add, div, greater, maximum, minimum, mul, neg, sub, where
from ._op import OPS, Attrs, Op, Rule, apply, register
from ._operands import one


def _unary(name: str, saves: str, second: Rule | None) -> Op:
    """Register the ops `name` and `name_grad`; `saves` names the saved tensor, the input "x" or the output "y"."""

    def by_g(gg: Tensor, d: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
        return apply(gradient, (inputs[0], gg), attrs)

    gradient = register(Op(f"{name}_grad", _map_plan, (second, by_g)))

    def by_x(g: Tensor, y: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
        return apply(gradient, (y if saves == "y" else inputs[0], g), attrs)

    return register(Op(name, _map_plan, (by_x,)))


def _apply_gradient(name: str, gg: Tensor, k: tuple[Tensor, ...]) -> Tensor:
    return apply(OPS[f"{name}_grad"], (k[0], mul(gg, k[1])))


def _limited(x: Tensor) -> Tensor:
    """Limit x to +-1000, beyond which e**x or e**-x**2 is 0 and an infinite x would give NaN."""
    return minimum(maximum(x, -1000.0), 1000.0)


# In the second rules k = (saved, g), d is the gradient kernel's result, and gg its upstream gradient. They divide d,
# which is an ordinary number where the slope is; a square of what is saved could over- or underflow.

_EXP = _unary("exp", "y", lambda gg, d, k, a: mul(gg, k[1]))


def exp(x: Any) -> Tensor:
    """Exponential, e**x; correctly rounded on float32, at most 1 ULP on float64.

    Arguments: `x`, a float tensor, array or number of any shape. Returns: a tensor of its shape and dtype.
    Errors: TypeError for other dtypes. The other elementary functions take the same arguments.

    >>> import chainrule as cr
    >>> cr.exp([0.0, 1.0]).numpy()
    array([1.       , 2.7182817], dtype=float32)
    """
    return apply(_EXP, (one(x),))


_EXPM1 = _unary("expm1", "x", lambda gg, d, k, a: _apply_gradient("expm1", gg, k))


def expm1(x: Any) -> Tensor:
    """e**x - 1, accurate near 0.

    >>> import chainrule as cr
    >>> cr.expm1([0.0, 1e-10]).numpy()
    array([0.e+00, 1.e-10], dtype=float32)
    """
    return apply(_EXPM1, (one(x),))


_LOG = _unary("log", "x", lambda gg, d, k, a: neg(mul(gg, div(d, k[0]))))


def log(x: Any) -> Tensor:
    """Natural logarithm; -inf at 0, NaN below.

    >>> import chainrule as cr
    >>> cr.log([1.0, 2.0]).numpy()
    array([0.       , 0.6931472], dtype=float32)
    """
    return apply(_LOG, (one(x),))


_LOG1P = _unary("log1p", "x", lambda gg, d, k, a: neg(mul(gg, div(d, add(k[0], 1)))))


def log1p(x: Any) -> Tensor:
    """log(1 + x), accurate near 0.

    >>> import chainrule as cr
    >>> cr.log1p([0.0, 1e-10]).numpy()
    array([0.e+00, 1.e-10], dtype=float32)
    """
    return apply(_LOG1P, (one(x),))


_SQRT = _unary("sqrt", "y", lambda gg, d, k, a: neg(mul(gg, div(d, k[0]))))


def sqrt(x: Any) -> Tensor:
    """Square root; NaN below 0.

    >>> import chainrule as cr
    >>> cr.sqrt([4.0, 9.0]).numpy()
    array([2., 3.], dtype=float32)
    """
    return apply(_SQRT, (one(x),))


_TANH = _unary("tanh", "y", lambda gg, d, k, a: mul(mul(gg, k[1]), mul(-2, k[0])))


def tanh(x: Any) -> Tensor:
    """Hyperbolic tangent, (e**x - e**-x) / (e**x + e**-x).

    >>> import chainrule as cr
    >>> cr.tanh([0.0, 1.0]).numpy()
    array([0.       , 0.7615942], dtype=float32)
    """
    return apply(_TANH, (one(x),))


_SIGMOID = _unary("sigmoid", "y", lambda gg, d, k, a: mul(mul(gg, k[1]), sub(1, add(k[0], k[0]))))


def sigmoid(x: Any) -> Tensor:
    """Logistic function, 1 / (1 + e**-x).

    >>> import chainrule as cr
    >>> cr.sigmoid([0.0, 1.0]).numpy()
    array([0.5      , 0.7310586], dtype=float32)
    """
    return apply(_SIGMOID, (one(x),))


# The logistic function in derivatives of others, which are differentiated in the tails, too: its slope is s(x) s(-x).
# That of `sigmoid` is y (1 - y), from the saved y, and loses what y does not show where y is near 1.
_LOGISTIC = Op("sigmoid", _map_plan, (lambda g, y, x, a: mul(g, _logistic_slope(x[0])),))


def _logistic(x: Tensor) -> Tensor:
    return apply(_LOGISTIC, (x,))


def _logistic_slope(x: Tensor) -> Tensor:
    return mul(_logistic(x), _logistic(neg(x)))


_SOFTPLUS = _unary("softplus", "x", lambda gg, d, k, a: mul(mul(gg, k[1]), _logistic_slope(k[0])))


def softplus(x: Any, beta: float = 1.0, threshold: float | None = None) -> Tensor:
    """Smooth rectifier, log(1 + e**(beta * x)) / beta, without overflow.

    Arguments: `x`, a tensor, array or number of any shape; `beta`, above 0; `threshold`, where given, x itself where
    beta * x is above it, as PyTorch's function does from 20 on; by default the formula holds everywhere.
    Errors: ValueError for another beta, TypeError for a threshold that is no number.

    >>> import chainrule as cr
    >>> cr.softplus([0.0, 100.0]).numpy()
    array([  0.6931472, 100.       ], dtype=float32)
    """
    source, factor = one(x), check_number("softplus: beta", beta, above=True)
    scaled = source if factor == 1 else mul(source, factor)
    found = apply(_SOFTPLUS, (scaled,))
    found = found if factor == 1 else div(found, factor)
    return found if threshold is None else where(greater(scaled, float(threshold)), source, found)


_ERF = _unary("erf", "x", lambda gg, d, k, a: mul(_apply_gradient("erf", gg, k), mul(-2, _limited(k[0]))))


def erf(x: Any) -> Tensor:
    """Error function, 2 / sqrt(pi) times the integral of e**-t**2 from 0 to x; its gradient is 2 / sqrt(pi) e**-x**2.

    >>> import chainrule as cr
    >>> cr.erf([0.0, 1.0]).numpy()
    array([0.       , 0.8427008], dtype=float32)
    """
    return apply(_ERF, (one(x),))


_NDTR = _unary("ndtr", "x", lambda gg, d, k, a: mul(_apply_gradient("ndtr", gg, k), neg(_limited(k[0]))))


def ndtr(x: Any) -> Tensor:
    """Cumulative distribution function of the standard normal, (1 + erf(x / sqrt(2))) / 2, accurate in both tails.

    >>> import chainrule as cr
    >>> cr.ndtr([0.0, -10.0]).numpy()
    array([5.000000e-01, 7.619853e-24], dtype=float32)
    """
    return apply(_NDTR, (one(x),))


# The gradient kernels are g * cos(x) and g * -sin(x): each is the other's derivative, up to the sign.
_SIN = _unary("sin", "x", lambda gg, d, k, a: _apply_gradient("cos", gg, k))


def sin(x: Any) -> Tensor:
    """Sine of an angle in radians, of any size; NaN at infinity. Correctly rounded on float32, also far from 0.

    >>> import chainrule as cr
    >>> cr.sin([0.0, 1.0, 1e22]).numpy()
    array([ 0.        ,  0.84147096, -0.7340815 ], dtype=float32)
    """
    return apply(_SIN, (one(x),))


_COS = _unary("cos", "x", lambda gg, d, k, a: neg(_apply_gradient("sin", gg, k)))


def cos(x: Any) -> Tensor:
    """Cosine of an angle in radians, of any size; NaN at infinity. Correctly rounded on float32, also far from 0.

    >>> import chainrule as cr
    >>> cr.cos([0.0, 1.0, 1e22]).numpy()
    array([1.        , 0.5403023 , 0.67906135], dtype=float32)
    """
    return apply(_COS, (one(x),))


if not TYPE_CHECKING:
    __all__ = own_names(globals())

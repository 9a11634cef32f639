"""Activation functions; see _math.py for how to add one.

The gradient at a kink is stated for each. At infinity, values and gradients are the limits of the formulas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._tensor import Tensor
from .._util.checks import check_integer, is_integer
from .._util.dtypes import FLOATS
from .._util.exports import own_names
from ._arithmetic import (
    _float_dtype,
    _map_plan,
    abs,
    add,
    div,
    greater,
    maximum,
    minimum,
    mul,
    neg,
    not_equal,
    square,
    sub,
    where,
)
from ._math import _limited, _logistic, _logistic_slope, _unary, exp
from ._op import OPS, Attrs, Op, apply, register
from ._operands import one, pair
from ._reduce import max
from ._shape import reshape
from ._strides import axes_of

_RELU = _unary("relu", "y", None)


def relu(x: Any) -> Tensor:
    """Rectified linear unit, x where x > 0, else 0; NaN stays NaN, the gradient at 0 is 0.

    >>> import chainrule as cr
    >>> cr.relu([-1.0, 2.0]).numpy()
    array([0., 2.], dtype=float32)
    """
    return apply(_RELU, (one(x),))


_LEAKY_RELU = _unary("leaky_relu", "x", None)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Tensor:
    """Leaky rectified linear unit, x where x > 0, else negative_slope * x; the gradient at 0 is the slope.

    >>> import chainrule as cr
    >>> cr.leaky_relu([-1.0, 2.0], 0.5).numpy()
    array([-0.5,  2. ], dtype=float32)
    """
    return apply(_LEAKY_RELU, (one(x),), (float(negative_slope),))


_CLIP = _unary("clip", "x", None)


def clip(x: Any, min: Any = None, max: Any = None) -> Tensor:
    """Limit to an interval, min(max(x, min), max); the gradient passes where min <= x <= max.

    Arguments: `x`, a tensor, array or number of any shape; `min`, `max`, numbers, or None for no bound; also tensors
    and arrays, which broadcast with x and get the gradient where they are the limit.
    Returns: a tensor of x's dtype (or the bounds', where wider, as in `cr.add`); `max` everywhere if min > max.
    Errors: ValueError without a bound.

    >>> import chainrule as cr
    >>> cr.clip([-2.0, 0.5, 3.0], 0.0, 1.0).numpy()
    array([0. , 0.5, 1. ], dtype=float32)
    """
    if min is None and max is None:
        raise ValueError("clip: expected min, max or both, got neither")
    for name, bound in (("min", min), ("max", max)):
        if isinstance(bound, (str, bytes)):
            raise TypeError(f"clip: {name} must be a number or a tensor, got {type(bound).__name__}")
    source = one(x)
    if source.dtype in FLOATS and _is_bound(min) and _is_bound(max):
        low = float("-inf") if min is None else float(min)
        return apply(_CLIP, (source,), (low, float("inf") if max is None else float(max)))
    limited = source if min is None else maximum(source, min)
    return limited if max is None else minimum(limited, max)


def _is_bound(value: Any) -> bool:
    numbers = (int, float, np.integer, np.floating)
    return value is None or (isinstance(value, numbers) and not isinstance(value, bool))


_HARDTANH = _unary("hardtanh", "y", None)


def hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """Piecewise-linear tanh, min(max(x, min_val), max_val); like relu, it has gradient 0 at the kinks.

    Arguments: `x`, a float tensor, array or number of any shape; `min_val`, `max_val`, numbers.
    Errors: ValueError unless min_val < max_val.

    >>> import chainrule as cr
    >>> cr.hardtanh([-2.0, 0.5, 3.0]).numpy()
    array([-1. ,  0.5,  1. ], dtype=float32)
    """
    low, high = _float_argument("hardtanh", "min_val", min_val), _float_argument("hardtanh", "max_val", max_val)
    if not low < high:
        raise ValueError(f"hardtanh: expected min_val < max_val, got {min_val} and {max_val}")
    return apply(_HARDTANH, (one(x),), (low, high))


_HARDSIGMOID = _unary("hardsigmoid", "y", None)


def hardsigmoid(x: Any, slope: float = 1 / 6) -> Tensor:
    """Piecewise-linear sigmoid, slope * x + 1/2 clipped to 0 and 1; the gradient is 0 at the kinks.

    Arguments: `x`, a float tensor, array or number of any shape; `slope`, a number. With slope 1 it
    rises from 0 at x = -1/2 to 1 at x = 1/2.

    >>> import chainrule as cr
    >>> cr.hardsigmoid([-3.0, 0.0, 1.5]).numpy()
    array([0.  , 0.5 , 0.75], dtype=float32)
    """
    return apply(_HARDSIGMOID, (one(x),), (_float_argument("hardsigmoid", "slope", slope),))


def _softsign_second(gg: Tensor, d: Tensor, k: tuple[Tensor, ...], a: Attrs) -> Tensor:
    slope = apply(OPS["softsign_grad"], (k[0], mul(gg, k[1])))
    return div(mul(slope, mul(-2, sign(k[0]))), add(1, abs(k[0])))


_SOFTSIGN = _unary("softsign", "x", _softsign_second)


def softsign(x: Any) -> Tensor:
    """Softsign, x / (1 + |x|); its second derivative at 0 is defined as 0.

    >>> import chainrule as cr
    >>> cr.softsign([-1.0, 3.0]).numpy()
    array([-0.5 ,  0.75], dtype=float32)
    """
    return apply(_SOFTSIGN, (one(x),))


_LOGSIGMOID = _unary("logsigmoid", "x", lambda gg, d, k, a: neg(mul(mul(gg, k[1]), _logistic_slope(k[0]))))


def logsigmoid(x: Any) -> Tensor:
    """Logarithm of the logistic function, -log(1 + e**-x); correctly rounded on float32, at most 1 ULP on float64.

    >>> import chainrule as cr
    >>> cr.logsigmoid([0.0, -100.0]).numpy()
    array([  -0.6931472, -100.       ], dtype=float32)
    """
    return apply(_LOGSIGMOID, (one(x),))


def _exponential_second(name: str) -> Any:
    """elu and selu: below 0 the gradient is its own derivative."""

    def second(gg: Tensor, d: Tensor, k: tuple[Tensor, ...], a: Attrs) -> Tensor:
        return where(greater(k[0], 0), 0, apply(OPS[f"{name}_grad"], (k[0], mul(gg, k[1])), a))

    return second


_ELU = _unary("elu", "x", _exponential_second("elu"))


def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """Exponential linear unit, x where x > 0, else alpha * (e**x - 1); the gradient at 0 is alpha.

    Arguments: `x`, a float tensor, array or number of any shape; `alpha`, a number. (Clevert et al., 2016)

    >>> import chainrule as cr
    >>> cr.elu([-1.0, 2.0]).numpy()
    array([-0.63212055,  2.        ], dtype=float32)
    """
    return apply(_ELU, (one(x),), (_float_argument("elu", "alpha", alpha),))


_SELU = _unary("selu", "x", _exponential_second("selu"))


def selu(x: Any) -> Tensor:
    """Scaled exponential linear unit, 1.0507 * elu(x, 1.67326); the gradient at 0 is 1.7581. (Klambauer et al., 2017)

    >>> import chainrule as cr
    >>> cr.selu([-1.0, 2.0]).numpy()
    array([-1.1113307,  2.101402 ], dtype=float32)
    """
    return apply(_SELU, (one(x),))


def _silu_second(gg: Tensor, d: Tensor, k: tuple[Tensor, ...], a: Attrs) -> Tensor:
    """beta s (1-s) (2 + z (1-2s)) with z = beta x, s = sigmoid(z)."""
    z = _limited(mul(k[0], a[0]))
    s = _logistic(z)
    factor = mul(mul(mul(gg, k[1]), a[0]), mul(s, _logistic(neg(z))))
    return mul(factor, add(2, mul(z, sub(1, add(s, s)))))


_SILU = _unary("silu", "x", _silu_second)


def silu(x: Any, beta: float = 1.0) -> Tensor:
    """Sigmoid-weighted linear unit, x * sigmoid(beta * x); also called swish.

    Arguments: `x`, a float tensor, array or number of any shape; `beta`, a number; for a trainable one write
    x * cr.sigmoid(beta * x). (Elfwing et al., 2018; Ramachandran et al., 2017)

    >>> import chainrule as cr
    >>> cr.silu([-1.0, 2.0]).numpy()
    array([-0.26894143,  1.7615942 ], dtype=float32)
    """
    return apply(_SILU, (one(x),), (_float_argument("silu", "beta", beta),))


def swish(x: Any, beta: float = 1.0) -> Tensor:
    """Alias of `cr.silu`, x * sigmoid(beta * x).

    >>> import chainrule as cr
    >>> cr.swish([-1.0, 2.0], beta=2.0).numpy()
    array([-0.11920292,  1.9640275 ], dtype=float32)
    """
    source = one(x)
    _float_dtype("swish", [source])
    return silu(source, beta)


def _mish_second(gg: Tensor, d: Tensor, k: tuple[Tensor, ...], a: Attrs) -> Tensor:
    """D s (2 + x (1 - s - 2 T s)) with T = tanh(softplus(x)), D = 1 - T^2, s = sigmoid(x)."""
    x = minimum(_limited(k[0]), 40.0)
    e = exp(x)
    n = mul(e, add(e, 2))
    m = add(n, 2)
    t, s = div(n, m), _logistic(x)
    factor = mul(mul(gg, k[1]), mul(mul(div(2, m), add(1, t)), s))
    return mul(factor, add(2, mul(x, sub(_logistic(neg(x)), mul(2, mul(t, s))))))


_MISH = _unary("mish", "x", _mish_second)


def mish(x: Any) -> Tensor:
    """Mish, x * tanh(softplus(x)), a smooth activation that is slightly negative below 0.

    Arguments: `x`, a float tensor, array or number of any shape. (Misra, 2020)

    >>> import chainrule as cr
    >>> cr.mish([-1.0, 2.0]).numpy()
    array([-0.30340147,  1.943959  ], dtype=float32)
    """
    return apply(_MISH, (one(x),))


def _gelu_second(gg: Tensor, d: Tensor, k: tuple[Tensor, ...], a: Attrs) -> Tensor:
    """The density times 2 - x^2."""
    return mul(apply(OPS["ndtr_grad"], (k[0], mul(gg, k[1]))), sub(2, square(_limited(k[0]))))


# 2 sqrt(2/pi) (1, 0.044715), and three and six times the latter.
_LINEAR, _CUBIC, _CUBIC3, _CUBIC6 = 1.5957691216057308, 0.07135481627260025, 0.21406444881780073, 0.42812889763560147


def _gelu_tanh_second(gg: Tensor, d: Tensor, k: tuple[Tensor, ...], a: Attrs) -> Tensor:
    """s (1-s) (2 z' + x z'' + x z'^2 (1-2s)) with z = x (c + e x^2), s = sigmoid(z)."""
    x = _limited(k[0])
    q = square(x)
    z = mul(x, add(_LINEAR, mul(_CUBIC, q)))
    s = _logistic(z)
    slope = add(_LINEAR, mul(_CUBIC3, q))
    curvature = mul(mul(x, square(slope)), sub(1, add(s, s)))
    factor = mul(mul(gg, k[1]), mul(s, _logistic(neg(z))))
    return mul(factor, add(add(add(slope, slope), mul(_CUBIC6, q)), curvature))


_GELU = _unary("gelu", "x", _gelu_second)
_GELU_TANH = _unary("gelu_tanh", "x", _gelu_tanh_second)


def gelu(x: Any, approximate: str = "none") -> Tensor:
    """Gaussian error linear unit, x * ndtr(x) = x / 2 * (1 + erf(x / sqrt(2))).

    Arguments: `x`, a float tensor, array or number of any shape; `approximate`, "none", or "tanh" for x / 2 * (1 +
    tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))).
    Errors: ValueError for another value. (Hendrycks and Gimpel, 2016)

    >>> import chainrule as cr
    >>> cr.gelu([-1.0, 2.0]).numpy()
    array([-0.15865526,  1.9544997 ], dtype=float32)
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    return apply(_GELU if approximate == "none" else _GELU_TANH, (one(x),))


def _zero_gradient(g: Tensor, y: Tensor, x: tuple[Tensor, ...], a: Attrs) -> Tensor:
    """Gradient 0, but NaN where x is NaN."""
    return where(not_equal(x[0], x[0]), mul(x[0], 0), 0)


_SIGN = register(Op("sign", _map_plan, (_zero_gradient,)))


def sign(x: Any) -> Tensor:
    """Sign: 1 above 0, -1 below, 0 at +0 and -0; NaN stays NaN, the gradient is 0 everywhere.

    >>> import chainrule as cr
    >>> cr.sign([-2.0, 0.0, 3.0]).numpy()
    array([-1.,  0.,  1.], dtype=float32)
    """
    return apply(_SIGN, (one(x),))


_HEAVISIDE = register(Op("heaviside", _map_plan, (_zero_gradient,)))


def heaviside(x: Any, value: float = 0.5) -> Tensor:
    """Heaviside step: 1 above 0, 0 below, `value` at +0 and -0; NaN stays NaN, the gradient is 0 everywhere.

    Arguments: `x`, a float tensor, array or number of any shape; `value`, a number, usually 0, 0.5 or 1.

    >>> import chainrule as cr
    >>> cr.heaviside([-2.0, 0.0, 3.0]).numpy()
    array([0. , 0.5, 1. ], dtype=float32)
    """
    return apply(_HEAVISIDE, (one(x),), (_float_argument("heaviside", "value", value),))


_PRELU = register(
    Op(
        "prelu",
        _map_plan,
        (
            lambda g, y, x, a: where(greater(x[0], 0), g, where(not_equal(x[0], x[0]), mul(x[0], 0), mul(x[1], g))),
            lambda g, y, x, a: mul(g, minimum(x[0], 0)),
        ),
    )
)


def prelu(x: Any, weight: Any) -> Tensor:
    """Parametric rectified linear unit, max(0, x) + weight * min(0, x).

    The gradient at x = 0 is that of x < 0. (He et al., 2015)

    Arguments: `x`, a float tensor; `weight`, of its dtype, broadcasts with x: a scalar, shape (features,) for one slope
    per feature, or shape (channels, 1, 1) for one per channel of images (n, channels, height, width).
    Returns: a tensor of the broadcast shape.
    Errors: TypeError for mixed dtypes, ValueError for shapes that do not broadcast.

    >>> import chainrule as cr
    >>> cr.prelu([[-1.0, 2.0], [-4.0, -4.0]], [0.5, 0.25]).numpy()
    array([[-0.5,  2. ],
           [-2. , -1. ]], dtype=float32)
    """
    return apply(_PRELU, pair(x, weight))


def maxout(x: Any, pieces: int, axis: int = -1) -> Tensor:
    """Maximum of each group of `pieces` adjacent elements along an axis; at a tie the gradient goes to the first.

    Arguments: `x`, a float tensor; `pieces`, the group size; `axis`, whose length is a multiple of it.
    Returns: a tensor whose axis is `pieces` times shorter; NaN where a group contains NaN.
    Errors: ValueError for pieces below 1 or an axis length that is not a multiple of it. (Goodfellow et al., 2013)

    >>> import chainrule as cr
    >>> cr.maxout([1.0, 3.0, -2.0, -5.0], 2).numpy()
    array([ 3., -2.], dtype=float32)
    """
    source = one(x)
    _float_dtype("maxout", [source])
    (along,) = axes_of("maxout", check_integer("maxout: axis", axis), source.ndim)
    length = source.shape[along]
    if not is_integer(pieces) or pieces < 1 or length % pieces:
        raise ValueError(
            f"maxout: axis {axis} of shape {source.shape} has {length} elements, expected a multiple of pieces, "
            f"got pieces {pieces!r}"
        )
    groups = (*source.shape[:along], length // pieces, pieces, *source.shape[along + 1 :])
    return max(reshape(source, groups), along + 1)


def _float_argument(op: str, name: str, value: Any) -> float:
    """Convert a scalar attribute of an op to float; TypeError unless it is a number."""
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        return float(value)
    raise TypeError(f"{op}: {name} must be a number, got {type(value).__name__}")


if not TYPE_CHECKING:
    __all__ = own_names(globals())

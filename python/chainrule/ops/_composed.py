"""Activation functions that are made of several ops; the gradients are those of their parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._tensor import Tensor
from .._util.checks import check_number
from .._util.exports import own_names
from ._activations import _float_argument, clip, hardtanh, relu, sign
from ._arithmetic import abs, add, div, less_equal, minimum, mul, neg, sub, where
from ._math import expm1, log, sigmoid, tanh
from ._names import Dim, by_dim
from ._operands import one
from ._rearrange import split
from ._softmax import softmax
from ._strides import axes_of

if TYPE_CHECKING:
    from typing_extensions import Unpack


def relu6(x: Any) -> Tensor:
    """Rectified linear unit with a ceiling, min(max(x, 0), 6); its gradient is 0 at 0 and at 6.

    >>> import chainrule as cr
    >>> cr.relu6([-1.0, 2.0, 7.0]).numpy()
    array([0., 2., 6.], dtype=float32)
    """
    return hardtanh(x, 0.0, 6.0)


def hardswish(x: Any) -> Tensor:
    """Swish of straight lines, x * min(max(x + 3, 0), 6) / 6. (Howard et al., 2019)

    >>> import chainrule as cr
    >>> cr.hardswish([-4.0, 0.0, 1.5, 4.0]).numpy()
    array([-0.   ,  0.   ,  1.125,  4.   ], dtype=float32)
    """
    source = one(x)
    return div(mul(source, relu6(add(source, 3))), 6)


def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """Continuously differentiable exponential unit, x where x > 0, else alpha * (e**(x / alpha) - 1). (Barron, 2017)

    Arguments: `x`, a float tensor of any shape; `alpha`, above 0. Errors: ValueError for another alpha.

    >>> import chainrule as cr
    >>> cr.celu([-1.0, 2.0], 2.0).numpy()
    array([-0.78693867,  2.        ], dtype=float32)
    """
    source, scale = one(x), check_number("celu: alpha", alpha, above=True)
    return add(relu(source), mul(expm1(div(minimum(source, 0), scale)), scale))


def glu(x: Any, axis: int = -1, **names: Unpack[Dim]) -> Tensor:
    """Gated linear unit: the first half of an axis times the logistic function of the second, a * sigmoid(b).

    Arguments: `x`, a float tensor; `axis`, also named `dim`, of an even length. Returns: a tensor of half of it.
    Errors: ValueError for an axis that does not exist or an odd length.
    Source: Dauphin et al., Language modeling with gated convolutional networks, 2017.

    >>> import chainrule as cr
    >>> cr.glu([2.0, 3.0, 0.0, 0.0]).numpy()
    array([1. , 1.5], dtype=float32)
    """
    axis, _ = by_dim("glu", names, axis, default=-1)
    source = one(x)
    (at,) = axes_of("glu", axis, source.ndim)
    if source.shape[at] % 2:
        raise ValueError(f"glu: axis {axis} of shape {source.shape} must have an even length")
    values, gates = split(source, 2, at)
    return mul(values, sigmoid(gates))


def threshold(x: Any, threshold: float, value: float) -> Tensor:
    """x where x > threshold, else `value`; NaN stays NaN, the gradient is 0 where x is replaced.

    Arguments: `x`, a float tensor of any shape; `threshold` and `value`, numbers.

    >>> import chainrule as cr
    >>> cr.threshold([0.5, 2.0], 1.0, 20.0).numpy()
    array([20.,  2.], dtype=float32)
    """
    source = one(x)
    low, instead = (_float_argument("threshold", n, v) for n, v in (("threshold", threshold), ("value", value)))
    return where(less_equal(source, low), instead, source)


def softmin(x: Any, axis: int = -1, **names: Unpack[Dim]) -> Tensor:
    """Softmax of -x along an axis: the largest probability is that of the smallest element.

    Arguments: as `cr.softmax`.

    >>> import chainrule as cr
    >>> cr.softmin([0.0, 0.0]).numpy()
    array([0.5, 0.5], dtype=float32)
    """
    return softmax(neg(one(x)), by_dim("softmin", names, axis, default=-1)[0])


def softshrink(x: Any, lambd: float = 0.5) -> Tensor:
    """Shift towards 0, x - lambd above lambd, x + lambd below -lambd, else 0; NaN stays NaN.

    Arguments: `x`, a float tensor of any shape; `lambd`, at least 0. Errors: ValueError for another lambd.

    >>> import chainrule as cr
    >>> cr.softshrink([-2.0, 0.25, 1.0]).numpy()
    array([-1.5,  0. ,  0.5], dtype=float32)
    """
    source, shift = one(x), check_number("softshrink: lambd", lambd)
    return where(less_equal(abs(source), shift), 0, sub(source, mul(sign(source), shift)))


def hardshrink(x: Any, lambd: float = 0.5) -> Tensor:
    """x where |x| > lambd, else 0; NaN stays NaN.

    Arguments: `x`, a float tensor of any shape; `lambd`, a number.

    >>> import chainrule as cr
    >>> cr.hardshrink([-2.0, 0.25, 1.0]).numpy()
    array([-2.,  0.,  1.], dtype=float32)
    """
    source = one(x)
    return where(less_equal(abs(source), _float_argument("hardshrink", "lambd", lambd)), 0, source)


def tanhshrink(x: Any) -> Tensor:
    """x - tanh(x).

    >>> import chainrule as cr
    >>> cr.tanhshrink([0.0, 100.0]).numpy()
    array([ 0., 99.], dtype=float32)
    """
    source = one(x)
    return sub(source, tanh(source))


def logit(x: Any, eps: float | None = None) -> Tensor:
    """Logarithm of the odds, log(x / (1 - x)), the inverse of `cr.sigmoid`; NaN outside of 0 and 1.

    Arguments: `x`, a float tensor of any shape; `eps`, limit x to eps and 1 - eps before.

    >>> import chainrule as cr
    >>> cr.logit([0.5, 0.75]).numpy()
    array([0.       , 1.0986123], dtype=float32)
    """
    source = one(x)
    if eps is not None:
        low = check_number("logit: eps", eps, maximum=0.5)
        source = clip(source, low, 1 - low)
    return log(div(source, sub(1, source)))


if not TYPE_CHECKING:
    __all__ = own_names(globals())

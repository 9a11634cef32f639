"""Activation layers that are made of several ops, and the layer that does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import ops
from .._tensor import Tensor
from .._util.checks import check_number
from .._util.exports import own_names
from ..ops._names import by_dim
from ..ops._operands import one
from ._module import Module

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..ops._names import Dim


class Identity(Module):
    """The layer that returns its input, y = x: a place for another one.

    >>> import chainrule as cr
    >>> cr.nn.Identity()(cr.tensor([-1.0, 2.0])).numpy()
    array([-1.,  2.], dtype=float32)
    """

    def forward(self, x: Tensor) -> Tensor:
        return one(x)


class LogSoftmax(Module):
    """Log probabilities along an axis, y_i = x_i - log(sum_j exp(x_j)), the input of `NLLLoss`.

    Arguments: `axis`, also named `dim`, the axis whose probabilities sum to 1.

    >>> import chainrule as cr
    >>> cr.nn.LogSoftmax()(cr.tensor([[0.0, 0.0]])).numpy()
    array([[-0.6931472, -0.6931472]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **names: Unpack[Dim]) -> None:
        self.axis = int(by_dim("LogSoftmax", names, axis, default=-1)[0])

    def forward(self, x: Tensor) -> Tensor:
        return ops.log_softmax(x, axis=self.axis)

    def config(self) -> dict[str, Any]:
        return {"axis": self.axis}


class ReLU6(Module):
    """Rectified linear unit with a ceiling, y = min(max(x, 0), 6); input and output of any one shape.

    Arguments: `inplace`, see `ReLU`.

    >>> import chainrule as cr
    >>> cr.nn.ReLU6()(cr.tensor([-1.0, 2.0, 7.0])).numpy()
    array([0., 2., 6.], dtype=float32)
    """

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = bool(inplace)

    def forward(self, x: Tensor) -> Tensor:
        return ops.hardtanh(x, 0.0, 6.0)


class CELU(Module):
    """Continuously differentiable exponential unit, y = x where x > 0, else alpha * (exp(x / alpha) - 1).

    Arguments: `alpha`, a number above 0. Input and output of any one shape.
    Errors: ValueError for another alpha.
    Source: Barron, Continuously differentiable exponential linear units, 2017.

    >>> import chainrule as cr
    >>> cr.nn.CELU(2.0)(cr.tensor([-1.0, 2.0])).numpy()
    array([-0.78693867,  2.        ], dtype=float32)
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = check_number("CELU: alpha", alpha, above=True)

    def forward(self, x: Tensor) -> Tensor:
        low = ops.mul(ops.expm1(ops.div(ops.minimum(x, 0), self.alpha)), self.alpha)
        return ops.add(ops.relu(x), low)

    def config(self) -> dict[str, Any]:
        return {"alpha": self.alpha}


class Hardswish(Module):
    """Swish of straight lines, y = x * min(max(x + 3, 0), 6) / 6; input and output of any one shape.

    Source: Howard et al., Searching for MobileNetV3, 2019.

    >>> import chainrule as cr
    >>> cr.nn.Hardswish()(cr.tensor([-4.0, 0.0, 1.5, 4.0])).numpy()
    array([-0.   ,  0.   ,  1.125,  4.   ], dtype=float32)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.div(ops.mul(x, ops.hardtanh(ops.add(x, 3), 0.0, 6.0)), 6)


class GLU(Module):
    """Gated linear unit: the first half of an axis times the logistic function of the second, y = a * sigmoid(b).

    Arguments: `axis`, also named `dim`. Input: an even number along it. Output: half as many.
    Errors: ValueError for an odd number.
    Source: Dauphin et al., Language modeling with gated convolutional networks, 2017.

    >>> import chainrule as cr
    >>> cr.nn.GLU()(cr.tensor([[2.0, 3.0, 0.0, 0.0]])).numpy()
    array([[1. , 1.5]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **names: Unpack[Dim]) -> None:
        self.axis = int(by_dim("GLU", names, axis, default=-1)[0])

    def forward(self, x: Tensor) -> Tensor:
        if not -x.ndim <= self.axis < x.ndim or x.shape[self.axis] % 2:
            raise ValueError(f"GLU: axis {self.axis} of shape {x.shape} must exist and have an even length")
        values, gates = ops.split(x, 2, self.axis)
        return ops.mul(values, ops.sigmoid(gates))

    def config(self) -> dict[str, Any]:
        return {"axis": self.axis}


class Threshold(Module):
    """y = x where x > threshold, else `value`; input and output of any one shape.

    Arguments: `threshold` and `value`, numbers.

    >>> import chainrule as cr
    >>> cr.nn.Threshold(1.0, 20.0)(cr.tensor([0.5, 2.0])).numpy()
    array([20.,  2.], dtype=float32)
    """

    def __init__(self, threshold: float, value: float) -> None:
        self.threshold, self.value = float(threshold), float(value)

    def forward(self, x: Tensor) -> Tensor:
        return ops.where(ops.greater(x, self.threshold), x, self.value)

    def config(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "value": self.value}


if not TYPE_CHECKING:
    __all__ = own_names(globals())

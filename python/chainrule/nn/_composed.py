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
        return ops.relu6(x)


class CELU(Module):
    """Continuously differentiable exponential unit, y = x where x > 0, else alpha * (exp(x / alpha) - 1).

    Arguments: `alpha`, a number above 0; `inplace`, see `ReLU`. Input and output of any one shape.
    Errors: ValueError for another alpha.
    Source: Barron, Continuously differentiable exponential linear units, 2017.

    >>> import chainrule as cr
    >>> cr.nn.CELU(2.0)(cr.tensor([-1.0, 2.0])).numpy()
    array([-0.78693867,  2.        ], dtype=float32)
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha, self.inplace = check_number("CELU: alpha", alpha, above=True), bool(inplace)

    def forward(self, x: Tensor) -> Tensor:
        return ops.celu(x, self.alpha)

    def config(self) -> dict[str, Any]:
        return {"alpha": self.alpha}


class Hardswish(Module):
    """Swish of straight lines, y = x * min(max(x + 3, 0), 6) / 6; input and output of any one shape.

    Arguments: `inplace`, see `ReLU`.
    Source: Howard et al., Searching for MobileNetV3, 2019.

    >>> import chainrule as cr
    >>> cr.nn.Hardswish()(cr.tensor([-4.0, 0.0, 1.5, 4.0])).numpy()
    array([-0.   ,  0.   ,  1.125,  4.   ], dtype=float32)
    """

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = bool(inplace)

    def forward(self, x: Tensor) -> Tensor:
        return ops.hardswish(x)


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
        return ops.glu(x, self.axis)

    def config(self) -> dict[str, Any]:
        return {"axis": self.axis}


class Threshold(Module):
    """y = x where x > threshold, else `value`; input and output of any one shape, NaN stays NaN.

    Arguments: `threshold` and `value`, numbers; `inplace`, see `ReLU`.

    >>> import chainrule as cr
    >>> cr.nn.Threshold(1.0, 20.0)(cr.tensor([0.5, 2.0])).numpy()
    array([20.,  2.], dtype=float32)
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        self.threshold, self.value, self.inplace = float(threshold), float(value), bool(inplace)

    def forward(self, x: Tensor) -> Tensor:
        return ops.threshold(x, self.threshold, self.value)

    def config(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "value": self.value}


class Softplus(Module):
    """Smooth rectifier, y = log(1 + exp(beta * x)) / beta; input and output of any one shape.

    Arguments: `beta`, above 0; `threshold`, where given, y = x where beta * x is above it, see `cr.softplus`.
    Errors: ValueError for another beta.

    >>> import chainrule as cr
    >>> cr.nn.Softplus()(cr.tensor([0.0])).numpy()
    array([0.6931472], dtype=float32)
    """

    def __init__(self, beta: float = 1.0, threshold: float | None = None) -> None:
        self.beta = check_number("Softplus: beta", beta, above=True)
        self.threshold = None if threshold is None else float(threshold)

    def forward(self, x: Tensor) -> Tensor:
        return ops.softplus(x, self.beta, self.threshold)

    def config(self) -> dict[str, Any]:
        given = {"beta": self.beta, "threshold": self.threshold}
        return {} if given == {"beta": 1.0, "threshold": None} else given  # as in files of earlier versions


class Softmin(Module):
    """Softmax of -x along an axis, y_i = exp(-x_i) / sum_j exp(-x_j).

    Arguments: `axis`, also named `dim`, the axis that sums to 1.

    >>> import chainrule as cr
    >>> cr.nn.Softmin()(cr.tensor([[0.0, 0.0]])).numpy()
    array([[0.5, 0.5]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **names: Unpack[Dim]) -> None:
        self.axis = int(by_dim("Softmin", names, axis, default=-1)[0])

    def forward(self, x: Tensor) -> Tensor:
        return ops.softmin(x, self.axis)

    def config(self) -> dict[str, Any]:
        return {"axis": self.axis}


class Softshrink(Module):
    """Shift towards 0, y = x - lambd above lambd, x + lambd below -lambd, else 0; input and output of any one shape.

    Arguments: `lambd`, at least 0. Errors: ValueError for another lambd.

    >>> import chainrule as cr
    >>> cr.nn.Softshrink(1.0)(cr.tensor([-2.0, 0.25, 1.5])).numpy()
    array([-1. ,  0. ,  0.5], dtype=float32)
    """

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = check_number("Softshrink: lambd", lambd)

    def forward(self, x: Tensor) -> Tensor:
        return ops.softshrink(x, self.lambd)

    def config(self) -> dict[str, Any]:
        return {"lambd": self.lambd}


class Hardshrink(Module):
    """y = x where |x| > lambd, else 0; input and output of any one shape.

    Arguments: `lambd`, a number.

    >>> import chainrule as cr
    >>> cr.nn.Hardshrink(1.0)(cr.tensor([-2.0, 0.25, 1.5])).numpy()
    array([-2. ,  0. ,  1.5], dtype=float32)
    """

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = float(lambd)

    def forward(self, x: Tensor) -> Tensor:
        return ops.hardshrink(x, self.lambd)

    def config(self) -> dict[str, Any]:
        return {"lambd": self.lambd}


class Tanhshrink(Module):
    """y = x - tanh(x); input and output of any one shape.

    >>> import chainrule as cr
    >>> cr.nn.Tanhshrink()(cr.tensor([0.0, 100.0])).numpy()
    array([ 0., 99.], dtype=float32)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.tanhshrink(x)


if not TYPE_CHECKING:
    __all__ = own_names(globals())

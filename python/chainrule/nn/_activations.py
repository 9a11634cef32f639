"""Activation layers: the ops of the same name as modules."""

from __future__ import annotations

from typing import Any

from .. import ops
from .._tensor import Tensor
from ._module import Module

__all__ = ["LeakyReLU", "ReLU", "Sigmoid", "Softmax", "Softplus", "Tanh"]


class ReLU(Module):
    """Rectified linear unit, y = x where x > 0, else 0; input and output of any one shape.

    >>> import chainrule as cr
    >>> cr.nn.ReLU()(cr.tensor([-1.0, 2.0])).numpy()
    array([0., 2.], dtype=float32)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.relu(x)


class LeakyReLU(Module):
    """Leaky rectified linear unit, y = x where x > 0, else negative_slope * x; input and output of any one shape.

    Arguments: `negative_slope`, a number.

    >>> import chainrule as cr
    >>> cr.nn.LeakyReLU(0.5)(cr.tensor([-1.0, 2.0])).numpy()
    array([-0.5,  2. ], dtype=float32)
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = float(negative_slope)

    def forward(self, x: Tensor) -> Tensor:
        return ops.leaky_relu(x, negative_slope=self.negative_slope)

    def config(self) -> dict[str, Any]:
        return {"negative_slope": self.negative_slope}


class Sigmoid(Module):
    """Logistic function, y = 1 / (1 + exp(-x)); input and output of any one shape.

    >>> import chainrule as cr
    >>> cr.nn.Sigmoid()(cr.tensor([0.0])).numpy()
    array([0.5], dtype=float32)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.sigmoid(x)


class Tanh(Module):
    """Hyperbolic tangent, y = tanh(x); input and output of any one shape.

    >>> import chainrule as cr
    >>> cr.nn.Tanh()(cr.tensor([0.0])).numpy()
    array([0.], dtype=float32)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.tanh(x)


class Softplus(Module):
    """Smooth rectifier, y = log(1 + exp(x)); input and output of any one shape.

    >>> import chainrule as cr
    >>> cr.nn.Softplus()(cr.tensor([0.0])).numpy()
    array([0.6931472], dtype=float32)
    """

    def forward(self, x: Tensor) -> Tensor:
        return ops.softplus(x)


class Softmax(Module):
    """Probabilities along an axis, y_i = exp(x_i) / sum_j exp(x_j).

    `CrossEntropyLoss` takes the scores before softmax; this layer is for models that shall output probabilities.

    Arguments: `axis`, the axis that sums to 1.

    >>> import chainrule as cr
    >>> cr.nn.Softmax()(cr.tensor([[0.0, 0.0]])).numpy()
    array([[0.5, 0.5]], dtype=float32)
    """

    def __init__(self, axis: int = -1) -> None:
        self.axis = int(axis)

    def forward(self, x: Tensor) -> Tensor:
        return ops.softmax(x, axis=self.axis)

    def config(self) -> dict[str, Any]:
        return {"axis": self.axis}

"""Layers in the lecture notes' notation: W of shape (outputs, inputs), and a bias that may be subtracted."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor, tensor
from ..nn import Linear

__all__ = ["Neuron", "as_printed", "from_printed"]


def from_printed(
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    minus_bias: bool = False,
    dtype: npt.DTypeLike = np.float32,
) -> Linear:
    """Build a layer from the W and b of W x + b, or of W x - b with `minus_bias`.

    Arguments: `weight`, W, shape (outputs, inputs): the layer's weight is its transpose; `bias`, shape (outputs,), or
    None; `minus_bias`, whether the bias is subtracted: the layer's bias is then -b; `dtype`.
    Errors: ValueError for wrong shapes.

    >>> from chainrule.examples import from_printed
    >>> layer = from_printed([[1.0, 2.0]], [0.5], minus_bias=True)
    >>> layer.weight.tolist(), layer.bias.tolist(), layer([[1.0, 1.0]]).item()
    ([[1.0], [2.0]], [-0.5], 2.5)
    """
    matrix = tensor(weight, dtype)
    if matrix.ndim != 2:
        raise ValueError(f"from_printed: weight has shape {matrix.shape}, expected (outputs, inputs)")
    layer = Linear(matrix.shape[1], matrix.shape[0], bias=bias is not None, dtype=dtype)
    state = {"weight": ops.transpose(matrix).numpy()}
    if bias is not None:
        state["bias"] = _signed(tensor(bias, dtype), minus_bias).numpy()
    layer.load_state_dict(state)
    return layer


def as_printed(layer: Linear, minus_bias: bool = False) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    """Return (W, b) of W x + b, or of W x - b with `minus_bias`; the inverse of `from_printed`.

    >>> from chainrule.examples import as_printed, from_printed
    >>> weight, bias = as_printed(from_printed([[1.0, 2.0]], [0.5]), minus_bias=True)
    >>> weight.tolist(), bias.tolist()
    ([[1.0, 2.0]], [-0.5])
    """
    weight = ops.transpose(layer.weight.detach()).numpy().copy()
    return weight, None if layer.bias is None else _signed(layer.bias.detach(), minus_bias).numpy().copy()


def _signed(bias: Tensor, minus: bool) -> Tensor:
    return ops.neg(bias) if minus else bias


class Neuron:
    """A neuron in the notation of CS231n: a weighted sum of the inputs plus a bias, and a sigmoid firing rate.

    Arguments: `weights`, shape (inputs,); `bias`, a scalar.

    >>> from chainrule.examples import Neuron
    >>> round(Neuron([2.0, -3.0], -3.0).neuron_tick([-1.0, -2.0]).item(), 6)
    0.731059
    """

    def __init__(self, weights: npt.ArrayLike, bias: float) -> None:
        self.weights, self.bias = tensor(weights), bias

    def neuron_tick(self, inputs: Any) -> Tensor:
        """Compute the firing rate, 1 / (1 + exp(-(sum(inputs * weights) + bias)))."""
        cell_body_sum = ops.sum(ops.mul(inputs, self.weights)) + self.bias
        return ops.sigmoid(cell_body_sum)

"""Constructed examples: sawtooth functions from deep nets, collapsing deep linear nets, translated patterns."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import nn, ops
from .._tensor import Tensor
from ..autodiff._sweeps import no_grad
from .printed import from_printed

__all__ = ["collapse", "sawtooth", "translations"]


def sawtooth(depth: int, dtype: npt.DTypeLike = np.float32) -> nn.Sequential:
    """Build a net of 3 * depth relu units with 2**(depth - 1) teeth on [0, 1], and flat regions around them.

    Each layer is a tent function, 2 relu(x) - 4 relu(x - 0.5) + 2 relu(x - 1): 0 at 0 and 1, 1 at 0.5, constant
    outside. Each composition with a tent doubles the number of teeth: the slope is ±2**depth inside, 0 outside. A net
    with one hidden layer needs a unit for each of the 2**depth slopes.

    Arguments: `depth`, at least 1; `dtype`.
    Input and output: shape (n, 1).
    Errors: ValueError for depth below 1.
    Source: M. Telgarsky, Benefits of depth in neural networks, COLT 2016.

    >>> from chainrule.examples import sawtooth
    >>> sawtooth(2)([[0.125], [0.25], [0.5], [0.75], [1.5]]).tolist()
    [[0.5], [1.0], [0.0], [1.0], [0.0]]
    """
    if depth < 1:
        raise ValueError(f"sawtooth: depth must be at least 1, got {depth}")
    net = nn.Sequential()
    for _ in range(depth):
        net.append(from_printed([[1.0], [1.0], [1.0]], [0.0, -0.5, -1.0], dtype=dtype))
        net.append(nn.ReLU())
        net.append(from_printed([[2.0, -4.0, 2.0]], dtype=dtype))
    return net


@no_grad()
def collapse(net: nn.Sequential) -> nn.Linear:
    """Compose linear layers into one equivalent layer: W' = W3 W2 W1, b' = W3 (W2 b1 + b2) + b3.

    Arguments: `net`, a Sequential of at least one Linear layer.
    Returns: a Linear that computes the same up to rounding.
    Errors: TypeError for another layer, ValueError for an empty net.

    >>> from chainrule.examples import collapse, from_printed
    >>> import chainrule as cr
    >>> net = cr.nn.Sequential(from_printed([[1.0, 2.0]], [3.0]), from_printed([[4.0]], [5.0]))
    >>> one = collapse(net)
    >>> one.weight.tolist(), one.bias.tolist()
    ([[4.0], [8.0]], [17.0])
    """
    weight: Tensor | None = None
    bias: Tensor | None = None
    for i, layer in enumerate(net):
        if not isinstance(layer, nn.Linear):
            raise TypeError(f"collapse: layer {i} is {type(layer).__name__}, expected Linear")
        weight = layer.weight if weight is None else ops.matmul(weight, layer.weight)
        mapped = None if bias is None else ops.matmul(bias, layer.weight)
        bias = layer.bias if mapped is None else mapped if layer.bias is None else mapped + layer.bias
    if weight is None:
        raise ValueError("collapse: net is empty, expected at least one Linear layer")
    return from_printed(ops.transpose(weight), bias, dtype=weight.dtype)


def translations(pattern: npt.ArrayLike) -> npt.NDArray[Any]:
    """All cyclic translations of a pattern, as rows; shape (n, n) for a pattern of shape (n,).

    Each entry of their mean is the pattern's mean. Two patterns with the same number of ones have the same mean, so no
    linear unit separates the translations of one from those of the other.

    >>> from chainrule.examples import translations
    >>> translations([1, 2, 3]).tolist()
    [[1, 2, 3], [3, 1, 2], [2, 3, 1]]
    """
    values = np.asarray(pattern)
    if values.ndim != 1:
        raise ValueError(f"translations: pattern has shape {values.shape}, expected (n,)")
    return np.stack([np.roll(values, shift) for shift in range(len(values))])

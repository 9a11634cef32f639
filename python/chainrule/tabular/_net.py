"""The net of tabular models: scaled inputs, hidden layers with parametric activations, scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from ..nn import Buffer, Module, Parameter, register_serializable
from ..nn._init import draw_weight
from ..random import Generator

__all__ = ["TabularEnsemble", "TabularNet"]


@register_serializable
class TabularNet(Module):
    """A net for the inputs of a table: x * scale, then hidden layers, then a linear layer.

    The last layer and all biases are 0 at first; `fit_first_state` sets the others.

    Arguments: `features`; `hidden`, widths; `outputs`; `activation`, "selu" or "mish"; `generator`.
    """

    def __init__(
        self,
        features: int,
        hidden: Sequence[int],
        outputs: int,
        activation: str = "selu",
        generator: Generator | None = None,
    ) -> None:
        self.features, self.hidden, self.outputs = features, list(hidden), outputs
        self.activation = activation
        self.scale = Parameter(np.ones(features, np.float32))
        widths, single = [features, *hidden, outputs], np.dtype(np.float32)
        inner = [(widths[i], widths[i + 1]) for i in range(len(widths) - 1)]
        drawn = [draw_weight((a, b), a, b, "he", single, generator) for a, b in inner]
        self.weights = [Parameter(weight) for weight in drawn]
        self.biases = [Parameter(np.zeros(b, np.float32)) for _, b in inner]
        self.weights[-1].copy_(np.zeros(widths[-2:], np.float32))

    def forward(self, x: Tensor) -> Tensor:
        y: Any = ops.mul(x, self.scale)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            y = self._activated(ops.linear(y, weight, bias))
        result: Tensor = ops.linear(y, self.weights[-1], self.biases[-1])
        return result

    def _activated(self, z: Any) -> Any:
        return ops.selu(z) if self.activation == "selu" else ops.mul(z, ops.tanh(ops.softplus(z)))

    def rates(self, scale: float, bias: float) -> Iterator[tuple[Parameter, float, bool]]:
        """Each parameter with its learning rate as a multiple, and whether it decays.

        1 / sqrt(inputs) for weights: Adam's steps change the output of a wide and a narrow layer alike.
        """
        yield self.scale, scale, False
        for weight, offset in zip(self.weights, self.biases, strict=True):
            yield weight, 1.0 / float(np.sqrt(np.float64(weight.shape[0]))), True
            yield offset, bias, False

    def fit_first_state(self, inputs: npt.NDArray[np.float32], draw: Generator) -> None:
        """Scale the hidden weights so that a unit's deviation on these rows is 1, and draw its bias from them.

        A bias is minus the unit's output for a random mean of 5 rows: each unit bends within the data.
        """
        y = ops.mul(inputs, self.scale.detach())
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            z = ops.matmul(y, weight.detach())
            deviation = ops.sqrt(ops.mean(ops.square(ops.sub(z, ops.mean(z, 0))), 0)).numpy()
            factor = np.where(deviation > 1e-6, deviation, np.float32(1))
            weight.copy_(ops.div(weight.detach(), factor))
            z = ops.div(z, factor)
            rows = draw.permutation(len(inputs))[np.arange(5 * z.shape[1]) % len(inputs)].reshape(5, -1)
            shares = ops.neg(ops.log(draw.uniform((5, z.shape[1]), 1e-6, 1.0)))
            picked = z.numpy()[rows, np.arange(z.shape[1])]
            mean = ops.div(ops.sum(ops.mul(shares, picked), 0), ops.sum(shares, 0))
            bias.copy_(ops.neg(mean))
            y = self._activated(ops.sub(z, mean))

    def config(self) -> dict[str, Any]:
        return {
            "features": self.features,
            "hidden": self.hidden,
            "outputs": self.outputs,
            "activation": self.activation,
        }


@register_serializable
class TabularEnsemble(Module):
    """The mean of the members' predictions: of softmax(temperature * scores) for classes, of the outputs otherwise.

    Arguments: `nets`, at least one; `classes`, whether the outputs are class scores.
    """

    def __init__(self, nets: Sequence[Module], classes: bool) -> None:
        self.nets, self.classes = list(nets), classes
        self.temperature = Buffer(np.ones(1, np.float32))

    def forward(self, x: Tensor) -> Tensor:
        total: Any = None
        for net in self.nets:
            y = net(x)
            part = ops.softmax(ops.mul(y, self.temperature)) if self.classes else y
            total = part if total is None else ops.add(total, part)
        result: Tensor = ops.div(total, float(len(self.nets)))
        return result

    def config(self) -> dict[str, Any]:
        return {"nets": self.nets, "classes": self.classes}

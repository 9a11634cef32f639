"""The net of tabular models: scaled inputs, hidden layers, class scores or a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from ..autodiff import no_grad
from ..nn import Buffer, Module, Parameter, register_serializable
from ..nn._init import draw_weight
from ..random import Generator

__all__ = ["TabularEnsemble", "TabularNet"]


@register_serializable
class TabularNet(Module):
    """A net for the inputs of a table: hidden layers, then a linear layer.

    The last layer and all biases are 0 at first; `fit_first_state` sets the others. While it is trained, the first
    weight is `scale * weight`, with a factor for each input: no gradient of the inputs is needed for that of the
    factors. `folded` is the same net without them.

    Arguments: `features`; `hidden`, widths; `outputs`; `activation`, "selu" or "mish"; `generator` of the weights,
    which are 0 without it; `scaled`, whether there are factors.
    """

    def __init__(
        self,
        features: int,
        hidden: Sequence[int],
        outputs: int,
        activation: str = "selu",
        generator: Generator | None = None,
        scaled: bool = False,
    ) -> None:
        self.features, self.hidden, self.outputs = features, list(hidden), outputs
        self.activation = activation
        self.scale = Parameter(np.ones((features, 1), np.float32)) if scaled else None
        widths, single = [features, *hidden, outputs], np.dtype(np.float32)
        shapes = [(widths[i], widths[i + 1]) for i in range(len(widths) - 1)]
        values = [np.zeros(shape, single) for shape in shapes]
        if generator is not None:
            values[:-1] = [draw_weight(shape, *shape, "he", single, generator) for shape in shapes[:-1]]
        self.weights = [Parameter(value) for value in values]
        self.biases = [Parameter(np.zeros(width, single)) for width in widths[1:]]

    def forward(self, x: Tensor) -> Tensor:
        y: Any = x
        weights = [self._first_weight(), *self.weights[1:]]
        for weight, bias in zip(weights[:-1], self.biases[:-1], strict=True):
            y = self._activated(ops.linear(y, weight, bias))
        result: Tensor = ops.linear(y, weights[-1], self.biases[-1])
        return result

    def _first_weight(self) -> Any:
        return self.weights[0] if self.scale is None else ops.mul(self.scale, self.weights[0])

    def folded(self) -> TabularNet:
        """A net without factors and with the same outputs, bit by bit."""
        net = TabularNet(self.features, self.hidden, self.outputs, self.activation)
        with no_grad():
            weights = [self._first_weight(), *self.weights[1:]]
            for own, other in zip([*net.weights, *net.biases], [*weights, *self.biases], strict=True):
                own.copy_(other)
        return net

    def _activated(self, z: Any) -> Tensor:
        return ops.selu(z) if self.activation == "selu" else ops.mish(z)

    def rates(self, scale: float, bias: float) -> dict[float, list[Parameter]]:
        """The parameters by their learning rate as a multiple: `scale`, `bias`, and of weights 1 / sqrt(inputs).

        Adam's steps change the output of a wide and a narrow layer alike.
        """
        found: dict[float, list[Parameter]] = {scale: [] if self.scale is None else [self.scale]}
        for weight, offset in zip(self.weights, self.biases, strict=True):
            found.setdefault(1.0 / float(np.sqrt(np.float64(weight.shape[0]))), []).append(weight)
            found.setdefault(bias, []).append(offset)
        return found

    def fit_first_state(self, inputs: npt.NDArray[np.float32], draw: Generator) -> None:
        """Scale the hidden weights so that a unit's deviation on these rows is 1, and draw its bias from them.

        A bias is minus the unit's output for a random mean of 5 rows: each unit bends within the data.
        """
        y: Any = inputs
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
    """The mean of the members' outputs: of numbers, or of scores of classes, then softmax(temperature * mean).

    p = (1 - share) * that of `nets` + share * that of `linear`, which are nets without hidden layers. Scores are
    averaged, not probabilities: the mean of calibrated probabilities is less certain than it is right (Wu and Gales,
    Should ensemble members be calibrated?, 2021). With `spreads`, nets of the logarithm of the error's size, a second
    output is their mean.

    Arguments: `nets`, at least one; `linear`; `classes`, whether the outputs are class scores; `spreads`; `knots`, the
    size of `errors`.
    Attributes: `share`; for classes `temperature`, of `nets` and of `linear`; for numbers `errors`, quantiles of the
    errors of held-out rows in units of the predicted spread, and `deviation`, their standard deviation.
    """

    def __init__(
        self,
        nets: Sequence[Module],
        linear: Sequence[Module],
        classes: bool,
        spreads: Sequence[Module] = (),
        knots: int = 0,
    ) -> None:
        self.nets, self.linear, self.classes = list(nets), list(linear), classes
        self.spreads, self.knots = list(spreads), knots
        self.share, self.temperature = Buffer(np.zeros(1, np.float32)), Buffer(np.ones(2, np.float32))
        self.errors, self.deviation = Buffer(np.zeros(knots, np.float32)), Buffer(np.ones(1, np.float32))

    def forward(self, x: Tensor) -> Tensor:
        result = self._mean(self.nets, x, self.temperature[:1])
        if self.linear:
            other = self._mean(self.linear, x, self.temperature[1:])
            result = ops.add(ops.mul(result, ops.sub(1.0, self.share)), ops.mul(other, self.share))
        if self.spreads:
            result = ops.concatenate([result, _mean([net(x) for net in self.spreads])], 1)
        return result

    def _mean(self, nets: Sequence[Module], x: Tensor, temperature: Tensor) -> Tensor:
        mean = _mean([net(x) for net in nets])
        return ops.softmax(ops.mul(mean, temperature)) if self.classes else mean

    def config(self) -> dict[str, Any]:
        return {
            "nets": self.nets,
            "linear": self.linear,
            "classes": self.classes,
            "spreads": self.spreads,
            "knots": self.knots,
        }


def _mean(parts: Sequence[Tensor]) -> Tensor:
    total = parts[0]
    for part in parts[1:]:
        total = ops.add(total, part)
    return ops.div(total, float(len(parts)))

"""A training step of a model of layers, in the words that chainrule and PyTorch share."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.cases import Case
from bench.layers_reference import OPTIMIZERS
from bench.problems import CHECKED_STEPS, Array, Inputs
from bench.runners.base import Call


class Steps:
    """A step of `model`, `loss_of` and `optimizer`."""

    model: Any
    loss_of: Any
    optimizer: Any

    def step(self, x: Any, targets: Any) -> Any:
        self.optimizer.zero_grad()
        loss = self.loss_of(self.model(x), targets)
        loss.backward()
        self.optimizer.step()
        return loss


class LayersTraining(Steps):
    """A model, its loss and its optimizer; `copy_weights(linear, weight, bias)` sets a layer."""

    def __init__(
        self, lib: Any, case: Case, data: Inputs, copy_weights: Callable[..., None], dropout: float, **options: Any
    ) -> None:
        build = _convolutional if case.kind == "conv_step" else _dense
        self.model, self.loss_of = build(lib.nn, case, data, copy_weights, dropout), lib.nn.CrossEntropyLoss()
        name = case.params["optimizer"]
        kind = {"sgd": lib.optim.SGD, "adam": lib.optim.Adam, "adamw": lib.optim.AdamW}[name]
        self.optimizer = kind(self.model.parameters(), **OPTIMIZERS[name], **options)
        self.start = copy.deepcopy((self.model.state_dict(), self.optimizer.state_dict()))

    def reset(self) -> None:
        model, optimizer = copy.deepcopy(self.start)
        self.model.load_state_dict(model)
        self.optimizer.load_state_dict(optimizer)


def _dense(nn: Any, case: Case, data: Inputs, copy_weights: Callable[..., None], dropout: float) -> Any:
    layers: list[Any] = []
    norms = {"batch": [nn.BatchNorm1d], "layer": [nn.LayerNorm], "none": []}[case.params["norm"]]
    for weight, bias in zip(data["parameters"][::2], data["parameters"][1::2], strict=True):
        linear = nn.Linear(*weight.shape)
        copy_weights(linear, weight, bias)
        behind = [*(norm(weight.shape[1]) for norm in norms), nn.ReLU(), *([nn.Dropout(dropout)] if dropout else [])]
        layers += [linear, *behind]
    return nn.Sequential(*layers[: -len(behind)])


def _convolutional(nn: Any, case: Case, data: Inputs, copy_weights: Callable[..., None], dropout: float) -> Any:
    layers: list[Any] = []
    convolutions = case.params["convolutions"]
    for i, weight in enumerate(data["parameters"][::2]):
        if i < len(convolutions):
            filters, kernel, padding, pooled = convolutions[i]
            layer = nn.Conv2d(weight.shape[1], filters, kernel, padding=padding)
        else:
            pooled, layer = False, nn.Linear(*weight.shape)
        copy_weights(layer, weight, data["parameters"][2 * i + 1])
        layers += [nn.Flatten()] if i == len(convolutions) else []
        layers += [layer, nn.ReLU(), *([nn.MaxPool2d(2)] if pooled else [])]
    return nn.Sequential(*layers[:-1])


def layers_call(
    build: Callable[[float], LayersTraining],
    compiled: Callable[[LayersTraining], Any],
    case: Case,
    x: Any,
    targets: Any,
) -> Call:
    """Steps on the same rows; the answer is that of a net without dropout, whose draws no two frameworks share."""
    training = build(case.params["dropout"])

    def answer() -> list[Array]:
        exact = build(0.0)
        step = compiled(exact)
        return [np.array([step(x, targets).item() for _ in range(CHECKED_STEPS)])]

    return Call(compiled(training), (x, targets), answer=answer, reset=training.reset)

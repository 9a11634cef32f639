"""Layers and losses, in PyTorch's words.

One private file per kind. To add a layer: write a `Module` with `forward` and `config` (its constructor's arguments),
export it here and list it in `LAYERS`, which is the whole list of classes a model file may name.
"""

from __future__ import annotations

from ._activations import LeakyReLU, ReLU, Sigmoid, Softmax, Softplus, Tanh
from ._containers import Sequential
from ._linear import Linear
from ._losses import (
    LOSSES,
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HingeLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    MultiMarginLoss,
    NLLLoss,
    PenalizedLoss,
    PerceptronLoss,
    PoissonNLLLoss,
    SmoothL1Loss,
)
from ._module import Module, Parameter
from ._output import Output, loss_for
from ._shape import Flatten

LAYERS: dict[str, type[Module]] = {
    layer.__name__: layer
    for layer in (
        Sequential,
        Linear,
        Flatten,
        ReLU,
        LeakyReLU,
        Sigmoid,
        Tanh,
        Softplus,
        Softmax,
        Output,
        *LOSSES,
    )
}

__all__ = [
    "LAYERS",
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "Flatten",
    "HingeLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "LeakyReLU",
    "Linear",
    "MSELoss",
    "Module",
    "MultiMarginLoss",
    "NLLLoss",
    "Output",
    "Parameter",
    "PenalizedLoss",
    "PerceptronLoss",
    "PoissonNLLLoss",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "Tanh",
    "loss_for",
]

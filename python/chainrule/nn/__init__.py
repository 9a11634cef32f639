"""Layers and losses, in PyTorch's words.

One private file per kind. To add a layer: write a `Module` with `forward` and `config` (its constructor's arguments),
export it here and list it in `LAYERS`, which is the whole list of classes a model file may name.
"""

from __future__ import annotations

from . import utils
from ._activations import LeakyReLU, ReLU, Sigmoid, Softmax, Softplus, Tanh
from ._containers import Sequential
from ._dropout import Dropout
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
from ._units import (
    ELU,
    SELU,
    Hardsigmoid,
    Hardtanh,
    Heaviside,
    LogSigmoid,
    Maxout,
    PReLU,
    Sign,
    SiLU,
    Softsign,
)

LAYERS: dict[str, type[Module]] = {
    layer.__name__: layer
    for layer in (
        Sequential,
        Linear,
        Output,
        Dropout,
        Flatten,
        ReLU,
        LeakyReLU,
        Sigmoid,
        Tanh,
        Softplus,
        Softmax,
        ELU,
        SELU,
        SiLU,
        PReLU,
        Maxout,
        Hardtanh,
        Hardsigmoid,
        Softsign,
        LogSigmoid,
        Sign,
        Heaviside,
        *LOSSES,
    )
}

__all__ = [
    "ELU",
    "LAYERS",
    "SELU",
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "Hardsigmoid",
    "Hardtanh",
    "Heaviside",
    "HingeLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "MSELoss",
    "Maxout",
    "Module",
    "MultiMarginLoss",
    "NLLLoss",
    "Output",
    "PReLU",
    "Parameter",
    "PenalizedLoss",
    "PerceptronLoss",
    "PoissonNLLLoss",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Sign",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
    "loss_for",
    "utils",
]

"""Layers and losses, in PyTorch's words.

One private file per kind. To add a layer: write a `Module` with `forward` and `config` (its constructor's arguments),
export it here and list it in `LAYERS`, which is the whole list of classes a model file may name.
"""

from __future__ import annotations

from . import utils
from ._activations import LeakyReLU, ReLU, Sigmoid, Softmax, Softplus, Tanh
from ._containers import Sequential
from ._conv import Conv2d
from ._linear import Linear
from ._losses import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss
from ._module import Module, Parameter
from ._pool import AvgPool2d, GlobalAvgPool2d, MaxPool2d
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
        Conv2d,
        MaxPool2d,
        AvgPool2d,
        GlobalAvgPool2d,
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
        MSELoss,
        CrossEntropyLoss,
        BCEWithLogitsLoss,
    )
}

__all__ = [
    "ELU",
    "LAYERS",
    "SELU",
    "AvgPool2d",
    "BCEWithLogitsLoss",
    "Conv2d",
    "CrossEntropyLoss",
    "Flatten",
    "GlobalAvgPool2d",
    "Hardsigmoid",
    "Hardtanh",
    "Heaviside",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "MSELoss",
    "MaxPool2d",
    "Maxout",
    "Module",
    "PReLU",
    "Parameter",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Sign",
    "Softmax",
    "Softplus",
    "Softsign",
    "Tanh",
    "utils",
]

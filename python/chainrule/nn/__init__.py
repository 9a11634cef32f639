"""Layers and losses, in PyTorch's words.

One private file per kind. To add a layer: write a `Module` with `forward` and `config` (its constructor's arguments),
export it here and list it in `LAYERS`, which is the whole list of classes a model file may name.
"""

from __future__ import annotations

from . import utils
from ._activations import LeakyReLU, ReLU, Sigmoid, Softmax, Softplus, Tanh
from ._containers import Sequential
from ._conv import Conv2d
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
from ._module import Buffer, Module, Parameter
from ._output import Output, loss_for
from ._pool import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from ._preprocessing.base import Standardize, fit_preprocessing
from ._preprocessing.features import PolynomialFeatures, RBFFeatures
from ._preprocessing.one_hot import OneHot
from ._preprocessing.pca import PCA, Whiten
from ._shape import Flatten
from ._units import ELU, GELU, SELU, Hardsigmoid, Hardtanh, Heaviside, LogSigmoid, Maxout, PReLU, Sign, SiLU, Softsign

LAYERS: dict[str, type[Module]] = {
    layer.__name__: layer
    for layer in (
        Sequential,
        Linear,
        Conv2d,
        MaxPool2d,
        AvgPool2d,
        GlobalAvgPool2d,
        Output,
        Dropout,
        Flatten,
        ReLU,
        LeakyReLU,
        Sigmoid,
        Tanh,
        Softplus,
        Softmax,
        OneHot,
        PCA,
        Standardize,
        Whiten,
        PolynomialFeatures,
        RBFFeatures,
        ELU,
        SELU,
        GELU,
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
    "GELU",
    "LAYERS",
    "PCA",
    "SELU",
    "AvgPool2d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "Buffer",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2d",
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
    "MaxPool2d",
    "Maxout",
    "Module",
    "MultiMarginLoss",
    "NLLLoss",
    "OneHot",
    "Output",
    "PReLU",
    "Parameter",
    "PenalizedLoss",
    "PerceptronLoss",
    "PoissonNLLLoss",
    "PolynomialFeatures",
    "RBFFeatures",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Sign",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "Softsign",
    "Standardize",
    "Tanh",
    "Whiten",
    "fit_preprocessing",
    "loss_for",
    "utils",
]

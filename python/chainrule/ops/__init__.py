"""All ops as functions. `_table.py` says what an op is; each file registers its rows and defines public functions."""

from __future__ import annotations

from ._table import OPS
from .activations import exp, expm1, leaky_relu, log, log1p, relu, sigmoid, softplus, sqrt, tanh
from .conv import conv2d, fold, unfold
from .elementwise import (
    abs,
    add,
    div,
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    maximum,
    minimum,
    mul,
    neg,
    not_equal,
    power,
    square,
    sub,
    where,
)
from .linear import linear, matmul
from .losses import binary_cross_entropy_with_logits, cross_entropy, log_softmax, mse_loss, softmax
from .pool import avg_pool2d, max_pool2d
from .reduce import argmax, max, mean, min, sum
from .shape import astype, broadcast_to, concatenate, flatten, getitem, reshape, stack, take, transpose

__all__ = [
    "OPS",
    "abs",
    "add",
    "argmax",
    "astype",
    "avg_pool2d",
    "binary_cross_entropy_with_logits",
    "broadcast_to",
    "concatenate",
    "conv2d",
    "cross_entropy",
    "div",
    "equal",
    "exp",
    "expm1",
    "flatten",
    "fold",
    "getitem",
    "greater",
    "greater_equal",
    "leaky_relu",
    "less",
    "less_equal",
    "linear",
    "log",
    "log1p",
    "log_softmax",
    "matmul",
    "max",
    "max_pool2d",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mse_loss",
    "mul",
    "neg",
    "not_equal",
    "power",
    "relu",
    "reshape",
    "sigmoid",
    "softmax",
    "softplus",
    "sqrt",
    "square",
    "stack",
    "sub",
    "sum",
    "take",
    "tanh",
    "transpose",
    "unfold",
    "where",
]

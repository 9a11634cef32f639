"""The net of an estimator: built from its parameters, its weights shared with `coefs_` and `intercepts_`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import nn, ops
from .._tensor import Tensor
from ..random import Generator

__all__ = ["Net", "activations_of", "initial_weights"]

Array = npt.NDArray[Any]
Activation = Any  # a name, a function of tensors, or a module without parameters

_NAMES: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "logistic": nn.Sigmoid,
    "sigmoid": nn.Sigmoid,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "silu": nn.SiLU,
    "swish": nn.SiLU,
    "gelu": nn.GELU,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "hardtanh": nn.Hardtanh,
    "hardsigmoid": nn.Hardsigmoid,
    "mish": nn.Mish,
    "identity": lambda: _Function(lambda x: x),
}
NAMES = tuple(_NAMES)


class _Function(nn.Module):
    """A function of tensors as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class _Softmaxes(nn.Module):
    """Softmax of each of several groups of columns."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = tuple(sizes)

    def forward(self, x: Tensor) -> Tensor:
        ends = [sum(self.sizes[: i + 1]) for i in range(len(self.sizes))]
        parts = [x[:, end - size : end] for end, size in zip(ends, self.sizes, strict=True)]
        return ops.concatenate([ops.softmax(part) for part in parts], 1)


_OUT: dict[str, Callable[[Sequence[int]], nn.Module | None]] = {
    "identity": lambda sizes: None,
    "softmax": lambda sizes: nn.Softmax() if len(sizes) == 1 else _Softmaxes(sizes),
    "logistic": lambda sizes: nn.Sigmoid(),
    "exp": lambda sizes: _Function(ops.exp),
}


def activations_of(activation: Activation, hidden: int) -> list[Activation]:
    """One activation per hidden layer; ValueError for an unknown name or another number of them."""
    several = isinstance(activation, (list, tuple))
    each = list(activation) if several else [activation] * hidden
    if len(each) != hidden:
        raise ValueError(f"activation: {len(each)} activations for {hidden} hidden layers; give one for each, or one")
    for item in each:
        if isinstance(item, str) and item not in _NAMES:
            raise ValueError(
                f"activation: unknown activation {item!r}, expected a function or one of {', '.join(NAMES)}"
            )
        if not isinstance(item, str) and not callable(item):
            raise ValueError(f"activation: expected a name or a function of tensors, got {type(item).__name__}")
        if isinstance(item, nn.Module) and any(True for _ in item.parameters()):
            raise ValueError(
                f"activation: {type(item).__name__} has parameters, which coefs_ cannot hold; use a function"
            )
    return each


def initial_weights(
    units: Sequence[int], activations: Sequence[Activation], dtype: np.dtype[Any], generator: Generator
) -> tuple[list[Array], list[Array]]:
    """Weights and biases, uniform from [-b, b): b = sqrt(6 / (fan_in + fan_out)), with 2 for "logistic".

    Drawn in float64 and rounded once, so that both dtypes begin with the same net.
    """
    coefs: list[Array] = []
    intercepts: list[Array] = []
    for i in range(len(units) - 1):
        near = activations[min(i, len(activations) - 1)] if activations else "identity"
        bound = math.sqrt((2.0 if near in ("logistic", "sigmoid") else 6.0) / (units[i] + units[i + 1]))
        for kept, shape in ((coefs, (units[i], units[i + 1])), (intercepts, (units[i + 1],))):
            drawn = generator.uniform(shape, low=-bound, high=bound, dtype=np.float64)
            kept.append(ops.astype(drawn, dtype).numpy().copy())
    return coefs, intercepts


class Net:
    """The layers; `scores`, before the activation of the output, and `output`, after it, share the parameters."""

    def __init__(
        self,
        coefs: Sequence[Array],
        intercepts: Sequence[Array],
        activations: Sequence[Activation],
        dropout: Sequence[float],
        out_activation: str,
        sizes: Sequence[int],
        seed: int,
    ) -> None:
        self.linears: list[nn.Linear] = []
        layers: list[nn.Module] = []
        self.generator = Generator(seed, stream=_DROPOUT_STREAM)
        # NumPy's own dtype object, which programs recognise at once; unpickled arrays have another one.
        dtype = np.dtype(np.float32 if np.asarray(coefs[0]).dtype == np.float32 else np.float64)
        for i, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True)):
            fan_in, fan_out = np.shape(coef)
            linear = nn.Linear(fan_in, fan_out, dtype=dtype, generator=Generator(0))
            linear.weight.copy_(np.asarray(coef, dtype=dtype))
            assert linear.bias is not None
            linear.bias.copy_(np.asarray(intercept, dtype=dtype))
            self.linears.append(linear)
            layers.append(linear)
            if i < len(coefs) - 1:
                layers.append(_layer(activations[i]))
                if dropout[i] > 0:
                    layers.append(nn.Dropout(dropout[i], self.generator))
        out = _OUT[out_activation](sizes)
        self.scores = nn.Sequential(*layers)
        self.output = nn.Sequential(*layers, *([] if out is None else [out]))
        self.dtype = dtype
        self.coefs: list[Array] = [linear.weight._data for linear in self.linears]
        self.intercepts: list[Array] = [linear.bias._data for linear in self.linears if linear.bias is not None]

    @property
    def parameters(self) -> list[Tensor]:
        """Weights, then biases, as scikit-learn orders them."""
        biases = [x.bias for x in self.linears if x.bias is not None]
        return [*(x.weight for x in self.linears), *biases]

    def begin_epoch(self, epoch: int) -> None:
        """Place the dropout's generator where this epoch begins, whatever was drawn before."""
        self.generator.stream = _DROPOUT_STREAM + (epoch << 24)

    def copies(self) -> list[Array]:
        """Copies of weights and biases."""
        return [array.copy() for array in (*self.coefs, *self.intercepts)]

    def restore(self, arrays: Sequence[Array]) -> None:
        """Overwrite weights and biases."""
        for tensor, values in zip(self.parameters, arrays, strict=True):
            tensor.copy_(values)


_DROPOUT_STREAM = 2**40


def _layer(activation: Activation) -> nn.Module:
    if isinstance(activation, str):
        return _NAMES[activation]()
    return activation if isinstance(activation, nn.Module) else _Function(activation)

"""Layers with one trained number for each unit: Scale, and the activation that learns how much it bends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from .. import ops
from .._tensor import Tensor, tensor
from .._util.checks import check_size
from .._util.exports import own_names
from ._init import float_dtype
from ._module import Module, Parameter, Stored


class _Units(Module):
    """One weight for each unit: axis 1 of x, axis 0 of a vector."""

    def __init__(self, num_parameters: int, init: float, dtype: npt.DTypeLike | None) -> None:
        name = type(self).__name__
        self.num_parameters, self.init = check_size(f"{name}: num_parameters", num_parameters), float(init)
        kind = float_dtype(name, dtype)
        self.weight = Parameter(ops.broadcast_to(tensor(self.init, dtype=kind), (self.num_parameters,)).numpy())

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> _Units:
        stored("weight", (config.get("num_parameters"),))
        return cls(**config)

    def config(self) -> dict[str, Any]:
        return {"num_parameters": self.num_parameters, "init": self.init, "dtype": str(self.weight.dtype)}

    def _weight_for(self, x: Tensor) -> Tensor:
        """The weight in a shape that broadcasts over x; ValueError for another number of units."""
        units = x.shape[min(x.ndim - 1, 1)] if x.ndim else 1
        if units != self.num_parameters:
            raise ValueError(
                f"{type(self).__name__}: x has {units} units, the layer {self.num_parameters} (x: {x.shape})"
            )
        return ops.reshape(self.weight, (self.num_parameters, *[1] * (x.ndim - 2))) if x.ndim else self.weight


class Scale(_Units):
    """One trained factor for each feature, y = x * weight; the factors begin at 1.

    A first layer of this kind learns which inputs matter. `weight` has shape (num_parameters,): one factor for each
    feature or channel, axis 1 of x (axis 0 of a vector).

    Arguments: `num_parameters`, at least 1; `init`, a number; `dtype`, float32 or float64.
    Input: x of shape (n, num_parameters, ...) or (num_parameters,) in the layer's dtype. Output: the same shape.
    Errors: ValueError for a size below 1 or an x of other units, TypeError for another dtype.
    Source: the scaling layer of RealMLP: Holzmueller, Grinsztajn and Steinwart, Better by default, NeurIPS 2024.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.Scale(3)(np.ones((2, 3), np.float32)).shape
    (2, 3)
    """

    def __init__(self, num_parameters: int, init: float = 1.0, dtype: npt.DTypeLike | None = None) -> None:
        super().__init__(num_parameters, init, dtype)

    def forward(self, x: Tensor) -> Tensor:
        return ops.mul(x, self._weight_for(x))


class ParametricActivation(_Units):
    """An activation f of which each unit learns its share, y = x + weight * (f(x) - x).

    At weight 1, the beginning, it is f; at 0 it is the identity. `weight` has shape (num_parameters,): one for each
    feature or channel, axis 1 of x (axis 0 of a vector).

    Arguments: `activation`, the name of a function of `cr`: "relu", "selu", "mish", "silu", "gelu", "tanh", "elu",
    "leaky_relu", "sigmoid", "softplus", "softsign"; `num_parameters`, at least 1; `init`, a number; `dtype`, float32
    or float64.
    Input: x of shape (n, num_parameters, ...) or (num_parameters,) in the layer's dtype. Output: the same shape.
    Errors: ValueError for another activation, a size below 1 or an x of other units; TypeError for another dtype.
    Source: as `Scale`.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.ParametricActivation("mish", 2, init=0.5)(cr.tensor([[-1.0, 2.0]])).numpy()
    array([[-0.65170074,  1.9719795 ]], dtype=float32)
    """

    def __init__(
        self, activation: str, num_parameters: int, init: float = 1.0, dtype: npt.DTypeLike | None = None
    ) -> None:
        if not isinstance(activation, str) or activation not in _ACTIVATIONS:
            raise ValueError(
                f"ParametricActivation: activation must be one of {', '.join(_ACTIVATIONS)}, got {activation!r}"
            )
        super().__init__(num_parameters, init, dtype)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        bend = ops.sub(_ACTIVATIONS[self.activation](x), x)
        return ops.add(x, ops.mul(self._weight_for(x), bend))

    def config(self) -> dict[str, Any]:
        return {"activation": self.activation, **super().config()}


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": ops.relu,
    "selu": ops.selu,
    "mish": ops.mish,
    "silu": ops.silu,
    "gelu": ops.gelu,
    "tanh": ops.tanh,
    "elu": ops.elu,
    "leaky_relu": ops.leaky_relu,
    "sigmoid": ops.sigmoid,
    "softplus": ops.softplus,
    "softsign": ops.softsign,
}

if not TYPE_CHECKING:
    __all__ = own_names(globals())

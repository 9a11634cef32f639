"""The fully connected layer and its seeded initialisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from .._util.checks import check_size
from .._util.exports import own_names
from ..random import Generator
from ._init import check_init, draw_bias, draw_weight
from ._module import Module, Parameter, Stored


class Linear(Module):
    """Fully connected layer, y = x @ weight + bias.

    `weight` has shape (in_features, out_features) and is drawn uniformly from [-b, b): `init="glorot"` has b = sqrt(6
    / (in_features + out_features)), for tanh and sigmoid; `init="he"` has b = sqrt(6 / in_features), for relu;
    `init="torch"` has b = 1 / sqrt(in_features). `bias` has shape (out_features,) and is initialized with 0, with
    "torch" likewise from [-b, b).

    Arguments: `in_features`, `out_features`, at least 1; `bias`, whether to add one (else it is None); `dtype`,
    float32 or float64; `init`; `generator`, a `cr.random.Generator` (default: the one that `cr.manual_seed` seeds).
    Input: x of shape (..., in_features) in the layer's dtype. Output: shape (..., out_features).
    Errors: ValueError for sizes below 1 or an unknown init; TypeError for another dtype; in a call, the errors of
    `cr.linear`.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.Linear(64, 10, generator=cr.random.Generator(seed=1))
    >>> layer(np.ones((32, 64), np.float32)).shape
    (32, 10)
    """

    _transposed_in_pytorch = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        dtype: npt.DTypeLike | None = None,
        init: str = "glorot",
        generator: Generator | None = None,
    ) -> None:
        self.in_features = check_size("Linear: in_features", in_features)
        self.out_features = check_size("Linear: out_features", out_features)
        kind, self.init = check_init("Linear", init, dtype), init
        shape = (self.in_features, self.out_features)
        self.weight = Parameter(draw_weight(shape, *shape, init, kind, generator))
        self.bias = Parameter(draw_bias(self.out_features, self.in_features, init, kind, generator)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return ops.linear(x, self.weight, self.bias)

    @classmethod
    def _stored_shape(cls, config: dict[str, Any]) -> tuple[Any, ...]:
        """The shape of the weight in a configuration."""
        return config.get("in_features"), config.get("out_features")

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> Linear:
        stored("weight", cls._stored_shape(config))
        return cls(**{**config, "generator": Generator(0)})

    def config(self) -> dict[str, Any]:
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "bias": self.bias is not None,
            "dtype": str(self.weight.dtype),
            "init": self.init,
        }


if not TYPE_CHECKING:
    __all__ = own_names(globals())

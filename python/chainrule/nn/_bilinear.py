"""The bilinear layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from .._tensor import Tensor
from .._util.checks import check_size
from .._util.exports import own_names
from ..ops._bilinear import bilinear
from ..random import Generator
from ._init import check_init, draw_bias, draw_weight
from ._module import Module, Parameter, Stored


class Bilinear(Module):
    """A bilinear form of two inputs for each output, y[o] = sum over (i, j) of x1[i] * weight[o,i,j] * x2[j] + bias[o].

    `weight` has shape (out_features, in1_features, in2_features) and `bias` (out_features,), both drawn uniformly from
    [-b, b), b = 1 / sqrt(in1_features), as PyTorch's.

    Arguments: `in1_features`, `in2_features`, `out_features`, at least 1; `bias`, whether to add one; `dtype`, float32
    or float64; `generator`, a `cr.random.Generator` (default: the one that `cr.manual_seed` seeds).
    Input: x1 (..., in1_features) and x2 (..., in2_features) in the layer's dtype. Output: shape (..., out_features).
    Errors: ValueError for sizes; TypeError for another dtype; in a call, those of `cr.nn.functional.bilinear`.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.Bilinear(3, 4, 2, generator=cr.random.Generator(seed=1))
    >>> layer(np.ones((5, 3), np.float32), np.ones((5, 4), np.float32)).shape
    (5, 2)
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        dtype: npt.DTypeLike | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.in1_features = check_size("Bilinear: in1_features", in1_features)
        self.in2_features = check_size("Bilinear: in2_features", in2_features)
        self.out_features = check_size("Bilinear: out_features", out_features)
        kind, fan = check_init("Bilinear", "torch", dtype), self.in1_features
        shape = (self.out_features, self.in1_features, self.in2_features)
        self.weight = Parameter(draw_weight(shape, fan, 0, "torch", kind, generator))
        self.bias = Parameter(draw_bias(self.out_features, fan, "torch", kind, generator)) if bias else None

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return bilinear(x1, x2, self.weight, self.bias)

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> Bilinear:
        stored("weight", tuple(config.get(name) for name in ("out_features", "in1_features", "in2_features")))
        return cls(**{**config, "generator": Generator(0)})

    def config(self) -> dict[str, Any]:
        return {
            "in1_features": self.in1_features,
            "in2_features": self.in2_features,
            "out_features": self.out_features,
            "bias": self.bias is not None,
            "dtype": str(self.weight.dtype),
        }


if not TYPE_CHECKING:
    __all__ = own_names(globals())

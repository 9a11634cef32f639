"""PeriodicEmbedding: several learned waves of each numeric feature."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from .. import ops
from .._ir.shapes import product
from .._tensor import Tensor, tensor
from .._util.checks import check_integer, check_number, check_size
from .._util.exports import own_names
from ..random import Generator
from ._init import draw_normal, draw_uniform, float_dtype
from ._module import Module, Parameter, Stored


class PeriodicEmbedding(Module):
    """Learned waves of each number: for every feature x_j the columns x_j and cos(2 pi x_j w_j + b_j) @ W_j + c_j.

    A net of such columns learns functions of one feature that bend often, for which it would need many units
    otherwise. Its paper trains this layer at a tenth of the learning rate (a parameter group of its own).

    Parameters, a leading axis for the features: `frequency` w (in_features, 1, num_frequencies), drawn from N(0,
    frequency_scale^2); `phase` b of that shape, uniform from [-pi, pi); `weight` W (in_features, num_frequencies,
    embedding_dim - 1) and `bias` c (in_features, 1, embedding_dim - 1), uniform from [-s, s), s = 1 /
    sqrt(num_frequencies).

    Arguments: `in_features`, `num_frequencies`, at least 1; `embedding_dim`, columns for each feature with the feature
    itself, at least 2; `frequency_scale` >= 0; `dtype`, float32 or float64; `generator`, a `cr.random.Generator`
    (default: the one that `cr.manual_seed` seeds).
    Input: x of shape (..., in_features) in the layer's dtype, scaled to about -3 to 3. Output: shape (..., in_features
    * embedding_dim), feature by feature; NaN in the columns of a feature that is NaN.
    Errors: ValueError for sizes or a scale out of range or an x of other features; TypeError for another dtype.
    Source: the PBLD embedding (periodic, bias, linear, dense) of RealMLP: Holzmueller, Grinsztajn and Steinwart,
    Better by default, NeurIPS 2024, after Gorishniy, Rubachev and Babenko, On embeddings for numerical features in
    tabular deep learning, NeurIPS 2022.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.PeriodicEmbedding(2, generator=cr.random.Generator(seed=1))
    >>> y = layer(np.array([[0.5, -1.0]], np.float32))
    >>> y.shape, y[:, ::4].tolist()
    ((1, 8), [[0.5, -1.0]])
    """

    def __init__(
        self,
        in_features: int,
        embedding_dim: int = 4,
        num_frequencies: int = 16,
        frequency_scale: float = 0.1,
        dtype: npt.DTypeLike | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.in_features = check_size("PeriodicEmbedding: in_features", in_features)
        self.embedding_dim = check_integer("PeriodicEmbedding: embedding_dim", embedding_dim, 2)
        self.num_frequencies = check_size("PeriodicEmbedding: num_frequencies", num_frequencies)
        self.frequency_scale = check_number("PeriodicEmbedding: frequency_scale", frequency_scale)
        kind = float_dtype("PeriodicEmbedding", dtype)
        count = tensor(float(self.num_frequencies), dtype=kind)
        bound = ops.sqrt(ops.div(tensor(1.0, dtype=kind), count)).item()
        waves, columns = (self.in_features, 1, self.num_frequencies), self.embedding_dim - 1
        self.frequency = Parameter(draw_normal(waves, kind, generator, self.frequency_scale))
        self.phase = Parameter(draw_uniform(waves, math.pi, kind, generator))
        self.weight = Parameter(draw_uniform((waves[0], waves[2], columns), bound, kind, generator))
        self.bias = Parameter(draw_uniform((waves[0], 1, columns), bound, kind, generator))

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            found = x.shape[-1] if x.ndim else "no"
            raise ValueError(f"PeriodicEmbedding: x has {found} features, the layer {self.in_features} (x: {x.shape})")
        rows = product(x.shape[:-1])
        # A matrix of rows for each feature: one batched product for all features.
        features = ops.reshape(ops.transpose(ops.reshape(x, (rows, self.in_features))), (self.in_features, rows, 1))
        angles = ops.add(ops.mul(features, ops.mul(self.frequency, 2 * math.pi)), self.phase)
        columns = ops.add(ops.matmul(ops.cos(angles), self.weight), self.bias)
        together = ops.transpose(ops.concatenate([features, columns], 2), (1, 0, 2))
        return ops.reshape(together, (*x.shape[:-1], self.in_features * self.embedding_dim))

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> PeriodicEmbedding:
        stored("frequency", (config.get("in_features"), 1, config.get("num_frequencies")))
        stored("weight", (config.get("in_features"), config.get("num_frequencies"), config.get("embedding_dim", 0) - 1))
        return cls(**{**config, "generator": Generator(0)})

    def config(self) -> dict[str, Any]:
        return {
            "in_features": self.in_features,
            "embedding_dim": self.embedding_dim,
            "num_frequencies": self.num_frequencies,
            "frequency_scale": self.frequency_scale,
            "dtype": str(self.weight.dtype),
        }


if not TYPE_CHECKING:
    __all__ = own_names(globals())

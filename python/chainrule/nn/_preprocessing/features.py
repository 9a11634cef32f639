"""Feature maps: fixed functions of the inputs that make a linear layer more expressive."""

from __future__ import annotations

from functools import lru_cache
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import ops
from ..._tensor import Tensor, tensor
from ..._util.checks import check_number, check_size
from ...ops._operands import one
from .._module import Buffer, Module, Stored

__all__ = ["PolynomialFeatures", "RBFFeatures"]

_MAX_DEGREE, _MAX_FEATURES = 64, 1 << 20


class PolynomialFeatures(Module):
    """All products of inputs up to a degree; of one input (1, x, x**2, ..., x**degree).

    The order is by degree, then lexicographic by the inputs' indices: (1, a, b, a*a, a*b, b*b). A product is
    computed from one of a lower degree: x**3 = x * (x * x).

    Arguments: `degree`, at least 1; `features`, the number of inputs; `interaction_only`, whether an input occurs at
    most once in a product: degree 2 gives (1, a, b, a*b); `include_bias`, whether to include the 1; a following linear
    layer has it as its bias.
    Input: x of shape (..., features), float32 or float64. Output: (..., out_features), the same dtype.
    Errors: ValueError for other sizes, for more than 2**20 results; in a call for another number of inputs.

    >>> import chainrule as cr
    >>> cr.nn.PolynomialFeatures(3)([[2.0]]).numpy()
    array([[1., 2., 4., 8.]], dtype=float32)
    >>> psi = cr.nn.PolynomialFeatures(2, 2, interaction_only=True, include_bias=False)
    >>> psi([[2.0, 3.0]]).numpy()
    array([[2., 3., 6.]], dtype=float32)
    """

    def __init__(
        self, degree: int, features: int = 1, interaction_only: bool = False, include_bias: bool = True
    ) -> None:
        self.in_features = check_size("PolynomialFeatures: features", features)
        self.degree = check_size("PolynomialFeatures: degree", degree)
        self.interaction_only, self.include_bias = bool(interaction_only), bool(include_bias)
        total = int(self.include_bias)
        for d in range(1, min(self.degree, _MAX_DEGREE) + 1):
            total += comb(self.in_features, d) if self.interaction_only else comb(self.in_features + d - 1, d)
        if total > _MAX_FEATURES or self.degree > _MAX_DEGREE:
            raise ValueError(
                f"PolynomialFeatures: degree {degree} of {features} features has more than {_MAX_FEATURES} products, "
                f"or the degree is above {_MAX_DEGREE}"
            )
        self.out_features = total

    def forward(self, x: Tensor) -> Tensor:
        x = one(x)
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(
                f"PolynomialFeatures: x must have shape (..., {self.in_features}) for features={self.in_features}, got "
                f"{x.shape}"
            )
        parts, block = [x], x
        if self.include_bias:
            parts.insert(0, ops.broadcast_to(tensor(1.0, dtype=x.dtype), (*x.shape[:-1], 1)))
        later = int(self.interaction_only)
        for starts in _starts(self.in_features, self.degree, later)[:-1]:
            products = [
                ops.mul(x[..., i : i + 1], block[..., starts[i + later] :])
                for i in range(self.in_features)
                if starts[i + later] < starts[-1]
            ]
            if not products:  # every input already occurs in each product
                break
            block = ops.concatenate(products, axis=-1)
            parts.append(block)
        return ops.concatenate(parts, axis=-1)

    def config(self) -> dict[str, Any]:
        return {
            "degree": self.degree,
            "features": self.in_features,
            "interaction_only": self.interaction_only,
            "include_bias": self.include_bias,
        }


@lru_cache(maxsize=16)
def _starts(features: int, degree: int, later: int) -> list[list[int]]:
    """Per degree: the index of the first product that begins with input i, and the number of products.

    Input i multiplies the products of the degree below that begin with input i + `later` or a later one.
    """
    rows = [list(range(features + 1))]
    while len(rows) < degree:
        below, row = rows[-1], [0]
        for i in range(features):
            row.append(row[-1] + below[-1] - below[i + later])
        rows.append(row)
    return rows


class RBFFeatures(Module):
    """Radial basis functions, y_j = exp(-gamma * sum((x - centers[j])**2)).

    Arguments: `centers`, finite numbers of shape (out_features, in_features), a float64 buffer that is not
    trained; `gamma`, above 0.
    Input: x of shape (..., in_features), float32 or float64. Output: (..., out_features), the same dtype.
    Errors: ValueError for other centers or another gamma; in a call for another number of inputs.

    >>> import chainrule as cr
    >>> cr.nn.RBFFeatures([[0.0, 0.0], [1.0, 0.0]], gamma=0.5)([[1.0, 0.0]]).numpy()
    array([[0.60653067, 1.        ]], dtype=float32)
    """

    def __init__(self, centers: npt.ArrayLike, gamma: float = 1.0) -> None:
        table = np.array(centers, dtype=np.float64)
        if table.ndim != 2 or table.size == 0 or not np.isfinite(table).all():
            raise ValueError(f"RBFFeatures: centers must be finite, of shape (centers, features), got {table.shape}")
        self.gamma = check_number("RBFFeatures: gamma", gamma, above=True)
        self.out_features, self.in_features = table.shape
        self.centers = Buffer(table)

    def forward(self, x: Tensor) -> Tensor:
        x = one(x)
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"RBFFeatures: x must have shape (..., {self.in_features}), got {x.shape}")
        apart = ops.sub(ops.reshape(x, (*x.shape[:-1], 1, self.in_features)), ops.astype(self.centers, x.dtype))
        return ops.exp(ops.mul(ops.sum(ops.square(apart), axis=-1), -self.gamma))

    def config(self) -> dict[str, Any]:
        return {"gamma": self.gamma}

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> RBFFeatures:
        return cls(stored("centers", None), **config)

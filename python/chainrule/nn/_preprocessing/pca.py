"""Projections onto principal axes: PCA and whitening."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ... import ops
from ..._tensor import Tensor
from ..._util.checks import check_number, check_size
from ...ops._linalg import covariance, symmetric_eigen
from .._init import float_dtype
from .._module import Buffer, Stored
from .base import Preprocessing

__all__ = ["PCA", "Whiten"]


class _Projection(Preprocessing):
    """z = (x - mean) @ weight, with fitted mean and weight."""

    def __init__(self, features: int, components: int | None, dtype: npt.DTypeLike | None) -> None:
        kind = type(self).__name__
        super().__init__(features, float_dtype(kind, dtype))
        self.components = self.in_features if components is None else check_size(f"{kind}: components", components)
        if self.components > self.in_features:
            raise ValueError(
                f"{kind}: components must be at most the {self.in_features} features, got {self.components}"
            )
        self.mean = Buffer(np.full(self.in_features, np.nan))
        self.weight = Buffer(np.full((self.in_features, self.components), np.nan))
        self.variance = Buffer(np.full(self.components, np.nan))

    @property
    def fitted(self) -> bool:
        return not np.isnan(self.mean._data).any()

    @property
    def out_features(self) -> int:
        return self.components

    def _learn(self, x: Tensor) -> None:
        name = type(self).__name__
        if len(x) < 2:
            raise ValueError(f"{name}: X must have at least 2 rows, got {len(x)}")
        mean = ops.mean(x, axis=0)
        table = covariance(ops.sub(x, mean))
        if not np.isfinite(table.numpy()).all():
            raise ValueError(f"{name}: the values are too large; put a Standardize before it")
        values, vectors = symmetric_eigen(table)
        variance, axes = values[: self.components], vectors[: self.components]
        weight = ops.transpose(self._scaled(axes, variance, values[0]))
        for buffer, value in ((self.mean, mean), (self.variance, variance), (self.weight, weight)):
            buffer.copy_(value)

    def _scaled(self, axes: Tensor, variance: Tensor, largest: Tensor) -> Tensor:
        """The columns of the weight, as rows: the axes with their scale."""
        raise NotImplementedError

    def _map(self, x: Tensor) -> Tensor:
        return ops.matmul(ops.sub(x, self.mean), self.weight)

    def config(self) -> dict[str, Any]:
        return {"features": self.in_features, "components": self.components, "dtype": str(self.dtype)}

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> _Projection:
        stored("weight", (config.get("features"), config.get("components")))
        return cls(**config)


class PCA(_Projection):
    """Project onto the principal axes, z = (x - mean) @ weight.

    The columns of `weight` are the eigenvectors of the covariance (x - mean)' (x - mean) / n with the largest
    eigenvalues, largest first; these are `variance`, the variances of the columns of z. The largest component of an
    axis by magnitude is positive. Axes of (nearly) equal variance are arbitrary within their plane. Standardise
    columns of different physical units first.

    Arguments: `features`, the number of columns; `components`, how many axes (default: all); `dtype` of the result.
    Input: x of shape (..., features). Output: (..., components).
    Errors: ValueError before it is fitted, for another number of columns, for less than 2 rows in `fit`.
    Source: eigenvectors as Martin, Reinsch and Wilkinson (1968), in float64.

    >>> import chainrule as cr
    >>> layer = cr.nn.PCA(2, components=1).fit([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    >>> layer([[6.0, 8.0], [0.0, 0.0]]).numpy().tolist(), round(layer.variance.item(), 4)
    ([[5.0], [-5.0]], 16.6667)
    """

    def __init__(self, features: int, components: int | None = None, dtype: npt.DTypeLike | None = None) -> None:
        super().__init__(features, components, dtype)

    def _scaled(self, axes: Tensor, variance: Tensor, largest: Tensor) -> Tensor:
        return axes


class Whiten(_Projection):
    """Decorrelate: principal components divided by their standard deviation, so that the covariance is the identity.

    z = (x - mean) @ weight; column j of `weight` is principal axis j over sqrt(variance[j] + eps), see `PCA`.

    Arguments: `features`, the number of columns; `components`, how many axes (default: all); `eps`, added to the
    variances, which shrinks directions of smaller variance; `dtype` of the result.
    Input: x of shape (..., features). Output: (..., components).
    Errors: as `PCA`; ValueError in `fit` when a variance plus `eps` is not above features * 2**-52 times the largest
    variance: the columns are linearly dependent, and the divisors would be rounding errors only.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> X = cr.random.Generator(seed=0).normal((500, 2), dtype=np.float64) @ [[2.0, 1.0], [0.0, 3.0]]
    >>> Z = cr.nn.Whiten(2, dtype=np.float64).fit(X)(X).numpy()
    >>> bool(np.allclose(Z.T @ Z / 500, np.eye(2)))
    True
    """

    def __init__(
        self, features: int, components: int | None = None, eps: float = 0.0, dtype: npt.DTypeLike | None = None
    ) -> None:
        super().__init__(features, components, dtype)
        self.eps = check_number("Whiten: eps", eps)

    def _scaled(self, axes: Tensor, variance: Tensor, largest: Tensor) -> Tensor:
        padded = ops.add(variance, self.eps)
        limit = ops.mul(largest, self.in_features * 2.0**-52)
        rank = int(np.count_nonzero(ops.greater(padded, limit).numpy()))
        if rank < self.components:
            raise ValueError(
                f"Whiten: the columns span only {rank} of {self.components} directions; take components={rank} or "
                "an eps above 0"
            )
        return ops.div(axes, ops.reshape(ops.sqrt(padded), (-1, 1)))

    def config(self) -> dict[str, Any]:
        return {**super().config(), "eps": self.eps}

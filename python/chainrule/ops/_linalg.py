"""Decompositions in the arithmetic of the contract, for what is fitted in closed form."""

from __future__ import annotations

import numpy as np

from .. import _core, ops
from .._tensor import Tensor

__all__ = ["covariance", "symmetric_eigen"]


def symmetric_eigen(a: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of a symmetric matrix, a = vectors' @ diag(values) @ vectors.

    Arguments: `a`, float64 of shape (n, n), symmetric and finite.
    Returns: `(values, vectors)`: float64 of shape (n,), largest first; (n, n), one unit vector per row. The largest
    component of a vector by magnitude is positive.
    Errors: ValueError when the iteration does not converge, which no finite matrix has shown.
    Source: Householder and implicit QL of Martin, Reinsch and Wilkinson (1968), in `cpp/host/eigen.cpp`.

    >>> import chainrule as cr
    >>> from chainrule.ops._linalg import symmetric_eigen
    >>> values, vectors = symmetric_eigen(cr.tensor([[2.0, 0.0], [0.0, 5.0]], dtype="float64"))
    >>> values.tolist(), vectors.tolist()
    ([5.0, 2.0], [[0.0, 1.0], [1.0, 0.0]])
    """
    vectors, values = a.numpy().copy(), np.empty(len(a))
    _core.symmetric_eigen(vectors, values)
    return Tensor._wrap(values), Tensor._wrap(vectors)


def covariance(centred: Tensor) -> Tensor:
    """x' @ x / n for rows x of mean 0, float64 of shape (n, columns)."""
    return ops.div(ops.matmul(ops.transpose(centred), centred), float(len(centred)))

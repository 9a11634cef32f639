"""Matrix decompositions with reproducible bits, for models that are fitted in closed form."""

from __future__ import annotations

import numpy as np

from .. import _core, ops
from .._tensor import Tensor

__all__ = ["covariance", "symmetric_eigen"]


def symmetric_eigen(a: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of a symmetric matrix, a = vectors' @ diag(values) @ vectors.

    Arguments: `a`, float64 of shape (n, n), symmetric and finite.
    Returns: `(values, vectors)`: float64 of shape (n,), descending; (n, n), one unit vector per row. The component of
    largest magnitude of each vector is positive.
    Errors: ValueError if the iteration does not converge, which has not occurred for any finite matrix.
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
    """x' @ x / n for n centred rows x, float64 of shape (n, columns)."""
    return ops.div(ops.matmul(ops.transpose(centred), centred), float(len(centred)))

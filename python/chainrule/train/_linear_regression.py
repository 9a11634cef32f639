"""Linear regression in closed form."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor, tensor
from .._util.arrays import first_nonfinite
from .._util.checks import check_number
from ..autodiff._sweeps import no_grad
from ..nn import Linear
from ..nn._evaluate import to_model_input
from ..ops._linalg import covariance, symmetric_eigen
from ..random import Generator

__all__ = ["linear_regression"]


def linear_regression(
    X: npt.ArrayLike, y: npt.ArrayLike, l2: float = 0.0, bias: bool = True, dtype: npt.DTypeLike = np.float32
) -> Linear:
    """Solve linear least squares exactly: the layer that gradient descent on squared errors converges to.

    weight and bias minimise sum((X @ weight + bias - y)**2) + l2 * sum(weight**2), from the normal equations
    (Xc' Xc + l2) weight = Xc' yc with centred columns Xc, yc and bias = mean(y) - mean(X) @ weight; without a bias
    nothing is centred. For one column, weight = sum((x - mean(x)) * (y - mean(y))) / sum((x - mean(x))**2).

    Arguments: `X`, finite numbers of shape (n, features); `y`, of shape (n, outputs) or (n,) for one output; `l2`, at
    least 0, in units of the sum of squares; `bias`, whether to fit one; `dtype` of the layer, float32 or float64; the
    solution is computed in float64.
    Returns: a `cr.nn.Linear(features, outputs)`; its prediction has shape (n, outputs).
    Errors: ValueError for mismatched shapes, for values that are not finite, and for linearly dependent columns with
    `l2` = 0, which leave the weights undetermined.
    Source: normal equations of columns scaled to equal size, by eigendecomposition (`cpp/host/eigen.cpp`).

    >>> import chainrule as cr
    >>> line = cr.linear_regression([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> line.weight.item(), line.bias.item()
    (2.0, 1.0)
    """
    x, target = _table(X, "X"), _table(y, "y")
    if len(x) != len(target) or x.size == 0 or target.size == 0:
        raise ValueError(
            f"linear_regression: X and y must have the same number of rows, above 0, got {x.shape} and {target.shape}"
        )
    l2 = check_number("linear_regression: l2", l2)
    with no_grad():
        means = (ops.mean(x, axis=0), ops.mean(target, axis=0)) if bias else None
        if means is not None:
            x, target = ops.sub(x, means[0]), ops.sub(target, means[1])
        weight = _solve(x, target, l2)
        layer = Linear(x.shape[1], target.shape[1], bias=bias, dtype=dtype, generator=Generator(0))
        layer.weight.copy_(weight)
        if layer.bias is not None and means is not None:
            layer.bias.copy_(ops.sub(means[1], ops.matmul(means[0], weight)))
    return layer


def _table(values: npt.ArrayLike, name: str) -> Tensor:
    table = to_model_input(values, np.float64, f"linear_regression: {name}")
    if name == "y" and table.ndim == 1:
        table = ops.reshape(table, (-1, 1))
    if table.ndim != 2:
        raise ValueError(f"linear_regression: {name} must have an axis of rows and one of columns, got {table.shape}")
    place = first_nonfinite(table.numpy())
    if place is not None:
        raise ValueError(f"linear_regression: {name}[{place[0]}, {place[1]}] is {table.numpy()[place]}")
    return table


def _solve(x: Tensor, target: Tensor, l2: float) -> Tensor:
    """Return the weights for centred columns; the Gram matrix, divided by n, is scaled to a diagonal of 1."""
    penalty = ops.div(np.float64(l2), float(len(x)))
    size = ops.sqrt(ops.add(ops.mean(ops.square(x), axis=0), penalty)).numpy()
    if not np.isfinite(size).all():
        raise ValueError("linear_regression: the values are too large for their squares in float64")
    scale = tensor(np.where(size == 0, 1.0, size))
    scaled = ops.div(x, scale)
    gram = ops.add(covariance(scaled), ops.mul(np.eye(len(size)), ops.div(penalty, ops.square(scale))))
    values, vectors = symmetric_eigen(gram)
    if values.numpy()[-1] <= ops.mul(values[0], len(scale) * 2.0**-50).item():
        raise ValueError("linear_regression: the columns of X are linearly dependent; remove some, or set l2 above 0")
    moments = ops.div(ops.matmul(ops.transpose(scaled), target), float(len(x)))
    coefficients = ops.div(ops.matmul(vectors, moments), ops.reshape(values, (-1, 1)))
    return ops.div(ops.matmul(ops.transpose(vectors), coefficients), ops.reshape(scale, (-1, 1)))

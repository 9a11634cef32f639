"""Matrix product and linear layer: every output element is one chain of fma over k, ascending from +0."""

import numpy as np

from . import reduce
from .bits import Array
from .fma import fma


def matmul(a: Array, b: Array) -> Array:
    """``c[i,j] = fma(a[i,k], b[k,j], c[i,j])`` for k ascending, c = +0; leading axes broadcast, 1-d as in NumPy."""
    a, b = np.asarray(a), np.asarray(b)
    if b.ndim == 1:
        return matmul(a, b[:, None])[..., 0]
    if a.ndim == 1:
        return matmul(a[None, :], b)[..., 0, :]
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"matmul: a has shape {a.shape}, b {b.shape}; expected (..., m, k) and (..., k, n)")
    leading = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    c = np.zeros((*leading, a.shape[-2], b.shape[-1]), a.dtype)
    for k in range(a.shape[-1]):
        c = fma(a[..., :, k, None], b[..., k, None, :], c)
    return c


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """``x @ weight + bias``: the bias is added after the chain."""
    y = matmul(x, weight)
    with np.errstate(all="ignore"):
        return y if bias is None else np.asarray(y + bias)


def linear_grad(x: Array, weight: Array, g: Array) -> tuple[Array, Array, Array]:
    """Gradients of `linear` for x, weight and bias: ``g @ W^T``, ``x^T @ g`` and the column sums of g over all rows."""
    rows, g_rows = x.reshape(-1, x.shape[-1]), g.reshape(-1, g.shape[-1])
    return matmul(g, weight.T), matmul(rows.T, g_rows), reduce.sum(g_rows, axis=0)

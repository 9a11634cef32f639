"""Bilinear forms of two inputs."""

from __future__ import annotations

from typing import Any

from .._tensor import Tensor
from ._arithmetic import _float_dtype, add, mul
from ._matmul import matmul
from ._operands import pair
from ._reduce import sum as total
from ._shape import reshape, transpose

__all__ = ["bilinear"]


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Tensor:
    """y[..., o] = sum over (i, j) of input1[..., i] * weight[o, i, j] * input2[..., j] + bias[o].

    A product with input1, one chain over i ascending for each (o, j); times input2, the lane sum over j; then the bias.

    Arguments: `input1` (..., in1), `input2` (..., in2), `weight` (out, in1, in2), `bias` (out,) or None; all of one
    float dtype.
    Returns: a tensor (..., out). Errors: ValueError showing the shapes, TypeError for dtypes.

    >>> import chainrule as cr
    >>> cr.nn.functional.bilinear([[1.0, 2.0]], [[3.0]], [[[1.0], [10.0]]]).tolist()
    [[63.0]]
    """
    (a, w), (b, _) = pair(input1, weight), pair(input2, weight)
    _float_dtype("bilinear", [a, b, w])
    shapes = f"(input1: {a.shape}, input2: {b.shape}, weight: {w.shape})"
    if w.ndim != 3 or not a.ndim or not b.ndim or a.shape[:-1] != b.shape[:-1]:
        raise ValueError(f"bilinear: expected (..., in1), (..., in2) and a weight (out, in1, in2) {shapes}")
    out, in1, in2 = w.shape
    if (a.shape[-1], b.shape[-1]) != (in1, in2):
        raise ValueError(f"bilinear: weight expects {in1} and {in2} features {shapes}")
    products = matmul(reshape(a, (-1, in1)) if a.size else reshape(a, (a.size // max(in1, 1), in1)), _by_input(w))
    products = reshape(products, (*a.shape[:-1], out, in2))
    y = total(mul(products, reshape(b, (*b.shape[:-1], 1, in2))), -1)
    if bias is None:
        return y
    _, offset = pair(w, bias)
    _float_dtype("bilinear", [w, offset])
    if offset.shape != (out,):
        raise ValueError(f"bilinear: bias must have shape ({out},), got {offset.shape} {shapes}")
    return add(y, offset)


def _by_input(weight: Tensor) -> Tensor:
    """(in1, out * in2)."""
    out, in1, in2 = weight.shape
    return reshape(transpose(weight, (1, 0, 2)), (in1, out * in2))

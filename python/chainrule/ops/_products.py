"""Products of tensors that are one matrix product: NumPy's names and meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._ir.shapes import product
from .._tensor import Tensor
from .._util.exports import own_names
from ._arithmetic import mul
from ._matmul import matmul, product_dtype
from ._operands import pair
from ._shape import reshape, transpose
from ._strides import axes_of


def tensordot(a: Any, b: Any, axes: int | Sequence[int | Sequence[int]] = 2) -> Tensor:
    """Sum of products over pairs of axes, as one matrix product.

    Arguments: `a` and `b`, of dtypes as for `cr.matmul`; `axes`, how many last axes of a and first axes of b, or (axes
    of a, axes of b).
    Returns: a tensor with the other axes of a, then those of b.
    Errors: ValueError for axes that do not exist, repeat, or have different lengths.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.tensordot(np.ones((2, 3, 4)), np.ones((4, 3, 5)), axes=([1, 2], [1, 0])).shape
    (2, 5)
    """
    x, y = _operands("tensordot", a, b)
    if isinstance(axes, (int, np.integer)):
        count = int(axes)
        if not 0 <= count <= min(x.ndim, y.ndim):
            raise ValueError(f"tensordot: axes={axes} for tensors of {x.ndim} and {y.ndim} axes")
        of_x, of_y = list(range(x.ndim - count, x.ndim)), list(range(count))
    else:
        of_x, of_y = (_axes(part, t.ndim) for part, t in zip(axes, (x, y), strict=True))
    if [x.shape[i] for i in of_x] != [y.shape[i] for i in of_y]:
        raise ValueError(f"tensordot: the axes {axes} of {x.shape} and {y.shape} have different lengths")
    left = [i for i in range(x.ndim) if i not in of_x]
    right = [i for i in range(y.ndim) if i not in of_y]
    shape = (*(x.shape[i] for i in left), *(y.shape[i] for i in right))
    n = product([x.shape[i] for i in of_x])
    rows = reshape(transpose(x, [*left, *of_x]), (product([x.shape[i] for i in left]), n))
    columns = reshape(transpose(y, [*of_y, *right]), (n, product([y.shape[i] for i in right])))
    return reshape(matmul(rows, columns), shape)


def _operands(name: str, a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Two tensors whose products have a dtype; TypeError for others."""
    operands = pair(a, b)
    product_dtype(name, operands)
    return operands


def _axes(given: int | Sequence[int], ndim: int) -> list[int]:
    """Non-negative axes in the given order."""
    axes = [given] if isinstance(given, (int, np.integer)) else list(given)
    axes_of("tensordot", axes, ndim)
    return [int(i) % ndim for i in axes]


def inner(a: Any, b: Any) -> Tensor:
    """Sum of products over the last axes; the product, if one has no axes.

    Errors: ValueError for last axes of different lengths.

    >>> import chainrule as cr
    >>> cr.inner([1.0, 2.0], [3.0, 4.0]).item()
    11.0
    """
    x, y = _operands("inner", a, b)
    return mul(x, y) if x.ndim == 0 or y.ndim == 0 else tensordot(x, y, (-1, -1))


def dot(a: Any, b: Any) -> Tensor:
    """Product as `numpy.dot`: the matrix product, and over the second last axis of `b` where that has more than two.

    Errors: ValueError for lengths that differ.

    >>> import chainrule as cr
    >>> cr.dot([1.0, 2.0], [3.0, 4.0]).item()
    11.0
    """
    x, y = _operands("dot", a, b)
    if x.ndim == 0 or y.ndim == 0:
        return mul(x, y)
    return matmul(x, y) if y.ndim <= 2 else tensordot(x, y, (-1, -2))


def outer(a: Any, b: Any) -> Tensor:
    """All products of an element of `a` and one of `b`, both flattened.

    >>> import chainrule as cr
    >>> cr.outer([1.0, 2.0], [3.0, 4.0]).tolist()
    [[3.0, 4.0], [6.0, 8.0]]
    """
    x, y = _operands("outer", a, b)
    return mul(reshape(x, (-1, 1)), reshape(y, (1, -1)))


if not TYPE_CHECKING:
    __all__ = own_names(globals())

"""`prelu` with the arguments of `torch.nn.functional`: slopes of channels."""

from __future__ import annotations

from typing import Any

from .._tensor import Tensor
from ._activations import prelu as broadcast_prelu
from ._operands import pair
from ._shape import reshape

__all__ = ["prelu"]


def prelu(x: Any, weight: Any) -> Tensor:
    """Parametric rectified linear unit, max(0, x) + weight * min(0, x), as `torch.nn.functional.prelu`.

    Arguments: `x`, a float tensor; `weight`, of its dtype: one slope, or one for each feature or channel, axis 1 of x
    (axis 0 of a vector). `cr.prelu` broadcasts the weight instead.
    Errors: as `cr.prelu`'s; ValueError for another number of slopes.

    >>> import chainrule.nn.functional as F
    >>> F.prelu([[[-1.0, 2.0], [-4.0, -4.0]]], [0.5, 0.25]).tolist()
    [[[-0.5, 2.0], [-1.0, -1.0]]]
    """
    source, slopes = pair(x, weight)
    if slopes.size == 1:
        return broadcast_prelu(source, reshape(slopes, ()))
    channels = source.shape[min(source.ndim, 2) - 1] if source.ndim else 1
    if slopes.shape != (channels,):
        raise ValueError(f"prelu: weight must have shape (1,) or ({channels},), got {slopes.shape} (x: {source.shape})")
    return broadcast_prelu(source, reshape(slopes, (channels, *[1] * (source.ndim - 2))))

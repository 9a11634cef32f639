"""Methods of tensors that are ops with the tensor as their first argument, under the op's name.

`_tensor.py` assigns them in its last lines, where the ops exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .array_protocol import ArrayProtocol

if TYPE_CHECKING:
    from .. import ops

__all__ = ["OpMethods", "assign_ops"]

NAMES = (
    "amax",
    "amin",
    "argmin",
    "argsort",
    "chunk",
    "corrcoef",
    "cov",
    "cumprod",
    "cumsum",
    "diag",
    "gather",
    "logsumexp",
    "masked_fill",
    "masked_select",
    "median",
    "norm",
    "prod",
    "quantile",
    "roll",
    "scatter",
    "scatter_add",
    "sort",
    "std",
    "take_along_axis",
    "tile",
    "topk",
    "trace",
    "unbind",
    "var",
)


class OpMethods(ArrayProtocol):
    """Base of Tensor: the methods that are ops."""

    __slots__ = ()

    if TYPE_CHECKING:
        amax = ops.amax
        amin = ops.amin
        argmin = ops.argmin
        argsort = ops.argsort
        chunk = ops.chunk
        corrcoef = ops.corrcoef
        cov = ops.cov
        cumprod = ops.cumprod
        cumsum = ops.cumsum
        diag = ops.diag
        gather = ops.gather
        logsumexp = ops.logsumexp
        masked_fill = ops.masked_fill
        masked_select = ops.masked_select
        median = ops.median
        norm = ops.norm
        prod = ops.prod
        quantile = ops.quantile
        roll = ops.roll
        scatter = ops.scatter
        scatter_add = ops.scatter_add
        sort = ops.sort
        std = ops.std
        take_along_axis = ops.take_along_axis
        tile = ops.tile
        topk = ops.topk
        trace = ops.trace
        unbind = ops.unbind
        var = ops.var


def assign_ops(functions: Any) -> None:
    """Make the ops methods."""
    for name in NAMES:
        setattr(OpMethods, name, getattr(functions, name))

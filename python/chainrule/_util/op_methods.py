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
    "acos",
    "acosh",
    "amax",
    "amin",
    "argmin",
    "argsort",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "chunk",
    "corrcoef",
    "cosh",
    "cov",
    "cumprod",
    "cumsum",
    "diag",
    "digamma",
    "erf",
    "erfc",
    "erfinv",
    "exp2",
    "expm1",
    "gather",
    "hypot",
    "lgamma",
    "log10",
    "log1p",
    "log2",
    "logaddexp",
    "logsumexp",
    "masked_fill",
    "masked_select",
    "median",
    "norm",
    "pow",
    "prod",
    "quantile",
    "reciprocal",
    "roll",
    "rsqrt",
    "scatter",
    "scatter_add",
    "sinh",
    "sort",
    "std",
    "take_along_axis",
    "tan",
    "tile",
    "topk",
    "trace",
    "unbind",
    "var",
    "xlogy",
)


class OpMethods(ArrayProtocol):
    """Base of Tensor: the methods that are ops."""

    __slots__ = ()

    if TYPE_CHECKING:
        acos = ops.acos
        acosh = ops.acosh
        amax = ops.amax
        amin = ops.amin
        argmin = ops.argmin
        argsort = ops.argsort
        asin = ops.asin
        asinh = ops.asinh
        atan = ops.atan
        atan2 = ops.atan2
        atanh = ops.atanh
        cbrt = ops.cbrt
        chunk = ops.chunk
        corrcoef = ops.corrcoef
        cosh = ops.cosh
        cov = ops.cov
        cumprod = ops.cumprod
        cumsum = ops.cumsum
        diag = ops.diag
        digamma = ops.digamma
        erf = ops.erf
        erfc = ops.erfc
        erfinv = ops.erfinv
        exp2 = ops.exp2
        expm1 = ops.expm1
        gather = ops.gather
        hypot = ops.hypot
        lgamma = ops.lgamma
        log10 = ops.log10
        log1p = ops.log1p
        log2 = ops.log2
        logaddexp = ops.logaddexp
        logsumexp = ops.logsumexp
        masked_fill = ops.masked_fill
        masked_select = ops.masked_select
        median = ops.median
        norm = ops.norm
        pow = ops.pow
        prod = ops.prod
        quantile = ops.quantile
        reciprocal = ops.reciprocal
        roll = ops.roll
        rsqrt = ops.rsqrt
        scatter = ops.scatter
        scatter_add = ops.scatter_add
        sinh = ops.sinh
        sort = ops.sort
        std = ops.std
        take_along_axis = ops.take_along_axis
        tan = ops.tan
        tile = ops.tile
        topk = ops.topk
        trace = ops.trace
        unbind = ops.unbind
        var = ops.var
        xlogy = ops.xlogy


def assign_ops(functions: Any) -> None:
    """Make the ops methods."""
    for name in NAMES:
        setattr(OpMethods, name, getattr(functions, name))

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
    "absolute",
    "acos",
    "acosh",
    "add",
    "addcdiv",
    "addcmul",
    "addmm",
    "addmv",
    "all",
    "amax",
    "amin",
    "any",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "argmin",
    "argsort",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "baddbmm",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "bmm",
    "cbrt",
    "ceil",
    "chunk",
    "copysign",
    "corrcoef",
    "cosh",
    "count_nonzero",
    "cov",
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "deg2rad",
    "diag",
    "diff",
    "digamma",
    "div",
    "divide",
    "eq",
    "erf",
    "erfc",
    "erfinv",
    "exp2",
    "expm1",
    "fliplr",
    "flipud",
    "floor",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "frac",
    "gather",
    "ge",
    "greater",
    "greater_equal",
    "gt",
    "heaviside",
    "hypot",
    "index_add",
    "index_select",
    "inner",
    "isclose",
    "isfinite",
    "isin",
    "isinf",
    "isnan",
    "kron",
    "le",
    "lerp",
    "less",
    "less_equal",
    "lgamma",
    "log10",
    "log1p",
    "log2",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logit",
    "logsumexp",
    "lt",
    "masked_fill",
    "masked_select",
    "maximum",
    "median",
    "minimum",
    "mm",
    "movedim",
    "mul",
    "multiply",
    "mv",
    "nan_to_num",
    "narrow",
    "ne",
    "neg",
    "negative",
    "norm",
    "not_equal",
    "outer",
    "pow",
    "prod",
    "quantile",
    "rad2deg",
    "reciprocal",
    "remainder",
    "roll",
    "rot90",
    "round",
    "rsqrt",
    "scatter",
    "scatter_add",
    "select",
    "sign",
    "sinc",
    "sinh",
    "sort",
    "split",
    "std",
    "sub",
    "subtract",
    "swapdims",
    "take_along_axis",
    "tan",
    "tile",
    "topk",
    "trace",
    "true_divide",
    "trunc",
    "unbind",
    "var",
    "xlogy",
)


class OpMethods(ArrayProtocol):
    """Base of Tensor: the methods that are ops."""

    __slots__ = ()

    if TYPE_CHECKING:
        absolute = ops.absolute
        acos = ops.acos
        acosh = ops.acosh
        add = ops.add
        addcdiv = ops.addcdiv
        addcmul = ops.addcmul
        addmm = ops.addmm
        addmv = ops.addmv
        all = ops.all
        amax = ops.amax
        amin = ops.amin
        any = ops.any
        arccos = ops.arccos
        arccosh = ops.arccosh
        arcsin = ops.arcsin
        arcsinh = ops.arcsinh
        arctan = ops.arctan
        arctan2 = ops.arctan2
        arctanh = ops.arctanh
        argmin = ops.argmin
        argsort = ops.argsort
        asin = ops.asin
        asinh = ops.asinh
        atan = ops.atan
        atan2 = ops.atan2
        atanh = ops.atanh
        baddbmm = ops.baddbmm
        bitwise_and = ops.bitwise_and
        bitwise_not = ops.bitwise_not
        bitwise_or = ops.bitwise_or
        bitwise_xor = ops.bitwise_xor
        bmm = ops.bmm
        cbrt = ops.cbrt
        ceil = ops.ceil
        chunk = ops.chunk
        copysign = ops.copysign
        corrcoef = ops.corrcoef
        cosh = ops.cosh
        count_nonzero = ops.count_nonzero
        cov = ops.cov
        cummax = ops.cummax
        cummin = ops.cummin
        cumprod = ops.cumprod
        cumsum = ops.cumsum
        deg2rad = ops.deg2rad
        diag = ops.diag
        diff = ops.diff
        digamma = ops.digamma
        div = ops.div
        divide = ops.divide
        eq = ops.eq
        erf = ops.erf
        erfc = ops.erfc
        erfinv = ops.erfinv
        exp2 = ops.exp2
        expm1 = ops.expm1
        fliplr = ops.fliplr
        flipud = ops.flipud
        floor = ops.floor
        floor_divide = ops.floor_divide
        fmax = ops.fmax
        fmin = ops.fmin
        fmod = ops.fmod
        frac = ops.frac
        gather = ops.gather
        ge = ops.ge
        greater = ops.greater
        greater_equal = ops.greater_equal
        gt = ops.gt
        heaviside = ops.heaviside
        hypot = ops.hypot
        index_add = ops.index_add
        index_select = ops.index_select
        inner = ops.inner
        isclose = ops.isclose
        isfinite = ops.isfinite
        isin = ops.isin
        isinf = ops.isinf
        isnan = ops.isnan
        kron = ops.kron
        le = ops.le
        lerp = ops.lerp
        less = ops.less
        less_equal = ops.less_equal
        lgamma = ops.lgamma
        log10 = ops.log10
        log1p = ops.log1p
        log2 = ops.log2
        logaddexp = ops.logaddexp
        logical_and = ops.logical_and
        logical_not = ops.logical_not
        logical_or = ops.logical_or
        logical_xor = ops.logical_xor
        logit = ops.logit
        logsumexp = ops.logsumexp
        lt = ops.lt
        masked_fill = ops.masked_fill
        masked_select = ops.masked_select
        maximum = ops.maximum
        median = ops.median
        minimum = ops.minimum
        mm = ops.mm
        movedim = ops.movedim
        mul = ops.mul
        multiply = ops.multiply
        mv = ops.mv
        nan_to_num = ops.nan_to_num
        narrow = ops.narrow
        ne = ops.ne
        neg = ops.neg
        negative = ops.negative
        norm = ops.norm
        not_equal = ops.not_equal
        outer = ops.outer
        pow = ops.pow
        prod = ops.prod
        quantile = ops.quantile
        rad2deg = ops.rad2deg
        reciprocal = ops.reciprocal
        remainder = ops.remainder
        roll = ops.roll
        rot90 = ops.rot90
        round = ops.round
        rsqrt = ops.rsqrt
        scatter = ops.scatter
        scatter_add = ops.scatter_add
        select = ops.select
        sign = ops.sign
        sinc = ops.sinc
        sinh = ops.sinh
        sort = ops.sort
        split = ops.split
        std = ops.std
        sub = ops.sub
        subtract = ops.subtract
        swapdims = ops.swapdims
        take_along_axis = ops.take_along_axis
        tan = ops.tan
        tile = ops.tile
        topk = ops.topk
        trace = ops.trace
        true_divide = ops.true_divide
        trunc = ops.trunc
        unbind = ops.unbind
        var = ops.var
        xlogy = ops.xlogy


def assign_ops(functions: Any) -> None:
    """Make the ops methods."""
    for name in NAMES:
        setattr(OpMethods, name, getattr(functions, name))

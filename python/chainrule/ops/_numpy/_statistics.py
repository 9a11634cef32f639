"""NumPy's statistics, sums along axes, sorting and padding as ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._tensor import Tensor
from .._along import take_along_axis
from .._arithmetic import div, sub
from .._combinations import diff, trapezoid
from .._cumulative import cumprod, cumsum, prod
from .._einsum import einsum
from .._norms import norm
from .._operands import own
from .._order import METHODS, argsort, median, quantile, sort
from .._pad import pad
from .._rearrange import diag, meshgrid, trace
from .._reduce import max, min
from .._spread import corrcoef, cov, std, var
from ._rows import FUNCTIONS, NoOpError, Row, adapts, check_default

__all__ = ["FUNCTIONS"]


@adapts("var", floats=True)
def _var(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: bool = False
) -> Tensor:
    check_default(dtype=(dtype, None), out=(out, None))
    return var(a, axis, ddof, keepdims)


@adapts("std", floats=True)
def _std(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: bool = False
) -> Tensor:
    check_default(dtype=(dtype, None), out=(out, None))
    return std(a, axis, ddof, keepdims)


@adapts("prod")
def _prod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Tensor:
    check_default(dtype=(dtype, None), out=(out, None))
    return prod(a, axis, keepdims)


@adapts("cumsum", floats=True)
def _cumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Tensor:
    check_default(dtype=(dtype, None), out=(out, None))
    return cumsum(a, axis)


@adapts("cumprod", floats=True)
def _cumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Tensor:
    check_default(dtype=(dtype, None), out=(out, None))
    return cumprod(a, axis)


@adapts("diff")
def _diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Tensor:
    if own(a).dtype == np.bool_:
        raise NoOpError("its op takes no bool")
    return diff(a, n, axis, prepend, append)


@adapts("trapezoid", "trapz", floats=True)
def _trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Tensor:
    return trapezoid(y, x, dx, axis)


@adapts("ptp", floats=True)
def _ptp(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Tensor:
    check_default(out=(out, None))
    return sub(max(a, axis, keepdims), min(a, axis, keepdims))


@adapts("median", floats=True)
def _median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Tensor:
    check_default(out=(out, None))
    return median(a, axis, keepdims)


@adapts("quantile", floats=True)
def _quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Tensor:
    check_default(out=(out, None))
    if method not in METHODS:
        raise NoOpError(f"its op has no method={method!r}")
    return quantile(a, q, axis, keepdims, method)


@adapts("percentile", floats=True)
def _percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
) -> Tensor:
    return _quantile(a, div(np.asarray(q, np.float64), 100.0).numpy(), axis, out, overwrite_input, method, keepdims)


@adapts("sort", floats=True)
def _sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, stable: Any = None) -> Tensor:
    check_default(order=(order, None))
    return sort(a, axis)


@adapts("argsort", floats=True)
def _argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, stable: Any = None) -> Tensor:
    check_default(order=(order, None))
    return argsort(a, axis)


adapts("take_along_axis")(lambda arr, indices, axis=-1: take_along_axis(arr, indices, axis))


@adapts("pad")
def _pad(array: Any, pad_width: Any, mode: Any = "constant", constant_values: Any = 0) -> Tensor:
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap") or isinstance(pad_width, dict):
        raise NoOpError(f"its op has no mode={mode!r}")
    return pad(array, pad_width, mode, constant_values)


@adapts("einsum", floats=True)
def _einsum(*operands: Any, optimize: Any = False, out: Any = None) -> Tensor:
    check_default(out=(out, None))
    return einsum(*operands, optimize=optimize)


@adapts("trace", floats=True)
def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Tensor:
    check_default(dtype=(dtype, None), out=(out, None))
    return trace(a, offset, axis1, axis2)


adapts("diag", floats=True)(lambda v, k=0: diag(v, k))


@adapts("meshgrid")
def _meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Tensor, ...]:
    check_default(sparse=(sparse, False))
    return meshgrid(*xi, indexing=indexing)


@adapts("cov", floats=True)
def _cov(m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None) -> Tensor:
    check_default(y=(y, None))
    return cov(m, rowvar, bias, ddof)


@adapts("corrcoef", floats=True)
def _corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Tensor:
    check_default(y=(y, None))
    return corrcoef(x, rowvar)


def _matrix_norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """`numpy.linalg.norm`: of two axes and an `ord`, a norm of matrices."""
    axes = (own(x).ndim if ord is not None else 1) if axis is None else 1 if not isinstance(axis, tuple) else len(axis)
    if axes != 1 and ord not in (None, "fro"):
        raise NoOpError(f"its op has no matrix norm of ord={ord!r}")
    return norm(x, ord, axis, keepdims)


FUNCTIONS[np.linalg.norm] = Row(_matrix_norm)

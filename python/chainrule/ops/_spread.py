"""Statistics over axes: variance, standard deviation, logsumexp, covariance, correlation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._ir.shapes import product
from .._tensor import Tensor
from .._util.exports import own_names
from . import _index
from ._activations import clip
from ._arithmetic import _float_dtype, div, square, sub
from ._index import as_rows
from ._math import sqrt
from ._matmul import matmul
from ._names import Dim, by_dim
from ._norms import root
from ._op import Shape
from ._operands import one
from ._order import _kept
from ._reduce import argmax, mean, sum
from ._shape import reshape, transpose
from ._softmax import log_softmax
from ._strides import axes_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

Axis = int | Sequence[int] | None


def _without(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> list[int]:
    return _kept([n for i, n in enumerate(shape) if i not in axes], axes, keepdims)


def var(
    x: Any,
    axis: Axis = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    correction: float | None = None,
    unbiased: bool | None = None,
    **names: Unpack[Dim],
) -> Tensor:
    """Variance over axes, sum((x - mean(x))**2) / (n - ddof), in two passes.

    By default the divisor is n, as in NumPy; PyTorch's default is n - 1: write `ddof=1`, or PyTorch's `correction=1` or
    `unbiased=True`.

    Arguments: `x`, `axis` and `keepdims` as `cr.sum`; `ddof`, `correction` or `unbiased`, what is subtracted from n;
    `dim` and `keepdim` are other names, with which the divisor must be given.
    Returns: a tensor; NaN or infinite where n - ddof is 0 or less, as in NumPy.
    Errors: TypeError for more than one of ddof, correction and unbiased, and for `dim` without one of them.

    >>> import chainrule as cr
    >>> cr.var([1.0, 2.0, 3.0, 6.0]).item(), cr.var([1.0, 2.0, 3.0, 6.0], ddof=1).item()
    (3.5, 4.666666507720947)
    """
    if names:
        axis, keepdims = _with_divisor("var", names, axis, keepdims, (ddof or None, correction, unbiased))
    return _variance("var", x, axis, _subtracted("var", ddof, correction, unbiased), keepdims)


def std(
    x: Any,
    axis: Axis = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    correction: float | None = None,
    unbiased: bool | None = None,
    **names: Unpack[Dim],
) -> Tensor:
    """Standard deviation over axes, the square root of the variance; its gradient is 0 where all elements are equal.

    Arguments, the divisor, returns and errors as `cr.var`.

    >>> import chainrule as cr
    >>> cr.std([1.0, 3.0]).item()
    1.0
    """
    if names:
        axis, keepdims = _with_divisor("std", names, axis, keepdims, (ddof or None, correction, unbiased))
    return root(_variance("std", x, axis, _subtracted("std", ddof, correction, unbiased), keepdims))


def var_mean(
    x: Any,
    axis: Axis = None,
    correction: float | None = None,
    keepdims: bool = False,
    *,
    unbiased: bool | None = None,
    **names: Unpack[Dim],
) -> tuple[Tensor, Tensor]:
    """Variance and mean over axes, as `torch.var_mean`: the divisor is n - 1 by default.

    Arguments: `x`, `axis` and `keepdims`, also named `dim` and `keepdim`, as `cr.sum`; `correction`, what is subtracted
    from n, or `unbiased`, True for 1 and False for 0.

    >>> import chainrule as cr
    >>> [t.item() for t in cr.var_mean([1.0, 3.0])]
    [2.0, 2.0]
    """
    axis, keepdims = by_dim("var_mean", names, axis, keepdims)
    if correction is None and unbiased is None:
        correction = 1
    variance = _variance("var_mean", x, axis, _subtracted("var_mean", 0, correction, unbiased), keepdims)
    return variance, mean(x, axis, keepdims)


def std_mean(
    x: Any,
    axis: Axis = None,
    correction: float | None = None,
    keepdims: bool = False,
    *,
    unbiased: bool | None = None,
    **names: Unpack[Dim],
) -> tuple[Tensor, Tensor]:
    """Standard deviation and mean over axes, as `torch.std_mean`; arguments as `cr.var_mean`.

    >>> import chainrule as cr
    >>> [t.item() for t in cr.std_mean([1.0, 3.0], correction=0)]
    [1.0, 2.0]
    """
    variance, middle = var_mean(x, axis, correction, keepdims, unbiased=unbiased, **names)
    return root(variance), middle


def _with_divisor(name: str, names: Dim, axis: Axis, keepdims: bool, given: Sequence[Any]) -> tuple[Any, Any]:
    if all(value is None for value in given):
        raise TypeError(
            f"{name}: with dim, PyTorch divides by n - 1, NumPy by n; write correction=1 or correction=0, or axis="
        )
    return by_dim(name, names, axis, keepdims)


def _subtracted(name: str, ddof: float, correction: float | None, unbiased: bool | None) -> float:
    if (ddof != 0) + (correction is not None) + (unbiased is not None) > 1:
        raise TypeError(f"{name}: ddof, correction and unbiased are the same argument; give one of them")
    return (
        ddof if correction is None and unbiased is None else float(bool(unbiased)) if correction is None else correction
    )


def _variance(name: str, x: Any, axis: Axis, ddof: float, keepdims: bool) -> Tensor:
    source = one(x)
    _float_dtype(name, [source])
    axes = axes_of(name, axis, source.ndim)
    n = product([source.shape[i] for i in axes])
    squares = sum(square(sub(source, mean(source, axes, True))), axes, keepdims)
    return div(squares, np.maximum(n - ddof, 0))


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False, **names: Unpack[Dim]) -> Tensor:
    """log(sum of e**x) over axes, without overflow; its gradient is the softmax.

    Arguments and errors as `cr.sum`. Returns: a tensor; -inf for no elements.

    >>> import chainrule as cr
    >>> cr.logsumexp([1000.0, 1000.0]).item()
    1000.6931762695312
    """
    if names:
        axis, keepdims = by_dim("logsumexp", names, axis, keepdims)
    source = one(x)
    _float_dtype("logsumexp", [source])
    axes = axes_of("logsumexp", axis, source.ndim)
    shape = _without(source.shape, axes, keepdims)
    rows = as_rows(source, axes)
    if rows.shape[1] == 0:
        return reshape(sub(sum(rows, 1), np.inf), shape)
    # log_softmax is x - logsumexp: at the largest x it is computed exactly, log1p of the other terms.
    found = _index.gather(sub(rows, log_softmax(rows)), argmax(rows, 1))
    return reshape(found, shape)


# Covariance.


def cov(
    m: Any, rowvar: bool = True, bias: bool = False, ddof: float | None = None, *, correction: float | None = None
) -> Tensor:
    """Covariance matrix of variables, (m - mean) @ (m - mean).T / (n - ddof), as `numpy.cov` and `torch.cov`.

    Arguments: `m`, floats of shape (variables, observations), or (observations,) of one variable; `rowvar`, False if
    the columns are the variables; `ddof`, also named `correction`, 1 by default, with `bias` 0.
    Returns: a tensor of shape (variables, variables), of no axes for one variable.
    Errors: ValueError for more than two axes.

    >>> import chainrule as cr
    >>> cr.cov([[1.0, 2.0, 3.0], [6.0, 4.0, 2.0]]).tolist()
    [[1.0, -2.0], [-2.0, 4.0]]
    """
    found, _ = _covariance("cov", m, rowvar, _observed(bias, ddof, correction))
    return reshape(found, ()) if found.size == 1 else found


def _observed(bias: bool, ddof: float | None, correction: float | None) -> float:
    if ddof is not None and correction is not None:
        raise TypeError("cov: ddof and correction are the same argument, given twice")
    given = ddof if correction is None else correction
    return (0.0 if bias else 1.0) if given is None else given


def _covariance(name: str, m: Any, rowvar: bool, ddof: float) -> tuple[Tensor, int]:
    source = one(m)
    _float_dtype(name, [source])
    if source.ndim > 2:
        raise ValueError(f"{name}: expected at most two axes, got shape {source.shape}")
    rows = reshape(source, (1, -1)) if source.ndim < 2 else source if rowvar else transpose(source)
    centred = sub(rows, mean(rows, 1, True))
    n = rows.shape[1]
    return div(matmul(centred, transpose(centred)), np.maximum(n - ddof, 0)), n


def corrcoef(x: Any, rowvar: bool = True) -> Tensor:
    """Correlation coefficients of variables, their covariance over the standard deviations, as `numpy.corrcoef`.

    Arguments, returns and errors as `cr.cov`. NaN for a variable of equal values.

    >>> import chainrule as cr
    >>> cr.corrcoef([[1.0, 2.0, 3.0], [6.0, 4.0, 2.0]]).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    from ._rearrange import diagonal

    c, _ = _covariance("corrcoef", x, rowvar, 1.0)
    deviation = sqrt(diagonal(c))
    found = div(div(c, reshape(deviation, (-1, 1))), reshape(deviation, (1, -1)))
    limited = clip(found, -1.0, 1.0)
    return reshape(limited, ()) if limited.size == 1 else limited


if not TYPE_CHECKING:
    __all__ = own_names(globals())

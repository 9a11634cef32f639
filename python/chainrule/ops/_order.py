"""Sorted elements: sort, argsort, topk, median, quantile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from .._tensor import Tensor
from .._util.arrays import as_ndarray
from .._util.checks import check_integer
from .._util.exports import own_names
from . import _index
from ._arithmetic import _float_dtype, add, div, equal, less, mul, sub, where
from ._cast import astype
from ._getitem import getitem
from ._index import as_rows, from_rows
from ._names import Dim, Indexed, by_dim, pair_axis
from ._operands import one, own
from ._reduce import argmax
from ._shape import reshape, take, transpose
from ._strides import axes_of

if TYPE_CHECKING:
    from typing_extensions import Unpack


def _along(name: str, x: Any, axis: int | None) -> tuple[Tensor, int]:
    source = own(x)
    if axis is None:
        return reshape(source, -1), 0
    return source, axes_of(name, axis, source.ndim)[0]


def argsort(
    x: Any, axis: int | None = -1, descending: bool = False, stable: bool = True, **names: Unpack[Dim]
) -> Tensor:
    """The indices that sort the elements along an axis, as int64; equal elements keep their order.

    NaN is greater than all numbers: it comes last, first if descending. -0 equals +0.

    Arguments: `x`, any tensor; `axis`, also named `dim`; None: x is flattened; `descending`; `stable` has no effect,
    because the order always is.
    Errors: ValueError for an axis out of range.

    >>> import chainrule as cr
    >>> cr.argsort([3.0, 1.0, 2.0]).tolist()
    [1, 2, 0]
    """
    if names:
        axis, _ = by_dim("argsort", names, axis, default=-1)
    source, at = _along("argsort", x, axis)
    return from_rows(_index.order(as_rows(source, [at]), descending), source.shape, at)


@overload
def sort(x: Any, axis: int | None = -1, descending: bool = False, stable: bool = True) -> Tensor: ...
@overload
def sort(x: Any, *, dim: int, descending: bool = False, stable: bool = True) -> Indexed: ...
def sort(
    x: Any, axis: int | None = -1, descending: bool = False, stable: bool = True, **names: Unpack[Dim]
) -> Tensor | Indexed:
    """The elements in ascending order along an axis; arguments and order as `cr.argsort`.

    PyTorch's function of the same name returns values and indices: with `dim`, an integer, so does this one, in a named
    tuple; without it `cr.argsort` gives the indices.

    >>> import chainrule as cr
    >>> cr.sort([3.0, 1.0, 2.0]).tolist()
    [1.0, 2.0, 3.0]
    """
    dim = pair_axis("sort", names, axis, -1)
    if names:
        axis, _ = by_dim("sort", names, axis, default=-1)
    source, at = _along("sort", x, axis)
    rows = as_rows(source, [at])
    index = _index.order(rows, descending)
    values = from_rows(_index.gather(rows, index), source.shape, at)
    return values if dim is None else Indexed(values, from_rows(index, source.shape, at))


def topk(x: Any, k: int, axis: int = -1, largest: bool = True, sorted: bool = True, **names: Unpack[Dim]) -> Indexed:
    """The k largest elements along an axis, largest first, and their indices, as `torch.topk`.

    Of equal elements the first ones are taken. NaN is greater than all numbers.

    Arguments: `x`, any tensor; `k`, from 0 to the length of the axis; `axis`, also named `dim`; `largest`, False for
    the smallest; `sorted` has no effect, because they always are.
    Returns: a named tuple `(values, indices)`. Errors: ValueError for k or the axis out of range.

    >>> import chainrule as cr
    >>> [part.tolist() for part in cr.topk([3.0, 1.0, 2.0], 2)]
    [[3.0, 2.0], [0, 2]]
    """
    if names:
        axis, _ = by_dim("topk", names, axis, default=-1)
    source, at = _along("topk", x, axis)
    count = check_integer("topk: k", k, 0)
    if count > source.shape[at]:
        raise ValueError(
            f"topk: k = {k} is more than the {source.shape[at]} elements along axis {axis} of {source.shape}"
        )
    rows = as_rows(source, [at])
    index = getitem(_index.order(rows, largest), (slice(None), slice(count)))
    return Indexed(*(from_rows(part, source.shape, at) for part in (_index.gather(rows, index), index)))


def _sorted_rows(name: str, x: Any, axis: int | Sequence[int] | None) -> tuple[Tensor, tuple[int, ...], list[int]]:
    """Sorted rows of what is reduced, with zeros as +0; the axes, and the lengths of the others."""
    source = one(x)
    _float_dtype(name, [source])
    axes = axes_of(name, axis, source.ndim)
    rows = add(as_rows(source, axes), 0)
    if rows.shape[1] == 0:
        raise ValueError(f"{name}: expected at least one value, got shape {source.shape} along axis {axis}")
    others = [n for i, n in enumerate(source.shape) if i not in axes]
    return _index.gather(rows, _index.order(rows)), axes, others


def _or_nan(rows: Tensor, result: Tensor) -> Tensor:
    """The result, but NaN for rows with a NaN, which is the last element."""
    last = getitem(rows, (slice(None), slice(-1, None)))
    return where(equal(last, last), result, last)


def _kept(shape: Sequence[int], axes: tuple[int, ...], keepdims: bool) -> list[int]:
    kept = list(shape)
    for i in axes if keepdims else ():
        kept.insert(i, 1)
    return kept


@overload
def median(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor: ...
@overload
def median(x: Any, *, dim: int, keepdim: bool = False) -> Indexed: ...
def median(
    x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False, **names: Unpack[Dim]
) -> Tensor | Indexed:
    """The middle of the sorted elements, of an even number (a + b) / 2 of the two in the middle, as `numpy.median`.

    `torch.median` returns the lower of the two in the middle, and its index: with `dim`, an integer, so does this one,
    in a named tuple.

    Arguments as `cr.sum`. Returns: a tensor; NaN where an element is NaN. The gradient goes to the middle ones.
    Errors: ValueError if there are no elements.

    >>> import chainrule as cr
    >>> cr.median([4.0, 1.0, 3.0, 2.5]).item()
    2.75
    """
    dim = pair_axis("median", names, axis)
    if names:
        axis, keepdims = by_dim("median", names, axis, keepdims)
    if dim is not None:
        return _lower_median(one(x), dim, keepdims)
    rows, axes, others = _sorted_rows("median", x, axis)
    n = rows.shape[1]
    low, high = (getitem(rows, (slice(None), slice(i, i + 1))) for i in ((n - 1) // 2, n // 2))
    return reshape(_or_nan(rows, low if n % 2 else div(add(low, high), 2)), _kept(others, axes, keepdims))


def _lower_median(x: Tensor, axis: int, keepdims: bool) -> Indexed:
    """The lower of the middle elements, or the first NaN, and its index."""
    _float_dtype("median", [x])
    (at,) = axes_of("median", axis, x.ndim)
    rows = as_rows(x, [at])
    if rows.shape[1] == 0:
        raise ValueError(f"median: expected at least one value, got shape {x.shape} along axis {axis}")
    middle = getitem(_index.order(rows), (slice(None), slice((rows.shape[1] - 1) // 2, (rows.shape[1] + 1) // 2)))
    first = argmax(rows, 1, True)  # of NaN, if there is one
    value = _index.gather(rows, first)
    index = where(equal(value, value), middle, first)
    kept = _kept([n for i, n in enumerate(x.shape) if i != at], (at,), keepdims)
    return Indexed(*(reshape(part, kept) for part in (_index.gather(rows, index), index)))


METHODS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda i: i,
    "lower": np.floor,
    "higher": np.ceil,
    "nearest": np.rint,
    "midpoint": lambda i: np.floor(i) + np.where(i == np.floor(i), 0.0, 0.5),
}


def quantile(
    x: Any,
    q: npt.ArrayLike,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
    method: str = "linear",
    **names: Unpack[Dim],
) -> Tensor:
    """Quantiles by interpolation between the sorted elements, as `numpy.quantile`.

    With n elements v and i = q * (n - 1), a = v[floor(i)], b the next element and t = i - floor(i):
    a + (b - a) * t where t < 1/2, else b - (b - a) * (1 - t). i and t are float64; t is rounded to the dtype of x.

    Arguments: `x`, a float tensor; `q`, a number or an array of numbers from 0 to 1, without gradient; `axis`, an
    integer, a tuple or None for all; `keepdims`; `method`, "linear", or the elements themselves: "lower", "higher",
    "nearest", or "midpoint" of the two; `dim` and `keepdim` are other names.
    Returns: a tensor of shape q.shape + the other axes of x; NaN where an element is NaN.
    Errors: ValueError for no elements, for q out of range, an axis that x does not have, another method.

    >>> import chainrule as cr
    >>> cr.quantile([4.0, 1.0, 3.0, 2.0], [0.25, 0.5]).tolist()
    [1.75, 2.5]
    """
    if names:
        axis, keepdims = by_dim("quantile", names, axis, keepdims)
    if method not in METHODS:
        raise ValueError(f"quantile: expected the method {', '.join(METHODS)}, got {method!r}")
    levels = np.asarray(as_ndarray(q, "quantile: q"), np.float64)
    if not ((levels >= 0) & (levels <= 1)).all():
        raise ValueError(f"quantile: q must be from 0 to 1, got {q!r}")
    rows, axes, others = _sorted_rows("quantile", x, axis)
    n = rows.shape[1]
    index = METHODS[method](mul(levels.reshape(-1), np.float64(n - 1)).numpy())
    below = np.floor(index)
    t = astype(sub(index, below), rows.dtype)
    at = below.astype(np.int64)
    a, b = take(rows, at, 1), take(rows, np.minimum(at + 1, n - 1), 1)
    gap = sub(b, a)
    found = where(less(t, 0.5), add(a, mul(gap, t)), sub(b, mul(gap, sub(1, t))))
    shape = (*levels.shape, *_kept(others, axes, keepdims))
    return reshape(transpose(_or_nan(rows, found)), shape)


if not TYPE_CHECKING:
    __all__ = own_names(globals())

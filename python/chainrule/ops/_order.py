"""Sorted elements: sort, argsort, topk, median, quantile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

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
from ._names import Dim, by_dim, no_pair
from ._operands import one, own
from ._shape import reshape, take, transpose
from ._strides import axes_of

if TYPE_CHECKING:
    from typing_extensions import Unpack


class TopK(NamedTuple):
    """The result of `topk`: values and their indices."""

    values: Tensor
    indices: Tensor


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


def sort(x: Any, axis: int | None = -1, descending: bool = False, stable: bool = True, **names: Unpack[Dim]) -> Tensor:
    """The elements in ascending order along an axis; arguments and order as `cr.argsort`.

    PyTorch's function of the same name returns values and indices; here `cr.argsort` gives the indices, and
    `cr.take_along_axis(x, indices, axis)` the values in their order.

    >>> import chainrule as cr
    >>> cr.sort([3.0, 1.0, 2.0]).tolist()
    [1.0, 2.0, 3.0]
    """
    no_pair("sort", names)
    source, at = _along("sort", x, axis)
    rows = as_rows(source, [at])
    return from_rows(_index.gather(rows, _index.order(rows, descending)), source.shape, at)


def topk(x: Any, k: int, axis: int = -1, largest: bool = True, sorted: bool = True, **names: Unpack[Dim]) -> TopK:
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
    return TopK(*(from_rows(part, source.shape, at) for part in (_index.gather(rows, index), index)))


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


def median(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False, **names: Unpack[Dim]) -> Tensor:
    """The middle of the sorted elements, of an even number (a + b) / 2 of the two in the middle, as `numpy.median`.

    `torch.median` returns the lower of the two in the middle, and with `dim` the indices as well.

    Arguments as `cr.sum`. Returns: a tensor; NaN where an element is NaN. The gradient goes to the middle ones.
    Errors: ValueError if there are no elements.

    >>> import chainrule as cr
    >>> cr.median([4.0, 1.0, 3.0, 2.5]).item()
    2.75
    """
    no_pair("median", names)
    rows, axes, others = _sorted_rows("median", x, axis)
    n = rows.shape[1]
    low, high = (getitem(rows, (slice(None), slice(i, i + 1))) for i in ((n - 1) // 2, n // 2))
    return reshape(_or_nan(rows, low if n % 2 else div(add(low, high), 2)), _kept(others, axes, keepdims))


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
    __all__ = [name for name in own_names(globals()) if name != "TopK"]

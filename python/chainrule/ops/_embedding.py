"""Rows of a table by category, alone and summed up in bags: the functions behind the embedding layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._ir.shapes import product
from .._tensor import Tensor
from .._util.arrays import as_ndarray
from .._util.checks import check_integer, check_number
from .._util.dtypes import FLOATS, INT64
from .._util.mode import grad_mode
from ._arithmetic import _float_dtype, abs, div, equal, greater, greater_equal, less, mul, not_equal, sub, where
from ._cast import astype
from ._math import exp, log, sqrt
from ._op import OPS, apply
from ._operands import one
from ._reduce import max as largest
from ._reduce import sum as total
from ._shape import broadcast_to, concatenate, index_tensor, reshape, take

__all__ = ["categories", "embedding", "embedding_bag", "norm_order", "padding_row", "row_scales"]

_TINY = 1e-7  # PyTorch's, added to a norm by which rows are divided


def embedding(
    input: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of a table that categories name, y = weight[input].

    The gradient of a row is the sum over the categories that name it, in their order.

    Arguments: `input`, integers from 0 to n - 1 of any shape, or floats without fractions; `weight` (n, size), float;
    `padding_idx`, a category whose row gets no gradient, or None (negative: from the end); `max_norm`, before the rows
    are read, those of a larger norm are scaled to it in place, without a record, so that `weight` must be a leaf;
    `norm_type`, the p of that norm; `scale_grad_by_freq`, whether the gradient of a row is divided by the number of
    categories that name it; `sparse` has no effect: the table decides, a `cr.nn.RowParameter` is updated by rows.
    Returns: a tensor (*input.shape, size).
    Errors: IndexError naming the position of a category out of range; ValueError for shapes, a category with a fraction
    or NaN, a padding_idx out of range; TypeError for dtypes.

    >>> import chainrule as cr
    >>> cr.nn.functional.embedding([2, 0], [[1.0], [2.0], [3.0]]).numpy()
    array([[3.],
           [1.]], dtype=float32)
    """
    table, index = _table("embedding", weight), categories("embedding", input)
    skipped = padding_row("embedding", padding_idx, table.shape[0])
    index = index_tensor("embedding", index, table.shape[0])
    if max_norm is not None:
        _limit_rows("embedding", table, index, max_norm, norm_type)
    rows = apply(OPS["take"], (table, index))
    if scale_grad_by_freq:
        rows = _by_frequency(rows, index, table.shape[0])
    if skipped is None:
        return rows
    padded = equal(astype(reshape(index, (*index.shape, 1)), np.float64), float(skipped))
    return where(padded, rows.detach(), rows)


def _by_frequency(rows: Tensor, index: Tensor, n: int) -> Tensor:
    """The rows (*index.shape, size), whose gradients are divided by how often the index names each."""
    if not index.size:
        return rows
    ones = one(np.ones((index.size, 1), rows.dtype))
    counts = apply(OPS["index_add"], (ones, reshape(index, -1)), (n,))
    shared = mul(rows, div(1.0, apply(OPS["take"], (counts, index))))
    nothing = sub(shared.detach(), shared)
    return sub(rows.detach(), where(equal(nothing, nothing), nothing, 0.0))  # x - +0 = x, also for -0


def embedding_bag(
    input: Any,
    weight: Any,
    offsets: Any = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sums, means or maxima of the rows of a table that the categories of a bag name.

    Arguments: `input`, categories as in `cr.nn.functional.embedding`: (bags, size of a bag), or (n,) with `offsets`
    (bags,), the ascending places at which bags begin, the first 0; `weight` (categories, size), float; `mode`, "sum",
    "mean" or "max"; `per_sample_weights`, factors of the rows, of the shape of the input, for sums only;
    `include_last_offset`, whether the last offset is the end of the last bag; `padding_idx`, a category that takes no
    part, also not in the number of a mean; `max_norm`, `norm_type`, `scale_grad_by_freq` and `sparse` as in
    `cr.nn.functional.embedding`.
    Returns: a tensor (bags, size); an empty bag is 0.
    Errors: as `cr.nn.functional.embedding`; ValueError for offsets that do not ascend from 0, and for weights in
    another mode.

    >>> import chainrule as cr
    >>> table = [[1.0], [2.0], [4.0]]
    >>> cr.nn.functional.embedding_bag([0, 1, 2], table, offsets=[0, 2], mode="sum").tolist()
    [[3.0], [4.0]]
    """
    name = "embedding_bag"
    table, given = _table(name, weight), categories(name, input)
    skipped = padding_row(name, padding_idx, table.shape[0])
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f'{name}: mode must be "sum", "mean" or "max", got {mode!r}')
    index = index_tensor(name, given, table.shape[0])
    if index.ndim not in (1, 2) or (index.ndim == 2) != (offsets is None):
        what = "no offsets" if offsets is None else "offsets"
        raise ValueError(f"{name}: input must be (bags, size), or (n,) with offsets, got {index.shape} and {what}")
    if max_norm is not None:
        _limit_rows(name, table, index, max_norm, norm_type)
    rows = apply(OPS["take"], (table, index))
    if scale_grad_by_freq:
        rows = _by_frequency(rows, index, table.shape[0])
    kept = None if skipped is None else not_equal(astype(index, np.float64), float(skipped))
    if per_sample_weights is not None:
        if mode != "sum":
            raise ValueError(f'{name}: per_sample_weights need mode "sum", got {mode!r}')
        factors = one(per_sample_weights)
        if factors.shape != index.shape:
            raise ValueError(f"{name}: per_sample_weights must have shape {index.shape}, got {factors.shape}")
        rows = mul(rows, reshape(astype(factors, table.dtype), (*index.shape, 1)))
    if offsets is None:
        return _bags_of_one_size(rows, kept, mode)
    starts = _starts(name, offsets, index.shape[0], include_last_offset)
    return _ragged_bags(rows, kept, mode, starts)


def _bags_of_one_size(rows: Tensor, kept: Tensor | None, mode: str) -> Tensor:
    """Of rows (bags, size of a bag, columns); `kept`: which categories take part."""
    bags, size, _ = rows.shape
    if size == 0:
        return total(rows, 1)
    if mode == "max":
        return _maxima(rows, kept)
    if kept is not None:
        rows = where(reshape(kept, (bags, size, 1)), rows, 0.0)
    sums = total(rows, 1)
    if mode == "sum":
        return sums
    counts: Any = float(size)
    if kept is not None:
        counts = largest_of_one(reshape(total(astype(kept, rows.dtype), 1), (bags, 1)))
    return div(sums, counts)


def largest_of_one(counts: Tensor) -> Tensor:
    """The counts, 1 in place of 0: an empty sum is 0, whatever it is divided by."""
    return where(greater(counts, 0.0), counts, 1.0)


def _maxima(rows: Tensor, kept: Tensor | None) -> Tensor:
    bags, size, _ = rows.shape
    if kept is None:
        return largest(rows, 1)
    found = largest(where(reshape(kept, (bags, size, 1)), rows, -np.inf), 1)
    some = greater(reshape(total(astype(kept, rows.dtype), 1), (bags, 1)), 0.0)
    return where(some, found, 0.0)


def _ragged_bags(rows: Tensor, kept: Tensor | None, mode: str, starts: Any) -> Tensor:
    """Of rows (n, columns); `starts`: where bags begin, an array or, in a compiled function, a tensor."""
    n, bags = rows.shape[0], starts.shape[0]
    if mode == "max":
        return _ragged_maxima(rows, kept, starts)
    if kept is not None:
        rows = where(reshape(kept, (n, 1)), rows, 0.0)
    if bags == 0:
        return total(reshape(rows, (1, *rows.shape))[:0], 1)
    bag = _bag_of_each(starts, n)
    sums = apply(OPS["index_add"], (rows, bag), (bags,))
    if mode == "sum":
        return sums
    ones = one(np.ones((n, 1), rows.dtype)) if kept is None else reshape(astype(kept, rows.dtype), (n, 1))
    return div(sums, largest_of_one(apply(OPS["index_add"], (ones, bag), (bags,))))


def _bag_of_each(starts: Any, n: int) -> Tensor:
    """The number of the bag of each of n places: the last one that begins there or before."""
    if not isinstance(starts, Tensor):
        return Tensor(np.searchsorted(starts, np.arange(n), side="right").astype(np.int64) - 1)
    begun = greater_equal(np.arange(n, dtype=np.float64)[:, None], astype(starts, np.float64))
    counts = total(astype(begun, np.float64), 1) - 1.0
    return apply(OPS["astype"], (counts,), (INT64.char,))


def _ragged_maxima(rows: Tensor, kept: Tensor | None, starts: Any) -> Tensor:
    n, bags = rows.shape[0], starts.shape[0]
    if n == 0 or bags == 0:
        return one(np.zeros((bags, rows.shape[1]), rows.dtype))
    known = not isinstance(starts, Tensor)
    ends = np.append(starts[1:], n) if known else None
    longest = int((ends - starts).max()) if ends is not None else n
    begin = astype(one(starts), np.float64)
    last = one(np.full(1, float(n)))
    end = astype(one(ends), np.float64) if ends is not None else _joined(begin[1:], last)
    places = reshape(begin, (bags, 1)) + np.arange(longest, dtype=np.float64)
    inside = less(places, reshape(end, (bags, 1)))
    at = apply(OPS["astype"], (where(inside, places, 0.0),), (INT64.char,))
    if kept is not None:
        inside = greater(mul(astype(inside, np.float64), take(astype(kept, np.float64), at)), 0.0)
    return _maxima(take(rows, at), inside)


def _joined(a: Tensor, b: Tensor) -> Tensor:
    return concatenate([a, b])


def _starts(name: str, offsets: Any, n: int, include_last: bool) -> Any:
    """Where bags begin, checked: an array, or a tensor while a function is traced."""

    def wrong(at: int, value: int) -> Exception:
        return ValueError(f"{name}: offsets must ascend from 0 to at most {n}, the number of categories")

    given = offsets if isinstance(offsets, Tensor) else Tensor(as_ndarray(offsets, f"{name}: offsets"))
    if given.ndim != 1 or given.dtype.kind != "i" or (include_last and given.shape[0] == 0):
        raise ValueError(f"{name}: offsets must be integers (bags,), got {given.dtype} {given.shape}")
    known = isinstance(given._data, np.ndarray)
    numbers = astype(given, np.float64)
    if given.shape[0]:
        first = one(np.zeros(1))
        before = _joined(first, numbers[:-1])
        bad = where(less(numbers, before), 1.0, where(greater(numbers, float(n)), 1.0, 0.0))
        begins = where(not_equal(numbers[:1], 0.0), 1.0, 0.0)
        grad_mode.executor.check_false(greater(_joined(bad, begins), 0.0), wrong)
    elif n:
        raise wrong(0, 0)
    if include_last:
        given = given[:-1]
    return given._data if known else given


def padding_row(name: str, padding_idx: Any, rows: int) -> int | None:
    """The row of the padding, counted from 0; ValueError for one that does not exist."""
    if padding_idx is None:
        return None
    index = check_integer(f"{name}: padding_idx", padding_idx)
    if not -rows <= index < rows:
        raise ValueError(f"{name}: padding_idx must be below {rows} in size, got {padding_idx}")
    return index % rows


def _table(name: str, weight: Any) -> Tensor:
    table = one(weight)
    _float_dtype(name, [table])
    if table.ndim != 2:
        raise ValueError(f"{name}: weight must be (categories, size), got shape {table.shape}")
    return table


def categories(name: str, x: Any) -> Any:
    """Integers unchanged, floats as integers, checked when they are known."""
    if not isinstance(x, Tensor):
        x = Tensor(as_ndarray(x, f"{name}: x"))
    if x.dtype not in FLOATS:
        return x
    values, shape = astype(x.detach(), np.float64), x.shape
    index = apply(OPS["astype"], (values,), (INT64.char,))

    def fraction(at: int, _: Any) -> Exception:
        position = tuple(int(i) for i in np.unravel_index(at, shape))
        return ValueError(f"{name}: x at position {position} is not a whole number")

    grad_mode.executor.check_false(not_equal(values, astype(index, np.float64)), fraction)
    return index


def norm_order(name: str, norm_type: Any) -> float:
    """The p of a norm: a number above 0, or infinity."""
    order = float(norm_type)
    return order if order == np.inf else check_number(f"{name}: norm_type", order, above=True)


def row_scales(name: str, rows: Tensor, max_norm: Any, norm_type: Any) -> Tensor:
    """For each row (..., size) the factor that limits its norm, with a last axis of length 1; no gradient."""
    limit = check_number(f"{name}: max_norm", max_norm)
    p = norm_order(name, norm_type)
    size = abs(rows.detach())
    if p == 2:
        norms = sqrt(total(mul(size, size), -1, True))
    elif p == 1:
        norms = total(size, -1, True)
    elif p == np.inf:
        norms = largest(size, -1, True)
    else:
        norms = exp(log(total(exp(log(size) * p), -1, True)) / p)
    return where(greater(norms, limit), div(limit, norms + _TINY), 1.0)


def _limit_rows(name: str, table: Tensor, index: Tensor, max_norm: Any, norm_type: Any) -> None:
    """Scale the rows that an index names to a norm of at most `max_norm`, in place."""
    ones = one(np.ones((product(index.shape), 1), table.dtype))
    if not ones.size:
        return
    named = apply(OPS["index_add"], (ones, reshape(index, -1)), (table.shape[0],))
    scales = where(greater(named, 0.0), row_scales(name, table, max_norm, norm_type), 1.0)
    table.copy_(mul(table.detach(), broadcast_to(scales, table.shape)))

"""`x[index]` and `x[index] = value` for every kind of index that NumPy has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._tensor import Tensor
from .._util.dtypes import BOOL, INT64, Array
from .._util.errors import CompileError
from .._util.exports import own_names
from .._util.mode import grad_mode
from ._index import gather, overlaid
from ._operands import one
from ._shape import broadcast_to, index_tensor, reshape, slice_of, take


def getitem(x: Any, index: Any) -> Tensor:
    """Implement `x[index]` as NumPy: integers, slices, None, Ellipsis, integer arrays and bool masks, also mixed.

    An element that is selected several times gets the sum of the gradients. A mask's shape is that of the axes that it
    stands for; tensors may stand for arrays.

    Errors: IndexError out of range and for a mask of another shape; TypeError for other kinds of index;
    `cr.CompileError` for a mask that is computed in a compiled function: the shape of the result would depend on values
    (`cr.where` keeps it).

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.tensor([1.0, 2.0, 3.0])[::-1].numpy()
    array([3., 2., 1.], dtype=float32)
    >>> x = cr.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> x[np.arange(3), [0, 1, 0]].tolist(), x[[True, False, True], 1].tolist()
    ([1.0, 4.0, 5.0], [2.0, 6.0])
    """
    source = one(x)
    parts: tuple[Any, ...] = tuple(list(part) if isinstance(part, range) else part for part in _parts(index))
    for part in parts:
        if not _is_basic(part) and not isinstance(part, (Tensor, np.ndarray, list, tuple)):
            raise TypeError(f"index: expected integers, slices, None, ..., integer arrays or masks, got {part!r}")
    if all(_is_basic(part) for part in parts):
        return slice_of(source, parts)
    arrays = [part if _is_basic(part) or isinstance(part, Tensor) else _array(part) for part in parts]
    if len(parts) == 1 and arrays[0].dtype != BOOL:
        return take(source, parts[0])
    if any(isinstance(part, Tensor) and not isinstance(part._data, np.ndarray) for part in arrays):
        return _of_traced(source, arrays)
    return _by_position(source, tuple(part._data if isinstance(part, Tensor) else part for part in arrays))


def _parts(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


def _is_basic(part: Any) -> bool:
    basic = part is None or part is Ellipsis or isinstance(part, (int, np.integer, slice))
    return basic and not isinstance(part, bool)


def _array(part: Any) -> Array:
    array = np.asarray(part)
    if array.dtype.kind not in "iub" and array.size:
        raise TypeError(f"index: expected integers or a mask, got {array.dtype}")
    return array.astype(INT64) if array.dtype.kind != "b" else array


def _by_position(source: Tensor, parts: tuple[Any, ...]) -> Tensor:
    """Take the elements at the positions that NumPy selects."""
    for part in parts:
        if isinstance(part, np.ndarray) and part.dtype not in (INT64, BOOL):
            raise TypeError(f"index: expected integers or a mask, got {part.dtype}")
    try:
        positions = np.arange(source.size).reshape(source.shape)[parts]
    except IndexError as error:
        raise IndexError(f"index: {error} (shape {source.shape})") from None
    return take(reshape(source, -1), positions)


def _of_traced(source: Tensor, parts: list[Any]) -> Tensor:
    """Indices that are known when a program runs: an axis by a tensor, or an element of each row."""
    if any(isinstance(part, Tensor) and part.dtype == BOOL for part in parts):
        raise CompileError(
            "index: a mask is computed in a compiled function, and the shape of the result would depend on its values; "
            "write cr.where(mask, x, 0)"
        )
    others = [part for part in parts if not isinstance(part, Tensor)]
    at = next(i for i, part in enumerate(parts) if isinstance(part, Tensor))
    if len(others) == len(parts) - 1 and all(isinstance(p, slice) and p == slice(None) for p in others):
        return take(source, parts[at], at)
    rows = np.arange(source.shape[0]) if source.ndim == 2 else None
    if at == 1 and len(parts) == 2 and rows is not None and np.array_equal(others[0], rows) and parts[1].ndim == 1:
        return gather(source, index_tensor("index", parts[1], source.shape[1]))
    raise CompileError(
        "index: in a compiled function an index that is a tensor selects along one axis, x[:, index], or one element "
        "of each row, x[np.arange(len(x)), index]"
    )


def _with_items(x: Tensor, index: Any, value: Any) -> Tensor:
    """x with `value`, which broadcasts, at every index that `x[index]` takes; the last of repeated indices counts."""
    places = getitem(Tensor._wrap(np.arange(x.size).reshape(x.shape)), index)
    found = grad_mode.executor.operand(x, value)
    new = found if isinstance(found, Tensor) else Tensor._wrap(np.asarray(found))
    while new.ndim > places.ndim and new.shape[0] == 1:
        new = reshape(new, new.shape[1:])
    if new.ndim > places.ndim or any(
        n not in (1, m) for n, m in zip(reversed(new.shape), reversed(places.shape), strict=False)
    ):
        raise ValueError(f"x[index] = value: expected a value that broadcasts to {places.shape}, got shape {new.shape}")
    rows = (reshape(t, (1, -1)) for t in (x, places, broadcast_to(new, places.shape)))
    return reshape(overlaid(*rows), x.shape)


if not TYPE_CHECKING:
    __all__ = own_names(globals())

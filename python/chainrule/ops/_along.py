"""Elements by index along an axis: NumPy's and PyTorch's functions, and selection by masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._tensor import Tensor
from .._util.arrays import as_ndarray
from .._util.checks import check_size
from .._util.dtypes import BOOL, CODES
from .._util.errors import CompileError
from .._util.exports import own_names
from . import _index
from ._arithmetic import _float_dtype, add, where
from ._getitem import getitem
from ._index import as_rows, from_rows, picked
from ._names import Dim, by_dim
from ._op import Shape
from ._operands import one, own, pair
from ._shape import broadcast_to, concatenate, index_tensor, reshape
from ._strides import axes_of, broadcast_shapes

if TYPE_CHECKING:
    from typing_extensions import Unpack


def _checked(name: str, x: Tensor, axis: int, indices: Any) -> tuple[int, Tensor]:
    (at,) = axes_of(name, axis, x.ndim)
    index = index_tensor(name, indices, x.shape[at])
    if index.ndim != x.ndim:
        raise ValueError(f"{name}: the indices {index.shape} must have as many axes as x {x.shape}")
    return at, index


def _matched(name: str, x: Tensor, axis: int, indices: Any) -> tuple[int, Tensor, Tensor]:
    """The axis, and x and the indices broadcast to each other along the other axes."""
    at, index = _checked(name, x, axis, indices)
    lengths = [t.shape[at] for t in (x, index)]
    apart = [(*t.shape[:at], 1, *t.shape[at + 1 :]) for t in (x, index)]
    common = broadcast_shapes(name, apart)
    whole, picks = ((*common[:at], n, *common[at + 1 :]) for n in lengths)
    return at, broadcast_to(x, whole), broadcast_to(index, picks)


def take_along_axis(x: Any, indices: Any, axis: int | None = -1, **names: Unpack[Dim]) -> Tensor:
    """Elements by index along an axis, out[i, j] = x[i, indices[i, j]] for the last of two, as `numpy.take_along_axis`.

    Arguments: `x`, any tensor; `indices`, integers, negative ones count from the end; their other axes broadcast with
    those of x; `axis`, also named `dim`; None: x is flattened.
    Returns: a tensor of the shape of the indices. An element that is taken several times gets the sum of the gradients.
    Errors: IndexError out of range, ValueError for other numbers of axes.

    >>> import chainrule as cr
    >>> cr.take_along_axis([[1.0, 2.0], [3.0, 4.0]], [[1], [0]], axis=1).tolist()
    [[2.0], [3.0]]
    """
    if names:
        axis, _ = by_dim("take_along_axis", names, axis, default=-1)
    source = own(x)
    if axis is None:
        source, axis = reshape(source, -1), 0
    at, whole, index = _matched("take_along_axis", source, axis, indices)
    return picked(whole, index, at)


def put_along_axis(x: Any, indices: Any, values: Any, axis: int = -1, **names: Unpack[Dim]) -> Tensor:
    """A copy of x with other elements along an axis, out[i, indices[i, j]] = values[i, j] for the last of two.

    Arguments: as `cr.take_along_axis`; `values`, which broadcast to the indices. NumPy's function changes x instead.
    Where an index repeats, the last one counts, and only that one's value gets a gradient.
    Returns: a tensor of x's shape. Errors: as `cr.take_along_axis`, TypeError for two dtypes.

    >>> import chainrule as cr
    >>> cr.put_along_axis([[1.0, 2.0], [3.0, 4.0]], [[1], [0]], 0.0, axis=1).tolist()
    [[1.0, 0.0], [0.0, 4.0]]
    """
    if names:
        axis, _ = by_dim("put_along_axis", names, axis, default=-1)
    source, new = _same_dtype("put_along_axis", x, values)
    at, whole, index = _matched("put_along_axis", source, axis, indices)
    return _laid_over(whole, index, broadcast_to(new, index.shape), at)


def _same_dtype(name: str, x: Any, values: Any) -> tuple[Tensor, Tensor]:
    source, new = pair(x, values)
    if source.dtype != new.dtype:
        raise TypeError(f"{name}: expected values of the dtype {source.dtype} of x, got {new.dtype}")
    return source, new


def _laid_over(x: Tensor, index: Tensor, values: Tensor, axis: int) -> Tensor:
    rows = (as_rows(t, [axis]) for t in (x, index, values))
    return from_rows(_index.overlaid(*rows), x.shape, axis)


# PyTorch's functions, whose indices may cover a part of the other axes only.


def gather(x: Any, axis: int | None = None, index: Any = None, **names: Unpack[Dim]) -> Tensor:
    """Elements by index along an axis, as `torch.gather`: out[i, j] = x[i, index[i, j]] for axis 1 of two.

    Arguments: `x`; `axis`, also named `dim`; `index`, integers of as many axes as x, along the others not longer.
    Returns: a tensor of the shape of `index`. Errors: as `cr.take_along_axis`.

    >>> import chainrule as cr
    >>> cr.gather([[1.0, 2.0], [3.0, 4.0]], 1, [[1], [0]]).tolist()
    [[2.0], [3.0]]
    """
    source = own(x)
    at, index = _partly("gather", source, axis, index, names)
    part = tuple(slice(None) if i == at else slice(n) for i, n in enumerate(index.shape))
    return picked(getitem(source, part), index, at)


def _partly(name: str, x: Tensor, axis: int | None, index: Any, names: Dim) -> tuple[int, Tensor]:
    given, _ = by_dim(name, names, axis)
    if given is None or index is None:
        raise TypeError(f"{name}: expected an axis and indices, {name}(x, axis, index)")
    at, checked = _checked(name, x, given, index)
    if any(n > m for i, (n, m) in enumerate(zip(checked.shape, x.shape, strict=True)) if i != at):
        raise ValueError(f"{name}: the indices {checked.shape} are longer than x {x.shape} outside axis {given}")
    return at, checked


def _source(name: str, x: Any, src: Any, index: Tensor) -> Tensor:
    """The elements of src that have an index."""
    if src.ndim == 0:
        return broadcast_to(src, index.shape)
    if src.ndim != index.ndim or any(n > m for n, m in zip(index.shape, src.shape, strict=True)):
        raise ValueError(f"{name}: the indices {index.shape} are longer than src {src.shape}")
    return getitem(src, tuple(slice(n) for n in index.shape))


def _within(x: Tensor, shape: Shape, axis: int, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Change the first elements of x along all other axes, as many as `shape` says; the rest stays."""
    for i, n in enumerate(shape):
        if i != axis and n < x.shape[i]:
            before = (slice(None),) * i
            first, rest = (getitem(x, (*before, part)) for part in (slice(n), slice(n, None)))
            return concatenate([_within(first, shape, axis, change), rest], i)
    return change(x)


def scatter(x: Any, axis: int | None = None, index: Any = None, src: Any = None, **names: Unpack[Dim]) -> Tensor:
    """A copy of x with elements of src at indices along an axis, as `torch.scatter`: out[i, index[i, j]] = src[i, j].

    Arguments: `x`; `axis`, also named `dim`; `index`, integers of as many axes; `src`, a tensor of at least the shape
    of `index`, or a number. Where an index repeats, the last one counts; PyTorch leaves that open.
    Returns: a tensor of x's shape. Errors: as `cr.gather`, TypeError for two dtypes.

    >>> import chainrule as cr
    >>> cr.scatter(cr.zeros(2, 3), 1, [[2], [0]], 1.0).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    source, new = _same_dtype("scatter", x, _given("scatter", src))
    at, index = _partly("scatter", source, axis, index, names)
    values = _source("scatter", source, new, index)
    return _within(source, index.shape, at, lambda part: _laid_over(part, index, values, at))


def scatter_add(x: Any, axis: int | None = None, index: Any = None, src: Any = None, **names: Unpack[Dim]) -> Tensor:
    """x plus the sums of the elements of src with one index, as `torch.scatter_add`: out[i, index[i, j]] += src[i, j].

    Arguments, returns and errors: as `cr.scatter`; floats only.

    >>> import chainrule as cr
    >>> cr.scatter_add(cr.ones(1, 3), 1, [[2, 0, 2]], [[1.0, 2.0, 3.0]]).tolist()
    [[3.0, 1.0, 5.0]]
    """
    source, new = pair(x, _given("scatter_add", src))
    _float_dtype("scatter_add", [source, new])
    at, index = _partly("scatter_add", source, axis, index, names)
    values = _source("scatter_add", source, new, index)

    def added(part: Tensor) -> Tensor:
        sums = _index.scatter(as_rows(values, [at]), as_rows(index, [at]), part.shape[at])
        return add(part, from_rows(sums, part.shape, at))

    return _within(source, index.shape, at, added)


def _given(name: str, src: Any) -> Any:
    if src is None:
        raise TypeError(f"{name}: expected {name}(x, axis, index, src)")
    return src


# Classes and masks.


def one_hot(labels: Any, num_classes: int = -1, dtype: npt.DTypeLike = np.int64) -> Tensor:
    """Ones at the labels, out[i, labels[i]] = 1, and 0 elsewhere, as `torch.nn.functional.one_hot`.

    Arguments: `labels`, integers of any shape from 0 to num_classes - 1; `num_classes`, -1 for the largest label plus
    1; `dtype`, int64 as in PyTorch, or float32, float64.
    Returns: a tensor of shape labels.shape + (num_classes,).
    Errors: IndexError for labels out of range, `cr.CompileError` in a compiled function without num_classes.

    >>> import chainrule as cr
    >>> cr.one_hot([2, 0], 3).tolist()
    [[0, 0, 1], [1, 0, 0]]
    """
    kind = np.dtype(dtype)
    if kind not in CODES or kind == BOOL:
        raise TypeError(f"one_hot: dtype must be int64, float32 or float64, got {kind}")
    if num_classes == -1:
        if isinstance(labels, Tensor) and not isinstance(labels._data, np.ndarray):
            raise CompileError("one_hot: in a compiled function the number of classes must be given, num_classes=")
        found = labels._data if isinstance(labels, Tensor) else as_ndarray(labels, "one_hot: labels")
        num_classes = int(found.max()) + 1 if found.size and found.dtype.kind in "iu" else 1
    index = index_tensor("one_hot", labels, check_size("one_hot: num_classes", num_classes))
    if isinstance(index._data, np.ndarray) and _any_negative(labels):
        raise IndexError("one_hot: labels must not be negative")
    shape = (index.size, num_classes)
    zeros, ones = (Tensor._wrap(np.full(n, value, kind)) for n, value in ((shape, 0), ((shape[0], 1), 1)))
    return reshape(_index.overlaid(zeros, reshape(index, (-1, 1)), ones), (*index.shape, num_classes))


def _any_negative(labels: Any) -> bool:
    found = labels._data if isinstance(labels, Tensor) else np.asarray(labels)
    return bool((found < 0).any())


def masked_fill(x: Any, mask: Any, value: Any) -> Tensor:
    """x with `value` where the mask is true, as `torch.masked_fill`; it gets no gradient there.

    Arguments: `x`; `mask`, bool, which broadcasts with x; `value`, a number or a tensor of no axes.

    >>> import chainrule as cr
    >>> cr.masked_fill([1.0, 2.0], [True, False], float("-inf")).tolist()
    [-inf, 2.0]
    """
    source, new = pair(x, value)
    if new.ndim:
        raise ValueError(f"masked_fill: expected a number as value, got shape {new.shape}; cr.where takes tensors")
    return where(mask, new, source)


def masked_select(x: Any, mask: Any) -> Tensor:
    """The elements of x where the mask is true, in C order, as `torch.masked_select`; `x[mask]` for masks of x's shape.

    Errors: `cr.CompileError` for a mask that is computed in a compiled function.

    >>> import chainrule as cr
    >>> cr.masked_select([1.0, 2.0, 3.0], [True, False, True]).tolist()
    [1.0, 3.0]
    """
    source, chosen = one(x), own(mask)
    if chosen.dtype != BOOL:
        raise TypeError(f"masked_select: the mask must be bool, got {chosen.dtype}; compare, for example x != 0")
    shape = broadcast_shapes("masked_select", [source.shape, chosen.shape])
    return getitem(broadcast_to(source, shape), broadcast_to(chosen, shape))


if not TYPE_CHECKING:
    __all__ = own_names(globals())

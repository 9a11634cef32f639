"""Parts, rotations and stacks of tensors, and sums by index: NumPy's and PyTorch's functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._tensor import Tensor
from .._util.checks import check_integer
from .._util.exports import own_names
from ._along import scatter_add
from ._arithmetic import mul, where
from ._getitem import getitem
from ._names import Dim, by_dim
from ._operands import one, own, pair
from ._rearrange import _at_least, flip, swapaxes
from ._shape import broadcast_to, concatenate, index_tensor, reshape, take
from ._strides import axes_of, broadcast_shapes

if TYPE_CHECKING:
    from typing_extensions import Unpack


def positive(x: Any) -> Tensor:
    """x itself, as the operator +x.

    >>> import chainrule as cr
    >>> cr.positive([-1.0, 2.0]).tolist()
    [-1.0, 2.0]
    """
    return own(x)


def flipud(x: Any) -> Tensor:
    """The first axis reversed, as `numpy.flipud`.

    >>> import chainrule as cr
    >>> cr.flipud([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [[3.0, 4.0], [1.0, 2.0]]
    """
    return flip(x, 0)


def fliplr(x: Any) -> Tensor:
    """The second axis reversed, as `numpy.fliplr`.

    >>> import chainrule as cr
    >>> cr.fliplr([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [[2.0, 1.0], [4.0, 3.0]]
    """
    return flip(x, 1)


def rot90(x: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Tensor:
    """Turn by 90 degrees k times, from the first of two axes to the second, as `numpy.rot90`.

    Errors: ValueError for axes that are not two different ones of x.

    >>> import chainrule as cr
    >>> cr.rot90([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [[2.0, 4.0], [1.0, 3.0]]
    """
    source, turns = own(x), check_integer("rot90: k", k) % 4
    given = tuple(axes)
    if len(given) != 2 or len(axes_of("rot90", given, source.ndim)) != 2:
        raise ValueError(f"rot90: expected two axes, got {axes!r}")
    if turns % 2 == 0:
        return flip(source, given) if turns else source
    turned = swapaxes(source, *given)
    return flip(turned, given[0] if turns == 1 else given[1])


def narrow(
    x: Any, axis: int | None = None, start: Any = None, length: int | None = None, **names: Unpack[Dim]
) -> Tensor:
    """The elements start to start + length - 1 along an axis, as `torch.narrow`.

    Arguments: `x`; `axis`, also named `dim`; `start`, negative from the end; `length`.
    Errors: ValueError for a part that x does not have.

    >>> import chainrule as cr
    >>> cr.narrow([1.0, 2.0, 3.0, 4.0], 0, 1, 2).tolist()
    [2.0, 3.0]
    """
    given, _ = by_dim("narrow", names, axis)
    if given is None or start is None or length is None:
        raise TypeError("narrow: expected narrow(x, axis, start, length)")
    source = own(x)
    (at,) = axes_of("narrow", given, source.ndim)
    n = source.shape[at]
    first, count = check_integer("narrow: start", start), check_integer("narrow: length", length, 0)
    first += n if first < 0 else 0
    if not 0 <= first <= first + count <= n:
        raise ValueError(f"narrow: axis {given} of shape {source.shape} has no elements {start} to {start} + {length}")
    return getitem(source, (*(slice(None),) * at, slice(first, first + count)))


def select(x: Any, axis: int | None = None, index: int | None = None, **names: Unpack[Dim]) -> Tensor:
    """The element at an index along an axis, which the result does not have, as `torch.select`.

    Errors: IndexError out of range.

    >>> import chainrule as cr
    >>> cr.select([[1.0, 2.0], [3.0, 4.0]], 1, 0).tolist()
    [1.0, 3.0]
    """
    given, _ = by_dim("select", names, axis)
    if given is None or index is None:
        raise TypeError("select: expected select(x, axis, index)")
    source = own(x)
    (at,) = axes_of("select", given, source.ndim)
    return getitem(source, (*(slice(None),) * at, check_integer("select: index", index)))


def index_select(x: Any, axis: int | None = None, index: Any = None, **names: Unpack[Dim]) -> Tensor:
    """Gather by index along an axis, as `torch.index_select` and `cr.take(x, index, axis)`.

    Arguments: `x`; `axis`, also named `dim`; `index`, integers of one axis, or a number.

    >>> import chainrule as cr
    >>> cr.index_select([[1.0, 2.0], [3.0, 4.0]], 1, [1, 1]).tolist()
    [[2.0, 2.0], [4.0, 4.0]]
    """
    given, _ = by_dim("index_select", names, axis)
    if given is None or index is None:
        raise TypeError("index_select: expected index_select(x, axis, index)")
    return take(x, index, given)


def index_add(
    x: Any, axis: int | None = None, index: Any = None, source: Any = None, alpha: Any = 1, **names: Unpack[Dim]
) -> Tensor:
    """x plus alpha * source at indices along an axis, out[index[i]] += alpha * source[i], as `torch.index_add`.

    Arguments: `x`, floats; `axis`, also named `dim`; `index`, integers of one axis; `source`, whose axis has as many
    elements, the other axes are those of x; `alpha`, a number. Returns: a tensor of x's shape.
    Errors: ValueError for shapes, IndexError out of range.

    >>> import chainrule as cr
    >>> cr.index_add(cr.zeros(3), 0, [2, 0, 2], [1.0, 2.0, 3.0]).tolist()
    [2.0, 0.0, 4.0]
    """
    given, _ = by_dim("index_add", names, axis)
    if given is None or index is None or source is None:
        raise TypeError("index_add: expected index_add(x, axis, index, source)")
    into, parts = pair(x, source)
    (at,) = axes_of("index_add", given, into.ndim)
    places = index_tensor("index_add", index, into.shape[at])
    if places.ndim != 1 or parts.shape != (*into.shape[:at], places.size, *into.shape[at + 1 :]):
        raise ValueError(
            f"index_add: expected indices (n,) and a source of x's shape, n along axis {given}, got x {into.shape}, "
            f"indices {places.shape}, source {parts.shape}"
        )
    apart = reshape(places, [-1 if i == at else 1 for i in range(into.ndim)])
    return scatter_add(into, at, broadcast_to(apart, parts.shape), parts if _is_one(alpha) else mul(parts, alpha))


def _is_one(alpha: Any) -> bool:
    return not isinstance(alpha, Tensor) and bool(alpha == 1)


def _three_axes(x: Any) -> Tensor:
    t = own(x)
    if t.ndim == 2:
        return reshape(t, (*t.shape, 1))
    return reshape(t, (1, -1, 1)) if t.ndim == 1 else _at_least(3, t)


def _several(ndim: int, arrays: Sequence[Any]) -> Any:
    found = [_three_axes(x) if ndim == 3 else _at_least(ndim, x) for x in arrays]
    return found[0] if len(found) == 1 else tuple(found)


def atleast_1d(*xs: Any) -> Any:
    """Tensors with one axis where they had none; a tensor for one argument, else a tuple.

    >>> import chainrule as cr
    >>> cr.atleast_1d(2.0).shape
    (1,)
    """
    return _several(1, xs)


def atleast_2d(*xs: Any) -> Any:
    """Tensors with at least two axes, the new ones first; a tensor for one argument, else a tuple.

    >>> import chainrule as cr
    >>> cr.atleast_2d([1.0, 2.0]).shape
    (1, 2)
    """
    return _several(2, xs)


def atleast_3d(*xs: Any) -> Any:
    """Tensors with at least three axes, as `numpy.atleast_3d`; a tensor for one argument, else a tuple.

    >>> import chainrule as cr
    >>> cr.atleast_3d([1.0, 2.0]).shape
    (1, 2, 1)
    """
    return _several(3, xs)


def dstack(tensors: Sequence[Any]) -> Tensor:
    """Join tensors along the third axis, as `numpy.dstack`.

    >>> import chainrule as cr
    >>> cr.dstack([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [[[1.0, 3.0], [2.0, 4.0]]]
    """
    return concatenate([_three_axes(t) for t in tensors], 2)


def column_stack(tensors: Sequence[Any]) -> Tensor:
    """Join tensors along the second axis; one of a single axis is a column.

    >>> import chainrule as cr
    >>> cr.column_stack([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    parts = [own(t) for t in tensors]
    return concatenate([reshape(t, (-1, 1)) if t.ndim < 2 else t for t in parts], 1)


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """Tensors broadcast to one shape, as `torch.broadcast_tensors`.

    Errors: ValueError for shapes that do not broadcast.

    >>> import chainrule as cr
    >>> [t.shape for t in cr.broadcast_tensors([1.0, 2.0], [[1.0], [2.0], [3.0]])]
    [(3, 2), (3, 2)]
    """
    found = [one(t) for t in tensors]
    shape = broadcast_shapes("broadcast_tensors", [t.shape for t in found])
    return tuple(broadcast_to(t, shape) for t in found)


def tril(x: Any, k: int = 0, *, diagonal: int = 0) -> Tensor:
    """The lower triangle of the last two axes: 0 where the column is greater than the row plus `k`, or `diagonal`.

    Errors: ValueError for fewer than two axes.

    >>> import chainrule as cr
    >>> cr.tril([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [[1.0, 0.0], [3.0, 4.0]]
    """
    return _triangle("tril", x, lambda rows, columns: columns - rows <= k + diagonal)


def triu(x: Any, k: int = 0, *, diagonal: int = 0) -> Tensor:
    """The upper triangle of the last two axes: 0 where the column is less than the row plus `k`, or `diagonal`.

    Errors: ValueError for fewer than two axes.

    >>> import chainrule as cr
    >>> cr.triu([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [[1.0, 2.0], [0.0, 4.0]]
    """
    return _triangle("triu", x, lambda rows, columns: columns - rows >= k + diagonal)


def _triangle(name: str, x: Any, kept: Any) -> Tensor:
    source = own(x)
    if source.ndim < 2:
        raise ValueError(f"{name}: expected at least two axes, got shape {source.shape}")
    return where(kept(*np.ogrid[: source.shape[-2], : source.shape[-1]]), source, False)


if not TYPE_CHECKING:
    __all__ = own_names(globals())

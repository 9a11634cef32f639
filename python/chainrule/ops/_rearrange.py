"""Functions that only move elements, made of those of `_shape.py`: NumPy's names, meaning and defaults."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._ir.shapes import product
from .._tensor import Tensor
from .._util.checks import check_integer, check_size, is_integer
from .._util.exports import own_names
from ._getitem import getitem
from ._names import Dim, by_dim
from ._op import OPS, apply
from ._operands import own
from ._reduce import sum
from ._shape import broadcast_to, concatenate, reshape, take, transpose
from ._strides import axes_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

Axes = int | Sequence[int]


def expand_dims(x: Any, axis: Axes | None = None, **names: Unpack[Dim]) -> Tensor:
    """Insert axes of length 1.

    Arguments: `x`, any tensor; `axis` (also named `dim`), an int or a tuple: the places of the new axes in the
    result.
    Errors: ValueError for an axis that does not exist in the result.

    >>> import chainrule as cr
    >>> cr.expand_dims([1.0, 2.0], -1).shape
    (2, 1)
    """
    axis, _ = by_dim("expand_dims", names, axis)
    if axis is None:
        raise TypeError("expand_dims: expected an axis")
    source = own(x)
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    new, left = axes_of("expand_dims", axis, source.ndim + count), iter(source.shape)
    return reshape(source, tuple(1 if i in new else next(left) for i in range(source.ndim + count)))


def squeeze(x: Any, axis: Axes | None = None, **names: Unpack[Dim]) -> Tensor:
    """Remove axes of length 1.

    Arguments: `x`, any tensor; `axis` (also named `dim`), an int or a tuple (default: all of length 1).
    Errors: ValueError for an axis that does not exist or has another length.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.squeeze(np.ones((1, 3, 1))).shape, cr.squeeze(np.ones((1, 3, 1)), axis=0).shape
    ((3,), (3, 1))
    """
    axis, _ = by_dim("squeeze", names, axis)
    source = own(x)
    gone = [i for i, n in enumerate(source.shape) if n == 1] if axis is None else axes_of("squeeze", axis, source.ndim)
    if any(source.shape[i] != 1 for i in gone):
        raise ValueError(f"squeeze: axis {axis} of shape {source.shape} does not have length 1")
    return reshape(source, tuple(n for i, n in enumerate(source.shape) if i not in gone))


def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Exchange two axes.

    Errors: ValueError for an axis that does not exist.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.swapaxes(np.ones((2, 3, 4)), 0, -1).shape
    (4, 3, 2)
    """
    source = own(x)
    (i,), (j,) = axes_of("swapaxes", axis1, source.ndim), axes_of("swapaxes", axis2, source.ndim)
    order = list(range(source.ndim))
    order[i], order[j] = j, i
    return transpose(source, order)


def moveaxis(x: Any, source: Axes, destination: Axes) -> Tensor:
    """Move axes to other places; the others keep their order.

    Arguments: `source` and `destination`, ints or as many different ones.
    Errors: ValueError for axes that do not exist, repeat, or are not as many.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.moveaxis(np.ones((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    t = own(x)
    given = [[part] if isinstance(part, (int, np.integer)) else list(part) for part in (source, destination)]
    sources, targets = ([axes_of("moveaxis", i, t.ndim)[0] for i in part] for part in given)
    if len(set(sources)) != len(sources) or len(set(targets)) != len(targets) or len(sources) != len(targets):
        raise ValueError(f"moveaxis: source {source} and destination {destination} must be as many different axes")
    order = [i for i in range(t.ndim) if i not in sources]
    for to, axis in sorted(zip(targets, sources, strict=True)):
        order.insert(to, axis)
    return transpose(t, order)


def flip(x: Any, axis: Axes | None = None) -> Tensor:
    """Reverse the order of elements along axes (default: all).

    Errors: ValueError for an axis that does not exist.

    >>> import chainrule as cr
    >>> cr.flip([1.0, 2.0, 3.0]).numpy()
    array([3., 2., 1.], dtype=float32)
    """
    source = own(x)
    reversed_axes = axes_of("flip", axis, source.ndim)
    return getitem(source, tuple(slice(None, None, -1 if i in reversed_axes else 1) for i in range(source.ndim)))


def roll(x: Any, shift: Axes, axis: Axes | None = None) -> Tensor:
    """Shift elements along axes; those that leave at the end come in at the beginning.

    Arguments: `shift`, an int, or one for each axis; `axis` (default: the flattened tensor is shifted).
    Errors: ValueError for an axis that does not exist, and for other numbers of shifts than axes.

    >>> import chainrule as cr
    >>> cr.roll([1.0, 2.0, 3.0], 1).numpy()
    array([3., 1., 2.], dtype=float32)
    """
    source = own(x)
    if axis is None:
        return reshape(roll(reshape(source, -1), shift, 0), source.shape)
    pairs = np.broadcast(shift, axis)
    if pairs.ndim > 1:
        raise ValueError(f"roll: expected a shift for each axis, got {shift} and {axis}")
    for by, at in pairs:
        (place,) = axes_of("roll", int(at), source.ndim)
        n = source.shape[place]
        cut = -int(by) % n if n else 0
        if cut:
            before = (slice(None),) * place
            parts = [getitem(source, (*before, part)) for part in (slice(cut, None), slice(None, cut))]
            source = concatenate(parts, place)
    return source


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Repeat each element along an axis, as `numpy.repeat`; to repeat the whole tensor see `cr.tile`.

    Arguments: `repeats`, an integer of at least 0, or one for each element of the axis; `axis` (default: the flattened
    tensor).
    Errors: ValueError for negative repeats, other numbers of them, and an axis that does not exist.

    >>> import chainrule as cr
    >>> cr.repeat([1.0, 2.0], 2).numpy()
    array([1., 1., 2., 2.], dtype=float32)
    """
    source = own(x)
    if axis is None:
        return repeat(reshape(source, -1), repeats, 0)
    (at,) = axes_of("repeat", axis, source.ndim)
    counts, n = np.asarray(repeats), source.shape[at]
    if counts.dtype.kind not in "iu" or counts.ndim > 1 or (counts < 0).any() or counts.size not in (1, n):
        raise ValueError(f"repeat: expected an integer of at least 0, or {n} of them, got {repeats!r}")
    return take(source, np.repeat(np.arange(n), counts), at)


def tile(x: Any, reps: Axes) -> Tensor:
    """Repeat a tensor as a whole along its axes, as `numpy.tile`.

    Arguments: `reps`, an integer of at least 0, or one for each of the last axes; more than axes add axes in front.
    Errors: ValueError for negative or other numbers.

    >>> import chainrule as cr
    >>> cr.tile([1.0, 2.0], 2).numpy()
    array([1., 2., 1., 2.], dtype=float32)
    """
    source = own(x)
    counts = (reps,) if isinstance(reps, (int, np.integer)) else tuple(reps)
    if not all(is_integer(n) and n >= 0 for n in counts):
        raise ValueError(f"tile: expected integers of at least 0, got {reps!r}")
    ndim = max(source.ndim, len(counts))
    shape = (1,) * (ndim - source.ndim) + source.shape
    counts = (1,) * (ndim - len(counts)) + tuple(int(n) for n in counts)
    pairs = list(zip(counts, shape, strict=True))
    apart = reshape(source, [n for _, length in pairs for n in (1, length)])
    return reshape(broadcast_to(apart, [n for pair in pairs for n in pair]), [product(pair) for pair in pairs])


def split(x: Any, indices_or_sections: Axes, axis: int | None = None, *, dim: int | None = None) -> tuple[Tensor, ...]:
    """Split along an axis, as `numpy.split`; with `dim`, as `torch.split`.

    Arguments: `indices_or_sections`, the number of equal parts, or the ascending places at which parts begin; `axis`, 0
    by default. With `dim` in place of `axis`: the length of each part, the last one possibly shorter, or the lengths.
    Errors: ValueError for an axis that does not exist, where the parts would not be equal, and for lengths that do not
    sum up to that of the axis; TypeError for both axis and dim.

    >>> import chainrule as cr
    >>> [part.tolist() for part in cr.split([1.0, 2.0, 3.0], [1])]
    [[1.0], [2.0, 3.0]]
    """
    source = own(x)
    if axis is not None and dim is not None:
        raise TypeError("split: axis and dim are the same argument, given twice")
    axis = axis if axis is not None else dim or 0
    (at,) = axes_of("split", axis, source.ndim)
    n = source.shape[at]
    if dim is not None:
        places = _ends(n, indices_or_sections, dim)
    elif isinstance(indices_or_sections, (int, np.integer)):
        sections = check_size("split: indices_or_sections", indices_or_sections)
        if n % sections:
            raise ValueError(f"split: axis {axis} of length {n} is not divided into {sections} equal parts")
        places = [n // sections * i for i in range(1, sections)]
    else:
        places = [int(i) for i in indices_or_sections]
    before = (slice(None),) * at
    return tuple(getitem(source, (*before, slice(i, j))) for i, j in zip([0, *places], [*places, n], strict=True))


def _ends(n: int, lengths: Axes, dim: int) -> list[int]:
    """Where parts of these lengths end, but for the last one."""
    if isinstance(lengths, (int, np.integer)):
        size = check_size("split: the length of a part", lengths)
        return list(range(size, n, size))
    given = [check_integer("split: a length", length, 0) for length in lengths]
    if builtins.sum(given) != n:
        raise ValueError(f"split: the lengths {given} must sum up to {n}, the length of dim {dim}")
    return [builtins.sum(given[:i]) for i in range(1, len(given))]


def chunk(x: Any, chunks: int, axis: int = 0, **names: Unpack[Dim]) -> tuple[Tensor, ...]:
    """Split into at most `chunks` parts along an axis, all but the last of one length, as `torch.chunk`.

    Arguments: `chunks`, at least 1; `axis`, also named `dim`. Errors: ValueError for an axis that does not exist.

    >>> import chainrule as cr
    >>> [part.tolist() for part in cr.chunk([1.0, 2.0, 3.0], 2)]
    [[1.0, 2.0], [3.0]]
    """
    if names:
        axis, _ = by_dim("chunk", names, axis, default=0)
    source, parts = own(x), check_size("chunk: chunks", chunks)
    (at,) = axes_of("chunk", axis, source.ndim)
    length = max(-(-source.shape[at] // parts), 1)
    return split(source, list(range(length, source.shape[at], length)), at)


def unbind(x: Any, axis: int = 0, **names: Unpack[Dim]) -> tuple[Tensor, ...]:
    """The slices x[0], x[1], ... along an axis, as `torch.unbind`.

    Arguments: `axis`, also named `dim`. Errors: ValueError for an axis that does not exist.

    >>> import chainrule as cr
    >>> [part.tolist() for part in cr.unbind([[1.0, 2.0], [3.0, 4.0]], 1)]
    [[1.0, 3.0], [2.0, 4.0]]
    """
    if names:
        axis, _ = by_dim("unbind", names, axis, default=0)
    source = own(x)
    (at,) = axes_of("unbind", axis, source.ndim)
    before = (slice(None),) * at
    return tuple(getitem(source, (*before, i)) for i in range(source.shape[at]))


def ravel(x: Any) -> Tensor:
    """Merge all axes into one.

    >>> import chainrule as cr
    >>> cr.ravel([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    return reshape(x, -1)


def meshgrid(*xs: Any, indexing: str = "xy") -> tuple[Tensor, ...]:
    """The coordinates of a grid, one tensor for each argument, as `numpy.meshgrid`.

    Arguments: `xs`, tensors of one axis; `indexing`, "xy", where the first argument varies along the second axis, or
    "ij", along the first: the default of `torch.meshgrid`.

    >>> import chainrule as cr
    >>> [t.tolist() for t in cr.meshgrid([1.0, 2.0], [3.0, 4.0])]
    [[[1.0, 2.0], [1.0, 2.0]], [[3.0, 3.0], [4.0, 4.0]]]
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: expected indexing 'xy' or 'ij', got {indexing!r}")
    parts = [reshape(x, -1) for x in xs]
    n = len(parts)
    places = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else list(range(n))
    shape = [parts[i].size for i in places]
    return tuple(
        broadcast_to(reshape(part, [-1 if i == place else 1 for i in range(n)]), shape)
        for part, place in zip(parts, places, strict=True)
    )


def _at_least(ndim: int, x: Any) -> Tensor:
    source = own(x)
    return reshape(source, (1,) * (ndim - source.ndim) + source.shape) if source.ndim < ndim else source


def vstack(tensors: Sequence[Any]) -> Tensor:
    """Join tensors along the first axis; one of a single axis is a row.

    >>> import chainrule as cr
    >>> cr.vstack([[1.0, 2.0], [3.0, 4.0]]).shape
    (2, 2)
    """
    return concatenate([_at_least(2, t) for t in tensors])


def hstack(tensors: Sequence[Any]) -> Tensor:
    """Join tensors along the second axis, those of a single axis along it.

    >>> import chainrule as cr
    >>> cr.hstack([[1.0, 2.0], [3.0]]).tolist()
    [1.0, 2.0, 3.0]
    """
    parts = [_at_least(1, t) for t in tensors]
    return concatenate(parts, 0 if not parts or parts[0].ndim == 1 else 1)


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The elements x[..., i, i + offset] of two axes, as the last axis of the result.

    Errors: ValueError for axes that do not exist or are the same.

    >>> import chainrule as cr
    >>> cr.diagonal([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [1.0, 4.0]
    """
    source = own(x)
    (i,), (j,) = axes_of("diagonal", axis1, source.ndim), axes_of("diagonal", axis2, source.ndim)
    if i == j:
        raise ValueError(f"diagonal: axis1 and axis2 are the same axis {axis1}")
    moved = moveaxis(source, (i, j), (-2, -1))
    rows, columns = moved.shape[-2:]
    first = -offset * columns if offset < 0 else offset
    count = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    flat = reshape(moved, (*moved.shape[:-2], rows * columns))
    return getitem(flat, (..., slice(first, first + count * (columns + 1), columns + 1)))


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Sum of the elements of a diagonal, x[i, i + offset]; arguments and errors as `cr.diagonal`.

    >>> import chainrule as cr
    >>> cr.trace([[1.0, 2.0], [3.0, 4.0]]).item()
    5.0
    """
    return sum(diagonal(x, offset, axis1, axis2), -1)


def diag(x: Any, k: int = 0) -> Tensor:
    """The diagonal k of a matrix, or the matrix with a vector as its diagonal k and 0 elsewhere.

    Errors: ValueError for other numbers of axes.

    >>> import chainrule as cr
    >>> cr.diag([1.0, 2.0]).tolist(), cr.diag([[1.0, 2.0], [3.0, 4.0]], 1).tolist()
    ([[1.0, 0.0], [0.0, 2.0]], [2.0])
    """
    source = own(x)
    if source.ndim == 2:
        return diagonal(source, k)
    if source.ndim != 1:
        raise ValueError(f"diag: expected one axis or two, got shape {source.shape}")
    n = source.size + (k if k >= 0 else -k)
    first = k if k >= 0 else -k * n
    return apply(OPS["slice_grad"], (source,), (source.shape, (n + 1,), first, (n, n)))


if not TYPE_CHECKING:
    __all__ = own_names(globals())

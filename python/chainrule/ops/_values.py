"""Functions whose results have shapes that depend on values: not in compiled functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._tensor import Tensor, tensor
from .._util.arrays import values_of
from .._util.checks import check_integer
from .._util.device import check_device
from .._util.dtypes import INT64, Array
from .._util.exports import own_names
from .._util.mode import grad_mode
from ._arithmetic import _float_dtype
from ._cast import astype
from ._index import as_rows, scatter
from ._names import Dim, by_dim
from ._operands import one, own
from ._shape import reshape, take
from ._strides import axes_of

if TYPE_CHECKING:
    from typing_extensions import Unpack


def _known(name: str, x: Any, instead: str) -> Array:
    """The values of an argument; CompileError in a compiled function."""
    grad_mode.executor.forbid(
        f"{name}: values are not known inside a compiled function; call it outside, or write {instead}"
    )
    return np.asarray(values_of(x, name))


def numel(x: Any) -> int:
    """Number of elements.

    >>> import chainrule as cr
    >>> cr.numel(cr.zeros(2, 3))
    6
    """
    return int(one(x).size)


def as_tensor(data: Any, dtype: npt.DTypeLike | None = None, device: Any = None) -> Tensor:
    """A tensor itself, or in another dtype; of other data a new tensor, as `cr.tensor`: memory is never shared.

    >>> import chainrule as cr
    >>> x = cr.tensor([1.0])
    >>> cr.as_tensor(x) is x, cr.as_tensor([1, 2], dtype="float64").dtype
    (True, dtype('float64'))
    """
    if not isinstance(data, Tensor):
        return tensor(data, dtype, device=device)
    check_device(device)
    return data if dtype is None or data.dtype == np.dtype(dtype) else astype(data, dtype)


def nonzero(x: Any, as_tuple: bool = True) -> tuple[Tensor, ...] | Tensor:
    """The indices of elements other than 0, one int64 tensor for each axis, as `numpy.nonzero`.

    `torch.nonzero` gives them as rows, here `cr.argwhere` and `as_tuple=False`.

    Errors: `cr.CompileError` in a compiled function.

    >>> import chainrule as cr
    >>> [t.tolist() for t in cr.nonzero([[0.0, 2.0], [3.0, 0.0]])]
    [[0, 1], [1, 0]]
    """
    if not as_tuple:
        return argwhere(x)
    return tuple(Tensor._wrap(i.astype(np.int64)) for i in np.nonzero(_known("nonzero", x, "cr.where")))


def argwhere(x: Any) -> Tensor:
    """The indices of elements other than 0 as rows of int64, (elements, axes).

    Errors: `cr.CompileError` in a compiled function.

    >>> import chainrule as cr
    >>> cr.argwhere([[0.0, 2.0], [3.0, 0.0]]).tolist()
    [[0, 1], [1, 0]]
    """
    return Tensor._wrap(np.ascontiguousarray(np.argwhere(_known("argwhere", x, "cr.where")), np.int64))


def unique(
    x: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    sorted: bool = True,
    **names: Unpack[Dim],
) -> Any:
    """The different elements in ascending order, or the different slices along an axis, as `numpy.unique`.

    Arguments: `x`; `return_index`, `return_inverse`, `return_counts`, whether to return the first places, the numbers
    of the elements of x among the different ones, and how many there are; `axis`, also named `dim`; `sorted`: always.
    Returns: a tensor, or a tuple of it and those int64 tensors. The gradient goes to the first of equal elements.
    Errors: `cr.CompileError` in a compiled function.

    >>> import chainrule as cr
    >>> [t.tolist() for t in cr.unique([3.0, 1.0, 3.0], return_counts=True)]
    [[1.0, 3.0], [1, 2]]
    """
    axis, _ = by_dim("unique", names, axis)
    values, source = _known("unique", x, "cr.sort"), own(x)
    if axis is not None:
        (axis,) = axes_of("unique", axis, source.ndim)
    _, first, inverse, counts = np.unique(values, True, True, True, axis=axis)
    places = Tensor._wrap(first.astype(np.int64))
    found = take(reshape(source, -1), places) if axis is None else take(source, places, axis)
    of_x = inverse.reshape(values.shape if axis is None else -1)
    more = ((return_index, first), (return_inverse, of_x), (return_counts, counts))
    asked = tuple(Tensor._wrap(np.ascontiguousarray(part, np.int64)) for wanted, part in more if wanted)
    return (found, *asked) if asked else found


def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, ... occurs, or the sums of weights, as `numpy.bincount`.

    Arguments: `x` (n,), integers of at least 0; `weights` (n,), floats, which are differentiated; `minlength`, of the
    result at least. Returns: int64 counts, or sums of the weights' dtype. Errors: ValueError for other values;
    `cr.CompileError` in a compiled function.

    >>> import chainrule as cr
    >>> cr.bincount([0, 2, 2]).tolist(), cr.bincount([0, 2, 2], [0.5, 1.0, 2.0]).tolist()
    ([1, 0, 2], [0.5, 0.0, 3.0])
    """
    labels, least = _known("bincount", x, "cr.one_hot"), check_integer("bincount: minlength", minlength, 0)
    if labels.ndim != 1 or (labels.size and labels.dtype.kind not in "iub"):
        raise ValueError(f"bincount: expected integers (n,), got {labels.dtype} of shape {labels.shape}")
    labels = labels.astype(INT64)
    if labels.size and labels.min() < 0:
        raise ValueError("bincount: labels must not be negative")
    counts = np.bincount(labels, minlength=least).astype(INT64)
    if weights is None:
        return Tensor._wrap(counts)
    factors = one(weights)
    _float_dtype("bincount", [factors])
    if factors.shape != labels.shape:
        raise ValueError(f"bincount: expected weights of shape {labels.shape}, got {factors.shape}")
    return reshape(scatter(as_rows(factors, [0]), Tensor._wrap(labels.reshape(1, -1)), counts.size), -1)


def searchsorted(sorted_sequence: Any, values: Any, side: str = "left", *, right: bool = False) -> Tensor:
    """Where values belong in ascending numbers: how many of these are below them, as int64.

    Arguments: `sorted_sequence` (n,), or (..., n) with as many other axes as values; `values`; `side`, "left", or
    "right" to count equal ones, too, also `right=True`. Returns: int64 of the shape of `values`.
    Errors: ValueError for shapes; `cr.CompileError` in a compiled function.

    >>> import chainrule as cr
    >>> cr.searchsorted([1.0, 2.0, 3.0], [2.0, 2.5]).tolist(), cr.searchsorted([1.0, 2.0], 2.0, "right").item()
    ([1, 2], 2)
    """
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side must be 'left' or 'right', got {side!r}")
    instead = "sums of comparisons"
    rows, wanted = (_known("searchsorted", x, instead) for x in (sorted_sequence, values))
    where: Any = "right" if right else side
    if rows.ndim == 1:
        return Tensor._wrap(np.asarray(np.searchsorted(rows, wanted, where), INT64))
    if rows.ndim == 0 or rows.shape[:-1] != wanted.shape[:-1]:
        raise ValueError(f"searchsorted: expected equal first axes, got shapes {rows.shape} and {wanted.shape}")
    lines, asked = rows.reshape(-1, rows.shape[-1]), wanted.reshape(-1, wanted.shape[-1])
    found = [np.searchsorted(line, part, where) for line, part in zip(lines, asked, strict=True)]
    return Tensor._wrap(np.asarray(found, INT64).reshape(wanted.shape))


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Tensor, Tensor]:
    """The rows and columns of the upper triangle of an n x m matrix from diagonal k on, as `numpy.triu_indices`.

    `torch.triu_indices(row, col, offset)` is `cr.triu_indices(row, offset, col)`.

    >>> import chainrule as cr
    >>> [t.tolist() for t in cr.triu_indices(3, 1)]
    [[0, 0, 1], [1, 2, 2]]
    """
    rows, columns = np.triu_indices(n, k, m)
    return Tensor._wrap(rows.astype(INT64)), Tensor._wrap(columns.astype(INT64))


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Tensor, Tensor]:
    """The rows and columns of the lower triangle of an n x m matrix up to diagonal k, as `numpy.tril_indices`.

    >>> import chainrule as cr
    >>> [t.tolist() for t in cr.tril_indices(2)]
    [[0, 1, 1], [0, 0, 1]]
    """
    rows, columns = np.tril_indices(n, k, m)
    return Tensor._wrap(rows.astype(INT64)), Tensor._wrap(columns.astype(INT64))


if not TYPE_CHECKING:
    __all__ = own_names(globals())

"""Lengths of vectors, distances and angles between them."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from .._tensor import Tensor
from .._util.checks import check_number
from .._util.exports import own_names
from ._arithmetic import _float_dtype, abs, add, div, equal, less, maximum, mul, square, sub, where
from ._math import sqrt
from ._names import Dim, by_dim
from ._norms import norm
from ._operands import one, pair
from ._reduce import max, sum
from ._shape import reshape

if TYPE_CHECKING:
    from typing_extensions import Unpack


def _length(x: Tensor, p: float, axis: int, plus: float = 0.0) -> Tensor:
    """The p-norm along an axis, which is kept, and whose gradient at 0 is 0; sqrt(sum(x**2) + plus) for p = 2.

    Squares are those of x over its largest magnitude, so that they neither overflow nor vanish.
    """
    if p == 1:
        return sum(abs(x), axis, True)
    if p not in (2, inf):
        return norm(x, p, axis, True)
    if x.shape[axis] == 0:
        return add(sum(x, axis, True), 0 if not plus else sqrt(pair(x, plus)[1]))
    size = max(abs(x), axis, True)
    if p == inf:
        return size
    size = maximum(size.detach(), plus**0.5)
    size = where(equal(size, 0), 1, where(less(size, inf), size, 1))
    squares = sum(square(div(x, size)), axis, True)
    if plus:
        return mul(size, sqrt(add(squares, div(plus, square(size)))))
    none = equal(squares, 0)
    return mul(size, where(none, 0, sqrt(where(none, 1, squares))))


def _checked(name: str, p: float) -> float:
    return inf if p == inf else check_number(f"{name}: p", p, above=True)


def _axis(name: str, x: Tensor, axis: int) -> int:
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"{name}: axis {axis} is out of range for shape {x.shape}")
    return axis % x.ndim


def _without(x: Tensor, axis: int) -> Tensor:
    return reshape(x, (*x.shape[:axis], *x.shape[axis + 1 :]))


def normalize(x: Any, p: float = 2.0, axis: int = 1, eps: float = 1e-12, **names: Unpack[Dim]) -> Tensor:
    """Divide by the length along an axis, x / max(norm(x), eps).

    Arguments: `x`, a float tensor; `p`, the norm: 2 for sqrt(sum(x**2)), 1 for sum(|x|), inf for max(|x|), another
    number above 0 as `cr.norm`; `axis`, 1 as
    in PyTorch; `eps`, at least 0. Returns: a tensor of its shape. Errors: ValueError for p, axis or eps. Squares
    neither overflow nor vanish.

    >>> import chainrule as cr
    >>> cr.normalize([[3.0, -4.0], [0.0, 0.0]]).numpy()
    array([[ 0.6, -0.8],
           [ 0. ,  0. ]], dtype=float32)
    """
    axis = by_dim("normalize", names, axis, default=1)[0]
    x = one(x)
    _float_dtype("normalize", [x])
    at = _axis("normalize", x, axis)
    length = _length(x, _checked("normalize", p), at)
    return div(x, maximum(length, check_number("normalize: eps", eps)))


def cosine_similarity(x1: Any, x2: Any, axis: int = 1, eps: float = 1e-8, **names: Unpack[Dim]) -> Tensor:
    """Cosine of the angle between vectors, sum(x1 * x2) / (max(norm(x1), eps) * max(norm(x2), eps)).

    Arguments: `x1`, `x2`, float tensors whose shapes broadcast; `axis`, that of the vectors, 1 as in PyTorch; `eps`, at
    least 0. Returns: a tensor of the shape without the axis. Errors: ValueError for shapes, axis or eps. Squares
    neither overflow nor vanish.

    >>> import chainrule as cr
    >>> cr.cosine_similarity([[3.0, 4.0]], [[4.0, 3.0]]).numpy()
    array([0.96000004], dtype=float32)
    """
    name = "cosine_similarity"
    axis = by_dim(name, names, axis, default=1)[0]
    a, b = pair(x1, x2)
    _float_dtype(name, [a, b])
    ndim = a.ndim if a.ndim > b.ndim else b.ndim
    a, b = (reshape(t, (*(1,) * (ndim - t.ndim), *t.shape)) for t in (a, b))
    at = _axis(name, a, axis)
    if 1 in (a.shape[at], b.shape[at]) and a.shape[at] != b.shape[at]:
        raise ValueError(f"{name}: the vectors have {a.shape[at]} and {b.shape[at]} elements along axis {axis}")
    small = check_number(f"{name}: eps", eps)
    a, b = (div(t, maximum(_length(t, 2.0, at), small)) for t in (a, b))
    return sum(mul(a, b), at)


def pairwise_distance(
    x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdims: bool = False, **names: Unpack[Dim]
) -> Tensor:
    """Distance of vectors along the last axis, norm(x1 - x2 + eps); eps keeps its slope finite for equal vectors.

    Arguments: `x1`, `x2`, float tensors whose shapes broadcast; `p`, as `cr.normalize`; `eps`; `keepdims`, keep the
    last axis, of length 1. Returns: a tensor of the shape without the last axis. Errors: ValueError for shapes, p, eps.

    >>> import chainrule as cr
    >>> cr.pairwise_distance([[1.0, 2.0]], [[4.0, 6.0]], eps=0.0).numpy()
    array([5.], dtype=float32)
    """
    name = "pairwise_distance"
    if "dim" in names:
        raise TypeError(f"{name}: the vectors lie along the last axis; there is no argument 'dim'")
    keepdims = by_dim(name, names, None, keepdims)[1]
    a, b = pair(x1, x2)
    _float_dtype(name, [a, b])
    d = add(sub(a, b), check_number(f"{name}: eps", eps))
    if d.ndim == 0:
        raise ValueError(f"{name}: expected vectors, got {a.shape} and {b.shape}")
    length = _length(d, _checked(name, p), d.ndim - 1)
    return length if keepdims else _without(length, d.ndim - 1)


if not TYPE_CHECKING:
    __all__ = own_names(globals())

"""Products added to tensors, Kronecker products, differences and areas along an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._tensor import Tensor
from .._util.checks import check_integer
from .._util.exports import own_names
from ._arithmetic import add, div, mul, sub
from ._getitem import getitem
from ._matmul import matmul
from ._names import Dim, by_dim
from ._operands import one, pair
from ._reduce import sum
from ._shape import broadcast_to, concatenate, reshape
from ._strides import axes_of

if TYPE_CHECKING:
    from typing_extensions import Unpack


def addmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2), for matrices; with beta 0, NaN of the input do not count.

    Arguments: `input`, which broadcasts to the product; `mat1` (n, m) and `mat2` (m, k), floats; `beta`, `alpha`.
    Returns: a tensor (n, k). Errors: ValueError for shapes.

    >>> import chainrule as cr
    >>> cr.addmm([1.0, 2.0], [[1.0, 2.0]], [[1.0, 0.0], [0.0, 1.0]], alpha=2).numpy()
    array([[3., 6.]], dtype=float32)
    """
    return _added("addmm", input, mat1, mat2, (2, 2), beta, alpha)


def baddbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (batch1 @ batch2), for batches of matrices; arguments as `cr.addmm`, with a first axis.

    >>> import chainrule as cr
    >>> cr.baddbmm(1.0, [[[2.0]], [[3.0]]], [[[4.0]], [[5.0]]]).numpy()
    array([[[ 9.]],
    <BLANKLINE>
           [[16.]]], dtype=float32)
    """
    return _added("baddbmm", input, batch1, batch2, (3, 3), beta, alpha)


def addmv(input: Any, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat @ vec), for a matrix (n, m) and a vector (m,); arguments as `cr.addmm`.

    >>> import chainrule as cr
    >>> cr.addmv([1.0, 2.0], [[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0], beta=2).numpy()
    array([ 5., 11.], dtype=float32)
    """
    return _added("addmv", input, mat, vec, (2, 1), beta, alpha)


def _added(name: str, input: Any, a: Any, b: Any, axes: tuple[int, int], beta: Any, alpha: Any) -> Tensor:
    first, second = pair(a, b)
    if (first.ndim, second.ndim) != axes:
        raise ValueError(f"{name}: expected {axes[0]} and {axes[1]} axes, got shapes {first.shape} and {second.shape}")
    product = mul(matmul(first, second), alpha)
    start = pair(input, product)[0]
    whole = broadcast_to(start, product.shape)
    return product if not isinstance(beta, Tensor) and beta == 0 else add(mul(whole, beta), product)


def kron(a: Any, b: Any) -> Tensor:
    """Kronecker product, each element of a times the whole b, as `numpy.kron`.

    >>> import chainrule as cr
    >>> cr.kron([1.0, 10.0], [1.0, 2.0, 3.0]).numpy()
    array([ 1.,  2.,  3., 10., 20., 30.], dtype=float32)
    """
    first, second = pair(a, b)
    ndim = first.ndim if first.ndim > second.ndim else second.ndim
    of_a, of_b = ((1,) * (ndim - t.ndim) + t.shape for t in (first, second))
    left = reshape(first, [n for length in of_a for n in (length, 1)])
    right = reshape(second, [n for length in of_b for n in (1, length)])
    return reshape(mul(left, right), [n * m for n, m in zip(of_a, of_b, strict=True)])


def _at(axis: int, part: slice) -> tuple[slice, ...]:
    return (*(slice(None),) * axis, part)


def diff(x: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None, **names: Unpack[Dim]) -> Tensor:
    """Differences of neighbours along an axis, x[i + 1] - x[i], n times, as `numpy.diff`.

    Arguments: `x`, a tensor of at least one axis; `n`, at least 0; `axis`, also named `dim`; `prepend`, `append`,
    tensors or numbers that are joined to x before, for n above 0.
    Returns: a tensor whose axis is n shorter. Errors: ValueError for a tensor without axes; TypeError for bool.

    >>> import chainrule as cr
    >>> cr.diff([1.0, 4.0, 9.0]).tolist(), cr.diff([1.0, 4.0, 9.0], n=2).tolist()
    ([3.0, 5.0], [2.0])
    """
    axis, _ = by_dim("diff", names, axis, default=-1)
    found, times = one(x), check_integer("diff: n", n, 0)
    if found.ndim == 0:
        raise ValueError("diff: expected at least one axis, got a number")
    (at,) = axes_of("diff", axis, found.ndim)
    for part, first in ((prepend, True), (append, False)):
        if part is not None and times:
            ends = pair(found, part)[1]
            if ends.ndim == 0:
                ends = broadcast_to(ends, (*found.shape[:at], 1, *found.shape[at + 1 :]))
            found = concatenate([ends, found] if first else [found, ends], at)
    for _ in range(times if times < found.shape[at] else found.shape[at]):
        found = sub(getitem(found, _at(at, slice(1, None))), getitem(found, _at(at, slice(None, -1))))
    return found


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1, **names: Unpack[Dim]) -> Tensor:
    """Area under points along an axis, the sum of d * (y[i + 1] + y[i]) / 2, as `numpy.trapezoid`.

    Arguments: `y`, a tensor; `x`, the places, of the axis's length or of y's shape, d their differences; `dx`, d
    without x; `axis`, also named `dim`. Returns: a tensor without the axis.

    >>> import chainrule as cr
    >>> cr.trapezoid([1.0, 2.0, 4.0]).item(), cr.trapezoid([1.0, 2.0, 4.0], x=[0.0, 1.0, 3.0]).item()
    (4.5, 7.5)
    """
    axis, _ = by_dim("trapezoid", names, axis, default=-1)
    heights = one(y)
    (at,) = axes_of("trapezoid", axis, heights.ndim)
    steps = dx
    if x is not None:
        places = pair(heights, x)[1]
        along = 0 if places.ndim == 1 else at
        steps = diff(places, axis=along)
        if places.ndim == 1:
            steps = reshape(steps, (-1, *(1,) * (heights.ndim - 1 - at)))
    pairs = add(getitem(heights, _at(at, slice(1, None))), getitem(heights, _at(at, slice(None, -1))))
    return sum(div(mul(pairs, steps), 2.0), at)


if not TYPE_CHECKING:
    __all__ = own_names(globals())

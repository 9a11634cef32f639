"""Calls of functions along axes: reductions, cumulation, order, indices, padding, einsum; rows for `op_cases`."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import chainrule as cr
from reference import axes, matmul, reduce
from reference.bits import Array

Shape = tuple[int, ...]


class Row(NamedTuple):
    name: str
    shapes: list[Shape]
    function: Callable[..., cr.Tensor]
    reference: Callable[..., Array]
    note: str = ""
    differentiable: bool = True


AXES: tuple[tuple[Shape, Any], ...] = (
    ((3, 4, 5), None), ((3, 4, 5), 0), ((3, 4, 5), 1), ((3, 4, 5), -1), ((3, 4, 5), (0, 2)), ((7,), 0), ((2, 131), 1),
)  # fmt: skip
WITHOUT_GRADIENT = ("argmin", "argsort", "one_hot")


def _over_axes(name: str, reference: Callable[..., Array], **options: Any) -> Iterator[Row]:
    for shape, axis in AXES:
        for keep in (False, True):
            called = {"axis": axis, "keepdims": keep, **options}
            yield Row(name, [shape], partial(getattr(cr, name), **called), partial(reference, **called), f"{called}")


def _reductions() -> Iterator[Row]:
    for name in ("prod", "median", "logsumexp"):
        yield from _over_axes(name, getattr(axes, name))
    for name in ("amax", "amin"):
        yield from _over_axes(name, getattr(reduce, name[1:]))
    for ddof in (0, 1):
        yield from _over_axes("var", axes.var, ddof=ddof)
        yield from _over_axes("std", axes.std, ddof=ddof)
    for order in (2, 1, np.inf, -np.inf, 0):
        yield from _over_axes("norm", axes.norm, ord=order)
    yield from _over_axes("quantile", axes.quantile, q=(0.1, 0.5, 0.77, 1.0))
    for shape in ((0,), (3, 0), (0, 3)):
        for name in ("prod", "logsumexp"):
            function, reference = partial(getattr(cr, name), axis=-1), partial(getattr(axes, name), axis=-1)
            yield Row(name, [shape], function, reference)
    for shape, axis in (((3, 4), 0), ((3, 4), -1), ((5,), None)):
        function, expected = partial(cr.argmin, axis=axis), partial(np.argmin, axis=axis)
        yield Row("argmin", [shape], function, expected, f"{axis}", False)


LINES: tuple[tuple[Shape, Any], ...] = (
    ((3, 4, 5), None), ((3, 4, 5), 0), ((3, 4, 5), 1), ((3, 4, 5), -1), ((7,), 0), ((2, 131), 1), ((131, 2), 0),
    ((2, 0), 1), ((0, 3), 1), ((2, 1), 1),
)  # fmt: skip


def _along() -> Iterator[Row]:
    for shape, axis in LINES:
        for name in ("cumsum", "cumprod"):
            function, reference = partial(getattr(cr, name), axis=axis), partial(getattr(axes, name), axis=axis)
            yield Row(name, [shape], function, reference, f"{axis}")
        for name, ufunc in (("cummax", np.maximum), ("cummin", np.minimum)):
            extremes = lambda x, n=name, axis=axis: getattr(cr, n)(x, axis).values  # noqa: E731
            expected = lambda x, u=ufunc, a=axis: u.accumulate(x.ravel() if a is None else x, a or 0)  # noqa: E731
            yield Row(name, [shape], extremes, expected, f"{axis}")
        yield Row("sort", [shape], partial(cr.sort, axis=axis), partial(np.sort, axis=axis), f"{axis}")
        yield Row(
            "argsort",
            [shape],
            partial(cr.argsort, axis=axis),
            partial(np.argsort, axis=axis, kind="stable"),
            f"{axis}",
            False,
        )
    for axis in (0, 1, -1):
        function = lambda x, axis=axis: cr.sort(x, axis, descending=True)  # noqa: E731
        yield Row("sort", [(3, 4, 2)], function, lambda x, a=axis: np.flip(np.sort(x, a), a), f"descending {axis}")
        function = lambda x, axis=axis: cr.topk(x, 2, axis)[0]  # noqa: E731
        expected = lambda x, a=axis: np.flip(np.sort(x, a), a).take([0, 1], a)  # noqa: E731
        yield Row("topk", [(3, 4, 2)], function, expected, f"{axis}")
        function = lambda x, axis=axis: cr.topk(x, 1, axis, largest=False)[0]  # noqa: E731
        yield Row("topk", [(3, 4, 2)], function, lambda x, a=axis: np.sort(x, a).take([0], a), f"smallest {axis}")


INDEX = np.array([[2, -1, 0], [0, 0, 1], [1, 2, 2], [-3, 1, 0]])


def _indexed() -> Iterator[Row]:
    for axis, index in ((1, INDEX), (-1, INDEX[:, :1]), (0, INDEX % 4), (0, INDEX[:1])):
        function = partial(cr.take_along_axis, indices=index, axis=axis)
        yield Row("take_along_axis", [(4, 3)], function, partial(np.take_along_axis, indices=index, axis=axis))
    flat = np.array([3, 3, -1])
    yield Row("take_along_axis", [(2, 3)], partial(cr.take_along_axis, indices=flat, axis=None),
              partial(np.take_along_axis, indices=flat, axis=None))  # fmt: skip
    for axis, index in ((1, INDEX % 3), (0, INDEX[:2] % 4), (1, INDEX[:2, :2] % 3)):
        part = tuple(slice(None) if i == axis else slice(n) for i, n in enumerate(index.shape))
        function = lambda x, axis=axis, index=index: cr.gather(x, axis, index)  # noqa: E731
        expected = lambda x, a=axis, i=index, p=part: np.take_along_axis(x[p], i, a)  # noqa: E731
        yield Row("gather", [(4, 3)], function, expected, f"{axis} {index.shape}")
        for name in ("scatter", "scatter_add"):
            function = lambda x, s, n=name, a=axis, i=index: getattr(cr, n)(x, a, i, s)  # noqa: E731
            yield Row(name, [(4, 3), (4, 3)], function, partial(SCATTERED[name], axis=axis, index=index), f"{index}")
    for axis, index in ((1, INDEX), (0, INDEX[:2])):
        yield Row("put_along_axis", [(4, 3), index.shape], partial(_put_here, axis=axis, index=index),
                  partial(_put, axis=axis, index=index))  # fmt: skip
    yield Row("one_hot", [], lambda: cr.one_hot(INDEX % 3, 4), lambda: np.eye(4, dtype=int)[INDEX % 3], "", False)
    mask = INDEX > 0
    yield Row("masked_fill", [(4, 3)], partial(cr.masked_fill, mask=mask, value=2.5),
              lambda x: np.where(mask, x.dtype.type(2.5), x))  # fmt: skip
    yield Row("masked_select", [(4, 3)], partial(cr.masked_select, mask=mask), lambda x: x[mask])


def _put_here(x: cr.Tensor, values: cr.Tensor, axis: int, index: Array) -> cr.Tensor:
    return cr.put_along_axis(x, index, values, axis)


def _put(x: Array, values: Array, axis: int, index: Array) -> Array:
    y = x.copy()
    np.put_along_axis(y, index, values, axis)
    return y


def _scatter(x: Array, src: Array, axis: int, index: Array) -> Array:
    """One element after the other: the last counts."""
    y = x.copy()
    for at in np.ndindex(index.shape):
        y[(*at[:axis], index[at], *at[axis + 1 :])] = src[at]
    return y


def _scatter_add(x: Array, src: Array, axis: int, index: Array) -> Array:
    return axes.scatter_add(x, index, src, axis)


SCATTERED = {"scatter": _scatter, "scatter_add": _scatter_add}


def _moved() -> Iterator[Row]:
    for mode in ("constant", "edge", "reflect", "symmetric", "wrap"):
        for width in (1, (0, 2), ((2, 1), (0, 3))):
            options: dict[str, Any] = {"pad_width": width, "mode": mode}
            yield Row("pad", [(3, 4)], partial(cr.pad, **options), partial(np.pad, **options), f"{options}")
    options = {"pad_width": (1, 2), "constant_values": ((1.5, 2.0), (-1.0, 0.0))}
    yield Row("pad", [(3, 4)], partial(cr.pad, **options), partial(np.pad, **options), "constants")
    yield Row("ravel", [(3, 4)], cr.ravel, np.ravel)
    for k in (0, 1, -2):
        for shape in ((3,), (3, 4)):
            yield Row("diag", [shape], partial(cr.diag, k=k), partial(np.diag, k=k), f"{k}")
        yield Row("trace", [(3, 4)], partial(cr.trace, offset=k), lambda x, k=k: reduce.sum(np.diagonal(x, k), -1))
    for i in range(3):
        yield Row("chunk", [(2, 5)], lambda x, i=i: cr.chunk(x, 3, 1)[i], lambda x, i=i: x[:, 2 * i : 2 * i + 2])
        yield Row("unbind", [(2, 3)], lambda x, i=i: cr.unbind(x, -1)[i], lambda x, i=i: x[:, i])
    for indexing in ("xy", "ij"):
        for i in range(3):
            function = lambda *x, i=i, way=indexing: cr.meshgrid(*x, indexing=way)[i]  # noqa: E731
            expected = lambda *x, i=i, way=indexing: np.meshgrid(*x, indexing=way)[i]  # noqa: E731
            yield Row("meshgrid", [(2,), (3,), (4,)], function, expected, f"{indexing} {i}")


def _products() -> Iterator[Row]:
    summed = (
        ("ij,jk->ik", [(2, 3), (3, 4)], matmul),
        ("ij,kj->ik", [(2, 3), (4, 3)], lambda a, b: matmul(a, b.T)),
        ("bij,bjk->bik", [(2, 2, 3), (2, 3, 4)], matmul),
        ("i,j", [(2,), (3,)], lambda a, b: a[:, None] * b),
        ("ij->ji", [(2, 3)], np.transpose),
        ("ii->i", [(3, 3)], np.diagonal),
        ("ij->i", [(3, 4)], lambda a: reduce.sum(a, 1)),
        ("...i,...i->...", [(4, 1, 3), (2, 3)], lambda a, b: _inner(np.broadcast_to(a, (4, 2, 3)), b)),
        ("bi,bij,bj->b", [(2, 3), (2, 3, 4), (2, 4)], lambda a, b, c: _inner(a, matmul(b, c[..., None])[..., 0])),
    )
    for text, shapes, reference in summed:
        yield Row("einsum", list(shapes), partial(cr.einsum, text), reference, text)
    yield Row("cov", [(3, 5)], cr.cov, axes.cov)
    yield Row("corrcoef", [(3, 5)], cr.corrcoef, axes.corrcoef)


def _inner(a: Array, b: Array) -> Array:
    b = np.broadcast_to(b, a.shape)
    return np.asarray(matmul(a[..., None, :], b[..., None])[..., 0, 0])


def rows() -> Iterator[Row]:
    for part in (_reductions(), _along(), _indexed(), _moved(), _products()):
        yield from part

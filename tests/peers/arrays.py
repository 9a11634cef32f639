"""Reductions, scans, order, movement of elements, indexing and products."""

from collections.abc import Callable
from typing import Any

import numpy as np

from peers.call import Call, Draw, Generator
from reference.bits import Array

__all__ = ["CALLS"]


def normal(*shapes: tuple[int, ...]) -> Draw:
    """Standard normal arrays of these shapes."""
    return lambda rng: [rng.standard_normal(shape) for shape in shapes]


def sized(*shapes: str) -> Draw:
    """Standard normal arrays of shapes in letters, each a random length: "nk", "km"."""

    def draw(rng: Generator) -> list[Array]:
        lengths = {letter: int(rng.integers(1, 7)) for letter in sorted(set("".join(shapes)))}
        return [rng.standard_normal(tuple(lengths[letter] for letter in shape)) for shape in shapes]

    return draw


def also(draw: Draw, more: Callable[[Generator, list[Array]], list[Array]]) -> Draw:
    """The arrays of `draw`, and more that depend on them."""

    def both(rng: Generator) -> list[Array]:
        first = draw(rng)
        return [*first, *more(rng, first)]

    return both


def index_of(axis: int, rows: int) -> Callable[[Generator, list[Array]], list[Array]]:
    """An index along an axis, of the shape of the first array otherwise."""

    def draw(rng: Generator, arrays: list[Array]) -> list[Array]:
        shape = list(arrays[0].shape)
        n, shape[axis] = shape[axis], rows
        return [rng.integers(0, n, shape)]

    return draw


def mask(rng: Generator, arrays: list[Array]) -> list[Array]:
    """A mask of the first array's shape."""
    return [rng.random(arrays[0].shape) < 0.5]


def dims(name: str, **options: Any) -> Callable[..., Any]:
    """A reduction over every kind of axes."""

    def run(F: Any, x: Any) -> list[Any]:
        f = getattr(F, name)
        return [f(x, dim=d, keepdim=k, **options) for d, k in ((0, False), (1, True), (-1, False), ((0, 2), True))]

    return run


def one_dim(name: str, *args: Any, **options: Any) -> Callable[..., Any]:
    """A function along one axis at a time."""
    return lambda F, x: [getattr(F, name)(x, *args, dim=d, **options) for d in (0, 1, -1)]


def signed(rng: Generator) -> list[Array]:
    """An array of three axes without zeros."""
    shape = tuple(int(n) for n in rng.integers(2, 6, 3))
    return [rng.choice([-1.0, 1.0], shape) * rng.uniform(0.3, 2.0, shape)]


CUBE = sized("abc")
PLANE = sized("ab")
POWERS = (1, 2, 3, 0.5, float("inf"), -float("inf"))

REDUCTIONS = {
    "sum": Call(dims("sum"), CUBE),
    "mean": Call(dims("mean"), CUBE),
    "amax": Call(dims("amax"), CUBE),
    "amin": Call(dims("amin"), CUBE),
    "logsumexp": Call(dims("logsumexp"), CUBE),
    "var": Call(dims("var", correction=1), signed),
    "std": Call(dims("std", correction=1), signed),
    "var, biased": Call(dims("var", unbiased=False), signed),
    "std, biased": Call(dims("std", correction=0), signed),
    "prod": Call(lambda F, x: [F.prod(x, dim=0), F.prod(x, dim=-1, keepdim=True), F.prod(x)], signed),
    "prod with zeros": Call(lambda F, x: F.prod(x * (abs(x) > 0.7), dim=1), signed),
    "of all": Call(
        lambda F, x: [x.sum(), x.mean(), F.amax(x), F.amin(x), x.var(correction=0), x.std(correction=1)], signed
    ),
    "all and any": Call(lambda F, x: [F.all(x > 0, dim=0), F.any(x > 1, dim=1), (x > 0).all(), (x > 1).any()], CUBE),
    "count_nonzero": Call(lambda F, x: [F.count_nonzero(x), F.count_nonzero(x, dim=0)], CUBE),
    "argmax": Call(lambda F, x: [F.argmax(x), F.argmax(x, dim=1), F.argmin(x, dim=0, keepdim=True)], CUBE),
    "norm": Call(lambda F, x: [F.norm(x, p=p, dim=1) for p in POWERS] + [F.norm(x)], signed),
    "norm of matrices": Call(lambda F, x: F.norm(x, p="fro", dim=(0, 2), keepdim=True), signed),
    "quantile": Call(lambda F, x: [F.quantile(x, q, dim=1) for q in (0.0, 0.3, 0.5, 1.0)], CUBE),
    "quantile of all": Call(lambda F, x: [F.quantile(x, 0.7), F.quantile(x, 0.1, dim=0, keepdim=True)], CUBE),
    "quantile by methods": Call(
        lambda F, x: [
            F.quantile(x, 0.37, dim=0, **{"method" if hasattr(F, "OPS") else "interpolation": m})
            for m in ("linear", "lower", "higher", "nearest", "midpoint")
        ],
        CUBE,
    ),
    "trace": Call(lambda F, x: F.trace(x), PLANE),
    "cov": Call(lambda F, x: [F.cov(x), F.cov(x, correction=0)], normal((3, 6))),
    "corrcoef": Call(lambda F, x: F.corrcoef(x), normal((3, 6))),
    "normalize": Call(lambda F, x: [F.normalize(x, dim=d) for d in (0, 1, -1)], signed),
    "cosine_similarity": Call(lambda F, x, y: F.cosine_similarity(x, y, dim=1), normal((4, 3), (4, 3))),
    "pairwise_distance": Call(lambda F, x, y: F.pairwise_distance(x, y), normal((4, 3), (4, 3))),
    "pairwise_distance, p = 1": Call(
        lambda F, x, y: (
            F.pairwise_distance(x, y, p=1, keepdim=True)
            if not hasattr(F, "OPS")
            else F.pairwise_distance(x, y, p=1, keepdims=True)
        ),
        normal((4, 3), (4, 3)),
    ),
}
SCANS = {
    "cumsum": Call(one_dim("cumsum"), CUBE),
    "cumprod": Call(one_dim("cumprod"), signed),
    "cummax and cummin": Call(
        lambda F, x: [list(f(x, dim=d)) for f in (F.cummax, F.cummin) for d in (0, 1, -1)],
        lambda rng: [rng.choice([-1.0, 0.0, 0.5, 2.0, np.nan], rng.integers(1, 7, 3), p=[0.2, 0.3, 0.2, 0.2, 0.1])],
    ),
    "cummax of integers": Call(
        lambda F, x: [list(F.cummax(x, 1)), list(x.cummin(0))], lambda rng: [rng.integers(-3, 3, (4, 7))]
    ),
    "softmax": Call(one_dim("softmax"), CUBE),
    "log_softmax": Call(one_dim("log_softmax"), CUBE),
    "sort": Call(lambda F, x: [list(F.sort(x, dim=d, descending=k)) for d in (0, 1, -1) for k in (False, True)], CUBE),
    "argsort": Call(lambda F, x: [F.argsort(x, dim=0), F.argsort(x, dim=-1, descending=True)], CUBE),
    "topk": Call(lambda F, x: [list(F.topk(x, 2, dim=d)) for d in (0, -1)], normal((4, 3, 5))),
    "topk, smallest": Call(lambda F, x: list(F.topk(x, 2, dim=1, largest=False)), normal((4, 3, 5))),
    "median": Call(lambda F, x: [list(F.median(x, dim=d, keepdim=k)) for d, k in ((0, True), (1, False))], CUBE),
    "max and min": Call(
        lambda F, x: [list(F.max(x, dim=1)), list(x.min(dim=-1, keepdim=True)), x.max(), F.min(x)], CUBE
    ),
}


MOVEMENT = {
    "cat": Call(lambda F, x, y: [F.cat([x, y], dim=1), F.cat((x, y, x), dim=-1)], sized("na", "nb")),
    "stack": Call(lambda F, x, y: [F.stack([x, y], dim=d) for d in (0, 1, -1)], normal((3, 4), (3, 4))),
    "hstack and vstack": Call(lambda F, x, y: [F.hstack([x, y]), F.vstack([x, x])], sized("na", "nb")),
    "chunk": Call(lambda F, x: [list(F.chunk(x, n, dim=1)) for n in (1, 2, 3)], normal((2, 7, 3))),
    "unbind": Call(lambda F, x: [list(F.unbind(x, dim=d)) for d in (0, -1)], CUBE),
    "reshape": Call(lambda F, x: [x.reshape(-1), x.view(6, -1), F.reshape(x, (3, 2, -1))], normal((2, 3, 4))),
    "flatten": Call(lambda F, x: [F.flatten(x), x.flatten(1), F.flatten(x, 0, 1), F.ravel(x)], CUBE),
    "permute": Call(lambda F, x: [x.permute(2, 0, 1), F.permute(x, (1, 0, 2)), F.swapaxes(x, 0, 2)], CUBE),
    "moveaxis": Call(lambda F, x: [F.moveaxis(x, 0, -1), F.moveaxis(x, (0, 1), (1, 2))], CUBE),
    "squeeze": Call(
        lambda F, x: [F.unsqueeze(x, 1), F.squeeze(F.unsqueeze(x, 0)), x.unsqueeze(-1).squeeze(-1)], signed
    ),
    "expand": Call(lambda F, x: [x[:, None].expand(-1, 4, -1), F.broadcast_to(x, (2, *x.shape))], PLANE),
    "flip": Call(lambda F, x: [F.flip(x, (0,)), F.flip(x, (0, 2)), x.flip(1)], CUBE),
    "roll": Call(lambda F, x: [F.roll(x, 1, 0), F.roll(x, (2, -1), (0, 1)), F.roll(x, 3)], CUBE),
    "tile": Call(lambda F, x: [F.tile(x, (2,)), F.tile(x, (2, 1, 3))], CUBE),
    "repeat": Call(lambda F, x: [x.repeat(2, 1, 3) if not hasattr(F, "OPS") else F.tile(x, (2, 1, 3))], CUBE),
    "tril and triu": Call(lambda F, x: [F.tril(x), F.triu(x), F.tril(x, -1), F.triu(x, 1)], CUBE),
    "diag": Call(
        lambda F, x, y: [F.diag(x), F.diag(x, 1), F.diag(y), F.diagonal(y), F.diagonal(y, -1)], sized("a", "bc")
    ),
    "meshgrid": Call(
        lambda F, x, y: [list(F.meshgrid(x, y, indexing="ij")), list(F.meshgrid(x, y, indexing="xy"))], sized("a", "b")
    ),
    "gather": Call(lambda F, x, i: F.gather(x, 1, i), also(CUBE, index_of(1, 3))),
    "gather, axis 0": Call(lambda F, x, i: F.gather(x, dim=0, index=i), also(PLANE, index_of(0, 5))),
    "take_along_axis": Call(
        lambda F, x, i: F.take_along_axis(x, i, axis=-1) if hasattr(F, "OPS") else F.take_along_dim(x, i, dim=-1),
        also(CUBE, index_of(-1, 4)),
    ),
    "scatter_add": Call(
        lambda F, x, y, i: F.scatter_add(x, 1, i, y),
        also(sized("abc", "adc"), lambda rng, xs: [rng.integers(0, xs[0].shape[1], xs[1].shape)]),
    ),
    "scatter": Call(
        lambda F, x, y, i: F.scatter(x, 1, i, y),
        lambda rng: [rng.standard_normal((3, 5)), rng.standard_normal((3, 2)), np.argsort(rng.random((3, 5)))[:, :2]],
    ),
    "masked_fill": Call(lambda F, x, m: F.masked_fill(x, m, -2.0), also(CUBE, mask)),
    "masked_select": Call(lambda F, x, m: [F.masked_select(x, m), x[m]], also(CUBE, mask), compiled=False),
    "where of a mask": Call(lambda F, x, m: F.where(m, x, x * 0.5), also(CUBE, mask)),
    "take": Call(
        lambda F, x, i: F.take(x, i, axis=None) if hasattr(F, "OPS") else F.take(x, i),
        also(PLANE, lambda rng, xs: [rng.integers(0, xs[0].size, (2, 3))]),
    ),
    "index": Call(
        lambda F, x: [x[0], x[-1, ..., 1:], x[:, None, 1], x[..., ::2], x[1:3, [0, 1, 1]], x[[2, 0], 1, [1, 0]]],
        normal((4, 3, 5)),
    ),
    "index by arrays": Call(
        lambda F, x, i: [x[i], x[:, i], x[i, i], x[i[:, None], i]],
        lambda rng: [rng.standard_normal((4, 4)), rng.integers(0, 4, 6)],
        compiled=False,
    ),
    "pad": Call(
        lambda F, x: [F.pad(x, (1, 2)), F.pad(x, (0, 1, 2, 0), value=1.5), F.pad(x, (-1, 1))], normal((2, 3, 4))
    ),
    **{
        f"pad, {mode}": Call(lambda F, x, mode=mode: [F.pad(x, (1, 2), mode=mode)], normal((2, 3, 4)))
        for mode in ("reflect", "replicate", "circular")
    },
    **{
        f"pad of images, {mode}": Call(lambda F, x, mode=mode: F.pad(x, (1, 2, 2, 0), mode=mode), normal((2, 1, 3, 4)))
        for mode in ("reflect", "replicate", "circular")
    },
    "one_hot": Call(lambda F, i: F.one_hot(i, 7), lambda rng: [rng.integers(0, 5, (2, 3))]),
    "unfold": Call(lambda F, x: F.unfold(x, 2, padding=1, stride=2), normal((2, 3, 5, 4))),
    "fold": Call(lambda F, x: F.fold(x, (4, 5), (2, 2)), normal((2, 8, 12))),
    "unfold of an axis": Call(
        lambda F, x: [x.unfold(1, 3, 2), x.unfold(-1, 2, 1), x.unfold(0, 4, 1).unfold(1, 1, 3)], normal((4, 7, 5))
    ),
    "pixel_shuffle": Call(lambda F, x: [F.pixel_shuffle(x, 2), F.pixel_unshuffle(x, 2)], normal((2, 4, 4, 2))),
}
PRODUCTS = {
    "matmul": Call(lambda F, a, b: [F.matmul(a, b), a @ b, F.mm(a, b)], sized("nk", "km")),
    "matmul of stacks": Call(lambda F, a, b: F.matmul(a, b), sized("snk", "skm")),
    "matmul, broadcast": Call(lambda F, a, b: F.matmul(a, b), sized("snk", "km")),
    "matmul of vectors": Call(lambda F, a, b: [a @ b, b @ b, F.dot(b, b)], sized("nk", "k")),
    "bmm": Call(lambda F, a, b: F.bmm(a, b), sized("snk", "skm")),
    "outer": Call(lambda F, a, b: F.outer(a, b), sized("n", "m")),
    "inner": Call(lambda F, a, b: F.inner(a, b), sized("n", "n")),
    "tensordot": Call(lambda F, a, b: F.tensordot(a, b, ([1, 2], [0, 1])), sized("nkj", "kjm")),
    "einsum": Call(
        lambda F, a, b: [F.einsum(e, a, b) for e in ("ij,jk->ik", "ij,jk->k", "ij,jk->kij", "ij,jk")], sized("nk", "km")
    ),
    "einsum of one": Call(
        lambda F, a: [F.einsum("iij->ij", a), F.einsum("iij->j", a), F.einsum("ijk->kji", a)], sized("aab")
    ),
    "einsum of three": Call(lambda F, a, b, c: F.einsum("bik,kj,bj->bi", a, b, c), sized("bik", "kj", "bj")),
    "einsum with an ellipsis": Call(lambda F, a, b: F.einsum("...ij,...jk->...ik", a, b), sized("snk", "skm")),
    "linear": Call(lambda F, x, w, b: F.linear(x, w if hasattr(F, "OPS") else w.T, b), sized("nk", "km", "m")),
    "bilinear": Call(lambda F, x, y, w, b: F.bilinear(x, y, w, b), sized("na", "nb", "oab", "o")),
}

CALLS = {**REDUCTIONS, **SCANS, **MOVEMENT, **PRODUCTS}

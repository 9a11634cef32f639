"""Random calls of functions along axes, for derivative_cases."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import chainrule as cr
from cases.derivative_draws import Call, Generator, Rng, axes_of, distinct, draw, pick_one, some_shape
from chainrule.ops._op import OPS, apply
from reference.bits import Array


def _values(rng: Rng, shape: tuple[int, ...]) -> Array:
    """Distinct, and none near 0."""
    x = distinct(rng, shape)
    return np.asarray(np.where(x < 0, x - 0.3, x + 0.3))


def over_axes(name: str, rng: Rng) -> Call:
    x = _values(rng, some_shape(rng, 1))
    options: dict[str, Any] = {"axis": axes_of(rng, x.ndim) or None, "keepdims": bool(rng.integers(2))}
    if name in ("var", "std"):
        x = np.concatenate([x, x[:1] + 0.7])  # at least two values
        options["axis"], options["ddof"] = pick_one(rng, (0, None)), int(rng.integers(2))
    if name == "norm":
        x = (x - x.min() + 0.3) * rng.choice([-1, 1], x.shape)  # no two sizes equal
        options["ord"] = pick_one(rng, (1, 2, 2, 3, 2.5, np.inf, -np.inf))
    if name == "quantile":
        options["q"] = pick_one(rng, (0.3, (0.0, 0.45, 0.9)))
    return partial(getattr(cr, name), **options), [x]


def along(name: str, rng: Rng) -> Call:
    x = _values(rng, some_shape(rng, 1))
    axis = pick_one(rng, (None, *range(-x.ndim, x.ndim)))
    if name == "topk":
        return lambda x: cr.topk(x, 1, -1)[0], [x]
    if name in ("cummax", "cummin"):
        return lambda x: getattr(cr, name)(x, axis).values, [x]
    return partial(getattr(cr, name), axis=axis), [x]


def recurrence(rng: Rng) -> Call:
    shape = some_shape(rng, 1)
    attrs = int(rng.integers(len(shape))), bool(rng.integers(2))
    return lambda a, b: apply(OPS["recurrence"], (a, b), attrs), [draw(rng, shape), draw(rng, shape)]


def by_index(name: str, rng: Rng) -> Call:
    rows, columns, picks = (int(n) for n in rng.integers(1, 4, 3))
    index = rng.integers(0, columns, (rows, picks))
    x, values = draw(rng, (rows, columns)), draw(rng, (rows, picks))
    if name == "take_along_axis":
        return partial(cr.take_along_axis, indices=index, axis=1), [x]
    if name == "put_along_axis":
        return lambda x, v: cr.put_along_axis(x, index, v, 1), [x, values]
    return lambda x, v: getattr(cr, name)(x, 1, index, v), [x, values]


def masked(name: str, rng: Rng) -> Call:
    x = draw(rng, some_shape(rng, 1))
    mask = rng.random(x.shape) < 0.5
    mask.reshape(-1)[0] = True
    return (lambda x: cr.masked_fill(x, mask, 0.5) if name == "masked_fill" else cr.masked_select(x, mask)), [x]


def moved(name: str, rng: Rng) -> Call:
    x = draw(rng, (int(rng.integers(1, 4)), int(rng.integers(1, 4))))
    n = int(rng.integers(0, 3))
    calls: dict[str, Callable[..., cr.Tensor]] = {
        "pad": partial(
            cr.pad, pad_width=((n, 1), (0, n)), mode=pick_one(rng, ("constant", "edge", "symmetric", "wrap"))
        ),
        "ravel": cr.ravel,
        "diag": lambda x: cr.diag(x[0], n),
        "trace": partial(cr.trace, offset=0),
        "chunk": lambda x: cr.chunk(x, 2, 1)[0],
        "unbind": lambda x: cr.unbind(x, 1)[-1],
    }
    return calls[name], [x]


def grid(rng: Rng) -> Call:
    i = int(rng.integers(2))
    return lambda x, y: cr.meshgrid(x, y)[i], [draw(rng, (2,)), draw(rng, (int(rng.integers(1, 4)),))]


def summed(rng: Rng) -> Call:
    text, *shapes = pick_one(
        rng,
        (
            ("ij,jk->ik", (2, 3), (3, 2)),
            ("ij,ij->j", (2, 3), (2, 3)),
            ("bi,bij,bj->b", (2, 2), (2, 2, 3), (2, 3)),
            ("...i,...i", (2, 1, 2), (2, 2)),
            ("ii,ij->j", (2, 2), (2, 3)),
            ("i,j->ij", (2,), (3,)),
            ("ij->", (2, 3)),
        ),
    )
    return partial(cr.einsum, text), [draw(rng, shape) for shape in shapes]


def covariance(name: str, rng: Rng) -> Call:
    return getattr(cr, name), [draw(rng, (3, int(rng.integers(4, 7))))]


CASES: dict[str, Generator] = {
    **{
        name: partial(over_axes, name)
        for name in ("prod", "median", "logsumexp", "amax", "amin", "var", "std", "norm", "quantile")
    },
    **{name: partial(along, name) for name in ("cumsum", "cumprod", "cummax", "cummin", "sort", "topk")},
    "recurrence": recurrence,
    **{name: partial(by_index, name) for name in ("take_along_axis", "put_along_axis", "scatter_add")},
    **{name: partial(masked, name) for name in ("masked_fill", "masked_select")},
    **{name: partial(moved, name) for name in ("pad", "ravel", "diag", "trace", "chunk", "unbind")},
    "meshgrid": grid,
    "einsum": summed,
    "cov": partial(covariance, "cov"),
    "corrcoef": partial(covariance, "corrcoef"),
}

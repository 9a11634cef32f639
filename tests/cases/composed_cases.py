"""Functions that are made of others, by formula: rows for `op_cases`, and random calls for `derivative_cases`."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import chainrule as cr
from cases.derivative_draws import Call, Generator, Rng, draw, pick_one
from reference import REFERENCE, ROWWISE
from reference.bits import Array
from reference.table import ORDINARY, Interval

Shape = tuple[int, ...]


class Row(NamedTuple):
    name: str
    shapes: tuple[Shape, ...]
    function: Callable[..., cr.Tensor]
    reference: Callable[..., Array]
    note: str = ""
    domain: Interval = ORDINARY
    kinks: tuple[float, ...] = ()
    differentiable: bool = True


VECTORS: tuple[tuple[Shape, ...], ...] = (((),), ((67,),), ((3, 1, 5),), ((2, 0, 3),))


def value_of(name: str) -> Callable[..., Array]:
    return REFERENCE[name].value


def elementwise(
    name: str,
    reference: Callable[..., Array],
    kinks: tuple[float, ...] = (),
    domain: Interval = ORDINARY,
    shapes: tuple[tuple[Shape, ...], ...] = VECTORS,
    **options: Any,
) -> Iterator[Row]:
    note = " ".join(map(str, options.values()))
    for shape in shapes:
        yield Row(name, shape, partial(getattr(cr, name), **options), reference, note, domain, kinks)


# Activations.


def number(x: Array, value: float) -> Any:
    return x.dtype.type(value)


def celu(x: Array, alpha: float) -> Array:
    a, low = number(x, alpha), np.minimum(x, number(x, 0))
    return np.asarray(np.maximum(x, number(x, 0)) + value_of("expm1")(np.asarray(low / a)) * a)


def glu(x: Array, axis: int) -> Array:
    values, gates = np.split(x, 2, axis)
    return np.asarray(values * value_of("sigmoid")(gates))


def softmin(x: Array, axis: int) -> Array:
    return ROWWISE["softmax"].value(-x, axis=axis)


def softplus(x: Array, beta: float, threshold: float | None) -> Array:
    scaled = np.asarray(x * number(x, beta))
    found = np.asarray(value_of("softplus")(scaled) / number(x, beta))
    return found if threshold is None else np.where(scaled > number(x, threshold), x, found)


def shrunk(x: Array, lambd: float, by: float) -> Array:
    return np.where(np.abs(x) <= number(x, lambd), number(x, 0), x - np.sign(x) * number(x, by))


def logit(x: Array) -> Array:
    return value_of("log")(np.asarray(x / (number(x, 1) - x)))


def activations() -> Iterator[Row]:
    yield from elementwise("relu6", lambda x: np.clip(x, number(x, 0), number(x, 6)), (0.0, 6.0))
    yield from elementwise(
        "hardswish", lambda x: x * np.clip(x + number(x, 3), number(x, 0), number(x, 6)) / number(x, 6), (-3.0, 3.0)
    )
    for alpha in (1.0, 0.4):
        yield from elementwise("celu", partial(celu, alpha=alpha), (0.0,), alpha=alpha)
    for low, value in ((0.5, -2.0), (-1.0, 0.25)):
        reference = lambda x, t=low, v=value: np.where(x <= number(x, t), number(x, v), x)  # noqa: E731
        yield from elementwise("threshold", reference, (low,), threshold=low, value=value)
    for lambd in (0.5, 0.3):
        yield from elementwise("softshrink", partial(shrunk, lambd=lambd, by=lambd), (-lambd, lambd), lambd=lambd)
        yield from elementwise("hardshrink", partial(shrunk, lambd=lambd, by=0.0), (-lambd, lambd), lambd=lambd)
    yield from elementwise("tanhshrink", lambda x: np.asarray(x - value_of("tanh")(x)))
    yield from elementwise("logit", logit, domain=(0.05, 0.95))
    for beta, threshold in ((2.5, None), (0.7, 1.0)):
        options = {"beta": beta, "threshold": threshold}
        kinks = () if threshold is None else (threshold / beta,)
        yield from elementwise("softplus", partial(softplus, **options), kinks, **options)
    for shape, axis in (((6,), 0), ((3, 4), -1), ((4, 3), 0), ((2, 2, 3), 1)):
        yield Row("glu", (shape,), partial(cr.glu, axis=axis), partial(glu, axis=axis), f"{axis}")
        yield Row("softmin", (shape,), partial(cr.softmin, axis=axis), partial(softmin, axis=axis), f"{axis}")


def rows() -> Iterator[Row]:
    yield from activations()


NAMES = tuple(dict.fromkeys(row.name for row in rows() if row.name not in REFERENCE))
WITHOUT_GRADIENT = tuple(dict.fromkeys(row.name for row in rows() if not row.differentiable))


def elements(row: Row) -> int:
    sizes = [int(np.prod(shape)) for shape in row.shapes]
    return sum(sizes) if all(sizes) else 0


def random_call(choices: list[Row], rng: Rng) -> Call:
    row = pick_one(rng, choices)
    return row.function, [draw(rng, shape, row.domain, row.kinks) for shape in row.shapes]


def _random() -> Iterator[tuple[str, Generator]]:
    """A row of few elements, with random numbers."""
    for name in NAMES:
        small = [r for r in rows() if r.name == name and r.differentiable and 0 < elements(r) < 40]
        if small:
            yield name, partial(random_call, small)


RANDOM: dict[str, Generator] = dict(_random())

"""Functions that are made of others, by formula: rows for `op_cases`, and random calls for `derivative_cases`."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import chainrule as cr
from cases.derivative_draws import Call, Generator, Rng, apart, broadcasting, draw, pick_one
from reference import REFERENCE, ROWWISE, axes, matmul, reduce
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


def number(x: Any, value: float) -> Any:
    return np.dtype(x.dtype).type(value)


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


# Arithmetic.

PAIRS: tuple[tuple[Shape, ...], ...] = (((5,), ()), ((4, 1), (1, 3)), ((2, 3, 4), (4,)), ((0, 3), (1, 3)))
TRIPLES: tuple[tuple[Shape, ...], ...] = (((4, 5), (4, 5), (4, 5)), ((5,), (4, 1), ()), ((3, 1, 1), (2, 1), (1, 4)))


def lerp(start: Array, end: Array, weight: Any) -> Array:
    one, between = number(start, 1), end - start
    w = np.asarray(weight, start.dtype)
    return np.where(w < number(start, 0.5), start + w * between, end - (one - w) * between)


def copysign(a: Array, b: Array) -> Array:
    return np.where(np.signbit(b), -np.abs(a), np.abs(a))


def sinc(x: Array) -> Array:
    z = np.asarray(x * number(x, math.pi))
    near, factors = np.abs(z) < 1, [(-1) ** n / math.factorial(2 * n + 1) for n in range(11)]
    w = np.where(near, z, number(x, 0)) ** 2
    series = w * number(x, factors[-1]) + number(x, factors[-2])
    for factor in reversed(factors[:-2]):
        series = series * w + number(x, factor)
    far = np.where(near, number(x, 1), z)
    return np.where(near, series, value_of("sin")(far) / far)


def is_close(a: Array, b: Array) -> Array:
    return np.abs(a - b) <= np.abs(b) * number(a, 0.25) + number(a, 0.5)


def arithmetic() -> Iterator[Row]:
    for weight in (0.25, 0.75):
        yield from elementwise("lerp", partial(lerp, weight=weight), shapes=PAIRS, weight=weight)
    yield from elementwise("lerp", lerp, shapes=TRIPLES)
    yield from elementwise("addcmul", lambda a, b, c: a + b * c * number(a, 0.3), shapes=TRIPLES, value=0.3)
    yield from elementwise("addcdiv", lambda a, b, c: a + b / c * number(a, 0.3), (), (0.5, 3.0), TRIPLES, value=0.3)
    yield from elementwise("copysign", copysign, (0.0,), shapes=PAIRS)
    yield from elementwise("frac", lambda x: x - np.trunc(x), (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0))
    yield from elementwise("deg2rad", lambda x: np.asarray(x * number(x, math.pi / 180)))
    yield from elementwise("rad2deg", lambda x: np.asarray(x * number(x, 180 / math.pi)))
    yield from elementwise("fmax", np.maximum, shapes=PAIRS)
    yield from elementwise("fmin", np.minimum, shapes=PAIRS)
    yield from elementwise("nan_to_num", np.copy)
    yield from elementwise("sinc", sinc)
    for shapes in PAIRS:
        yield Row("isclose", shapes, partial(cr.isclose, rtol=0.25, atol=0.5), is_close, differentiable=False)
        yield Row("isin", shapes, cr.isin, np.isin, differentiable=False)


# Products, differences, distances.


def trapezoid(y: Array, x: Array | None = None, axis: int = -1) -> Array:
    n, half = y.shape[axis], number(y, 2)
    later, earlier = (np.take(y, range(k, n - 1 + k), axis) for k in (1, 0))
    steps: Any = number(y, 1) if x is None else np.diff(x)
    return reduce.sum(np.asarray((later + earlier) * steps / half), axis)


def cdist(a: Array, b: Array, p: float) -> Array:
    d = a[..., :, None, :] - b[..., None, :, :]
    sizes = np.abs(d)
    if p == 1:
        return reduce.sum(sizes, -1)
    size = sizes.max(-1)
    return size if p == np.inf else size * np.sqrt(reduce.sum(np.asarray((d / size[..., None]) ** 2), -1))


def combinations() -> Iterator[Row]:
    factors = {"beta": 0.5, "alpha": 0.3}
    for name, shapes in (
        ("addmm", ((3,), (2, 4), (4, 3))),
        ("addmm", ((2, 3), (2, 4), (4, 3))),
        ("baddbmm", ((2, 1, 3), (2, 2, 4), (2, 4, 3))),
        ("addmv", ((2,), (2, 4), (4,))),
    ):
        reference = lambda c, a, b: c * number(c, 0.5) + matmul(a, b) * number(c, 0.3)  # noqa: E731
        yield Row(name, shapes, partial(getattr(cr, name), **factors), reference, "factors")
        yield Row(name, shapes, partial(getattr(cr, name), beta=0), lambda c, a, b: matmul(a, b) * number(c, 1))
    for pair in (((3,), (4,)), ((2, 3), (2, 2)), ((2, 1, 2), (3,)), ((), (2, 2))):
        yield Row("kron", pair, cr.kron, np.kron)
    for n, axis in ((1, -1), (2, 0), (0, 0), (4, 1)):
        yield Row("diff", ((4, 3),), partial(cr.diff, n=n, axis=axis), partial(np.diff, n=n, axis=axis), f"{n} {axis}")
    ends: Any = lambda f: lambda x, a: f(x, axis=0, prepend=a, append=number(a, 2))  # noqa: E731
    yield Row("diff", ((4, 3), (2, 3)), ends(cr.diff), ends(np.diff), "ends")
    for axis in (0, -1):
        yield Row("trapezoid", ((4, 3),), partial(cr.trapezoid, axis=axis), partial(trapezoid, axis=axis), f"{axis}")
    yield Row("trapezoid", ((2, 4), (4,)), cr.trapezoid, trapezoid, "x")
    for p in (1, 2, np.inf):
        for pair in (((3, 2), (4, 2)), ((2, 3, 2), (1, 4, 2))):
            yield Row("cdist", pair, partial(cr.cdist, p=p), partial(cdist, p=p), f"{p}")
    for name, spread in (("var_mean", axes.var), ("std_mean", axes.std)):
        for i, options in ((0, {"axis": 1}), (0, {"axis": (0, 1), "correction": 0}), (1, {"axis": 0})):
            take = lambda x, f=name, i=i, o=options: getattr(cr, f)(x, **o)[i]  # noqa: E731
            ddof = options.get("correction", 1)
            of = lambda x, f=spread, d=ddof, a=options["axis"]: f(x, axis=a, ddof=d, keepdims=False)  # noqa: E731
            mean = lambda x, a=options["axis"]: reduce.mean(x, a)  # noqa: E731
            yield Row(name, ((3, 4),), take, mean if i else of, f"{options}")


# Elements that move.

MOVING: tuple[tuple[str, tuple[Shape, ...], tuple[Any, ...], Any], ...] = (
    ("positive", ((2, 3),), (), np.positive),
    ("flipud", ((3, 2),), (), np.flipud),
    ("fliplr", ((3, 2, 2),), (), np.fliplr),
    *(("rot90", ((2, 3, 4),), (k, axes), np.rot90) for k in range(-1, 4) for axes in ((0, 1), (2, 1))),
    ("narrow", ((4, 3),), (0, 1, 2), lambda x: x[1:3]),
    ("narrow", ((4, 3),), (-1, -2, 1), lambda x: x[:, 1:2]),
    ("select", ((4, 3),), (1, -1), lambda x: x[:, -1]),
    ("index_select", ((4, 3),), (1, [2, 0, 2]), lambda x: x[:, [2, 0, 2]]),
    ("atleast_1d", ((),), (), np.atleast_1d),
    ("atleast_2d", ((3,),), (), np.atleast_2d),
    ("atleast_3d", ((3,),), (), np.atleast_3d),
    ("atleast_3d", ((3, 2),), (), np.atleast_3d),
)


def index_added(x: Array, source: Array) -> Array:
    sums = np.zeros_like(x)
    np.add.at(sums, (slice(None), [2, 0, 2]), source * number(x, 0.3))
    return x + sums


def moving() -> Iterator[Row]:
    for name, shapes, arguments, reference in MOVING:
        function = lambda *x, f=name, a=arguments: getattr(cr, f)(*x, *a)  # noqa: E731
        if name == "rot90":
            reference = lambda x, a=arguments: np.rot90(x, *a)  # noqa: E731
        yield Row(name, shapes, function, reference, f"{arguments}")
    for name in ("dstack", "column_stack"):
        for shape in ((3,), (3, 2)):
            function, reference = getattr(cr, name), getattr(np, name)
            yield Row(name, (shape, shape), lambda *x, f=function: f(x), lambda *x, f=reference: f(x))
    for i in range(2):
        yield Row(
            "broadcast_tensors",
            ((2, 1), (3,)),
            lambda *x, i=i: cr.broadcast_tensors(*x)[i],
            lambda *x, i=i: np.broadcast_arrays(*x)[i],
            f"{i}",
        )
    added = lambda x, source: cr.index_add(x, 1, [2, 0, 2], source, alpha=0.3)  # noqa: E731
    yield Row("index_add", ((2, 3), (2, 3)), added, index_added)


def rows() -> Iterator[Row]:
    yield from activations()
    yield from arithmetic()
    yield from combinations()
    yield from moving()


MOVED = ("broadcast_tensors", "dstack", "column_stack", *{name for name, *_ in MOVING})
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
        small = [r for r in rows() if r.name == name and r.differentiable and 0 < elements(r) < 60]
        if small:
            yield name, partial(random_call, small)


RANDOM: dict[str, Generator] = dict(_random()) | {
    "fmax": lambda rng: (cr.fmax, apart(rng, broadcasting(rng, 2))),
    "fmin": lambda rng: (cr.fmin, apart(rng, broadcasting(rng, 2))),
    # Where differences mean something: no coordinates that cross, no end of the interval, no slope that is nearly 0.
    "cdist": lambda rng: (partial(cr.cdist, p=float(rng.integers(1, 4))), [draw(rng, (3, 2)), draw(rng, (2, 2)) + 5]),
    "logit": lambda rng: (cr.logit, [draw(rng, (int(rng.integers(1, 7)),), (0.25, 0.75))]),
    "tanhshrink": lambda rng: (cr.tanhshrink, [draw(rng, (int(rng.integers(1, 7)),), (0.25, 2.0))]),
}

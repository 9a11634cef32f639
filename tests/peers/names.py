"""Names that programs in PyTorch's words use: small functions, methods of tensors, padding."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from peers.call import Call, Draw, Generator, shape_of
from reference.bits import Array

__all__ = ["CALLS"]

REAL, POSITIVE, UNIT = (-3.0, 3.0), (0.3, 4.0), (0.05, 0.95)


def inside(*domains: tuple[float, float]) -> Draw:
    """Arguments of one shape."""

    def draw(rng: Generator) -> list[Array]:
        shape = shape_of(rng)
        return [rng.uniform(low, high, shape) for low, high in domains]

    return draw


def of_shapes(*shapes: tuple[int, ...], domain: tuple[float, float] = REAL) -> Draw:
    """Arguments of these shapes."""
    return lambda rng: [rng.uniform(*domain, shape) for shape in shapes]


def named(name: str) -> Callable[..., Any]:
    """The function of this name in either library."""
    return lambda F, *xs: getattr(F, name)(*xs)


def method(name: str, *arguments: Any, **options: Any) -> Callable[..., Any]:
    """The method of the first tensor."""
    return lambda F, x, *xs: getattr(x, name)(*xs, *arguments, **options)


def by_index(rng: Generator) -> list[Array]:
    """A matrix, indices of its columns with repetitions, and parts for them."""
    return [rng.uniform(-3, 3, (3, 4)), rng.integers(0, 4, 6), rng.uniform(-3, 3, (3, 6))]


def grid(values: Array) -> Draw:
    """Numbers of which some are special."""
    return lambda rng: [rng.choice(values, 9), rng.choice(values, 9)]


UNARY: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(("relu6", "hardswish", "celu", "tanhshrink", "softshrink", "hardshrink", "frac", "sinc"), REAL),
    **dict.fromkeys(("deg2rad", "rad2deg"), REAL),
    **dict.fromkeys(["negative", "positive", "absolute", "nan_to_num", "fix", "flipud"], REAL),
    **dict.fromkeys(["logit"], UNIT),
}
METHODS: Mapping[str, Call] = {
    f"x.{name}": Call(method(name, *arguments), draw)
    for name, arguments, draw in (
        *((name, (), inside(REAL, POSITIVE)) for name in ["add", "sub", "mul", "div", "copysign", "fmax", "fmin"]),
        *((name, (), inside(REAL, REAL)) for name in ["eq", "ne", "lt", "le", "gt", "ge"]),
        *((name, (), inside(REAL)) for name in ["neg", "sign", "negative", "absolute", "frac", "nan_to_num"]),
        *((name, (), of_shapes((2, 3), (3, 4))) for name in ("mm", "matmul")),
        ("bmm", (), of_shapes((2, 3, 4), (2, 4, 2))),
        ("mv", (), of_shapes((2, 3), (3,))),
        ("outer", (), of_shapes((3,), (4,))),
        ("addmm", (), of_shapes((4,), (2, 3), (3, 4))),
        ("lerp", (0.3,), inside(REAL, REAL)),
        ("lerp", (), inside(REAL, REAL, (-0.5, 1.5))),
        ("expand_as", (), of_shapes((3, 1), (2, 3, 4))),
        ("view_as", (), of_shapes((3, 4), (2, 6))),
        ("narrow", (1, 1, 2), of_shapes((3, 4))),
        ("select", (1, -2), of_shapes((3, 4))),
    )
}
SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 2.5, -2.5, np.inf, -np.inf, np.nan])

CALLS: dict[str, Call] = {
    **{name: Call(named(name), inside(domain)) for name, domain in UNARY.items()},
    **METHODS,
    **{name: Call(named(name), inside(REAL, REAL)) for name in ["subtract", "multiply", "copysign", "fmax", "fmin"]},
    **{name: Call(named(name), inside(REAL, REAL)) for name in ["eq", "ne", "lt", "le", "gt", "ge", "isclose"]},
    **{f"{name} of special values": Call(named(name), grid(SPECIAL), 0) for name in ["isclose", "fmax", "fmin"]},
    "copysign of special values": Call(named("copysign"), grid(SPECIAL[:-1]), 0),
    "isclose of two NaN": Call(lambda F, x, y: F.isclose(x, y, 0.1, 0.2, equal_nan=True), grid(SPECIAL), 0),
    "nan_to_num of special values": Call(
        lambda F, x, y: [F.nan_to_num(x), F.nan_to_num(x, 1.5, 2.0, -3.0)], grid(SPECIAL), 1
    ),
    "divide": Call(named("divide"), inside(REAL, POSITIVE)),
    "add of alpha": Call(
        lambda F, x, y: [F.add(x, y, alpha=0.3), x.sub(y, alpha=2), x.add(1.5, alpha=2)], inside(REAL, REAL)
    ),
    "div rounded": Call(
        lambda F, x, y: [F.div(x, y, rounding_mode=mode) for mode in (None, "floor", "trunc")], inside(REAL, POSITIVE)
    ),
    "div of integers rounded": Call(
        lambda F, x, y: [F.div(x, y, rounding_mode=mode) for mode in ("floor", "trunc")],
        lambda rng: [rng.integers(-9, 10, 12), rng.choice([-3, -2, -1, 1, 2, 3], 12)],
        0,
    ),
    "x.where": Call(lambda F, x, y: x.where(x > 0.5, y), inside(REAL, REAL)),
    "x.type_as": Call(lambda F, x, y: (x > 0).type_as(x) * y, inside(REAL, REAL)),
    "x.new_": Call(
        lambda F, x: [x.new_zeros(2, 3), x.new_ones((2,)), x.new_full((2,), 3.0), x * x.new_tensor(2.0)], inside(REAL)
    ),
    "celu of alpha": Call(lambda F, x: F.celu(x, 0.5), inside(REAL)),  # of 0.4 PyTorch takes the float32 number
    "glu": Call(lambda F, x: [F.glu(x), F.glu(x, dim=0)], of_shapes((4, 6))),
    "softmin": Call(lambda F, x: [F.softmin(x, dim=-1), F.softmin(x, dim=0)], of_shapes((4, 3))),
    "threshold": Call(lambda F, x: F.threshold(x, 0.3, -1.5), inside(REAL)),
    "shrink of lambd": Call(lambda F, x: [F.softshrink(x, 0.2), F.hardshrink(x, 1.1)], inside(REAL)),
    "activations of special values": Call(
        lambda F, x, y: [
            F.relu6(x),
            F.hardshrink(x),
            F.threshold(x, 0.5, 2.0),
            F.celu(x),
            F.softplus(x),
            F.hardswish(x),
        ],
        grid(SPECIAL),
        0,
    ),
    "softplus": Call(
        lambda F, x: [F.softplus(x, beta=2.0), F.softplus(x, 0.5, 1.0), F.softplus(x, threshold=0.5)], inside(REAL)
    ),
    "logit of eps": Call(lambda F, x: F.logit(x, eps=0.2), inside(UNIT)),
    "expit": Call(named("expit"), inside(REAL)),
    "lerp": Call(lambda F, x, y: [F.lerp(x, y, w) for w in (0.0, 0.25, 0.5, 0.8, 1.0, -0.3)], inside(REAL, REAL)),
    "addcmul": Call(
        lambda F, x, y, z: [F.addcmul(x, y, z, value=0.3), F.addcdiv(x, y, z, value=0.3)], inside(REAL, REAL, POSITIVE)
    ),
    "addmm": Call(
        lambda F, c, a, b: [F.addmm(c, a, b), F.addmm(c, a, b, beta=0.5, alpha=2.0)], of_shapes((2, 4), (2, 3), (3, 4))
    ),
    "addmm without input": Call(
        lambda F, c, a, b: F.addmm(c * float("nan"), a, b, beta=0), of_shapes((2, 4), (2, 3), (3, 4)), 0
    ),
    "baddbmm": Call(
        lambda F, c, a, b: F.baddbmm(c, a, b, beta=0.5, alpha=2.0), of_shapes((2, 2, 4), (2, 2, 3), (2, 3, 4))
    ),
    "addmv": Call(lambda F, c, a, b: F.addmv(c, a, b, beta=0.5, alpha=2.0), of_shapes((2,), (2, 3), (3,))),
    "mv": Call(named("mv"), of_shapes((2, 3), (3,))),
    "kron": Call(named("kron"), of_shapes((2, 3), (3, 1, 2))),
    "diff": Call(
        lambda F, x: [F.diff(x), F.diff(x, n=2, dim=0), F.diff(x, dim=0, prepend=x[:1] * 2, append=x)],
        of_shapes((4, 3)),
    ),
    "trapezoid": Call(
        lambda F, y, x: [F.trapezoid(y), F.trapezoid(y, dx=0.3, dim=0), F.trapezoid(y, x), F.trapz(y)],
        of_shapes((4, 3), (3,)),
    ),
    **{
        f"cdist of p = {p}": Call(lambda F, x, y, p=p: F.cdist(x, y, p=p), of_shapes((2, 3, 4), (2, 5, 4)), 1)
        for p in (1.0, 2.0, float("inf"))
    },
    "var_mean": Call(
        lambda F, x: [
            F.var_mean(x),
            F.var_mean(x, dim=1),
            F.std_mean(x, dim=0, keepdim=True),
            F.std_mean(x, (0, 1), correction=0),
        ],
        of_shapes((3, 4)),
    ),
    "rot90": Call(
        lambda F, x: [F.rot90(x, k, axes) for k in range(-1, 4) for axes in ((0, 1), (2, 0))], of_shapes((2, 3, 4))
    ),
    "flips": Call(lambda F, x: [F.flipud(x), F.fliplr(x)], of_shapes((2, 3, 4))),
    "narrow": Call(lambda F, x: [F.narrow(x, 1, 1, 2), F.narrow(x, 0, -2, 1), F.select(x, 1, 2)], of_shapes((3, 4))),
    "stacks": Call(
        lambda F, x, y: [F.dstack((x, y)), F.column_stack((x, y)), F.row_stack((x, y))], of_shapes((3, 2), (3, 2))
    ),
    "stacks of vectors": Call(
        lambda F, x, y: [F.dstack((x, y)), F.column_stack((x, y)), F.row_stack((x, y))], of_shapes((3,), (3,))
    ),
    "ranks": Call(lambda F, x: [F.atleast_1d(x), F.atleast_2d(x), F.atleast_3d(x)], inside(REAL)),
    "broadcast_tensors": Call(lambda F, x, y: F.broadcast_tensors(x, y), of_shapes((3, 1), (2, 1, 4))),
    "concat": Call(lambda F, x, y: [F.concat((x, y)), F.concat((x, y), dim=1)], of_shapes((3, 2), (3, 2))),
    "movedim": Call(
        lambda F, x: [F.movedim(x, 0, 2), F.movedim(x, (0, 1), (1, 0)), F.swapdims(x, 0, -1)], of_shapes((2, 3, 4))
    ),
    "index_select": Call(lambda F, x, i, s: [F.index_select(x, 1, i), x.index_select(1, i)], by_index),
    "index_add": Call(
        lambda F, x, i, s: [F.index_add(x, 1, i, s), F.index_add(x, 1, i, s, alpha=0.3), x.index_add(1, i, s)], by_index
    ),
    "isin": Call(
        lambda F, x, y: [F.isin(x, y), F.isin(x, y, invert=True)],
        lambda rng: [rng.integers(0, 6, (3, 4)), rng.integers(0, 6, 3)],
        0,
    ),
}

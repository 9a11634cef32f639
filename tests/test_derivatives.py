"""All derivatives of every differentiable function on random calls: against differences in float64 and each other."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from cases.derivative_cases import CASES
from cases.derivative_draws import GAP
from reference.bits import Array

CALLS, ALL_CALLS = 20, 200  # quick, full
LONG = {f"nn.Transformer{part}" for part in ("", "Encoder", "EncoderLayer", "Decoder", "DecoderLayer")}  # slow
STEP = 2.0**-10
WEIGHTS = (45.0, -9.0, 1.0)  # central differences of order 6: sum of w_k * (f(kh) - f(-kh)) / 60h, k = 1, 2, 3
ROUNDING = 16 * 2.0**-53 / STEP  # differences of gradients whose terms are of order 1, though they may cancel

Function = Callable[..., Any]
Arrays = Sequence[Array]


def quick(name: str) -> range:
    """The calls of the quick tests."""
    return range(5 if name in LONG else CALLS)


def calls(
    name: str, numbers: Sequence[int] = range(CALLS)
) -> Iterator[tuple[int, np.random.Generator, Function, list[Array]]]:
    for number in numbers:
        rng = np.random.default_rng([number, zlib.crc32(name.encode())])
        function, arrays = CASES[name](rng)
        yield number, rng, function, arrays


def direction(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Multiples of 1/8 up to 2, none 0: exact in float32, where a cast is differentiated."""
    return np.asarray(rng.integers(1, 17, shape) * rng.choice([-1, 1], shape) / 8)


def difference(function: Callable[[list[Array]], Array], at: Arrays, along: Arrays) -> Array:
    """The derivative of an array along a direction."""
    assert 3 * STEP * 2 < GAP
    total: Any = 0.0
    for k, w in enumerate(WEIGHTS, 1):
        ends = [function([x + s * k * STEP * t for x, t in zip(at, along, strict=True)]) for s in (1, -1)]
        total = total + w * (ends[0] - ends[1])
    return np.asarray(total / (60 * STEP))


def values(function: Function, arrays: Arrays) -> Array:
    return np.asarray(function(*map(cr.tensor, arrays)).numpy())


def flat(parts: Sequence[Any]) -> Array:
    return np.concatenate([np.asarray(part).reshape(-1) for part in parts])


def jacobian(function: Callable[[list[Array]], Array], at: list[Array]) -> list[Array]:
    """By differences: for each argument an array of shape (elements of the result, elements of the argument)."""
    found = []
    for i, x in enumerate(at):
        columns = []
        for j in range(x.size):
            e = np.zeros(x.size)
            e[j] = 1.0
            part = lambda v, i=i: function([*at[:i], *v, *at[i + 1 :]])  # noqa: E731
            columns.append(difference(part, [x], [e.reshape(x.shape)]).reshape(-1))
        found.append(np.stack(columns, axis=1))
    return found


def largest(*arrays: Any) -> float:
    return max(float(np.max(np.abs(x), initial=0.0)) for x in arrays)


def assert_close(got: Any, expected: Any, allowed: float, what: str) -> None:
    a, b = np.asarray(got), np.asarray(expected)
    assert a.shape == b.shape, f"{what}: {a.shape} instead of {b.shape}"
    wrong = largest(a - b)
    assert wrong <= allowed, f"{what}: differs by {wrong}, allowed {allowed}:\n{a}\n{b}"


each_name = pytest.mark.parametrize("name", sorted(CASES))


@each_name
def test_first_derivatives(name: str) -> None:
    check_first(name, quick(name))


@each_name
def test_second_derivatives(name: str) -> None:
    check_second(name, quick(name))


@pytest.mark.full
@each_name
def test_more_derivatives(name: str, record_property: Callable[[str, object], None]) -> None:
    numbers = range(len(quick(name)), ALL_CALLS)
    check_first(name, numbers)
    check_second(name, numbers)
    record_property("calls", len(numbers))


def check_first(name: str, numbers: Sequence[int]) -> None:
    for number, rng, function, arrays in calls(name, numbers):
        what = f"{name}, call {number}"
        y, pullback = cr.vjp(function, *arrays)
        g = direction(rng, y.shape)
        tangents = [direction(rng, x.shape) for x in arrays]
        gradients = [d.numpy() for d in pullback(g)]
        again, pushed = cr.jvp(function, arrays, tangents)
        assert again.numpy().tobytes() == y.numpy().tobytes()

        numerical = jacobian(lambda v, f=function: values(f, v), arrays)
        noise = 1e-11 * max(1.0, largest(y.numpy()))  # of numbers that were subtracted
        for x, d, t in zip(arrays, gradients, numerical, strict=True):
            expected = (g.reshape(-1) @ t).reshape(x.shape)
            assert_close(d, expected, 1e-7 * largest(expected) + noise, f"{what}, reverse")
        expected = sum(t @ v.reshape(-1) for t, v in zip(numerical, tangents, strict=True))
        assert_close(pushed.numpy().reshape(-1), expected, 1e-7 * largest(expected) + noise, f"{what}, forward")

        # <g, J t> = <J^T g, t>, relative to what is added up.
        left = (g * pushed.numpy()).reshape(-1)
        right = flat([d * t for d, t in zip(gradients, tangents, strict=True)])
        assert abs(left.sum() - right.sum()) <= 1e-12 * (np.abs(left).sum() + np.abs(right).sum()), what


def check_second(name: str, numbers: Sequence[int]) -> None:
    for number, rng, function, arrays in calls(name, numbers):
        what = f"{name}, call {number}"
        g = direction(rng, values(function, arrays).shape)
        tangents = [direction(rng, x.shape) for x in arrays]
        places = tuple(range(len(arrays)))

        def curved(*x: Any, f: Function = function, g: Array = g) -> cr.Tensor:
            return cr.sum(cr.square(f(*x)) * g)  # linear functions have a second derivative then, too

        gradient = cr.grad(curved, places)

        def slope(*x: Any, gradient: Function = gradient, v: Arrays = tangents) -> cr.Tensor:
            return cr.sum(cr.stack([cr.sum(d * t) for d, t in zip(gradient(*x), v, strict=True)]))

        first, forward = map(flat, cr.jvp(gradient, arrays, tangents))
        reverse = flat(cr.grad(slope, places)(*arrays))
        twice = cr.jvp(lambda *x, f=curved, v=tangents: cr.jvp(f, x, v)[1], arrays, tangents)[1].item()
        numerical = difference(lambda v, f=gradient: flat(f(*v)), arrays, tangents)
        size = largest(first, numerical)
        noise = 1e-11 * size + ROUNDING
        assert_close(forward, numerical, 1e-7 * largest(numerical) + noise, f"{what}, forward over reverse")
        assert_close(reverse, forward, 1e-12 * size, f"{what}, reverse over reverse")
        along = forward * flat(tangents)
        assert_close(twice, along.sum(), 1e-12 * (np.abs(along).sum() + size), f"{what}, forward over forward")

"""int64 and bool tensors: NumPy's values, the dtypes of docs/arithmetic.md, on every level, eager and compiled."""

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import _core
from chainrule.ops._op import OPS
from reference.bits import Array
from support.variants import every_setting

LEAST = np.iinfo(np.int64).min
SHAPES = [
    ((), ()),
    ((7,), ()),
    ((3, 4), (4,)),
    ((2, 1, 3), (4, 1)),
    ((0, 3), (1, 3)),
    ((300, 5), (300, 1)),
    ((5, 1), (67,)),
]
INTEGERS = (
    operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod, operator.and_, operator.or_,
    operator.xor, operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge, np.maximum, np.minimum,
    np.logical_and, np.logical_or, np.logical_xor,
)  # fmt: skip
BOOLS = tuple(f for f in INTEGERS if f not in (operator.sub, operator.floordiv, operator.mod))
UNARY = (
    operator.neg,
    operator.abs,
    operator.invert,
    np.square,
    np.sign,
    np.logical_not,
    np.isnan,
    np.isfinite,
    np.isinf,
)
REDUCTIONS = ("sum", "prod", "max", "min", "any", "all", "count_nonzero", "argmax", "argmin")


def draw(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> Array:
    """Integers, none of them 0, some near the ends of int64; or bools."""
    if kind == "bool":
        return np.asarray(rng.random(shape) < 0.5)
    x = np.asarray(rng.integers(1, 40, shape) * rng.choice([-1, 1], shape))
    return np.where(rng.random(shape) < 0.2, np.where(x < 0, LEAST - x - 1, x - LEAST), x) if x.size > 9 else x


def check(result: Any, expected: Any, note: str) -> None:
    expected = np.asarray(expected)
    assert isinstance(result, cr.Tensor), note
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape), note
    assert np.array_equal(result.numpy(), expected), note


@pytest.mark.parametrize("function", INTEGERS, ids=lambda f: f.__name__)
def test_two_operands(function: Callable[..., Any]) -> None:
    rng = np.random.default_rng(1)
    kinds = [("int", "int"), ("int", "bool"), ("bool", "int"), *([("bool", "bool")] if function in BOOLS else [])]
    if function in (operator.floordiv, operator.mod):
        kinds = [("int", "int"), ("bool", "int")]
    for of_a, of_b in kinds:
        for shapes in SHAPES:
            a, b = (draw(rng, s, kind) for s, kind in zip(shapes, (of_a, of_b), strict=True))
            expected = function(a, b)
            compiled = cr.compile(function)
            for setting in every_setting(threads=(1, 3)):
                note = f"{setting}, {of_a}, {of_b}, {shapes}"
                check(function(cr.tensor(a), cr.tensor(b)), expected, note)
                check(compiled(cr.tensor(a), cr.tensor(b)), expected, f"{note}, compiled")
            check(function(cr.tensor(a), b), expected, "array")
            check(function(a, cr.tensor(b)), expected, "array on the left")
            if a.ndim:
                check(function(cr.tensor(a), b.tolist()), expected, "list")


@pytest.mark.parametrize("function", UNARY, ids=lambda f: f.__name__)
def test_one_operand(function: Callable[..., Any]) -> None:
    rng = np.random.default_rng(2)
    for shape in ((), (67,), (3, 1, 5), (0, 2)):
        x = draw(rng, shape, "int")
        for setting in every_setting(threads=(1, 3)):
            check(function(cr.tensor(x)), function(x), setting)
            check(cr.compile(function)(cr.tensor(x)), function(x), setting)
        if function in (operator.abs, operator.invert, np.logical_not, np.isnan, np.isfinite, np.isinf):
            mask = draw(rng, shape, "bool")
            check(function(cr.tensor(mask)), function(mask), "bool")


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("kind", ["int", "bool"])
def test_reductions(name: str, kind: str) -> None:
    rng = np.random.default_rng(3)
    for shape in ((5,), (3, 4), (2, 3, 4), (1, 300, 3), (40, 67)):
        x = draw(rng, shape, kind)
        for axis in (None, 0, -1, *([(0, 1), (0, 2)][: x.ndim - 1] if "arg" not in name else ())):
            for keepdims in (False, True):
                function = partial(getattr(np, name), axis=axis, keepdims=keepdims)
                expected = np.asarray(function(x))
                for setting in every_setting(threads=(1, 3)):
                    check(function(cr.tensor(x)), expected, f"{setting}, {shape}, {axis}")
                check(cr.compile(function)(cr.tensor(x)), expected, "compiled")


def test_reductions_of_nothing() -> None:
    for dtype in (bool, np.int64):
        x = np.zeros((0, 3), dtype)
        for axis in (None, 0, 1):
            for name in ("sum", "prod", "any", "all", "count_nonzero"):
                check(getattr(cr, name)(cr.tensor(x), axis), getattr(np, name)(x, axis=axis), f"{name} {axis}")
        with pytest.raises(ValueError, match="no elements"):
            cr.max(cr.tensor(x))


def test_means_are_float32_of_exact_sums() -> None:
    x = np.array([[2**53, 1, 2**53], [3, 4, 6]])
    for axis in (None, 0, 1):
        mean = cr.mean(cr.tensor(x), axis)
        assert (mean.dtype, mean.tolist()) == (np.float32, np.mean(x, axis).astype(np.float32).tolist())
    assert cr.mean(cr.tensor([True, True, False])).item() == np.float32(2 / 3)


def test_the_measure_of_a_classifier() -> None:
    rng = np.random.default_rng(4)
    scores, labels = rng.normal(size=(50, 3)).astype(np.float32), rng.integers(0, 3, 50)
    accuracy = cr.compile(lambda s, y: ((s.argmax(1) == y).mean(), (s.argmax(1) == y).sum(), s.argmax(1) * 2 + y))
    for f in (accuracy, lambda s, y: ((s.argmax(1) == y).mean(), (s.argmax(1) == y).sum(), s.argmax(1) * 2 + y)):
        mean, count, codes = f(cr.tensor(scores), cr.tensor(labels))
        assert mean.item() == np.float32(np.mean(scores.argmax(1) == labels))
        assert count.item() == (scores.argmax(1) == labels).sum()
        assert codes.tolist() == (scores.argmax(1) * 2 + labels).tolist()


def test_masks() -> None:
    rng = np.random.default_rng(5)
    a, b, c, d = (rng.random(67) < 0.5 for _ in range(4))
    x = rng.normal(size=67).astype(np.float32)
    f = lambda a, b, c, d: a & b | ~c ^ d  # noqa: E731
    check(f(*map(cr.tensor, (a, b, c, d))), f(a, b, c, d), "eager")
    check(cr.compile(f)(*map(cr.tensor, (a, b, c, d))), f(a, b, c, d), "compiled")
    g = cr.compile(lambda x: cr.where((x > -0.5) & ~(x > 0.5), x, 0.0))
    assert g(cr.tensor(x)).tolist() == np.where((x > -0.5) & ~(x > 0.5), x, np.float32(0)).tolist()
    other = np.array([2, 0, 255], np.uint8).view(bool)  # True of other bytes than 1
    assert (cr.tensor(other) & cr.tensor([True] * 3)).tolist() == [True, False, True]


DTYPES: list[tuple[Callable[..., Any], Any]] = [
    (lambda i, m, f, d: i + m, np.int64),
    (lambda i, m, f, d: i + f, np.float32),
    (lambda i, m, f, d: d * i, np.float64),
    (lambda i, m, f, d: m * f, np.float32),
    (lambda i, m, f, d: m + m, np.bool_),
    (lambda i, m, f, d: m // m.long().clip(1), np.int64),
    (lambda i, m, f, d: i / i.abs().clip(1), np.float32),
    (lambda i, m, f, d: m / True, np.float32),
    (lambda i, m, f, d: i * 2, np.int64),
    (lambda i, m, f, d: i * 2.5, np.float32),
    (lambda i, m, f, d: 2.5 - i, np.float32),
    (lambda i, m, f, d: i + True, np.int64),
    (lambda i, m, f, d: m * 2, np.int64),
    (lambda i, m, f, d: m + True, np.bool_),
    (lambda i, m, f, d: m * 0.5, np.float32),
    (lambda i, m, f, d: i * np.float64(0.5), np.float32),
    (lambda i, m, f, d: i + np.int8(3), np.int64),
    (lambda i, m, f, d: i + [0.5] * 4, np.float32),
    (lambda i, m, f, d: i + np.full(4, 0.5), np.float64),
    (lambda i, m, f, d: d * [1, 2, 3, 4], np.float64),
    (lambda i, m, f, d: m + np.arange(4), np.int64),
    (lambda i, m, f, d: f + np.arange(4), np.float32),
    (lambda i, m, f, d: cr.where(m, i, 0), np.int64),
    (lambda i, m, f, d: cr.where(m, 1, 0), np.int64),
    (lambda i, m, f, d: cr.where(m, i, f), np.float32),
    (lambda i, m, f, d: cr.maximum(i, 0.5), np.float32),
    (lambda i, m, f, d: i.clip(-2, 2), np.int64),
    (lambda i, m, f, d: cr.exp(i), np.float32),
    (lambda i, m, f, d: cr.sqrt(m), np.float32),
    (lambda i, m, f, d: i**2, np.int64),
    (lambda i, m, f, d: m**2, np.int64),
    (lambda i, m, f, d: i**2.0, np.float32),
    (lambda i, m, f, d: i**0, np.int64),
    (lambda i, m, f, d: m ** i.abs(), np.int64),
    (lambda i, m, f, d: 2**m, np.int64),
    (lambda i, m, f, d: i.abs() ** f, np.float32),
    (lambda i, m, f, d: 2**f, np.float32),
    (lambda i, m, f, d: cr.prod(i), np.int64),
    (lambda i, m, f, d: cr.prod(m), np.int64),
    (lambda i, m, f, d: cr.concatenate([m, i]), np.int64),
    (lambda i, m, f, d: cr.concatenate([i, f, m]), np.float32),
    (lambda i, m, f, d: cr.stack([m, d]), np.float64),
    (lambda i, m, f, d: cr.floor(i), np.int64),
    (lambda i, m, f, d: cr.round(i, 2), np.int64),
    (lambda i, m, f, d: -i, np.int64),
    (lambda i, m, f, d: cr.sign(i), np.int64),
    (lambda i, m, f, d: m.sum(), np.int64),
    (lambda i, m, f, d: m.max(), np.bool_),
]


@pytest.mark.parametrize(("function", "dtype"), DTYPES)
def test_dtypes(function: Callable[..., Any], dtype: Any) -> None:
    rng = np.random.default_rng(6)
    i, m = rng.integers(-5, 5, 4), np.array([True, False, True, True])
    x = rng.normal(size=4)
    tensors = [cr.tensor(t) for t in (i, m, x.astype(np.float32), x)]
    result = function(*tensors)
    assert result.dtype == dtype
    assert cr.compile(function)(*tensors).tolist() == result.tolist()


def test_numbers_are_never_cut_off() -> None:
    i = cr.tensor([1, 2, 16777217])
    assert (i * 2.5).tolist() == [2.5, 5.0, np.float32(16777217) * np.float32(2.5)]
    assert (i > 1.5).tolist() == [False, True, True]
    assert (i == 16777216.0).tolist() == [False, False, False] == (i == cr.tensor(16777216.0)).tolist()
    assert (i[2] + (2**62 + 1)).item() == 16777217 + 2**62 + 1
    with pytest.raises(OverflowError):
        i + 2**64


def test_overflow_wraps_around() -> None:
    x, y = cr.tensor([LEAST, LEAST + 1, -LEAST - 1]), np.array([LEAST, LEAST + 1, -LEAST - 1])
    for f in (lambda t: t - 1, lambda t: t * 3, abs, operator.neg, lambda t: t * t, lambda t: t + t, lambda t: t**5):
        check(f(x), f(y), "wrapped")
    assert (x // -1).tolist() == [LEAST, -LEAST - 1, LEAST + 1]
    assert (x % -1).tolist() == [0, 0, 0]
    assert np.argmin(x).item() == 0


ERRORS: list[tuple[Callable[[cr.Tensor, cr.Tensor], Any], type[Exception], str]] = [
    (lambda i, m: i // 0, ZeroDivisionError, r"^floor_divide: an integer is divided by 0$"),
    (lambda i, m: 1 % i, ZeroDivisionError, r"^remainder: an integer is divided by 0, the divisor at \(1,\)"),
    (lambda i, m: divmod(m, i), ZeroDivisionError, r"^floor_divide: an integer"),
    (lambda i, m: m - m, TypeError, r"^sub: bool minus bool is not defined; write a \^ b"),
    (lambda i, m: -m, TypeError, r"^neg: -x is not defined for bool; write ~x"),
    (lambda i, m: i**-1, ValueError, r"^power: an integer to a negative power is a fraction; write x.float\(\) \*\* n"),
    (lambda i, m: m ** -i, ValueError, r"^power: an integer to a negative power, the exponent at \(0,\), is"),
    (lambda i, m: i & 1.5, TypeError, r"^bitwise_and: expected int64 or bool, got float32"),
    (lambda i, m: ~(i / 2), TypeError, r"^bitwise_not: expected int64 or bool, got float32"),
    (lambda i, m: cr.round(i, -1), ValueError, r"^round: decimals below 0 of int64"),
    (lambda i, m: (i / 0.0).long(), ValueError, r"^astype: the float32 at \(0,\) of shape \(2,\) is NaN"),
    (lambda i, m: cr.where(i, m, m), TypeError, r"^where: the condition must be bool, got int64"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_errors(call: Callable[..., Any], error: type[Exception], message: str) -> None:
    i, m = cr.tensor([3, 0]), cr.tensor([True, False])
    for f in (call, cr.compile(call)):
        with pytest.raises(error, match=message):
            f(i, m)


def test_powers() -> None:
    rng = np.random.default_rng(8)
    a, n = rng.integers(-9, 9, (5, 1)), rng.integers(0, 70, (4,))
    for f in (lambda a, n: a**n, lambda a, n: 2**n, lambda a, n: a**65, lambda a, n: a**0):
        check(f(cr.tensor(a), cr.tensor(n)), f(a, n), "power")
        check(cr.compile(f)(cr.tensor(a), cr.tensor(n)), f(a, n), "compiled")


def test_casts() -> None:
    x = np.array([1.5, -1.5, 0.0, -0.0, 1e18, -(2.0**63)])
    for dtype in (np.float32, np.float64):
        t = cr.tensor(x.astype(dtype))
        for f in (cr.ops.astype, cr.compile(cr.ops.astype)):
            assert f(t, np.int64).tolist() == x.astype(dtype).astype(np.int64).tolist()
            assert f(t, bool).tolist() == x.astype(bool).tolist()
    assert cr.tensor([float("nan"), 0.0]).bool().tolist() == [True, False]
    assert cr.tensor([2, 0]).bool().tolist() == [True, False]
    assert cr.tensor([True, False]).long().tolist() == [1, 0]
    for wrong in (float("nan"), float("inf"), 2.0**63, -(2.0**64)):
        with pytest.raises(ValueError, match=r"^astype: the float64 at \(0, 1\)"):
            cr.tensor(np.array([[0.0, wrong]])).long()


def test_float_parts_have_gradients() -> None:
    rng = np.random.default_rng(7)
    x, counts, mask = rng.normal(size=(3, 4)), rng.integers(1, 5, 4), rng.random((3, 1)) < 0.5

    def f(x: Any) -> Any:
        c, m = cr.tensor(counts), cr.tensor(mask)
        return cr.sum(x * m + x / c - c * cr.maximum(x, c) + cr.where(m, x, c) + x % c + x**2 * m)

    c, m = counts.astype(np.float64), mask
    expected = m + 1 / c - c * (x >= c) + m + 1 + 2 * x * m
    assert np.allclose(cr.grad(f)(x).numpy(), expected)
    assert cr.compile(cr.grad(f))(x).tolist() == cr.grad(f)(x).tolist()
    assert np.allclose(cr.jvp(f, (x,), (np.ones_like(x),))[1].item(), expected.sum())
    assert cr.gradcheck(cr.grad(f), [x])


def test_indices_and_layout() -> None:
    x = np.arange(12).reshape(3, 4)
    t = cr.tensor(x)
    for f in (
        lambda a: a[1], lambda a: a[:, ::-1], lambda a: a[a % 2 == 0], lambda a: a[[0, 2], [1, 3]], lambda a: a.T + 1,
        lambda a: np.tril(a), lambda a: np.triu(a % 3 == 1), lambda a: np.concatenate([a, a * 2]),
        lambda a: a.reshape(2, -1).sum(0),
    ):  # fmt: skip
        check(f(t), f(x), "layout")


def test_every_kernel_has_an_op() -> None:
    assert set(_core.integer_names()) <= {*OPS, "integer_power"}
    assert _core.kernel_dtypes("add") == [0, 1, 2, 3]
    assert _core.kernel_dtypes("exp") == [0, 1]
    assert _core.kernel_dtypes("sub") == [0, 1, 2]


@pytest.mark.parametrize("function", [cr.add, cr.sub, cr.mul, cr.div, cr.power, cr.maximum])
def test_a_number_takes_the_dtype_of_an_array_of_one_number(function: Callable[..., Any]) -> None:
    x = np.array(2.0)
    assert function(x, 3).dtype == function(3, x).dtype == function(0.5, x).dtype == np.float64

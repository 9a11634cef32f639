"""New tensors: shapes, dtypes and values as NumPy's; random ones from a generator."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr

Call = Callable[[], Any]


@pytest.mark.parametrize("name", ["zeros", "ones", "empty"])
def test_equal_numbers(name: str) -> None:
    function, like, expected = (
        getattr(cr, name),
        getattr(cr, f"{name}_like"),
        getattr(np, name.replace("empty", "zeros")),
    )
    for shape in ((), (3,), (2, 3), (0, 4)):
        for y in (function(shape), function(list(shape)), *([function(*shape)] if shape else [])):
            assert (y.shape, y.dtype, y.requires_grad) == (shape, np.float32, False)
            assert np.array_equal(y.numpy(), expected(shape))
        for dtype in ("float64", np.int64, bool):
            y = function(shape, dtype=dtype)
            assert y.dtype == np.dtype(dtype)
            assert np.array_equal(y.numpy(), expected(shape, dtype))
            assert like(y).dtype == y.dtype
            assert (like(y, dtype="float32").dtype, like(y.numpy()).shape) == (np.float32, shape)
    assert function(2, 3, requires_grad=True).requires_grad
    assert like([[1.0, 2.0]], requires_grad=True).requires_grad
    assert function(np.int64(2), 3).shape == (2, 3)


def test_full() -> None:
    for value, dtype in ((0.5, np.float32), (3, np.int64), (True, np.bool_), (np.float64(0.1), np.float64)):
        y = cr.full((2, 3), value)
        assert (y.shape, y.dtype) == ((2, 3), dtype)
        assert (y.numpy() == value).all()
        assert cr.full(4, value).shape == (4,)
    assert cr.full((), 2, dtype="float64").item() == 2.0
    assert cr.full((2,), 0.1).numpy()[0] == np.float32(0.1)
    y = cr.full_like(cr.zeros(2, dtype="float64"), 7)
    assert (y.dtype, y.tolist()) == (np.float64, [7.0, 7.0])


def test_eye() -> None:
    for n, m in ((3, None), (2, 4), (4, 2), (0, None)):
        assert np.array_equal(cr.eye(n, m).numpy(), np.eye(n, m, dtype=np.float32))
    assert cr.eye(2, dtype="int64").tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    "arguments",
    [
        (5,), (0,), (-3,), (2, 7), (7, 2), (7, 2, -2), (0, 10, 3), (0.0, 1.0, 0.25), (1.0, 0.0, -0.25), (2.5,),
        (0.5, 3), (0, 1, 0.1), (1, -1, -0.3), (10**15, 10**15 + 3), (0.1, 0.1),
    ],
)  # fmt: skip
def test_arange(arguments: tuple[float, ...]) -> None:
    y, expected = cr.arange(*arguments), np.arange(*arguments)
    whole = expected.dtype.kind == "i"
    assert (y.shape, y.dtype) == (expected.shape, np.int64 if whole else np.float32)
    assert np.array_equal(y.numpy(), expected if whole else expected.astype(np.float32))
    step = arguments[2] if len(arguments) > 2 else 1
    exact = (arguments[0] if len(arguments) > 1 else 0) + np.arange(len(expected)) * float(step)
    assert cr.arange(*arguments, dtype="float64").tolist() == exact.tolist()


@pytest.mark.parametrize(
    "arguments", [(0, 1), (0, 1, 5), (1, -1, 7), (2.5, 2.5, 3), (0, 1, 1), (0, 1, 0), (-1e30, 1e30, 4)]
)
def test_linspace(arguments: tuple[Any, ...]) -> None:
    y, expected = cr.linspace(*arguments, dtype="float64"), np.linspace(*arguments)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-15)
    assert cr.linspace(*arguments).tolist() == y.numpy().astype(np.float32).tolist()
    assert len(expected) < 2 or y.tolist()[-1] == arguments[1]


@pytest.mark.parametrize("name", ["rand", "randn"])
def test_random_numbers(name: str) -> None:
    function, like = getattr(cr, name), getattr(cr, f"{name}_like")
    for dtype in (np.float32, np.float64):
        source, other = cr.random.Generator(3), cr.random.Generator(3)
        expected = (source.uniform if name == "rand" else source.normal)((2, 3), dtype=dtype)
        assert function(2, 3, dtype=dtype, generator=other).tolist() == expected.tolist()
        y = function((4, 5), dtype=dtype, requires_grad=True)
        assert (y.shape, y.dtype, y.requires_grad) == ((4, 5), dtype, True)
        assert (like(y).shape, like(y).dtype, like(y).requires_grad) == ((4, 5), dtype, False)
    cr.manual_seed(5)
    first = function(3).tolist()
    cr.manual_seed(5)
    assert function((3,)).tolist() == first
    with pytest.raises(TypeError, match="dtype must be float32 or float64, got int64"):
        function(3, dtype=np.int64)


def test_in_a_compiled_function() -> None:
    f = cr.compile(lambda x: x * cr.arange(3, dtype="float32") + cr.ones_like(x) + cr.eye(3)[0])
    assert f(np.full(3, 2.0, np.float32)).tolist() == [2.0, 3.0, 5.0]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: cr.zeros(2.0), r"^zeros: expected lengths"),
        (lambda: cr.zeros((2, "3")), r"^zeros: expected lengths"),
        (lambda: cr.ones(2, np.float64), r"^ones: expected lengths"),
        (lambda: cr.zeros(-1), r"^zeros: the lengths of shape \(-1,\) must not be negative"),
        (lambda: cr.empty(2**40, 2**40), r"^empty: shape .* has more elements than any memory"),
        (lambda: cr.zeros(2, dtype="int32"), r"^zeros: dtype must be"),
        (lambda: cr.full(2, [1.0, 2.0]), r"^full: expected a number"),
        (lambda: cr.full(2.5, 1.0), r"^full: expected lengths"),
        (lambda: cr.arange(0, 1, 0), r"^arange: expected finite numbers"),
        (lambda: cr.arange(float("inf")), r"^arange: expected finite numbers"),
        (lambda: cr.arange(0.5, dtype="int64"), r"^arange: int64 of numbers that are not integers"),
        (lambda: cr.arange(0, 10**30), r"^arange: shape"),
        (lambda: cr.linspace(0, 1, -1), r"^linspace: num must be at least 0"),
        (lambda: cr.linspace(0, 1, 2.5), r"^linspace: num must be an integer"),
        (lambda: cr.linspace(0, float("nan")), r"^linspace: expected finite numbers"),
        (lambda: cr.linspace(0, 1, dtype="int64"), r"^linspace: dtype must be"),
        (lambda: cr.rand(2, dtype="int64"), r"^uniform: dtype must be"),
        (lambda: cr.zeros(2, dtype="int64", requires_grad=True), r"^requires_grad: only float32"),
    ],
)
def test_what_is_refused(call: Call, error: str) -> None:
    with pytest.raises((TypeError, ValueError), match=error):
        call()

"""Transformations inside compiled functions, and of compiled functions, have the bits of eager execution."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from support.compile_session import Scenario, Scenarios, Session, play_twice

scenario = Scenarios()


def ones(x: Any) -> Any:
    return np.ones_like(x)


# Inside.


@scenario(traces=1)
def forward_mode(s: Session) -> Iterator[Any]:
    step = s.compile(lambda x, t: cr.jvp(lambda x: s.model(cr.tanh(x)) * cr.sum(x), (x,), (t,)))
    for k in (1.0, 2.0):
        yield step(s.x * np.float32(k), s.x[::-1].copy())


@scenario(traces=1)
def pullback_called_twice(s: Session) -> Iterator[Any]:
    def function(x: Any, g: Any) -> Any:
        y, pullback = cr.vjp(lambda x: cr.softmax(s.model(x)), x)
        return y, pullback(g), pullback(y)

    step = s.compile(function)
    for k in (1.0, 2.0):
        yield step(s.x, np.random.default_rng(1).random((9, 3)).astype(np.float32) * np.float32(k))


@scenario(traces=3)
def matrices(s: Session) -> Iterator[Any]:
    f = lambda x: cr.tanh(s.model(x)) * x[0, 0]  # noqa: E731
    for function in (cr.jacobian(f), cr.jacobian(f, mode="forward"), cr.hessian(lambda x: cr.sum(f(x)))):
        step = s.compile(function)
        for k in (1.0, 0.5):
            yield step(s.x[:2] * np.float32(k))


@scenario(traces=3)
def hessian_products(s: Session) -> Iterator[Any]:
    def f(x: Any) -> cr.Tensor:
        return cr.cross_entropy(s.model(x), s.labels)

    ways = (
        lambda x, v: cr.hvp(f, (x,), (v,)),
        lambda x, v: cr.grad(lambda x: cr.sum(cr.grad(f)(x) * v))(x),
        lambda x, v: cr.grad(lambda x: cr.jvp(f, (x,), (v,))[1])(x),
    )
    for way in ways:
        step = s.compile(way)
        for k in (1.0, 2.0):
            yield step(s.x, s.x[::-1] * np.float32(k))


@scenario(traces=1)
def by_the_parameters_of_a_module(s: Session) -> Iterator[Any]:
    def function(v: Any) -> Any:
        f = lambda m: cr.cross_entropy(m(s.x), s.labels)  # noqa: E731
        return cr.value_and_grad(f)(s.model), cr.hvp(f, (s.model,), (v,))

    step = s.compile(function)
    v = {name: ones(value) for name, value in s.model.state_dict().items()}
    for _ in range(2):
        yield step(v)
        s.train(s.x, s.labels)  # between calls, outside


@scenario(traces=1)
def trees_as_arguments(s: Session) -> Iterator[Any]:
    def f(p: Any, x: Any) -> Any:
        y = cr.sum(cr.tanh(cr.matmul(x, p["W"]) + p["b"][0]))
        return y, {"twice": y * 2.0}

    step = s.compile(cr.value_and_grad(f, has_aux=True))
    for k in (1.0, 2.0):
        yield step({"W": s.x.T[:, :3] * np.float32(k), "b": [s.x[0, :3]]}, s.x)


@scenario(traces=1)
def a_custom_op(s: Session) -> Iterator[Any]:
    cube = cr.custom_op("cube", lambda x: x * x * x, lambda g, y, x: g * 3.0 * cr.square(x[0]))

    def function(x: Any) -> Any:
        f = lambda x: cr.sum(cube(x))  # noqa: E731
        return cube(x), cr.grad(f)(x), cr.hvp(f, (x,), (x,)), cr.jvp(f, (x,), (x,))

    step = s.compile(function)
    for k in (1.0, 2.0):
        yield step(s.x * np.float32(k))


# Of compiled functions.


@scenario(traces=4)
def of_a_compiled_function(s: Session) -> Iterator[Any]:
    """Its value, its tangent, the tangent of its gradient (which traces the gradient as well)."""
    f = s.compile(lambda x: cr.sum(cr.tanh(s.model(x)) ** 3))
    for k in (1.0, 2.0):
        x = s.x * np.float32(k)
        yield cr.jvp(f, (x,), (ones(x),)), cr.vjp(f, x)[1](2.0), cr.hvp(f, (x,), (ones(x),))


@scenario(traces=2)
def a_pullback_that_is_called_later(s: Session) -> Iterator[Any]:
    f = s.compile(lambda x, y: cr.tanh(x * y))
    _, pullback = cr.vjp(f, s.x, s.x[::-1].copy())
    for k in (1.0, 2.0):
        yield pullback(s.x * np.float32(k))


@scenario(traces=3)
def by_another_point_than_the_inner_one(s: Session) -> Iterator[Any]:
    """The inner point is nobody's any more when the outer gradient comes back through the compiled call."""
    f = s.compile(lambda x, y: cr.sum(x * x * y))
    for k in (1.0, 2.0):
        yield cr.grad(lambda y, k=k: cr.sum(cr.square(cr.grad(f)(s.x * np.float32(k), y))))(s.x)


@scenario(traces=2)
def a_capture_that_was_computed_from_another(s: Session) -> Iterator[Any]:
    """w and 2w are both read by the compiled function: w counts twice, not three times."""
    w = cr.nn.Parameter(s.x)
    double = w * 2.0
    cr.sum(s.compile(lambda x: x * double * w)(s.x)).backward()
    yield w.grad


@scenario(traces=6)
def a_compiled_gradient_by_parameters(s: Session) -> Iterator[Any]:
    """Called alone, its results have no history; inside of a transformation by the same parameters they need one: two
    traces, and one for the tangent of each of the four."""
    gradient = s.compile(cr.grad(lambda m: cr.cross_entropy(m(s.x), s.labels)))
    v = {name: ones(value) for name, value in s.model.state_dict().items()}
    for _ in range(2):
        alone = gradient(s.model)
        yield alone, [g.requires_grad for g in alone.values()], cr.jvp(gradient, (s.model,), (v,))


@pytest.mark.parametrize(("play", "traces"), scenario.table, ids=scenario.names)
def test_compiled_does_what_eager_does(play: Scenario, traces: int) -> None:
    play_twice(play, traces)


def test_captures_and_points_have_the_right_gradient() -> None:
    """The scenarios compare with eager execution; here the values are known."""
    w = cr.nn.Parameter([2.0])
    double = w * 2.0
    cr.sum(cr.compile(lambda x: x * double * w)(cr.tensor([3.0]))).backward()
    assert w.grad is not None
    assert w.grad.item() == 24.0
    f = cr.compile(lambda y, x: y * y * x)
    assert cr.grad(lambda x: cr.grad(f)(3.0, x))(5.0).item() == 6.0


def test_an_op_with_numpy_inside_is_refused_at_its_line() -> None:
    f = cr.custom_op("sine", lambda x: cr.tensor(np.sin(x.numpy())), lambda g, y, x: g)
    assert f([0.5]).shape == (1,)
    with pytest.raises(cr.CompileError, match=r"test_compile_transforms.py:\d+"):
        cr.compile(f)(np.ones(2))

"""Gradients and in-place updates in compiled functions equal eager ones."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from support.compile_session import Scenario, Scenarios, Session, play_twice

scenario = Scenarios()


# Gradients.


@scenario(traces=1)
def gradients_stay(s: Session) -> Iterator[Any]:
    def function(x: Any, labels: Any) -> cr.Tensor:
        s.optimizer.zero_grad()
        return s.backward(x, labels)

    step = s.compile(function)
    for i in range(3):
        yield step(s.x * (i + 1), s.labels), s.gradients()
        s.optimizer.step()  # outside
        yield s.weights()


@scenario(traces=2)
def gradients_add_up_over_calls(s: Session) -> Iterator[Any]:
    step = s.compile(s.backward)
    for i in range(4):
        yield step(s.x * (i + 1), s.labels), s.gradients()
    s.optimizer.step()
    s.optimizer.zero_grad()
    for _ in range(2):
        yield step(s.x, s.labels), s.gradients()
    s.weight.grad = cr.tensor(np.full((4, 7), 0.5, np.float32))  # by hand
    yield step(s.x, s.labels), s.gradients()


@scenario(traces=2)
def update_without_zero_grad(s: Session) -> Iterator[Any]:
    def function(x: Any, labels: Any) -> cr.Tensor:
        loss = s.backward(x, labels)
        s.optimizer.step()
        return loss

    step = s.compile(function)
    for _ in range(3):
        yield step(s.x, s.labels), s.weights(), s.gradients()


@scenario(traces=1)
def gradients_of_captures(s: Session) -> Iterator[Any]:
    """The compiled function runs the step only."""
    step = s.compile(lambda factor: s.optimizer.step() or cr.mul(factor, 2.0))
    for i in range(3):
        s.optimizer.zero_grad()
        s.backward(s.x * (i + 1), s.labels)
        yield step(np.asarray(i, np.float32)), s.weights(), s.gradients()


@scenario(traces=1)
def gradients_returned(s: Session) -> Iterator[Any]:
    def function(x: Any, labels: Any) -> Any:
        loss = s.train(x, labels)
        return loss, {"first": s.weight.grad, "all": [p.grad for p in s.model.parameters()]}

    step = s.compile(function)
    for _ in range(2):
        yield step(s.x, s.labels), s.weights()


@scenario(traces=1)
def gradients_changed_inside(s: Session) -> Iterator[Any]:
    def function(x: Any, labels: Any) -> cr.Tensor:
        s.optimizer.zero_grad()
        loss = s.backward(x, labels)
        for i, p in enumerate(s.model.parameters()):
            assert p.grad is not None
            p.grad = p.grad * 0.5 if i else None
        s.optimizer.step()
        return loss

    step = s.compile(function)
    for _ in range(2):
        yield step(s.x, s.labels), s.weights(), s.weight.grad


@scenario(traces=2)
def gradients_of_arguments(s: Session) -> Iterator[Any]:
    def function(x: cr.Tensor, scale: cr.Tensor) -> cr.Tensor:
        loss = cr.sum(cr.tanh(x * scale))
        loss.backward()
        return loss

    step = s.compile(function)
    x, scale = cr.tensor(s.x, requires_grad=True), cr.tensor([2.0])
    other = cr.tensor(s.x * 3.0, requires_grad=True)
    for t in (x, x, other, x, other):
        yield step(t, scale), x.grad, other.grad, scale.grad


@scenario(traces=3)
def gradients_of_arguments_forgotten(s: Session) -> Iterator[Any]:
    def function(x: cr.Tensor) -> cr.Tensor:
        x.grad = None
        loss = cr.sum(x * x)
        loss.backward()
        return loss

    step, clear = s.compile(function), s.compile(lambda x: setattr(x, "grad", None) or x * 2.0)
    x = cr.tensor(s.x, requires_grad=True)
    yield step(x), x.grad
    x.copy_(s.x * 2.0)
    yield step(x), x.grad
    yield clear(x), x.grad


@scenario(traces=6)
def results_are_differentiated(s: Session) -> Iterator[Any]:
    """Compiled functions inside of an eager training step: two of `forward`, as x has a grad later on, one of `loss`,
    and the gradient of each."""
    forward = s.compile(lambda x: s.model(x).reshape(-1, 1, 3))
    loss = s.compile(lambda z, labels: cr.cross_entropy(z.reshape(-1, 3), labels))
    x = cr.tensor(s.x, requires_grad=True)
    for i in range(3):
        s.optimizer.zero_grad()
        value = loss(forward(x) * (1.0 + i), s.labels)
        value.backward()
        s.optimizer.step()
        yield value, x.grad, s.weights(), s.gradients()


@scenario(traces=2)
def gradients_by_transformation(s: Session) -> Iterator[Any]:
    """cr.grad inside of a compiled function, twice; and of a compiled one."""
    second = s.compile(lambda x: cr.grad(lambda z: cr.sum(cr.grad(lambda y: cr.sum(cr.tanh(y) ** 3))(z) * x))(x))
    both = s.compile(cr.value_and_grad(lambda x, y: cr.sum(cr.exp(x * y)), (0, 1)))
    y = s.x[::-1].copy()
    for _ in range(2):
        yield second(s.x), both(s.x, y)


@scenario(traces=3)
def transformation_of_compiled(s: Session) -> Iterator[Any]:
    """The function, its gradient, and the gradient of that."""
    function = s.compile(lambda x: cr.sum(cr.tanh(x * s.weight[0, 1]) * x))
    for _ in range(2):
        yield cr.grad(function)(s.x), cr.value_and_grad(function)(s.x * 2.0)
    yield cr.grad(lambda x: cr.sum(cr.grad(function)(x) ** 2))(s.x)


@scenario(traces=2)
def without_gradients(s: Session) -> Iterator[Any]:
    inside = s.compile(cr.no_grad()(lambda x: s.model(x)))
    around = s.compile(lambda x: s.model(x))
    with cr.no_grad():
        result = around(s.x)
    for out in (inside(s.x), result):
        yield out, out.requires_grad


# Memory outside that is overwritten.


@scenario(traces=1)
def copies_inside(s: Session) -> Iterator[Any]:
    count, mean = cr.tensor(np.float32(0)), cr.tensor(np.zeros(4, np.float32))

    def function(x: cr.Tensor) -> Any:
        before = mean * 1.0
        with cr.no_grad():
            count.copy_(count + 1.0)
            mean.copy_(mean + (cr.mean(x, 0) - mean) / count)
        return before, mean * 1.0, x - mean

    step = s.compile(function)
    for i in range(3):
        yield step(s.x * (i + 1)), count, mean


@scenario(traces=1)
def swapped(s: Session) -> Iterator[Any]:
    a, b = cr.tensor(s.x), cr.tensor(s.x * 2.0)

    def function(x: cr.Tensor) -> cr.Tensor:
        old = a * 1.0
        a.copy_(b)
        b.copy_(old)
        return a @ x.T

    step = s.compile(function)
    for _ in range(3):
        yield step(s.x), a, b


@scenario(traces=1)
def overwritten_under_a_view(s: Session) -> Iterator[Any]:
    """A reshape and detach share memory with the overwritten tensor."""
    a = cr.tensor(s.x)
    flat = a.reshape(-1)

    def function(x: cr.Tensor) -> Any:
        before = flat * 2.0
        a.copy_(x + a)
        return before, flat * 2.0, a.detach().reshape(4, 9) + 1.0

    step = s.compile(function)
    for _ in range(3):
        yield step(s.x * 0.25), flat


@scenario(traces=2)
def graphs_that_were_overwritten(s: Session) -> Iterator[Any]:
    step = s.compile(s.train)
    loss = s.loss(s.x, s.labels)
    step(s.x, s.labels)
    with pytest.raises(RuntimeError, match=r"^backward: argument . of .* was overwritten") as error:
        loss.backward()
    yield str(error.value)

    def function(x: cr.Tensor) -> cr.Tensor:
        y = cr.sum(s.weight * s.weight) * cr.sum(x)
        s.weight.copy_(s.weight * 0.5)
        y.backward()
        return y

    with pytest.raises(RuntimeError, match=r"^backward: argument . of .* was overwritten") as error:
        s.compile(function)(s.x)
    yield str(error.value)


@pytest.mark.parametrize(("play", "traces"), scenario.table, ids=scenario.names)
def test_compiled_does_what_eager_does(play: Scenario, traces: int) -> None:
    play_twice(play, traces)

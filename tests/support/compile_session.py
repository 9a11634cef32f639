"""Scenarios run twice, eagerly and compiled, which must yield equal results."""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn
from reference import assert_same_bits

Function = Callable[..., Any]


class Session:
    """A small net, data, and `compile`: nothing, or cr.compile."""

    def __init__(self, compiling: bool) -> None:
        self.compiling = compiling
        self.runs = 0  # how often Python ran functions that were given to `compile`
        draw = cr.random.Generator(seed=5)
        self.model: Any = nn.Sequential(nn.Linear(4, 7, generator=draw), nn.Tanh(), nn.Linear(7, 3, generator=draw))
        self.optimizer = cr.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.weight: cr.nn.Parameter = self.model[0].weight
        self.x, self.labels = draw.normal((9, 4)), draw.permutation(9) % 3

    def compile(self, function: Function) -> Function:
        @wraps(function)
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.runs += 1
            return function(*args, **kwargs)

        return cr.compile(counted) if self.compiling else counted

    def loss(self, x: Any, labels: Any) -> cr.Tensor:
        return cr.cross_entropy(self.model(x), labels)

    def backward(self, x: Any, labels: Any) -> cr.Tensor:
        loss = self.loss(x, labels)
        loss.backward()
        return loss

    def train(self, x: Any, labels: Any) -> cr.Tensor:
        self.optimizer.zero_grad()
        loss = self.backward(x, labels)
        self.optimizer.step()
        return loss

    def weights(self) -> list[Any]:
        return list(self.model.state_dict().values())

    def gradients(self) -> list[Any]:
        return [None if p.grad is None else p.grad.numpy().copy() for p in self.model.parameters()]

    def velocity(self) -> Any:
        return self.optimizer.state_dict()["velocity"]


Scenario = Callable[[Session], Iterator[Any]]


class Scenarios:
    """Decorator that collects scenarios; `traces` is how often Python runs the compiled functions of one."""

    def __init__(self) -> None:
        self.table: list[tuple[Scenario, int]] = []

    def __call__(self, traces: int) -> Callable[[Scenario], Scenario]:
        def add(scenario: Scenario) -> Scenario:
            self.table.append((scenario, traces))
            return scenario

        return add

    @property
    def names(self) -> list[str]:
        return [scenario.__name__ for scenario, _ in self.table]


def play_twice(scenario: Scenario, traces: int) -> None:
    """Eager and compiled."""
    eager, compiled = Session(False), Session(True)
    expected = [frozen(value) for value in scenario(eager)]
    got = [frozen(value) for value in scenario(compiled)]
    assert_equal(got, expected, "yielded")
    assert expected, "nothing was compared"
    assert compiled.runs == traces, f"traced {compiled.runs} times"


def frozen(value: Any) -> Any:
    """A copy with the values of now."""
    if isinstance(value, dict):
        return {key: frozen(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        items = [frozen(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value.numpy().copy() if isinstance(value, cr.Tensor) else value


def assert_equal(got: Any, expected: Any, what: str) -> None:
    assert type(got) is type(expected), f"{what}: {got!r} instead of {expected!r}"
    if isinstance(expected, (tuple, list)):
        assert len(got) == len(expected), what
        for i, (a, b) in enumerate(zip(got, expected, strict=True)):
            assert_equal(a, b, f"{what}[{i}]")
    elif isinstance(expected, dict):
        assert list(got) == list(expected), what
        assert_equal(list(got.values()), list(expected.values()), what)
    elif isinstance(expected, np.ndarray):
        assert_same_bits(got, expected, what)
    else:
        assert got == expected, what

"""model.predict of models that cannot be compiled: the bits of eager execution, and the same side effects."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.inspect import saturation
from chainrule.nn._evaluate import predict_eagerly
from support.predictions import assert_right, compiled, linear, net, rows

# Models that cannot be compiled.


class Branching(nn.Module):
    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return x * 2.0 if cr.sum(x).item() > 0 else x


class Counting(nn.Module):
    calls = 0

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        self.calls += 1
        return x * float(self.calls)


class CountingInTheClass(nn.Module):
    calls = 0

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        type(self).calls += 1
        return x * float(self.calls)


class Logging(nn.Module):
    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        self.shapes.append(x.shape)
        return x * float(len(self.shapes))


class Averaging(nn.Module):
    """State that forward overwrites."""

    def __init__(self) -> None:
        self.mean = nn.Buffer(np.zeros(5, np.float32))

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        self.mean.copy_(self.mean + 1.0)
        return x + self.mean


class Noisy(nn.Module):
    def __init__(self) -> None:
        self.generator = cr.random.Generator(seed=43)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return cr.dropout(x, 0.5, generator=self.generator)


class NumpyNoise(nn.Module):
    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return x + np.random.normal(size=5).astype(np.float32)


class Centred(nn.Module):
    """Rows that depend on each other."""

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return x - cr.mean(x, axis=0)


class Nested(nn.Module):
    def __init__(self) -> None:
        self.inner = net()

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return cr.tensor(self.inner.predict(x.numpy())) * 2.0


class Lazy(nn.Module):
    weight: nn.Parameter

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        if not hasattr(self, "weight"):
            self.weight = nn.Parameter(np.full((x.shape[1], 2), 0.5, np.float32))
        return cr.matmul(x, self.weight)


class Slotted(nn.Module):
    __slots__ = ("scale",)

    def __init__(self) -> None:
        self.scale = 2.0

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return x * self.scale


class Locked(nn.Module):
    def __init__(self) -> None:
        self.lock = threading.Lock()

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        with self.lock:
            return cr.exp(x)


@pytest.mark.parametrize("make", [Branching, Centred, Nested, Slotted, Locked])
def test_models_that_run_op_by_op(make: type[nn.Module]) -> None:
    model = make()
    assert_right(model, rows(40), program=False)
    assert_right(model, rows(6), program=False)
    assert_right(model, rows(300), program=False)


@pytest.mark.parametrize("make", [Counting, CountingInTheClass, Logging, Averaging, Noisy, NumpyNoise])
def test_forwards_with_effects(make: type[nn.Module]) -> None:
    """Every call is one run of forward, as if nothing was ever traced."""
    results = []
    for predict in (lambda model, x: model.predict(x), predict_eagerly):
        np.random.seed(1)
        if make is CountingInTheClass:
            CountingInTheClass.calls = 0
        model = make()
        results.append([predict(model, rows(n)).tobytes() for n in (4, 4, 4, 300, 4, 4)])
    assert results[0] == results[1]


def test_slots_are_read() -> None:
    model = Slotted()
    assert_right(model, program=False)
    model.scale = 3.0
    assert_right(model, program=False)


def test_a_lazy_layer_is_compiled_when_it_is_made() -> None:
    model = Lazy()
    first = model.predict(rows(6))
    assert list(dict(model.named_parameters())) == ["weight"]
    assert_right(model)
    assert model.predict(rows(6)).tobytes() == first.tobytes()


def test_a_model_that_changes_at_every_call_is_not_traced_again_and_again() -> None:
    model = net()
    for i in range(1, 9):
        model[1].negative_slope = i / 16  # type: ignore[attr-defined]
        assert model.predict(rows(6)).tobytes() == predict_eagerly(model, rows(6)).tobytes()
        assert not compiled(model)


def test_inside_of_a_compiled_function() -> None:
    model = net()
    model.predict(rows(6))
    with pytest.raises(cr.CompileError):
        cr.compile(lambda x: cr.tensor(model.predict(x)) * 2.0)(rows(6))
    assert_right(model)


def test_calls_of_layers_are_recorded() -> None:
    model = nn.Sequential(linear(), nn.Tanh())
    assert_right(model)
    assert "Tanh" in str(saturation(model, rows(6)))

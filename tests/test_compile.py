"""cr.compile: compiled functions are equivalent to eager ones; how often Python runs the function."""

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from support.compile_session import Scenario, Scenarios, Session, play_twice
from support.variants import ISAS, every_setting, force_threads

scenario = Scenarios()


# What changes between calls is seen.


@scenario(traces=1)
def several_steps(s: Session) -> Iterator[Any]:
    step = s.compile(s.train)
    for i in range(4):
        yield step(s.x * (1 + i), s.labels)
        yield s.weights(), s.velocity()


@scenario(traces=4)
def other_dtypes(s: Session) -> Iterator[Any]:
    """Equal numbers of another dtype are another kind of call, as an argument and in a tuple."""
    double = s.compile(lambda x: cr.add(x, x))
    for dtype in (np.float32, np.float64, np.float32, np.float64):
        yield double(s.x.astype(dtype))
    total = s.compile(lambda pair: cr.add(cr.sum(pair[0]), pair[1]))
    for dtype in (np.float32, np.float64, np.float32):
        yield total((s.x.astype(dtype), np.ones(3, dtype)))


@scenario(traces=1)
def weights_overwritten(s: Session) -> Iterator[Any]:
    step = s.compile(s.train)
    start = s.model.state_dict()
    yield step(s.x, s.labels)
    s.weight.copy_(s.weight.numpy() * 0.5)
    yield step(s.x, s.labels)
    s.model.load_state_dict(start)
    yield step(s.x, s.labels), s.weights()


@scenario(traces=1)
def any_captured_tensor(s: Session) -> Iterator[Any]:
    scale = cr.tensor([1.5, 2.5, 3.5, 4.5])
    predict = s.compile(lambda x: s.model(x * scale).reshape(-1))
    yield predict(s.x)
    scale.copy_([0.1, 0.2, 0.3, 0.4])
    yield predict(s.x)
    scale._data[...] = 7.0  # whoever shares the memory
    yield predict(s.x)


@scenario(traces=1)
def arguments_overwritten(s: Session) -> Iterator[Any]:
    step = s.compile(s.train)
    x, labels = s.x.copy(), s.labels.copy()
    for row in range(3):
        x[row] = 9.0
        labels[row] = (labels[row] + 1) % 3
        yield step(x, labels)


@scenario(traces=1)
def learning_rate(s: Session) -> Iterator[Any]:
    step = s.compile(s.train)
    for lr in (0.1, 0.0, 3.0, 0.25):
        s.optimizer.lr = lr
        yield step(s.x, s.labels), s.weights()


@scenario(traces=1)
def optimizer_state_loaded(s: Session) -> Iterator[Any]:
    step = s.compile(s.train)
    yield step(s.x, s.labels)
    state = s.optimizer.state_dict()
    yield step(s.x, s.labels)
    options = {"momentum": 0.5, "nesterov": True, "weight_decay": 0.01, "lr": 0.3}
    s.optimizer.load_state_dict({**state, "groups": [options]})
    yield step(s.x, s.labels), s.weights(), s.velocity()


@scenario(traces=3)
def optimizer_state_of_another_kind(s: Session) -> Iterator[Any]:
    step = s.compile(s.train)
    yield step(s.x, s.labels)
    state = s.optimizer.state_dict()
    options = {**state["groups"][0], "momentum": 0.0, "nesterov": False}
    s.optimizer.load_state_dict({"groups": [options], "velocity": [None] * 4})
    yield step(s.x, s.labels), s.weights()
    s.optimizer.load_state_dict(state)
    yield step(s.x, s.labels), s.weights(), s.velocity()


@scenario(traces=2)
def frozen_weights(s: Session) -> Iterator[Any]:
    step = s.compile(s.train)
    yield step(s.x, s.labels), s.weights()
    s.weight.requires_grad = False
    s.weight.grad = None
    for _ in range(2):
        yield step(s.x, s.labels), s.weights()
    s.weight.requires_grad = True
    yield step(s.x, s.labels), s.weights()


class Noisy(nn.Module):
    """Another function while training."""

    def forward(self, x: Any) -> cr.Tensor:
        return x * 0.5 if self.training else cr.tanh(x)


@scenario(traces=2)
def mode_of_a_module(s: Session) -> Iterator[Any]:
    s.model.append(Noisy())
    predict = s.compile(lambda x: s.model(x))
    for mode in (True, False, False, True):
        s.model.train(mode)
        yield predict(s.x)


@scenario(traces=1)
def level_and_threads(s: Session) -> Iterator[Any]:
    step = s.compile(s.train)
    for isa in (*ISAS, ISAS[0]):
        for threads in (1, 3):
            cr.use_isa(isa)
            force_threads(threads)
            yield step(s.x, s.labels), s.weights()


@scenario(traces=3)
def copied_models(s: Session) -> Iterator[Any]:
    copies = [copy.deepcopy(s.model), *(pickle.loads(pickle.dumps(s.model, protocol)) for protocol in (2, 5))]
    for model in copies:
        s.model, s.optimizer = model, cr.optim.SGD(model.parameters(), lr=0.5)
        step = s.compile(s.train)
        for _ in range(2):
            yield step(s.x, s.labels), s.weights()


# Shapes, dtypes, numbers.


@scenario(traces=2)
def ragged_batches(s: Session) -> Iterator[Any]:
    step = s.compile(s.train)
    for rows in (9, 9, 4, 9, 4, 9):
        yield step(s.x[:rows], s.labels[:rows]), s.weights()


@scenario(traces=2)
def empty_batch(s: Session) -> Iterator[Any]:
    step = s.compile(lambda x: cr.sum(s.model(x)))
    for rows in (0, 2, 0):
        yield step(s.x[:rows])


@scenario(traces=6)
def numbers_and_words(s: Session) -> Iterator[Any]:
    function = s.compile(lambda x, k, mode="a": cr.sum(x, axis=k) if mode == "a" else cr.mul(x, k))
    for _ in range(2):
        yield function(s.x, 0), function(s.x, 1), function(s.x, 1, mode="b"), function(s.x, k=1.0, mode="b")
        yield function(s.x, 0.0, "b"), function(s.x, -0.0, "b")


@scenario(traces=2)
def slices_as_arguments(s: Session) -> Iterator[Any]:
    rows = s.compile(lambda x, part: cr.tanh(x[part]))
    for i in (3, 3, 5, 3):
        yield rows(cr.tensor(s.x), slice(i - 3, i))


@scenario(traces=2)
def python_over_layers(s: Session) -> Iterator[Any]:
    layers = [nn.Linear(4, 4, generator=cr.random.Generator(seed=i)) for i in range(5)]

    def function(x: Any) -> cr.Tensor:
        for i, layer in enumerate(layers):
            x = cr.relu(layer(x)) if i % 2 and len(x) > 4 else layer(x)
            if x.shape[0] == 3:
                break
        return x

    compiled = s.compile(function)
    yield compiled(s.x), compiled(s.x[:3]), compiled(s.x)


# Functions of all kinds.


@scenario(traces=3)
def methods(s: Session) -> Iterator[Any]:
    class Scaled:
        def __init__(self, factor: float) -> None:
            self.factor = factor

        @s.compile
        def by(self, x: Any, *, offset: float = 0.0) -> cr.Tensor:
            return x * self.factor + offset

    two, three = Scaled(2.0), Scaled(3.0)
    for _ in range(2):
        yield two.by(cr.tensor(s.x)), three.by(cr.tensor(s.x)), two.by(cr.tensor(s.x), offset=1.0)


@scenario(traces=5)
def compiled_inside_compiled(s: Session) -> Iterator[Any]:
    inner = s.compile(lambda x: cr.tanh(x) * 2.0)
    middle = s.compile(lambda x: inner(x) + inner(x * 2.0))
    outer = s.compile(lambda x: s.model(middle(x)))
    for _ in range(2):
        yield outer(s.x)
    yield inner(s.x)  # by itself


@scenario(traces=2)
def update_in_one_evaluation_in_another(s: Session) -> Iterator[Any]:
    step, evaluate = s.compile(s.train), s.compile(cr.no_grad()(s.loss))
    for _ in range(3):
        yield step(s.x, s.labels), evaluate(s.x, s.labels)


@scenario(traces=1)
def eager_between(s: Session) -> Iterator[Any]:
    step = s.compile(s.train)
    for _ in range(2):
        yield step(s.x, s.labels), s.train(s.x, s.labels), s.weights(), s.velocity()


@pytest.mark.parametrize(("play", "traces"), scenario.table, ids=scenario.names)
def test_compiled_does_what_eager_does(play: Scenario, traces: int) -> None:
    play_twice(play, traces)


def test_a_condition_is_not_overwritten_by_what_it_chooses() -> None:
    """Its elements are smaller than those of the result, which are written one after the other."""
    x = np.asarray([[0.5, -1.0, 2.0]])

    def function(x: cr.Tensor) -> cr.Tensor:
        mask = x > 0.0
        total = cr.sum(cr.where(mask, x, 0.0), -1, True)
        return cr.sum(cr.where(mask, total, -1.0), 0)

    compiled = cr.compile(function)
    for setting in every_setting():
        np.testing.assert_array_equal(compiled(x).numpy(), [2.5, -1.0, 2.5], err_msg=str(setting))

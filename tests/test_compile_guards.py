"""Compiled functions, predictors and trainers follow every change of a model."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.compiler.watch import Watch
from reference import assert_same_bits
from support.changing_net import Net, Other, X, linear

CHANGES: dict[str, Callable[[Net], object]] = {
    "parameter replaced": lambda m: setattr(m.first, "weight", nn.Parameter(np.full((5, 4), 0.3, np.float32))),
    "parameter removed": lambda m: setattr(m.first, "bias", None),
    "parameter overwritten": lambda m: m.first.weight.copy_(m.first.weight.numpy() * 3),
    "layer replaced": lambda m: setattr(m, "first", linear(5, 4, 21)),
    "layer of a list replaced": lambda m: m.blocks.__setitem__(0, linear(4, 4, 22)),
    "layer appended": lambda m: m.blocks.append(linear(4, 4, 23)),
    "layer removed": lambda m: m.blocks.pop(),
    "layer of a dict replaced": lambda m: m.by_name.update(a=linear(4, 4, 24)),
    "another list": lambda m: setattr(m, "blocks", [nn.Tanh()]),
    "nested layer replaced": lambda m: setattr(m.blocks[0], "inner", linear(4, 4, 25)),
    "nested number": lambda m: setattr(m.blocks[0], "power", 3),
    "number": lambda m: setattr(m, "scale", 3.0),
    "sign of zero": lambda m: (setattr(m, "scale", 0.0), setattr(m, "scale", -0.0)),
    "flag": lambda m: setattr(m, "flag", False),
    "probability": lambda m: setattr(m.drop, "p", 0.25),
    "generator replaced": lambda m: setattr(m.drop, "generator", cr.random.Generator(6)),
    "generator seeded": lambda m: setattr(m.drop.generator, "seed", 9),
    "evaluation": lambda m: m.eval(),
    "evaluation of one layer": lambda m: m.drop.eval(),
    "array overwritten": lambda m: m.shift.__setitem__(2, 9.0),
    "array replaced": lambda m: setattr(m, "shift", np.zeros(4, np.float32)),
    "entry of a dict": lambda m: m.options.update(slope=-1.0),
    "list in a dict": lambda m: m.options["names"].append("b"),
    "function": lambda m: setattr(m, "activation", cr.sigmoid),
    "tuple": lambda m: setattr(m, "pair", (2.5, "add")),
    "attribute of an object": lambda m: setattr(m.config, "rate", 1.75),
    "attribute in a slot": lambda m: setattr(m.slots, "rate", 1.75),
    "deque": lambda m: m.queue.append(3.0),
    "set": lambda m: m.chosen.add("z"),
    "attribute of the instance over that of the class": lambda m: setattr(m, "bonus", 4.0),
    "method of the instance": lambda m: setattr(m, "finish", lambda h: h * 5.0),
    "forward of the instance": lambda m: setattr(m, "forward", lambda x: m.first(x) * 2.0),
    "class": lambda m: setattr(m, "__class__", Other),
    "dict of the instance": lambda m: setattr(m, "__dict__", {**vars(m), "scale": 7.0}),
}


def compiled_call(model: Any) -> Callable[[], Any]:
    step = cr.compile(lambda x: model(x) * 1.0)
    return lambda: step(X).numpy()


def gradient_call(model: Any) -> Callable[[], Any]:
    def value(x: Any) -> Any:
        return cr.sum(cr.square(model(x)))

    gradient = cr.compile(cr.grad(value))
    return lambda: gradient(X).numpy()


def training_call(model: Any) -> Callable[[], Any]:
    """The gradients of a step that reads parameters by `model.parameters()`, too."""

    def step(x: Any) -> Any:
        model.zero_grad()
        penalty = sum(cr.sum(cr.square(p)) for p in model.parameters())
        loss = cr.mean(cr.square(model(x))) + penalty * 0.01
        loss.backward()
        return loss

    compiled = cr.compile(step)

    def call() -> Any:
        loss = compiled(X).numpy()
        gradients = [np.zeros(0) if p.grad is None else p.grad.numpy() for p in model.parameters()]
        return np.concatenate([loss.reshape(-1), *(g.reshape(-1) for g in gradients)])

    return call


def argument_call(model: Any) -> Callable[[], Any]:
    step = cr.compile(lambda net, x: net(x) * 1.0)
    return lambda: step(model, X).numpy()


def method_call(model: Any) -> Callable[[], Any]:
    class Agent:
        def __init__(self) -> None:
            self.net, self.seen = model, 0

        @cr.compile
        def act(self, x: Any) -> Any:
            return self.net(x) * 1.0

    agent = Agent()

    def call() -> Any:
        agent.seen += 1
        return agent.act(X).numpy()

    return call


CALLS = {f.__name__: f for f in (compiled_call, gradient_call, training_call, argument_call, method_call)}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_model_is_traced_again(change: str, call: str) -> None:
    """The bits of a new model with the change, before, after, and once more."""
    model = Net()
    run = CALLS[call](model)
    before = [run() for _ in range(3)]
    CHANGES[change](model)
    after = [run() for _ in range(2)]
    fresh = Net()
    expected_call = CALLS[call](fresh)
    assert_same_bits(before[0], expected_call(), "before")
    fresh = Net()
    state = fresh.drop.generator.state_dict()
    CHANGES[change](fresh)
    if "seed" not in change and "generator" not in change:
        fresh.drop.generator.load_state_dict({**state, "stream": state["stream"] + 3 * (call != "gradient_call")})
    if call == "compiled_call" and "generator" not in change:
        assert_same_bits(after[0], (fresh(cr.tensor(X)) * 1.0).numpy(), "after")
    if change not in ("sign of zero", "parameter removed"):
        assert not np.array_equal(before[-1], after[0])


def eager_sequence(change: Callable[[Net], object], training: bool) -> list[Any]:
    model = Net()
    model.train(training)
    results = [model(cr.tensor(X)).numpy() for _ in range(2)]
    change(model)
    return [*results, *[model(cr.tensor(X)).numpy() for _ in range(2)]]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_calls_give_the_bits_of_eager_ones(change: str, training: bool) -> None:
    expected = eager_sequence(CHANGES[change], training)
    model = Net()
    model.train(training)
    step = cr.compile(lambda x: model(x))
    got = [step(X).numpy() for _ in range(2)]
    CHANGES[change](model)
    got += [step(X).numpy() for _ in range(2)]
    for i, (a, b) in enumerate(zip(got, expected, strict=True)):
        assert_same_bits(a, b, f"call {i}")


@pytest.mark.parametrize("change", CHANGES)
def test_a_predictor_follows_the_model(change: str) -> None:
    model = Net()
    predict = cr.Predictor(model)
    bound = predict.predict  # the function in C++ by itself, too
    for _ in range(2):
        assert_same_bits(predict(X), model.predict(X), "before")
    CHANGES[change](model)
    for rows in (X, X[:1], X[:4]):
        assert_same_bits(predict(rows), nn._evaluate.predict_eagerly(model, rows), "after")
        assert_same_bits(bound(rows), predict(rows), "bound")


@pytest.mark.parametrize("change", [name for name in CHANGES if name not in ("layer of a dict replaced",)])
def test_trainer_follows_the_model(change: str) -> None:
    """Epochs with a change between them, compiled and eager."""
    weights = []
    for compiled in (True, False):
        model = Net()
        optimizer = cr.optim.SGD(model.parameters(), lr=1e-6, momentum=0.5)
        y = np.ones((6, 4), np.float32)
        trainer = cr.Trainer(
            model, X, y, loss=nn.MSELoss(), optimizer=optimizer, batch_size=4, seed=1, compile=compiled
        )
        losses = [trainer.run_epoch()]
        CHANGES[change](model)
        losses += [trainer.run_epoch(), trainer.run_epoch()]
        weights.append([np.asarray(losses), *model.state_dict().values()])
    for a, b in zip(*weights, strict=True):
        assert_same_bits(a, b, change)


@pytest.mark.parametrize("layers", ["last replaced", "appended", "removed", "preprocessing replaced"])
def test_fit_follows_layers_behind_preprocessing(layers: str) -> None:
    def change(model: nn.Sequential) -> None:
        if layers == "last replaced":
            model._layers[-1] = linear(4, 2, 31)
        elif layers == "appended":
            model.append(linear(2, 2, 32))
        elif layers == "removed":
            del model._layers[-2]
        else:
            model._layers[0] = cr.nn.Standardize(5)

    y = np.arange(6) % 2
    results = []
    for compiled in (True, False):
        model = nn.Sequential(nn.Standardize(5), linear(5, 4, 33), nn.Tanh(), linear(4, 2, 34))
        cr.nn.fit_preprocessing(model, X)
        optimizer = cr.optim.SGD(model.parameters(), lr=0.1)

        def at_the_second(history: cr.History, model: nn.Sequential = model) -> None:
            if history.epochs == 2:
                change(model)

        run = partial(
            cr.fit, model, X, y, loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=4, seed=2, batch_size=4,
            validation=(X, y), callbacks=[at_the_second], compile=compiled,
        )  # fmt: skip
        if layers == "preprocessing replaced":
            with pytest.raises(ValueError, match=r"^fit: the preprocessing layers have changed"):
                run()
            continue
        history = run()
        results.append([np.array(history.loss), np.array(history.val_loss), *model.state_dict().values()])
    for a, b in zip(*results, strict=True) if results else ():
        assert_same_bits(a, b, layers)


@pytest.mark.parametrize(
    "use", [copy.deepcopy, lambda model: copy.copy(model), lambda model: type(model).__annotations__, repr]
)
def test_a_copy_or_a_look_is_no_change(use: Callable[[Any], object]) -> None:
    """Python itself sets attributes of a class then, for example __slotnames__."""

    class Fresh(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = linear(4, 4, 3)

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return self.inner(x)

    model = Fresh()
    watch = Watch([model])
    assert "__slotnames__" in vars(Fresh)
    use(model)
    assert watch.unchanged()

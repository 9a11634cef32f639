"""Compiled functions see what is true now: changes of the model, of captured values, of code and of optimizers."""

from __future__ import annotations

import itertools
import types
import warnings
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from reference import assert_same_bits

X = cr.random.Generator(seed=3).normal((6, 5))
SCALE = 2.0
TABLE = {"shift": np.array([0.5, -1.5, 2.5, 1.0], np.float32), "rates": [0.25, 3.0]}
SETTINGS = types.SimpleNamespace(slope=0.25, unused=1)


def linear(inputs: int, outputs: int, seed: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, generator=cr.random.Generator(seed))


class Block(nn.Module):
    def __init__(self) -> None:
        self.inner = linear(4, 4, 12)
        self.power = 2

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.inner(x) ** self.power


class Slots:
    __slots__ = ("rate",)

    def __init__(self) -> None:
        self.rate = 0.5


class Net(nn.Module):
    """A module of a user, with attributes of all kinds."""

    bonus = 0.125

    def __init__(self) -> None:
        self.first = linear(5, 4, 11)
        self.blocks = [Block()]
        self.by_name = {"a": linear(4, 4, 13)}
        for parameter in self.by_name["a"].parameters():
            parameter.requires_grad = False
        self.scale = 2.0
        self.flag = True
        self.drop = nn.Dropout(0.5, generator=cr.random.Generator(5))
        self.shift = np.array([1.0, 2.0, 3.0, 4.0], np.float32)
        self.options: dict[str, Any] = {"slope": 0.5, "names": ["a"]}
        self.activation: Callable[[cr.Tensor], cr.Tensor] = cr.tanh
        self.pair = (1.5, "add")
        self.config = types.SimpleNamespace(rate=0.75)
        self.slots = Slots()
        self.queue = deque([0.5, 1.5], maxlen=4)
        self.chosen = {"x", "y"}
        self.calls = 0

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        h = self.activation(self.first(x)) * self.scale + self.shift
        for block in self.blocks:
            h = block(h)
        h = h + self.by_name["a"](h) * self.options["slope"] * len(self.options["names"])
        h = h * self.config.rate + self.slots.rate + sum(self.queue) + len(self.chosen) + self.bonus
        h = self.drop(h * self.pair[0])
        return self.finish(h) if self.flag else h

    def finish(self, h: cr.Tensor) -> cr.Tensor:
        return cr.leaky_relu(h, SETTINGS.slope) * SCALE + TABLE["shift"] * TABLE["rates"][0]


class Other(Net):
    def finish(self, h: cr.Tensor) -> cr.Tensor:
        return h * 3.0


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


# Values around the function.


def test_globals_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Net().eval()
    step = cr.compile(lambda x: model(x))
    changes: list[Callable[[], object]] = [
        lambda: None,
        lambda: monkeypatch.setitem(globals(), "SCALE", 3.0),
        lambda: monkeypatch.setattr(SETTINGS, "slope", 0.75),
        lambda: monkeypatch.setitem(globals(), "SETTINGS", types.SimpleNamespace(slope=-0.75)),
        lambda: monkeypatch.setitem(TABLE, "shift", np.ones(4, np.float32)),
        lambda: monkeypatch.setitem(TABLE, "rates", [0.75]),
        lambda: TABLE["rates"].insert(0, 4.0),  # type: ignore[union-attr]
        lambda: monkeypatch.setattr(Net, "bonus", 5.0),
        lambda: monkeypatch.setattr(Net, "finish", lambda self, h: h * 7.0),
        lambda: monkeypatch.setattr(Net.finish, "__code__", (lambda self, h: h * 9.0).__code__),
    ]
    for change in changes:
        change()
        assert_same_bits(step(X).numpy(), model(cr.tensor(X)).numpy(), "globals")


def captured_values() -> Iterator[tuple[str, Any, Callable[[Any], Any], Callable[[Any], Any]]]:
    """Name, value, a change in place, and a function from the value to a number."""
    array = np.array([1.0, 2.0])
    yield "array", array, lambda v: v.__setitem__(0, 5.0), lambda v: float(v[0])
    yield (
        "array of columns",
        np.asfortranarray(np.ones((2, 3))),
        lambda v: v.__setitem__((0, 1), 5.0),
        lambda v: v.sum(),
    )
    yield "view", np.arange(6.0)[::2], lambda v: v.__setitem__(0, 5.0), lambda v: v.sum()
    yield "integers", np.array([1, 2]), lambda v: v.__setitem__(0, 5), lambda v: int(v.sum())
    yield "shape of an array", np.ones((2, 3)), lambda v: setattr(v, "shape", (3, 2)), lambda v: v.shape[0]
    yield "list", [1.0, 2.0], lambda v: v.append(4.0), sum
    yield "nested list", [[1.0], [2.0]], lambda v: v[1].append(4.0), lambda v: sum(map(sum, v))
    yield "list in a tuple", ([1.0],), lambda v: v[0].append(4.0), lambda v: sum(v[0])
    yield "dict", {"a": 1.0}, lambda v: v.update(a=4.0), lambda v: v["a"]
    yield "key of a dict", {"a": 1.0}, lambda v: v.update(b=4.0), len
    yield "OrderedDict", OrderedDict(a=1.0), lambda v: v.update(a=4.0), lambda v: v["a"]
    yield "defaultdict", defaultdict(float, a=1.0), lambda v: v.update(a=4.0), lambda v: v["a"]
    yield "set", {1}, lambda v: v.add(2), len
    yield "deque", deque([1.0]), lambda v: v.append(2.0), len
    yield "object", types.SimpleNamespace(a=1.0), lambda v: setattr(v, "a", 4.0), lambda v: v.a
    yield "object with a slot", Slots(), lambda v: setattr(v, "rate", 4.0), lambda v: v.rate
    yield (
        "object in an object",
        types.SimpleNamespace(b=Slots()),
        lambda v: setattr(v.b, "rate", 4.0),
        lambda v: v.b.rate,
    )
    yield "array in an object", types.SimpleNamespace(a=array.copy()), lambda v: v.a.fill(4.0), lambda v: v.a[0]
    yield "partial function", partial(lambda s: s[0], [1.0]), lambda v: v.args[0].__setitem__(0, 4.0), lambda v: v()
    yield "tensor replaced", [cr.tensor(2.0)], lambda v: v.__setitem__(0, cr.tensor(5.0)), lambda v: v[0]
    yield "tensor overwritten", cr.tensor(2.0), lambda v: v.copy_(5.0), lambda v: v
    yield "class", type("C", (), {"a": 1.0}), lambda v: setattr(v, "a", 4.0), lambda v: v.a
    module = types.ModuleType("settings")
    module.a = 1.0  # type: ignore[attr-defined]
    yield "module", module, lambda v: setattr(v, "a", 4.0), lambda v: v.a
    yield "array-like", Like(), lambda v: v.x.fill(4.0), lambda v: np.asarray(v).sum()


class Like:
    def __init__(self) -> None:
        self.x = np.ones(2)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self.x, dtype)


@pytest.mark.parametrize(
    ("value", "change", "read"), [p[1:] for p in captured_values()], ids=[p[0] for p in captured_values()]
)
def test_captured_values_are_seen(value: Any, change: Callable[[Any], Any], read: Callable[[Any], Any]) -> None:
    function = lambda x: x * read(value)  # noqa: E731
    step, x = cr.compile(function), cr.tensor([1.0, -3.0])
    before = step(x).numpy()
    assert_same_bits(before, function(x).numpy(), "before")
    step(x)
    change(value)
    after = step(x).numpy()
    assert_same_bits(after, function(x).numpy(), "after")
    assert not np.array_equal(before, after)


def test_closures_defaults_and_code_are_seen() -> None:
    rate = 2.0

    def scaled(x: Any, by: Any = (3.0,)) -> Any:
        return x * rate * by[0]

    step, x = cr.compile(lambda x: scaled(x)), cr.tensor([1.0, -3.0])
    assert step(x).numpy().tolist() == [6.0, -18.0]
    rate = 5.0
    assert step(x).numpy().tolist() == [15.0, -45.0]
    scaled.__defaults__ = ((1.0,),)
    assert step(x).numpy().tolist() == [5.0, -15.0]
    scaled.__code__ = (lambda x, by: x + by[0]).__code__.replace(co_freevars=scaled.__code__.co_freevars)
    assert step(x).numpy().tolist() == [2.0, -2.0]


OPTIMIZERS: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "lr": (cr.optim.SGD, {}, {"lr": 0.5}),
    "lr of Adam": (cr.optim.Adam, {}, {"lr": 0.5}),
    "momentum": (cr.optim.SGD, {"momentum": 0.9}, {"momentum": 0.5}),
    "momentum on": (cr.optim.SGD, {}, {"momentum": 0.9}),
    "momentum off": (cr.optim.SGD, {"momentum": 0.9}, {"momentum": 0.0}),
    "nesterov": (cr.optim.SGD, {"momentum": 0.9}, {"nesterov": True}),
    "weight decay on": (cr.optim.SGD, {}, {"weight_decay": 0.1}),
    "weight decay": (cr.optim.AdamW, {"weight_decay": 0.1}, {"weight_decay": 0.3}),
    "betas": (cr.optim.Adam, {}, {"betas": (0.5, 0.8)}),
    "eps": (cr.optim.Adam, {}, {"eps": 0.1}),
    "amsgrad": (cr.optim.Adam, {}, {"amsgrad": True}),
    "of RMSprop": (cr.optim.RMSprop, {}, {"momentum": 0.9}),
}
FREEZING: list[tuple[str, Callable[[Any, Any], object]]] = [
    ("frozen", lambda m, o: setattr(m[0].weight, "requires_grad", False)),
    ("frozen layer", lambda m, o: [setattr(p, "requires_grad", False) for p in m[2].parameters()]),
    ("momentum loaded", lambda m, o: o.load_state_dict(o.state_dict())),
    ("group option", lambda m, o: o.param_groups[0].__setitem__("lr", 0.25)),
    ("generator of a layer", lambda m, o: m.append(nn.Dropout(0.5, generator=cr.random.Generator(3)))),
    ("gradient clipped", lambda m, o: m.append(nn.Tanh())),
    ("parameter left out", lambda m, o: (o.params.pop(), o.param_groups[0].params.pop())),
]


def change_options(options: dict[str, Any]) -> Callable[[Any, Any], object]:
    return lambda model, optimizer: [setattr(optimizer, name, value) for name, value in options.items()]


STEPS: list[tuple[str, Any, dict[str, Any], Callable[[Any, Any], object]]] = [
    *((name, kind, start, change_options(then)) for name, (kind, start, then) in OPTIMIZERS.items()),
    *((name, cr.optim.SGD, {"momentum": 0.5}, change) for name, change in FREEZING),
    ("thawed", cr.optim.Adam, {}, lambda m, o: setattr(m[0].bias, "requires_grad", True)),
]


@pytest.mark.parametrize(("kind", "options", "change"), [s[1:] for s in STEPS], ids=[s[0] for s in STEPS])
def test_steps_see_changes_of_the_optimizer(
    kind: Any, options: dict[str, Any], change: Callable[[Any, Any], object]
) -> None:
    weights = []
    for compile in (lambda f: f, cr.compile):
        model = nn.Sequential(linear(5, 4, 41), nn.Tanh(), linear(4, 3, 42))
        optimizer = kind(model.parameters(), **{"lr": 0.125, **options})
        if change is STEPS[-1][3]:
            model[0].bias.requires_grad = False

        def step(x: Any, model: Any = model, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = cr.mean(cr.square(model(x) - 1.0))
            loss.backward()
            optimizer.step()
            return loss

        step = compile(step)
        for _ in range(3):
            step(cr.tensor(X))
        change(model, optimizer)
        for _ in range(3):
            step(cr.tensor(X))
        weights.append(model.state_dict())
    for name, value in weights[0].items():
        assert_same_bits(weights[1][name], value, name)


# What is refused.


def numbers() -> Iterator[float]:
    yield from itertools.count(1.0)


RANDOM = np.random.default_rng(0)
REFUSED: dict[str, tuple[Callable[[], Callable[[Any], Any]], str]] = {
    "generator": (lambda: (lambda it: lambda x: x * next(it))(numbers()), "generator"),
    "iterator": (lambda: (lambda it: lambda x: x * next(it))(iter([1.0, 2.0, 3.0])), "list_iterator"),
    "count": (lambda: (lambda it: lambda x: x * next(it))(itertools.count()), "count"),
    "global of NumPy": (lambda: lambda x: x * np.random.normal(), "drawn inside"),
    "generator of NumPy": (lambda: lambda x: x * RANDOM.normal(), "drawn inside"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_what_gives_another_value_at_every_call_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(cr.CompileError, match=message):
        cr.compile(make())(X)


def test_results_that_depend_on_a_counter_are_refused() -> None:
    state = types.SimpleNamespace(n=0)

    def function(x: Any) -> Any:
        state.n += 1
        return x * float(state.n)

    with pytest.raises(cr.CompileError, match=r"changes SimpleNamespace.n, which its result depends on"):
        cr.compile(function)(X)


def test_counters_and_logs_do_not_matter() -> None:
    """One trace, although the function changes what it names."""
    state, log, seen = types.SimpleNamespace(n=0), [], {"n": 0}
    total = 0

    def function(x: Any) -> Any:
        nonlocal total
        state.n += 1
        total += 1
        seen["n"] += 1
        log.append(x.shape)
        return x * 2.0

    step = cr.compile(function)
    for _ in range(4):
        step(X)
    state.n = 10
    step(X)
    assert (state.n, total, seen, len(log)) == (10, 1, {"n": 1}, 1)


def test_layers_that_are_made_at_the_first_call() -> None:
    class Lazy(nn.Module):
        def __init__(self) -> None:
            self.weight: nn.Parameter | None = None

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            if self.weight is None:
                self.weight = nn.Parameter(np.full((x.shape[1], 2), 0.5, np.float32))
            return x @ self.weight

    model = Lazy()
    step = cr.compile(lambda x: model(x))
    first = step(X).numpy()
    assert model.weight is not None
    model.weight.copy_(model.weight.numpy() * 3)
    assert_same_bits(step(X).numpy(), model(cr.tensor(X)).numpy(), "after")
    assert not np.array_equal(first, step(X).numpy())


# How often functions are traced.


def counted(function: Callable[..., Any]) -> tuple[Callable[..., Any], list[int]]:
    runs: list[int] = []

    def run(*args: Any) -> Any:
        runs.append(1)
        return function(*args)

    return cr.compile(run), runs


UNCHANGED: dict[str, Callable[[Any], object]] = {
    "nothing": lambda m: None,
    "values": lambda m: m.first.weight.copy_(m.first.weight.numpy() * 0.5),
    "state": lambda m: m.load_state_dict(m.state_dict()),
    "an equal number": lambda m: setattr(m, "scale", float("2.0")),
    "an equal text": lambda m: setattr(m, "pair", (1.5, "".join(["a", "dd"]))),
    "an attribute that no code names": lambda m: setattr(m.config, "note", object()),
    "another attribute of the settings": lambda m: setattr(SETTINGS, "unused", object()),
    "prediction": lambda m: m.predict(X),
    "eager call": lambda m: m(cr.tensor(X)),
    "mode and back": lambda m: (m.eval(), m.train()),
    "a global that no code names": lambda m: globals().update(NOTE=object()),
}


@pytest.mark.parametrize("change", UNCHANGED)
def test_what_does_not_matter_causes_no_trace(change: str) -> None:
    model = Net()
    step, runs = counted(lambda x: model(x))
    for _ in range(5):
        step(X)
        UNCHANGED[change](model)
    assert len(runs) == 1


def test_a_value_that_changes_back_needs_no_trace() -> None:
    model = Net()
    step, runs = counted(lambda x: model(x))
    for scale in (1.0, 2.0, 1.0, 2.0, 1.0):
        model.scale = scale
        step(X)
    assert len(runs) == 2


def test_the_warning_about_repeated_traces_names_the_cause() -> None:
    model = Net()
    step, _ = counted(lambda x: model(x))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for i in range(70):
            model.scale = float(i)
            step(X)
    (warning,) = caught
    assert "traced 64 times; the latest time because Net.scale had changed" in str(warning.message)


@pytest.mark.parametrize(
    "shapes",
    [((20, 16), (16,)), ((8, 8), (8, 5)), ((40, 2), (2, 40)), ((33,), (33,)), ((6, 6), (6, 6), (6, 6))],
)
@pytest.mark.parametrize("mode", ["auto", "reverse"])
def test_a_jacobian_by_several_matrices_traces_once(
    shapes: tuple[tuple[int, ...], ...], mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chainrule.compiler import jit

    runs: list[int] = []
    original = jit._run
    monkeypatch.setattr(jit, "_run", lambda *a: runs.append(1) or original(*a))  # type: ignore[func-returns-value]
    draw = cr.random.Generator(seed=7)
    arguments = [draw.normal(shape, dtype=np.float64) for shape in shapes]
    y = draw.normal((64, 1), dtype=np.float64)

    def function(*given: Any) -> Any:
        return cr.sum(cr.tanh(cr.sum(y * sum(cr.sum(cr.square(t)) for t in given), axis=1)) * y.T, axis=0)

    found = cr.jacobian(function, tuple(range(len(shapes))), mode=mode)(*arguments)
    assert len(runs) == 1
    for block, shape in zip(found, shapes, strict=True):
        assert block.shape == (64, *shape)


def test_predictions_of_many_row_counts_neither_warn_nor_trace_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.compiler import jit

    runs: list[int] = []
    original = jit._run
    monkeypatch.setattr(jit, "_run", lambda *a: runs.append(1) or original(*a))  # type: ignore[func-returns-value]
    model = nn.Sequential(linear(5, 4, 51), nn.Tanh(), linear(4, 2, 52))
    rows = cr.random.Generator(seed=1).normal((300, 5))
    for predict in (cr.Predictor(model), model.predict):
        runs.clear()
        for n in range(1, 301):
            assert predict(rows[:n]).shape == (n, 2)
        assert len(runs) < 40

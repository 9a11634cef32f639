"""Compiled functions see changes of captured values, code and optimizers; and how often they are traced."""

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
from support import changing_net
from support.changing_net import SETTINGS, TABLE, Net, Slots, X, linear

# Values around the function.


def test_globals_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Net().eval()
    step = cr.compile(lambda x: model(x))
    changes: list[Callable[[], object]] = [
        lambda: None,
        lambda: monkeypatch.setattr(changing_net, "SCALE", 3.0),
        lambda: monkeypatch.setattr(SETTINGS, "slope", 0.75),
        lambda: monkeypatch.setattr(changing_net, "SETTINGS", types.SimpleNamespace(slope=-0.75)),
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


def _transpose_shape(array: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # since NumPy 2.5; it still changes the array itself
        array.shape = array.shape[::-1]


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
    yield "shape of an array", np.ones((2, 3)), _transpose_shape, lambda v: v.shape[0]
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
    "a global that no code names": lambda m: vars(changing_net).update(NOTE=object()),
}


@pytest.mark.parametrize("change", UNCHANGED)
def test_what_does_not_matter_causes_no_trace(change: str) -> None:
    model = Net()
    model(cr.tensor(X))  # computes numbers that ops keep: dropout's scale would be a part of the first trace only
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


class Foreign:
    """As PyTorch's tensor: one that requires a gradient gives its values to a detached copy only."""

    def __init__(self, values: np.ndarray, requires_grad: bool = True) -> None:
        self.values, self.requires_grad = values, requires_grad

    def detach(self) -> Foreign:
        return Foreign(self.values, False)

    def __array__(self, *arguments: Any, **options: Any) -> np.ndarray:
        if self.requires_grad:
            raise RuntimeError("use tensor.detach().numpy()")
        return self.values


def test_arrays_of_other_libraries_are_seen() -> None:
    foreign = Foreign(np.ones(5, np.float32))
    step = cr.compile(lambda x: x * np.asarray(foreign.detach()))
    assert_same_bits(step(X).numpy(), X)
    foreign.values[1] = 2.0
    assert_same_bits(step(X).numpy(), X * foreign.values)


def test_an_array_that_cannot_be_read_is_refused() -> None:
    foreign = Foreign(np.ones(5, np.float32))
    foreign.detach = lambda: foreign  # type: ignore[method-assign]
    with pytest.raises(cr.CompileError, match=r"an array whose values cannot be read \(Foreign: use tensor\.detach"):
        cr.compile(lambda x: x * float(foreign.values[0]))(X)

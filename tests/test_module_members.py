"""Parameters, buffers and layers in containers of a module: found under their names, or refused, never overlooked."""

from __future__ import annotations

from collections import OrderedDict, UserDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn

Pair = namedtuple("Pair", "left right")


def linear(outputs: int = 1) -> cr.nn.Linear:
    return cr.nn.Linear(2, outputs, generator=cr.random.Generator(outputs))


class Holder(cr.nn.Module):
    """Adds the outputs of all layers in its container."""

    def __init__(self, held: Any) -> None:
        self.held = held

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        layers = [m for m in self.modules() if isinstance(m, cr.nn.Linear)]
        total = sum((cr.sum(layer(x), 1) for layer in layers), start=cr.sum(x, 1) * 0.0)
        own = [p for p in self.parameters() if p.ndim == 0]
        return sum((p * 1.0 for p in own), start=total)


FOUND: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "list": (lambda: [linear(), linear(3)], ["0", "1"]),
    "tuple": (lambda: (linear(), cr.nn.Tanh()), ["0"]),
    "dict": (lambda: {"a": linear(), "b": linear(2)}, ["a", "b"]),
    "dict of numbers": (lambda: {3: linear(), 1: linear(2)}, ["3", "1"]),
    "OrderedDict": (lambda: OrderedDict(z=linear(), a=linear(2)), ["z", "a"]),
    "defaultdict": (lambda: defaultdict(list, {"a": [linear()]}), ["a.0"]),
    "named tuple": (lambda: Pair(linear(), linear(2)), ["0", "1"]),
    "lists of lists": (lambda: [[linear(), cr.nn.Tanh()], [linear(2)]], ["0.0", "1.0"]),
    "dict of lists": (lambda: {"a": [linear()], "b": (linear(2), linear(3))}, ["a.0", "b.0", "b.1"]),
    "list of dicts": (lambda: [{"x": linear()}, {"x": linear(2)}], ["0.x", "1.x"]),
    "three levels": (lambda: {"a": [{"b": [linear()]}]}, ["a.0.b.0"]),
    "beside other things": (lambda: {"a": linear(), "n": 3, "names": ["x"], "f": np.tanh, "t": (1, (2,))}, ["a"]),
    "modules of modules": (
        lambda: {"a": Holder([linear()]), "b": [Holder({"c": linear(2)})]},
        ["a.held.0", "b.0.held.c"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", FOUND)
def test_found(kind: str) -> None:
    """In order; trained, eager and compiled; in state dicts, transformations, predictions."""
    make, names = FOUND[kind]
    model = Holder(make())
    expected = [f"held.{name}.{part}" for name in names for part in ("weight", "bias")]
    assert [name for name, _ in model.named_parameters()] == expected
    assert list(model.state_dict()) == expected
    x = np.asarray([[0.5, 1.0], [2.0, -1.0]], np.float32)
    gradient = cr.grad(lambda m: cr.sum(m(cr.tensor(x))))(model)
    assert all(np.abs(g.numpy()).sum() > 0 for g in gradient.values())
    optimizer = cr.optim.SGD(model.parameters(), lr=0.01)

    @cr.compile
    def step(x: cr.Tensor) -> None:
        optimizer.zero_grad()
        cr.sum(model(x)).backward()
        optimizer.step()

    before = model.state_dict()
    predicted = model.predict(x)
    step(cr.tensor(x))
    assert all(not np.array_equal(before[name], value) for name, value in model.state_dict().items())
    assert not np.array_equal(model.predict(x), predicted)
    other = Holder(make())
    other.load_state_dict(model.state_dict())
    assert np.array_equal(other.predict(x), model.predict(x))
    assert model.eval().training is False
    assert all(not m.training for m in model.modules())


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda p: {"scale": p}, ["held.scale"]),
        (lambda p: [[p]], ["held.0.0"]),
        (lambda p: {"a": {"b": p}}, ["held.a.b"]),
        (lambda p: (None, [p, 1.0]), ["held.1.0"]),
        (lambda p: {"a": [cr.nn.Buffer([1.0]), p]}, ["held.a.0", "held.a.1"]),
    ],
)
def test_parameters(make: Callable[[Any], Any], names: list[str]) -> None:
    p = cr.nn.Parameter(2.0)
    model = Holder(make(p))
    assert list(model.state_dict()) == names
    assert [q is p for q in model.parameters()] == [True]
    assert cr.grad(lambda m: cr.sum(m(cr.tensor([[1.0, 2.0]]))))(model)[names[-1]].item() == 1.0


def test_shared_layers_are_found_once() -> None:
    layer = linear()
    model = Holder({"a": layer, "b": [layer, {"c": layer}]})
    assert [name for name, _ in model.named_parameters()] == ["held.a.weight", "held.a.bias"]


def test_a_container_in_itself() -> None:
    held: list[Any] = [linear()]
    held.append(held)
    assert [name for name, _ in Holder(held).named_parameters()] == ["held.0.weight", "held.0.bias"]


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "set": (lambda: {linear()}, r"Holder: held is a set with a Linear.* use a list or a dict"),
    "frozenset": (lambda: frozenset([linear()]), "Holder: held is a frozenset with a Linear"),
    "deque": (lambda: deque([linear()]), "Holder: held is a deque with a Linear"),
    "UserDict": (lambda: UserDict(a=linear()), "Holder: held is a UserDict with a Linear"),
    "mappingproxy": (lambda: MappingProxyType({"a": linear()}), "Holder: held is a mappingproxy with a Linear"),
    "parameters in a set": (lambda: {cr.nn.Parameter([1.0])}, "Holder: held is a set with a Parameter"),
    "a set in a dict": (lambda: {"a": [{linear()}]}, r"Holder: held\['a'\]\[0\] is a set with a Linear"),
    "keys with dots": (lambda: {"a.b": linear()}, r"Holder: held has the key 'a.b', expected strings without dots"),
    "other keys": (lambda: {(1, 2): linear()}, r"Holder: held has the key \(1, 2\), expected"),
    "equal names": (lambda: {"1": linear(), 1: linear()}, "Holder: held has the key 1 as a number and as a string"),
    "None": (lambda: {None: linear()}, "Holder: held has the key None, expected"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(kind: str) -> None:
    """At the first use: parameters(), the state, training mode, a transformation."""
    make, message = REFUSED[kind]
    model = Holder(make())
    uses: list[Callable[[], Any]] = [
        lambda: cr.optim.SGD(model.parameters()),
        model.state_dict,
        model.train,
        lambda: cr.grad(lambda m: cr.sum(m(cr.tensor([[1.0, 2.0]]))))(model),
    ]
    for use in uses:
        with pytest.raises(TypeError, match="^" + message):
            use()


def test_sets_of_other_things() -> None:
    model = Holder([linear()])
    model.names, model.queue = {"a", "b"}, deque([1, 2])  # type: ignore[attr-defined]
    assert len(list(model.parameters())) == 2


def test_tensors_of_pytorch_are_transposed_where_its_layers_are() -> None:
    """Known by the package of their type; square ones, too."""

    class Foreign:
        __module__ = "torch"

        def __init__(self, values: np.ndarray) -> None:
            self.values = values

        def __array__(self, *arguments: Any, **options: Any) -> np.ndarray:
            return self.values

    model = cr.nn.Sequential(cr.nn.Embedding(3, 3), cr.nn.Linear(3, 3), cr.nn.GRU(3, 1))
    state = {name: np.arange(p.size, dtype=np.float32).reshape(p.shape) for name, p in model.named_parameters()}
    model.load_state_dict(state)
    x = np.array([[0, 2, 1]])
    expected = model(x)[0].tolist()
    products = {"1.weight", "2.weight_ih_l0", "2.weight_hh_l0"}
    model.load_state_dict({name: Foreign(v.T if name in products else v) for name, v in state.items()})  # type: ignore[misc]
    assert model(x)[0].tolist() == expected
    listed = cr.nn.Module()
    listed.parts = [cr.nn.Parameter(np.zeros((2, 2), np.float32))]  # type: ignore[assignment]
    listed.load_state_dict({"parts.0": Foreign(np.eye(2, k=1, dtype=np.float32))})  # type: ignore[dict-item]
    assert listed.state_dict()["parts.0"].tolist() == [[0.0, 1.0], [0.0, 0.0]]
    with pytest.raises(ValueError, match=r"2\.weight_ih_l0 has shape \(3, 3\), the value \(1, 3\)"):
        model.load_state_dict({**state, "2.weight_ih_l0": Foreign(np.zeros((3, 1), np.float32))})  # type: ignore[dict-item]


class Parts(nn.Module):
    """Modules, parameters and buffers under names of all kinds."""

    def __init__(self) -> None:
        self.add_module("first", nn.Linear(2, 2))
        self.layers = [nn.Linear(2, 2), nn.Sequential(nn.Standardize(2))]
        self.register_parameter("scale", nn.Parameter([1.0]))
        self.register_parameter("nothing", None)
        self.weights = {"left": nn.Parameter([2.0])}
        self.register_module("again", self.first)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.layers[0](self.first(x)) * self.scale  # type: ignore[attr-defined]

    def extra_repr(self) -> str:
        return "of all kinds"


def test_members_by_name() -> None:
    model: Any = Parts()
    assert model.get_submodule("") is model
    assert model.get_submodule("layers.1.0") is model.layers[1][0]
    assert model.get_submodule("again") is model.first
    assert model.get_parameter("first.weight") is model.get_parameter("again.weight") is model.first.weight
    assert model.get_parameter("scale") is model.scale
    assert model.get_parameter("weights.left").item() == 2.0
    assert model.get_buffer("layers.1.0.mean") is model.layers[1][0].mean
    assert [b.shape for b in model.buffers()] == [(2,), (2,)]
    names = [name for name, _ in model.named_parameters()]
    assert names == ["scale", "weights.left", "first.weight", "first.bias", "layers.0.weight", "layers.0.bias"]
    assert repr(model).startswith("Parts(of all kinds\n  first: Linear(")
    model.register_parameter("nothing", nn.Parameter([1.0]))
    model.add_module("first", nn.ReLU())
    assert isinstance(model.first, nn.ReLU)
    for get, name in (
        (model.get_submodule, "layers.5"),
        (model.get_submodule, "scale"),
        (model.get_parameter, "first"),
        (model.get_parameter, "layers.1.0.mean"),
        (model.get_buffer, "scale"),
        (model.get_buffer, "missing"),
    ):
        with pytest.raises(AttributeError, match=f"Parts has no .* '{name}'"):
            get(name)


def test_members_that_are_refused() -> None:
    model: Any = Parts()
    layers = nn.Sequential()
    layers.add_module("0", nn.ReLU())
    assert len(layers) == 1
    heads = nn.ModuleDict()
    heads.add_module("left", nn.ReLU())
    assert list(heads) == ["left"]
    for call, error in (
        (lambda: model.add_module("a.b", nn.ReLU()), "add_module: 'a.b' is not the name"),
        (lambda: model.add_module("forward", nn.ReLU()), "add_module: 'forward' is an attribute"),
        (lambda: model.add_module("x", cr.ones(1)), "add_module: x must be a Module"),
        (lambda: model.register_parameter("x", cr.ones(1)), "register_parameter: x must be a Parameter"),
        (lambda: model.register_parameter("", nn.Parameter([1.0])), "register_parameter: '' is not the name"),
        (lambda: layers.add_module("relu", nn.ReLU()), "write append"),
        (lambda: layers.register_buffer("w", [1.0]), "members of Sequential are what it contains"),
        (lambda: layers.register_parameter("w", nn.Parameter([1.0])), "members of Sequential are what it contains"),
    ):
        with pytest.raises((TypeError, ValueError), match=error):
            call()
    assert not hasattr(layers, "w")


def net(dtype: str = "float32") -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 3, dtype=dtype), nn.Tanh(), nn.Linear(3, 2, dtype=dtype))


def test_load_state_dict_rounds_arrays() -> None:
    """To the parameter's dtype, once, as PyTorch's; lists and integers, too."""
    exact = net("float64").state_dict() | {"2.bias": np.array([1 / 3, np.inf])}
    single, wide = net(), net("float64")
    single.load_state_dict(exact)
    for name, value in single.state_dict().items():
        assert value.tobytes() == exact[name].astype(np.float32).tobytes()
    wide.load_state_dict(single.state_dict() | {"0.bias": [0.1, 1, 2]})
    assert wide.state_dict()["0.weight"].tolist() == single.state_dict()["0.weight"].tolist()
    assert wide[0].bias.tolist() == [0.1, 1, 2]
    single.load_state_dict({"2.bias": np.array([2**24 + 1, 3])}, strict=False)
    assert single[2].bias.tolist() == [2**24, 3]
    counts = nn.BatchNorm1d(2)
    counted = [name for name, t in counts.named_buffers() if t.dtype == np.int64]
    for name in counted:
        counts.load_state_dict({name: np.array(3, np.int32)}, strict=False)
        with pytest.raises(TypeError, match=f"{name} is int64, the value float64"):
            counts.load_state_dict({name: np.array(3.0)}, strict=False)

"""Models in files: what occurs twice is saved once and comes back as one object; registered classes come back."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import chainrule as cr
from cases.repeated_models import REPEATED, Many, Net, OwnSequential, Pairs, Residual, Unregistered, X, linear
from chainrule import nn
from chainrule.nn import _registry
from chainrule.serialize import _architecture
from reference import assert_same_bits
from support.model_bytes import forged


def member(module: Any, path: str) -> Any:
    for part in path.split("."):
        module = module[int(part)] if part.isdigit() else getattr(module, part)
    return module


def assert_tied(model: nn.Module, pairs: Pairs) -> None:
    for a, b in pairs:
        assert member(model, a) is member(model, b), (a, b)


@pytest.fixture(params=REPEATED)
def repeated(request: pytest.FixtureRequest) -> tuple[nn.Module, Pairs]:
    make, pairs = REPEATED[request.param]
    model = make()
    assert_tied(model, pairs)
    return model, pairs


def rows(model: nn.Module) -> np.ndarray:
    return X.astype(np.float64) if model._dtype() == np.float64 else X


def test_what_occurs_twice_comes_back_once(repeated: tuple[nn.Module, Pairs], tmp_path: Path) -> None:
    model, pairs = repeated
    cr.save(model, tmp_path / "m")
    again = cr.load(tmp_path / "m")
    assert_tied(again, pairs)
    assert repr(again) == repr(model)
    assert_same_bits(again.predict(rows(model)), model.predict(rows(model)), "predictions")
    state, loaded = model.state_dict(), again.state_dict()
    assert list(state) == list(loaded)
    assert set(safetensors.numpy.load_file(tmp_path / "m")) == set(state)  # each value once
    cr.save(again, tmp_path / "n")
    assert (tmp_path / "m").read_bytes() == (tmp_path / "n").read_bytes()


def test_copies_and_states_keep_what_occurs_twice(repeated: tuple[nn.Module, Pairs], tmp_path: Path) -> None:
    model, pairs = repeated
    expected = model.predict(rows(model))
    checkpoint = tmp_path / "c"
    cr.save_checkpoint(checkpoint, model=model)
    for name, twin in (("deepcopy", copy.deepcopy(model)), ("pickle", pickle.loads(pickle.dumps(model)))):
        assert_tied(twin, pairs)
        assert_same_bits(twin.predict(rows(model)), expected, name)
        assert not {id(p) for p in twin.parameters()} & {id(p) for p in model.parameters()}
        state = {key: np.zeros_like(value) for key, value in model.state_dict().items()}
        twin.load_state_dict(state)
        twin.load_state_dict(model.state_dict())
        assert_same_bits(twin.predict(rows(model)), expected, "state_dict")
        twin.load_state_dict(state)
        cr.load_checkpoint(checkpoint, model=twin)
        assert_tied(twin, pairs)
        assert_same_bits(twin.predict(rows(model)), expected, "checkpoint")


def test_training_after_loading_is_that_of_the_model(repeated: tuple[nn.Module, Pairs], tmp_path: Path) -> None:
    """One step: a gradient of a tied weight is the sum over its uses."""
    model, _ = repeated
    cr.save(model, tmp_path / "m")
    results = []
    for net in (cr.load(tmp_path / "m"), model):
        optimizer = cr.optim.SGD(net.parameters(), 0.1)
        cr.sum(net(cr.tensor(rows(model))) ** 2).backward()
        optimizer.step()
        results.append(net.state_dict())
    for name in results[0]:
        assert_same_bits(results[0][name], results[1][name], name)


# Own classes.


@pytest.fixture
def registry() -> Iterator[None]:
    """Restores the registered classes."""
    before = dict(_registry.REGISTERED)
    yield
    _registry.REGISTERED.clear()
    _registry.REGISTERED.update(before)


OWN: dict[str, Callable[[], nn.Module]] = {
    "alone": lambda: Net(3),
    "deep": lambda: Net(3, depth=4),
    "in a Sequential": lambda: nn.Sequential(linear(), Net(3), nn.Tanh()),
    "of a layer": lambda: Residual(linear(), 0.25),
    "of a block": lambda: Residual(nn.Sequential(linear(), nn.GELU(), linear())),
    "of its own kind": lambda: Residual(Residual(Residual(linear(), 2.0), 3.0)),
    "of another own class": lambda: Residual(Net(3, tied=True), -1.0),
    "of lists and dicts": lambda: Many([linear(), nn.Tanh()], {"last": linear()}),
    "of own classes in lists": lambda: Many([Net(3), Residual(linear())], {"last": OwnSequential(5)}),
    "of Sequential": lambda: OwnSequential(4),
    "in itself": lambda: nn.Sequential(OwnSequential(2), nn.Sequential(OwnSequential(7))),
    "with other weights": lambda: nn.Sequential(Residual(nn.Maxout(3, 3, 2)), nn.Linear(3, 1, dtype=np.float32)),
}


def test_a_class_of_ones_own_that_has_the_name_of_a_layer_now() -> None:
    node = {"class": "Residual", "config": {"width": 3}, "modules": {"inner": ["Linear", {}]}}
    with pytest.raises(ValueError, match="Residual is a class of one's own in this file, and the name of a layer"):
        _architecture.build(node, {})


@pytest.mark.parametrize("make", OWN.values(), ids=OWN)
def test_registered_classes_come_back(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    model = make()
    cr.manual_seed(3)
    cr.save(model, tmp_path / "m")
    again = cr.load(tmp_path / "m")
    assert cr.random.default_generator().state_dict() == {"seed": 3, "stream": 0}  # neither draws
    assert [type(m) for m in again.modules()] == [type(m) for m in model.modules()]
    assert_same_bits(again.predict(X), model.predict(X), "predictions")
    assert all(parameter.requires_grad for parameter in again.parameters())


def test_only_registered_classes_are_saved_and_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for model in (Unregistered(), nn.Sequential(Unregistered()), Residual(Unregistered())):
        with pytest.raises(TypeError, match=r"is a Unregistered, which is not a layer of cr\.nn; decorate the class"):
            cr.save(model, tmp_path / "m")
    assert not (tmp_path / "m").exists()
    cr.save(Net(3), tmp_path / "m")
    monkeypatch.delitem(_registry.REGISTERED, "tests.Net")
    with pytest.raises(cr.ModelFormatError, match=r"unknown layer class 'tests\.Net'; register a class of your own"):
        cr.load(tmp_path / "m")


def test_registering(registry: None) -> None:
    register = nn.register_serializable
    for wrong in (nn.Module, int, "Net", linear()):
        with pytest.raises(TypeError, match="register_serializable: expected a subclass of Module"):
            register(wrong)  # type: ignore[call-overload]
    for name in ("", 3):
        with pytest.raises(TypeError, match="name must be a string"):
            register(Unregistered, name=name)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=r"Linear is a layer of cr\.nn"):
        register(Unregistered, name="Linear")
    with pytest.raises(ValueError, match=r"tests.Residual is .*\.Residual already"):
        register(Unregistered, name="tests.Residual")
    assert register(Unregistered) is Unregistered

    def again() -> type[nn.Module]:
        class Local(nn.Module):
            pass

        return register(Local)

    assert again() is not again()  # a cell that is run again


def changed(change: Callable[[Any], Any], make: Callable[[], nn.Module] = lambda: Net(3)) -> nn.Module:
    model = make()
    change(model)
    return model


class WithoutConfig(Net):
    def config(self) -> dict[str, Any]:
        return {}


class WithArray(Net):
    def config(self) -> dict[str, Any]:
        return {"width": np.arange(3)}


class WithNumberAsKey(Net):
    def config(self) -> dict[str, Any]:
        return {"width": {1: 2}}


class WithForeignModule(Residual):
    def config(self) -> dict[str, Any]:
        return {"inner": linear(), "scale": 1.0}


def replace_layer(net: Net) -> None:
    net.layers[0] = nn.Linear(3, 3, bias=False)


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "another activation": (
        lambda: changed(lambda m: setattr(m, "width", 4)),
        r"shape|width",
    ),
    "a layer replaced": (lambda: changed(replace_layer), r"layers\.0 was .*, the constructor makes"),
    "a layer appended": (lambda: changed(lambda m: m.layers.append(linear())), r"layers\.2 was .* makes nothing"),
    "a layer removed": (lambda: changed(lambda m: m.layers.pop()), r"layers\.1 was nothing"),
    "a parameter added": (lambda: changed(lambda m: setattr(m, "extra", nn.Parameter([1.0]))), "unknown extra"),
    "a parameter removed": (lambda: changed(lambda m: delattr(m, "offset")), "missing offset"),
    "a parameter of another shape": (
        lambda: changed(lambda m: setattr(m, "offset", nn.Parameter(np.ones(4, np.float32)))),
        r"offset has shape \(3,\), the value \(4,\)",
    ),
    "a parameter of another dtype": (
        lambda: changed(lambda m: setattr(m, "offset", nn.Parameter(np.ones(3)))),
        "offset is float32, the value float64",
    ),
    "no config": (lambda: WithoutConfig(3), "width"),
    "an array": (lambda: WithArray(3), r"config\(\) of WithArray contains ndarray"),
    "a number as key": (lambda: WithNumberAsKey(3), r"config\(\) of WithNumberAsKey contains dict"),
    "a module that is not its own": (lambda: WithForeignModule(linear()), r"WithForeignModule contains Linear"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_what_would_not_come_back_is_refused(
    make: Callable[[], nn.Module], message: str, tmp_path: Path, registry: None
) -> None:
    """When saved, before an older file is touched."""
    for kind in (WithoutConfig, WithArray, WithNumberAsKey, WithForeignModule):
        nn.register_serializable(kind)
    (tmp_path / "m").write_bytes(b"old")
    with pytest.raises((ValueError, TypeError), match=message):
        cr.save(make(), tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == b"old"


def test_another_definition_of_a_class_is_refused_when_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cr.save(Net(3), tmp_path / "m")
    before = Net.__init__

    def init(self: Any, *arguments: Any, **options: Any) -> None:
        before(self, *arguments, **options)
        self.layers[0] = nn.Sequential(nn.Linear(3, 3))

    monkeypatch.setattr(Net, "__init__", init)
    with pytest.raises(cr.ModelFormatError, match=r"tests\.Net: layers\.0 was .*Linear.*, the constructor makes"):
        cr.load(tmp_path / "m")

    def fails(self: Any, **options: Any) -> None:
        raise LookupError("no such device\n" * 100)

    monkeypatch.setattr(Net, "__init__", fails)
    with pytest.raises(cr.ModelFormatError, match="no such device") as caught:
        cr.load(tmp_path / "m")
    assert len(str(caught.value)) < 600


# Files that lie.

LAYER = {"class": "Linear", "config": {"in_features": 3, "out_features": 3}}
VALUES = {"0.weight": np.ones((3, 3), np.float32), "0.bias": np.ones(3, np.float32), "1.bias": np.ones(3, np.float32)}


def pair(links: Any, second: Any = LAYER) -> dict[str, Any]:
    return {"class": "Sequential", "config": {}, "layers": [LAYER, second], "links": links}


def test_a_good_file_made_by_hand(tmp_path: Path) -> None:
    model = cr.load(forged(tmp_path / "m", pair({"1.weight": "0.weight"}), VALUES, format_version="2"))
    assert model[0].weight is model[1].weight


@pytest.mark.parametrize(
    "architecture",
    [
        pair([]),
        pair({"1.weight": 0}),
        pair({"1.weight": "1.weight"}),
        pair({"1.weight": "2.weight"}),
        pair({"1.weight": "0.bias"}),
        pair({"1.weight": "0"}),
        pair({"1": "0"}),
        pair({"2.weight": "0.weight"}),
        pair({"": "0.weight"}),
        pair({"0.weight": "1.weight"}),
        pair({"1.weight": "0.weight"}, {"shared": "1"}),
        pair({"1.weight": "0.weight"}, {"shared": ""}),
        pair({"1.weight": "0.weight"}, {"shared": 0}),
        pair({"1.weight": "0.weight"}, {"shared": "0"}),
        pair({"1.weight": "0.weight"}, {"class": "tests.Net", "config": {"width": 3}}),
        pair({"1.weight": "0.weight"}, {"class": "tests.Net", "config": {"width": 10**12}, "modules": {}}),
        pair({"1.weight": "0.weight"}, {"class": "tests.Net", "config": {"width": -1}, "modules": {}}),
        pair({"1.weight": "0.weight"}, {"class": "tests.Net", "config": {"width": {"module": "x"}}, "modules": {}}),
        pair({"1.weight": "0.weight"}, {"class": "tests.Net", "config": {"self": 3}, "modules": {}}),
        {"shared": ""},
        {"class": "Sequential", "config": {}, "layers": {"0": LAYER}},
        {"class": "Sequential", "config": {}, "layers": 3},
        {"class": "Module", "config": {}},
        {"class": "Net", "config": {"width": 3}},
        {"class": "test_architecture.Net", "config": {"width": 3}},
        {"class": "Dropout", "config": {"generator": 3, "p": 7}},
    ],
    ids=str,
)
def test_lies_about_the_architecture(tmp_path: Path, architecture: Any) -> None:
    with pytest.raises(cr.ModelFormatError) as caught:
        cr.load(forged(tmp_path / "m", architecture, VALUES, format_version="2"))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600

"""model.predict follows every change of a model and of the code it calls, and has the bits of model(x)."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.nn._evaluate import predict_eagerly
from support.predictions import assert_right, cache, linear, net, rows

SLOPE = 0.5
SETTINGS = types.SimpleNamespace(slope=0.25)


class Own(nn.Module):
    """A module of a user, with all kinds of attributes."""

    rate = 0.5

    def __init__(self) -> None:
        self.first, self.blocks = linear(5, 4), [linear(4, 4, 34)]
        self.first.bias.copy_(np.ones(4))  # type: ignore[union-attr]
        self.table: dict[str, Any] = {"scale": 2.0, "extra": linear(4, 4, 35)}
        self.shift = np.array([1.0, 2.0, 3.0, 4.0], np.float32)
        self.options = types.SimpleNamespace(slope=0.5, names=["a"])
        self.plain = cr.tensor([1.0, 2.0, 3.0, 4.0])

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        x = self.squash(self.first(x)) * self.table["scale"] + self.shift
        for block in self.blocks:
            x = block(x)
        x = x + self.table["extra"](x) * self.options.slope * len(self.options.names) + self.plain
        return cr.leaky_relu(x, self.rate * SLOPE * SETTINGS.slope)

    def squash(self, x: cr.Tensor) -> cr.Tensor:
        return cr.tanh(x)


# Changes of the model.


def replace_data(model: Own) -> None:
    model.first.weight._data = model.first.weight._data * np.float32(2)


CHANGES: dict[str, Callable[[Own], object]] = {
    "values": lambda m: m.first.weight.copy_(m.first.weight.numpy() * 2),
    "state dict": lambda m: m.load_state_dict({name: value * 2 for name, value in m.state_dict().items()}),
    "memory of a parameter": replace_data,
    "parameter": lambda m: setattr(m.first, "weight", nn.Parameter(np.ones((5, 4), np.float32))),
    "no bias": lambda m: setattr(m.first, "bias", None),
    "layer": lambda m: setattr(m, "first", linear(5, 4, 36)),
    "layer of a list": lambda m: m.blocks.__setitem__(0, linear(4, 4, 37)),
    "appended layer": lambda m: m.blocks.append(linear(4, 4, 38)),
    "removed layer": lambda m: m.blocks.pop(),
    "another list": lambda m: setattr(m, "blocks", [linear(4, 4, 39), nn.Tanh()]),
    "number in a dict": lambda m: m.table.update(scale=3.0),
    "layer in a dict": lambda m: m.table.update(extra=linear(4, 4, 40)),
    "array": lambda m: m.shift.__setitem__(2, 9.0),
    "array of a new name": lambda m: setattr(m, "shift", np.zeros(4, np.float32)),
    "tensor": lambda m: m.plain.copy_([4.0, 3.0, 2.0, 1.0]),
    "attribute of an object": lambda m: setattr(m.options, "slope", -1.0),
    "list of an object": lambda m: m.options.names.append("b"),
    "attribute of the instance": lambda m: setattr(m, "rate", 0.125),
    "forward": lambda m: setattr(m, "forward", lambda x: cr.exp(m.first(x))),
    "method": lambda m: setattr(m, "squash", cr.sigmoid),
    "dict of the instance": lambda m: setattr(m, "__dict__", {**vars(m), "rate": 0.0625}),
    "class": lambda m: setattr(m, "__class__", Other),
}


class Other(Own):
    def squash(self, x: cr.Tensor) -> cr.Tensor:
        return cr.relu(x)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changes_are_seen(change: Callable[[Own], object]) -> None:
    model = Own()
    assert_right(model)
    before = model.predict(rows(6))
    change(model)
    after = model.predict(rows(6))
    assert after.tobytes() == predict_eagerly(model, rows(6)).tobytes() != before.tobytes()
    assert_right(model)


@pytest.mark.parametrize("name", ["SLOPE", "SETTINGS", "SETTINGS.slope", "rate", "squash", "code"])
def test_changes_of_code_around_the_model_are_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Own()
    assert_right(model)
    before = model.predict(rows(6))
    if name == "SLOPE":
        monkeypatch.setitem(globals(), "SLOPE", 0.75)
    elif name == "SETTINGS":
        monkeypatch.setitem(globals(), "SETTINGS", types.SimpleNamespace(slope=0.75))
    elif name == "SETTINGS.slope":
        monkeypatch.setattr(SETTINGS, "slope", 0.75)
    elif name == "rate":
        monkeypatch.setattr(Own, "rate", 0.75)
    elif name == "squash":
        monkeypatch.setattr(Own, "squash", lambda self, x: cr.sigmoid(x))
    else:
        monkeypatch.setattr(Own.squash, "__code__", Other.squash.__code__)
    after = model.predict(rows(6))
    assert after.tobytes() == predict_eagerly(model, rows(6)).tobytes() != before.tobytes()


def test_a_closure_is_seen() -> None:
    slope = 0.5

    class Closed(nn.Module):
        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return cr.leaky_relu(x, slope)

    model = Closed()
    assert_right(model)
    slope = 0.25
    assert_right(model)


def test_layers_of_a_sequential() -> None:
    model = net()
    assert_right(model)
    model.append(nn.Softmax())
    assert_right(model)
    model._layers[0] = linear(5, 8, 41)
    assert_right(model)
    model[1].negative_slope = 0.5  # type: ignore[attr-defined]
    assert_right(model)
    del model._layers[-1]
    assert_right(model)


def test_it_is_evaluation_whatever_the_mode() -> None:
    model = net()
    expected = model.predict(rows(6)).tobytes()
    for change in (model.train, model.eval, model[2].train, model[2].eval, model.train):
        runs = cache(model)._runs
        change()
        modes = [module.training for module in model.modules()]
        assert model.predict(rows(6)).tobytes() == expected
        assert [module.training for module in model.modules()] == modes
        assert cache(model)._runs is runs  # nothing was compiled again
    with cr.no_grad():
        assert model.predict(rows(6)).tobytes() == expected


def test_the_mode_of_a_module_beside_the_model() -> None:
    drop = nn.Dropout(0.5, generator=cr.random.Generator(seed=42)).eval()

    class Beside(nn.Module):
        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return drop(x)

    model = Beside()
    assert_right(model)
    drop.train()
    state = cr.random.Generator(seed=42)
    expected = cr.dropout(cr.tensor(rows(6)), 0.5, generator=state).numpy()
    assert model.predict(rows(6)).tobytes() == expected.tobytes()


def test_training_between_predictions() -> None:
    model = net()
    optimizer = cr.optim.SGD(model.parameters(), lr=0.1)
    assert_right(model)
    runs = cache(model)._runs
    seen = set()
    for _ in range(3):
        labels = np.arange(6) % 4
        cr.fit(model, rows(6), labels, loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=1, progress=False)
        found = model.predict(rows(6))
        assert found.tobytes() == predict_eagerly(model, rows(6)).tobytes()
        seen.add(found.tobytes())
    assert len(seen) == 3
    assert cache(model)._runs is runs

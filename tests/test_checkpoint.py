"""Checkpoints: training resumed from a file has the bits of uninterrupted training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from cases.optimizers import Make, each_optimizer

X = cr.random.Generator(seed=1).normal((70, 5))
Y = (X[:, 0] > X[:, 1]).astype(np.int64)


class Session:
    """A net, its optimizer, a schedule, a history; named as the parts of a checkpoint."""

    def __init__(self, make: Make, seed: int = 2) -> None:
        generator = cr.random.Generator(seed=seed)
        self.model = cr.nn.Sequential(
            cr.nn.Linear(5, 17, generator=generator),
            cr.nn.Tanh(),
            cr.nn.Dropout(0.3, generator),
            cr.nn.Linear(17, 2, generator=generator),
        )
        self.optimizer = make(list(self.model.parameters()))
        self.schedule = cr.optim.CosineAnnealingLR(self.optimizer, 6)
        self.history = cr.History()
        self.generator = generator

    @property
    def parts(self) -> dict[str, Any]:
        return vars(self)

    def fit(self, epochs: int, **options: Any) -> None:
        cr.fit(
            self.model,
            X[:50],
            Y[:50],
            loss=cr.nn.CrossEntropyLoss(),
            optimizer=self.optimizer,
            schedule=self.schedule,
            epochs=epochs,
            batch_size=16,
            validation=(X[50:], Y[50:]),
            seed=3,
            progress=False,
            history=self.history,
            **options,
        )

    def result(self) -> Any:
        seen = {**self.history.state_dict(), "seconds": len(self.history.seconds)}
        return self.model[0].weight.numpy().tobytes(), self.model[3].bias.numpy().tobytes(), self.optimizer.lr, seen


@each_optimizer
def test_training_goes_on_with_the_same_bits(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "training.safetensors"
    straight = Session(make)
    straight.fit(6)
    halted = Session(make)
    halted.fit(4, callbacks=[lambda h: h.epochs == 3 and cr.save_checkpoint(path, **halted.parts)])
    again = Session(make, seed=9)  # other weights: they are overwritten
    cr.load_checkpoint(path, **again.parts)
    assert again.history.epochs == 3
    again.fit(3)
    assert again.result() == straight.result()


def test_generators_go_on(tmp_path: Path) -> None:
    path = tmp_path / "a"
    first = cr.random.Generator(seed=2**64 - 1, stream=5)
    cr.save_checkpoint(path, generator=first)
    expected = first.uniform(4)
    second = cr.random.Generator(seed=0)
    cr.load_checkpoint(path, generator=second)
    np.testing.assert_array_equal(second.uniform(4), expected)
    assert (second.seed, second.stream) == (2**64 - 1, 6)


def test_a_part_alone(tmp_path: Path) -> None:
    session = Session(lambda p: cr.optim.Adam(p))
    cr.save_checkpoint(tmp_path / "a", **session.parts)
    other = Session(lambda p: cr.optim.SGD(p, 0.1), seed=7)
    cr.load_checkpoint(tmp_path / "a", model=other.model)
    np.testing.assert_array_equal(other.model[0].weight.numpy(), session.model[0].weight.numpy())


def test_what_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    session = Session(lambda p: cr.optim.Adam(p))
    session.fit(1)
    cr.save_checkpoint(path, **session.parts)
    other = Session(lambda p: cr.optim.SGD(p, 0.1), seed=7)
    before = other.result()
    with pytest.raises(ValueError, match="load_state_dict: missing velocity"):
        cr.load_checkpoint(path, history=other.history, model=other.model, optimizer=other.optimizer)
    assert other.result() == before
    listed = "generator, history, model, optimizer, schedule"
    with pytest.raises(ValueError, match=rf"a does not contain net, only {listed}$"):
        cr.load_checkpoint(path, net=other.model)
    with pytest.raises(TypeError, match="load_checkpoint: model is a list, which has no state_dict"):
        cr.load_checkpoint(path, model=[])  # type: ignore[arg-type]


class Odd:
    """A part with any state."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def state_dict(self) -> Any:
        return self.state

    def load_state_dict(self, state: Any) -> None:
        self.state = state


def test_states_come_back_as_they_were(tmp_path: Path) -> None:
    state = {
        "a": [1, -0.0, 1e-310, float("inf"), 2**70, True, None, "ü", {"array": {}, "dict": []}],
        "b": {"x": np.array(2.5, np.float32), "y": [np.zeros((0, 3)), np.arange(3), np.array([True, False])]},
    }
    cr.save_checkpoint(tmp_path / "a", part=Odd(state))
    part = Odd(None)
    cr.load_checkpoint(tmp_path / "a", part=part)
    assert repr(part.state) == repr(state)
    assert part.state["b"]["y"][0].shape == (0, 3)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({1: 2.0}, "save_checkpoint: part has a key that is not a string"),
        ({"a": [0, {2, 3}]}, r"save_checkpoint: part\.a\.1 is a set; expected numbers, strings or arrays"),
        ({"a": np.ones(2, np.int8)}, r"save_checkpoint: part\.a is int8, expected one of float32"),
    ],
)
def test_other_states_are_rejected(state: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=message):
        cr.save_checkpoint(tmp_path / "a", part=Odd(state))
    assert list(tmp_path.iterdir()) == []


def test_damaged_files_are_rejected(tmp_path: Path) -> None:
    model = cr.nn.Linear(3, 2)
    before = model.weight.numpy().copy()
    cr.save_checkpoint(tmp_path / "good", model=cr.nn.Linear(3, 2))
    content = bytearray((tmp_path / "good").read_bytes())
    for at in (len(content) - 1, len(content) // 2, 3):
        damaged = content.copy()
        damaged[at] ^= 1
        (tmp_path / "bad").write_bytes(damaged)
        with pytest.raises(cr.ModelFormatError, match="bad: "):
            cr.load_checkpoint(tmp_path / "bad", model=model)
    cr.save(model, tmp_path / "model")
    with pytest.raises(cr.ModelFormatError, match="not a checkpoint"):
        cr.load_checkpoint(tmp_path / "model", model=model)
    with pytest.raises(cr.ModelFormatError, match="but not a chainrule model"):
        cr.load(tmp_path / "good")
    np.testing.assert_array_equal(model.weight.numpy(), before)

"""One model in several Python threads: predictions of a model between two steps, in evaluation mode."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.nn._evaluate import predict_eagerly
from test_threads import run_together

ROWS = 300
X = cr.random.Generator(seed=1).normal((ROWS, 6))
Y = (X[:, 0] > X[:, 1]).astype(np.int64)


class Unreadable(nn.Module):
    """Needs values in Python: predicted and trained op by op."""

    def __init__(self) -> None:
        self.inner = plain()

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        y: cr.Tensor = self.inner(x)
        return y * 2.0 if np.isfinite(float(y.numpy()[0, 0])) else y


def layers(*middle: nn.Module) -> nn.Module:
    generator = cr.random.Generator(seed=3)
    return nn.Sequential(
        nn.Linear(6, 16, generator=generator), nn.Tanh(), *middle, nn.Linear(16, 2, generator=generator)
    )


def plain() -> nn.Module:
    return layers()


def dropout() -> nn.Module:
    return layers(nn.Dropout(0.5, cr.random.Generator(seed=4)))


def nested() -> nn.Module:
    generator = cr.random.Generator(seed=5)
    return layers(nn.Sequential(nn.Dropout(0.3, generator), nn.Sequential(nn.ReLU(), nn.Dropout(0.2, generator))))


def standardized() -> nn.Module:
    front = nn.Standardize(6)
    model = nn.Sequential(front, *dropout().children())
    nn.fit_preprocessing(model, X)
    return model


@dataclass(frozen=True)
class Kind:
    name: str
    make: Callable[[], Any]
    compiled: bool = True


KINDS = [
    Kind("plain", plain),
    Kind("dropout", dropout),
    Kind("nested", nested),
    Kind("standardized", standardized),
    Kind("eager", dropout, False),
    Kind("unreadable", Unreadable, False),
]
Predict = Callable[[Any], Callable[[np.ndarray], np.ndarray]]
PATHS: dict[str, Predict] = {
    "predict": lambda model: model.predict,
    "Predictor": lambda model: cr.Predictor(model),
    "op by op": lambda model: lambda x: predict_eagerly(model, x),
    "out": lambda model: lambda x: cr.Predictor(model)(x, np.empty((len(x), 2), np.float32)),
}


def train(model: Any, epochs: int, compiled: bool, after: Callable[[Any], object] = lambda history: None) -> None:
    """One step per epoch."""
    optimizer = cr.optim.Adam(model.parameters(), lr=0.01)
    loss = nn.CrossEntropyLoss()
    cr.fit(
        model, X, Y, loss=loss, optimizer=optimizer, epochs=epochs, batch_size=None, seed=0, compile=compiled,
        progress=False, callbacks=[after],
    )  # fmt: skip


def weights(model: Any) -> bytes:
    return b"".join(value.tobytes() for value in model.state_dict().values())


def between_steps(kind: Kind, epochs: int) -> tuple[dict[bytes, int], bytes]:
    """The predictions before and after each step of a training alone, and its weights."""
    model = kind.make()
    found = {predict_eagerly(model, X).tobytes(): 0}
    train(
        model, epochs, kind.compiled, lambda history: found.setdefault(predict_eagerly(model, X).tobytes(), 1) and None
    )
    return found, weights(model)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_predictions_beside_a_training(kind: Kind, path: str) -> None:
    if kind.name == "unreadable" and path in ("Predictor", "out"):
        with pytest.raises(cr.CompileError):
            cr.Predictor(kind.make())(X)
        return
    epochs = 60 if kind.compiled else 12
    expected, alone = between_steps(kind, epochs)
    model = kind.make()
    modes = [module.training for module in model.modules()]
    ended = threading.Event()
    predict = PATHS[path](model)

    def use() -> None:
        while not ended.is_set():
            assert predict(X).tobytes() in expected
            assert [module.training for module in model.modules()] == modes

    def fit() -> None:
        try:
            train(model, epochs, kind.compiled)
        finally:
            ended.set()

    run_together([use, fit, use])
    assert weights(model) == alone
    assert [module.training for module in model.modules()] == modes


@pytest.mark.parametrize("compiled", [True, False])
def test_steps_written_by_hand(compiled: bool) -> None:
    """A step that changes several arrays is a unit for predictions, compiled or eager."""

    def trained(after: Callable[[Any], None], model: Any) -> bytes:
        optimizer = cr.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

        def step(x: Any, y: Any) -> cr.Tensor:
            optimizer.zero_grad()
            loss = cr.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        run = cr.compile(step) if compiled else step
        for _ in range(40):
            run(cr.tensor(X), cr.tensor(Y))
            after(model)
        return weights(model)

    expected: set[bytes] = set()
    first = plain()
    expected.add(first.predict(X).tobytes())
    alone = trained(lambda m: expected.add(predict_eagerly(m, X).tobytes()), first)
    model = plain()
    ended = threading.Event()

    def use() -> None:
        while not ended.is_set():
            assert model.predict(X).tobytes() in expected

    def fit() -> None:
        try:
            assert trained(lambda m: None, model) == alone
        finally:
            ended.set()

    run_together([use, fit, use])


def test_weights_are_loaded_as_a_whole() -> None:
    model = plain()
    states = [layer.state_dict() for layer in (plain(), dropout())]
    states[1] = {name: value * 2 for name, value in states[0].items()}
    expected = set()
    for state in states:
        model.load_state_dict(state)
        expected.add(model.predict(X).tobytes())
    end = time.monotonic() + 1

    def load() -> None:
        while time.monotonic() < end:
            for state in states:
                model.load_state_dict(state)

    def use() -> None:
        while time.monotonic() < end:
            assert model.predict(X).tobytes() in expected

    run_together([load, use, use])


def test_eval_of_another_thread_does_not_reach_into_a_training() -> None:
    alone = dropout()
    train(alone, 60, True)
    model = dropout()
    ended = threading.Event()
    expected = predict_eagerly(alone, X[:4]).shape

    def switch() -> None:
        while not ended.is_set():
            model.eval()
            with cr.no_grad():
                x = cr.tensor(X[:4])
                assert model(x).shape == expected
            assert not any(module.training for module in model.modules())

    def fit() -> None:
        try:
            train(model, 60, True)
        finally:
            ended.set()

    run_together([switch, fit])
    assert weights(model) == weights(alone)
    assert not model.training  # as the other thread left it


def test_modes_inside_of_a_training() -> None:
    """Callbacks see and change the modes of their training; afterwards they are as before."""
    model = dropout().eval()
    seen = []

    def callback(history: cr.History) -> None:
        seen.append(model.training)
        model.eval()
        seen.append(model.training)

    train(model, 2, True, callback)
    assert seen == [True, False] * 2
    assert not any(module.training for module in model.modules())


def mixed(seconds: float) -> tuple[int, int]:
    """8 threads predict, evaluate and train shared and own models; returns how much they did."""
    kinds = [kind for kind in KINDS if kind.name in ("plain", "dropout", "standardized")]
    epochs = 25
    references = {kind.name: between_steps(kind, epochs) for kind in kinds}
    shared = {kind.name: kind.make() for kind in kinds}
    end = time.monotonic() + seconds
    counts = [0, 0]

    def own(kind: Kind) -> None:
        while time.monotonic() < end:
            model = kind.make()
            train(model, epochs, kind.compiled)
            assert weights(model) == references[kind.name][1]
            counts[0] += 1

    def trainer(kind: Kind) -> None:
        while time.monotonic() < end:
            model = shared[kind.name] = kind.make()
            train(model, epochs, kind.compiled)
            assert weights(model) == references[kind.name][1]
            counts[0] += 1

    def user(kind: Kind, path: str) -> None:
        while time.monotonic() < end:
            model = shared[kind.name]
            predict = PATHS[path](model)
            for _ in range(20):
                found = predict(X).tobytes()
                assert found in references[kind.name][0]
                counts[1] += 1

    bodies: list[Callable[[], None]] = [lambda k=k: trainer(k) for k in kinds]  # type: ignore[misc]
    bodies += [lambda: own(kinds[1])]
    paths = ["predict", "predict", "Predictor", "op by op"]
    bodies += [lambda k=k, p=p: user(k, p) for k, p in zip([*kinds, kinds[1]], paths, strict=True)]  # type: ignore[misc]
    run_together(bodies)
    return counts[0], counts[1]


def test_eight_threads() -> None:
    trainings, predictions = mixed(3)
    assert trainings > 0
    assert predictions > 0


@pytest.mark.full
@pytest.mark.timeout(300)
def test_eight_threads_for_a_minute() -> None:
    trainings, predictions = mixed(60)
    assert trainings > 100
    assert predictions > 1000

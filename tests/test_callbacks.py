"""Early stopping: when it stops and which weights it restores; callbacks with access to the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr

X = cr.random.Generator(seed=1).normal((80, 6))
Y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
HELD_OUT = (X[40:], Y[40:])


def net() -> cr.nn.Sequential:
    generator = cr.random.Generator(seed=2)
    return cr.nn.Sequential(
        cr.nn.Linear(6, 32, generator=generator), cr.nn.Tanh(), cr.nn.Linear(32, 2, generator=generator)
    )


def fit(model: cr.nn.Module, callbacks: Any, validation: Any = HELD_OUT, epochs: int = 60) -> cr.History:
    return cr.fit(
        model,
        X[:40],
        Y[:40],
        loss=cr.nn.CrossEntropyLoss(),
        optimizer=cr.optim.SGD(model.parameters(), 0.3, 0.9),
        epochs=epochs,
        batch_size=8,
        validation=validation,
        seed=3,
        progress=False,
        callbacks=callbacks,
    )


def value(model: cr.nn.Module) -> float:
    with cr.no_grad():
        return float(cr.cross_entropy(model(HELD_OUT[0]), HELD_OUT[1]).item())


def weights(model: cr.nn.Module) -> bytes:
    return b"".join(v.tobytes() for v in model.state_dict().values())


def first_stop(values: list[float], patience: int, min_delta: float = 0.0) -> tuple[int, int]:
    """Epochs until it stops, and the best one, both from 1."""
    best, at = values[0], 1
    for epoch, v in enumerate(values[1:], 2):
        if v < best - min_delta:
            best, at = v, epoch
        elif epoch - at >= patience:
            return epoch, at
    return len(values), at


@pytest.mark.parametrize(("patience", "min_delta"), [(1, 0.0), (3, 0.0), (3, 0.02), (7, 0.0)])
def test_it_stops_and_goes_back_to_the_best_weights(patience: int, min_delta: float) -> None:
    losses = fit(net(), []).val_loss
    stop, best = first_stop(losses, patience, min_delta)
    assert best < stop < 60
    model, seen = net(), []
    stopping = cr.EarlyStopping(patience=patience, min_delta=min_delta)
    history = fit(model, [stopping, lambda h: seen.append(weights(model))])
    assert history.val_loss == losses[:stop]
    assert (stopping.stopped, stopping.best_epoch, stopping.best) == (True, best, losses[best - 1])
    assert weights(model) == seen[best - 1] != seen[-1]
    assert value(model) == pytest.approx(losses[best - 1], rel=1e-6)


def test_best_weights_without_stopping() -> None:
    """Also when the epochs are over first."""
    model = net()
    losses = fit(net(), [], epochs=20).val_loss
    stopping = cr.EarlyStopping(patience=50)
    assert fit(model, [stopping], epochs=20).epochs == 20
    assert not stopping.stopped
    assert stopping.best_epoch == int(np.argmin(losses)) + 1 < 20
    assert value(model) == pytest.approx(min(losses), rel=1e-6)


def test_without_restoring() -> None:
    model = net()
    stopping = cr.EarlyStopping(patience=3, restore_best=False)
    history = fit(model, [stopping])
    assert stopping.stopped
    assert value(model) == pytest.approx(history.val_loss[-1], rel=1e-6)
    assert stopping.best is not None and stopping.best < history.val_loss[-1]


def test_other_measures() -> None:
    stopping = cr.EarlyStopping(patience=2, monitor="val_accuracy", mode="max")
    history = fit(net(), [stopping])
    accuracy = history.metrics["accuracy"]
    assert stopping.best == max(accuracy)
    assert history.epochs == accuracy.index(max(accuracy)) + 3
    stopping = cr.EarlyStopping(patience=1, monitor="loss", min_delta=0.05)
    history = fit(net(), [stopping], validation=None)
    assert 1 < history.epochs == first_stop(history.loss, 1, 0.05)[0]


def test_every_fit_begins_anew() -> None:
    stopping = cr.EarlyStopping(patience=3)
    results = []
    for _ in range(2):
        model = net()
        fit(model, [stopping])
        results.append((weights(model), stopping.best_epoch))
    assert results[0] == results[1]


def test_nan_is_not_better() -> None:
    stopping = cr.EarlyStopping(patience=2, restore_best=False)
    stopping.begin(net(), ["loss", "val_loss"])
    answers = []
    history = cr.History()
    for loss in (float("nan"), 1.0, 0.5, float("nan"), 0.75):
        history.val_loss.append(loss)
        history.loss.append(loss)
        answers.append(stopping(history))
    assert answers == [False, False, False, False, True]
    assert (stopping.best, stopping.best_epoch) == (0.5, 3)


INF, NAN = float("inf"), float("nan")
# measures, min_delta -> epochs, best epoch; with "max" of their negatives
SEQUENCES: dict[str, tuple[list[float], float, int, int | None]] = {
    "positive": ([3.0, 2.0, 2.5, 2.1, 1.0], 0.0, 4, 2),
    "negative": ([-1.0, -2.0, -1.5, -1.9, -3.0], 0.0, 4, 2),
    "across 0": ([1.0, 0.0, -1.0, -0.5, -0.9, -4.0], 0.0, 5, 3),
    "hardly better": ([-1.0, -1.05, -1.09, -5.0], 0.1, 3, 1),
    "better": ([-1.0, -1.2, -1.4, -1.6], 0.1, 4, 4),
    "constant": ([-2.0] * 5, 0.0, 3, 1),
    "only NaN": ([NAN] * 5, 0.0, 2, None),
    "NaN first": ([NAN, 2.0, 1.0, 1.5, NAN], 0.0, 5, 3),
    "NaN later": ([2.0, NAN, NAN, 1.0], 0.0, 3, 1),
    "only the worst": ([INF] * 5, 0.0, 2, None),
    "the worst first": ([INF, 2.0, INF, NAN, 1.0], 0.0, 4, 2),
    "the best there is": ([1.0, -INF, -INF, -INF, 2.0], 0.0, 4, 2),
}


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("name", SEQUENCES)
def test_measures_of_any_sign_and_of_none(name: str, mode: str) -> None:
    measures, min_delta, epochs, best = SEQUENCES[name]
    stopping, model = cr.EarlyStopping(patience=2, min_delta=min_delta, mode=mode), net()
    stopping.begin(model, ["loss", "val_loss"])
    history = cr.History()
    for measure in measures:
        with cr.no_grad():
            model[0].bias.copy_(np.full(32, history.epochs, np.float32))
        history.val_loss.append(measure if mode == "min" else -measure)
        history.loss.append(1.0)
        if stopping(history):
            break
    assert (history.epochs, stopping.best_epoch) == (epochs, best)
    stopping.end(model)
    assert model[0].bias.numpy()[0] == (epochs if best is None else best) - 1


def test_a_measure_that_there_is_not() -> None:
    for monitor, validation, message in (
        ("val_loss", None, "unknown measure 'val_loss', expected one of loss; pass validation= to fit"),
        ("accuracy", HELD_OUT, "unknown measure 'accuracy', expected one of loss, val_loss, val_accuracy$"),
    ):
        model = net()
        before = weights(model)
        with pytest.raises(ValueError, match=message):
            fit(model, [cr.EarlyStopping(monitor=monitor)], validation)
        assert weights(model) == before
    with pytest.raises(RuntimeError, match=r"EarlyStopping: pass it to cr\.fit"):
        cr.EarlyStopping()(cr.History(val_loss=[1.0]))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"patience": 0}, ValueError, "EarlyStopping: patience must be at least 1, got 0"),
        ({"patience": 2.5}, TypeError, "EarlyStopping: patience must be an integer, got 2.5"),
        ({"min_delta": -0.1}, ValueError, "EarlyStopping: min_delta must be a finite number of at least 0, got -0.1"),
        ({"mode": "auto"}, ValueError, "EarlyStopping: mode must be 'min' or 'max', got 'auto'"),
    ],
)
def test_rejected(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        cr.EarlyStopping(**arguments)


def test_a_callback_s_end_is_not_called_after_an_error() -> None:
    class Watch(cr.Callback):
        def __init__(self) -> None:
            self.calls: list[Any] = []

        def begin(self, model: Any, measures: Any) -> None:
            self.calls.append((model, list(measures)))

        def __call__(self, history: cr.History) -> bool:
            self.calls.append(history.epochs)
            return history.epochs == 3

        def end(self, model: Any) -> None:
            self.calls.append(model)

    model, watch = net(), Watch()
    fit(model, [watch])
    assert watch.calls == [(model, ["loss", "val_loss", "val_accuracy"]), 1, 2, 3, model]
    watch = Watch()
    with pytest.raises(ZeroDivisionError):
        fit(model, [watch, lambda h: 1 / (2 - h.epochs)])
    assert watch.calls[1:] == [1, 2]

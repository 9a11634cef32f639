"""L-BFGS in fit: an epoch is one step on all rows, with the bits of a loop of one's own; it ends where it converges."""

from __future__ import annotations

import gc
import signal
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from support.variants import ISAS, force_level, force_threads

N = 80
X = cr.random.Generator(seed=31).normal((N, 4))
NOISE = cr.random.Generator(seed=32).normal(N)
LABELS = (X[:, 0] * X[:, 1] + 0.8 * NOISE > 0.2).astype(np.int64)
VALUES = X[:, :1] * X[:, 1:2] + 0.5 * NOISE[:, None]
WEIGHTS = cr.random.Generator(seed=33).uniform(N, low=0.5, high=2)
SEARCH = {"line_search_fn": "strong_wolfe", "max_iter": 3, "max_eval": 8}


def net(dtype: type = np.float32, *further: nn.Module, outputs: int = 2) -> nn.Sequential:
    generator = cr.random.Generator(seed=34)
    first, last = (nn.Linear(*size, dtype=dtype, generator=generator) for size in ((4, 6), (6, outputs)))
    return nn.Sequential(first, *further, nn.Tanh(), last)


def lbfgs(model: nn.Module, **options: Any) -> cr.optim.LBFGS:
    return cr.optim.LBFGS(model.parameters(), **{**SEARCH, **options})


def fit(model: nn.Module, optimizer: Any, epochs: int = 4, **options: Any) -> cr.History:
    shared: dict[str, Any] = {"loss": cr.cross_entropy, "batch_size": None, "progress": False}
    return cr.fit(model, X, options.pop("y", LABELS), optimizer=optimizer, epochs=epochs, **{**shared, **options})


def by_hand(model: nn.Module, optimizer: cr.optim.LBFGS, loss: Callable[[], cr.Tensor], steps: int) -> list[float]:
    def closure() -> cr.Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    return [optimizer.step(closure).item() for _ in range(steps)]


def bits(model: nn.Module, optimizer: cr.optim.LBFGS | None = None) -> Any:
    weights = {name: value.tobytes() for name, value in model.state_dict().items()}
    if optimizer is None:
        return weights
    state = optimizer.state_dict()
    vectors = [array.tobytes() for pair in (*state["history"], state["previous"]) for array in pair]
    return weights, vectors, state["n_iter"], state["func_evals"]


@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [{"max_iter": 3}, SEARCH, {**SEARCH, "max_iter": 20, "history_size": 5}])
def test_an_epoch_is_one_step_of_a_loop(options: dict[str, Any], dtype: type, compile: bool) -> None:
    model, other = net(dtype), net(dtype)
    own, optimizer = cr.optim.LBFGS(other.parameters(), **options), cr.optim.LBFGS(model.parameters(), **options)
    x = cr.tensor(X.astype(dtype))
    losses = by_hand(other, own, lambda: cr.cross_entropy(other(x), LABELS), 4)
    history = fit(model, optimizer, compile=compile)
    assert history.loss == losses
    assert losses[-1] < 0.9 * losses[0]
    assert bits(model, optimizer) == bits(other, own)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("compile", [True, False])
def test_weights_of_rows_and_classes_validation_and_metrics(compile: bool) -> None:
    model, other = net(), net()
    own, optimizer = lbfgs(other), lbfgs(model)
    weight = cr.tensor(WEIGHTS[:60] * np.where(LABELS[:60] == 1, np.float32(2.0), np.float32(1.0)))
    x, labels = cr.tensor(X[:60]), LABELS[:60]
    losses = by_hand(other, own, lambda: cr.cross_entropy(other(x), labels, sample_weight=weight), 4)
    options: dict[str, Any] = {"class_weight": {1: 2.0}, "sample_weight": WEIGHTS[:60], "micro_batch": 7}
    options |= {"validation": (X[60:], LABELS[60:]), "metrics": ["accuracy", "auc"], "compile": compile}
    history = cr.fit(model, X[:60], labels, loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=4, batch_size=None,
        progress=False, **options)  # fmt: skip
    assert history.loss == losses
    assert bits(model, optimizer) == bits(other, own)
    assert [len(history.measures[name]) for name in ("val_loss", "val_accuracy", "val_auc")] == [4, 4, 4]


def test_several_inputs_and_frozen_layers() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            self.inner = net(outputs=1)
            self.inner[0].requires_grad_(False)

        def forward(self, a: cr.Tensor, b: cr.Tensor) -> cr.Tensor:
            return self.inner(cr.concatenate([a, b], axis=1))

    model, other = Two(), Two()
    optimizer = cr.optim.LBFGS(model.inner[-1].parameters(), **SEARCH)
    own = cr.optim.LBFGS(other.inner[-1].parameters(), **SEARCH)
    parts = cr.tensor(X[:, :1]), cr.tensor(X[:, 1:])
    losses = by_hand(other, own, lambda: cr.mse_loss(other(*parts), VALUES), 3)
    history = cr.fit(model, (X[:, :1], X[:, 1:]), VALUES, loss=cr.mse_loss, optimizer=optimizer, epochs=3,
        batch_size=N, progress=False)  # fmt: skip
    assert history.loss == losses
    assert bits(model, optimizer) == bits(other, own)


def test_running_statistics_follow_every_evaluation() -> None:
    model, other = (net(np.float32, nn.BatchNorm1d(6)) for _ in range(2))
    own, optimizer = lbfgs(other), lbfgs(model)
    x = cr.tensor(X)
    by_hand(other, own, lambda: cr.cross_entropy(other(x), LABELS), 3)
    fit(model, optimizer, epochs=3)
    assert bits(model, optimizer) == bits(other, own)
    assert model[1].num_batches_tracked.item() == optimizer.func_evals > 9


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("isa", ISAS)
def test_the_same_bits_everywhere(isa: str, threads: int) -> None:
    def trained() -> Any:
        model = net()
        optimizer = lbfgs(model)
        return fit(model, optimizer).loss, bits(model, optimizer)

    expected = trained()
    force_level(isa)
    force_threads(threads)
    assert trained() == expected


def test_by_name_class_and_function() -> None:
    def result(optimizer: Any, **options: Any) -> Any:
        model = net()
        fit(model, optimizer, **options)
        return bits(model)

    model = net()
    fit(model, cr.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe"))
    searched = bits(model)
    assert result("lbfgs") == result("LBFGS") == searched
    assert result(partial(cr.optim.LBFGS, line_search_fn="strong_wolfe")) == searched
    assert result(cr.optim.LBFGS) != searched
    assert result(lambda parameters: cr.optim.Adam(parameters), batch_size=8) == result("adam", batch_size=8)
    assert result(cr.optim.Adam, batch_size=8) == result(None, batch_size=8)
    with pytest.raises(TypeError, match=r"fit: optimizer must return one of cr.optim for the parameters, got \[\]"):
        result(lambda parameters: [])


def test_training_ends_where_a_step_changes_nothing() -> None:
    weights = np.array([[1.0], [-2.0], [0.5], [0.0]], np.float32)
    target = X @ weights
    model = nn.Linear(4, 1, generator=cr.random.Generator(seed=3))
    optimizer = lbfgs(model)
    history = fit(model, optimizer, epochs=100, loss=cr.mse_loss, y=target)
    assert history.epochs < 20
    np.testing.assert_allclose(model.weight.numpy(), weights, atol=1e-4)
    settled, evaluations = bits(model), optimizer.func_evals
    fit(model, optimizer, epochs=1, loss=cr.mse_loss, y=target)
    assert bits(model) == settled
    trainer = cr.Trainer(model, X, target, loss=cr.mse_loss, optimizer=optimizer, batch_size=None)
    assert not trainer.converged
    assert trainer.run_epoch() == history.loss[-1]
    assert trainer.converged
    assert optimizer.func_evals - evaluations < 50


@pytest.mark.parametrize("compile", [True, False])
def test_a_trainer_whose_optimizer_changes(compile: bool) -> None:
    """From and to L-BFGS; nothing keeps the model alive."""
    model, other = net(), net()
    first, second = lbfgs(model), cr.optim.SGD(model.parameters(), lr=0.1)
    options: dict[str, Any] = {"loss": cr.cross_entropy, "batch_size": None, "shuffle": False, "compile": compile}
    trainer = cr.Trainer(model, X, LABELS, optimizer=second, **options)
    losses = [trainer.run_epoch()]
    trainer.optimizer = first
    losses += [trainer.run_epoch()]
    trainer.clip_norm = 1.0
    with pytest.raises(ValueError, match="Trainer: clip_norm does not go with LBFGS"):
        trainer.run_epoch()
    trainer.clip_norm, trainer.optimizer = None, second
    losses += [trainer.run_epoch()]
    own, steps = lbfgs(other), cr.optim.SGD(other.parameters(), lr=0.1)
    x = cr.tensor(X)
    expected = by_hand(other, steps, lambda: cr.cross_entropy(other(x), LABELS), 1)  # type: ignore[arg-type]
    expected += by_hand(other, own, lambda: cr.cross_entropy(other(x), LABELS), 1)
    expected += by_hand(other, steps, lambda: cr.cross_entropy(other(x), LABELS), 1)  # type: ignore[arg-type]
    assert losses == expected
    assert not trainer.converged
    trainer.optimizer = first
    trainer.run_epoch()
    alive = weakref.ref(model)
    gc.disable()
    try:
        del trainer, model, first, second
        assert alive() is None
    finally:
        gc.enable()


def test_early_stopping_and_averaging() -> None:
    model = net()
    stopping, averaging = cr.EarlyStopping(patience=2), cr.WeightAveraging(start=2)
    history = fit(model, lbfgs(model), epochs=60, validation=0.25, callbacks=[averaging, stopping], seed=1)
    assert stopping.stopped
    assert stopping.best_epoch == history.epochs - 2
    assert averaging.averaged is not None
    assert averaging.averaged.n_averaged == history.epochs - 1


class Stop(nn.Module):
    """The identity, which raises KeyboardInterrupt at one of its calls in training."""

    def __init__(self) -> None:
        self.left: list[int] = [10**9]

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        if self.training:
            self.left[0] -= 1
            if self.left[0] == 0:
                raise KeyboardInterrupt
        return x


def session(seed: int = 34) -> tuple[nn.Sequential, cr.optim.LBFGS, Stop]:
    stop = Stop()
    model = net(np.float32, nn.BatchNorm1d(6), stop)
    model[0].weight.copy_(cr.random.Generator(seed).normal((4, 6)))
    return model, lbfgs(model), stop


def run_to(trainer: cr.Trainer, epochs: int) -> None:
    while trainer.next_epoch < epochs:
        trainer.run_epoch()


@pytest.mark.parametrize("call", [1, 3, 6, 11, 17])
def test_what_is_interrupted_goes_on_with_the_same_bits(call: int, tmp_path: Path) -> None:
    """An interrupted step is undone. From a checkpoint, from the History, from the parts of a Trainer."""
    model, optimizer, _ = session()
    straight = fit(model, optimizer, epochs=5, compile=False)
    expected = straight.loss, bits(model, optimizer)
    path = tmp_path / "a.safetensors"

    model, optimizer, stop = session()
    stop.left[0] = call
    history = cr.History()
    with pytest.raises(KeyboardInterrupt):
        fit(model, optimizer, epochs=5, checkpoint=path, history=history, compile=False)
    assert history.epochs < 5
    again, other, _ = session(seed=9)
    resumed = fit(again, other, epochs=5, checkpoint=path, resume=True, compile=False)
    assert (resumed.loss, bits(again, other)) == expected
    fit(model, optimizer, epochs=5 - history.epochs, history=history, compile=False)
    assert (history.loss, bits(model, optimizer)) == expected

    def trainer(seed: int) -> tuple[dict[str, Any], nn.Sequential, cr.optim.LBFGS, Stop]:
        model, optimizer, stop = session(seed)
        made = cr.Trainer(model, X, LABELS, loss=cr.cross_entropy, optimizer=optimizer, batch_size=None, compile=False)
        return {"model": model, "optimizer": optimizer, "trainer": made}, model, optimizer, stop

    parts, _, _, stop = trainer(34)
    stop.left[0] = call
    with pytest.raises(KeyboardInterrupt):
        run_to(parts["trainer"], 5)
    cr.save_checkpoint(path, **parts)
    parts, model, optimizer, _ = trainer(9)
    cr.load_checkpoint(path, **parts)
    run_to(parts["trainer"], 5)
    assert bits(model, optimizer) == expected[1]


@pytest.mark.parametrize("compile", [True, False])
def test_ctrl_c_acts_between_two_evaluations(compile: bool) -> None:
    calls: list[int] = []

    class Interrupting(cr.optim.LBFGS):
        def _move(self, *given: Any) -> cr.Tensor:
            calls.append(1)
            if len(calls) == 5:
                signal.raise_signal(signal.SIGINT)
            return super()._move(*given)

    model, other = net(), net()
    optimizer = Interrupting(model.parameters(), **SEARCH)
    history = cr.History()
    with pytest.raises(KeyboardInterrupt):
        fit(model, optimizer, history=history, compile=compile)
    own = lbfgs(other)
    fit(other, own, epochs=1)
    assert len(calls) == 5
    assert history.epochs == 1
    assert bits(model, optimizer) == bits(other, own)


def test_a_checkpoint_of_other_options_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    model = net()
    fit(model, lbfgs(model), epochs=2, checkpoint=path)
    with pytest.raises(ValueError, match=r"optimizer\.max_iter=3, got 4"):
        fit(model, lbfgs(model, max_iter=4), epochs=3, checkpoint=path, resume=True)
    other = net()
    optimizer = lbfgs(other)
    fit(other, optimizer, epochs=3, checkpoint=path, resume=True)
    whole = net()
    own = lbfgs(whole)
    fit(whole, own, epochs=3)
    assert bits(other, optimizer) == bits(whole, own)


class Noisy(nn.Module):
    """Dropout from a generator that is no attribute of a module."""

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return cr.dropout(x, 0.5, self.training, HIDDEN)


HIDDEN = cr.random.Generator(seed=7)
DRAWS = "fit: LBFGS needs the same loss for the same weights"
REFUSED: dict[str, tuple[Callable[[nn.Sequential], dict[str, Any]], str]] = {
    "batches": (lambda m: {"batch_size": 32}, r"pass batch_size=None, got batch_size=32 for 80 rows"),
    "clip_norm": (lambda m: {"clip_norm": 1.0}, "fit: clip_norm does not go with LBFGS"),
    "clip_value": (lambda m: {"clip_value": 1.0}, "fit: clip_value does not go with LBFGS"),
    "dropout": (lambda m: {"model": nn.Sequential(*m, nn.Dropout(0.5))}, DRAWS),
    "hidden": (lambda m: {"model": nn.Sequential(*m, Noisy())}, DRAWS),
    "eager": (lambda m: {"model": nn.Sequential(m[0], nn.BatchNorm1d(6), Noisy(), m[-1]), "compile": False}, DRAWS),
    "step schedule": (
        lambda m: {"model": nn.Sequential(d := nn.Dropout(0.0), *m), "schedule": cr.optim.StepSchedule(d, "p")},
        "fit: LBFGS chooses the length of its steps itself and takes no schedule",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_what_to_write(name: str) -> None:
    make, message = REFUSED[name]
    options = make(net())
    model = options.pop("model", net())
    before = bits(model)
    with pytest.raises(ValueError, match=message):
        fit(model, lbfgs(model), **options)
    assert bits(model) == before
    assert HIDDEN.stream == 0


def test_other_refusals() -> None:
    model = net()
    with pytest.raises(TypeError, match="fit: LBFGS needs all rows in every step; pass arrays X and y"):
        cr.fit(model, [(X, LABELS)], loss=cr.cross_entropy, optimizer="lbfgs")
    with pytest.raises(ValueError, match="Trainer: LBFGS needs the loss of all rows in every step"):
        cr.Trainer(model, X, LABELS, loss=cr.cross_entropy, optimizer=lbfgs(model))
    for make in (cr.optim.StepLR, cr.optim.ReduceLROnPlateau, cr.optim.StepSchedule):
        with pytest.raises(TypeError, match=f"{make.__name__}: LBFGS takes no schedule"):
            make(lbfgs(model), 2)  # type: ignore[arg-type]
    fit(nn.Sequential(*model, nn.Dropout(0.0)), lbfgs(model))  # which draws nothing


@pytest.mark.parametrize("compile", [True, False])
def test_a_loss_that_is_not_finite_stops_before_its_step(compile: bool) -> None:
    def loss(prediction: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
        return cr.mse_loss(prediction, target) - cr.log(cr.sum(model[0].bias * 0.0))

    model = net(outputs=1)
    optimizer = lbfgs(model)
    before = bits(model, optimizer)
    with pytest.raises(FloatingPointError, match=r"fit: the loss is inf at epoch 1, step 1 of 1; the model has"):
        fit(model, optimizer, loss=loss, y=VALUES, compile=compile)
    assert bits(model, optimizer) == before
    history = fit(model, optimizer, loss=loss, y=VALUES, compile=compile, nonfinite="continue")
    assert history.loss == [np.inf]
    assert bits(model) == before[0]
    with pytest.raises(FloatingPointError, match="fit: the gradient is nan at epoch 1"):
        fit(model, optimizer, loss=lambda p, t: cr.sum(cr.sqrt(p * 0.0)), y=VALUES, compile=compile)

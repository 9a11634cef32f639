"""Trainer: compiled epochs have the bits of an explicit loop, with full batches and micro-batches."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from support.resuming import ROWS, Session
from support.variants import every_setting

N = 150
X = cr.random.Generator(seed=11).normal((N, 7))
LABELS = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 0.5)
VALUES = np.ascontiguousarray(X[:, :3]) * np.float32(0.5)
CASES = {"cross_entropy": (nn.CrossEntropyLoss(), LABELS), "mse": (nn.MSELoss(), VALUES)}


class Net(nn.Module):
    """A skip connection, a shared layer and a softplus: more than a chain of layers."""

    def __init__(self, dtype: Any = np.float32) -> None:
        generator = cr.random.Generator(seed=12)
        self.first = nn.Linear(7, 16, generator=generator, dtype=dtype)
        self.shared = nn.Linear(16, 16, generator=generator, dtype=dtype)
        self.last = nn.Linear(16, 3, generator=generator, dtype=dtype)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        hidden = cr.tanh(self.first(x))
        hidden = hidden + cr.relu(self.shared(hidden))
        return self.last(cr.softplus(self.shared(hidden)))


def trained(case: str, dtype: Any = np.float32, epochs: int = 2, batch_size: int = 64, **options: Any) -> bytes:
    """Weights, velocities and losses after some epochs."""
    loss, y = CASES[case]
    model = Net(dtype)
    optimizer = cr.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    trainer = cr.Trainer(model, X, y, loss=loss, optimizer=optimizer, batch_size=batch_size, seed=13, **options)
    losses = [trainer.run_epoch() for _ in range(epochs)]
    arrays = [*model.state_dict().values(), *optimizer.state_dict()["velocity"], np.array(losses)]
    return b"".join(a.tobytes() for a in arrays)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_epoch_is_the_loop(case: str, dtype: Any) -> None:
    """The last batch of 150 rows is a ragged one."""
    by_hand = trained(case, dtype, compile=False)
    for setting in every_setting():
        assert trained(case, dtype) == by_hand, setting


@pytest.mark.parametrize("case", CASES)
def test_every_micro_batch_of_64_gives_the_whole_batch(case: str) -> None:
    whole = trained(case, compile=False)
    for size in range(1, 65):
        assert trained(case, micro_batch=size) == whole, size


def test_micro_batches_on_every_level_and_thread_count() -> None:
    whole = {case: trained(case, np.float64, compile=False) for case in CASES}
    for setting in every_setting():
        for case, expected in whole.items():
            assert trained(case, np.float64, micro_batch=23) == expected, setting


def test_micro_batches_save_memory() -> None:
    loss, y = CASES["mse"]

    def arena(micro_batch: int | None) -> int:
        model = Net()
        optimizer = cr.optim.SGD(model.parameters(), lr=0.05)
        trainer = cr.Trainer(
            model, X[:128], y[:128], loss=loss, optimizer=optimizer, batch_size=128, micro_batch=micro_batch
        )
        trainer.run_epoch()
        (plan,) = next(iter(trainer._compiled._plans.values()))  # type: ignore[union-attr]
        return plan.built.arena_bytes

    assert 4 * arena(16) < arena(None)


@pytest.mark.parametrize("micro_batch", [0, -1, 2.5])
def test_a_micro_batch_is_a_count(micro_batch: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="Trainer: micro_batch must be"):
        trained("mse", micro_batch=micro_batch)


def test_fit_takes_a_micro_batch() -> None:
    results = []
    for micro_batch in (None, 10):
        model = Net()
        optimizer = cr.optim.SGD(model.parameters(), lr=0.05)
        loss, y = CASES["mse"]
        cr.fit(model, X, y, loss=loss, optimizer=optimizer, micro_batch=micro_batch, epochs=2, seed=1, progress=False)
        results.append(b"".join(v.tobytes() for v in model.state_dict().values()))
    assert results[0] == results[1]


def test_the_learning_rate_may_change_between_epochs() -> None:
    def run(compile: bool) -> bytes:
        model = Net()
        optimizer = cr.optim.SGD(model.parameters(), lr=0.05, momentum=0.5, nesterov=True, weight_decay=0.01)
        loss, y = CASES["cross_entropy"]
        trainer = cr.Trainer(model, X, y, loss=loss, optimizer=optimizer, seed=2, compile=compile)
        for epoch in range(3):
            optimizer.lr = 0.1 / (epoch + 1)
            trainer.run_epoch()
        return b"".join(v.tobytes() for v in model.state_dict().values())

    assert run(True) == run(False)


def test_an_optimizer_of_one_s_own_is_compiled() -> None:
    """Heavy-ball momentum written with ops."""

    class HeavyBall:
        def __init__(self, params: Any) -> None:
            self.params = list(params)
            self.velocity = [cr.tensor(np.zeros(p.shape, p.dtype)) for p in self.params]

        def zero_grad(self) -> None:
            for p in self.params:
                p.grad = None

        def step(self) -> None:
            with cr.no_grad():
                for p, v in zip(self.params, self.velocity, strict=True):
                    assert p.grad is not None
                    v.copy_(0.9 * v + p.grad)
                    p.copy_(p - 0.05 * v)

    def run(compile: bool) -> bytes:
        model = Net()
        loss, y = CASES["mse"]
        trainer = cr.Trainer(model, X, y, loss=loss, optimizer=HeavyBall(model.parameters()), seed=2, compile=compile)
        trainer.run_epoch()
        trainer.run_epoch()
        return b"".join(v.tobytes() for v in model.state_dict().values())

    assert run(True) == run(False)


# Models are freed by reference counts alone.


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _fit(model: nn.Module, **options: Any) -> None:
    optimizer = cr.optim.Adam(model.parameters(), 0.01)
    arguments = {"loss": nn.CrossEntropyLoss(), "epochs": 2, "progress": False, "optimizer": optimizer}
    cr.fit(model, X, LABELS, **{**arguments, **options})


def _train(model: nn.Module, **options: Any) -> None:
    optimizer = cr.optim.SGD(model.parameters(), 0.1)
    cr.Trainer(model, X, LABELS, loss=nn.CrossEntropyLoss(), optimizer=optimizer, **options).run_epoch()


def _interrupted(model: nn.Module) -> None:
    def stop(history: cr.History) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _fit(model, callbacks=[stop])


def _compiled(model: nn.Module) -> None:
    optimizer = cr.optim.SGD(model.parameters(), 0.1)

    @cr.compile
    def step(x: cr.Tensor, y: cr.Tensor) -> cr.Tensor:
        optimizer.zero_grad()
        loss = cr.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    step(X, LABELS)  # type: ignore[arg-type]


def _saved(model: nn.Module, folder: Path) -> None:
    parts = {"model": model, "optimizer": cr.optim.SGD(model.parameters(), 0.1, 0.9)}
    cr.save_checkpoint(folder / "a", **parts)
    cr.load_checkpoint(folder / "a", **parts)


USES: dict[str, Callable[[nn.Module, Path], object]] = {
    "fit": lambda model, folder: _fit(model),
    "fit eagerly": lambda model, folder: _fit(model, compile=False),
    "fit with validation": lambda model, folder: _fit(model, validation=(X, LABELS)),
    "fit with metrics": lambda model, folder: _fit(model, validation=(X, LABELS), metrics=[lambda p, t: 1.0]),
    "fit with early stopping": lambda model, folder: _fit(model, callbacks=[cr.EarlyStopping(monitor="loss")]),
    "fit with weights": lambda model, folder: _fit(model, sample_weight=np.arange(1, N + 1)),
    "fit in micro-batches": lambda model, folder: _fit(model, micro_batch=8),
    "fit with clipping": lambda model, folder: _fit(model, clip_norm=1.0, clip_value=0.1),
    "fit with a checkpoint": lambda model, folder: _fit(model, checkpoint=folder / "a"),
    "fit twice": lambda model, folder: (_fit(model), _fit(model)),
    "fit with progress": lambda model, folder: _fit(model, progress=True),
    "fit interrupted": lambda model, folder: _interrupted(model),
    "Trainer": lambda model, folder: _train(model),
    "Trainer, eager": lambda model, folder: _train(model, compile=False),
    "Trainer, all rows": lambda model, folder: _train(model, batch_size=None),
    "a compiled step": lambda model, folder: _compiled(model),
    "an eager step": lambda model, folder: cr.cross_entropy(model(cr.tensor(X)), LABELS).backward(),
    "predict": lambda model, folder: model.predict(X),
    "Predictor": lambda model, folder: cr.Predictor(model)(X),
    "checkpoint": _saved,
    "state": lambda model, folder: model.load_state_dict(model.state_dict()),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.usefixtures("no_collector")
def test_models_are_freed_at_once(use: str, tmp_path: Path) -> None:
    generator = cr.random.Generator(seed=1)
    model = nn.Sequential(
        nn.Linear(7, 8, generator=generator),
        nn.Tanh(),
        nn.Dropout(0.1, generator),
        nn.Linear(8, 3, generator=generator),
    )
    USES[use](model, tmp_path)
    alive = weakref.ref(model), weakref.ref(model[0].weight)
    del model
    assert [reference() for reference in alive] == [None, None]


@pytest.mark.parametrize("compile", [True, False])
def test_an_error_within_an_epoch_leaves_the_steps_done(compile: bool) -> None:
    """An index out of range at some row: its step and the later ones are left, also by a compiled epoch."""
    straight, session = Session("adam"), Session("adam", compile=compile)
    labels = cr.random.Generator(seed=5).permutation(ROWS) % 2
    table = cr.tensor(np.eye(2, dtype=np.float32))

    def loss(prediction: cr.Tensor, target: cr.Tensor) -> cr.Tensor:
        return cr.mse_loss(prediction, table[target])

    options: dict[str, Any] = {"loss": loss, "validation": None, "metrics": None, "callbacks": [], "y": labels}
    straight.fit(**options)
    wrong = labels.copy()
    wrong[7] = 2
    with pytest.raises(IndexError):
        session.fit(**{**options, "y": wrong})
    assert session.history._position.steps == 2
    session.fit(**options)
    assert session.result() == straight.result()

"""Training stops anywhere and goes on exactly: every step, every kind of training, every place between epochs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from support.fresh_interpreter import output
from support.resuming import KINDS, LABELS, ROWS, STEPS, VALUES, Restless, Session, X, from_checkpoint, whole
from support.variants import ISAS, force_level, force_threads

each_kind = pytest.mark.parametrize("kind", KINDS)


def use_setting(number: int) -> None:
    """Another instruction set and number of threads for each number."""
    force_level(ISAS[number % len(ISAS)])
    force_threads(1 + number % 3)


def some(steps: int, count: int) -> list[int]:
    """Random steps, and the first and the last one."""
    random = cr.random.Generator(seed=steps).uniform(count - 2, low=0, high=steps)
    return [0, steps - 1, *(int(step) for step in random)]


@each_kind
def test_every_kind_goes_on_from_its_checkpoint(kind: str, tmp_path: Path) -> None:
    expected, steps = whole(kind)
    assert kind != "impatient" or expected["stopping"][2]
    for number, step in enumerate(some(steps, 4)):
        path = tmp_path / f"{step}.safetensors"
        use_setting(number)
        Session(kind, compile=False).stop_before(step, checkpoint=path)
        use_setting(number + 1)
        assert from_checkpoint(kind, path) == expected, step


@each_kind
def test_every_kind_goes_on_with_its_history(kind: str, tmp_path: Path) -> None:
    """In the same process, and from a checkpoint of the user's parts."""
    expected, steps = whole(kind)
    for step in some(steps, 3):
        session = Session(kind, compile=False)
        session.stop_before(step)
        cr.save_checkpoint(tmp_path / "a", **session.parts)
        left = 12 - session.history.epochs
        if not session.restless:  # `begin` resets it
            session.fit(epochs=left)
            assert session.result() == expected, step
        if session.restless or kind in ("trained loss", "two generators"):
            continue  # further parts, which `fit(checkpoint=)` finds itself
        again = Session(kind, seed=17)
        cr.load_checkpoint(tmp_path / "a", **again.parts)
        again.fit(epochs=left)
        assert again.result() == expected, step


@pytest.mark.parametrize("steps", [range(0, 201, 20), pytest.param(range(201), marks=pytest.mark.full)])
def test_resume_at_every_step(steps: range, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """On another instruction set and number of threads."""
    options: dict[str, Any] = {"batch_size": 3, "callbacks": [], "epochs": 12}
    straight = Session("adam")
    straight.fit(**options)
    for step in steps:
        Session("adam", compile=False).stop_before(step, checkpoint=tmp_path / "a", **options)
        use_setting(step)
        assert from_checkpoint("adam", tmp_path / "a", **options) == straight.result(), step
    record_property("steps", len(steps))


@pytest.mark.parametrize("isa", ISAS)
def test_resume_in_another_process(isa: str, tmp_path: Path) -> None:
    expected, _ = whole("plateau")
    path = tmp_path / "a"
    Session("plateau", compile=False).stop_before(24, checkpoint=path)
    code = (
        f"import chainrule as cr, pathlib; from support.resuming import from_checkpoint\n"
        f"assert cr.active_isa() == {isa!r}\n"
        f"print(from_checkpoint('plateau', pathlib.Path({str(path)!r})))"
    )
    assert output(code, CHAINRULE_ISA=isa, OMP_NUM_THREADS="3") == str(expected)


@pytest.mark.parametrize("stops", [20, pytest.param(200, marks=pytest.mark.full)])
def test_random_stops(stops: int, record_property: Callable[[str, object], None]) -> None:
    code = f"from support.random_stops import main; main({stops}, seed={stops})"
    assert int(output(code, timeout=280).split()[0]) >= stops
    record_property("stops", stops)


@each_kind
def test_fits_of_some_epochs_are_one_fit(kind: str, tmp_path: Path) -> None:
    """Early stopping included: the split is where the first call ends and restores the best weights."""
    expected, _ = whole(kind)
    epochs = len(expected["history"]["loss"])
    for first in {1, epochs - 1}:
        if not KINDS[kind].get("restless"):
            session = Session(kind)
            session.fit(epochs=first)
            session.fit(epochs=12 - first)
            assert session.result() == expected, first
        path = tmp_path / f"{first}"
        Session(kind).fit(epochs=first, checkpoint=path)
        assert from_checkpoint(kind, path) == expected, first
        assert from_checkpoint(kind, path) == expected, "when it is finished"


def test_checkpoints_of_early_stopping_after_a_fit(tmp_path: Path) -> None:
    for kind in ("impatient", "accuracy", "plateau"):
        expected, _ = whole(kind)
        for first in range(1, len(expected["history"]["loss"])):
            session = Session(kind)
            session.fit(epochs=first)
            cr.save_checkpoint(tmp_path / "a", **session.parts)
            again = Session(kind, seed=17)
            cr.load_checkpoint(tmp_path / "a", **again.parts)
            again.fit(epochs=12 - first)
            assert again.result() == expected, (kind, first)


@pytest.mark.parametrize("last", [True, False])
def test_checkpoints_that_a_callback_saves(last: bool, tmp_path: Path) -> None:
    """Before or after early stopping: what is still due after the epoch is called first."""
    for kind in ("impatient", "last weights", "plateau"):
        expected, _ = whole(kind)
        for epoch in range(1, len(expected["history"]["loss"]) + 1):
            session = Session(kind)

            def save(history: cr.History, epoch: int = epoch, session: Session = session) -> None:
                if history.epochs == epoch:
                    cr.save_checkpoint(tmp_path / "a", **session.parts)

            def nothing(history: cr.History) -> None: ...

            session.fit(callbacks=[session.stopping, save] if last else [save, session.stopping])
            assert session.result() == expected
            again = Session(kind, seed=17)
            cr.load_checkpoint(tmp_path / "a", **again.parts)
            rest = 12 - again.history.epochs
            again.fit(epochs=max(rest, 1), callbacks=[again.stopping, nothing] if last else [nothing, again.stopping])
            assert again.result() == expected, (kind, epoch)


# Between epochs.


def interrupted(session: Session, **changed: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        session.fit(**changed)


class Signals:
    """Callable as a metric, a callback or a schedule: sends SIGINT at a call."""

    def __init__(self, at: int, inner: Callable[..., Any] = lambda *_: 0.0) -> None:
        self.at, self.inner, self.calls = at, inner, 0

    def __call__(self, *arguments: Any) -> Any:
        self.calls += 1
        if self.calls == self.at:
            os.kill(os.getpid(), signal.SIGINT)
        return self.inner(*arguments)


@pytest.mark.parametrize("at", [1, 2, 4])
@pytest.mark.parametrize("place", ["metric", "callback before", "callback after", "schedule", "stopping"])
def test_ctrl_c_between_epochs(place: str, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = Signals(0)

    def options(session: Session, metric: Any = quiet, before: Any = quiet, after: Any = quiet) -> dict[str, Any]:
        metric.__name__ = "measured"
        return {"metrics": ["accuracy", metric], "callbacks": [before, session.stopping, after]}

    straight = Session("plateau")
    straight.fit(**options(straight))
    expected = straight.result()
    session = Session("plateau")
    signals = Signals(at)
    changed: dict[str, Any] = {
        "metric": {"metric": signals},
        "callback before": {"before": signals},
        "callback after": {"after": signals},
    }.get(place, {})
    if place in ("schedule", "stopping"):
        kind = type(getattr(session, place))
        call = kind.__call__
        signals.inner = call
        monkeypatch.setattr(kind, "__call__", lambda self, history: signals(self, history))
    path = tmp_path / "a"
    interrupted(session, checkpoint=path, **options(session, **changed))
    assert signals.calls == at
    again = Session("plateau", seed=17)
    again.fit(checkpoint=path, resume=True, **options(again))
    assert again.result() == expected
    session.fit(epochs=12 - session.history.epochs, **options(session))
    assert session.result() == expected


def test_a_callback_with_state_that_ctrl_c_breaks_off_is_called_again(tmp_path: Path) -> None:
    class Broken(Restless):
        at = 3

        def __call__(self, history: cr.History) -> None:
            self.factor *= 0.9
            if history.epochs == self.at:
                os.kill(os.getpid(), signal.SIGINT)
            self.optimizer.lr *= self.factor

    def fit(session: Session, at: int, **options: Any) -> None:
        callback = Broken(session.optimizer)
        callback.at = at
        session.fit(callbacks=[callback, session.stopping], **options)

    straight, broken, again = (Session("sgd", seed=seed) for seed in (3, 3, 17))
    fit(straight, at=0)
    with pytest.raises(KeyboardInterrupt):
        fit(broken, at=3, checkpoint=tmp_path / "a")
    fit(again, at=0, checkpoint=tmp_path / "a", resume=True)
    assert again.result() == straight.result()


def test_a_callback_that_raises_is_not_called_again() -> None:
    expected, _ = whole("adam")

    def stop(history: cr.History) -> None:
        if history.epochs == 3:
            raise KeyboardInterrupt

    session = Session("adam")
    interrupted(session, callbacks=[stop, session.stopping])
    assert session.history.epochs == 3
    session.fit(epochs=9, callbacks=[stop, session.stopping])
    assert session.result() == expected


def test_ctrl_c_while_the_checkpoint_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, _ = whole("adam")
    sync = os.fsync
    calls = Signals(5, sync)
    monkeypatch.setattr(os, "fsync", calls)
    interrupted(Session("adam"), checkpoint=tmp_path / "a")
    assert from_checkpoint("adam", tmp_path / "a") == expected


def test_a_checkpoint_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is raised, the file is that of the epoch before, and the history can be continued."""
    expected, _ = whole("adam")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    session = Session("adam")
    session.fit(epochs=2, checkpoint=tmp_path / "a")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            session.fit(epochs=10, checkpoint=tmp_path / "a")
    session.fit(epochs=12 - session.history.epochs)
    assert session.result() == expected
    assert from_checkpoint("adam", tmp_path / "a") == expected
    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(UserWarning, match="the checkpoint is that of an earlier step"):
        Session("adam", compile=False).stop_before(3, checkpoint=tmp_path / "b")


# Errors in a step.


@pytest.mark.parametrize("compile", [True, False])
def test_a_loss_that_is_not_finite_leaves_the_position(compile: bool, tmp_path: Path) -> None:
    """The step is not done, its dropout mask not drawn: with the rows repaired, training goes on."""
    values = VALUES[:ROWS].copy()
    straight = Session("regression")
    straight.fit(y=values)
    session = Session("regression", compile=compile)
    values[7] = 3e38  # its square overflows
    with pytest.raises(FloatingPointError, match=r"the loss is inf at epoch 1, step 3 of 7"):
        session.fit(y=values)
    values[7] = VALUES[7]
    session.fit(y=values)
    assert session.result() == straight.result()


# Trainer.


@pytest.mark.parametrize(
    "kind", ["sgd", "adam", "two generators", "default generator", "sample weights", "single rows"]
)
def test_a_trainer_goes_on_at_any_step(kind: str, tmp_path: Path) -> None:
    def trainer(seed: int, compile: bool) -> tuple[Session, cr.Trainer]:
        session = Session(kind, seed=seed)
        options = {name: session.options[name] for name in ("sample_weight", "batch_size") if name in session.options}
        made = cr.Trainer(
            session.model, X[:ROWS], LABELS[:ROWS], loss=session.loss, optimizer=session.optimizer, seed=4,
            compile=compile, **{"batch_size": 8, **options},
        )  # fmt: skip
        return session, made

    def run(trainer: cr.Trainer) -> None:
        while trainer.next_epoch < 3:
            trainer.run_epoch()

    straight, whole_trainer = trainer(3, compile=True)
    run(whole_trainer)
    expected = straight.result(), whole_trainer.mean_loss
    steps = 3 * -(-ROWS // whole_trainer.batch_size)
    for step in some(steps, 8):
        session, stopped = trainer(3, compile=False)
        STEPS.begin(step)
        with pytest.raises(KeyboardInterrupt):
            run(stopped)
        assert stopped.next_epoch * (steps // 3) + stopped.next_step == step
        parts = {"model": session.model, "optimizer": session.optimizer, "trainer": stopped}
        cr.save_checkpoint(tmp_path / "a", **parts)
        run(stopped)
        assert (session.result(), stopped.mean_loss) == expected
        again, loaded = trainer(17, compile=True)
        use_setting(step)
        cr.load_checkpoint(tmp_path / "a", model=again.model, optimizer=again.optimizer, trainer=loaded)
        run(loaded)
        assert (again.result(), loaded.mean_loss) == expected
    loaded.seed = 5
    with pytest.raises(ValueError, match="load_state_dict: the state is that of a training with seed=4, got 5"):
        loaded.load_state_dict(stopped.state_dict())


def test_the_next_epoch_of_a_trainer_can_be_set() -> None:
    session = Session("sgd", compile=False)
    trainer = cr.Trainer(session.model, X, LABELS, loss=session.loss, optimizer=session.optimizer, compile=False)
    STEPS.begin(2)
    with pytest.raises(KeyboardInterrupt):
        trainer.run_epoch()
    assert (trainer.next_epoch, trainer.next_step) == (0, 2)
    trainer.next_epoch = 5
    assert (trainer.next_epoch, trainer.next_step) == (5, 0)

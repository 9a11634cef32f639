"""One call of `fit`: steps, validation, schedule and callbacks of each epoch, continued wherever they stopped."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .._util.interrupt import DeferredInterrupt
from ..nn._evaluate import thread_modes
from ..optim import LBFGS, LRScheduler, ReduceLROnPlateau, ScheduleFreeAdamW, StepSchedule
from ._callbacks import Callback, EarlyStopping
from ._checkpoint import _check_parts, load_checkpoint, save_checkpoint
from ._dataset import Dataset
from ._history import History
from ._identity import data_digest, different, options_of
from ._parts import CallbackStates, Parameters, has_state
from ._progress import Progress
from ._scheduling import Schedule
from ._trainer import Trainer

__all__ = ["FitTrainer", "Training"]

Evaluate = Callable[[History], None]


class FitTrainer(Trainer):
    """The Trainer of `fit`, which its error messages name."""

    _caller = "fit"


class Training:
    """The state of one call of `fit` is consistent whenever Ctrl-C may act, so that another call can go on from it.

    A step, the record of an epoch and the calls of the schedule and of EarlyStopping are finished before Ctrl-C acts.
    Validation has no effects and is repeated. A callback of the user that Ctrl-C breaks off is called again.
    """

    def __init__(
        self,
        trainer: FitTrainer,
        record: History,
        evaluate: Evaluate | None,
        schedules: Sequence[Schedule],
        callbacks: Sequence[Callable[[History], object]],
        bar: Progress,
    ) -> None:
        self.trainer, self.record, self.evaluate, self.bar = trainer, record, evaluate, bar
        self.schedules, self.callbacks = list(schedules), list(callbacks)
        self.after_epoch: list[Callable[[History], object]] = [*self.schedules, *self.callbacks]
        self.hooks = [callback for callback in callbacks if isinstance(callback, Callback)]
        self._path: str | os.PathLike[str] | None = None
        self._parts: dict[str, Any] = {}

    def begin(
        self,
        curves: Sequence[str],
        held_out: Dataset | None,
        checkpoint: str | os.PathLike[str] | None,
        resume: bool,
    ) -> int:
        """Begin, or continue the History or, with `resume`, the checkpoint; returns the epochs before this call."""
        model, record = self.trainer.model, self.record
        if checkpoint is not None:
            self._parts = self._checkpoint_parts(checkpoint, held_out, curves)
        continues = resume and checkpoint is not None and os.path.exists(checkpoint)
        if not continues:
            self._check_position()
        for hook in self.hooks:
            if record.epochs and not continues:
                hook.resume(model, curves, record)
            else:
                hook.begin(model, curves)
        if continues and checkpoint is not None:
            load_checkpoint(checkpoint, **self._parts)
        self._path = checkpoint
        run = self._parts.get("run")
        return run.first_epoch if isinstance(run, _Run) else record.epochs

    def _check_position(self) -> None:
        position = self.record._position
        found = different(position.order, self.trainer._order_options()) if position.losses else ""
        if found:
            raise ValueError(
                f"fit: history was interrupted within epoch {self.record.epochs + 1} of a training with {found}; pass "
                "the same, or dataclasses.replace(history), which forgets the steps of this epoch"
            )
        if position.called is None:
            position.stop = False

    def _checkpoint_parts(
        self, path: str | os.PathLike[str], held_out: Dataset | None, curves: Sequence[str]
    ) -> dict[str, Any]:
        trainer, optimizer = self.trainer, self.trainer.optimizer
        options: dict[str, Any] = {"curves": ", ".join(curves), "schedule": None}
        schedules = [*self.schedules, *trainer.schedules]
        named = {f"schedule_{i}" if i > 1 else "schedule": schedule for i, schedule in enumerate(schedules, 1)}
        for name, schedule in named.items():
            options[name] = type(schedule).__name__
            if isinstance(schedule, (LRScheduler, ReduceLROnPlateau, StepSchedule)):
                options |= options_of(schedule, name)
        for callback in self.callbacks:
            if isinstance(callback, EarlyStopping):
                options |= options_of(callback, "callback")
        run = _Run(os.fspath(path), trainer, options, held_out, self.record.epochs)
        parts: dict[str, Any] = {"run": run, "model": trainer.model, "optimizer": optimizer}
        own = {id(parameter) for parameter in trainer.model.parameters()}
        others = [parameter for parameter in optimizer.params if id(parameter) not in own]
        if others:
            parts["parameters"] = Parameters(others)
        parts |= {name: schedule for name, schedule in named.items() if has_state(schedule)}
        parts |= {
            "history": self.record,
            "callbacks": CallbackStates(self.callbacks),
            "generators": trainer._generators,
        }
        _check_parts("fit", parts)
        return parts

    def run(self, total: int) -> None:
        """Train until the History has this number of epochs or a callback stops training."""
        trainer = self.trainer
        for schedule in trainer.schedules:
            schedule._end_at(total * (trainer.steps_per_epoch or 0))
        trainer.next_epoch = self.record.epochs
        trainer._position = self.record._position
        try:
            with DeferredInterrupt() as interrupt, thread_modes(trainer.model):
                try:
                    while not self._call_after_epoch(interrupt) and self.record.epochs < total:
                        self._run_epoch(total, interrupt)
                except BaseException as error:
                    self._save_after(error)
                    raise
                for hook in self.hooks:
                    interrupt.in_step = isinstance(hook, EarlyStopping)
                    hook.end(trainer.model)
                    interrupt.leave_step()
        finally:
            self.bar.close()

    def _run_epoch(self, total: int, interrupt: DeferredInterrupt) -> None:
        """The steps left in this epoch, validation, and the record of both."""
        trainer, record, position = self.trainer, self.record, self.record._position
        trainer.model.train()
        averages = trainer.optimizer if isinstance(trainer.optimizer, ScheduleFreeAdamW) else None
        if averages is not None:
            averages.train()
        self.bar.begin(record.epochs + 1, total, trainer.row_count)
        if position.losses:
            done = position.steps * trainer.batch_size
            self.bar.advance(min(done, trainer.row_count or done))
        for rows in trainer.parts(interrupt):
            self.bar.advance(rows)
        if averages is not None:
            averages.eval()
        validation = History()
        if self.evaluate is not None:
            self.evaluate(validation)
        interrupt.in_step = True
        record.seconds.append(position.seconds)
        record.samples += trainer.row_count
        trainer.end_epoch()
        record.loss.append(trainer.mean_loss)
        record.val_loss += validation.val_loss
        for name, values in validation.metrics.items():
            record.metrics.setdefault(name, []).extend(values)
        position.called, position.stop = 0, trainer.converged
        interrupt.leave_step()
        self.bar.end(record.summary())

    def _call_after_epoch(self, interrupt: DeferredInterrupt) -> bool:
        """Call the schedule and the callbacks that are still due, and save; whether one of them stops training."""
        position = self.record._position
        if position.called is None:
            return position.stop
        while position.called < len(self.after_epoch):
            callback = self.after_epoch[position.called]
            position.called += 1
            self._call(callback, interrupt)
        position.called = None
        if self._path is not None:
            self._save()
        return position.stop

    def _call(self, callback: Callable[[History], object], interrupt: DeferredInterrupt) -> None:
        position = self.record._position
        short = any(callback is s for s in self.schedules) or isinstance(callback, EarlyStopping)
        before = None if short or not has_state(callback) else callback.state_dict()  # type: ignore[attr-defined]
        interrupt.taken, interrupt.in_step = False, short
        try:
            if callback(self.record) is True:
                position.stop = True
        except BaseException:
            if interrupt.taken and position.called:
                position.called -= 1
                if before is not None:
                    callback.load_state_dict(before)  # type: ignore[attr-defined]
            raise
        interrupt.leave_step()

    def _save(self) -> None:
        path, self._path = self._path, None  # no second attempt after an error
        if path is not None:
            save_checkpoint(path, **self._parts)
        self._path = path

    def _save_after(self, error: BaseException) -> None:
        """Save when an error ends training; the error is what the caller is to see, also if saving fails."""
        try:
            self._save()
        except OSError as failed:
            warnings.warn(
                f"fit: the checkpoint is that of an earlier step, because saving failed: {failed}", stacklevel=4
            )
            raise error from failed


class _Run:
    """The part of a checkpoint that identifies the training: data, options, and the epochs before it."""

    def __init__(
        self, path: str, trainer: Trainer, options: dict[str, Any], held_out: Dataset | None, first_epoch: int
    ) -> None:
        self._path, self._trainer, self._options = path, trainer, options
        self._validation = None if held_out is None else data_digest(held_out)
        self._at_begin = self._optimizer_options()
        self.first_epoch = first_epoch

    def state_dict(self) -> dict[str, Any]:
        """Return data and options; those of the optimizer as they were at the beginning and as they are now."""
        identity = self._trainer._identity()
        return {
            "options": {**identity["options"], **self._options},
            "data": identity["data"],
            "validation": self._validation,
            "optimizer": [self._at_begin, self._optimizer_options()],
            "first_epoch": self.first_epoch,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Raise ValueError if the state is that of another training."""
        where = f"fit: {self._path} is the checkpoint of a training"
        self._trainer._check_identity(state, where, self._options)
        if state["validation"] != self._validation:
            raise ValueError(f"{where} with other validation data")
        own = self._optimizer_options()
        if own not in state["optimizer"]:
            raise ValueError(f"{where} with {different(state['optimizer'][0], own)}")
        self._at_begin, self.first_epoch = state["optimizer"][0], int(state["first_epoch"])

    def _optimizer_options(self) -> dict[str, Any]:
        """The options of the optimizer's groups, in the form in which JSON has them."""
        optimizer = self._trainer.optimizer
        groups = getattr(optimizer, "param_groups", [])
        if isinstance(optimizer, LBFGS):
            groups = [optimizer.state_dict()["options"]]
        return {
            f"optimizer.{name}" if len(groups) == 1 else f"optimizer.param_groups[{i}].{name}": _plain(value)
            for i, group in enumerate(groups)
            for name, value in dict(group).items()
            if name != "params"
        }


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)

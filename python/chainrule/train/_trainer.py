"""Trainer: seeded minibatches of in-memory rows, many steps per call into the core."""

from __future__ import annotations

import time
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from .._tensor import Tensor
from .._util.checks import check_integer
from .._util.interrupt import DeferredInterrupt
from .._util.mode import grad_mode
from ..compiler.jit import Compiled, Plan
from ..data._split import epoch_order
from ..nn import Module
from ..nn._evaluate import thread_modes
from ..nn._inputs import call_with
from ..optim import LBFGS, StepSchedule, clip_grad_norm_, clip_grad_value_
from ..random import default_generator
from ._dataset import prepare
from ._history import Position
from ._identity import data_digest, describe, different
from ._lbfgs_steps import LBFGSSteps
from ._loss_names import named_loss
from ._mean_loss import weighted_mean
from ._nonfinite import NotFiniteError, require_finite, stopped
from ._parts import Generators
from ._scheduling import Optimizer, step_schedules

__all__ = ["Trainer"]

_SECONDS = 0.05  # between checks for Ctrl-C and updates of the progress bar


class Trainer:
    """Trains a model on in-memory rows, one epoch of minibatches per call; the basis of `cr.fit`.

    Per batch: optimizer.zero_grad(); loss(model(x), y).backward(); clipping; optimizer.step(), compiled into one
    program; no Python code runs between steps. The last batch of an epoch may be smaller. The order of epoch e depends
    only on (seed, e), so the same seed gives the same bits. The bits equal those of an explicit loop.

    Arguments: `model`, a Module; `X`, finite numbers of shape (n, ...), converted to the model's dtype (C-contiguous
    arrays of that dtype, and those mapped from a file, are not copied; integers stay what they are if the model does
    not take floats) and preprocessed once by the model's leading preprocessing layers, which must be fitted
    (`cr.nn.fit_preprocessing`) and are not changed; or several arrays with n rows, in a tuple for `model(*X)` or in a
    dict for `model(**X)`, of which integers and bools stay what they are; `y`, n integer labels for cross entropy,
    otherwise finite numbers in the shape of the model's output, or several such arrays; `loss`, a loss module, a name
    ("mse", "cross_entropy", ...: docs/losses.md) or a function (prediction, target) -> scalar tensor; `optimizer`, of
    this model's parameters; `batch_size`, 1 for stochastic gradient descent, None for all rows; `micro_batch`, rows
    computed at a time to save memory, with the bits of the whole batch; `sample_weight`, n weights of at least 0,
    passed to the loss as `sample_weight=`; what a row of weight 0 holds, NaN and labels out of range included, does not
    matter; `clip_value` and `clip_norm`, bounds of the elements of the gradients, then of their norm
    (`cr.optim.clip_grad_value_`, `clip_grad_norm_`); `seed` (default: that of `cr.manual_seed`); `shuffle`;
    `nonfinite`, "raise" or "continue" for a loss that is not finite; `compile`, False for eager execution; `schedule`,
    one or several `cr.optim.StepSchedule` with `total_steps`, which set their options before every step.
    Attributes: `next_epoch`, the index of the next epoch, from 0; `next_step`, of the next step in it, above 0 after an
    interruption; `mean_loss`, of the last completed epoch; `converged`, whether L-BFGS changed nothing last.
    Errors: before the model changes, TypeError or ValueError for arguments, with the index of a NaN or a label out of
    range; FloatingPointError before a step whose loss is not finite; `cr.CompileError` where Python reads values.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> X = cr.random.Generator(seed=0).normal((64, 2))
    >>> y = (X[:, 0] > X[:, 1]).astype(np.int64)
    >>> model = cr.nn.Sequential(cr.nn.Linear(2, 2, generator=cr.random.Generator(seed=1)))
    >>> optimizer = cr.optim.SGD(model.parameters(), lr=0.5)
    >>> trainer = cr.Trainer(model, X, y, loss=cr.nn.CrossEntropyLoss(), optimizer=optimizer, batch_size=16, seed=0)
    >>> losses = [trainer.run_epoch() for _ in range(10)]
    >>> losses[-1] < losses[0]
    True
    """

    _caller = "Trainer"  # prefix of error messages

    def __init__(
        self,
        model: Module,
        X: Any,
        y: Any,
        *,
        loss: Callable[..., Tensor] | str,
        optimizer: Optimizer | LBFGS,
        batch_size: int | None = 32,
        micro_batch: int | None = None,
        sample_weight: npt.ArrayLike | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        seed: int | None = None,
        shuffle: bool = True,
        nonfinite: str = "raise",
        compile: bool = True,
        schedule: StepSchedule | Sequence[StepSchedule] | None = None,
    ) -> None:
        if nonfinite not in ("raise", "continue"):
            raise ValueError(f"{self._caller}: nonfinite must be 'raise' or 'continue', got {nonfinite!r}")
        for name, count in (("batch_size", batch_size), ("micro_batch", micro_batch)):
            if count is not None:
                check_integer(f"{self._caller}: {name}", count, 1)
        _check_bounds(self._caller, clip_norm=clip_norm, clip_value=clip_value)
        if not hasattr(optimizer, "params") or not hasattr(optimizer, "step"):
            raise TypeError(f"{self._caller}: optimizer must be one of cr.optim, got {optimizer!r}")
        loss = named_loss(loss, self._caller)
        self.rows = prepare(model, X, y, loss, optimizer.params, sample_weight, self._caller)
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.batch_size, self.shuffle = len(self.rows) if batch_size is None else int(batch_size), shuffle
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self.seed, self._default_seed = default_generator().seed if seed is None else seed, seed is None
        self.mean_loss, self.converged = float("nan"), False  # of the last epoch
        self._next_epoch, self._position = 0, Position()
        self._generators = Generators([*model.modules(), *(loss.modules() if isinstance(loss, Module) else ())])
        self._data: str | None = None
        self._micro_batch, self._compiles, self._check_loss = micro_batch, compile, nonfinite == "raise"
        self._compiled: Compiled[Callable[[Tensor], Tensor]] | None = None
        self._settings: tuple[Any, ...] = ()  # those of the compiled step
        self._plans: dict[Any, Plan] = {}  # of the compiled step, by the rows of a batch and the mode of gradients
        self.schedules = step_schedules(self._caller, schedule, model, optimizer)
        self._lbfgs: LBFGSSteps | None = None
        if isinstance(optimizer, LBFGS):
            self._renew()

    @property
    def next_epoch(self) -> int:
        """The index of the next epoch, which determines its order; when set, the epoch begins with its first step."""
        return self._next_epoch

    @next_epoch.setter
    def next_epoch(self, number: int) -> None:
        self._next_epoch = number
        self._position.begin_epoch()

    @property
    def next_step(self) -> int:
        """The index of the next step of this epoch."""
        return self._position.steps

    @property
    def epochs(self) -> int:
        """The former name of `next_epoch`."""
        _warn_of_epochs()
        return self.next_epoch

    @epochs.setter
    def epochs(self, number: int) -> None:
        _warn_of_epochs()
        self.next_epoch = number

    def run_epoch(self) -> float:
        """Train on every row once; return the mean of the batch losses (before each step), weighted by their rows.

        An epoch that was interrupted is finished: it goes on with `next_step`.

        Errors: FloatingPointError for a loss that is not finite, before its step. Ctrl-C raises KeyboardInterrupt
        between two steps; the next call goes on from there, with the same bits.
        """
        with DeferredInterrupt() as interrupt, thread_modes(self.model, training=True):
            list(self.parts(interrupt))
            interrupt.in_step = True
            self.end_epoch()
        return self.mean_loss

    def parts(self, interrupt: DeferredInterrupt) -> Iterator[int]:
        """Run the steps left in the epoch in parts of about 0.05 seconds; yields the number of rows of each part.

        The model is in training mode.
        """
        n, size = len(self.rows), min(self.batch_size, len(self.rows))
        self._begin_parts()
        order, full = self._order(n), n // size * size
        parts = [part for part in (order[:full].reshape(-1, size), order[full:].reshape(1, -1)) if part.size]
        begin = 0
        for index in parts:
            left = index[max(self.next_step - begin, 0) :]
            begin += len(index)
            if len(left):
                yield from self._steps(left, sum(map(len, parts)), interrupt)

    def _begin_parts(self) -> None:
        if any(schedule.total_steps is None for schedule in self.schedules):
            raise ValueError(f"{self._caller}: total_steps of the schedule is not known; pass it to StepSchedule")
        self.rows.follow(self.model, self._caller)
        self._renew()
        self._position.order = self._order_options()

    @property
    def row_count(self) -> int:
        """The number of rows of an epoch."""
        return len(self.rows)

    @property
    def steps_per_epoch(self) -> int | None:
        """The number of steps of an epoch, if it is known."""
        return -(-len(self.rows) // self.batch_size)

    def end_epoch(self) -> None:
        """Complete the epoch after its last step."""
        self.mean_loss = weighted_mean(self._position.all_losses, self.row_count, self.batch_size)
        self.next_epoch += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the training, what identifies it, and the states of its random generators.

        The generators are those that modules of the model and the loss have as attributes, and the default one. Model
        and optimizer are parts of their own:

        >>> import os, tempfile
        >>> import numpy as np
        >>> import chainrule as cr
        >>> X = cr.random.Generator(seed=0).normal((64, 2))
        >>> model = cr.nn.Sequential(cr.nn.Linear(2, 2))
        >>> optimizer = cr.optim.SGD(model.parameters(), lr=0.5)
        >>> trainer = cr.Trainer(model, X, X[:, :2], loss=cr.nn.MSELoss(), optimizer=optimizer)
        >>> loss = trainer.run_epoch()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "training.safetensors")
        ...     cr.save_checkpoint(path, model=model, optimizer=optimizer, trainer=trainer)
        ...     cr.load_checkpoint(path, model=model, optimizer=optimizer, trainer=trainer)
        >>> trainer.next_epoch
        1
        """
        position = {"next_epoch": self.next_epoch, "mean_loss": self.mean_loss, **self._position.state_dict()}
        return {**self._identity(), "position": position, "generators": self._generators.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the result of `state_dict`; ValueError for other data or options, before anything changes."""
        missing = [name for name in ("options", "data", "position", "generators") if name not in state]
        if missing:
            raise ValueError(f"load_state_dict: missing {', '.join(missing)}")
        self._check_identity(state, "load_state_dict: the state is that of a training", {})
        self._generators.load_state_dict(state["generators"])
        position = state["position"]
        self.mean_loss = float(position["mean_loss"])
        self.next_epoch = int(position["next_epoch"])
        self._position.load_state_dict(position)

    def _identity(self) -> dict[str, Any]:
        """What must be equal for a training to go on with the same bits."""
        if self._data is None:
            self._data = data_digest(self.rows)
        options = {
            **self._order_options(),
            "clip_norm": None if self.clip_norm is None else float(self.clip_norm),
            "clip_value": None if self.clip_value is None else float(self.clip_value),
            "loss": describe(self.loss),
            "model": describe(self.model),
            "optimizer": type(self.optimizer).__name__,
        }
        return {"options": options, "data": self._data}

    def _order_options(self) -> dict[str, Any]:
        """The options that the rows of each step depend on."""
        seed, shuffle = int(self.seed), bool(self.shuffle)
        return {"rows": len(self.rows), "batch_size": self.batch_size, "seed": seed, "shuffle": shuffle}

    def _check_identity(self, saved: Mapping[str, Any], where: str, further: Mapping[str, Any]) -> None:
        """Raise ValueError if `saved` identifies another training; without a seed of its own, adopt the saved one."""
        own = self._identity()
        seed = {"seed": saved["options"].get("seed")} if self._default_seed else {}
        found = different(saved["options"], {**own["options"], **further, **seed})
        if found:
            raise ValueError(f"{where} with {found}")
        if saved["data"] != own["data"]:
            raise ValueError(f"{where} on other data: the values of X, y or sample_weight differ")
        self.seed = saved["options"]["seed"]

    def _renew(self) -> None:
        """Compile the step again, at the next call, if the trainer's own attributes have changed."""
        settings = self.loss, self.optimizer, self.clip_norm, self.clip_value
        if all(a is b for a, b in zip_longest(settings, self._settings)):
            return
        self._plans.clear()
        self._compiled, self._lbfgs, self.converged = None, None, False
        if isinstance(self.optimizer, LBFGS):
            self._lbfgs = LBFGSSteps(self._caller, self.rows, self.loss, self.optimizer)
            self._lbfgs.check(self.batch_size, self.schedules, clip_norm=self.clip_norm, clip_value=self.clip_value)
            if self._compiles:
                self._lbfgs.compile(self._micro_batch)
        elif self._compiles:
            watched = self.rows.model, self.loss, self.optimizer
            self._compiled = Compiled(_weak_step(self), self._micro_batch, watched)
        self._settings = settings

    def _plan(self, rows: npt.NDArray[np.int64]) -> Plan | None:
        """The plan of a step on as many rows, the latest one while it is valid; None without compilation."""
        if self._compiled is None:
            return None
        kind = len(rows), grad_mode.enabled, grad_mode.sources
        plan = self._plans.get(kind)
        if plan is None or not plan.guards_hold(()):
            plan = self._plans[kind] = self._compiled.plan_of(rows)
        return plan

    def _order(self, n: int) -> npt.NDArray[np.int64]:
        if not self.shuffle:
            return np.arange(n, dtype=np.int64)
        return epoch_order(n, self.seed, self.next_epoch)

    def _steps(self, index: npt.NDArray[np.int64], steps: int, interrupt: DeferredInterrupt) -> Iterator[int]:
        """Run one step per row of `index`, the next ones of an epoch of `steps` steps, and record their losses."""
        if self._lbfgs is not None:
            yield self._whole_step(self._lbfgs, interrupt)
            return
        plan = self._plan(index[0])
        out = np.empty(len(index), np.float64 if plan is None else plan.output_dtypes[0])
        done = np.zeros(1, np.int64)  # also what an error leaves done
        first = self.next_epoch * steps + self.next_step
        settings = [setting for schedule in self.schedules for setting in schedule._settings(first, len(index))]
        for schedule in self.schedules:
            schedule._move(first)
        while done[0] < len(index):
            interrupt.in_step = True
            before, begun = int(done[0]), time.perf_counter()
            try:
                if plan is None:
                    self._one_step(index, out, done)
                else:
                    plan.run_rows(index, out, before, _SECONDS, done, settings, checked=before == 0)
            except NotFiniteError:
                step = self.next_step + int(done[0]) - before
                raise stopped(self._caller, out[done[0]], self.next_epoch, step, steps) from None
            finally:
                for schedule in self.schedules:
                    schedule._move(first + int(done[0]))
                self._record(out[before : done[0]], begun)
            interrupt.leave_step()
            yield (int(done[0]) - before) * index.shape[1]

    def _whole_step(self, lbfgs: LBFGSSteps, interrupt: DeferredInterrupt) -> int:
        interrupt.in_step, begun = True, time.perf_counter()
        loss, changed = lbfgs.step(self.next_epoch, self._check_loss, interrupt)
        self.converged = not changed
        self._record(np.array([loss]), begun)
        interrupt.leave_step()
        return len(self.rows)

    def _record(self, losses: npt.NDArray[Any], begun: float) -> None:
        """Record steps of the epoch that are done, in the time since `begun`."""
        if len(losses):
            self._position.losses.append(losses)
        self._position.seconds += time.perf_counter() - begun

    def _one_step(self, index: npt.NDArray[np.int64], out: npt.NDArray[Any], done: npt.NDArray[np.int64]) -> None:
        """Run the next step eagerly, and count it. On an error the generators repeat its draws."""
        drawn = self._generators.state_dict()
        try:
            out[done[0]] = self._step(Tensor(index[done[0]])).item()
        except BaseException as error:
            self._generators.load_state_dict(drawn)
            if isinstance(error, NotFiniteError):
                out[done[0]] = error.args[0]
            raise
        done += 1

    def _step(self, rows: Tensor) -> Tensor:
        """Run one step; with `nonfinite="raise"` a loss that is not finite raises before anything changes."""
        x, y, options = self.rows.batch(rows)
        self._zero_grad()
        value = self.loss(call_with(self.rows.model, x), y, **options)
        if self._check_loss:
            require_finite(value)
        value.backward()
        if self.clip_value is not None:
            clip_grad_value_(self.optimizer.params, self.clip_value)
        if self.clip_norm is not None:
            clip_grad_norm_(self.optimizer.params, self.clip_norm)
        self.optimizer.step()  # type: ignore[call-arg]  # LBFGS has steps of its own
        self._zero_grad()
        return value

    def _zero_grad(self) -> None:
        """Set all gradients to None, also of parameters that the optimizer does not have."""
        self.optimizer.zero_grad()
        self.rows.model.zero_grad()


def _weak_step(trainer: Trainer) -> Callable[[Tensor], Tensor]:
    """The step of a trainer that does not keep it alive: without a circle, both are freed at once."""
    reference = weakref.ref(trainer)

    def step(rows: Tensor) -> Tensor:
        owner = reference()
        assert owner is not None  # only the trainer runs it
        return owner._step(rows)

    return step


def _warn_of_epochs() -> None:
    warnings.warn("Trainer.epochs is called next_epoch now", DeprecationWarning, stacklevel=3)


def _check_bounds(caller: str, **bounds: float | None) -> None:
    for name, bound in bounds.items():
        if bound is not None and not bound > 0:
            raise ValueError(f"{caller}: {name} must be above 0, got {bound}")

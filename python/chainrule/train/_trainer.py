"""Trainer: seeded minibatches of in-memory rows, many steps per call into the core."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from .._util.checks import check_integer
from .._util.interrupt import DeferredInterrupt
from .._util.mode import grad_mode
from ..compiler.jit import Compiled
from ..data._split import epoch_order
from ..nn import Module
from ..optim import clip_grad_norm_, clip_grad_value_
from ..random import default_generator
from ._dataset import prepare

__all__ = ["Optimizer", "Trainer", "weighted_mean"]

_SECONDS = 0.05  # between checks for Ctrl-C and updates of the progress bar


class Optimizer(Protocol):
    """The interface of an optimizer for training."""

    params: list[Tensor]

    def step(self) -> None:
        """Update the parameters."""

    def zero_grad(self) -> None:
        """Set the gradients to None."""


class Trainer:
    """Trains a model on in-memory rows, one epoch of minibatches per call; the basis of `cr.fit`.

    Per batch: optimizer.zero_grad(); loss(model(x), y).backward(); clipping; optimizer.step(), compiled into one
    program; no Python code runs between steps. The last batch of an epoch may be smaller. The order of epoch e depends
    only on (seed, e), so the same seed gives the same bits. The bits equal those of an explicit loop.

    Arguments: `model`, a Module; `X`, finite numbers of shape (n, ...), converted to the model's dtype (a C-contiguous
    array of that dtype is not copied) and preprocessed once by the model's leading preprocessing layers, which must be
    fitted (`cr.nn.fit_preprocessing`) and are not changed; `y`, n integer labels for cross entropy, otherwise finite
    numbers in the shape of the model's output; `loss`, a loss module or any function (prediction, target) -> scalar
    tensor; `optimizer`, of this model's parameters; `batch_size`, 1 for stochastic gradient descent, None for all rows
    at once (gradient descent); `micro_batch`, rows computed at a time to save memory, with the bits of the whole batch;
    `sample_weight`, n weights of at least 0, passed to the loss as `sample_weight=`; `clip_value` and `clip_norm`,
    bounds of the elements of the gradients, then of their norm (`cr.optim.clip_grad_value_`, `clip_grad_norm_`); `seed`
    (default: that of `cr.manual_seed`); `shuffle`; `nonfinite`, "raise" or "continue" when a loss is NaN or infinite;
    `compile`, False for eager execution of models that cannot be compiled.
    Attributes: `next_epoch`, the index of the next epoch, from 0; `mean_loss`, of the last one.
    Errors: before the model changes: TypeError or ValueError for invalid arguments, with the index of a NaN or of a
    label out of range. During training: FloatingPointError for a loss that is not finite, before its step;
    `cr.CompileError` when the model, the loss or the optimizer reads values in Python.

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
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        loss: Callable[..., Tensor],
        optimizer: Optimizer,
        batch_size: int | None = 32,
        micro_batch: int | None = None,
        sample_weight: npt.ArrayLike | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        seed: int | None = None,
        shuffle: bool = True,
        nonfinite: str = "raise",
        compile: bool = True,
    ) -> None:
        if nonfinite not in ("raise", "continue"):
            raise ValueError(f"{self._caller}: nonfinite must be 'raise' or 'continue', got {nonfinite!r}")
        counts = {"batch_size": batch_size, "micro_batch": micro_batch}
        for name, count in counts.items():
            if count is not None:
                check_integer(f"{self._caller}: {name}", count, 1)
        _check_bounds(self._caller, clip_norm=clip_norm, clip_value=clip_value)
        self.rows = prepare(model, X, y, loss, optimizer.params, sample_weight, self._caller)
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.batch_size, self.shuffle = len(self.rows) if batch_size is None else int(batch_size), shuffle
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self.seed = default_generator().seed if seed is None else seed
        self.next_epoch = 0  # determines its order
        self.mean_loss = float("nan")  # of the last epoch
        self._check_loss = nonfinite == "raise"
        self._micro_batch, self._compiles = micro_batch, compile
        self._compiled: Compiled[Callable[[Tensor], Tensor]] | None = None
        self._settings: tuple[Any, ...] = ()  # those of the compiled step

    @property
    def epochs(self) -> int:
        """The former name of `next_epoch`."""
        warnings.warn("Trainer.epochs is called next_epoch now", DeprecationWarning, stacklevel=2)
        return self.next_epoch

    @epochs.setter
    def epochs(self, number: int) -> None:
        warnings.warn("Trainer.epochs is called next_epoch now", DeprecationWarning, stacklevel=2)
        self.next_epoch = number

    def run_epoch(self) -> float:
        """Train on every row once; return the mean of the batch losses (before each step), weighted by their rows.

        Errors: FloatingPointError for a loss that is not finite, before its step. Ctrl-C raises KeyboardInterrupt
        between two steps; the model remains usable.
        """
        with DeferredInterrupt() as interrupt:
            for _ in self.parts(interrupt):
                pass
        return self.mean_loss

    def parts(self, interrupt: DeferredInterrupt) -> Iterator[int]:
        """Run an epoch in parts of about 0.05 seconds; yields the number of rows of each part."""
        n, size = len(self.rows), min(self.batch_size, len(self.rows))
        order = self._order(n)
        full = n // size * size
        self.model.train()
        self.rows.follow(self.model, self._caller)
        self._renew()
        parts = [part for part in (order[:full].reshape(-1, size), order[full:].reshape(1, -1)) if part.size]
        losses: list[npt.NDArray[np.float64]] = []
        for index in parts:
            yield from self._steps(index, losses, sum(map(len, parts)), interrupt)
        self.next_epoch += 1
        self.mean_loss = weighted_mean(np.concatenate(losses), n, size)

    def _renew(self) -> None:
        """Compile the step again, at the next call, if the trainer's own attributes have changed."""
        settings = self.loss, self.optimizer, self.clip_norm, self.clip_value
        if self._compiles and any(a is not b for a, b in zip_longest(settings, self._settings)):
            watched = self.rows.model, self.loss, self.optimizer
            self._compiled, self._settings = Compiled(self._step, self._micro_batch, watched), settings

    def _order(self, n: int) -> npt.NDArray[np.int64]:
        if not self.shuffle:
            return np.arange(n, dtype=np.int64)
        return epoch_order(n, self.seed, self.next_epoch)

    def _steps(
        self,
        index: npt.NDArray[np.int64],
        losses: list[npt.NDArray[np.float64]],
        steps: int,
        interrupt: DeferredInterrupt,
    ) -> Iterator[int]:
        """Run one step per row of `index` and append the losses to those of the epoch, which has `steps` steps."""
        plan = None if self._compiled is None else self._compiled.plan_of(index[0])
        out = np.empty(len(index), np.float64 if plan is None else plan.output_dtypes[0])
        done = 0
        while done < len(index):
            interrupt.in_step = True
            before = done
            try:
                done = self._one_step(index, out, done) if plan is None else plan.run_rows(index, out, done, _SECONDS)
            except _NotFiniteError:
                bad = done + int(np.argmin(np.isfinite(out[done:])))
                number = sum(map(len, losses)) + bad + 1
                raise FloatingPointError(
                    f"{self._caller}: the loss is {out[bad]} at epoch {self.next_epoch + 1}, step {number} of {steps}; "
                    "the model has the weights of the previous step; try a smaller learning rate or scaled data"
                ) from None
            interrupt.leave_step()
            yield (done - before) * index.shape[1]
        losses.append(ops.astype(out, np.float64).numpy())

    def _one_step(self, index: npt.NDArray[np.int64], out: npt.NDArray[Any], done: int) -> int:
        """Run step `done` eagerly; return the index of the next."""
        try:
            out[done] = self._step(Tensor(index[done])).item()
        except _NotFiniteError as error:
            out[done] = error.args[0]
            raise
        return done + 1

    def _step(self, rows: Tensor) -> Tensor:
        """Run one step; with `nonfinite="raise"` a loss that is not finite raises before anything changes."""
        x, y, options = self.rows.batch(rows)
        self._zero_grad()
        value = self.loss(self.rows.model(x), y, **options)
        if self._check_loss:
            _require_finite(value)
        value.backward()
        if self.clip_value is not None:
            clip_grad_value_(self.optimizer.params, self.clip_value)
        if self.clip_norm is not None:
            clip_grad_norm_(self.optimizer.params, self.clip_norm)
        self.optimizer.step()
        self._zero_grad()
        return value

    def _zero_grad(self) -> None:
        """Set all gradients to None, also of parameters that the optimizer does not have."""
        self.optimizer.zero_grad()
        self.rows.model.zero_grad()


def _check_bounds(caller: str, **bounds: float | None) -> None:
    for name, bound in bounds.items():
        if bound is not None and not bound > 0:
            raise ValueError(f"{caller}: {name} must be above 0, got {bound}")


class _NotFiniteError(FloatingPointError):
    """Raised by a step before it changes anything."""


def _require_finite(value: Tensor) -> None:
    grad_mode.executor.check_finite(value, lambda at, number: _NotFiniteError(number))


def weighted_mean(losses: npt.NDArray[np.float64], n: int, batch_size: int) -> float:
    """Return the mean of batch losses over rows; all batches but the last have batch_size rows."""
    sizes = np.full(len(losses), min(batch_size, n), dtype=np.float64)
    sizes[-1] = n - batch_size * (len(losses) - 1)
    return float(ops.div(ops.sum(ops.mul(losses, sizes)), np.float64(n)).item())

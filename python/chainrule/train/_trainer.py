"""Trainer: seeded minibatches of rows kept in memory, many steps per call into the core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from .._util.interrupt import DeferredInterrupt
from .._util.mode import grad_mode
from ..compiler import Compiled
from ..data._split import epoch_order
from ..nn import Module
from ..optim import clip_grad_norm_, clip_grad_value_
from ..random import default_generator
from ._dataset import check_counts, prepare

__all__ = ["Optimizer", "Trainer", "weighted_mean"]

_SECONDS = 0.05  # between looks at Ctrl-C and the progress bar


class Optimizer(Protocol):
    """What training needs of an optimizer."""

    params: list[Tensor]

    def step(self) -> None:
        """Change the parameters by their gradients."""

    def zero_grad(self) -> None:
        """Forget the gradients."""


class Trainer:
    """Trains a model on rows that stay in memory, one epoch of minibatches per call; what `cr.fit` is made of.

    Per batch: optimizer.zero_grad(); loss(model(x), y).backward(); clipping; optimizer.step(), compiled into one
    program; steps follow each other without Python. The order of epoch e depends on (seed, e) only. Bits equal the loop
    written by hand.

    Arguments: as `cr.fit`; `compile`, False to run every op by itself, for models that cannot be compiled.
    Errors: as `cr.fit`, and `cr.CompileError` when the model, the loss or the optimizer needs values in Python.

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
            raise ValueError(f"fit: nonfinite must be 'raise' or 'continue', got {nonfinite!r}")
        counts = {"batch_size": batch_size, "micro_batch": micro_batch}
        check_counts(**{name: count for name, count in counts.items() if count is not None})
        _check_bounds(clip_norm=clip_norm, clip_value=clip_value)
        self.rows = prepare(model, X, y, loss, optimizer.params, sample_weight)
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.batch_size, self.shuffle = len(self.rows) if batch_size is None else int(batch_size), shuffle
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self.seed = default_generator().seed if seed is None else seed
        self.epochs = 0  # the number of the next epoch, which its order depends on
        self.mean_loss = float("nan")  # of the last epoch
        self._stop = nonfinite == "raise"
        self._modules = list(model.modules())
        self._compiled = Compiled(self._step, micro_batch) if compile else None

    def run_epoch(self) -> float:
        """Train on every row once; return the mean of the batch losses (before each step), weighted by their rows.

        Errors: FloatingPointError for a loss that is not finite, before its step. Ctrl-C raises KeyboardInterrupt
        between two steps; the model can be used as it is.
        """
        with DeferredInterrupt() as interrupt:
            for _ in self.parts(interrupt):
                pass
        return self.mean_loss

    def parts(self, interrupt: DeferredInterrupt) -> Iterator[int]:
        """Run an epoch in parts of a few hundredths of a second; yields the number of rows of each part."""
        n, size = len(self.rows), min(self.batch_size, len(self.rows))
        order = self._order(n)
        full = n // size * size
        for module in self._modules:
            module.training = True
        parts = [part for part in (order[:full].reshape(-1, size), order[full:].reshape(1, -1)) if part.size]
        losses: list[npt.NDArray[np.float64]] = []
        for index in parts:
            yield from self._steps(index, losses, sum(map(len, parts)), interrupt)
        self.epochs += 1
        self.mean_loss = weighted_mean(np.concatenate(losses), n, size)

    def _order(self, n: int) -> npt.NDArray[np.int64]:
        if not self.shuffle:
            return np.arange(n, dtype=np.int64)
        return epoch_order(n, self.seed, self.epochs)

    def _steps(
        self,
        index: npt.NDArray[np.int64],
        losses: list[npt.NDArray[np.float64]],
        steps: int,
        interrupt: DeferredInterrupt,
    ) -> Iterator[int]:
        """One step per row of `index`; their losses are appended to those of the epoch, which has `steps` of them."""
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
                    f"fit: the loss is {out[bad]} at epoch {self.epochs + 1}, step {number} of {steps}; the model is "
                    "as the step before left it; try a smaller learning rate or scaled data"
                ) from None
            interrupt.leave_step()
            yield (done - before) * index.shape[1]
        losses.append(ops.astype(out, np.float64).numpy())

    def _one_step(self, index: npt.NDArray[np.int64], out: npt.NDArray[Any], done: int) -> int:
        """Step number `done`, op by op; returns the number of the next."""
        try:
            out[done] = self._step(Tensor(index[done])).item()
        except _NotFiniteError as error:
            out[done] = error.args[0]
            raise
        return done + 1

    def _step(self, rows: Tensor) -> Tensor:
        """One step; with `nonfinite="raise"` a loss that is not finite changes nothing."""
        x, y, options = self.rows.part(rows)
        self.optimizer.zero_grad()
        value = self.loss(self.rows.model(x), y, **options)
        if self._stop:
            _require_finite(value)
        value.backward()
        if self.clip_value is not None:
            clip_grad_value_(self.optimizer.params, self.clip_value)
        if self.clip_norm is not None:
            clip_grad_norm_(self.optimizer.params, self.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return value


def _check_bounds(**bounds: float | None) -> None:
    for name, bound in bounds.items():
        if bound is not None and not bound > 0:
            raise ValueError(f"fit: {name} must be above 0, got {bound}")


class _NotFiniteError(FloatingPointError):
    """Raised inside of a step, before it changes anything."""


def _require_finite(value: Tensor) -> None:
    grad_mode.trace.check_finite(value, lambda at, number: _NotFiniteError(number))


def weighted_mean(losses: npt.NDArray[np.float64], n: int, batch_size: int) -> float:
    """The mean over rows of batch losses; all batches but the last have batch_size rows."""
    sizes = np.full(len(losses), min(batch_size, n), dtype=np.float64)
    sizes[-1] = n - batch_size * (len(losses) - 1)
    return float(ops.div(ops.sum(ops.mul(losses, sizes)), np.float64(n)).item())

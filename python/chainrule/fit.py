"""Training: `fit` checks everything, then runs epochs of seeded minibatches; `History` is what it saw.

`_train_step` is the only place where the model changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from . import ops
from ._fit_data import EVALUATION_ROWS, Metric, Rows, check_counts, prepare, resolve_metrics
from ._interrupt import DeferredInterrupt
from .nn import Module
from .nn._module import evaluating
from .progress import Progress, make_progress
from .random import Generator, default_generator
from .tensor import Tensor

__all__ = ["History", "fit"]

_ORDER_STREAM = 2**32  # the order of epoch e is drawn from this stream + e


class Optimizer(Protocol):
    """What `fit` needs of an optimizer."""

    params: list[Tensor]

    def step(self) -> None:
        """Change the parameters by their gradients."""

    def zero_grad(self) -> None:
        """Forget the gradients."""


@dataclass
class History:
    """What a training run saw, one entry per finished epoch.

    `loss`: the mean of the batch losses, weighted by their rows, as they were before each step; `val_loss` and
    `metrics` (lists by name): after the epoch, on the validation rows, empty without validation; `seconds`: of
    training, without validation; `samples`: rows trained on.

    >>> import chainrule as cr
    >>> cr.History().epochs
    0
    """

    loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    samples: int = 0

    @property
    def epochs(self) -> int:
        """How many epochs were finished."""
        return len(self.loss)

    @property
    def samples_per_second(self) -> float:
        """Rows trained on per second of training; 0.0 before the first epoch is finished."""
        return self.samples / max(sum(self.seconds), 1e-9)

    def summary(self) -> str:
        """The last epoch in one line; empty before the first epoch is finished.

        >>> import chainrule as cr
        >>> cr.History(loss=[0.5], val_loss=[0.75]).summary()
        'loss 0.5  val_loss 0.75'
        """
        named = {"loss": self.loss, "val_loss": self.val_loss}
        named.update({f"val_{name}": values for name, values in self.metrics.items()})
        return "  ".join(f"{name} {values[-1]:.4g}" for name, values in named.items() if values)


def fit(
    model: Module,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    loss: Callable[[Tensor, Tensor], Tensor],
    optimizer: Optimizer,
    epochs: int = 10,
    batch_size: int = 32,
    validation: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    metrics: Sequence[str | Metric] | None = None,
    seed: int | None = None,
    shuffle: bool = True,
    progress: bool | None = None,
    callbacks: Sequence[Callable[[History], object]] = (),
    nonfinite: str = "raise",
    history: History | None = None,
) -> History:
    """Train a model by minibatches.

    Per batch: optimizer.zero_grad(); loss(model(x), y).backward(); optimizer.step(). The last batch of an epoch may be
    smaller. The order of epoch e depends on (seed, e) only, so the same seed gives the same bits.

    Arguments: `model`, a Module; `X`, finite numbers of shape (n, ...), converted to the model's dtype; `y`, n labels
    (integers) for cross entropy, else finite numbers in the shape of the model's output; `loss`, a loss module or any
    function (prediction, target) -> scalar tensor; `optimizer`, of this model's parameters; `epochs`; `batch_size`;
    `validation`, `(X, y)` to evaluate after every epoch; `metrics`, of the validation rows: "accuracy" or functions
    (prediction, target) -> float on ndarrays (default: accuracy for labels); `seed` (default: that of
    `cr.manual_seed`); `shuffle`; `progress`, True, False, or None for only on a terminal; `callbacks`, called with the
    History after every epoch, one that returns True ends training; `nonfinite`, "raise" or "continue" when a loss is
    NaN or infinite; `history`, a History to continue: epochs are counted on from it, and it keeps what was reached when
    training is broken off.
    Returns: the History.
    Errors: before the model is touched: TypeError or ValueError for anything that does not fit, with the place of a NaN
    or of a label out of range. While training: FloatingPointError for a loss that is not finite, before its step.
    Ctrl-C raises KeyboardInterrupt at the end of the running step; the model can be used as it is.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> X = cr.random.Generator(seed=0).normal((64, 2))
    >>> y = (X[:, 0] > X[:, 1]).astype(np.int64)
    >>> model = cr.nn.Sequential(cr.nn.Linear(2, 2, generator=cr.random.Generator(seed=1)))
    >>> optimizer = cr.optim.SGD(model.parameters(), lr=0.5)
    >>> history = cr.fit(model, X, y, loss=cr.nn.CrossEntropyLoss(), optimizer=optimizer, epochs=20, seed=0)
    >>> history.loss[-1] < 0.5 * history.loss[0]
    True
    """
    if nonfinite not in ("raise", "continue"):
        raise ValueError(f"fit: nonfinite must be 'raise' or 'continue', got {nonfinite!r}")
    check_counts(epochs=epochs, batch_size=batch_size)
    train, held_out = prepare(model, X, y, loss, optimizer.params, validation)
    measures = resolve_metrics(metrics, loss, held_out)
    record = History() if history is None else history
    run = _Run(model, loss, optimizer, train, batch_size, nonfinite == "raise", make_progress(progress))
    key = default_generator().seed if seed is None else seed
    modes = [(module, module.training) for module in model.modules()]
    try:
        with DeferredInterrupt() as interrupt:
            last = record.epochs + epochs
            for epoch in range(record.epochs, last):
                order = Generator(key, stream=_ORDER_STREAM + epoch).permutation(len(train)) if shuffle else None
                begun = time.perf_counter()
                run.progress.begin(epoch + 1, last, len(train))
                mean_loss = run.epoch(epoch, order, interrupt)
                record.seconds.append(time.perf_counter() - begun)
                record.samples += len(train)
                record.loss.append(mean_loss)
                if held_out is not None:
                    _evaluate(model, loss, held_out, measures, record)
                run.progress.end(record.summary())
                answers = [callback(record) for callback in callbacks]
                if any(answer is True for answer in answers):
                    break
    finally:
        run.progress.close()
        for module, mode in modes:
            module.training = mode
    return record


@dataclass
class _Run:
    """What stays the same from epoch to epoch."""

    model: Module
    loss: Callable[[Tensor, Tensor], Tensor]
    optimizer: Optimizer
    train: Rows
    batch_size: int
    stop: bool
    progress: Progress

    def epoch(self, epoch: int, order: npt.NDArray[np.int64] | None, interrupt: DeferredInterrupt) -> float:
        """Train on every row once; return the mean loss."""
        n = len(self.train)
        order = np.arange(n, dtype=np.int64) if order is None else order
        starts = range(0, n, self.batch_size)
        losses = np.empty(len(starts), dtype=np.float64)
        self.model.train()
        for i, start in enumerate(starts):
            rows = order[start : start + self.batch_size]
            x, y = ops.take(self.train.x, rows), ops.take(self.train.y, rows)
            interrupt.in_step = True
            value = losses[i] = _train_step(self.model, self.loss, self.optimizer, x, y, self.stop)
            interrupt.leave_step()
            if self.stop and not isfinite(value):
                raise FloatingPointError(
                    f"fit: the loss is {value} at epoch {epoch + 1}, step {i + 1} of {len(starts)}; the model is as "
                    "the step before left it; try a smaller learning rate or scaled data"
                )
            self.progress.advance(len(rows))
        return _weighted_mean(losses, n, self.batch_size)


def _train_step(
    model: Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    optimizer: Optimizer,
    x: Tensor,
    y: Tensor,
    stop: bool,
) -> float:
    """One step on one batch; return the loss before it. With `stop`, a loss that is not finite changes nothing."""
    optimizer.zero_grad()
    value = loss(model(x), y)
    number = float(value.item())
    if stop and not isfinite(number):
        return number
    value.backward()
    optimizer.step()
    return number


def _weighted_mean(losses: npt.NDArray[np.float64], n: int, batch_size: int) -> float:
    """The mean over rows of batch losses; all batches but the last have batch_size rows."""
    sizes = np.full(len(losses), min(batch_size, n), dtype=np.float64)
    sizes[-1] = n - batch_size * (len(losses) - 1)
    return float(ops.div(ops.sum(ops.mul(losses, sizes)), np.float64(n)).item())


def _evaluate(
    model: Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    rows: Rows,
    measures: dict[str, Metric],
    record: History,
) -> None:
    """Append the loss and the metrics of these rows to the record, without changing the model."""
    losses, outputs = [], []
    with evaluating(model):
        for start in range(0, len(rows), EVALUATION_ROWS):
            part = np.arange(start, min(start + EVALUATION_ROWS, len(rows)), dtype=np.int64)
            prediction = model(ops.take(rows.x, part))
            losses.append(loss(prediction, ops.take(rows.y, part)).item())
            outputs.append(prediction.numpy())
    record.val_loss.append(_weighted_mean(np.array(losses, dtype=np.float64), len(rows), EVALUATION_ROWS))
    prediction_values: npt.NDArray[Any] = np.concatenate(outputs)
    for name, measure in measures.items():
        record.metrics.setdefault(name, []).append(float(measure(prediction_values, rows.y.numpy())))

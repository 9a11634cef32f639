"""Training: `fit` runs a Trainer's epochs with validation, progress and callbacks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .._tensor import Tensor
from .._util.interrupt import DeferredInterrupt
from ..nn import Module
from ..nn._module import evaluating
from ._callbacks import Callback
from ._dataset import EVALUATION_ROWS, Metric, Rows, check_counts, prepare_validation, resolve_metrics
from ._history import History
from ._progress import make_progress
from ._trainer import Optimizer, Trainer, weighted_mean

__all__ = ["History", "fit"]


class Schedule(Protocol):
    """What `fit` needs of a schedule: it is called with the History after every epoch."""

    optimizer: Any

    def __call__(self, history: History) -> object:
        """Set the rates of the next epoch."""


def fit(
    model: Module,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    loss: Callable[..., Tensor],
    optimizer: Optimizer,
    epochs: int = 10,
    batch_size: int | None = 32,
    micro_batch: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    validation: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    metrics: Sequence[str | Metric] | None = None,
    schedule: Schedule | None = None,
    seed: int | None = None,
    shuffle: bool = True,
    progress: bool | None = None,
    callbacks: Sequence[Callable[[History], object]] = (),
    nonfinite: str = "raise",
    history: History | None = None,
    compile: bool = True,
) -> History:
    """Train a model by minibatches.

    Per batch: optimizer.zero_grad(); loss(model(x), y).backward(); clipping; optimizer.step(). The last batch of an
    epoch may be smaller. The order of epoch e depends on (seed, e) only, so the same seed gives the same bits.

    Arguments: `model`, a Module; `X`, finite numbers of shape (n, ...), converted to the model's dtype (an array of it
    in C order is used as it is, not copied); they go once through the preprocessing that the model begins with, which
    must be fitted (`cr.nn.fit_preprocessing`) and stays as it is; `y`, n labels (integers) for cross entropy, else
    finite numbers in the shape of the model's output; `loss`, a loss module or any function (prediction, target) ->
    scalar tensor; `optimizer`, of this model's parameters; `epochs`; `batch_size`, 1 for stochastic gradient descent,
    None for all rows at once (gradient descent); `micro_batch`, rows computed at a time to save memory, with the bits
    of the whole batch; `sample_weight`, n numbers of at least 0, how much each row counts: it goes to the loss as
    `sample_weight=` (not to the validation); `clip_value` and `clip_norm`, bounds for the elements of the gradients,
    then for their norm (`cr.optim.clip_grad_value_`, `clip_grad_norm_`); `validation`, `(X, y)` to evaluate after every
    epoch; `metrics`, of the validation rows: "accuracy" or functions (prediction, target) -> float on ndarrays
    (default: accuracy for labels); `schedule`, of the optimizer's learning rate, which steps after every epoch; `seed`
    (default: that of
    `cr.manual_seed`); `shuffle`; `progress`, True, False, or None for only on a terminal; `callbacks`, called with the
    History after every epoch, one that returns True ends training (`cr.EarlyStopping` is one); `nonfinite`, "raise" or
    "continue" when a loss is NaN or infinite; `history`, a History to continue: epochs are counted on from it, and it
    keeps what was reached when training is broken off; `compile`, False to run every op by itself, for models that
    cannot be compiled.
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
    check_counts(epochs=epochs)
    trainer = Trainer(
        model,
        X,
        y,
        loss=loss,
        optimizer=optimizer,
        batch_size=batch_size,
        micro_batch=micro_batch,
        sample_weight=sample_weight,
        clip_norm=clip_norm,
        clip_value=clip_value,
        seed=seed,
        shuffle=shuffle,
        nonfinite=nonfinite,
        compile=compile,
    )
    held_out = None if validation is None else prepare_validation(model, validation, loss)
    measures = resolve_metrics(metrics, loss, held_out)
    if schedule is not None and schedule.optimizer is not optimizer:
        raise ValueError("fit: the schedule is of another optimizer")
    after_epoch: list[Callable[[History], object]] = [*([] if schedule is None else [schedule]), *callbacks]
    hooks = [callback for callback in callbacks if isinstance(callback, Callback)]
    for hook in hooks:
        hook.begin(model, ["loss", *([] if held_out is None else ["val_loss", *(f"val_{name}" for name in measures)])])
    record = History() if history is None else history
    bar = make_progress(progress)
    modes = [(module, module.training) for module in model.modules()]
    trainer.epochs = record.epochs
    try:
        with DeferredInterrupt() as interrupt:
            last = record.epochs + epochs
            for epoch in range(record.epochs, last):
                begun = time.perf_counter()
                bar.begin(epoch + 1, last, len(trainer.rows))
                for rows in trainer.parts(interrupt):
                    bar.advance(rows)
                record.seconds.append(time.perf_counter() - begun)
                record.samples += len(trainer.rows)
                record.loss.append(trainer.mean_loss)
                if held_out is not None:
                    _evaluate(loss, held_out, measures, record)
                bar.end(record.summary())
                answers = [callback(record) for callback in after_epoch]
                if any(answer is True for answer in answers):
                    break
            for hook in hooks:
                hook.end(model)
    finally:
        bar.close()
        for module, mode in modes:
            module.training = mode
    return record


def _evaluate(
    loss: Callable[..., Tensor],
    rows: Rows,
    measures: dict[str, Metric],
    record: History,
) -> None:
    """Append the loss and the metrics of these rows to the record, without changing the model."""
    losses, outputs = [], []
    with evaluating(rows.model):
        for start in range(0, len(rows), EVALUATION_ROWS):
            part = np.arange(start, min(start + EVALUATION_ROWS, len(rows)), dtype=np.int64)
            x, y, options = rows.part(Tensor(part))
            prediction = rows.model(x)
            losses.append(loss(prediction, y, **options).item())
            outputs.append(prediction.numpy())
    record.val_loss.append(weighted_mean(np.array(losses, dtype=np.float64), len(rows), EVALUATION_ROWS))
    prediction_values: npt.NDArray[Any] = np.concatenate(outputs)
    for name, measure in measures.items():
        record.metrics.setdefault(name, []).append(float(measure(prediction_values, rows.y.numpy())))

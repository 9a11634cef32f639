"""The `fit` function: the epochs of a Trainer with validation, progress and callbacks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .._tensor import Tensor
from .._util.checks import check_integer
from .._util.interrupt import DeferredInterrupt
from ..nn import Module
from ..nn._evaluate import EVALUATION_ROWS, evaluating, predict_eagerly
from ._callbacks import Callback
from ._dataset import Dataset, Metric, prepare_validation, resolve_metrics
from ._history import History
from ._progress import make_progress
from ._trainer import Optimizer, Trainer, weighted_mean

__all__ = ["History", "fit"]


class _FitTrainer(Trainer):
    """The Trainer of `fit`, which its error messages name."""

    _caller = "fit"


class Schedule(Protocol):
    """The interface of a schedule: `fit` calls it with the History after every epoch."""

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

    A `cr.Trainer` runs `epochs` more epochs; `fit` adds validation, a schedule, progress and callbacks after each of
    them.

    Arguments: those of `cr.Trainer`; `epochs`, the number to run; `validation`, `(X, y)` to evaluate after every epoch,
    without `sample_weight`; `metrics` on the validation rows: "accuracy" or functions (prediction, target) -> float on
    ndarrays (default: accuracy for labels), recorded in `History.measures` with the prefix "val_"; `schedule`, of the
    optimizer's learning rate, which steps after every epoch; `progress`, True, False, or None for terminals only;
    `callbacks`, called with the History after every epoch, one that returns True stops training (as `cr.EarlyStopping`
    does); `history`, a History to continue: epochs count on from `history.epochs`, and it holds the completed epochs if
    training is interrupted.
    Returns: the History.
    Errors: those of `cr.Trainer`, before the model changes or at a loss that is not finite. Ctrl-C raises
    KeyboardInterrupt at the end of the current step; the model remains usable.

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
    check_integer("fit: epochs", epochs, 1)
    trainer = _FitTrainer(
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
        raise ValueError("fit: schedule was created for a different optimizer")
    after_epoch: list[Callable[[History], object]] = [*([] if schedule is None else [schedule]), *callbacks]
    hooks = [callback for callback in callbacks if isinstance(callback, Callback)]
    curves = ["loss", *([] if held_out is None else ["val_loss", *(f"val_{name}" for name in measures)])]
    monitor = getattr(schedule, "monitor", None)
    if monitor is not None and monitor not in curves:
        raise ValueError(f"fit: the schedule monitors {monitor!r}, expected one of {', '.join(curves)}")
    for hook in hooks:
        hook.begin(model, curves)
    record = History() if history is None else history
    bar = make_progress(progress)
    modes = [(module, module.training) for module in model.modules()]
    trainer.next_epoch = record.epochs
    try:
        with DeferredInterrupt() as interrupt:
            total = record.epochs + epochs
            for epoch in range(record.epochs, total):
                started = time.perf_counter()
                bar.begin(epoch + 1, total, len(trainer.rows))
                for rows in trainer.parts(interrupt):
                    bar.advance(rows)
                record.seconds.append(time.perf_counter() - started)
                record.samples += len(trainer.rows)
                record.loss.append(trainer.mean_loss)
                if held_out is not None:
                    _evaluate(model, loss, held_out, measures, record, compile)
                bar.end(record.summary())
                results = [callback(record) for callback in after_epoch]
                if any(result is True for result in results):
                    break
            for hook in hooks:
                hook.end(model)
    finally:
        bar.close()
        for module, mode in modes:
            module.training = mode
    return record


def _evaluate(
    model: Module,
    loss: Callable[..., Tensor],
    rows: Dataset,
    measures: dict[str, Metric],
    record: History,
    compiled: bool,
) -> None:
    """Append the loss and the metrics of these rows to the record; the model is not changed."""
    rows.follow(model, "fit")
    losses, outputs = [], []
    # `predict` takes an array of one axis for a single row.
    predict = rows.model.predict if compiled and rows.x.ndim > 1 else partial(predict_eagerly, rows.model)
    with evaluating(rows.model):
        for start in range(0, len(rows), EVALUATION_ROWS):
            part = slice(start, start + EVALUATION_ROWS)
            outputs.append(predict(rows.x.numpy()[part]))
            losses.append(loss(Tensor._wrap(outputs[-1]), Tensor._wrap(rows.y.numpy()[part])).item())
    record.val_loss.append(weighted_mean(np.array(losses, dtype=np.float64), len(rows), EVALUATION_ROWS))
    prediction_values: npt.NDArray[Any] = np.concatenate(outputs)
    for name, measure in measures.items():
        record.metrics.setdefault(name, []).append(float(measure(prediction_values, rows.y.numpy())))

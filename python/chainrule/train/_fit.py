"""The `fit` function: the epochs of a Trainer with validation, progress and callbacks."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial

import numpy.typing as npt

from .._tensor import Tensor
from .._util.checks import check_integer
from ..nn import Module
from ..nn._evaluate import evaluating, predict_eagerly
from ..optim import StepSchedule
from ._dataset import Dataset, Metric, prepare_validation, resolve_metrics
from ._history import History
from ._progress import make_progress
from ._scheduling import Schedule, each, epoch_schedules
from ._trainer import Optimizer
from ._training import FitTrainer, Training

__all__ = ["History", "fit"]


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
    schedule: Schedule | StepSchedule | Sequence[Schedule | StepSchedule] | None = None,
    seed: int | None = None,
    shuffle: bool = True,
    progress: bool | None = None,
    callbacks: Sequence[Callable[[History], object]] = (),
    nonfinite: str = "raise",
    history: History | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    compile: bool = True,
) -> History:
    """Train a model by minibatches.

    A `cr.Trainer` runs `epochs` more epochs; `fit` adds validation, a schedule, progress and callbacks after each of
    them.

    Arguments: those of `cr.Trainer`; `epochs`, the number to run; `validation`, `(X, y)` to evaluate after every epoch:
    the loss of all these rows, without `sample_weight`; `metrics` on the validation rows: "accuracy" or functions
    (prediction, target) -> float on ndarrays (default: accuracy for labels), recorded in `History.measures` with the
    prefix "val_"; `schedule`, one or several, of the optimizer's
    learning rate, which step after every epoch, or `cr.optim.StepSchedule`, before every step; `progress`, True, False,
    or None for terminals only; `callbacks`, called with the History after every epoch, one that returns True stops
    training (as `cr.EarlyStopping` does); `history`, a History to continue: epochs count on from `history.epochs`, and
    it holds the completed epochs if training is interrupted; `checkpoint`, a file to which the complete state is saved
    after every epoch and when training is interrupted; `resume`, whether to continue from this file if it exists, with
    the arguments of the interrupted call, up to its last epoch.
    Returns: the History.
    Errors: those of `cr.Trainer`, before the model changes or at a loss that is not finite; with `resume`, ValueError
    for other data or options than those of the checkpoint, before the model changes. Ctrl-C raises KeyboardInterrupt at
    the end of the current step; a call with `history`, or with `checkpoint` and `resume=True`, continues from there
    with the same bits.

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
    per_step = [s for s in each(schedule) if isinstance(s, StepSchedule)]
    trainer = FitTrainer(
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
        schedule=per_step,
    )
    held_out = None if validation is None else prepare_validation(model, validation, loss)
    measures = resolve_metrics(metrics, loss, held_out)
    curves = ["loss", *([] if held_out is None else ["val_loss", *(f"val_{name}" for name in measures)])]
    per_epoch = epoch_schedules(schedule, optimizer, curves)
    record = History() if history is None else history
    evaluate = None if held_out is None else partial(_evaluate, model, loss, held_out, measures, compiled=compile)
    training = Training(trainer, record, evaluate, per_epoch, callbacks, make_progress(progress))
    if checkpoint is None and resume:
        raise ValueError("fit: resume=True requires checkpoint=, the file to continue from")
    training.run(epochs + training.begin(curves, held_out, checkpoint, resume))
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
    # `predict` takes an array of one axis for a single row.
    predict = rows.model.predict if compiled and rows.x.ndim > 1 else partial(predict_eagerly, rows.model)
    with evaluating(rows.model):
        outputs = predict(rows.x.numpy())
        # One loss of all rows: no mean of losses of parts is that of a sum, or of a mean by weights.
        record.val_loss.append(loss(Tensor._wrap(outputs), rows.y).item())
    for name, measure in measures.items():
        record.metrics.setdefault(name, []).append(float(measure(outputs, rows.y.numpy())))

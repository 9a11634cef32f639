"""The `fit` function: the epochs of a Trainer with validation, progress and callbacks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from .._tensor import Tensor
from .._util.checks import check_integer
from ..nn import Module
from ..nn._evaluate import evaluating, predict_eagerly
from ..nn._inputs import has_several, map_parts
from ..nn._output import Output, output_of
from ..optim import LBFGS, StepSchedule
from ._batches import BatchTrainer
from ._dataset import Dataset, prepare_validation
from ._fit_arguments import class_weights, hold_out, make_callbacks, make_optimizer, progress_of, resolve_loss
from ._fit_metrics import Metric, of_classes, resolve_metrics
from ._history import History
from ._progress import make_progress
from ._scheduling import Optimizer, Schedule, each, epoch_schedules
from ._training import FitTrainer, Training

__all__ = ["History", "fit"]

_BATCH_SIZE = 32


def fit(
    model: Module,
    X: Any,
    y: Any = None,
    *,
    loss: Callable[..., Tensor] | str | None = None,
    optimizer: Optimizer | LBFGS | str | Callable[[Iterable[Tensor]], Optimizer | LBFGS] | None = None,
    epochs: int = 10,
    batch_size: int | None = _BATCH_SIZE,
    micro_batch: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
    class_weight: Mapping[Any, float] | str | None = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    validation: float | tuple[Any, Any] | None = None,
    metrics: str | Metric | Iterable[str | Metric] | None = None,
    schedule: Schedule | StepSchedule | Sequence[Schedule | StepSchedule] | None = None,
    seed: int | None = None,
    shuffle: bool = True,
    progress: bool | None = None,
    verbose: int | str | None = None,
    callbacks: Callable[[History], object] | Iterable[Callable[[History], object]] | None = None,
    nonfinite: str = "raise",
    history: History | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    compile: bool = True,
) -> History:
    """Train a model by minibatches.

    A `cr.Trainer` runs `epochs` more epochs; `fit` adds validation, a schedule, progress and callbacks after each of
    them. Without `y`, X is an iterable of batches (x, y), such as a `cr.data.DataLoader`; each epoch runs through it
    once, and all batches but the last have the same number of rows.

    Arguments: those of `cr.Trainer`, where `loss` may be left out if the model ends with `cr.nn.Output`, which then
    also converts `y` (`targets`: texts, bools and any integers are labels); `optimizer`, an object, a name of
    `cr.optim` ("sgd", "adam", ...) with its default rate, a class or function that makes one of `model.parameters()`,
    or None for Adam; `cr.optim.LBFGS` ("lbfgs": with line search) takes `batch_size=None`, an epoch is one of its
    steps, and training ends when a step changes nothing; `epochs`, the number to run;
    `class_weight`, weights by class that multiply `sample_weight`: a dict (1 for classes that it does not name), or
    "balanced", n / (classes * rows of the class); `validation`, `(X, y)` to evaluate after every epoch: the loss of all
    these rows, without weights; or a fraction of the rows, which are not trained on: those that
    `cr.data.train_test_split` selects for this `seed`, stratified if the targets are class labels; `metrics` on the
    validation rows, recorded in `History.measures` with the prefix "val_" (default: accuracy for labels): names
    ("accuracy", "balanced_accuracy", "log_loss", "auc", "r2", "mae", "mse", "rmse") or functions (target, prediction)
    -> float on ndarrays, where the prediction is the model's output; `schedule`, one or
    several, of the optimizer's learning rate, which step after every epoch, or `cr.optim.StepSchedule`, before every
    step; `progress`, True, False, or None for terminals only; `verbose`, in place of
    `progress`, 0, 1, or 2 for a line per epoch; `callbacks`, one or several, called with the History after every epoch,
    one that returns True stops training (as `cr.EarlyStopping` does); `history`, a History to continue: epochs count on
    from `history.epochs`, and it holds the completed epochs if training is interrupted; `checkpoint`, a file to which
    the complete state is saved after every epoch and when training is interrupted; `resume`, whether to continue from
    this file if it exists, with the arguments of the interrupted call, up to its last epoch.
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
    output = output_of(model) if isinstance(model, Module) else None
    classes = None if output is None else output.classes
    try:
        loss = resolve_loss(loss, output)
        chosen: Optimizer | LBFGS = make_optimizer(optimizer, model, history, schedule)
        after_epoch, shown = make_callbacks(callbacks), progress_of(progress, verbose)
        options: dict[str, Any] = {
            "loss": loss,
            "optimizer": chosen,
            "micro_batch": micro_batch,
            "clip_norm": clip_norm,
            "clip_value": clip_value,
            "seed": seed,
            "nonfinite": nonfinite,
            "compile": compile,
            "schedule": [one for one in each(schedule) if isinstance(one, StepSchedule)],
        }
        if y is None:
            _refuse_with_batches(
                output,
                validation,
                chosen,
                batch_size=batch_size != _BATCH_SIZE,
                shuffle=not shuffle,
                sample_weight=sample_weight is not None,
                class_weight=class_weight is not None,
            )
            trainer: FitTrainer = BatchTrainer(model, X, **options)
        else:
            X, y, sample_weight, validation = _rows(output, loss, X, y, sample_weight, class_weight, validation, seed)
            options |= {"batch_size": batch_size, "shuffle": shuffle, "sample_weight": sample_weight}
            trainer = FitTrainer(model, X, y, **options)
        held_out = None if validation is None else prepare_validation(model, validation, loss)  # type: ignore[arg-type]
        measures = resolve_metrics(metrics, loss, output, held_out)
        curves = ["loss", *([] if held_out is None else ["val_loss", *(f"val_{name}" for name in measures)])]
        per_epoch = epoch_schedules(schedule, chosen, curves)
        record = History() if history is None else history
        evaluate = None if held_out is None else partial(_evaluate, model, loss, held_out, measures, compiled=compile)
        training = Training(trainer, record, evaluate, per_epoch, after_epoch, make_progress(shown))
        if checkpoint is None and resume:
            raise ValueError("fit: resume=True requires checkpoint=, the file to continue from")
        last = epochs + training.begin(curves, held_out, checkpoint, resume)
    except BaseException:
        if output is not None:
            output.classes = classes
        raise
    training.run(last)
    return record


def _refuse_with_batches(output: Output | None, validation: Any, optimizer: object, **given: bool) -> None:
    """Raise TypeError for arguments that go with arrays of all rows only."""
    names = [name for name, is_given in given.items() if is_given]
    if names:
        raise TypeError(f"fit: {names[0]} goes with arrays X and y, not with an iterable of batches")
    if isinstance(optimizer, LBFGS):
        raise TypeError("fit: LBFGS needs all rows in every step; pass arrays X and y, not an iterable of batches")
    if output is not None:
        raise TypeError("fit: a model that ends with cr.nn.Output takes arrays X and y, which name its classes")
    if isinstance(validation, (float, int, np.number)):
        raise TypeError("fit: validation must be a pair (X, y) for an iterable of batches, a fraction goes with arrays")


def _rows(
    output: Output | None,
    loss: Callable[..., Tensor],
    X: Any,
    y: Any,
    sample_weight: npt.ArrayLike | None,
    class_weight: Mapping[Any, float] | str | None,
    validation: Any,
    seed: int | None,
) -> tuple[Any, Any, Any, tuple[Any, Any] | None]:
    """The rows to train on, their weights, and the rows to validate on, with targets for the loss."""
    targets: Any = y if output is None else output._targets(y, "fit: y")
    labels = of_classes(loss, output)
    if isinstance(validation, (tuple, list)) and len(validation) == 2 and output is not None:
        validation = validation[0], output._targets(validation[1], "fit: validation y")
    elif isinstance(validation, (float, int, np.number)) and not isinstance(validation, bool):
        X, targets, sample_weight, validation = hold_out(X, targets, sample_weight, float(validation), seed, labels)
    if class_weight is not None:
        sample_weight = class_weights(class_weight, targets, sample_weight, output, labels)
    return X, targets, sample_weight, validation


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
    several = has_several(rows.x)
    x = map_parts(lambda part, _: part.numpy(), rows.x)
    # `predict` takes an array of one axis for a single row.
    predict = rows.model.predict if several or (compiled and x.ndim > 1) else partial(predict_eagerly, rows.model)
    with evaluating(rows.model):
        outputs = predict(x)
        # One loss of all rows: no mean of losses of parts is that of a sum, or of a mean by weights.
        record.val_loss.append(loss(map_parts(lambda part, _: Tensor._wrap(part), outputs), rows.y).item())
    targets = map_parts(lambda part, _: part.numpy(), rows.y)
    for name, measure in measures.items():
        record.metrics.setdefault(name, []).append(float(measure(targets, outputs)))

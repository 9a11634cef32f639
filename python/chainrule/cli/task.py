"""The implementation of `chainrule train`: problems from data sets, models, training and scores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import tensor
from ..data import DataError, Table, load_digits, load_idx_folder, read_csv, train_test_split
from ..data._schema import Preparation, decide_task, fixed_scaling, to_number
from ..nn import Linear, Module, OneHot, ReLU, Sequential, Standardize, fit_preprocessing, loss_for
from ..nn._preprocessing.base import Preprocessing
from ..optim import SGD
from ..random import Generator
from ..train._fit import fit
from ..train._history import History

__all__ = ["Options", "Problem", "csv_problem", "digits_problem", "idx_problem", "score", "train"]

Arrays = tuple[npt.NDArray[Any], npt.NDArray[Any]]


@dataclass(frozen=True)
class Options:
    """Hyperparameters of a training; a problem has its defaults.

    `lr` is the learning rate of the first epoch; it decreases by lr / epochs after each epoch.

    >>> from chainrule.cli.task import Options
    >>> Options(hidden=(32,), epochs=10, batch_size=32, lr=0.1).momentum
    0.9
    """

    hidden: tuple[int, ...]
    epochs: int
    batch_size: int
    lr: float
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Problem:
    """Training rows, held-out rows, the table schema and default hyperparameters.

    `front` are the fitted preprocessing layers of the model; `notes` describe how the data was interpreted.

    >>> from chainrule.cli.task import digits_problem
    >>> problem = digits_problem(holdout=0.2, seed=0)
    >>> problem.train[0].shape, problem.held_out[0].shape, problem.preparation.outputs
    ((1438, 64), (359, 64), 10)
    """

    name: str
    train: Arrays
    held_out: Arrays
    preparation: Preparation
    front: tuple[Preprocessing, ...]
    defaults: Options
    notes: tuple[str, ...] = ()


def digits_problem(*, holdout: float, seed: int) -> Problem:
    """The bundled digits, pixels divided by 16.

    Arguments: `holdout`, the fraction of rows held out; `seed`, of the split.
    Returns: a `Problem`.
    Errors: ValueError for a fraction that leaves a part empty.
    """
    X, y = load_digits()
    X_train, X_held, y_train, y_held = train_test_split(X, y, test_size=holdout, seed=seed)
    preparation, front = _pixels(X.shape[1], 16.0, classes=10)
    defaults = Options(hidden=(128,), epochs=30, batch_size=32, lr=0.1)
    return Problem("digits", (X_train, y_train), (X_held, y_held), preparation, front, defaults)


def idx_problem(folder: str | os.PathLike[str]) -> Problem:
    """An MNIST-like folder of IDX files, 8-bit pixels divided by 255; the t10k files are held out.

    Arguments: `folder`.
    Returns: a `Problem`.
    Errors: as `load_idx_folder`; `DataError` for pixels that are not 8-bit.
    """
    (X_train, y_train), (X_test, y_test) = load_idx_folder(folder)
    where = os.fspath(folder)
    if X_train.dtype != np.uint8 or X_test.dtype != np.uint8:
        raise DataError(f"{where}: expected 8-bit images, got {X_train.dtype} and {X_test.dtype}")
    last = int(max(y_train.max(), y_test.max()))
    first = int(min(y_train.min(), y_test.min()))
    if first < 0:
        raise DataError(f"{where}: labels must be at least 0, got {first}")
    pixels = X_train[0].size
    preparation, front = _pixels(pixels, 255.0, classes=last + 1)
    return Problem(
        os.path.basename(os.path.realpath(where)) or "idx",
        (X_train.reshape(-1, pixels), y_train),
        (X_test.reshape(-1, pixels), y_test),
        preparation,
        front,
        Options(hidden=(256, 128), epochs=10, batch_size=128, lr=0.05),
    )


def _pixels(columns: int, largest: float, classes: int) -> tuple[Preparation, tuple[Preprocessing]]:
    """The schema and scaling of pixels; columns are named "1", "2", ... as in a CSV without a header."""
    names, labels = (tuple(str(i) for i in numbers) for numbers in (range(1, columns + 1), range(classes)))
    scaling = fixed_scaling(np.zeros(columns), np.full(columns, largest))
    return Preparation(names, "class", labels, None), (scaling,)


def csv_problem(
    path: str | os.PathLike[str],
    *,
    target: str,
    task: str | None,
    categories: Sequence[str] = (),
    ignore: Sequence[str] = (),
    header: bool | None,
    delimiter: str,
    holdout: float,
    seed: int,
) -> Problem:
    """A CSV file; categories are one-hot encoded, all columns and a numeric target are standardised.

    Means and deviations are those of the training rows. Missing numbers are replaced by the column mean, missing
    categories by zeros.

    Arguments: `path`; `target`, its column; `task`, "classification", "regression" or None to decide from the target;
    `categories`, `ignore`, `header` and `delimiter` as in `read_csv`; `holdout`, the fraction of rows held out; `seed`,
    of the split.
    Returns: a `Problem`.
    Errors: `DataError` as `read_csv`, or for a target that does not match the task.
    """
    where = os.fspath(path)
    table = read_csv(
        path, target=target, categories=categories, ignore=ignore, missing="nan", header=header, delimiter=delimiter
    )
    _check_sizes(table, where)
    texts = table.target or ()
    task, classes = decide_task(texts, task, f"{where}, column {target!r}")
    rows = np.arange(len(texts))
    X_train, X_held, train_rows, held_rows = train_test_split(table.features, rows, test_size=holdout, seed=seed)
    missing = bool(np.isnan(table.features).any())
    one_hot = OneHot(len(table.columns), table.coded, unknown="zeros")
    standardize = Standardize(one_hot.out_features, missing="mean" if missing else "error")
    front = (one_hot, standardize) if table.coded else (standardize,)
    fit_preprocessing(Sequential(*front), X_train)
    output = None
    if task == "regression":
        y = np.array([to_number(text) for text in texts], dtype=np.float64)[:, None]
        output = Standardize(1).fit(y[train_rows])
        y_all: npt.NDArray[Any] = output(tensor(y)).numpy()
    preparation = Preparation(table.columns, target, classes, output, table.categories, missing)
    if output is None:
        y_all = preparation.labels(texts)
    notes = table.notes
    if missing:
        notes = (*notes[:-1], f"{notes[-1]}; replaced by the column mean, for categories by zeros")
    return Problem(
        os.path.basename(where).removesuffix(".gz").removesuffix(".csv"),
        (X_train, y_all[train_rows]),
        (X_held, y_all[held_rows]),
        preparation,
        front,
        Options(hidden=(64, 32), epochs=min(100, max(5, 100_000 // len(train_rows))), batch_size=32, lr=0.02),
        notes,
    )


def _check_sizes(table: Table, where: str) -> None:
    """Raise DataError for numbers whose sum of squares may overflow float64."""
    large = np.argwhere(np.abs(table.features) > 1e150)
    if len(large):
        row, column = large[0]
        location = f"{where}, line {table.lines[row]}, column {table.columns[column]!r}"
        raise DataError(f"{location}: {table.features[row, column]} is too large to standardise")


def build_model(problem: Problem, options: Options) -> Sequential:
    """Build a model: the problem's preprocessing, then linear and relu layers, initialised from the seed.

    >>> from chainrule.cli.task import Options, build_model, digits_problem
    >>> problem = digits_problem(holdout=0.2, seed=0)
    >>> [type(layer).__name__ for layer in build_model(problem, problem.defaults)]
    ['Standardize', 'Linear', 'ReLU', 'Linear']
    """
    generator = Generator(options.seed)
    model = Sequential(*problem.front)
    sizes = (problem.front[-1].out_features, *options.hidden, problem.preparation.outputs)
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        if i:
            model.append(ReLU())
        model.append(Linear(fan_in, fan_out, init="he", generator=generator))
    return model


class _Decay:
    """The linear decay of the learning rate; a checkpoint continues with the same one only.

    Not LinearLR, which rounds differently: model files keep the bits of earlier versions.
    """

    def __init__(self, optimizer: SGD, options: Options) -> None:
        self.optimizer, self.options = optimizer, options

    def __call__(self, record: History) -> None:
        left = tensor(np.float64(self.options.epochs - record.epochs))
        self.optimizer.lr = ops.div(ops.mul(left, self.options.lr), float(self.options.epochs)).item()

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": self.options.epochs}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if state != self.state_dict():
            raise ValueError(f"train: the checkpoint is one of {state['epochs']} epochs, got {self.options.epochs}")


def train(
    problem: Problem,
    model: Module,
    options: Options,
    progress: bool,
    history: History,
    checkpoint: str | None = None,
    resume: bool = False,
) -> None:
    """Train the model on the problem; `history` records each completed epoch, also when training is interrupted.

    Arguments: `problem`; `model`, from `build_model`; `options`; `progress`, whether to display it; `history`, empty;
    `checkpoint` and `resume` as in `fit`.
    Errors: as `fit`.
    """
    optimizer = SGD(model.parameters(), options.lr, options.momentum, options.nesterov, options.weight_decay)

    fit(
        model,
        *problem.train,
        loss=loss_for(problem.preparation.kind),
        optimizer=optimizer,
        epochs=options.epochs,
        batch_size=options.batch_size,
        validation=problem.held_out,
        seed=options.seed,
        progress=progress,
        callbacks=(_Decay(optimizer, options),),
        history=history,
        checkpoint=checkpoint,
        resume=resume,
    )


def score(problem: Problem, history: History) -> str:
    """Describe the result on the held-out rows after the last epoch.

    >>> import chainrule as cr
    >>> from chainrule.cli.task import digits_problem, score
    >>> problem = digits_problem(holdout=0.2, seed=0)
    >>> score(problem, cr.History(metrics={"accuracy": [0.9805]}))
    'held-out accuracy 98.05 % of 359 rows'
    """
    y = problem.held_out[1]
    output = problem.preparation.output
    if output is None:
        return f"held-out accuracy {100 * history.metrics['accuracy'][-1]:.2f} % of {len(y)} rows"
    unit = output.std.item()
    error = ops.mul(ops.sqrt(tensor(np.float64(history.val_loss[-1]))), unit).item()
    baseline = ops.mul(ops.sqrt(ops.mean(ops.square(tensor(y.astype(np.float64))))), unit).item()
    return f"held-out RMSE {error:.4g} on {len(y)} rows (always guessing the mean: {baseline:.4g})"

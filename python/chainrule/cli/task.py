"""What `chainrule train` does, without its command line: a data set becomes a problem, a net is trained and saved."""

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
from ..data import DataError, Table, load_digits, load_idx_folder, read_csv, train_validation_split
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
    """How to train; the defaults of a kind of data are in its problem.

    `lr` is the learning rate of the first epoch; it falls by lr / epochs after each epoch.

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
    """Rows to train on and rows held out, what is needed to use the model later, and good defaults.

    `front` are the fitted layers that the model begins with; `notes` says what was decided about the data.

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
    """The digits that ship with chainrule, pixels divided by 16.

    Arguments: `holdout`, the share of rows held out; `seed`, of the split.
    Returns: a `Problem`.
    Errors: ValueError for a share that leaves a part empty.
    """
    X, y = load_digits()
    X_train, y_train, X_held, y_held = train_validation_split(X, y, fraction=holdout, seed=seed)
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
    if min(y_train.min(), y_test.min()) < 0:
        raise DataError(f"{where}: there are labels below 0")
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
    """Columns are called "1", "2", ... as in a CSV without a header."""
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
    """A CSV file; categories become columns of 0 and 1, all columns and a target of numbers are standardised.

    Means and deviations are those of the training rows. A missing number counts as the mean of its column, a missing
    category as none of the known.

    Arguments: `path`; `target`, its column; `task`, "classification", "regression" or None to decide from the target;
    `categories`, `ignore`, `header` and `delimiter` as in `read_csv`; `holdout`, the share of rows held out; `seed`, of
    the split.
    Returns: a `Problem`.
    Errors: `DataError` as `read_csv`, or when the target does not fit the task.
    """
    where = os.fspath(path)
    table = read_csv(
        path, target=target, categories=categories, ignore=ignore, missing="nan", header=header, delimiter=delimiter
    )
    _check_sizes(table, where)
    texts = table.target or ()
    task, classes = decide_task(texts, task, f"{where}, column {target!r}")
    rows = np.arange(len(texts))
    X_train, train_rows, X_held, held_rows = train_validation_split(table.features, rows, fraction=holdout, seed=seed)
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
        notes = (*notes[:-1], f"{notes[-1]}; a number counts as the mean, a category as none of the known")
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
    """Refuse numbers whose squares float64 may not be able to add."""
    large = np.argwhere(np.abs(table.features) > 1e150)
    if len(large):
        row, column = large[0]
        place = f"{where}, line {table.lines[row]}, column {table.columns[column]!r}"
        raise DataError(f"{place}: {table.features[row, column]} is too large to standardise")


def build_model(problem: Problem, options: Options) -> Sequential:
    """The problem's fitted layers, then a net of linear and relu layers, initialised from the seed.

    >>> from chainrule.cli.task import Options, build_model, digits_problem
    >>> problem = digits_problem(holdout=0.2, seed=0)
    >>> [type(layer).__name__ for layer in build_model(problem, problem.defaults)]
    ['Standardize', 'Linear', 'ReLU', 'Linear']
    """
    generator = Generator(options.seed)
    model = Sequential(*problem.front)
    sizes = (problem.front[-1].out_features, *options.hidden, problem.preparation.outputs)
    for i, (inside, outside) in enumerate(pairwise(sizes)):
        if i:
            model.append(ReLU())
        model.append(Linear(inside, outside, init="he", generator=generator))
    return model


def train(problem: Problem, model: Module, options: Options, progress: bool, history: History) -> None:
    """Train the model on the problem; `history` is filled as epochs end, also when training is interrupted.

    Arguments: `problem`; `model`, from `build_model`; `options`; `progress`, whether to show it; `history`, empty.
    Errors: as `fit`.
    """
    optimizer = SGD(model.parameters(), options.lr, options.momentum, options.nesterov, options.weight_decay)

    # Not LinearLR, which rounds differently: a model file has the bits that it always had.
    def lower_rate(record: History) -> None:
        left = tensor(np.float64(options.epochs - record.epochs))
        optimizer.lr = ops.div(ops.mul(left, options.lr), float(options.epochs)).item()

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
        callbacks=(lower_rate,),
        history=history,
    )


def score(problem: Problem, history: History) -> str:
    """The result on the held-out rows after the last epoch, in words.

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
    guess = ops.mul(ops.sqrt(ops.mean(ops.square(tensor(y.astype(np.float64))))), unit).item()
    return f"held-out RMSE {error:.4g} on {len(y)} rows (always guessing the mean: {guess:.4g})"

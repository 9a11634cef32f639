"""The implementation of `chainrule train`: problems from data sets, models, training and scores."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import tensor
from ..data import DataError, load_digits, load_idx_folder, train_test_split
from ..data._schema import Preparation, fixed_scaling
from ..nn import Linear, Module, OneHot, ReLU, Sequential, Standardize, fit_preprocessing, loss_for
from ..nn._preprocessing.base import Preprocessing
from ..optim import SGD
from ..random import Generator
from ..train._fit import fit
from ..train._history import History
from ._models import PlainModel
from ._tables import TableData

__all__ = ["Options", "Problem", "build_model", "digits_problem", "idx_problem", "table_problem", "train"]

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
    held_out: Arrays | None
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
    if holdout == 0:
        parts: list[Any] = [X, None, y, None]
    else:
        parts = train_test_split(X, y, test_size=holdout, seed=seed)
    preparation, front = _pixels(X.shape[1], 16.0, classes=10)
    defaults = Options(hidden=(128,), epochs=30, batch_size=32, lr=0.1)
    held_out = None if parts[1] is None else (parts[1], parts[3])
    return Problem("digits", (parts[0], parts[2]), held_out, preparation, front, defaults)


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


def table_problem(table: TableData | None) -> Problem:
    """A table for a plain net; categories are one-hot encoded, all columns and a numeric target are standardised.

    Means and deviations are those of the training rows. Missing numbers are replaced by the column mean, missing and
    unknown categories by zeros. Dates are left out.
    """
    assert table is not None
    used = [kind for kind in table.kinds if kind.used and kind.kind != "date"]
    dates = [kind.name for kind in table.kinds if kind.kind == "date"]
    if not used:
        raise DataError(f"{table.name}: a plain net needs numbers or categories")
    columns = tuple(kind.name for kind in used)
    categories = {kind.name: kind.levels for kind in used if kind.kind == "category"}
    regression = table.task == "regression"
    bare = Preparation(columns, table.target, table.classes, None, categories, missing=True)
    inputs = [PlainModel(Sequential(), bare).inputs(part.frame) for part in (table.train, table.held_out) if part]
    missing = any(bool(np.isnan(values[:, i]).any()) for values in inputs for i in range(len(columns)))
    _check_sizes(inputs[0], columns, table.name)
    coded = {i: len(categories[name]) for i, name in enumerate(columns) if name in categories}
    one_hot = OneHot(len(columns), coded, unknown="zeros")
    standardize = Standardize(one_hot.out_features, missing="mean" if missing else "error")
    front = (one_hot, standardize) if coded else (standardize,)
    fit_preprocessing(Sequential(*front), inputs[0])
    output = Standardize(1).fit(table.train.y[:, None]) if regression else None
    preparation = Preparation(columns, table.target, table.classes, output, categories, missing)
    targets = [_targets(part.y, preparation) for part in (table.train, table.held_out) if part]
    parts = list(zip(inputs, targets, strict=True))
    notes = (*((f"dates are left out by a plain net: {', '.join(dates)}",) if dates else ()),)
    if missing:
        notes = (*notes, "missing values: replaced by the column mean, for categories by zeros")
    return Problem(
        table.name,
        parts[0],
        parts[1] if len(parts) > 1 else None,
        preparation,
        front,
        Options(hidden=(64, 32), epochs=min(100, max(5, 100_000 // len(table.train))), batch_size=32, lr=0.02),
        notes,
    )


def _targets(y: npt.NDArray[Any], preparation: Preparation) -> npt.NDArray[Any]:
    """Standardised numbers, or class labels; a class of held-out rows that is not in the others has the label 0."""
    if preparation.output is not None:
        return preparation.output(tensor(y[:, None])).numpy()
    code = {name: i for i, name in enumerate(preparation.classes)}
    return np.array([code.get(name, 0) for name in y.tolist()], dtype=np.int64)


def _check_sizes(values: npt.NDArray[np.float64], columns: Sequence[str], where: str) -> None:
    """Raise DataError for numbers whose sum of squares may overflow float64."""
    large = np.argwhere(np.abs(values) > 1e150)
    if len(large):
        row, column = large[0]
        raise DataError(f"{where}, column {columns[column]!r}: {values[row, column]} is too large to standardise")


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
    after_epoch: Callable[[History], object],
    history: History,
    checkpoint: str | None = None,
    resume: bool = False,
) -> None:
    """Train the model on the problem; `history` records each completed epoch, also when training is interrupted.

    Arguments: `problem`; `model`, from `build_model`; `options`; `after_epoch`, called after
    each; `history`, empty; `checkpoint` and `resume` as in `fit`.
    Errors: as `fit`.
    """
    optimizer = SGD(
        model.parameters(),
        options.lr,
        options.momentum,
        nesterov=options.nesterov,
        weight_decay=options.weight_decay,
    )

    fit(
        model,
        *problem.train,
        loss=loss_for(problem.preparation.kind),
        optimizer=optimizer,
        epochs=options.epochs,
        batch_size=options.batch_size,
        validation=problem.held_out,
        seed=options.seed,
        progress=False,
        callbacks=(_Decay(optimizer, options), after_epoch),
        history=history,
        checkpoint=checkpoint,
        resume=resume,
    )

"""TabularModel: columns of a table in, class names or numbers out."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import config, ops
from .._util.checks import check_integer, check_number
from ..data._errors import DataError
from ..data._frame import Frame
from ..data._kinds import ColumnKind, column_kinds
from ._calibrate import ensemble_of
from ._encode import Encoder
from ._importance import Sample, importances_of, samples_of
from ._intervals import check_quantiles, errors_at, spread_of
from ._member import FOLDS, Job, Member, Recipe, Training, train_member
from ._net import TabularEnsemble
from ._recipe import linear_recipe, recipe_for
from ._rows import canonical_order, class_weights, rows_of
from ._target import Classes, Scaled

__all__ = ["TabularModel"]

Run = Callable[[Callable[[Job], Member], Sequence[Job]], Iterable[Member]]


class TabularModel:
    """An ensemble of nets that predicts a column of a table from the others.

    `TabularModel.fit` trains one. Attributes: `task`, "classification" or "regression"; `columns`, how each column is
    used; `classes`, the class names, or None; `net`, the net alone, from encoded rows to probabilities or scaled
    targets.

    >>> import numpy as np
    >>> from chainrule.tabular import TabularModel
    >>> table = {"size": np.arange(60) % 7, "heat": ["gas", "oil", "gas"] * 20}
    >>> kind = np.where((np.arange(60) % 7 > 3), "house", "flat")
    >>> model = TabularModel.fit(table, kind, task="classification", n_members=2)
    >>> model.predict({"size": [1, 6], "heat": ["oil", "gas"]}).tolist()
    ['flat', 'house']
    """

    def __init__(
        self,
        task: str,
        columns: Sequence[ColumnKind],
        encoder: Encoder,
        target: Classes | Scaled,
        net: TabularEnsemble,
        record: Mapping[str, Any],
    ) -> None:
        self.task, self.columns, self.net = task, tuple(columns), net
        self._encoder, self._target, self._record = encoder, target, dict(record)
        self.losses: tuple[tuple[float, ...], ...] = ()  # of held-out rows, for each net during its training
        self._samples: tuple[Sample, ...] = ()
        self._importances: npt.NDArray[np.float64] | None = None

    @classmethod
    def fit(
        cls,
        X: Any,
        y: Any,
        *,
        task: str,
        kinds: Sequence[ColumnKind] | None = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        n_members: int = 5,
        epochs: int | None = None,
        hidden: Sequence[int] | None = None,
        refit: bool = False,
        time_limit: float | None = None,
        seed: int = 0,
        run: Run | None = None,
    ) -> TabularModel:
        """Train on the rows of a table.

        Arguments: `X`, a table (`Frame.of` says which); `y`, one target for each row, class names or numbers; `task`,
        "classification" or "regression"; `kinds`, what each column is used as (default: `column_kinds`);
        `sample_weight`, a weight of at least 0 for each row; `class_weight`, "balanced", or a dict of weights by class;
        `n_members`, nets whose predictions are averaged: member i is trained without the rows of fold i modulo 5, by
        whose loss it is stopped, and does not depend on `n_members`; `epochs`, at most (default: by the number of
        rows); `hidden`, widths of the hidden layers; `refit`, whether each member is trained again on all rows for as
        many epochs as were best; `time_limit`, seconds: fewer members or epochs are trained if those asked for would
        take longer; `info()` has the numbers, which repeat the result without a limit; `seed`; `run(train, jobs)`,
        which may train the members in other processes and returns `train(job)` of each in order.
        Errors: `DataError` for values that cannot be used, ValueError and TypeError for other arguments.
        """
        if task not in ("classification", "regression"):
            raise ValueError(f"task: expected 'classification' or 'regression', got {task!r}")
        check_integer("n_members", n_members, 1)
        check_integer("seed", seed, 0)
        frame, values, weights = rows_of(X, y, sample_weight)
        columns = _columns(frame, kinds)
        encoder = Encoder.learn(frame, columns)
        target, targets, weights = _target(task, values, weights, class_weight)
        classes = len(target.names) if isinstance(target, Classes) else 0
        recipe = _recipe(frame.rows, classes, epochs, hidden, refit)
        inputs = encoder(frame)
        order = canonical_order(inputs, targets, weights)
        weights = None if weights is None else weights[order]
        training = Training(seed, recipe, inputs[order], targets[order], weights, classes)
        if time_limit is not None:
            n_members, training = _within(check_number("time_limit", time_limit), training, n_members)
        linear = replace(training, recipe=linear_recipe(training.recipe))
        jobs = [(training, i) for i in range(n_members)] + [(linear, i) for i in range(min(n_members, FOLDS))]
        trained = list(map(train_member, jobs) if run is None else run(train_member, jobs))
        members = trained[:n_members]
        training.release()
        linear.release()
        net = ensemble_of(training, members, trained[n_members:], target)
        record = {
            "rows": frame.rows,
            "seed": seed,
            "n_members": n_members,
            "recipe": asdict(training.recipe),
            "best_epochs": [member.epochs for member in members],
            "numerics_version": config.numerics_version,
        }
        model = cls(task, columns, encoder, target, net, record)
        model.losses = tuple(member.losses for member in members)
        model._samples = samples_of(training, members, net)
        return model

    @property
    def classes(self) -> npt.NDArray[Any] | None:
        """The class names in ascending order, in the dtype of `y`; None for regression."""
        return self._target.names if isinstance(self._target, Classes) else None

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the columns that are used."""
        return tuple(kind.name for kind in self.columns if kind.used)

    def encode(self, X: Any) -> npt.NDArray[np.float32]:
        """The inputs of the net for these rows, (rows, inputs) float32."""
        return self._encoder(Frame.of(X))

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Calibrated probabilities (rows, classes); TypeError for regression."""
        if not isinstance(self._target, Classes):
            raise TypeError("predict_proba: the model is a regression")
        shares = self.net.predict(self.encode(X)).astype(np.float64)
        sums = ops.sum(shares, 1, keepdims=True)
        result: npt.NDArray[np.float64] = ops.div(shares, sums).numpy()
        return result

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The most probable class names, or numbers in the units of `y` within the range of the training rows.

        With `return_std`, for regression, a pair: the predictions, and their standard deviations, by which a new
        target is expected to differ; they are as large as the errors of held-out rows were.
        """
        if isinstance(self._target, Classes):
            if return_std:
                raise TypeError("predict: return_std: the model is a classification")
            return self._target.names[self.predict_proba(X).argmax(1)]
        values, spread = self._numbers(X)
        return (values, ops.mul(spread, self._deviation()).numpy()) if return_std else values

    def predict_quantiles(self, X: Any, quantiles: Any = (0.1, 0.5, 0.9)) -> npt.NDArray[np.float64]:
        """The numbers that a new target is below with these probabilities, (rows, quantiles); (rows,) for one number.

        They ascend with the quantile. The distances from the prediction are quantiles of the errors of held-out rows,
        in units of a spread that the nets predict for each row. Quantiles nearer to 0 and 1 than 1 / (rows + 1) are
        those of the largest errors.
        Errors: TypeError for classification, ValueError for quantiles that are not between 0 and 1, and for a model of
        too few rows.
        """
        shares = check_quantiles(quantiles)
        values, spread = self._numbers(X)
        self._deviation()
        errors = errors_at(self.net.errors.numpy(), shares)
        found: npt.NDArray[np.float64] = ops.add(values[:, None], ops.mul(spread[:, None], errors)).numpy()
        return found[:, 0] if np.ndim(quantiles) == 0 else found

    def _numbers(self, X: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The predictions, and the spread of their errors."""
        if not isinstance(self._target, Scaled):
            raise TypeError("predict_quantiles: the model is a classification")
        outputs = self.net.predict(self.encode(X))
        logarithms = outputs[:, 1] if self.net.spreads else np.zeros(len(outputs), np.float32)
        spread: npt.NDArray[np.float64] = ops.mul(spread_of(logarithms), np.float64(self._target.deviation)).numpy()
        return self._target.values(outputs[:, 0]), spread

    def _deviation(self) -> np.float64:
        """The standard deviation of errors in units of the spread."""
        if not len(self.net.errors.numpy()):
            raise ValueError("predict: there were too few training rows to know how large errors are; at least 5")
        found: np.float64 = self.net.deviation.numpy().astype(np.float64)[0]
        return found

    @property
    def feature_importances(self) -> npt.NDArray[np.float64]:
        """The importance of each of `columns`, at least 0, with the sum 1; 0 for all if no column matters.

        It is the share of a column in the increases of the loss of held-out rows when its values are exchanged between
        rows. Computed when it is first asked for, or saved.
        """
        if self._importances is None:
            widths = [len(block.features) for block in self._encoder.blocks]
            shares = importances_of(self._samples, widths, self._record["seed"])
            used = np.array([kind.used for kind in self.columns])
            self._importances = found = np.zeros(len(used))
            found[used], self._samples = shares, ()
        importances: npt.NDArray[np.float64] = self._importances.copy()
        return importances

    def unknown(self, X: Any) -> dict[str, int]:
        """The number of rows with a category that the training rows did not have, by column."""
        return self._encoder.unknown(Frame.of(X))

    def info(self) -> dict[str, Any]:
        """What the model was trained on and how, as JSON; `digest` states the bits of the model."""
        return {
            "task": self.task,
            "columns": [{"name": k.name, "kind": k.kind, "note": k.note} for k in self.columns],
            "classes": None if self.classes is None else self.classes.tolist(),
            **self._record,
            "digest": self.digest(),
        }

    def digest(self) -> str:
        """SHA-256 of all that predictions depend on; the same wherever the same data, options and seed are used."""
        hashed = hashlib.sha256(json.dumps(self._parts(), sort_keys=True, default=str).encode())
        for name, value in sorted(self.net.state_dict().items()):
            hashed.update(name.encode() + str(value.shape).encode() + value.astype("<f4").tobytes())
        return hashed.hexdigest()

    def describe(self) -> dict[str, Any]:
        """Everything but the net, as JSON."""
        return {**self._parts(), "importances": self.feature_importances.tolist()}

    def _parts(self) -> dict[str, Any]:
        """What predictions depend on, but the net."""
        return {
            "task": self.task,
            "columns": [asdict(kind) for kind in self.columns],
            "encoder": self._encoder.describe(),
            "target": self._target.describe(),
            "record": self._record,
        }

    @classmethod
    def rebuild(cls, described: Mapping[str, Any], net: Any) -> TabularModel:
        """The model of a description and a net; TypeError or ValueError if they do not fit."""
        if not isinstance(net, TabularEnsemble):
            raise TypeError(f"a tabular model has a TabularEnsemble, found {type(net).__name__}")
        kinds = [ColumnKind(**{**item, "levels": tuple(item["levels"])}) for item in described["columns"]]
        target: Any = Classes if described["task"] == "classification" else Scaled
        encoder = Encoder.rebuild(described["encoder"])
        model = cls(described["task"], kinds, encoder, target.rebuild(described["target"]), net, described["record"])
        model._importances = np.array(described["importances"], np.float64).reshape(len(kinds))
        return model


def _columns(frame: Frame, kinds: Sequence[ColumnKind] | None) -> tuple[ColumnKind, ...]:
    columns = column_kinds(frame) if kinds is None else tuple(kinds)
    if not any(kind.used for kind in columns):
        notes = "; ".join(f"{kind.name}: {kind.kind}, {kind.note}" for kind in columns[:5])
        raise DataError(f"X: no column can be used ({notes or 'there are none'})")
    return columns


def _target(
    task: str, values: npt.NDArray[Any], weights: npt.NDArray[np.float32] | None, class_weight: Any
) -> tuple[Classes | Scaled, npt.NDArray[Any], npt.NDArray[np.float32] | None]:
    """The target, codes or scaled numbers, and weights that include those of the classes."""
    if task == "classification":
        classes, codes = Classes.learn(values)
        return classes, codes, class_weights(class_weight, classes, codes, weights)
    if class_weight is not None:
        raise ValueError("class_weight: only for classification")
    return *Scaled.learn(values, weights), weights


def _recipe(rows: int, classes: int, epochs: int | None, hidden: Sequence[int] | None, refit: bool) -> Recipe:
    recipe = replace(recipe_for(rows, classes), refit=bool(refit))
    if epochs is not None:
        recipe = replace(recipe, epochs=check_integer("epochs", epochs, 1))
    if hidden is not None:
        recipe = replace(recipe, hidden=tuple(check_integer("hidden", width, 1) for width in hidden))
    return recipe


_WHOLE = 1.6  # the time of a member with its linear net and its part of the spread, in that of the member


def _within(seconds: float, training: Training, n_members: int) -> tuple[int, Training]:
    """The members and epochs that a trial of a few epochs says are done in this time: members first, then epochs."""
    recipe = training.recipe
    trial = replace(training, recipe=replace(recipe, epochs=3, refit=False))
    begun = time.monotonic()
    trial.member(0)
    each = (time.monotonic() - begun) / 3 * _WHOLE
    trial.release()
    possible = int(max(0.0, seconds - 3 * each) / each / (2 if recipe.refit else 1))
    members = min(n_members, max(1, possible // recipe.epochs))
    recipe = replace(recipe, epochs=max(1, min(recipe.epochs, possible // members)))
    return members, replace(training, recipe=recipe)

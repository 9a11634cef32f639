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

from .. import config, nn, ops
from .._util.checks import check_integer, check_number
from ..data._errors import DataError
from ..data._frame import Frame
from ..data._kinds import ColumnKind, column_kinds
from ._calibrate import temperature_of
from ._encode import Encoder
from ._member import Job, Member, Recipe, folds_of, train_member
from ._net import TabularEnsemble
from ._recipe import recipe_for
from ._target import Classes, Scaled, column_of

__all__ = ["TabularModel"]

_MOST_REPEATS = 100  # of a row whose weight is a count

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
        self.members: tuple[Member, ...] = ()

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
        which may train the members in other processes and returns them in order.
        Errors: `DataError` for values that cannot be used, ValueError and TypeError for other arguments.
        """
        if task not in ("classification", "regression"):
            raise ValueError(f"task: expected 'classification' or 'regression', got {task!r}")
        check_integer("n_members", n_members, 1)
        check_integer("seed", seed, 0)
        frame = Frame.of(X)
        if frame.rows == 0:
            raise DataError("X: no rows")
        values = column_of(y, frame.rows)
        weights = _weights(sample_weight, frame.rows)
        frame, values, weights = _repeated(frame, values, weights)
        columns = column_kinds(frame) if kinds is None else tuple(kinds)
        if not any(kind.used for kind in columns):
            notes = "; ".join(f"{kind.name}: {kind.kind}, {kind.note}" for kind in columns[:5])
            raise DataError(f"X: no column can be used ({notes or 'there are none'})")
        encoder = Encoder.learn(frame, columns)
        target: Classes | Scaled
        codes: npt.NDArray[np.int64] | None = None
        if task == "classification":
            target, targets = Classes.learn(values)
            codes, outputs = targets, len(target.names)
            weights = _class_weights(class_weight, target, codes, weights)
        else:
            target, targets = Scaled.learn(values, weights)
            outputs = 1
            if class_weight is not None:
                raise ValueError("class_weight: only for classification")
        recipe = recipe_for(frame.rows, outputs if codes is not None else 0)
        recipe = replace(recipe, refit=bool(refit))
        if epochs is not None:
            recipe = replace(recipe, epochs=check_integer("epochs", epochs, 1))
        if hidden is not None:
            recipe = replace(recipe, hidden=tuple(check_integer("hidden", width, 1) for width in hidden))
        loss: Any = nn.MSELoss() if codes is None else nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        inputs = encoder(frame)
        order = _canonical_order(inputs, targets, weights)
        inputs, targets, weights = inputs[order], targets[order], None if weights is None else weights[order]
        codes = None if codes is None else targets
        job = Job(0, seed, recipe, inputs, targets, weights, np.empty(0, np.int64), outputs, loss)
        if time_limit is not None:
            n_members, recipe = _within(check_number("time_limit", time_limit), job, codes, n_members)
            job = replace(job, recipe=recipe)
        jobs = [replace(job, number=i, folds=folds_of(codes, frame.rows, seed, i)) for i in range(n_members)]
        members = list(map(train_member, jobs) if run is None else run(train_member, jobs))
        net = TabularEnsemble([member.net for member in members], codes is not None)
        if codes is not None:
            held = np.concatenate([member.held_out for member in members])
            scores = np.concatenate([member.scores for member in members])
            net.temperature.copy_(temperature_of(scores, targets[held], None if weights is None else weights[held]))
        record = {
            "rows": frame.rows,
            "seed": seed,
            "n_members": n_members,
            "recipe": asdict(recipe),
            "best_epochs": [member.epochs for member in members],
            "numerics_version": config.numerics_version,
        }
        model = cls(task, columns, encoder, target, net, record)
        model.members = tuple(members)
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

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The most probable class names, or numbers in the units of `y` within the range of the training rows."""
        if isinstance(self._target, Classes):
            names: npt.NDArray[Any] = self._target.names[self.predict_proba(X).argmax(1)]
            return names
        return self._target.values(self.net.predict(self.encode(X))[:, 0])

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
        hashed = hashlib.sha256(json.dumps(self.describe(), sort_keys=True, default=str).encode())
        for name, value in sorted(self.net.state_dict().items()):
            hashed.update(name.encode() + str(value.shape).encode() + value.astype("<f4").tobytes())
        return hashed.hexdigest()

    def describe(self) -> dict[str, Any]:
        """Everything but the net, as JSON."""
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
        return cls(described["task"], kinds, encoder, target.rebuild(described["target"]), net, described["record"])


def _weights(sample_weight: Any, rows: int) -> npt.NDArray[np.float32] | None:
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight, np.float64)
    if weights.shape != (rows,):
        raise ValueError(f"sample_weight: expected shape ({rows},), got {weights.shape}")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and (weights > 0).any()):
        raise ValueError("sample_weight: weights must be finite, at least 0, and not all 0")
    return weights.astype(np.float32)


def _repeated(frame: Frame, values: npt.NDArray[Any], weights: Any) -> tuple[Frame, npt.NDArray[Any], Any]:
    """Leave out rows of weight 0; repeat rows as often as their weights say if these are counts."""
    if weights is None:
        return frame, values, None
    counts = bool((weights == np.floor(weights)).all()) and float(weights.max()) <= _MOST_REPEATS
    rows = np.repeat(np.arange(len(weights)), weights.astype(np.int64) if counts else weights > 0)
    return frame.take(rows), values[rows], None if counts else weights[rows]


def _canonical_order(inputs: npt.NDArray[np.float32], targets: npt.NDArray[Any], weights: Any) -> npt.NDArray[np.int64]:
    """An order of the rows that depends on their values only: so does the model, not on the order of the table."""
    parts = [inputs.astype("<f4"), targets.reshape(len(inputs), -1).astype("<f4")]
    parts += [] if weights is None else [weights.reshape(-1, 1).astype("<f4")]
    rows = np.ascontiguousarray(np.concatenate(parts, 1))
    keys = rows.view(np.dtype((np.void, rows.shape[1] * 4)))[:, 0]
    order: npt.NDArray[np.int64] = np.argsort(keys, kind="stable")
    return order


def _class_weights(
    choice: Any, target: Classes, codes: npt.NDArray[np.int64], weights: npt.NDArray[np.float32] | None
) -> npt.NDArray[np.float32] | None:
    if choice is None:
        return weights
    counts = np.bincount(codes, minlength=len(target.names))
    if isinstance(choice, str):
        if choice != "balanced":
            raise ValueError(f"class_weight: expected 'balanced' or a dict of weights by class, got {choice!r}")
        by_class = len(codes) / (len(counts) * counts)
    else:
        unknown = [name for name in choice if name not in target.names.tolist()]
        if unknown:
            raise ValueError(f"class_weight: there is no class {unknown[0]!r}; classes: {target.names.tolist()}")
        by_class = np.array([float(choice.get(name, 1.0)) for name in target.names.tolist()])
    factors = by_class[codes].astype(np.float32)
    return factors if weights is None else np.multiply(factors, weights)


def _within(seconds: float, job: Job, codes: Any, n_members: int) -> tuple[int, Recipe]:
    """The members and epochs that a trial of a few epochs says are done in this time: members first, then epochs."""
    trial = replace(job, recipe=replace(job.recipe, epochs=3, refit=False))
    trial = replace(trial, folds=folds_of(codes, len(job.inputs), job.seed, 0))
    begun = time.monotonic()
    train_member(trial)
    each = (time.monotonic() - begun) / 3
    possible = int(max(0.0, seconds - 3 * each) / each / (2 if job.recipe.refit else 1))
    members = min(n_members, max(1, possible // job.recipe.epochs))
    return members, replace(job.recipe, epochs=max(1, min(job.recipe.epochs, possible // members)))

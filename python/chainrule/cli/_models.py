"""Trained models as the commands see them: predictions for the rows of a table, and what is known about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .. import ops
from ..data import DataError, suggest
from ..data._frame import Column, Frame
from ..data._schema import Preparation
from ..nn import Module
from ..serialize._model_files import load_with_record

__all__ = ["PlainModel", "TableModel", "check_columns", "load_model", "words_for_missing"]

Array = npt.NDArray[Any]


class TableModel(Protocol):
    """A model of tables: `features`, the columns that it reads; `classes`, () for numbers."""

    task: str
    target: str
    classes: tuple[str, ...]
    features: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    numbers: tuple[str, ...]

    def probabilities(self, frame: Frame) -> Array:
        """The probability of each class, float64 of shape (rows, classes)."""

    def values(self, frame: Frame) -> Array:
        """The predicted numbers, float64 of shape (rows,)."""

    def quantiles(self, frame: Frame, shares: Sequence[float]) -> Array:
        """Predicted quantiles, float64 of shape (rows, shares)."""

    def importances(self) -> dict[str, float]:
        """The importance of each column that is used; empty if it is not known."""

    def kinds(self) -> list[tuple[str, str, str]]:
        """Name, use and details of each column."""


class PlainModel:
    """A net with the schema of its table: `--net plain`, digits and images."""

    def __init__(self, net: Module, preparation: Preparation) -> None:
        self.net, self.preparation = net, preparation
        self.task, self.target, self.classes = preparation.task, preparation.target, preparation.classes
        self.features, self.categories = preparation.columns, preparation.categories
        self.numbers = tuple(name for name in self.features if name not in self.categories)

    def inputs(self, frame: Frame) -> Array:
        """The rows as float64: numbers, category codes, NaN for missing values and unknown categories."""
        columns = []
        for name in self.features:
            column = frame[name]
            if name in self.categories:
                columns.append(_codes(column, self.categories[name]))
            else:
                columns.append(column.numbers())
                missing = np.isnan(columns[-1])
                if missing.any() and not self.preparation.missing:
                    row = int(np.flatnonzero(missing)[0])
                    raise DataError(
                        f"row {row + 1}, column {name!r}: the value is missing; this net has learned from complete "
                        "rows only"
                    )
        return np.stack(columns, axis=1) if columns else np.zeros((frame.rows, 0))

    def probabilities(self, frame: Frame) -> Array:
        """As `TableModel`."""
        scores = self.net.predict(self.inputs(frame))
        return np.asarray(ops.softmax(scores, axis=1).numpy(), dtype=np.float64)

    def values(self, frame: Frame) -> Array:
        """As `TableModel`."""
        output = self.preparation.output
        assert output is not None
        return np.asarray(output.inverse(self.net.predict(self.inputs(frame))).numpy()[:, 0], dtype=np.float64)

    def quantiles(self, frame: Frame, shares: Sequence[float]) -> Array:
        """As `TableModel`; ValueError, because a plain net predicts means."""
        raise ValueError("predict: --quantiles: a plain net predicts means only; train without --net plain")

    def importances(self) -> dict[str, float]:
        """As `TableModel`; empty, because no rows were held out for them."""
        return {}

    def kinds(self) -> list[tuple[str, str, str]]:
        """As `TableModel`."""
        named = [(name, "category", ", ".join(self.categories[name])) for name in self.categories]
        return [*((name, "number", "") for name in self.numbers), *named]


def _codes(column: Column, texts: Sequence[str]) -> Array:
    code = {text: i for i, text in enumerate(texts)}
    found = [code.get(text, -1) for text in column.texts().tolist()]
    codes = np.array(found, dtype=np.float64)
    codes[codes < 0] = np.nan
    return codes


def load_model(path: str) -> tuple[TableModel, dict[str, Any]]:
    """A model that `chainrule train` saved, and the record of its training.

    Errors: as `cr.load`; ValueError for a model without columns.
    """
    model, preparation, record = load_with_record(path)
    if preparation is not None:
        return PlainModel(model, preparation), record
    from ._engine import EngineModel, is_engine

    if not is_engine(model):
        raise ValueError(f"{path}: has no column names, expected a model saved by chainrule train")
    return EngineModel(model, str(record.get("target", "target"))), record


def words_for_missing(record: dict[str, Any], given: Sequence[str]) -> tuple[str, ...]:
    """The texts that stand for a missing value: those of the training (`--missing`) and those that are given."""
    return tuple(dict.fromkeys([*record.get("settings", {}).get("missing", ()), *given]))


def check_columns(model: TableModel, names: Sequence[str], source: str) -> None:
    """Raise `DataError` unless a file has the columns of a model."""
    missing = [name for name in model.features if name not in names]
    if missing:
        hint = suggest(missing[0], names)
        raise DataError(f"{source}: missing columns: {', '.join(missing[:20])}{hint}")

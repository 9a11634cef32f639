"""Targets of the classifier as numbers that a loss takes, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from ..tabular._target import check_labels

__all__ = ["Labels"]

Array = npt.NDArray[Any]
_KINDS = ("binary", "multiclass", "multilabel-indicator", "multiclass-multioutput")  # that scikit-learn takes


class Labels:
    """The classes of a target, its kind, and how predictions become classes.

    `kind`: "binary" (one output), "multiclass", "multilabel" (an indicator matrix) or "multioutput" (columns of
    classes). `classes`: an array, for "multioutput" a list of them.
    """

    def __init__(self, kind: str, classes: Any) -> None:
        self.kind, self.classes = kind, classes

    @classmethod
    def of(cls, y: Array, both_scores: bool = False) -> Labels:
        """The classes of y; `both_scores`: two classes have a score each, too."""
        if y.ndim == 1:
            check_labels(y)  # of objects, which scikit-learn would compare
        kind = type_of_target(y, input_name="y")
        if kind not in _KINDS:
            check_classification_targets(y)
        if kind == "multilabel-indicator":
            return cls("multilabel", np.arange(y.shape[1]))
        if kind == "multiclass-multioutput":
            return cls("multioutput", [np.unique(column) for column in y.T])
        return cls.named(np.unique(y), both_scores)

    @classmethod
    def named(cls, classes: Any, both_scores: bool = False) -> Labels:
        """Of one target with these classes, sorted."""
        found = np.unique(np.asarray(classes))
        return cls("multiclass" if len(found) > 2 or (both_scores and len(found) == 2) else "binary", found)

    @property
    def outputs(self) -> int:
        """The number of scores of the net."""
        if self.kind == "multioutput":
            return sum(self.sizes)
        return 1 if self.kind == "binary" else len(self.classes)

    @property
    def sizes(self) -> list[int]:
        """The number of classes of each column."""
        columns = self.classes if self.kind == "multioutput" else [self.classes]
        return [len(column) for column in columns]

    def encode(self, y: Array, dtype: np.dtype[Any]) -> Array:
        """The target of the loss: labels, or 0 and 1 of the net's dtype in columns."""
        if self.kind == "multilabel":
            return np.ascontiguousarray(y, dtype=dtype)
        if self.kind == "multioutput":
            return np.stack([_index(c, y[:, i]) for i, c in enumerate(self.classes)], axis=1)
        index = _index(self.classes, y)
        return index if self.kind == "multiclass" else index.astype(dtype).reshape(-1, 1)

    def unknown(self, y: Array) -> Array:
        """The classes of y that are not among the known ones."""
        if self.kind == "multilabel":
            return np.empty(0) if y.ndim == 2 and y.shape[1] == len(self.classes) else np.unique(y)
        if self.kind == "multioutput":
            if y.ndim != 2 or y.shape[1] != len(self.classes):
                return np.unique(y)
            return np.concatenate([np.setdiff1d(y[:, i], c) for i, c in enumerate(self.classes)])
        return np.setdiff1d(y, self.classes)

    def same(self, other: Labels) -> bool:
        """Whether both have the same classes."""
        if self.kind != other.kind:
            return False
        pairs = zip(self._columns(), other._columns(), strict=False)
        return self.sizes == other.sizes and all(np.array_equal(a, b) for a, b in pairs)

    def _columns(self) -> list[Array]:
        return list(self.classes) if self.kind == "multioutput" else [self.classes]

    def decode(self, probabilities: Array) -> Array:
        """The predicted classes."""
        classes = self.classes
        if self.kind == "binary":
            if len(classes) == 1:
                return np.repeat(classes, len(probabilities))
            if len(probabilities) == 1:  # a tenth of the time
                second = probabilities.item() > 0.5
                return np.asarray(classes[second : second + 1].copy())
            return np.asarray(classes[(probabilities[:, 0] > 0.5).view(np.int8)])
        if self.kind == "multiclass":
            return np.asarray(classes[probabilities.argmax(1)])
        if self.kind == "multilabel":
            return (probabilities > 0.5).astype(int)
        columns = [c[part.argmax(axis=1)] for c, part in zip(classes, self.parts(probabilities), strict=True)]
        return np.stack(columns, axis=1)

    def parts(self, probabilities: Array) -> list[Array]:
        """The columns of each of several targets."""
        return np.split(probabilities, np.cumsum(self.sizes)[:-1], axis=1)

    def correct(self, probabilities: Array, target: Array) -> npt.NDArray[np.bool_]:
        """Which rows are predicted rightly, in all columns; `target` is encoded."""
        if self.kind == "binary":
            right = (probabilities > 0.5) == (target > 0.5)
            return right[:, 0] if len(self.classes) > 1 else np.ones(len(right), bool)
        if self.kind == "multiclass":
            return np.asarray(probabilities.argmax(axis=1) == target)
        if self.kind == "multilabel":
            return np.asarray(((probabilities > 0.5) == (target > 0.5)).all(axis=1))
        found = np.stack([part.argmax(axis=1) for part in self.parts(probabilities)], axis=1)
        return np.asarray((found == target).all(axis=1))


def _index(classes: Array, y: Array) -> npt.NDArray[np.int64]:
    return np.searchsorted(classes, y).astype(np.int64)

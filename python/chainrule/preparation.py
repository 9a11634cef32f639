"""What a model trained from the command line knows beside its weights: columns, scaling, classes.

It is stored in the model file, so that `chainrule predict MODEL FILE.csv` needs nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .data import DataError, Scaling
from .nn._output import MAX_CLASSES, are_classes

__all__ = ["PREPARATION_PREFIX", "Preparation", "decide_task"]

PREPARATION_PREFIX = "preparation."
TASKS = ("classification", "regression")


@dataclass(frozen=True)
class Preparation:
    """The way from a table to the model's input, and from its output to the answer.

    `columns` names the features in order; `target` the target; `classes` the names of the classes by label, empty for
    regression; `inputs` scales the features, `output` (one column, regression only) the target.

    >>> from chainrule.preparation import Preparation
    >>> Preparation.__name__
    'Preparation'
    """

    columns: tuple[str, ...]
    target: str
    classes: tuple[str, ...]
    inputs: Scaling
    output: Scaling | None

    @property
    def task(self) -> str:
        """ "classification" or "regression"."""
        return "regression" if self.output is not None else "classification"

    @property
    def kind(self) -> str:
        """The kind of target, as `cr.nn.Output`: two classes have two scores, too."""
        return "continuous" if self.output is not None else "multiclass"

    @property
    def outputs(self) -> int:
        """How many outputs the model has."""
        return 1 if self.output is not None else len(self.classes)

    def labels(self, target: Sequence[str]) -> npt.NDArray[np.int64]:
        """The labels of class names.

        Arguments: `target`, one name per row, as in the file.
        Returns: int64 of shape (rows,).
        Errors: KeyError for a name that is not a class.
        """
        index = {name: i for i, name in enumerate(self.classes)}
        return np.array([index[class_name(value)] for value in target], dtype=np.int64)

    def answers(self, prediction: npt.NDArray[Any]) -> list[str]:
        """The model's outputs as text: class names, or numbers in the target's unit.

        Arguments: `prediction`, of shape (rows, outputs).
        Returns: one string per row.
        Errors: none.
        """
        if self.output is None:
            return [self.classes[label] for label in np.argmax(prediction, axis=1)]
        return [str(value) for value in self.output.invert(prediction)[:, 0].tolist()]

    def describe(self) -> dict[str, Any]:
        """The names, for the model file's JSON."""
        return {"columns": self.columns, "target": self.target, "classes": self.classes, "task": self.task}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The numbers, for the model file's tensors."""
        parts = {"inputs": self.inputs, "output": self.output}
        return {
            f"{PREPARATION_PREFIX}{name}.{kind}": getattr(scaling, kind)
            for name, scaling in parts.items()
            if scaling is not None
            for kind in ("shift", "scale")
        }

    @classmethod
    def rebuild(cls, names: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> Preparation:
        """The reverse of `describe` and `arrays`; KeyError, TypeError or ValueError when they do not fit."""
        if names["task"] not in TASKS:
            raise ValueError(f"preparation: unknown task {names['task']!r}")
        scalings = [
            Scaling(arrays[f"{PREPARATION_PREFIX}{name}.shift"], arrays[f"{PREPARATION_PREFIX}{name}.scale"])
            for name in ("inputs", "output")
            if name == "inputs" or names["task"] == "regression"
        ]
        columns = tuple(str(column) for column in names["columns"])
        if any(scaling.shift.shape != scaling.scale.shape or scaling.shift.ndim != 1 for scaling in scalings):
            raise ValueError("preparation: shift and scale differ in shape")
        if len(scalings[0].shift) != len(columns):
            raise ValueError(f"preparation: {len(columns)} columns, {len(scalings[0].shift)} shifts")
        classes = tuple(str(name) for name in names["classes"])
        return cls(columns, str(names["target"]), classes, scalings[0], scalings[1] if len(scalings) > 1 else None)


def class_name(text: str) -> str:
    """The name of a class: a number in its shortest form, so that 1 and 1.0 are one class; any other text as it is.

    >>> from chainrule.preparation import class_name
    >>> class_name("1.0"), class_name("setosa")
    ('1', 'setosa')
    """
    number = to_number(text)
    if number is None:
        return text
    return str(int(number)) if number == int(number) else str(number)


def to_number(text: str) -> float | None:
    """The finite number a text stands for, or None.

    >>> from chainrule.preparation import to_number
    >>> to_number("1e3"), to_number("a"), to_number("nan")
    (1000.0, None, None)
    """
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) and "_" not in text else None


def decide_task(target: Sequence[str], task: str | None, where: str) -> tuple[str, tuple[str, ...]]:
    """Decide from the target between classes and a quantity.

    Classification: some value is not a number, or all are integers with at most 20 distinct values.

    Arguments: `target`, the values as text; `task`, "classification", "regression", or None to decide; `where`, for
    errors.
    Returns: `(task, classes)`; the class names sorted, numbers by value, empty for regression.
    Errors: `DataError` for regression on text, for more than 20 numbers mixed with text, or for a single class.

    >>> from chainrule.preparation import decide_task
    >>> decide_task(["b", "a", "b"], None, "file")
    ('classification', ('a', 'b'))
    >>> decide_task(["1.5", "2"], None, "file")
    ('regression', ())
    """
    names = {class_name(value) for value in target}
    numbers = {name: to_number(name) for name in names}
    values = [number for number in numbers.values() if number is not None]
    numeric = len(values) == len(names)
    odd = min((name for name, number in numbers.items() if number is None), default="")
    if task is None:
        if odd and len(values) > MAX_CLASSES:
            raise DataError(
                f"{where}: the target holds {len(values)} different numbers, but also {odd!r}; say which task"
            )
        task = "classification" if odd or are_classes(values) else "regression"
    if task == "regression":
        if odd:
            raise DataError(f"{where}: regression needs numbers in the target, found {odd!r}")
        return task, ()
    if len(names) < 2:
        raise DataError(f"{where}: the target has only one value, {names.pop()!r}; there is nothing to learn")
    return task, tuple(sorted(names, key=lambda name: (numbers[name] or 0.0 if numeric else 0.0, name)))

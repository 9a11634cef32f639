"""The schema of the table that a model was trained on: columns, categories, classes.

`chainrule train` stores it in the model file; `chainrule predict MODEL FILE.csv` reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..nn import Standardize

__all__ = ["PREPARATION_PREFIX", "Preparation", "fixed_scaling", "legacy_input_scaling"]

PREPARATION_PREFIX = "preparation."
TASKS = ("classification", "regression")

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Preparation:
    """The table schema of a model: the conversion of a file to inputs, and of outputs to predictions.

    `columns`: the feature names in order; `target`: the target's name; `classes`: the class names by label, empty for
    regression; `output`: the scaling of the target (one column, regression only); `categories`: the texts by code of
    each categorical column; `missing`: whether the model accepts missing values.

    >>> from chainrule.data._schema import Preparation
    >>> Preparation(("size",), "kind", ("flat", "house"), None).task
    'classification'
    """

    columns: tuple[str, ...]
    target: str
    classes: tuple[str, ...]
    output: Standardize | None
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)
    missing: bool = False

    @property
    def task(self) -> str:
        """ "classification" or "regression"."""
        return "regression" if self.output is not None else "classification"

    @property
    def kind(self) -> str:
        """The kind of target, as in `cr.nn.Output`; two classes are "multiclass" too, with two scores."""
        return "continuous" if self.output is not None else "multiclass"

    @property
    def outputs(self) -> int:
        """The number of outputs of the model."""
        return 1 if self.output is not None else len(self.classes)

    def predictions(self, prediction: npt.NDArray[Any]) -> list[str]:
        """Convert the outputs of the model to text: class names, or numbers in the unit of the target.

        Arguments: `prediction`, of shape (rows, outputs).
        Returns: one string per row.
        Errors: none.
        """
        if self.output is None:
            return [self.classes[label] for label in np.argmax(prediction, axis=1)]
        return [str(value) for value in self.output.inverse(prediction).numpy()[:, 0].tolist()]

    def describe(self) -> dict[str, Any]:
        """Return the names, for the JSON of the model file."""
        names = {name: getattr(self, name) for name in ("columns", "target", "classes", "categories", "missing")}
        return {**names, "task": self.task}

    def arrays(self) -> Arrays:
        """Return the arrays, for the tensors of the model file."""
        state = {} if self.output is None else self.output.state_dict()
        return {f"{PREPARATION_PREFIX}output.{name}": value for name, value in state.items()}

    @classmethod
    def rebuild(cls, names: dict[str, Any], arrays: Arrays) -> Preparation:
        """Inverse of `describe` and `arrays`; KeyError, TypeError or ValueError for inconsistent arguments."""
        if not isinstance(names, dict):
            raise TypeError(f"preparation: expected an object, got {type(names).__name__}")
        if names["task"] not in TASKS:
            raise ValueError(f"preparation: unknown task {names['task']!r}")
        given = names.get("categories", {})
        if not isinstance(given, dict) or not isinstance(names["target"], str):
            raise TypeError("preparation: categories must be an object, target a string")
        missing = names.get("missing", False)
        if not isinstance(missing, bool):
            raise TypeError(f"preparation: missing must be true or false, got {missing!r}")
        columns = _texts("columns", names["columns"])
        categories = {name: _texts("categories", texts) for name, texts in given.items()}
        return cls(
            columns,
            names["target"],
            _texts("classes", names["classes"]),
            _stored_scaling(arrays, "output", 1) if names["task"] == "regression" else None,
            {column: categories[column] for column in columns if column in categories},
            missing,
        )


def _texts(what: str, given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
        raise TypeError(f"preparation: {what} must be a list of strings")
    return tuple(given)


def fixed_scaling(mean: npt.ArrayLike, std: npt.ArrayLike) -> Standardize:
    """Create a Standardize layer with given means and deviations, one per column, instead of fitted ones.

    >>> from chainrule.data._schema import fixed_scaling
    >>> fixed_scaling([0.0, 0.0], [16.0, 16.0])([[8.0, 4.0]]).numpy()
    array([[0.5 , 0.25]], dtype=float32)
    """
    state = {"mean": np.array(mean, dtype=np.float64), "std": np.array(std, dtype=np.float64)}
    layer = Standardize(len(state["mean"]))
    layer.load_state_dict(state)
    return layer


def _stored_scaling(arrays: Arrays, name: str, columns: int) -> Standardize:
    legacy = {"mean": "shift", "std": "scale"}
    mean, std = (
        arrays.get(f"{PREPARATION_PREFIX}{name}.{key}", arrays.get(f"{PREPARATION_PREFIX}{name}.{legacy[key]}"))
        for key in legacy
    )
    if mean is None or std is None or mean.shape != (columns,) or std.shape != (columns,):
        raise ValueError(f"preparation: {name} requires mean and std of shape ({columns},)")
    return fixed_scaling(mean, std)


def legacy_input_scaling(preparation: Preparation, arrays: Arrays) -> Standardize | None:
    """Return the input scaling of files written before it became the model's first layer, None for newer files."""
    if f"{PREPARATION_PREFIX}inputs.shift" not in arrays:
        return None
    return _stored_scaling(arrays, "inputs", len(preparation.columns))

"""Class names: labels of any kind (texts, bools, integers) and their codes 0, 1, ..., the labels of the losses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from .._util.arrays import as_ndarray

__all__ = ["ClassName", "check_names", "distinct_names", "encode", "labels_of"]

ClassName = str | bool | int | float

_KINDS = {bool: "bools", int: "numbers", float: "numbers", str: "texts"}


def check_names(what: str, names: Iterable[Any], count: int) -> tuple[ClassName, ...]:
    """The names of `count` classes as Python objects; ValueError or TypeError for others, or equal ones.

    >>> from chainrule.nn._class_names import check_names
    >>> check_names("Output: classes", ["cat", "dog"], 2)
    ('cat', 'dog')
    """
    if isinstance(names, (str, bytes)) or not isinstance(names, Iterable):
        raise TypeError(f"{what} must be a list of {count} names, got {names!r}")
    found = tuple(name.item() if isinstance(name, np.generic) else name for name in names)
    for name in found:
        if type(name) not in _KINDS:
            raise TypeError(f"{what} must be texts, bools or numbers, got {name!r}")
    if len({_KINDS[type(name)] for name in found}) > 1:
        raise TypeError(f"{what} must be of one kind, got {_shown(found)}")
    if len(found) != count:
        raise ValueError(f"{what} has {len(found)} names, expected {count}, one for each class")
    if len(set(found)) < len(found) or any(name != name for name in found):
        raise ValueError(f"{what} must be different names, got {_shown(found)}")
    return found


def labels_of(y: npt.ArrayLike, what: str) -> npt.NDArray[Any]:
    """Labels as a plain array: texts, bools, or numbers that are all whole; errors name the row of another value.

    >>> from chainrule.nn._class_names import labels_of
    >>> labels_of([["a"], ["b"]], "y").tolist()
    ['a', 'b']
    """
    values = as_ndarray(y, what)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(f"{what} has shape {values.shape}, labels must have shape ({len(values)},)")
    if values.dtype.kind == "O":
        values = _of_objects(values, what)
    if values.dtype.kind == "f":
        wrong = np.flatnonzero(~np.isfinite(values) | (values != np.floor(values)))
        if len(wrong):
            raise ValueError(f"{what}[{wrong[0]}] is {values[wrong[0]]}, class labels must be whole numbers or texts")
    if values.dtype.kind not in "biufU":
        raise TypeError(f"{what} must be class labels (texts, bools or whole numbers), got dtype {values.dtype}")
    return values


def _of_objects(values: npt.NDArray[Any], what: str) -> npt.NDArray[Any]:
    """Objects, such as a column of a data frame holds, as an array of their kind."""
    kinds = np.array([_KINDS.get(type(v.item() if isinstance(v, np.generic) else v), "") for v in values.tolist()])
    wrong = np.flatnonzero((kinds == "") | np.array([v != v for v in values.tolist()], dtype=bool))
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(f"{what}[{row}] is {values[row]!r}: a missing class label; drop the row, or give it a class")
    if len(set(kinds.tolist())) > 1:
        first, other = kinds[0], kinds[np.flatnonzero(kinds != kinds[0])[0]]
        raise TypeError(f"{what} has {first} and {other}, class labels must be of one kind")
    return np.array(values.tolist())


def distinct_names(values: npt.NDArray[Any]) -> tuple[ClassName, ...]:
    """The distinct labels in sorted order, as Python objects."""
    return tuple(np.unique(values).tolist())


def encode(values: npt.NDArray[Any], names: tuple[ClassName, ...], what: str) -> npt.NDArray[np.int64]:
    """The position of each label among the names; ValueError naming the row of a label that is none of them.

    >>> import numpy as np
    >>> from chainrule.nn._class_names import encode
    >>> encode(np.array(["b", "a", "b"]), ("a", "b"), "y").tolist()
    [1, 0, 1]
    """
    found, inverse = np.unique(values, return_inverse=True)
    code = {name: i for i, name in enumerate(names)}
    same_kind = not found.size or _KINDS[type(found.tolist()[0])] == _KINDS[type(names[0])]
    codes = np.array([code.get(name, -1) if same_kind else -1 for name in found.tolist()], dtype=np.int64)
    labels = codes[inverse.reshape(-1)]
    wrong = np.flatnonzero(labels < 0)
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(f"{what}[{row}] is {values[row].item()!r}, none of the classes {_shown(names)}")
    return labels


def _shown(names: tuple[Any, ...]) -> str:
    return ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")

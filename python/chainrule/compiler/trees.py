"""Arguments and results as trees: tuples, lists, dicts and slices of leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..tensor import Tensor

__all__ = ["flatten", "is_array", "rebuild"]


def is_array(leaf: Any) -> bool:
    """Whether a leaf brings values that may change from call to call: a tensor or an array, not a number."""
    return isinstance(leaf, (Tensor, np.ndarray)) or (hasattr(leaf, "__array__") and not isinstance(leaf, np.generic))


def flatten(tree: Any, leaves: list[Any]) -> Any:
    """Append the arrays of a tree to `leaves`; return its structure, hashable, which holds everything else."""
    if is_array(tree):
        leaves.append(tree)
        return (None,)
    if type(tree) in (tuple, list):
        return (type(tree), *[flatten(item, leaves) for item in tree])
    if isinstance(tree, tuple):  # named tuples
        return ("named", type(tree), *[flatten(item, leaves) for item in tree])
    if type(tree) is dict:
        return (dict, tuple(tree), *[flatten(item, leaves) for item in tree.values()])
    if type(tree) is slice:  # cannot be hashed before Python 3.12
        return (slice, *[flatten(item, leaves) for item in (tree.start, tree.stop, tree.step)])
    return ("static", _Static(tree))


def rebuild(structure: Any, leaf: Callable[[], Any]) -> Any:
    """The tree of a structure, with `leaf()` called for each array in order."""
    kind, *items = structure
    if kind is None:
        return leaf()
    if kind == "static":
        return items[0].value
    if kind == "named":
        return items[0](*[rebuild(item, leaf) for item in items[1:]])
    if kind is slice:
        return slice(*[rebuild(item, leaf) for item in items])
    if kind is dict:
        return {key: rebuild(item, leaf) for key, item in zip(items[0], items[1:], strict=True)}
    return kind([rebuild(item, leaf) for item in items])


class _Static:
    """Anything that is no array: part of the key, by value where it can be hashed, else the object itself."""

    __slots__ = ("key", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.key: Any = (type(value), repr(value) if isinstance(value, (float, complex, np.generic)) else value)
        try:
            hash(self.key)
        except TypeError:
            self.key = id(value)

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Static) and self.key == other.key

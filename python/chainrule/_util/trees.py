"""Trees (pytrees) of arguments and results: tuples, named tuples, lists, dicts and slices of leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = ["flatten", "is_array", "is_container", "leaves_with_paths", "rebuild"]


def is_array(leaf: Any) -> bool:
    """Whether a leaf is a tensor or an array, whose values may change from call to call; numbers are static."""
    return isinstance(leaf, np.ndarray) or (hasattr(leaf, "__array__") and not isinstance(leaf, np.generic))


def is_container(tree: Any) -> bool:
    """Whether a value is a container with children, not a leaf."""
    return isinstance(tree, tuple) or type(tree) in (list, dict)


def flatten(tree: Any, leaves: list[Any], is_leaf: Callable[[Any], bool] = is_array) -> Any:
    """Append the leaves of a tree to `leaves`; return its structure, a hashable value that holds everything else."""
    if is_leaf(tree):
        leaves.append(tree)
        return (None,)
    if type(tree) in (tuple, list):
        return (type(tree), *[flatten(item, leaves, is_leaf) for item in tree])
    if isinstance(tree, tuple):  # named tuples
        return ("named", type(tree), *[flatten(item, leaves, is_leaf) for item in tree])
    if type(tree) is dict:
        return (dict, tuple(tree), *[flatten(item, leaves, is_leaf) for item in tree.values()])
    if type(tree) is slice:  # cannot be hashed before Python 3.12
        return (slice, *[flatten(item, leaves, is_leaf) for item in (tree.start, tree.stop, tree.step)])
    return ("static", _Static(tree))


def rebuild(structure: Any, leaf: Callable[[], Any]) -> Any:
    """Build a tree from its structure, calling `leaf()` for each leaf in order."""
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


def leaves_with_paths(
    structure: Any, tree: Any = None, where: str = "", given: bool = False
) -> Iterator[tuple[str, Any]]:
    """Iterate over the leaves of a structure: the path of each (`['W'][0].bias`) and another tree's value there.

    With `given` the tree must have this structure, with None allowed in place of any subtree; TypeError otherwise.
    """
    kind, *items = structure
    if kind is None:
        yield where, tree
    if kind in (None, "static"):
        return
    keys, parts = (items[0], items[1:]) if kind is dict else (range(len(items)), items)
    names = [f"[{key!r}]" for key in keys]
    if kind == "named":
        (named, *parts) = items
        keys, names = range(len(parts)), [f".{name}" for name in named._fields]
    children: list[Any] = [None] * len(parts)
    if given and tree is not None:
        same_kind = type(tree) is dict if kind is dict else isinstance(tree, (tuple, list))
        if not same_kind or set(keys) != set(tree if kind is dict else range(len(tree))):
            expected = f"a dict of {', '.join(map(repr, keys))}" if kind is dict else f"{len(parts)} parts"
            raise TypeError(f"expected {expected}{where and ' at ' + where}, got {_describe(tree)}")
        children = [tree[key] for key in keys]
    for name, part, item in zip(names, parts, children, strict=True):
        yield from leaves_with_paths(part, item, where + name, given)


def _describe(tree: Any) -> str:
    """Describe a tree, for errors."""
    if type(tree) is dict:
        return f"a dict of {', '.join(map(repr, tree))}"
    return f"{type(tree).__name__} of {len(tree)} parts" if is_container(tree) else type(tree).__name__


class _Static:
    """A static leaf, part of the cache key: compared by value if hashable, else by identity."""

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

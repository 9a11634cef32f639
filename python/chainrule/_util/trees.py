"""Trees (pytrees) of arguments and results: containers of leaves, to any depth.

Containers are tuples, lists, dicts, deques and their subclasses (named tuples, OrderedDict, defaultdict, Counter),
dataclasses and attrs classes, SimpleNamespace, UserDict and UserList, partial functions, slices, and the classes that
`cr.register_tree_node` has been called with. A tree that is built again has the same classes; attributes of containers
are children like their items. Classes of modules, which have `named_parameters`, are no containers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .static_values import Static
from .tree_kinds import CONTAINER, DICT, INSTANCE, LIST, PARTIAL, SLICE, TUPLE, Kind, key_value, kind_of

__all__ = [
    "containers_with_paths",
    "flatten",
    "is_array",
    "is_container",
    "is_flat",
    "leaves_with_paths",
    "rebuild",
    "statics_with_paths",
]

# The last one is that of array.array, whose module takes 0.3 ms to import.
_ARRAY_PROTOCOLS = ("__array__", "__array_interface__", "__array_struct__", "__dlpack__", "buffer_info")


def is_array(leaf: Any) -> bool:
    """Whether a leaf is a tensor or an array, whose values may change from call to call; numbers are static."""
    if isinstance(leaf, np.ndarray):
        return True
    if isinstance(leaf, (bool, int, float, str, type(None), np.generic, type)):
        return False
    return isinstance(leaf, memoryview) or any(hasattr(leaf, name) for name in _ARRAY_PROTOCOLS)


def is_container(tree: Any) -> bool:
    """Whether a value is a container with children, not a leaf."""
    kind = kind_of(tree)
    return kind is not None and kind is not SLICE and kind is not PARTIAL and not is_array(tree)


def is_flat(structure: Any) -> bool:
    """Whether it is the structure of a tuple of leaves."""
    return structure[0] is TUPLE and all(item == (None,) for item in structure[2:])


def flatten(tree: Any, leaves: list[Any], is_leaf: Callable[[Any], bool] = is_array) -> Any:
    """Append the leaves of a tree to `leaves`; return its structure, a hashable value that holds everything else."""
    if is_leaf(tree):
        leaves.append(tree)
        return (None,)
    kind = kind_of(tree)
    if kind is None:
        return ("static", Static(tree))
    description, children = kind.parts(tree)
    return (kind, description, *[flatten(item, leaves, is_leaf) for item in children])


def rebuild(structure: Any, leaf: Callable[[], Any]) -> Any:
    """Build a tree from its structure, calling `leaf()` for each leaf in order."""
    kind = structure[0]
    if kind is None:
        return leaf()
    if kind == "static":
        value = structure[1].value
        return set(value) if type(value) is set else value
    return kind.build(structure[1], [rebuild(item, leaf) for item in structure[2:]])


def statics_with_paths(structure: Any, where: str = "") -> Iterator[tuple[str, Static]]:
    """Iterate over the static leaves of a structure, and those in descriptions: path and leaf."""
    kind, *rest = structure
    if kind == "static":
        yield where, rest[0]
    elif kind is not None:
        description, *children = rest
        for part in description if isinstance(description, tuple) else ():
            for item in part if isinstance(part, tuple) else (part,):
                if isinstance(item, Static):
                    yield where, item
        for name, child in zip(kind.names(description, len(children)), children, strict=True):
            yield from statics_with_paths(child, where + name)


def containers_with_paths(structure: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Iterate over the containers but instances, which may get attributes: path, and what describes the container."""
    kind, *rest = structure
    if kind is not None and kind != "static":
        description, *children = rest
        if kind is not INSTANCE:
            yield where, (kind, description, len(children))
        for name, child in zip(kind.names(description, len(children)), children, strict=True):
            yield from containers_with_paths(child, where + name)


def leaves_with_paths(
    structure: Any, tree: Any = None, where: str = "", given: bool = False
) -> Iterator[tuple[str, Any]]:
    """Iterate over the leaves of a structure: the path of each (`['W'][0].bias`) and another tree's value there.

    With `given` the tree must have this structure, with None allowed in place of any subtree; TypeError otherwise.
    """
    kind, *rest = structure
    if kind is None:
        yield where, tree
    if kind in (None, "static"):
        return
    description, *parts = rest
    names = kind.names(description, len(parts))
    children: Sequence[Any] = [None] * len(parts)
    if given and tree is not None:
        children = _children_like(kind, description, parts, tree, where)
    for name, part, item in zip(names, parts, children, strict=True):
        yield from leaves_with_paths(part, item, where + name, given)


def _children_like(kind: Kind, description: Any, parts: Sequence[Any], tree: Any, where: str) -> Sequence[Any]:
    """The children of another tree of this structure; sequences may be of another class, dicts in another order."""
    if kind is DICT:
        keys = [key_value(key) for key in description]
        if type(tree) is dict and set(keys) == set(tree):
            return [tree[key] for key in keys]
        expected = f"a dict of {', '.join(map(repr, keys))}"
    else:
        found = None if isinstance(tree, (str, bytes)) else kind_of(tree)
        if found is not None:
            of, children = found.parts(tree)
            sequences = all(
                k in (TUPLE, LIST) or (k is CONTAINER and issubclass(d[0], (tuple, list)))
                for k, d in ((kind, description), (found, of))
            )
            if len(children) == len(parts) and (sequences or (found is kind and of == description)):
                return children
        name = description[0].__name__ if isinstance(description, tuple) and description else ""
        expected = f"{len(parts)} parts" if kind in (TUPLE, LIST) or not name else f"{name} of {len(parts)} parts"
    raise TypeError(f"expected {expected}{where and ' at ' + where}, got {_describe(tree)}")


def _describe(tree: Any) -> str:
    """Describe a tree, for errors."""
    if type(tree) is dict:
        return f"a dict of {', '.join(map(repr, tree))}"
    kind = kind_of(tree)
    return type(tree).__name__ if kind is None else f"{type(tree).__name__} of {len(kind.parts(tree)[1])} parts"

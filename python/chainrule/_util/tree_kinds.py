"""The classes of containers in trees: how each is taken apart and built again."""

from __future__ import annotations

from collections import OrderedDict, UserDict, UserList, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple

from .static_values import VALUES, Static

__all__ = [
    "CONTAINER",
    "DICT",
    "INSTANCE",
    "LIST",
    "PARTIAL",
    "SLICE",
    "TUPLE",
    "Kind",
    "key_value",
    "kind_of",
    "register_tree_node",
]


_BUILTIN = (tuple, list, dict)
_DEFINED_IN_PYTHON = 1 << 9  # in `__flags__` of a class


class Kind(NamedTuple):
    """How trees of some classes are taken apart and built again.

    `parts(tree)`: a hashable description of everything but the children, and the children. `build(description,
    children)`: the tree. `names(description, n)`: the paths of n children, for errors.
    """

    parts: Callable[[Any], tuple[Any, Sequence[Any]]]
    build: Callable[[Any, list[Any]], Any]
    names: Callable[[Any, int], list[str]]


def _keys(keys: Iterable[Any]) -> tuple[Any, ...]:
    """The keys of a dict as a description: as they are if strings, which are equal only to themselves."""
    return tuple(key if type(key) is str else Static(key) for key in keys)


def key_value(key: Any) -> Any:
    return key.value if type(key) is Static else key


# Built-in containers, and slices, which cannot be hashed before Python 3.12.


def _by_index(_: Any, n: int) -> list[str]:
    return [f"[{i}]" for i in range(n)]


TUPLE = Kind(lambda tree: (None, tree), lambda _, items: tuple(items), _by_index)
LIST = Kind(lambda tree: (None, tree), lambda _, items: items, _by_index)
DICT = Kind(
    lambda tree: (_keys(tree), list(tree.values())),
    lambda keys, items: {key_value(key): item for key, item in zip(keys, items, strict=True)},
    lambda keys, _: [f"[{key_value(key)!r}]" for key in keys],
)
SLICE = Kind(
    lambda tree: (None, (tree.start, tree.stop, tree.step)),
    lambda _, items: slice(*items),
    lambda _, n: [".start", ".stop", ".step"],
)
PARTIAL = Kind(
    lambda tree: (tuple(tree.keywords), (tree.func, *tree.args, *tree.keywords.values())),
    lambda names, items: partial(
        items[0], *items[1 : len(items) - len(names)], **dict(zip(names, items[len(items) - len(names) :], strict=True))
    ),
    lambda names, n: [".func", *[f".args[{i}]" for i in range(n - len(names) - 1)], *[f".{name}" for name in names]],
)
_PROXY = Kind(DICT.parts, lambda keys, items: MappingProxyType(DICT.build(keys, items)), DICT.names)


# Subclasses of built-in containers: items, and attributes like those of an instance.


def _attributes(tree: Any) -> dict[str, Any]:
    """The attributes of an object by name, those in slots too."""
    found: dict[str, Any] = {}
    for base in type(tree).__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            mangled = f"_{base.__name__.lstrip('_')}{name}" if name[:2] == "__" and name[-2:] != "__" else name
            if mangled not in ("__dict__", "__weakref__") and hasattr(tree, mangled):
                found[mangled] = getattr(tree, mangled)
    return {**found, **getattr(tree, "__dict__", {})}


def _set_attributes(tree: Any, names: Iterable[str], values: Iterable[Any]) -> None:
    """Set attributes, of frozen objects too."""
    for name, value in zip(names, values, strict=True):
        if hasattr(tree, "__dict__") and not hasattr(getattr(type(tree), name, None), "__set__"):
            tree.__dict__[name] = value
        else:
            object.__setattr__(tree, name, value)


def _base(cls: type) -> Any:
    """The built-in container that a class derives from."""
    return next((base for base in cls.__mro__ if base in (OrderedDict, defaultdict, deque, *_BUILTIN)), None)


def _container_parts(tree: Any) -> tuple[Any, Sequence[Any]]:
    cls, base, attributes = type(tree), _base(type(tree)), _attributes(tree)
    extra = tree.default_factory if base is defaultdict else tree.maxlen if base is deque else None
    keys, items = None, list(base.__iter__(tree))
    if issubclass(base, dict):
        keys, items = _keys(items), list(base.values(tree))
    return (cls, keys, Static(extra), tuple(attributes)), (*items, *attributes.values())


def _build_container(description: Any, children: list[Any]) -> Any:
    cls, keys, extra, names = description
    base = _base(cls)
    count = len(children) - len(names)
    items, values = children[:count], children[count:]
    if base is tuple:
        tree = tuple.__new__(cls, items)
    else:
        tree = base.__new__(cls)
        if keys is not None:
            for key, item in zip(keys, items, strict=True):
                base.__setitem__(tree, key_value(key), item)
            if base is defaultdict:
                tree.default_factory = extra.value
        elif base is deque:
            deque.__init__(tree, items, extra.value)
        else:
            list.extend(tree, items)
    _set_attributes(tree, names, values)
    return tree


def _container_names(description: Any, n: int) -> list[str]:
    cls, keys, _, names = description
    if keys is not None:
        items = DICT.names(keys, n)
    elif issubclass(cls, tuple) and hasattr(cls, "_fields"):
        items = [f".{name}" for name in cls._fields]
    else:
        items = _by_index(None, n - len(names))
    return [*items, *(f".{name}" for name in names)]


CONTAINER = Kind(_container_parts, _build_container, _container_names)


# Instances of classes that only hold values: their attributes.


def _instance_parts(tree: Any) -> tuple[Any, Sequence[Any]]:
    attributes = _attributes(tree)
    return (type(tree), tuple(attributes)), list(attributes.values())


def _build_instance(description: Any, children: list[Any]) -> Any:
    cls, names = description
    builtin = next(base for base in cls.__mro__ if not base.__flags__ & _DEFINED_IN_PYTHON)
    tree = builtin.__new__(cls)
    _set_attributes(tree, names, children)
    return tree


INSTANCE = Kind(_instance_parts, _build_instance, lambda description, n: [f".{name}" for name in description[1]])
_INSTANCES = (SimpleNamespace, UserDict, UserList)


# Registered classes.


class _Registered(NamedTuple):
    flatten: Callable[[Any], tuple[Iterable[Any], Any]]
    unflatten: Callable[[Any, tuple[Any, ...]], Any]


_registered: dict[type, _Registered] = {}


def _registered_parts(tree: Any) -> tuple[Any, Sequence[Any]]:
    children, data = _registered[type(tree)].flatten(tree)
    return (type(tree), Static(data)), list(children)


_REGISTERED = Kind(
    _registered_parts,
    lambda description, children: _registered[description[0]].unflatten(description[1].value, tuple(children)),
    _by_index,
)


def register_tree_node(
    cls: type, flatten: Callable[[Any], tuple[Iterable[Any], Any]], unflatten: Callable[[Any, tuple[Any, ...]], Any]
) -> None:
    """Make a class a container of tensors for `cr.compile`, `cr.grad` and the other transformations.

    Dataclasses, named tuples, attrs classes and subclasses of tuple, list and dict are containers already.

    Arguments: `cls`; `flatten`, from an object to (children, data): children are tensors, arrays or containers of them,
    data is everything else, a value that is part of the kind of a call (numbers, strings, tuples of them);
    `unflatten`, from (data, children) to an object. Children may be any values, not only arrays: do not check them.
    Errors: TypeError if it is not a class; ValueError for a class that is registered already, or a built-in one.

    >>> import chainrule as cr
    >>> class Point:
    ...     def __init__(self, x, y):
    ...         self.x, self.y = x, y
    >>> cr.register_tree_node(Point, lambda p: ((p.x, p.y), None), lambda data, children: Point(*children))
    >>> cr.grad(lambda p: p.x * p.y)(Point(2.0, 3.0)).x.item()
    3.0
    """
    if not isinstance(cls, type):
        raise TypeError(f"register_tree_node: expected a class, got {type(cls).__name__}")
    if cls in _registered or cls in _BUILTIN or cls in VALUES:
        raise ValueError(f"register_tree_node: {cls.__name__} is registered already")
    _registered[cls] = _Registered(flatten, unflatten)


# All of them.


def kind_of(tree: Any) -> Kind | None:
    """The kind of a container; None for a leaf."""
    cls = type(tree)
    if cls in VALUES or cls is float:
        return None
    known = _KINDS.get(cls)
    if known is not None:
        return known
    if cls in _registered:
        return _REGISTERED
    if hasattr(cls, "named_parameters"):
        return None
    if _base(cls) is not None:
        return CONTAINER
    namespace = any((base.__module__, base.__name__) == ("argparse", "Namespace") for base in cls.__mro__)
    values = (
        hasattr(cls, "__dataclass_fields__")
        or hasattr(cls, "__attrs_attrs__")
        or issubclass(cls, _INSTANCES)
        or namespace
    )
    return INSTANCE if values and not isinstance(tree, type) else None


_KINDS: dict[type, Kind] = {
    tuple: TUPLE,
    list: LIST,
    dict: DICT,
    slice: SLICE,
    partial: PARTIAL,
    MappingProxyType: _PROXY,
}

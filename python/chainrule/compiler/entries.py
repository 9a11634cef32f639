"""Entries of a watch: what each records, how it is undone and described. Compared in cpp/bind/watch.cpp."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Any

import numpy as np

from .. import _core

__all__ = ["ABSENT", "Entry", "Kind", "explain", "flat_pairs", "restore", "without_changes"]

Entry = tuple[Any, ...]

ABSENT = NotImplemented  # stands for an attribute that an object does not have


class Kind(IntEnum):
    """The kinds of entries, as in cpp/bind/watch.cpp; the first element of an entry."""

    INSTANCE = 0  # object (None: the owner), its class, the class's version, (name, value, ...), (skipped names)
    MAPPING = 1  # dict, (key, value, ...)
    LIST = 2  # list, (items)
    NAME = 3  # namespace, name, value
    CELL = 4  # cell of a closure, its content
    ARRAY = 5  # array, its bytes
    DATA = 6  # tensor, its `_data`
    COUNT = 7  # version list of a tensor, its number
    CODE = 8  # function, its `__code__`, defaults and keyword defaults
    TYPE = 9  # class, its version
    ITEMS = 10  # set or deque, (items)
    ATTRIBUTES = 11  # object, its class, the class's version, (name, value or ABSENT, ...)
    SLOT = 12  # object, name, value


def restore(entry: Entry, owner: Any) -> None:
    """Undo changes of what an entry records."""
    kind, target, *rest = entry
    if kind == Kind.INSTANCE:
        attributes = vars(owner if target is None else target)
        skipped = {key: attributes[key] for key in rest[3] if key in attributes}
        attributes.clear()
        attributes.update(_pairs(rest[2]))
        attributes.update(skipped)
    elif kind == Kind.ATTRIBUTES:
        for name, value in _pairs(rest[2]):
            if value is not ABSENT:
                target.__dict__[name] = value
            else:
                target.__dict__.pop(name, None)
    elif kind == Kind.SLOT:
        object.__setattr__(target, rest[0], rest[1])
    elif kind == Kind.MAPPING:
        target.clear()
        target.update(_pairs(rest[0]))
    elif kind == Kind.LIST:
        target[:] = rest[0]
    elif kind == Kind.ITEMS:
        target.clear()
        for item in rest[0]:
            target.add(item) if isinstance(target, set) else target.append(item)
    elif kind == Kind.NAME:
        target[rest[0]] = rest[1]
    elif kind == Kind.CELL:
        target.cell_contents = rest[0]
    elif kind == Kind.ARRAY and isinstance(target, np.ndarray) and target.flags.writeable:
        target[...] = np.frombuffer(rest[0], target.dtype).reshape(target.shape)


def without_changes(entry: Entry) -> list[Entry]:
    """An entry that does not hold any more, as far as it holds."""
    kind, target, *rest = entry
    now = target if kind == Kind.MAPPING else getattr(target, "__dict__", {})
    if kind == Kind.MAPPING:
        return [(Kind.NAME, target, key, value) for key, value in _pairs(rest[0]) if now.get(key, ABSENT) is value]
    if kind not in (Kind.INSTANCE, Kind.ATTRIBUTES):
        return []
    kept = [(name, value) for name, value in _pairs(rest[2]) if now.get(name, ABSENT) is value]
    changed = {*now, *rest[2][::2]} - {name for name, _ in kept}
    flat = tuple([part for pair in kept for part in pair])
    return [(kind, target, *rest[:2], flat, *([(*rest[3], *changed)] if kind == Kind.INSTANCE else []))]


def explain(entries: Iterable[Entry]) -> str:
    """What has changed, for messages."""
    return next((_describe(entry) for entry in entries if not _core.unchanged((entry,), None)), "")


def _describe(entry: Entry) -> str:
    """What an entry that does not hold any more is about, for messages."""
    kind, target, *rest = entry
    if kind in (Kind.INSTANCE, Kind.ATTRIBUTES):
        now = getattr(target, "__dict__", {})
        names = [name for name, value in _pairs(rest[2]) if now.get(name, ABSENT) is not value]
        return f"{rest[0].__name__}.{names[0]}" if names else f"an attribute of {rest[0].__name__}"
    if kind == Kind.SLOT:
        return f"{type(target).__name__}.{rest[0]}"
    if kind == Kind.NAME:
        return f"the global {rest[0]}"
    if kind == Kind.CELL:
        return "a captured variable"
    if kind in (Kind.TYPE, Kind.CODE):
        return str(target.__qualname__)
    what = "an array" if kind == Kind.ARRAY else f"a {type(target).__name__.lower()}"
    return f"the contents of {what}"


def _pairs(flat: tuple[Any, ...]) -> Iterator[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)


def flat_pairs(mapping: dict[Any, Any], skipped: tuple[str, ...]) -> tuple[Any, ...]:
    """Keys and values in turn, without these keys."""
    return tuple([part for key, value in mapping.items() if key not in skipped for part in (key, value)])

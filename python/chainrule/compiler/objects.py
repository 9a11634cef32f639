"""Attributes of objects, and the packages that they come from."""

from __future__ import annotations

import copyreg
import sys
from contextlib import suppress
from types import MemberDescriptorType
from typing import Any
from weakref import WeakSet

import numpy as np

from .. import _core

__all__ = [
    *("UnwatchableError", "attributes_of", "class_version", "foreign_array", "has_slots", "instance_dict"),
    *("is_installed", "module_of", "package"),
]


class UnwatchableError(Exception):
    """A function or a model depends on an object whose changes cannot be detected; the message names it."""


def attributes_of(value: Any) -> dict[str, Any]:
    """The attributes of an object by name, in slots too."""
    slots = {name: getattr(value, name) for name in _slot_names(type(value)) if hasattr(value, name)}
    return {**slots, **(instance_dict(value) or {})}


def instance_dict(value: Any) -> dict[str, Any] | None:
    """The `__dict__` of an object; None if it has none, or it is no dict."""
    found = getattr(value, "__dict__", None)
    return found if isinstance(found, dict) else None


def _slot_names(cls: type) -> list[str]:
    return [
        name
        for base in cls.__mro__
        for name, item in vars(base).items()
        if isinstance(item, MemberDescriptorType) and base.__module__ != "builtins"
    ]


def has_slots(cls: type) -> bool:
    """Whether instances have attributes in slots."""
    return bool(_slot_names(cls))


def module_of(value: Any) -> str | None:
    """The module of a function, a class or the class of an object."""
    found = value if hasattr(value, "__qualname__") else type(value)
    return getattr(found, "__module__", None)


def package(module: str | None) -> str:
    """The package that a module is in."""
    return (module or "").partition(".")[0]


def is_installed(name: str) -> bool:
    """Whether a package is among those that were installed, and not a user's own folder."""
    found = getattr(sys.modules.get(name), "__file__", None) or ""
    return "site-packages" in found or "dist-packages" in found


_prepared: WeakSet[type] = WeakSet()


def class_version(cls: type) -> int:
    """The number that CPython gives to the present state of a class; another one after each change."""
    if cls not in _prepared:
        # Python adds these attributes to a class at the first copy or use, and the class has another version then.
        for base in cls.__mro__:
            copyreg._slotnames(base)  # type: ignore[attr-defined]
            with suppress(Exception):  # evaluated here on Python 3.14
                base.__annotations__  # noqa: B018
        _prepared.add(cls)
    getattr(cls, "forward", None)  # a lookup assigns a version to the class
    return _core.type_version(cls)


def foreign_array(value: Any) -> tuple[Any, bytes]:
    """An array of another library and its values. PyTorch gives those of a tensor with a gradient to its copy only."""
    source = value.detach() if getattr(value, "requires_grad", False) else value
    try:
        return source, np.asarray(source).tobytes()
    except Exception as error:
        raise UnwatchableError(f"an array whose values cannot be read ({type(value).__name__}: {error})") from error

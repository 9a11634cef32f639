"""Computed `__all__` lists: the public names a module defines, and those a package collects from its modules.

Assign them under `if not TYPE_CHECKING`. Type checkers follow the definitions and star imports themselves; a computed
`__all__`, which they cannot evaluate, would hide every name from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import Any

__all__ = ["own_names", "public_names"]


def public_names(namespace: Mapping[str, Any]) -> list[str]:
    """Return the functions and classes of a namespace without a leading underscore, sorted by name.

    >>> public_names({"scale": 2.0, "own_names": own_names, "_hidden": own_names})
    ['own_names']
    """
    return sorted(
        name
        for name, value in namespace.items()
        if not name.startswith("_") and isinstance(value, (FunctionType, type))
    )


def own_names(namespace: Mapping[str, Any]) -> list[str]:
    """Return the public names that a module defines itself, without those that it imports.

    >>> own_names({"__name__": "elsewhere", "imported": own_names})
    []
    """
    return [name for name in public_names(namespace) if namespace[name].__module__ == namespace["__name__"]]

"""`__all__` of modules by rule: what a file defines, and what a package collects from its files.

Set under `if not TYPE_CHECKING`, where type checkers go by the definitions and the star imports themselves; a list that
they cannot read would hide everything from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import Any

__all__ = ["own_names", "public_names"]


def public_names(namespace: Mapping[str, Any]) -> list[str]:
    """The functions and classes of a namespace that do not begin with an underscore, sorted.

    >>> public_names({"scale": 2.0, "own_names": own_names, "_hidden": own_names})
    ['own_names']
    """
    return sorted(
        name
        for name, value in namespace.items()
        if not name.startswith("_") and isinstance(value, (FunctionType, type))
    )


def own_names(namespace: Mapping[str, Any]) -> list[str]:
    """The public names that a module defines itself, not those that it imports.

    >>> own_names({"__name__": "elsewhere", "imported": own_names})
    []
    """
    return [name for name in public_names(namespace) if namespace[name].__module__ == namespace["__name__"]]

"""Rows for models of several inputs or outputs: arrays in a tuple, or in a dict by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["call_with", "has_several", "map_parts", "parts_of"]


def has_several(data: Any) -> bool:
    """Whether these are several arrays: a dict, or a tuple of arrays. A list is one array.

    >>> import numpy as np
    >>> from chainrule.nn._inputs import has_several
    >>> has_several((np.ones(3), np.ones(3))), has_several({"x": [1.0]}), has_several(((1.0, 2.0), (3.0, 4.0)))
    (True, True, False)
    """
    if isinstance(data, tuple):
        return bool(data) and all(hasattr(item, "__array__") and getattr(item, "ndim", 1) > 0 for item in data)
    return isinstance(data, Mapping)


def map_parts(function: Callable[[Any, str], Any], data: Any, name: str = "") -> Any:
    """Apply a function of an array and its name to one array, or to each of several."""
    if isinstance(data, Mapping):
        return {key: function(value, f"{name}[{key!r}]") for key, value in data.items()}
    if has_several(data):
        return tuple(function(value, f"{name}[{i}]") for i, value in enumerate(data))
    return function(data, name)


def parts_of(data: Any) -> list[tuple[str, Any]]:
    """The arrays with what follows their name: an index, a key in brackets, or nothing."""
    if isinstance(data, Mapping):
        return [(f"[{key!r}]", value) for key, value in data.items()]
    return [(f"[{i}]", value) for i, value in enumerate(data)] if has_several(data) else [("", data)]


def call_with(model: Callable[..., Any], x: Any) -> Any:
    """Call a model with one input, with those of a tuple one after the other, or with those of a dict by name."""
    if isinstance(x, Mapping):
        return model(**x)
    return model(*x) if has_several(x) else model(x)

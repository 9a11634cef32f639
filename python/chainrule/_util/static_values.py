"""Values that are part of the kind of a call: compared so that no two that behave differently are equal."""

from __future__ import annotations

from types import MethodType
from typing import Any

import numpy as np

__all__ = ["VALUES", "Static"]

# Classes whose equal objects behave alike; and modules of such classes, whose `repr` tells more than `==`.
VALUES = frozenset({bool, int, str, bytes, type(None), type(Ellipsis), type(NotImplemented)})
_VALUE_MODULES = frozenset({"datetime", "decimal", "fractions", "pathlib", "pathlib._local", "uuid", "zoneinfo"})


class Static:
    """A leaf that is no array, or a key: compared by type and value, objects by identity.

    0.0 differs from -0.0, 1 from 1.0 and True, and every NumPy number from those of other dtypes. A set is compared by
    the values that it had when the tree was taken apart.
    """

    __slots__ = ("_key", "objects", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.objects: list[Any] = []  # objects that are compared by identity only
        self._key = self._key_of(value)

    def _key_of(self, value: Any) -> Any:
        cls = type(value)
        if cls in VALUES:
            return cls, value
        if cls in (float, complex, range):
            return cls, repr(value)
        if isinstance(value, np.generic):
            return cls, value.dtype, value.tobytes()
        if isinstance(value, np.dtype):
            return np.dtype, value
        if cls in (set, frozenset):
            return cls, frozenset(map(self._key_of, value))
        if cls in (tuple, list):  # in a set, in a key, or in the data of a registered class
            return (cls, *map(self._key_of, value))
        if cls is dict:
            return (cls, *[self._key_of(part) for item in value.items() for part in item])
        if cls.__module__ in _VALUE_MODULES and not hasattr(value, "__dict__"):
            return cls, repr(value)
        self.objects.append(value)
        if cls is MethodType:  # a new object at every access
            return cls, id(value.__self__), id(value.__func__)
        return object, id(value)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Static) and self._key == other._key

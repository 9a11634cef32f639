"""Detection of changes of a model, so that `model.predict` knows whether its cached programs are still valid.

Python code can change anything about a model between two calls: replace a layer, set an attribute, append to a list,
redefine a method. `Watch` therefore visits everything that the forward pass may read and records it as a flat list of
entries: the attributes of all modules by identity, the contents of lists, dicts and arrays among them, and, for code
outside chainrule, the globals and closures that its functions use. A later call compares the entries with the present
state in C++ (cpp/bind/watch.cpp), without any search. The values of parameters are not recorded, because programs read
them at every call. If the model refers to an object whose changes cannot be detected (a set, an open file, an object
without a `__dict__`), `UnwatchableError` is raised, and the model is computed without cached programs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import PurePath
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

import numpy as np

from .. import _core
from .._tensor import Tensor
from ..compiler.jit import Compiled
from ._evaluate import Model

__all__ = ["UnwatchableError", "Watch"]

# The kinds of entries, as in cpp/bind/watch.cpp.
_INSTANCE, _MAPPING, _LIST, _NAME, _CELL, _ARRAY, _DATA, _COUNT, _CODE, _TYPE = range(10)

_CACHE = "_predictions"  # the attribute that holds a model's programs
_MAX_ITEMS = 20_000  # visited objects, and items of one container
_FIXED = (
    *(bool, int, float, complex, str, bytes, type(None), type(Ellipsis), type(NotImplemented), range, slice),
    *(np.generic, np.dtype, np.ufunc, BuiltinFunctionType, PurePath),
)
_TRUSTED = {"chainrule", "numpy", *sys.stdlib_module_names}  # packages whose functions and classes do not change
_RANDOM = {"random", "secrets", "time", "numpy.random"}  # modules whose functions return another result at every call


class UnwatchableError(Exception):
    """A model depends on an object whose changes cannot be detected."""


class Watch:
    """The recorded state of everything that a model's forward may depend on."""

    def __init__(self, model: Model) -> None:
        self._entries: list[tuple[Any, ...]] = []
        self._classes: list[tuple[type, dict[str, Any]]] = []
        self._model = model
        self._seen: set[int] = set()
        self._references: list[Any] = []  # keeps objects alive while their ids are in `_seen`
        self._module_ids = {id(module) for module in model.modules()}
        self._count = 0
        self._names = {"forward", "__call__", "__getattr__", "__getattribute__"}  # attribute names in code that may run
        self._followed: set[tuple[int, str]] = set()
        self._follow(model)
        while self._follow_members():
            pass
        self.entries = tuple(self._entries)
        self._references.clear()  # they refer to the model, whose cache refers to this object
        del self._model

    def unchanged(self, model: Model) -> bool:
        """Whether the recorded state is the current one."""
        return _core.unchanged(self.entries, model)

    def with_versions(self, owners: Iterable[Any]) -> tuple[tuple[Any, ...], ...]:
        """The entries, and the versions of the tensors of these modules, for a trace that depends on their values."""
        versions = [t._version for owner in owners for t in vars(owner).values() if isinstance(t, Tensor)]
        return (*self.entries, *((_COUNT, version, version[0]) for version in versions))

    def restore(self, model: Model) -> None:
        """Undo changes of the recorded attributes, containers and arrays."""
        for kind, *rest in self.entries:
            if kind == _INSTANCE:
                attributes = vars(model if rest[0] is None else rest[0])
                skipped = {key: attributes[key] for key in rest[4] if key in attributes}
                attributes.clear()
                attributes.update(_pairs(rest[3]))
                attributes.update(skipped)
            elif kind == _MAPPING:
                rest[0].clear()
                rest[0].update(_pairs(rest[1]))
            elif kind == _LIST:
                rest[0][:] = rest[1]
            elif kind == _NAME and len(rest) == 3:
                rest[0][rest[1]] = rest[2]
            elif kind == _CELL:
                rest[0].cell_contents = rest[1]
            elif kind == _ARRAY:
                rest[0][...] = np.frombuffer(rest[1], rest[0].dtype).reshape(rest[0].shape)
        for cls, before in self._classes:
            for name, value in before.items():
                if vars(cls).get(name) is not value:
                    setattr(cls, name, value)

    def _record(self, *entry: Any) -> None:
        self._entries.append(entry)

    def _follow(self, value: Any) -> None:
        """Record a value and everything that it refers to."""
        if isinstance(value, _FIXED) or id(value) in self._seen:
            return
        self._seen.add(id(value))
        self._references.append(value)
        self._count += 1
        if self._count > _MAX_ITEMS:
            raise UnwatchableError
        if isinstance(value, Tensor):
            self._record(_DATA, value, value._data)
        elif isinstance(value, np.ndarray):
            self._array(value)
        elif isinstance(value, dict):
            self._record(_MAPPING, value, _flat(value, ()))
            self._follow_all([*value, *value.values()])
        elif isinstance(value, (list, tuple, frozenset)):
            if isinstance(value, list):
                self._record(_LIST, value, tuple(value))
            self._follow_all(list(value))
        elif isinstance(value, type):
            self._record(_TYPE, value, _version(value))
            self._class(value)
        elif isinstance(value, (FunctionType, MethodType, partial, Compiled, property, staticmethod, classmethod)):
            self._callable(value)
        elif not isinstance(value, ModuleType):
            self._object(value)

    def _follow_all(self, values: list[Any]) -> None:
        if len(values) > _MAX_ITEMS:
            raise UnwatchableError
        for value in values:
            self._follow(value)

    def _array(self, array: np.ndarray[Any, Any]) -> None:
        if type(array) is not np.ndarray or not array.flags.c_contiguous or array.dtype.hasobject:
            raise UnwatchableError
        self._record(_ARRAY, array, array.tobytes())

    def _object(self, value: Any) -> None:
        cls = type(value)
        if not hasattr(cls, "named_modules") and _package(cls.__module__) == "chainrule":
            return  # an optimizer or a generator: draws from it appear in the trace
        if not hasattr(value, "__dict__"):
            raise UnwatchableError
        skipped = ("_training", _CACHE) if id(value) in self._module_ids else (_CACHE,)
        self._class(cls)
        instance = None if value is self._model else value
        self._record(_INSTANCE, instance, cls, _version(cls), _flat(vars(value), skipped), skipped)
        self._follow_all([item for key, item in vars(value).items() if key not in skipped])

    def _class(self, cls: type) -> None:
        """A class outside chainrule and its bases: attributes are followed once code that may run names them."""
        for base in cls.__mro__:
            if _package(base.__module__) in _TRUSTED or any(base is known for known, _ in self._classes):
                continue
            attributes = dict(vars(base))
            if any(isinstance(item, MemberDescriptorType) for item in attributes.values()):
                raise UnwatchableError  # slots are not in the `__dict__` of instances
            self._classes.append((base, attributes))

    def _follow_members(self) -> bool:
        """Follow the class attributes whose names have been found; return whether any were new."""
        found = [
            item
            for base, attributes in self._classes
            for name, item in attributes.items()
            if name in self._names and (id(base), name) not in self._followed
        ]
        self._followed |= {(id(base), name) for base, attrs in self._classes for name in self._names & attrs.keys()}
        self._follow_all(found)
        return bool(found)

    def _callable(self, value: Any) -> None:
        if isinstance(value, FunctionType):
            if _package(value.__module__) not in _TRUSTED:
                self._function(value)
            return
        if isinstance(value, property):
            parts: list[Any] = [value.fget]
        elif isinstance(value, partial):
            parts = [value.func, value.args, value.keywords]
        elif isinstance(value, Compiled):
            parts = [value.function]
        else:
            parts = [value.__func__, getattr(value, "__self__", None)]
        self._follow_all(parts)

    def _function(self, function: FunctionType) -> None:
        """A function outside chainrule: its code, defaults, closure, and the globals that it uses."""
        self._record(_CODE, function, function.__code__)
        self._follow_all([function.__defaults__, function.__kwdefaults__])
        for cell in function.__closure__ or ():
            self._cell(cell)
        names = _names(function.__code__)
        self._names |= names
        for name in names:
            if name in function.__globals__:
                self._name(function.__globals__, name, names)

    def _cell(self, cell: CellType) -> None:
        try:
            content = cell.cell_contents
        except ValueError:
            return  # empty: its variable is not assigned yet
        self._record(_CELL, cell, content)
        self._follow(content)

    def _name(self, namespace: dict[str, Any], name: str, names: set[str]) -> None:
        value = namespace[name]
        self._record(_NAME, namespace, name, value)
        if not isinstance(value, ModuleType):
            self._follow(value)
        elif value.__name__ in _RANDOM:
            raise UnwatchableError
        elif _package(value.__name__) != "chainrule":
            # `settings.rate`: the attributes of a module that the code uses.
            for inner in names & vars(value).keys():
                if isinstance(vars(value)[inner], ModuleType) or _package(value.__name__) not in _TRUSTED:
                    self._name(vars(value), inner, names - {inner})


def _package(module: str | None) -> str:
    return (module or "").partition(".")[0]


def _version(cls: type) -> int:
    getattr(cls, "forward", None)  # a lookup assigns a version to the class
    return _core.type_version(cls)


def _flat(mapping: dict[Any, Any], skipped: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(part for key, value in mapping.items() if key not in skipped for part in (key, value))


def _pairs(flat: tuple[Any, ...]) -> Iterator[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _names(code: CodeType) -> set[str]:
    """The names of globals and attributes in code, including nested functions."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names

"""What a model's forward may depend on, noted so that a later call can tell whether it is still so.

The attributes of all its modules are noted by identity, the contents of lists, dicts and arrays among them, and, for
code outside of chainrule, the globals and closures that its functions read. What cannot be followed (a set, an open
file, an object without a `__dict__`) raises `UnwatchableError`: such a model is computed without a cached program.
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
_MOST = 20_000  # entries and items
_FIXED = (
    *(bool, int, float, complex, str, bytes, type(None), type(Ellipsis), type(NotImplemented), range, slice),
    *(np.generic, np.dtype, np.ufunc, BuiltinFunctionType, PurePath),
)
_TRUSTED = {"chainrule", "numpy", *sys.stdlib_module_names}  # whose functions and classes do not change
_RANDOM = {"random", "secrets", "time", "numpy.random"}  # whose functions return something else at every call


class UnwatchableError(Exception):
    """A model depends on something whose changes cannot be seen."""


class Watch:
    """The state of everything that a model's forward may depend on, as it is when this is made."""

    def __init__(self, model: Model) -> None:
        self._entries: list[tuple[Any, ...]] = []
        self._classes: list[tuple[type, dict[str, Any]]] = []
        self._model = model
        self._seen: set[int] = set()
        self._kept: list[Any] = []  # alive while their ids are in `_seen`
        self._own = {id(module) for module in model.modules()}
        self._count = 0
        self._names = {"forward", "__call__", "__getattr__", "__getattribute__"}  # named by code that may run
        self._followed: set[tuple[int, str]] = set()
        self._follow(model)
        while self._follow_members():
            pass
        self.entries = tuple(self._entries)
        self._kept.clear()  # they hold the model, whose cache holds this
        del self._model

    def holds(self, model: Model) -> bool:
        """Whether nothing has changed."""
        return _core.unchanged(self.entries, model)

    def with_counts(self, owners: Iterable[Any]) -> tuple[tuple[Any, ...], ...]:
        """The entries, and the versions of the tensors of these modules: a trace depends on their values."""
        versions = [t._version for owner in owners for t in vars(owner).values() if isinstance(t, Tensor)]
        return (*self.entries, *((_COUNT, version, version[0]) for version in versions))

    def restore(self, model: Model) -> None:
        """Put back what has changed, as far as it is noted here."""
        for kind, *rest in self.entries:
            if kind == _INSTANCE:
                own = vars(model if rest[0] is None else rest[0])
                passed_over = {key: own[key] for key in rest[4] if key in own}
                own.clear()
                own.update(_pairs(rest[3]))
                own.update(passed_over)
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

    def _note(self, *entry: Any) -> None:
        self._entries.append(entry)

    def _follow(self, value: Any) -> None:
        """Note a value, and whatever it refers to."""
        if isinstance(value, _FIXED) or id(value) in self._seen:
            return
        self._seen.add(id(value))
        self._kept.append(value)
        self._count += 1
        if self._count > _MOST:
            raise UnwatchableError
        if isinstance(value, Tensor):
            self._note(_DATA, value, value._data)
        elif isinstance(value, np.ndarray):
            self._array(value)
        elif isinstance(value, dict):
            self._note(_MAPPING, value, _flat(value, ()))
            self._follow_all([*value, *value.values()])
        elif isinstance(value, (list, tuple, frozenset)):
            if isinstance(value, list):
                self._note(_LIST, value, tuple(value))
            self._follow_all(list(value))
        elif isinstance(value, type):
            self._note(_TYPE, value, _version(value))
            self._class(value)
        elif isinstance(value, (FunctionType, MethodType, partial, Compiled, property, staticmethod, classmethod)):
            self._callable(value)
        elif not isinstance(value, ModuleType):
            self._object(value)

    def _follow_all(self, values: list[Any]) -> None:
        if len(values) > _MOST:
            raise UnwatchableError
        for value in values:
            self._follow(value)

    def _array(self, array: np.ndarray[Any, Any]) -> None:
        if type(array) is not np.ndarray or not array.flags.c_contiguous or array.dtype.hasobject:
            raise UnwatchableError
        self._note(_ARRAY, array, array.tobytes())

    def _object(self, value: Any) -> None:
        cls = type(value)
        if not hasattr(cls, "named_modules") and _package(cls.__module__) == "chainrule":
            return  # an optimizer or a generator: what forward draws from one is seen in the trace
        if not hasattr(value, "__dict__"):
            raise UnwatchableError
        skipped = ("_training", _CACHE) if id(value) in self._own else (_CACHE,)
        self._class(cls)
        held = None if value is self._model else value
        self._note(_INSTANCE, held, cls, _version(cls), _flat(vars(value), skipped), skipped)
        self._follow_all([item for key, item in vars(value).items() if key not in skipped])

    def _class(self, cls: type) -> None:
        """A class that is not ours, and its bases: their attributes are followed when code that may run names them."""
        for base in cls.__mro__:
            if _package(base.__module__) in _TRUSTED or any(base is known for known, _ in self._classes):
                continue
            held = dict(vars(base))
            if any(isinstance(item, MemberDescriptorType) for item in held.values()):
                raise UnwatchableError  # slots: not in the instances' `__dict__`
            self._classes.append((base, held))

    def _follow_members(self) -> bool:
        """Follow the class attributes that are named by now; whether there were new ones."""
        found = [
            item
            for base, held in self._classes
            for name, item in held.items()
            if name in self._names and (id(base), name) not in self._followed
        ]
        self._followed |= {(id(base), name) for base, held in self._classes for name in self._names & held.keys()}
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
        """A function outside of chainrule: its code, defaults, closure, and the globals that it names."""
        self._note(_CODE, function, function.__code__)
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
            return  # empty: a class that is not made yet
        self._note(_CELL, cell, content)
        self._follow(content)

    def _name(self, namespace: dict[str, Any], name: str, names: set[str]) -> None:
        value = namespace[name]
        self._note(_NAME, namespace, name, value)
        if not isinstance(value, ModuleType):
            self._follow(value)
        elif value.__name__ in _RANDOM:
            raise UnwatchableError
        elif _package(value.__name__) != "chainrule":
            # `settings.rate`: the attributes of a module that the code names.
            for inner in names & vars(value).keys():
                if isinstance(vars(value)[inner], ModuleType) or _package(value.__name__) not in _TRUSTED:
                    self._name(vars(value), inner, names - {inner})


def _package(module: str | None) -> str:
    return (module or "").partition(".")[0]


def _version(cls: type) -> int:
    getattr(cls, "forward", None)  # a look-up gives a class its version
    return _core.type_version(cls)


def _flat(mapping: dict[Any, Any], skipped: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(part for key, value in mapping.items() if key not in skipped for part in (key, value))


def _pairs(flat: tuple[Any, ...]) -> Iterator[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _names(code: CodeType) -> set[str]:
    """The globals and attributes that code names, functions inside of it included."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names

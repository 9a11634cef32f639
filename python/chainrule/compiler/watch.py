"""Detection of changes: whether everything that a compiled program depends on is as it was when it was traced.

Python code can change anything between two calls: replace a layer, set an attribute, append to a list, overwrite an
array, redefine a method. `Watch` therefore visits everything that a function or a model may read and records it as a
flat list of entries. A later call compares the entries with the present state in C++ (cpp/bind/watch.cpp), without any
search. Recorded are

* of a module: its attributes, by identity, or by value if they are numbers or strings;
* of any other object: the attributes that are named in the code of the functions that are followed;
* of lists, dicts, sets and arrays: their contents;
* of functions outside installed packages: code, defaults, closures, and the globals that the code reads.

Values of tensors are not recorded, because programs read them at every call; likewise the options and states of
optimizers and generators. `UnwatchableError` is raised for objects whose changes cannot be detected.
"""

from __future__ import annotations

import io
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import BuiltinFunctionType, CellType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

import numpy as np

from .. import _core
from .._tensor import Tensor
from .entries import ABSENT, Entry, Kind, flat_pairs, restore
from .names import DYNAMIC, attribute_names, global_names
from .objects import (
    UnwatchableError,
    attributes_of,
    class_version,
    foreign_array,
    has_slots,
    instance_dict,
    is_installed,
    module_of,
    package,
)

__all__ = ["UnwatchableError", "Watch"]

CACHE = "_predictions"  # the attribute that holds a model's programs
_SKIPPED = ("_training", CACHE)
_MAX_ITEMS = 20_000  # visited objects, and items of one container, if that is strict
_FIXED = (
    *(bool, int, float, complex, str, bytes, type(None), type(Ellipsis), type(NotImplemented), range, slice),
    *(np.generic, np.dtype, np.ufunc, BuiltinFunctionType, ModuleType),
)
_FIXED_CLASSES = frozenset(_FIXED)
_TRUSTED = {"chainrule", "numpy", *sys.stdlib_module_names}  # packages whose functions and classes do not change
# Modules of base classes that read no attributes of objects, or none that matter.
_WITHOUT_STATE = {
    *("builtins", "abc", "typing", "typing_extensions", "collections.abc", "enum", "logging", "threading", "types"),
    *("chainrule.nn._module", "chainrule.nn._hooks", "chainrule.nn._conversions", "chainrule.autodiff._inputs"),
}
_RANDOM = {"random", "secrets", "time", "numpy.random", "numpy.random.mtrand"}  # other results at every call
_WRAPPERS = (MethodType, partial, property, staticmethod, classmethod)
# Methods that may run without being named in code are followed, but not those of making and printing objects.
_MAKING = {"__init__", "__new__", "__repr__", "__str__", "__del__", "__init_subclass__", "__class_getitem__"}


class Watch:
    """The recorded state of everything that some functions, models or other objects may depend on.

    `owner`: an object whose entries do not refer to it, because it holds the entries. `strict`: whether any object
    whose changes cannot be detected is an error, or only iterators.
    """

    def __init__(self, roots: Sequence[Any], owner: Any = None, strict: bool = False) -> None:
        self._owner, self._strict = owner, strict
        self._recorded: list[Entry] = []
        self._seen: dict[int, Any] = {}  # objects by id, which keeps them alive meanwhile
        self._by_class: dict[type, Callable[[Any], None]] = {}  # what follows the values of a class
        self._versions: dict[type, int] = {}
        self._classes: list[tuple[type, dict[str, Any]]] = []
        self._objects: list[tuple[Any, set[str]]] = []  # objects outside chainrule, with their followed attributes
        self._names = {"forward", "step", "zero_grad"}  # attribute names in code that may run
        self._members: set[tuple[int, str]] = set()  # followed attributes of classes
        # The modes of an owner's modules are not recorded, because it sets them; of others, unless strict, they are
        # guards of the trace.
        self._modes = {id(module) for module in owner.modules()} if strict else None
        self._own = {package(module_of(root)) for root in roots}  # packages of the roots: the user's, if installed
        self.generators: list[Any] = []  # generators of NumPy that are referred to
        self.draws = False  # whether functions of `random` or `numpy.random` are named
        try:
            for root in roots:
                self._follow(root)
            while self._follow_named():
                pass
        except RecursionError:
            raise UnwatchableError("objects that are nested too deeply") from None
        for value, followed in self._objects:
            self._record_object(value, followed)
        self.entries = tuple(self._recorded)
        del self._recorded, self._seen, self._objects, self._owner, self._by_class, self._versions

    def unchanged(self, owner: Any = None) -> bool:
        """Whether the recorded state is the current one."""
        return _core.unchanged(self.entries, owner)

    def with_versions(self, owners: Iterable[Any]) -> tuple[Entry, ...]:
        """The entries, and the versions of the tensors of these modules, for a trace that depends on their values."""
        versions = [t._version for owner in owners for t in vars(owner).values() if isinstance(t, Tensor)]
        return (*self.entries, *((Kind.COUNT, version, version[0]) for version in versions))

    def restore(self, owner: Any = None) -> None:
        """Undo changes of the recorded attributes, containers and arrays."""
        for entry in self.entries:
            restore(entry, owner)
        for cls, before in self._classes:
            for name, value in before.items():
                if vars(cls).get(name) is not value:
                    setattr(cls, name, value)

    def changes(self) -> list[Entry]:
        """The entries that do not hold any more."""
        if self.unchanged():
            return []
        return [entry for entry in self.entries if not _core.unchanged((entry,), None)]

    def replace(self, entries: Sequence[Entry], by: Callable[[Entry], list[Entry]]) -> None:
        """Replace these entries, each by some others."""
        replaced = {id(entry): entry for entry in entries}
        self.entries = tuple(new for e in self.entries for new in (by(e) if id(e) in replaced else [e]))

    def _record(self, *entry: Any) -> None:
        self._recorded.append(entry)

    # What a value refers to.

    def _follow(self, value: Any) -> None:
        """Record a value and everything that it refers to."""
        cls = type(value)
        if cls in _FIXED_CLASSES or id(value) in self._seen:
            return
        follow = self._by_class.get(cls)
        if follow is None:  # once for each class: to compare with all of these takes 2 us
            follow = self._kind(value)
            if value.__class__ is cls:  # a proxy has the class of another object
                self._by_class[cls] = follow
        if follow is _skip:
            return
        self._seen[id(value)] = value
        if self._strict and len(self._seen) > _MAX_ITEMS:
            raise UnwatchableError(f"more than {_MAX_ITEMS} objects")
        follow(value)

    def _kind(self, value: Any) -> Callable[[Any], None]:
        """What follows values of this class."""
        if isinstance(value, _FIXED):
            return _skip
        if isinstance(value, Tensor):
            return self._tensor
        if hasattr(type(value), "named_modules"):
            return self._own_module if package(type(value).__module__) == "chainrule" else self._module
        for classes, follow in (
            (type, self._type),
            (np.ndarray, self._array),
            (dict, self._mapping),
            ((list, tuple, frozenset, set, deque), self._sequence),
            (FunctionType, self._function),
            (_WRAPPERS, self._wrapper),
        ):
            if isinstance(value, classes):
                return follow
        return self._object

    def _follow_all(self, values: Sequence[Any]) -> None:
        if self._strict and len(values) > _MAX_ITEMS:
            raise UnwatchableError(f"a container of {len(values)} items")
        for value in values:
            self._follow(value)

    def _tensor(self, tensor: Tensor) -> None:
        self._record(Kind.DATA, tensor, tensor._data)

    def _type(self, cls: type) -> None:
        self._record(Kind.TYPE, cls, self._version(cls))
        self._class(cls)

    def _mapping(self, mapping: dict[Any, Any]) -> None:
        self._record(Kind.MAPPING, mapping, flat_pairs(mapping, ()))
        self._follow_all([*mapping, *mapping.values()])
        self._subclass(mapping)

    def _subclass(self, value: Any) -> None:
        """The attributes and methods of a container of the user's."""
        if type(value).__module__ not in ("builtins", "collections"):
            self._class(type(value))
            self._objects.append((value, set()))

    def _sequence(self, value: Any) -> None:
        items = tuple(value)
        if isinstance(value, list):
            self._record(Kind.LIST, value, items)
        elif isinstance(value, (set, deque)):
            if self._strict:
                raise UnwatchableError(type(value).__name__)
            self._record(Kind.ITEMS, value, items)
        self._follow_all(items)
        self._subclass(value)

    def _array(self, array: Any) -> None:
        plain = type(array) is np.ndarray and array.flags.c_contiguous and not array.dtype.hasobject
        if self._strict and not plain:
            raise UnwatchableError(type(array).__name__)
        self._record(Kind.ARRAY, array, array.tobytes(), array.shape)

    def _module(self, module: Any) -> None:
        self._class(type(module))
        self._objects.append((module, set()))

    def _own_module(self, module: Any) -> None:
        """A module of chainrule."""
        self._follow_all(self._record_instance(module, self._skipped(module))[1::2])

    def _skipped(self, module: Any) -> tuple[str, ...]:
        """The attributes of a module that do not matter."""
        return _SKIPPED if self._modes is None or id(module) in self._modes else (CACHE,)

    def _object(self, value: Any) -> None:
        cls = type(value)
        attributes = instance_dict(value)
        if cls.__module__ == "numpy.random._generator":
            self.generators.append(value)
        if hasattr(cls, "__wrapped__") or hasattr(value, "__wrapped__"):  # a cached function
            self._follow(value.__wrapped__)
        elif package(cls.__module__) == "chainrule":
            self._own_object(value, attributes or {})
        elif hasattr(value, "__array__"):
            self._record(Kind.ARRAY, *foreign_array(value), ())
        elif hasattr(cls, "__next__") and not isinstance(value, io.IOBase):
            raise UnwatchableError(f"an iterator ({cls.__name__}), which returns something else at every call")
        elif attributes is None and (self._strict or not has_slots(cls)):
            if self._strict:
                raise UnwatchableError(cls.__name__)
        else:
            self._class(cls)
            self._objects.append((value, set()))

    def _own_object(self, value: Any, attributes: dict[str, Any]) -> None:
        """An object of chainrule other than a module. Programs read what optimizers and generators hold in arrays."""
        function = attributes.get("function")  # of a compiled function
        if function is not None:
            self._follow(function)
        elif "param_groups" in attributes and not self._strict:
            self._record_instance(value, ())
            for group in attributes["param_groups"]:
                self._record_instance(group, ("initial", "_step_states"))
                self._record(Kind.LIST, group.params, tuple(group.params))
                self._follow_all(group.params)
            self._record(Kind.LIST, value.param_groups, tuple(value.param_groups))
            self._record(Kind.LIST, value.params, tuple(value.params))

    # Classes and functions.

    def _class(self, cls: type) -> None:
        """A class outside chainrule and its bases: attributes are followed once code that may run names them."""
        for base in cls.__mro__:
            if self._is_trusted(base.__module__) or any(base is known for known, _ in self._classes):
                continue
            attributes = dict(vars(base))
            if self._strict and any(isinstance(item, MemberDescriptorType) for item in attributes.values()):
                raise UnwatchableError(cls.__name__)  # slots are not in the `__dict__` of instances
            self._classes.append((base, attributes))
            self._names |= {
                name
                for name, item in attributes.items()
                if name[:2] == "__" and name not in _MAKING and isinstance(item, FunctionType)
            }

    def _wrapper(self, value: Any) -> None:
        if isinstance(value, property):
            parts: list[Any] = [value.fget]
        elif isinstance(value, partial):
            parts = [value.func, value.args, value.keywords]
        else:
            parts = [value.__func__, getattr(value, "__self__", None)]
        self._follow_all(parts)

    def _function(self, function: FunctionType) -> None:
        """A function: its code, defaults, closure, and the globals that it reads."""
        if self._is_trusted(function.__module__) and not hasattr(function, "__wrapped__"):
            return
        code = function.__code__
        names = attribute_names(code)
        self._record(Kind.CODE, function, code, function.__defaults__, function.__kwdefaults__)
        self._follow_all([function.__defaults__, function.__kwdefaults__])
        for cell in function.__closure__ or ():
            self._cell(cell, names)
        self._names |= names
        for name in global_names(code):
            if name in function.__globals__:
                self._name(function.__globals__, name, names)

    def _cell(self, cell: CellType, names: frozenset[str]) -> None:
        try:
            content = cell.cell_contents
        except ValueError:
            return  # empty: its variable is not assigned yet
        self._record(Kind.CELL, cell, content)
        self._refer(content, names)

    def _name(self, namespace: dict[str, Any], name: str, names: frozenset[str]) -> None:
        value = namespace[name]
        self._record(Kind.NAME, namespace, name, value)
        self._refer(value, names)

    def _refer(self, value: Any, names: frozenset[str]) -> None:
        """Follow what code with these names refers to."""
        if not isinstance(value, ModuleType):
            self.draws = self.draws or type(getattr(value, "__self__", None)).__module__ in _RANDOM
            self._follow(value)
        elif value.__name__ in _RANDOM:
            if self._strict:
                raise UnwatchableError(value.__name__)
            self.draws = True
        elif self._is_trusted(value.__name__):
            if package(value.__name__) != "chainrule":
                for name in names:
                    lazy = f"{value.__name__}.{name}" in _RANDOM  # numpy.random is loaded on first use
                    if isinstance(getattr(value, name) if lazy else vars(value).get(name), ModuleType):
                        self._name(vars(value), name, names - {name})
        elif id(value) not in self._seen:
            self._seen[id(value)] = value  # `settings.rate`: the attributes of a module that code uses
            self._objects.append((value, set()))

    # Attributes, as far as code names them.

    def _follow_named(self) -> bool:
        """Follow the attributes of objects and classes whose names have been found; return whether any were new."""
        before = len(self._members), sum(len(followed) for _, followed in self._objects), len(self._objects)
        for base, attributes in list(self._classes):
            for name in self._names & attributes.keys():
                if (id(base), name) not in self._members:
                    self._members.add((id(base), name))
                    self._follow(attributes[name])
        everything = bool(self._names & DYNAMIC)
        for value, followed in list(self._objects):
            for name, item in attributes_of(value).items():
                if name not in followed and (everything or name in self._names or self._belongs(value, item)):
                    followed.add(name)
                    if name not in _SKIPPED:
                        self._refer(item, frozenset(self._names))
        return before != (
            len(self._members), sum(len(followed) for _, followed in self._objects), len(self._objects)
        )  # fmt: skip

    def _belongs(self, value: Any, item: Any) -> bool:
        """Whether an attribute is read by code that is not followed: that of an installed base class, or of Module."""
        cls = type(value)
        if any(self._is_trusted(base.__module__) and base.__module__ not in _WITHOUT_STATE for base in cls.__mro__):
            return True
        members = isinstance(item, (Tensor, list, tuple, dict)) or hasattr(type(item), "named_modules")
        return members and hasattr(cls, "named_modules")

    def _record_object(self, value: Any, followed: set[str]) -> None:
        cls = type(value)
        attributes = instance_dict(value) or {}
        if hasattr(cls, "named_modules"):
            others = [name for name in attributes if name not in followed and name != "_training"]
            self._record_instance(value, (*self._skipped(value), *others))
        else:
            # Attributes of the class that the object may get, too.
            named = followed | {
                name for base, members in self._classes if base in cls.__mro__ for name in self._names & members.keys()
            }
            pairs = [
                part for name in sorted(named) if name[:2] != "__" for part in (name, attributes.get(name, ABSENT))
            ]
            self._record(Kind.ATTRIBUTES, value, cls, self._version(cls), tuple(pairs))
        for name in followed - attributes.keys():
            self._record(Kind.SLOT, value, name, getattr(value, name))

    def _record_instance(self, value: Any, skipped: tuple[str, ...]) -> tuple[Any, ...]:
        """Record its attributes; returns them as names and values in turn."""
        cls = type(value)
        instance = None if value is self._owner else value
        attributes = flat_pairs(vars(value), skipped)
        self._record(Kind.INSTANCE, instance, cls, self._version(cls), attributes, skipped)
        return attributes

    def _version(self, cls: type) -> int:
        if cls not in self._versions:
            self._versions[cls] = class_version(cls)
        return self._versions[cls]

    def _is_trusted(self, module: str | None) -> bool:
        """Whether functions and classes of a module do not change: those of installed packages but the user's."""
        name = package(module)
        return name in _TRUSTED or (not self._strict and name not in self._own and is_installed(name))


def _skip(value: Any) -> None:
    """Of a class whose values do not change."""

"""The classes that model files may name: the layers of `cr.nn`, and those that users register."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, overload

from ._module import Module

__all__ = ["LAYERS", "REGISTERED", "register_serializable"]

M = TypeVar("M", bound=Module)

LAYERS: dict[str, type[Module]] = {}  # filled by the package, when all layers are defined
REGISTERED: dict[str, type[Module]] = {}


@overload
def register_serializable(cls: type[M], *, name: str | None = None) -> type[M]: ...


@overload
def register_serializable(cls: None = None, *, name: str | None = None) -> Callable[[type[M]], type[M]]: ...


def register_serializable(
    cls: type[M] | None = None, *, name: str | None = None
) -> type[M] | Callable[[type[M]], type[M]]:
    """Let `cr.save` and `cr.load` store models with a class of your own; a decorator.

    A file stores the class's name, what its `config()` returns, and the values of parameters and buffers. `cr.load`
    calls the class registered under that name with the configuration, `cls(**config)`; it imports nothing, so register
    the class before loading. `config()` must return the constructor's arguments: numbers, strings, bools, None, lists
    and dicts of these, and modules that belong to the layer.

    Arguments: `cls`, a subclass of `Module`; `name`, what files call it (default: the class's name).
    Returns: the class.
    Errors: TypeError for anything but a subclass of `Module`; ValueError for a name of `cr.nn` or of another class.

    >>> import os, tempfile
    >>> import chainrule as cr
    >>> @cr.nn.register_serializable
    ... class Shortcut(cr.nn.Module):
    ...     def __init__(self, width):
    ...         self.width = width
    ...         self.inner = cr.nn.Linear(width, width)
    ...     def forward(self, x):
    ...         return x + cr.tanh(self.inner(x))
    ...     def config(self):
    ...         return {"width": self.width}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     cr.save(cr.nn.Sequential(Shortcut(3), cr.nn.Linear(3, 1)), path)
    ...     cr.load(path)[0].width
    3
    """
    if cls is None:
        return lambda given: _register(given, name)
    return _register(cls, name)


def _register(cls: type[M], name: str | None) -> type[M]:
    if not (isinstance(cls, type) and issubclass(cls, Module)) or cls is Module:
        raise TypeError(f"register_serializable: expected a subclass of Module, got {cls!r}")
    key = cls.__name__ if name is None else name
    if not isinstance(key, str) or not key:
        raise TypeError(f"register_serializable: name must be a string that is not empty, got {key!r}")
    if key in LAYERS:
        raise ValueError(f"register_serializable: {key} is a layer of cr.nn; choose another name=")
    other = REGISTERED.get(key, cls)
    # A class that is defined again, as in a notebook, replaces the earlier one.
    if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(
            f"register_serializable: {key} is {other.__module__}.{other.__qualname__} already; choose another name="
        )
    for taken in [taken for taken, found in REGISTERED.items() if found is other and taken != key]:
        del REGISTERED[taken]
    REGISTERED[key] = cls
    return cls

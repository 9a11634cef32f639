"""Kinds of models that are a net with a description: a class by the name that files give it.

Such a model has `net`, a Module, and `describe()`, everything else as JSON; its class has `rebuild(description, net)`.
An object that holds one (an estimator) has it as `chainrule_model_`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

from ..nn import Module

__all__ = ["Described", "class_of", "kind_of", "model_of"]

# The only modules that loading a file may import; here, because they build on this package.
_KINDS = {"tabular": ("chainrule.tabular", "TabularModel")}


class Described(Protocol):
    """A model of a kind."""

    net: Module

    def describe(self) -> Any:
        """Everything but the net, as JSON."""


def model_of(model: Any) -> Any:
    """The model that an estimator holds; any other object itself."""
    return getattr(model, "chainrule_model_", model)


def kind_of(model: Any) -> str | None:
    """The name of the model's kind; None for a module or a dict."""
    name = type(model).__module__, type(model).__qualname__
    return next((kind for kind, (package, own) in _KINDS.items() if name == (f"{package}._model", own)), None)


def class_of(kind: str) -> Any:
    """The class of a kind; ValueError for an unknown one."""
    if kind not in _KINDS:
        raise ValueError(f"a model of kind {kind[:40]!r}, expected one of {', '.join(_KINDS)}")
    package, name = _KINDS[kind]
    return getattr(import_module(package), name)

"""The table from NumPy's functions to adapters of ops.

An adapter has the parameters of NumPy's function, in its order and with its defaults; those that the op lacks are
checked to be the defaults. NoOpError means that only NumPy's function can take the arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

__all__ = ["FUNCTIONS", "NoOpError", "Row", "adapts", "check_default"]


F = TypeVar("F", bound=Callable[..., Any])


class NoOpError(Exception):
    """The op has no counterpart of the arguments; the message says of which."""


@dataclass(frozen=True)
class Row:
    """An adapter from the arguments of a NumPy function to an op; `floats`: the op takes float tensors only."""

    adapter: Callable[..., Any]
    floats: bool = True

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call the adapter; NoOpError for arguments that it does not have."""
        code = self.adapter.__code__
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if code.co_flags & 0x04 == 0 and len(args) > code.co_argcount:  # without *args
            raise NoOpError(f"its op takes {code.co_argcount} arguments")
        unknown = [name for name in kwargs if name not in names]
        if unknown:
            raise NoOpError(f"its op has no {unknown[0]}=")
        return self.adapter(*args, **kwargs)


def check_default(**given: tuple[Any, Any]) -> None:
    """Raise NoOpError unless all arguments, name=(value, default), have their defaults."""
    for name, (value, default) in given.items():
        if value is not default and not (isinstance(value, str) and value == default):
            raise NoOpError(f"its op has no {name}={value!r}")


FUNCTIONS: dict[Any, Row] = {}


def adapts(*names: str, floats: bool = False) -> Callable[[F], F]:
    """Register an adapter for the functions of these names that the installed NumPy has."""

    def register(adapter: F) -> F:
        for name in names:
            if hasattr(np, name):
                FUNCTIONS[getattr(np, name)] = Row(adapter, floats)
        return adapter

    return register

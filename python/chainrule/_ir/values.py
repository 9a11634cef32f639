"""Values of a program by number: what is known of each before it is computed."""

from __future__ import annotations

from dataclasses import dataclass

from .._util.dtypes import Array, Spec

__all__ = ["Value"]


@dataclass(eq=False, slots=True)
class Value:
    """A numbered value. `array` is the memory of a captured one; `constant`, that nobody can change it."""

    spec: Spec
    array: Array | None = None
    constant: bool = False

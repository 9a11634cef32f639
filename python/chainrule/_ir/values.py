"""The values of a program, and what is known of each at compile time."""

from __future__ import annotations

from dataclasses import dataclass

from .._util.dtypes import Array, Spec

__all__ = ["Value"]


@dataclass(eq=False, slots=True)
class Value:
    """A numbered value. `array` is the memory of a captured array, `constant` marks it as immutable."""

    spec: Spec
    array: Array | None = None
    constant: bool = False

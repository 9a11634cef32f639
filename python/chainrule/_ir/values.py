"""The values of a program, and what is known of each at compile time."""

from __future__ import annotations

from .._util.dtypes import Array, Spec

__all__ = ["Value"]


class Value:
    """A numbered value. `array` is the memory of a captured array, `constant` marks it as immutable."""

    __slots__ = ("array", "constant", "spec")

    def __init__(self, spec: Spec, array: Array | None = None, constant: bool = False) -> None:
        self.spec = spec
        self.array = array
        self.constant = constant

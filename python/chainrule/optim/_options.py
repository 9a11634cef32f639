"""Options of optimizers: numbers in memory that compiled programs read at every run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, isfinite
from typing import Any, Generic, Protocol, TypeVar, overload

import numpy as np
import numpy.typing as npt

__all__ = ["Flag", "Number", "Option", "Pair", "options_of"]

V = TypeVar("V")
Numbers = npt.NDArray[np.float64]


class _HasOptions(Protocol):
    """What an option asks of its optimizer."""

    param_groups: Any

    def _change(self, options: Sequence[Mapping[str, Any]]) -> None: ...


class Option(Generic[V]):
    """An option of an optimizer as its attribute: that of all its groups.

    A class declares its options in the order of the kernel's (`_core.update_options`), those that only Python reads
    last; `place`, of the first number in the memory of a group, follows from that.

    Arguments: `below` and `most`, bounds of which the first is not reached.
    """

    size = 1

    def __init__(self, below: float = inf, most: float = inf) -> None:
        self.below, self.most = below, most
        self.name, self.place = "", -1

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, optimizer: None, owner: type) -> Option[V]: ...
    @overload
    def __get__(self, optimizer: _HasOptions, owner: type) -> V: ...
    def __get__(self, optimizer: _HasOptions | None, owner: type) -> Option[V] | V:
        if optimizer is None:
            return self
        values = [group[self.name] for group in optimizer.param_groups]
        if any(value != values[0] for value in values):
            raise ValueError(
                f"{owner.__name__}: the groups differ in {self.name}, {values}; ask param_groups[i][{self.name!r}]"
            )
        value: V = values[0]
        return value

    def __set__(self, optimizer: _HasOptions, value: V) -> None:
        optimizer._change([{self.name: value} for _ in optimizer.param_groups])

    def write(self, numbers: Numbers, value: Any, what: str) -> None:
        """Put the checked value into a group's memory; `what` begins the error."""
        parts = self.parts(value, what)
        numbers[self.place : self.place + self.size] = [self._checked(part, value, what) for part in parts]

    def _checked(self, part: Any, value: Any, what: str) -> float:
        number = float(part)
        if not (isfinite(number) and number >= 0):
            raise ValueError(f"{what}: {self.name} must be a finite number of at least 0, got {value}")
        if number >= self.below:
            raise ValueError(f"{what}: {self.name} must be below {self.below:g}, got {value}")
        if number > self.most:
            raise ValueError(f"{what}: {self.name} must be at most {self.most:g}, got {value}")
        return number

    def number_names(self) -> list[str]:
        """The names of its numbers, as the kernel has them."""
        return [self.name]

    def parts(self, value: Any, what: str) -> list[Any]:
        """The numbers of a value."""
        return [value]

    def read(self, numbers: Numbers) -> V:
        """The value of a group."""
        raise NotImplementedError


class Number(Option[float]):
    """A finite number of at least 0."""

    def read(self, numbers: Numbers) -> float:
        """The value of a group."""
        return float(numbers[self.place])


class Flag(Option[bool]):
    """True or false, in memory 1 or 0."""

    def parts(self, value: Any, what: str) -> list[Any]:
        """1 or 0."""
        return [bool(value)]

    def read(self, numbers: Numbers) -> bool:
        """The value of a group."""
        return bool(numbers[self.place])


class Pair(Option[tuple[float, float]]):
    """Two numbers: those of `betas` are beta1 and beta2."""

    size = 2

    def number_names(self) -> list[str]:
        """The names of both numbers."""
        return [f"{self.name.removesuffix('s')}{i}" for i in (1, 2)]

    def parts(self, value: Any, what: str) -> list[Any]:
        """Both numbers."""
        found = list(value)
        if len(found) != 2:
            raise ValueError(f"{what}: {self.name} must be two numbers, got {value}")
        return found

    def read(self, numbers: Numbers) -> tuple[float, float]:
        """The value of a group."""
        return float(numbers[self.place]), float(numbers[self.place + 1])


def options_of(cls: type) -> dict[str, Option[Any]]:
    """The options of an optimizer's class by name, those of its bases first; each gets its place in memory."""
    members = (item for base in reversed(cls.__mro__) for item in vars(base).items())
    options = {name: member for name, member in members if isinstance(member, Option)}
    place = 0
    for option in options.values():
        if option.place not in (-1, place):
            raise TypeError(f"{cls.__name__}: option {option.name} of a base class must keep its place in memory")
        option.place = place
        place += option.size
    return options

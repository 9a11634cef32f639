"""Options of optimizers, stored in an array of hyperparameters that compiled programs read at every run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, isfinite
from typing import Any, Generic, Protocol, TypeVar, overload

import numpy as np
import numpy.typing as npt

__all__ = ["Flag", "Number", "Option", "Pair", "Whole", "options_of"]

V = TypeVar("V")
Hyperparameters = npt.NDArray[np.float64]


class _HasOptions(Protocol):
    """The members of an optimizer that an option uses."""

    param_groups: Any

    def _change(self, options: Sequence[Mapping[str, Any]]) -> None: ...


class Option(Generic[V]):
    """Descriptor of an optimizer's option, for all its groups at once.

    A class declares its options in the order of its kernel (`_core.update_options`), those that only Python reads
    last. The order determines `offset`, the index of the option's first value in a group's hyperparameters.

    Arguments: `below`, an exclusive upper bound; `most`, an inclusive one.
    """

    size = 1

    def __init__(self, below: float = inf, most: float = inf) -> None:
        self.below, self.most = below, most
        self.name, self.offset = "", -1

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
                f"{owner.__name__}: the groups differ in {self.name}, {values}; read param_groups[i][{self.name!r}]"
            )
        value: V = values[0]
        return value

    def __set__(self, optimizer: _HasOptions, value: V) -> None:
        optimizer._change([{self.name: value} for _ in optimizer.param_groups])

    def write(self, hyperparameters: Hyperparameters, value: Any, what: str) -> None:
        """Check the value and write it to a group's hyperparameters; `what` begins error messages."""
        parts = self.parts(value, what)
        hyperparameters[self.offset : self.offset + self.size] = [self._checked(part, value, what) for part in parts]

    def _checked(self, part: Any, value: Any, what: str) -> float:
        number = float(part)
        if not (isfinite(number) and number >= 0):
            raise ValueError(f"{what}: {self.name} must be a finite number of at least 0, got {value}")
        if number >= self.below:
            raise ValueError(f"{what}: {self.name} must be below {self.below:g}, got {value}")
        if number > self.most:
            raise ValueError(f"{what}: {self.name} must be at most {self.most:g}, got {value}")
        return number

    def kernel_names(self) -> list[str]:
        """The names of its hyperparameters in the kernel."""
        return [self.name]

    def parts(self, value: Any, what: str) -> list[Any]:
        """The hyperparameters of a value."""
        return [value]

    def read(self, hyperparameters: Hyperparameters) -> V:
        """The value in a group's hyperparameters."""
        raise NotImplementedError


class Number(Option[float]):
    """A finite number of at least 0."""

    def parts(self, value: Any, what: str) -> list[Any]:
        """The number; a bool, which stands in another place in earlier versions, is none."""
        if isinstance(value, (bool, np.bool_)):
            raise TypeError(f"{what}: {self.name} must be a number, got {value}")
        return [value]

    def read(self, hyperparameters: Hyperparameters) -> float:
        """The value in a group's hyperparameters."""
        return float(hyperparameters[self.offset])


class Whole(Number):
    """A whole number of at least 0."""

    def parts(self, value: Any, what: str) -> list[Any]:
        """The number."""
        (number,) = super().parts(value, what)
        if not float(number).is_integer():
            raise ValueError(f"{what}: {self.name} must be a whole number, got {value}")
        return [number]


class Flag(Option[bool]):
    """A bool, stored as 1 or 0."""

    def parts(self, value: Any, what: str) -> list[Any]:
        """1 or 0."""
        if not isinstance(value, (bool, np.bool_)) and value not in (0, 1):
            raise TypeError(f"{what}: {self.name} must be True or False, got {value!r}")
        return [bool(value)]

    def read(self, hyperparameters: Hyperparameters) -> bool:
        """The value in a group's hyperparameters."""
        return bool(hyperparameters[self.offset])


class Pair(Option[tuple[float, float]]):
    """A pair of numbers: `betas` is beta1 and beta2."""

    size = 2

    def kernel_names(self) -> list[str]:
        """The names of both hyperparameters."""
        return [f"{self.name.removesuffix('s')}{i}" for i in (1, 2)]

    def parts(self, value: Any, what: str) -> list[Any]:
        """Both hyperparameters."""
        found = list(value)
        if len(found) != 2:
            raise ValueError(f"{what}: {self.name} must be two numbers, got {value}")
        return found

    def read(self, hyperparameters: Hyperparameters) -> tuple[float, float]:
        """The value in a group's hyperparameters."""
        return float(hyperparameters[self.offset]), float(hyperparameters[self.offset + 1])


def options_of(cls: type) -> dict[str, Option[Any]]:
    """Return the options of an optimizer class by name, those of its bases first, and assign their offsets."""
    members = (item for base in reversed(cls.__mro__) for item in vars(base).items())
    options = {name: member for name, member in members if isinstance(member, Option)}
    offset = 0
    for option in options.values():
        if option.offset not in (-1, offset):
            raise TypeError(f"{cls.__name__}: option {option.name} of a base class must keep its offset")
        option.offset = offset
        offset += option.size
    return options

"""What a row of the tables of elementwise and row-wise ops is. A row stands behind the functions of its op."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from .bits import Array

Interval = tuple[float, float]
ORDINARY: Interval = (-3.0, 3.0)
PAIR = (ORDINARY, ORDINARY)


@dataclass(frozen=True)
class Row:
    """What one elementwise op is.

    value:      ``value(*inputs, **attributes)`` in the dtype of its inputs (bool for comparisons)
    gradient:   the kernel `<op>_grad`, ``gradient(kept, g, **attributes)``; None = made of other ops
    kept:       "x" or "y": what is saved for the gradient
    domain:     per input an interval of finite values with finite results, for random tests; None = a bool input
    attributes: sets of keyword arguments worth testing
    kinks:      ``kinks(**attributes)``: arguments at which the first or second derivative jumps
    """

    value: Callable[..., Array]
    gradient: Callable[..., Array] | None = None
    kept: Literal["x", "y"] | None = None
    domain: tuple[Interval | None, ...] = (ORDINARY,)
    attributes: tuple[Mapping[str, float], ...] = ({},)
    kinks: Callable[..., tuple[float, ...]] = lambda **attributes: ()

    @property
    def n_inputs(self) -> int:
        """Number of array arguments of `value`."""
        return len(self.domain)


def numbers_of(name: str, *values: float) -> tuple[Mapping[str, float], ...]:
    """Sets of one attribute."""
    return tuple({name: value} for value in values)


def at_zero(**attributes: float) -> tuple[float, ...]:
    """The kink of most activation functions."""
    return (0.0,)


@dataclass(frozen=True)
class RowwiseRow:
    """What one op on rows is: a row of the result needs the whole row of the input.

    value, gradient: ``value(x, axis)`` and the kernel `<op>_grad`, ``gradient(kept, g, axis)``
    kept:            "x" or "y": what is saved for the gradient
    domain:          an interval of ordinary values
    """

    value: Callable[..., Array]
    gradient: Callable[..., Array]
    kept: Literal["x", "y"]
    domain: Interval = (-20.0, 20.0)


REFERENCE: dict[str, Row] = {}
ROWWISE: dict[str, RowwiseRow] = {}

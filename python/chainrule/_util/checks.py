"""Validation of numeric arguments. `what` begins the message: the caller and its argument, "Conv2d: stride"."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["MAX_SIZE", "check_integer", "check_number", "check_size", "check_total", "is_integer"]

# The longest axis, stride or padding, and the most bytes of an array. The core computes with int64, and its sums of a
# few sizes must not overflow (cpp/program/checked.h).
MAX_SIZE = 2**61 - 1


def is_integer(value: Any) -> bool:
    """Whether a value is a Python or NumPy integer; bools are not.

    >>> from chainrule._util.checks import is_integer
    >>> is_integer(3), is_integer(3.0), is_integer(True)
    (True, False, False)
    """
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def check_integer(what: str, value: Any, minimum: int | None = None) -> int:
    """Return the value as an int; TypeError unless it is an integer, ValueError below `minimum`, above MAX_SIZE.

    >>> from chainrule._util.checks import check_integer
    >>> check_integer("fit: epochs", 0, 1)
    Traceback (most recent call last):
    ...
    ValueError: fit: epochs must be at least 1, got 0
    """
    if not is_integer(value):
        raise TypeError(f"{what} must be an integer, got {value!r}")
    if minimum is not None and value < minimum:
        raise ValueError(f"{what} must be at least {minimum}, got {value}")
    if abs(int(value)) > MAX_SIZE:
        raise ValueError(f"{what} must be at most 2**61 - 1, got {value}")
    return int(value)


def check_size(what: str, value: Any) -> int:
    """Return the value as an int; ValueError unless it is an integer from 1 to MAX_SIZE, like the sizes of a layer.

    >>> from chainrule._util.checks import check_size
    >>> check_size("Linear: in_features", 4)
    4
    """
    if not is_integer(value) or value < 1:
        raise ValueError(f"{what} must be an integer of at least 1, got {value!r}")
    return check_integer(what, value)


def check_total(what: str, shape: Sequence[int], itemsize: int) -> None:
    """ValueError for a shape with a negative length or more bytes than MAX_SIZE.

    >>> from chainrule._util.checks import check_total
    >>> check_total("zeros", (2**40, 2**40), 4)
    Traceback (most recent call last):
    ...
    ValueError: zeros: shape (1099511627776, 1099511627776) has more elements than any memory
    """
    if min(shape, default=1) > 0 and math.prod(shape) * itemsize <= MAX_SIZE:
        return
    if min(shape, default=0) < 0:
        raise ValueError(f"{what}: the lengths of shape {tuple(shape)} must not be negative")
    if max(1, *shape, 1) > MAX_SIZE or math.prod(shape) * itemsize > MAX_SIZE:
        raise ValueError(f"{what}: shape {tuple(shape)} has more elements than any memory")


def check_number(
    what: str, value: Any, minimum: float = 0, maximum: float | None = None, *, above: bool = False
) -> float:
    """Return the value as a float; ValueError unless finite, >= `minimum` (> with `above`) and <= `maximum`.

    >>> from chainrule._util.checks import check_number
    >>> check_number("huber_loss: delta", 0.0, above=True)
    Traceback (most recent call last):
    ...
    ValueError: huber_loss: delta must be a finite number above 0, got 0.0
    """
    number = float(value)
    if maximum is not None and not minimum <= number <= maximum:
        raise ValueError(f"{what} must be from {minimum} to {maximum}, got {value}")
    if not math.isfinite(number) or number < minimum or (above and number == minimum):
        raise ValueError(f"{what} must be a finite number {'above' if above else 'of at least'} {minimum}, got {value}")
    return number

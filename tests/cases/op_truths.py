"""Calls of ops on bits and truth values, of divisions with a remainder, and of rounding to decimals, for `op_cases`."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

import chainrule as cr
from reference import elementwise
from reference.row import ORDINARY, Interval

ON_BITS = ("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not")
TRUTHS = ("logical_and", "logical_or", "logical_xor", "logical_not", "isnan", "isinf", "isfinite")
COUNTS = ("any", "all", "count_nonzero")

Shape = tuple[int, ...]
# name, shapes, function of tensors, the same in NumPy, interval of the arguments (None: bool), note
Row = tuple[str, tuple[Shape, ...], Callable[..., Any], Callable[..., Any], Interval | None, str]


def truths(shapes_of: dict[int, tuple[tuple[Shape, ...], ...]], axes: Sequence[tuple[Shape, Any]]) -> Iterator[Row]:
    """Of masks, and of floats some of which are 0, infinite or NaN."""
    for name in ON_BITS:
        for shapes in shapes_of[1 if name == "bitwise_not" else 2]:
            yield name, shapes, getattr(cr, name), getattr(np, name), None, ""
    for name in TRUTHS:
        for shapes in shapes_of[2 if name in TRUTHS[:3] else 1]:
            functions = [partial(_of_special, getattr(module, name), module) for module in (cr, np)]
            yield name, shapes, *functions, ORDINARY, ""
    for name in COUNTS:
        for shape, axis in axes:
            for keepdims in (False, True):
                functions = [
                    partial(_of_special, partial(getattr(module, name), axis=axis, keepdims=keepdims), module)
                    for module in (cr, np)
                ]
                yield name, (shape,), *functions, ORDINARY, f"axis {axis}" + " kept" * keepdims


def _of_special(function: Callable[..., Any], module: Any, *x: Any) -> Any:
    """The function of floor(x), and of infinities and NaN for x below -1 or above 2."""
    return function(*[module.floor(t) / (t > -1) * (t < 2) for t in x])


def divisions(shapes_of: Sequence[tuple[Shape, ...]]) -> Iterator[tuple[Any, ...]]:
    """The arguments of cases."""
    for i, name in enumerate(("floor_divide", "remainder")):
        for shapes in shapes_of:
            function = lambda a, b, i=i: cr.divmod(a, b)[i]  # noqa: E731
            yield "divmod", shapes, function, getattr(elementwise, name), (ORDINARY, (0.25, 4.0)), f"{i}"
    for decimals in (1, 2, -1, 12):
        function, reference = partial(cr.round, decimals=decimals), partial(elementwise.rounded, decimals=decimals)
        yield (
            "round",
            ((3, 5),),
            function,
            reference,
            ((-300.0, 300.0),),
            f"{decimals}",
            decimals < 12,
        )  # differences see its steps

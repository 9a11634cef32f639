"""Calls of powers, polygamma and reciprocal, for `op_cases`: the arguments of its cases."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import chainrule as cr
from reference import elementary
from reference.bits import Array
from reference.row import ORDINARY

Shape = tuple[int, ...]


def rows(shapes_of: dict[int, tuple[tuple[Shape, ...], ...]]) -> Iterator[tuple[Any, ...]]:
    """By tensors, by an array and of a number."""
    for shapes in shapes_of[2]:
        yield "power", shapes, cr.power, elementary.power, ((0.25, 4.0), ORDINARY), "tensors"
    of_2 = partial(elementary.evaluate, "exp2")
    yield "power", ((3, 5),), lambda x: cr.power(2, x), of_2, (ORDINARY,), "of 2"
    yield "power", ((3, 5),), lambda x: cr.power(0.75, x), _power_of_number, (ORDINARY,), "of 0.75"
    for n, of_n in ((1, shapes_of[1]), (2, shapes_of[1][:2]), (0, shapes_of[1][:2])):
        reference = partial(elementary.polygamma, n) if n else partial(elementary.evaluate, "digamma")
        for shape in of_n:
            yield "polygamma", shape, partial(cr.polygamma, n), reference, ((0.4, 9.0),), f"{n}"
    for shape in shapes_of[1]:
        yield "reciprocal", shape, cr.reciprocal, lambda x: np.asarray(x.dtype.type(1) / x), ((0.25, 4.0),)


def _power_of_number(x: Array) -> Array:
    return elementary.power(np.full_like(x, 0.75), x)

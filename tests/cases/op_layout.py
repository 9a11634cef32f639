"""Arguments of functions that move elements, for `op_cases`."""

from typing import Any

import numpy as np

Shape = tuple[int, ...]

# Functions of NumPy that move elements: name, shape, further arguments.
MOVED: tuple[tuple[str, Shape, tuple[Any, ...]], ...] = (
    *(("expand_dims", (2, 3), (axis,)) for axis in (0, -1, (0, 2))),
    *(("squeeze", (1, 3, 1), axis) for axis in ((), (0,), (-1,), ((0, 2),))),
    *(("swapaxes", (2, 3, 4), axes) for axes in ((0, 1), (-1, 0), (1, 1))),
    *(("moveaxis", (2, 3, 4), axes) for axes in ((0, -1), ([0, 1], [-1, 0]), (-1, 1))),
    *(("flip", (2, 3, 4), axis) for axis in ((), (0,), ((0, -1),))),
    *(("roll", (2, 3, 4), by) for by in ((5,), (-1, 1), ((1, -2), (0, 2)), (3, (0, 2)), (0, 0), (1, ()))),
    *(("repeat", (2, 3), by) for by in ((2,), (2, 0), ([2, 0, 1], -1), (0, 1))),
    *(("tile", (2, 3), (reps,)) for reps in (2, (2, 1), (3, 1, 2), (0, 2), (1,))),
    *(("diagonal", (3, 4), (offset,)) for offset in (0, 1, -1, 3, 7, -7)),
    *(("diagonal", (2, 3, 4), axes) for axes in ((1, 0, 2), (-1, -1, 0))),
)

INDICES: tuple[Any, ...] = (
    1, -1, (2, 3), (1, -2, 0), slice(None, None, -1), slice(1, 3), (slice(None), slice(4, 0, -2)), (Ellipsis, 1),
    (None, 2, slice(None), None), (slice(3, 1), slice(None)), (slice(None, None, 3), Ellipsis, slice(-2, None)),
    Ellipsis, (), (Ellipsis, None), [2, 0, 2], (slice(None), [3, 0, 3]), (..., [0, 2]), ([0, 3, 3], [1, 1, 4]),
    ([[0], [2]], slice(None), [1, 0]), (1, [2, 2], slice(None, None, -1)), (slice(1, 3), None, [0, 1]),
    [True, False, True, False], (slice(None), [False, True, True, False, True]), np.arange(60).reshape(4, 5, 3) % 7 < 3,
    (np.arange(20).reshape(4, 5) % 3 == 0, 1), [False] * 4, [],
)  # fmt: skip

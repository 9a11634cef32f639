"""Random calls of NumPy's functions that are formulas of several ops."""

from collections.abc import Callable
from typing import Any

import numpy as np

from cases.numpy_draws import Call, Draw, some_shape, values
from reference.bits import Array


def _turned(rng: np.random.Generator) -> tuple[list[Array], Call]:
    a, k = values(rng, some_shape(rng, 2)), int(rng.integers(-1, 4))
    axes = tuple(int(i) for i in rng.permutation(a.ndim)[:2])
    return [a], lambda x: np.rot90(x, k, axes)


def _of_two(function: Callable[..., Any]) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[list[Array], Call]:
        return [values(rng, some_shape(rng)), values(rng, some_shape(rng))], function

    return draw


def _differences(rng: np.random.Generator) -> tuple[list[Array], Call]:
    a, n = values(rng, some_shape(rng, 1)), int(rng.integers(0, 3))
    axis = int(rng.integers(-a.ndim, a.ndim))
    if rng.random() < 0.5:
        return [a], lambda x: np.diff(x, n, axis)
    return [a, values(rng, a.shape)], lambda x, y: np.diff(x, n, axis, prepend=0.25, append=y)


def _area(name: str) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[list[Array], Call]:
        a = values(rng, some_shape(rng, 1))
        axis = int(rng.integers(-a.ndim, a.ndim))
        function = getattr(np, name)
        if rng.random() < 0.5:
            return [a], lambda y: function(y, dx=0.5, axis=axis)
        return [a, values(rng, (a.shape[axis],))], lambda y, x: function(y, x, axis=axis)

    return draw


def _broadcast(rng: np.random.Generator) -> tuple[list[Array], Call]:
    return [values(rng, (2, 1)), values(rng, (3,))], lambda x, y: np.broadcast_arrays(x, y)[int(rng.integers(0, 1))]


CALLS: dict[str, Draw] = {
    "rot90": _turned,
    "kron": _of_two(np.kron),
    "isin": _of_two(np.isin),
    "isclose": _of_two(lambda x, y: np.isclose(x, x + 1e-6) & np.isclose(np.sum(y), 1.0, 0.25, 0.5)),
    "diff": _differences,
    "trapezoid": _area("trapezoid"),
    "trapz": _area("trapz"),
    "broadcast_arrays": _broadcast,
}

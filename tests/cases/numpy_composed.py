"""Random calls of NumPy's functions that are adapted by a few ops each."""

from collections.abc import Callable
from typing import Any

import numpy as np

from cases.numpy_draws import Call, Draw, some_shape, values
from reference.bits import Array


def _parts(name: str, least: int, equal: bool = True) -> Draw:
    """One of the parts."""

    def draw(rng: np.random.Generator) -> tuple[list[Array], Call]:
        shape = tuple(2 * n for n in some_shape(rng, least, 4))
        sections: Any = [2, [1], [1, 1]][rng.integers(3)] if equal else [3, 5, [1]][rng.integers(3)]
        return [values(rng, shape)], lambda x: getattr(np, name)(x, sections)[-1]

    return draw


def _rolled(rng: np.random.Generator) -> tuple[list[Array], Call]:
    a = values(rng, some_shape(rng, 1, 4))
    axis, start = int(rng.integers(-a.ndim, a.ndim)), int(rng.integers(-a.ndim, a.ndim + 1))
    return [a], lambda x: np.rollaxis(x, axis, start)


def _vectors(rng: np.random.Generator) -> tuple[list[Array], Call]:
    if rng.random() < 0.5:
        return [values(rng, (2, 3)), values(rng, (3,))], np.cross
    axes = tuple(int(i) for i in rng.integers(-3, 3, 3))
    shapes = [np.insert([2, 4], axis % 3, 3) for axis in axes[:2]]
    return [values(rng, tuple(s)) for s in shapes], lambda x, y: np.cross(x, y, *axes)


def _selected(rng: np.random.Generator) -> tuple[list[Array], Call]:
    shape = some_shape(rng)
    masks = [np.asarray(rng.random(shape) < 0.4) for _ in range(2)]
    return [values(rng, shape), values(rng, shape)], lambda x, y: np.select(masks, [x * y, y], 0.5)


def _points(rng: np.random.Generator) -> tuple[list[Array], Call]:
    n, ends, axis = int(rng.integers(0, 6)), bool(rng.integers(2)), int(rng.integers(-1, 1))
    if rng.random() < 0.4:
        return [values(rng, ())], lambda x: np.linspace(x, 3.0, n, ends)
    return [values(rng, (2, 1)), values(rng, (3,))], lambda x, y: np.linspace(x, y, n, ends, axis=axis)


def _slopes(rng: np.random.Generator) -> tuple[list[Array], Call]:
    order, ndim = int(rng.integers(1, 3)), int(rng.integers(1, 4))
    a = values(rng, tuple(int(n) for n in rng.integers(3, 5, ndim)))
    way = rng.integers(3)
    if way == 0:
        return [a], lambda x: np.gradient(x, 0.5, axis=-1, edge_order=order)
    if way == 1 and ndim > 1:
        return [a], lambda x: np.gradient(x, 0.5, 0.25, axis=(0, 1), edge_order=order)[1]
    return [a], lambda x: np.gradient(x, edge_order=order)[0 if ndim > 1 else slice(None)]


def _same(name: str) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[list[Array], Call]:
        function: Callable[..., Any] = getattr(np, name)
        return [values(rng, some_shape(rng))], function

    return draw


CALLS: dict[str, Draw] = {
    "array_split": _parts("array_split", 1, equal=False),
    "hsplit": _parts("hsplit", 1),
    "vsplit": _parts("vsplit", 2),
    "dsplit": _parts("dsplit", 3),
    "rollaxis": _rolled,
    "cross": _vectors,
    "select": _selected,
    "linspace": _points,
    "gradient": _slopes,
    **{name: _same(name) for name in ("real", "real_if_close", "conjugate")},
}

"""Random calls of NumPy's functions that round, and of those of truth values."""

import numpy as np

from cases.numpy_draws import Call, Draw, some_shape, values
from reference.bits import Array


def _round_to(name: str) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[list[Array], Call]:
        decimals = int(rng.integers(0, 3))
        return [values(rng, some_shape(rng))], lambda x: getattr(np, name)(x, decimals)

    return draw


def _divmod(rng: np.random.Generator) -> tuple[list[Array], Call]:
    part = int(rng.integers(2))
    return [values(rng, some_shape(rng))], lambda x: np.divmod(x, 1.25)[part]


def _of_masks(name: str) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[list[Array], Call]:
        function = getattr(np, name)
        if name in ("invert", "logical_not"):
            return [values(rng, some_shape(rng))], lambda x: function(x > 0)
        return [values(rng, some_shape(rng))], lambda x: function(x > 0, x < 1)

    return draw


def _of_mask(name: str) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[list[Array], Call]:
        a = values(rng, some_shape(rng, low=1))
        axis, keep, function = int(rng.integers(a.ndim)), bool(rng.integers(2)), np
        for part in name.split("."):
            function = getattr(function, part)
        return [a], lambda x: function(x > 0, axis=axis, keepdims=keep)  # type: ignore[operator]

    return draw


CALLS: dict[str, Draw] = {
    **{name: _round_to(name) for name in ("round", "around", "round_")},
    **{name: _of_masks(name) for name in (
        "bitwise_and", "bitwise_or", "bitwise_xor", "invert", "logical_and", "logical_not", "logical_or", "logical_xor",
    )},
    **{name: _of_mask(name) for name in ("any", "all", "count_nonzero", "logical_and.reduce", "logical_or.reduce")},
    "divmod": _divmod,
}  # fmt: skip

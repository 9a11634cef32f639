"""Seeded random numbers from Philox streams, a function of (seed, stream) only, not of threads or machine."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ._util.checks import is_integer
from ._util.dtypes import FLOATS, INT64, Array, Shape
from ._util.mode import grad_mode

__all__ = ["Generator", "default_generator", "manual_seed"]


class Generator:
    """Random number generator; each call draws from the next stream of its seed.

    Arguments: `seed` and `stream`, integers from 0 to 2**64 - 1; `stream` is used by the next draw.
    Errors: ValueError outside that range.
    Source: Philox4x32-10 (Salmon et al., SC 2011), see docs/arithmetic.md.

    >>> import chainrule as cr
    >>> cr.random.Generator(seed=1).permutation(5)
    array([0, 1, 3, 2, 4])
    """

    def __init__(self, seed: int = 0, stream: int = 0) -> None:
        self._state = np.zeros(2, np.int64)  # the bits of seed and stream, which compiled programs read and advance
        grad_mode.executor.register_generator(self._state)
        self.seed, self.stream = seed, stream

    @property
    def seed(self) -> int:
        """The seed; can be set."""
        return int(self._state[0]) % 2**64

    @seed.setter
    def seed(self, value: int) -> None:
        self._set(0, _word("seed", value))

    @property
    def stream(self) -> int:
        """The stream of the next draw; can be set."""
        return int(self._state[1]) % 2**64

    @stream.setter
    def stream(self, value: int) -> None:
        self._set(1, _word("stream", value))

    def _set(self, index: int, value: int) -> None:
        if not grad_mode.executor.owns_generator(self._state):
            grad_mode.executor.forbid("random: seed or stream is set inside a compiled function; set it outside")
        self._state.view(np.uint64)[index] = value

    def state_dict(self) -> dict[str, int]:
        """Return seed and stream, the complete state of the generator."""
        return {"seed": self.seed, "stream": self.stream}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Restore a state returned by `state_dict`; ValueError if it is invalid, the generator is then unchanged."""
        seed, stream = _word("seed", state.get("seed", -1)), _word("stream", state.get("stream", -1))
        self.seed, self.stream = seed, stream

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.seed, self.stream)

    def uniform(
        self, shape: int | Sequence[int], low: float = 0.0, high: float = 1.0, dtype: npt.DTypeLike = np.float32
    ) -> npt.NDArray[Any]:
        """Draw uniformly from [low, high).

        Arguments: `shape`; `low` <= `high`, finite; `dtype`, float32 or float64. Returns: an ndarray.

        >>> import chainrule as cr
        >>> bool((cr.random.Generator(1).uniform(1000) < 1).all())
        True
        """
        _forbid_arrays()
        return cast(Array, self._uniform(_lengths(shape), np.dtype(dtype), low, high))

    def _uniform(self, shape: Shape, dtype: np.dtype[Any], low: float = 0.0, high: float = 1.0) -> Any:
        """`uniform` as the data of a tensor, which every run of a compiled function draws."""
        if not (np.isfinite(low) and np.isfinite(high) and low <= high):
            raise ValueError(f"uniform: expected finite low <= high, got {low} and {high}")
        return grad_mode.executor.draw(
            "draw_uniform", self._state, shape, _float("uniform", dtype), _constants(low, high)
        )

    def normal(
        self, shape: int | Sequence[int], mean: float = 0.0, std: float = 1.0, dtype: npt.DTypeLike = np.float32
    ) -> npt.NDArray[Any]:
        """Draw from the normal distribution by its inverse (Wichura, AS 241).

        Arguments: `shape`; `mean`; `std` >= 0; `dtype`, float32 or float64. Returns: an ndarray.

        >>> import chainrule as cr
        >>> cr.random.Generator(1).normal((2, 3)).shape
        (2, 3)
        """
        _forbid_arrays()
        return cast(Array, self._normal(_lengths(shape), np.dtype(dtype), mean, std))

    def _normal(self, shape: Shape, dtype: np.dtype[Any], mean: float = 0.0, std: float = 1.0) -> Any:
        """`normal` as the data of a tensor, which every run of a compiled function draws."""
        if not (np.isfinite(mean) and np.isfinite(std) and std >= 0):
            raise ValueError(f"normal: expected a finite mean and std >= 0, got {mean} and {std}")
        return grad_mode.executor.draw(
            "draw_normal", self._state, shape, _float("normal", dtype), _constants(mean, std)
        )

    def integers(self, shape: int | Sequence[int], low: int, high: int | None = None) -> npt.NDArray[np.int64]:
        """Draw integers from low to high - 1, all with the same probability (to 2**-64 of the range).

        Arguments: `shape`; `low` < `high`, from -2**63 to 2**63 - 1; without `high` from 0 to low - 1.
        Returns: an int64 ndarray. Errors: ValueError for an empty range.

        >>> import chainrule as cr
        >>> cr.random.Generator(1).integers(5, 10).tolist()
        [8, 7, 8, 6, 5]
        """
        _forbid_arrays()
        return cast(Array, self._integers(_lengths(shape), low, high))

    def _integers(self, shape: Shape, low: int, high: int | None) -> Any:
        """`integers` as the data of a tensor, which every run of a compiled function draws."""
        first, end = (0, low) if high is None else (low, high)
        if not (is_integer(first) and is_integer(end)):
            raise TypeError(f"integers: low and high must be integers, got {low!r} and {high!r}")
        if not -(2**63) <= first < end <= 2**63 - 1:
            raise ValueError(f"integers: expected low < high from -2**63 to 2**63 - 1, got {first} and {end}")
        return grad_mode.executor.draw("draw_integers", self._state, shape, INT64, _bounds(int(first), int(end)))

    def permutation(self, n: int | npt.NDArray[Any] | Sequence[Any]) -> npt.NDArray[Any]:
        """Draw a permutation of 0 .. n-1 (Fisher-Yates), or of the rows of an array.

        Arguments: `n`, an integer of at least 0, or an array or a list, of which a copy is permuted along its first
        axis.
        Returns: an int64 ndarray, or one of the array's dtype.

        >>> import chainrule as cr
        >>> sorted(cr.random.Generator(1).permutation(4).tolist())
        [0, 1, 2, 3]
        """
        _forbid_arrays()
        if not isinstance(n, (int, np.integer)):
            rows = np.asarray(n)
            if rows.ndim == 0:
                raise TypeError(f"permutation: expected an integer or an array, got {n!r}")
            return np.asarray(rows[self.permutation(len(rows))])
        if n < 0:
            raise ValueError(f"permutation: expected n >= 0, got {n}")
        return cast(Array, self._permutation(int(n)))

    def _permutation(self, n: int) -> Any:
        """`permutation` of n numbers as the data of a tensor, which every run of a compiled function draws."""
        return grad_mode.executor.draw("draw_permutation", self._state, (n,), INT64, _NO_NUMBERS)

    def shuffle(self, x: npt.NDArray[Any] | list[Any]) -> None:
        """Permute the rows of an array, or the elements of a list, in place.

        >>> import chainrule as cr
        >>> x = [1, 2, 3, 4]
        >>> cr.random.Generator(1).shuffle(x)
        >>> sorted(x)
        [1, 2, 3, 4]
        """
        if isinstance(x, list):
            x[:] = [x[i] for i in self.permutation(len(x)).tolist()]
        elif isinstance(x, np.ndarray) and x.ndim:
            x[...] = x[self.permutation(len(x))]
        else:
            raise TypeError(
                f"shuffle: expected an array or a list, got {type(x).__name__}; permutation() returns a copy"
            )


def _word(name: str, value: int) -> int:
    if not is_integer(value) or not 0 <= value < 2**64:
        raise ValueError(f"{name}: expected an integer from 0 to 2**64 - 1, got {value!r}")
    return int(value)


def _lengths(shape: int | Sequence[int]) -> Shape:
    try:
        return (operator.index(shape),)  # type: ignore[arg-type]
    except TypeError:
        return tuple(shape)  # type: ignore[arg-type]


def _float(name: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype not in FLOATS:
        raise TypeError(f"{name}: dtype must be float32 or float64, got {dtype}")
    return dtype


@lru_cache
def _constants(a: float, b: float) -> Array:
    numbers = np.array([a, b], np.float64)
    numbers.flags.writeable = False  # a constant of compiled functions
    return numbers


@lru_cache
def _bounds(first: int, end: int) -> Array:
    """The first integer and how many there are, a uint64 as the bits of an int64."""
    count = end - first
    numbers = np.array([first, count if count < 2**63 else count - 2**64], np.int64)
    numbers.flags.writeable = False
    return numbers


_NO_NUMBERS = np.empty(0)
_NO_NUMBERS.flags.writeable = False


def _forbid_arrays() -> None:
    grad_mode.executor.forbid(
        "random: numbers drawn inside a compiled function would be the same at every call; draw them outside and "
        "pass them as an argument, or draw a tensor: cr.rand, cr.randn, cr.randint, cr.randperm"
    )


_default = Generator()


def default_generator() -> Generator:
    """Return the generator that layers use by default; its seed is 0 until `cr.manual_seed`.

    >>> import chainrule as cr
    >>> isinstance(cr.random.default_generator(), cr.random.Generator)
    True
    """
    return _default


def given_or_default(generator: Generator | None) -> Generator:
    """The generator, or the default one for None; TypeError for an object of another kind."""
    if generator is None:
        return _default
    if not isinstance(generator, Generator):
        kind = type(generator)
        raise TypeError(f"generator: expected a cr.random.Generator, got {kind.__module__}.{kind.__name__}")
    return generator


def manual_seed(seed: int) -> None:
    """Seed the default generator and reset it to stream 0.

    >>> import chainrule as cr
    >>> cr.manual_seed(7)
    >>> cr.random.default_generator().seed
    7
    """
    _default.seed, _default.stream = _word("seed", seed), 0

"""The arguments to differentiate by: trees of tensors, arrays, numbers and modules.

Each float among their leaves becomes an input leaf, a node of its own in the graph; of a module, the parameters
themselves are the inputs, by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from .._util.trees import flatten, is_container, leaves_with_paths, rebuild
from ..ops._operands import as_tensor

__all__ = [
    "HasParameters",
    "Inputs",
    "along_given",
    "as_float",
    "is_leaf",
    "is_tensor",
    "like",
    "make_input_leaf",
    "rebuilt",
    "zeros_like",
]


def make_input_leaf(source: Tensor) -> Tensor:
    """A tensor to differentiate by: a leaf of its own, or for nesting a node that leads to the source."""
    if source._requires_grad:
        return ops.reshape(source, source.shape)  # a node of its own: f may use the argument elsewhere, too
    leaf = source.detach()
    leaf.requires_grad = True
    return leaf


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float, np.generic))


def _is_numbers(x: Any) -> bool:
    """A list or tuple that is an array: numbers all the way down."""
    return type(x) in (list, tuple) and len(x) > 0 and all(_is_number(item) or _is_numbers(item) for item in x)


def is_leaf(x: Any) -> bool:
    """Whether it is one argument: no tree, not None. A list or tuple of numbers is an array, not a tree."""
    return x is not None and (not is_container(x) or _is_numbers(x))


def is_tensor(x: Any) -> bool:
    return isinstance(x, Tensor)


def as_float(leaf: Any, dtype: npt.DTypeLike | None = None) -> Tensor | None:
    """A float tensor, array or number as a tensor, None for anything else. Python's numbers, also integers, get `dtype`
    (default: float32)."""
    number = isinstance(leaf, (int, float)) and not isinstance(leaf, (bool, np.generic))
    arrays = isinstance(leaf, (Tensor, np.ndarray, np.generic)) or number or _is_numbers(leaf)
    if not arrays and not hasattr(leaf, "__array__"):
        return None
    source = leaf if isinstance(leaf, Tensor) else (Tensor(float(leaf), dtype) if number else Tensor(leaf))
    return source if source.dtype.kind == "f" else None


class HasParameters:
    """Base of what is an argument by its parameters: `cr.nn.Module`."""

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Every parameter with its name."""
        raise NotImplementedError


class Inputs:
    """The arguments of a call, those at some positions with input leaves to differentiate by.

    `sources` are all these leaves, `paths` their places in the arguments, for errors. Leaves of the arguments that are
    no floats are an error, or with `others` passed on as they are. `what` begins errors.
    """

    def __init__(self, what: str, args: Sequence[Any], positions: Sequence[int], others: bool) -> None:
        self.what, self._others = what, others
        self.sources: list[Tensor] = []
        self.paths: list[str] = []
        self.parameters: set[int] = set()  # of modules, by number
        self._private: list[Tensor] = []  # made here, so that nobody else differentiates by them
        self._trees: dict[int, Any] = {}  # structures of the arguments
        self.passed = list(args)
        for n in dict.fromkeys(positions):
            self.passed[n] = self._replace(args[n], n)
        self.numbers = {t._number for t in self.sources}

    def require_grad(self, value: bool) -> None:
        """Let the leaves that were made here require a gradient or not.

        They do while the function runs and while derivatives are computed, which compiled calls go by. In between they
        must not: an outer transformation would count them.
        """
        for t in self._private:
            t._requires_grad = value

    def _replace(self, argument: Any, n: int) -> Any:
        """The argument with input leaves for its floats."""
        leaves: list[Any] = []
        structure = flatten(argument, leaves, is_leaf)
        passed: list[Any] = []
        inputs: list[Any] = []
        for (where, _), leaf in zip(leaves_with_paths(structure, where=f"argument {n}"), leaves, strict=True):
            if isinstance(leaf, HasParameters):
                # By the parameters themselves: compiled functions know them, and the model may be in use elsewhere.
                named = {name: p for name, p in leaf.named_parameters() if p._requires_grad}
                for name, p in named.items():
                    if p._number in self.parameters:
                        raise ValueError(f"{self.what}: {where} has a parameter ({name}) that came before")
                    self.parameters.add(p._number)
                passed.append(leaf)
                inputs.append(named)
                continue
            source = as_float(leaf)
            if source is None:
                if not self._others:
                    raise TypeError(
                        f"{self.what}: can differentiate by float32 and float64 only, got {_kind(leaf)} at {where}"
                    )
                passed.append(leaf)
                inputs.append(None)
                continue
            t = make_input_leaf(source)
            if t._op is None:
                self._private.append(t)
            passed.append(t)
            inputs.append(t)
        spread = rebuilt(structure, inputs)
        self._trees[n] = flatten(spread, self.sources, is_tensor)
        self.paths += [where for where, _ in leaves_with_paths(self._trees[n], where=f"argument {n}")]
        return rebuilt(structure, passed)

    def by_argument(self, values: Sequence[Any]) -> dict[int, Any]:
        """One value for each source, as a tree for each argument."""
        left = iter(values)
        return {n: rebuild(tree, lambda: next(left)) for n, tree in self._trees.items()}

    def tangents(self, trees: Sequence[Any]) -> dict[int, Tensor]:
        """What the caller gives as tangents, by source number; None for a part of the arguments is none."""
        found: dict[int, Tensor] = {}
        at = 0
        for (n, structure), tree in zip(self._trees.items(), trees, strict=True):
            for place, t in along_given(self.what, "tangent", structure, tree, f"argument {n}"):
                if t is not None:
                    source = self.sources[at]
                    found[source._number] = like(self.what, f"the tangent of {place}", t, source, "argument")
                at += 1
        return found


def zeros_like(t: Tensor) -> Tensor:
    """Zeros of its shape and dtype."""
    return Tensor._wrap(np.zeros(t.shape, t.dtype))


def rebuilt(structure: Any, values: Iterable[Any]) -> Any:
    """The tree of a structure with these leaves."""
    left = iter(values)
    return rebuild(structure, lambda: next(left))


def along_given(what: str, kind: str, structure: Any, tree: Any, where: str) -> list[tuple[str, Any]]:
    """The paths of a structure with what a tree of the caller has there; TypeError where it has another structure."""
    try:
        return list(leaves_with_paths(structure, tree, where, given=True))
    except TypeError as error:
        raise TypeError(f"{what}: the {kind} does not have the structure of the {where}: {error}") from None


def like(what: str, name: str, given: Any, t: Tensor, other: str) -> Tensor:
    """What is given for a tensor, of its shape and dtype."""
    if is_container(given) and not _is_numbers(given):
        raise TypeError(f"{what}: {name} must be a tensor, got {type(given).__name__}")
    g = Tensor(given, t.dtype) if _is_numbers(given) else as_tensor(given, t.dtype)
    if g.shape != t.shape or g.dtype != t.dtype:
        raise ValueError(f"{what}: {name} is {g.dtype} {g.shape}, the {other} {t.dtype} {t.shape}")
    return g


def _kind(value: Any) -> str:
    """What something is, for errors."""
    if _is_number(value) or _is_numbers(value):
        value = Tensor(value)
    return str(value.dtype) if isinstance(value, (Tensor, np.ndarray)) else type(value).__name__

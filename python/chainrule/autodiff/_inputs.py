"""The arguments to differentiate with respect to: trees of tensors, arrays, numbers and modules.

Each floating-point leaf becomes an input leaf, a separate node of the graph. The inputs of a module are its parameters
themselves, by name.
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
    "as_float",
    "as_like",
    "is_leaf",
    "is_tensor",
    "make_input_leaf",
    "match_structure",
    "unflatten",
    "zeros_like",
]


def make_input_leaf(source: Tensor) -> Tensor:
    """Create a tensor to differentiate with respect to: a new leaf, or for nesting a node computed from the source."""
    if source._requires_grad:
        return ops.reshape(source, source.shape)  # a separate node, because f may also capture the argument itself
    leaf = source.detach()
    leaf.requires_grad = True
    return leaf


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float, np.generic))


def _is_number_list(x: Any) -> bool:
    """Whether it is a list or tuple that stands for an array: nested, with only numbers as leaves."""
    return type(x) in (list, tuple) and len(x) > 0 and all(_is_number(item) or _is_number_list(item) for item in x)


def is_leaf(x: Any) -> bool:
    """Whether it is a single argument: neither a tree nor None. A list or tuple of numbers counts as an array."""
    return x is not None and (not is_container(x) or _is_number_list(x))


def is_tensor(x: Any) -> bool:
    return isinstance(x, Tensor)


def as_float(leaf: Any, dtype: npt.DTypeLike | None = None) -> Tensor | None:
    """Convert a float tensor, array or number to a tensor; None for anything else.

    Python numbers, including integers, get `dtype` (default: float32).
    """
    number = isinstance(leaf, (int, float)) and not isinstance(leaf, (bool, np.generic))
    arrays = isinstance(leaf, (Tensor, np.ndarray, np.generic)) or number or _is_number_list(leaf)
    if not arrays and not hasattr(leaf, "__array__"):
        return None
    source = leaf if isinstance(leaf, Tensor) else (Tensor(float(leaf), dtype) if number else Tensor(leaf))
    return source if source.dtype.kind == "f" else None


class HasParameters:
    """Base of arguments that are differentiated with respect to their parameters: `cr.nn.Module`."""

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Iterate over (name, parameter)."""
        raise NotImplementedError


class Inputs:
    """The arguments of a call, with input leaves in those at `positions`.

    `sources` are all input leaves, `paths` their paths in the arguments, for errors. Other leaves of these arguments
    are an error, or with `others` passed on unchanged. `what` begins errors.
    """

    def __init__(self, what: str, args: Sequence[Any], positions: Sequence[int], others: bool) -> None:
        self.what, self._others = what, others
        self.sources: list[Tensor] = []
        self.paths: list[str] = []
        self.parameters: set[int] = set()  # of modules, by number
        self._requiring = True  # whether leaves that were created here require gradients
        self._private: list[Tensor] = []  # created here, so no other code differentiates with respect to them
        self._trees: dict[int, Any] = {}  # structures of the arguments
        self.passed = list(args)
        for n in dict.fromkeys(positions):
            self.passed[n] = self._replace(args[n], n)
        self.source_numbers = {t._number for t in self.sources}

    def require_grad(self, value: bool) -> bool:
        """Set `requires_grad` of the leaves that were created here; return the previous value.

        It is set while the function runs and while derivatives are computed, because compiled calls depend on it. In
        between it must not be: an outer transformation would treat these leaves as its own.
        """
        before, self._requiring = self._requiring, value
        for t in self._private:
            t._requires_grad = value
        return before

    def _replace(self, argument: Any, n: int) -> Any:
        """Return the argument with its floats replaced by input leaves."""
        leaves: list[Any] = []
        structure = flatten(argument, leaves, is_leaf)
        passed: list[Any] = []
        inputs: list[Any] = []
        for (where, _), leaf in zip(leaves_with_paths(structure, where=f"argument {n}"), leaves, strict=True):
            if isinstance(leaf, HasParameters):
                # The parameters themselves: compiled functions capture them, and other code may use the model.
                named = {name: p for name, p in leaf.named_parameters() if p._requires_grad}
                for name, p in named.items():
                    if p._number in self.parameters:
                        raise ValueError(f"{self.what}: {where} has a parameter ({name}) of an earlier argument")
                    self.parameters.add(p._number)
                passed.append(leaf)
                inputs.append(named)
                continue
            source = as_float(leaf)
            if source is None:
                if not self._others:
                    raise TypeError(
                        f"{self.what}: can differentiate with respect to float32 and float64 only, got "
                        f"{_describe(leaf)} at {where}"
                    )
                passed.append(leaf)
                inputs.append(None)
                continue
            t = make_input_leaf(source)
            if t._op is None:
                self._private.append(t)
            passed.append(t)
            inputs.append(t)
        spread = unflatten(structure, inputs)
        self._trees[n] = flatten(spread, self.sources, is_tensor)
        self.paths += [where for where, _ in leaves_with_paths(self._trees[n], where=f"argument {n}")]
        return unflatten(structure, passed)

    def by_argument(self, values: Sequence[Any]) -> dict[int, Any]:
        """Arrange one value per source as one tree per argument."""
        left = iter(values)
        return {n: rebuild(tree, lambda: next(left)) for n, tree in self._trees.items()}

    def tangents(self, trees: Sequence[Any]) -> dict[int, Tensor]:
        """The caller's tangents by source number; a subtree may be None for no tangent."""
        found: dict[int, Tensor] = {}
        at = 0
        for (n, structure), tree in zip(self._trees.items(), trees, strict=True):
            for path, t in match_structure(self.what, "tangent", structure, tree, f"argument {n}"):
                if t is not None:
                    source = self.sources[at]
                    found[source._number] = as_like(self.what, f"the tangent of {path}", t, source, "argument")
                at += 1
        return found


def zeros_like(t: Tensor) -> Tensor:
    """Return zeros of the same shape and dtype."""
    return Tensor._wrap(np.zeros(t.shape, t.dtype))


def unflatten(structure: Any, values: Iterable[Any]) -> Any:
    """Build the tree of a structure with these leaves."""
    left = iter(values)
    return rebuild(structure, lambda: next(left))


def match_structure(what: str, kind: str, structure: Any, tree: Any, where: str) -> list[tuple[str, Any]]:
    """Pair the paths of a structure with the leaves of a caller's tree; TypeError if their structures differ."""
    try:
        return list(leaves_with_paths(structure, tree, where, given=True))
    except TypeError as error:
        raise TypeError(f"{what}: the {kind} does not have the structure of the {where}: {error}") from None


def as_like(what: str, name: str, given: Any, t: Tensor, other: str) -> Tensor:
    """Convert a caller's value for a tensor; it must have the tensor's shape and dtype."""
    if is_container(given) and not _is_number_list(given):
        raise TypeError(f"{what}: {name} must be a tensor, got {type(given).__name__}")
    g = Tensor(given, t.dtype) if _is_number_list(given) else as_tensor(given, t.dtype)
    if g.shape != t.shape or g.dtype != t.dtype:
        raise ValueError(f"{what}: {name} is {g.dtype} {g.shape}, the {other} {t.dtype} {t.shape}")
    return g


def _describe(value: Any) -> str:
    """Describe a value, for errors."""
    if _is_number(value) or _is_number_list(value):
        value = Tensor(value)
    return str(value.dtype) if isinstance(value, (Tensor, np.ndarray)) else type(value).__name__

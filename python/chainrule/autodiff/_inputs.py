"""One run of a function with its graph recorded: what every transformation of functions is made of.

The arguments to differentiate by are trees. Each float leaf becomes a point, a node of its own; of a module, the
parameters themselves are the points, by name. Then gradients are pulled back through the graph, or tangents pushed
forward, as often as one likes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from .._util.mode import grad_mode
from .._util.trees import along, flatten, is_container, rebuild
from ..ops._operands import as_tensor
from ._sweeps import differentiating_by, enable_grad, history, no_grad, path, pull_back, push_forward

__all__ = ["HasParameters", "Recording", "as_float", "is_leaf", "point", "rebuilt", "zeros_like"]


def point(source: Tensor) -> Tensor:
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


def _is_tensor(x: Any) -> bool:
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


class Recording:
    """A run of `f(*args, **kwargs)`: `arguments` are the positions to differentiate by.

    Leaves of them that are no floats are an error, or with `others` passed on as they are. The function returns a tree
    of tensors, with `single` one tensor; with `has_aux` also a second value, which is not differentiated.
    """

    def __init__(
        self,
        what: str,
        f: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        arguments: Sequence[int],
        has_aux: bool = False,
        others: bool = False,
        single: bool = False,
    ) -> None:
        self.what, self._others = what, others
        self.sources: list[Tensor] = []
        self.places: list[str] = []  # of the sources, for errors
        self._private: list[Tensor] = []
        self._parameters: set[int] = set()
        self._trees: dict[int, Any] = {}  # structures of the arguments
        recording, passed = grad_mode.enabled, list(args)
        with enable_grad():
            for n in dict.fromkeys(arguments):
                passed[n] = self._points(args[n], n)
            with differentiating_by(self._parameters):
                result = f(*passed, **kwargs)
        if has_aux and not (isinstance(result, (tuple, list)) and len(result) == 2):
            raise TypeError(
                f"{what}: with has_aux the function must return (value, extra), got {type(result).__name__}"
            )
        value, extra = result if has_aux else (result, None)
        self.aux: Any = extra
        self.outputs: list[Tensor] = []
        self.structure = flatten(value, self.outputs, is_leaf)
        self._check_outputs(value, single)
        self.numbers = {t._number for t in self.sources}
        reached = history(self.outputs, self.numbers)
        self._nodes = path(reached, self.numbers)
        # A value that depends on more than these points has derivatives that do, too.
        self._nested, self._recording = self._goes_further(reached), recording
        self.keeps_graph = recording and self._nested
        for t in self._private:
            t._requires_grad = False  # nobody differentiates by it any more: an outer transformation must not count it

    def _goes_further(self, reached: Iterable[Tensor]) -> bool:
        """Whether a history has more than these points: another leaf (an outer transformation's point, parameters),
        what is behind a point, a parameter that is differentiated by outside, too."""
        own, outside = self.numbers, grad_mode.sources
        return any((t._op is None) != (t._number in own) or t._number in outside for t in reached)

    # Arguments.

    def _points(self, argument: Any, n: int) -> Any:
        """The argument with points for its leaves."""
        leaves: list[Any] = []
        structure = flatten(argument, leaves, is_leaf)
        passed: list[Any] = []
        points: list[Any] = []
        for (where, _), leaf in zip(along(structure, where=f"argument {n}"), leaves, strict=True):
            if isinstance(leaf, HasParameters):
                # By the parameters themselves: compiled functions know them, and the model may be in use elsewhere.
                named = {name: p for name, p in leaf.named_parameters() if p._requires_grad}
                for name, p in named.items():
                    if p._number in self._parameters:
                        raise ValueError(f"{self.what}: {where} has a parameter ({name}) that came before")
                    self._parameters.add(p._number)
                passed.append(leaf)
                points.append(named)
                continue
            source = as_float(leaf)
            if source is None:
                if not self._others:
                    raise TypeError(
                        f"{self.what}: can differentiate by float32 and float64 only, got {_kind(leaf)} at {where}"
                    )
                passed.append(leaf)
                points.append(None)
                continue
            t = point(source)
            if t._op is None:
                self._private.append(t)
            passed.append(t)
            points.append(t)
        spread = rebuilt(structure, points)
        self._trees[n] = flatten(spread, self.sources, _is_tensor)
        self.places += [where for where, _ in along(self._trees[n], where=f"argument {n}")]
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
            for place, t in _along_given(self.what, "tangent", structure, tree, f"argument {n}"):
                if t is not None:
                    source = self.sources[at]
                    found[source._number] = _like(self.what, f"the tangent of {place}", t, source, "argument")
                at += 1
        return found

    # Results.

    def _check_outputs(self, value: Any, single: bool) -> None:
        if not self.outputs or (single and self.structure != (None,)):
            raise TypeError(f"{self.what}: the function must return a tensor, got {type(value).__name__}")
        for (where, _), out in zip(along(self.structure), self.outputs, strict=True):
            at = where and f" at result{where}"
            if not isinstance(out, Tensor):
                raise TypeError(f"{self.what}: the function must return a tensor, got {type(out).__name__}{at}")
            if out.dtype.kind != "f":
                raise TypeError(f"{self.what}: the function must return float32 or float64, got {out.dtype}{at}")

    def leaves(self, value: Any) -> list[Tensor]:
        """The tensors of another result of the function."""
        leaves: list[Tensor] = []
        flatten(value, leaves, is_leaf)
        return leaves

    def result(self, values: Sequence[Any]) -> Any:
        """One value for each output, as the function's result."""
        return rebuilt(self.structure, values)

    def value(self) -> Any:
        """The function's result, without the graph where nobody could use it."""
        return self.result([t if self.keeps_graph or not t._requires_grad else t.detach() for t in self.outputs])

    def extra(self) -> Any:
        """The function's second value, likewise."""
        leaves: list[Tensor] = []
        structure = flatten(self.aux, leaves, _is_tensor)
        return rebuilt(structure, [t if t._op is None or self._kept(t) else t.detach() for t in leaves])

    def _kept(self, t: Tensor) -> bool:
        return self._recording and self._goes_further(history([t], self.numbers))

    def seeds(self, tree: Any) -> list[Tensor | None]:
        """What the caller gives as gradients of the results; None for a part of them is none."""
        given = _along_given(self.what, "gradient", self.structure, tree, "result")
        return [
            None if g is None else _like(self.what, f"the gradient of {place}", g, out, "result")
            for (place, g), out in zip(given, self.outputs, strict=True)
        ]

    # Derivatives.

    def pull(self, gradients: Sequence[Tensor | None]) -> list[Tensor]:
        """The gradient by each source."""
        with self._awake(), self._mode(gradients):
            found = pull_back(self.outputs, gradients, self.numbers, self._nodes)
        return [found[t._number] if t._number in found else zeros_like(t) for t in self.sources]

    def push(self, tangents: Mapping[int, Tensor]) -> list[Tensor]:
        """The tangent of each output."""
        with self._awake(), self._mode(tangents.values()):
            found = push_forward(self.outputs, tangents, self.numbers, self._nodes)
        return [zeros_like(out) if t is None else t for t, out in zip(found, self.outputs, strict=True)]

    @contextmanager
    def _awake(self) -> Iterator[None]:
        """Points require gradients again: what compiled calls note of an argument."""
        for t in self._private:
            t._requires_grad = True
        try:
            yield
        finally:
            for t in self._private:
                t._requires_grad = False

    def _mode(self, given: Iterable[Tensor | None]) -> no_grad:
        further = self._nested or any(t is not None and t._requires_grad for t in given)
        return enable_grad() if further and grad_mode.enabled else no_grad()


def zeros_like(t: Tensor) -> Tensor:
    """Zeros of its shape and dtype."""
    return Tensor._wrap(np.zeros(t.shape, t.dtype))


def rebuilt(structure: Any, values: Iterable[Any]) -> Any:
    """The tree of a structure with these leaves."""
    left = iter(values)
    return rebuild(structure, lambda: next(left))


def _along_given(what: str, kind: str, structure: Any, tree: Any, where: str) -> list[tuple[str, Any]]:
    try:
        return list(along(structure, tree, where, given=True))
    except TypeError as error:
        raise TypeError(f"{what}: the {kind} does not have the structure of the {where}: {error}") from None


def _like(what: str, name: str, given: Any, t: Tensor, other: str) -> Tensor:
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

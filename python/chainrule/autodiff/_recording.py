"""One run of a function with its graph recorded: what every function transformation is made of.

Gradients are pulled back through the graph, or tangents pushed forward, as often as one likes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from .._tensor import Tensor
from .._util.mode import grad_mode
from .._util.trees import flatten, leaves_with_paths
from ._inputs import Inputs, along_given, is_leaf, is_tensor, like, rebuilt, zeros_like
from ._sweeps import ancestors, differentiating_by, enable_grad, forward_sweep, no_grad, reverse_sweep, subgraph

__all__ = ["Recording"]


class Recording:
    """A run of `f(*args, **kwargs)`: `arguments` are the positions to differentiate by, `others` as for Inputs.

    The function returns a tree of tensors, with `single` one tensor; with `has_aux` also a second value, which is not
    differentiated.
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
        self.what = what
        recording = grad_mode.enabled
        with enable_grad():
            self.inputs = Inputs(what, args, arguments, others)
            with differentiating_by(self.inputs.parameters):
                result = f(*self.inputs.passed, **kwargs)
        if has_aux and not (isinstance(result, (tuple, list)) and len(result) == 2):
            raise TypeError(
                f"{what}: with has_aux the function must return (value, extra), got {type(result).__name__}"
            )
        value, extra = result if has_aux else (result, None)
        self.aux: Any = extra
        self.outputs: list[Tensor] = []
        self.structure = flatten(value, self.outputs, is_leaf)
        self._check_outputs(value, single)
        reached = ancestors(self.outputs, self.inputs.numbers)
        self._nodes = subgraph(reached, self.inputs.numbers)
        # A value that depends on more than these inputs has derivatives that do, too.
        self._nested, self._recording = self._goes_further(reached), recording
        self.keeps_graph = recording and self._nested
        self.inputs.require_grad(False)

    def _goes_further(self, reached: Iterable[Tensor]) -> bool:
        """Whether these ancestors are more than this call's.

        That is another leaf (an outer transformation's input, parameters), what is behind an input leaf, or a parameter
        that is differentiated by outside, too.
        """
        own, outside = self.inputs.numbers, grad_mode.sources
        return any((t._op is None) != (t._number in own) or t._number in outside for t in reached)

    # Results.

    def _check_outputs(self, value: Any, single: bool) -> None:
        if not self.outputs or (single and self.structure != (None,)):
            raise TypeError(f"{self.what}: the function must return a tensor, got {type(value).__name__}")
        for (where, _), out in zip(leaves_with_paths(self.structure), self.outputs, strict=True):
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
        structure = flatten(self.aux, leaves, is_tensor)
        return rebuilt(structure, [t if t._op is None or self._kept(t) else t.detach() for t in leaves])

    def _kept(self, t: Tensor) -> bool:
        return self._recording and self._goes_further(ancestors([t], self.inputs.numbers))

    def seeds(self, tree: Any) -> list[Tensor | None]:
        """What the caller gives as gradients of the results; None for a part of them is none."""
        given = along_given(self.what, "gradient", self.structure, tree, "result")
        return [
            None if g is None else like(self.what, f"the gradient of {place}", g, out, "result")
            for (place, g), out in zip(given, self.outputs, strict=True)
        ]

    # Derivatives.

    def pull(self, gradients: Sequence[Tensor | None]) -> list[Tensor]:
        """The gradient by each source."""
        with self._require_grad_again(), self._mode(gradients):
            found = reverse_sweep(self.outputs, gradients, self.inputs.numbers, self._nodes)
        return [found[t._number] if t._number in found else zeros_like(t) for t in self.inputs.sources]

    def push(self, tangents: Mapping[int, Tensor]) -> list[Tensor]:
        """The tangent of each output; `tangents` are given by source number."""
        with self._require_grad_again(), self._mode(tangents.values()):
            found = forward_sweep(self.outputs, tangents, self.inputs.numbers, self._nodes)
        return [found[out._number] if out._number in found else zeros_like(out) for out in self.outputs]

    @contextmanager
    def _require_grad_again(self) -> Iterator[None]:
        """The input leaves require gradients inside the block."""
        self.inputs.require_grad(True)
        try:
            yield
        finally:
            self.inputs.require_grad(False)

    def _mode(self, given: Iterable[Tensor | None]) -> no_grad:
        further = self._nested or any(t is not None and t._requires_grad for t in given)
        return enable_grad() if further and grad_mode.enabled else no_grad()

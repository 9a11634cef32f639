"""One run of a function with its graph recorded, the basis of every function transformation.

Gradients can be pulled back through the graph, and tangents pushed forward, any number of times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from .._tensor import Tensor
from .._util.mode import grad_mode
from .._util.trees import flatten, leaves_with_paths
from ._inputs import Inputs, as_like, is_leaf, is_tensor, match_structure, unflatten, zeros_like
from ._sweeps import ancestors, differentiating_by, enable_grad, forward_sweep, no_grad, reverse_sweep, subgraph

__all__ = ["Recording"]


class Recording:
    """A run of `f(*args, **kwargs)`, differentiable with respect to the arguments at the positions `arguments`.

    The function returns a tree of tensors, or one tensor with `single`; with `has_aux` also a second value, which is
    not differentiated. `others` is as for Inputs.
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
            with differentiating_by(self.inputs.parameters, self.inputs.source_numbers):
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
        reached = ancestors(self.outputs, self.inputs.source_numbers)
        self._nodes = subgraph(reached, self.inputs.source_numbers)
        # If the outputs depend on more than these inputs, so do their derivatives.
        self._nested, self._recording = self._depends_on_more(reached), recording
        self.keeps_graph = recording and self._nested
        self.inputs.require_grad(False)

    def _depends_on_more(self, reached: Iterable[Tensor]) -> bool:
        """Whether these ancestors include nodes that do not belong to this call.

        These are other leaves (inputs of an outer transformation, parameters), ancestors of an input leaf, and
        parameters that an enclosing transformation also differentiates with respect to.
        """
        inputs, outer = self.inputs.source_numbers, grad_mode.sources
        return any((t._op is None) != (t._number in inputs) or t._number in outer for t in reached)

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
        """The tensors in another result of the function."""
        leaves: list[Tensor] = []
        flatten(value, leaves, is_leaf)
        return leaves

    def result(self, values: Sequence[Any]) -> Any:
        """Arrange one value per output like the function's result."""
        return unflatten(self.structure, values)

    def value(self) -> Any:
        """The function's result, detached where no outer transformation needs the graph."""
        return self.result([t if self.keeps_graph or not t._requires_grad else t.detach() for t in self.outputs])

    def extra(self) -> Any:
        """The function's second value, detached likewise."""
        leaves: list[Tensor] = []
        structure = flatten(self.aux, leaves, is_tensor)
        return unflatten(structure, [t if t._op is None or self._needs_graph(t) else t.detach() for t in leaves])

    def _needs_graph(self, t: Tensor) -> bool:
        return self._recording and self._depends_on_more(ancestors([t], self.inputs.source_numbers))

    def seeds(self, tree: Any) -> list[Tensor | None]:
        """The caller's upstream gradients of the results; a subtree may be None for no gradient."""
        given = match_structure(self.what, "gradient", self.structure, tree, "result")
        return [
            None if g is None else as_like(self.what, f"the gradient of {path}", g, out, "result")
            for (path, g), out in zip(given, self.outputs, strict=True)
        ]

    # Derivatives.

    def pull(self, gradients: Sequence[Tensor | None]) -> list[Tensor]:
        """The gradient with respect to each source."""
        with self.sweeping(), self._grad_mode_for(gradients):
            found = reverse_sweep(self.outputs, gradients, self.inputs.source_numbers, self._nodes)
        return [found[t._number] if t._number in found else zeros_like(t) for t in self.inputs.sources]

    def push(self, tangents: Mapping[int, Tensor]) -> list[Tensor]:
        """The tangent of each output; `tangents` maps source numbers to tangents."""
        with self.sweeping(), self._grad_mode_for(tangents.values()):
            found = forward_sweep(self.outputs, tangents, self.inputs.source_numbers, self._nodes)
        return [found[out._number] if out._number in found else zeros_like(out) for out in self.outputs]

    @contextmanager
    def sweeping(self) -> Iterator[None]:
        """Context in which the input leaves require gradients: of several sweeps, so that a compiled one fits all."""
        before = self.inputs.require_grad(True)
        try:
            yield
        finally:
            self.inputs.require_grad(before)

    def _grad_mode_for(self, given: Iterable[Tensor | None]) -> no_grad:
        needs_graph = self._nested or any(t is not None and t._requires_grad for t in given)
        return enable_grad() if needs_graph and grad_mode.enabled else no_grad()

"""Derivatives through a compiled call: its results are nodes of the caller's graph.

The gradient of a result is another compiled function, created on first use: it traces the function again and runs the
reverse sweep through it, so it can itself be differentiated. Tangents work the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._tensor import Tensor
from .._util.trees import flatten, rebuild
from ..autodiff._inputs import make_input_leaf, zeros_like
from ..autodiff._sweeps import differentiating_by, enable_grad, forward_sweep, is_differentiated, reverse_sweep
from ..ops._op import Attrs, Op, Spec, Tangents
from ..ops._op import Plan as OpPlan
from .plan import Plan

__all__ = ["attach_backward", "check_differentiable"]

Function = Callable[..., Any]


def attach_backward(
    function: Function,
    compile: Callable[[Function], Function],
    plan: Plan,
    outputs: Sequence[Tensor],
    structure: Any,
    leaves: Sequence[Any],
) -> None:
    """Record the differentiable outputs of a call as results of the arguments and the captured tensors."""
    saved = [leaf if isinstance(leaf, Tensor) else np.array(leaf) for leaf in leaves]  # the caller may change an array
    sources = tuple(leaves[s] if isinstance(s, int) else s for s in plan.sources)
    for i, output in enumerate(outputs):
        if plan.differentiable[i]:
            rules = _Rules(function, compile, plan, i, structure, saved)
            output._record(Op("compiled", _no_plan, variadic_vjp=rules.vjp, variadic_jvp=rules.jvp), sources, ())


def check_differentiable(function: Any, plan: Plan, leaves: Sequence[Any]) -> None:
    """Raise RuntimeError if an enclosing transformation differentiates results that have no derivative."""
    sources = (leaves[s] if isinstance(s, int) else s for s in plan.sources)
    if any(is_differentiated(t) for t in sources):
        raise RuntimeError(
            f"compile: {getattr(function, '__name__', 'the function')} overwrites tensors, sets gradients or draws "
            "random numbers, so its results cannot be differentiated; differentiate the function before compiling it, "
            "or compute with new tensors: cr.nn.utils.functional_call"
        )


def _no_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> OpPlan:
    raise TypeError(f"{name}: not an op of the table")


class _Rules:
    """The gradient and the tangent rule of one result of one call."""

    def __init__(
        self,
        function: Function,
        compile: Callable[[Function], Function],
        plan: Plan,
        output_index: int,
        structure: Any,
        leaves: list[Any],
    ) -> None:
        self.function, self._compile, self.plan, self.output_index = function, compile, plan, output_index
        self.structure, self.leaves = structure, leaves
        self._gradients: tuple[Tensor, tuple[Tensor, ...]] | None = None  # upstream gradient, gradients

    def vjp(self, i: int, g: Tensor, out: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
        """The gradient with respect to source i; the first request computes those of all sources."""
        if self._gradients is None or self._gradients[0] is not g:
            self._gradients = (g, self._compiled(self._pull_back)(self._arguments(), g))
        return self._gradients[1][i]

    def jvp(self, tangents: Tangents, out: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
        """The tangent of the result."""
        return self._compiled(self._push_forward)(self._arguments(), list(tangents))  # type: ignore[no-any-return]

    def _arguments(self) -> Any:
        remaining = iter(self.leaves)
        return rebuild(self.structure, lambda: next(remaining))

    def _compiled(self, sweep: Function) -> Function:
        """The compiled function of a sweep, shared by all calls with this plan."""
        key = (sweep.__name__, self.output_index)
        if key not in self.plan.derivatives:
            self.plan.derivatives[key] = self._compile(sweep)
        return self.plan.derivatives[key]

    def _run(self, arguments: Any) -> tuple[Tensor, list[Tensor]]:
        """Run the function again; return the result and the sources, where new input leaves replace arguments."""
        leaves: list[Any] = []
        structure = flatten(arguments, leaves)
        with enable_grad():
            input_leaves = {s: make_input_leaf(leaves[s]) for s in self.plan.sources if isinstance(s, int)}
            remaining = iter([input_leaves.get(i, leaf) for i, leaf in enumerate(leaves)])
            args, kwargs = rebuild(structure, lambda: next(remaining))
            results: list[Any] = []
            with differentiating_by(s._number for s in self.plan.sources if isinstance(s, Tensor)):
                flatten(self.function(*args, **kwargs), results)
        output = results[self.plan.results.index(self.output_index)]
        return output, [input_leaves[s] if isinstance(s, int) else s for s in self.plan.sources]

    def _pull_back(self, arguments: Any, g: Tensor) -> tuple[Tensor, ...]:
        output, sources = self._run(arguments)
        gradients = reverse_sweep([output], [g], {t._number for t in sources})
        return tuple(gradients[t._number] if t._number in gradients else zeros_like(t) for t in sources)

    def _push_forward(self, arguments: Any, tangents: Tangents) -> Tensor:
        output, sources = self._run(arguments)
        seeds = {x._number: t for x, t in zip(sources, tangents, strict=True) if t is not None}
        tangent = forward_sweep([output], seeds, {t._number for t in sources}).get(output._number)
        return zeros_like(output) if tangent is None else tangent

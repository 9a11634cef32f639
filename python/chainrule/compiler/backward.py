"""Derivatives through a compiled call: its results are nodes of the caller's graph.

The gradient of a result is another compiled function, made when it is first asked for: it traces the function again
and sweeps back through it. So it can be differentiated in turn. Likewise its tangent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._tensor import Tensor
from .._util.trees import flatten, rebuild
from ..autodiff._inputs import make_input_leaf, zeros_like
from ..autodiff._sweeps import differentiating_by, enable_grad, forward_sweep, reverse_sweep
from ..ops._op import Attrs, Op, Spec, Tangents
from ..ops._op import Plan as OpPlan
from .plan import Plan

__all__ = ["attach_backward"]

Function = Callable[..., Any]


def attach_backward(
    function: Function,
    compile: Callable[[Function], Function],
    plan: Plan,
    outputs: Sequence[Tensor],
    structure: Any,
    leaves: Sequence[Any],
) -> None:
    """Record the outputs of a call that can be differentiated as made from the arguments and from captured tensors."""
    kept = [leaf if isinstance(leaf, Tensor) else np.array(leaf) for leaf in leaves]  # the caller may change an array
    sources = tuple(leaves[s] if isinstance(s, int) else s for s in plan.sources)
    for number, output in enumerate(outputs):
        if plan.differentiable[number]:
            rules = _Rules(function, compile, plan, number, structure, kept)
            output._record(Op("compiled", _no_plan, variadic_vjp=rules.vjp, variadic_jvp=rules.jvp), sources, ())


def _no_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> OpPlan:
    raise TypeError(f"{name}: is no op of its own")


class _Rules:
    """The gradient and the tangent rule of one result of one call."""

    def __init__(
        self,
        function: Function,
        compile: Callable[[Function], Function],
        plan: Plan,
        number: int,
        structure: Any,
        leaves: list[Any],
    ) -> None:
        self.function, self._compile, self.plan, self.number = function, compile, plan, number
        self.structure, self.leaves = structure, leaves
        self._made: tuple[Tensor, tuple[Tensor, ...]] | None = None

    def vjp(self, i: int, g: Tensor, out: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
        """The gradient by source i; all of them are computed for the first that is asked for."""
        if self._made is None or self._made[0] is not g:
            self._made = (g, self._compiled(self._pull)(self._arguments(), g))
        return self._made[1][i]

    def jvp(self, tangents: Tangents, out: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
        """The tangent of the result."""
        return self._compiled(self._push)(self._arguments(), list(tangents))  # type: ignore[no-any-return]

    def _arguments(self) -> Any:
        waiting = iter(self.leaves)
        return rebuild(self.structure, lambda: next(waiting))

    def _compiled(self, sweep: Function) -> Function:
        """The compiled function of a sweep, shared by all calls with this plan."""
        key = (sweep.__name__, self.number)
        if key not in self.plan.derivatives:
            self.plan.derivatives[key] = self._compile(sweep)
        return self.plan.derivatives[key]

    def _run(self, arguments: Any) -> tuple[Tensor, list[Tensor]]:
        """Run the function again: the result, and what it is differentiated by, new input leaves for arguments."""
        given: list[Any] = []
        structure = flatten(arguments, given)
        with enable_grad():
            input_leaves = {s: make_input_leaf(given[s]) for s in self.plan.sources if isinstance(s, int)}
            waiting = iter([input_leaves.get(i, leaf) for i, leaf in enumerate(given)])
            args, kwargs = rebuild(structure, lambda: next(waiting))
            results: list[Any] = []
            with differentiating_by(s._number for s in self.plan.sources if isinstance(s, Tensor)):
                flatten(self.function(*args, **kwargs), results)
        output = results[self.plan.results.index(self.number)]
        return output, [input_leaves[s] if isinstance(s, int) else s for s in self.plan.sources]

    def _pull(self, arguments: Any, g: Tensor) -> tuple[Tensor, ...]:
        output, sources = self._run(arguments)
        found = reverse_sweep([output], [g], {t._number for t in sources})
        return tuple(found[t._number] if t._number in found else zeros_like(t) for t in sources)

    def _push(self, arguments: Any, tangents: Tangents) -> Tensor:
        output, sources = self._run(arguments)
        given = {x._number: t for x, t in zip(sources, tangents, strict=True) if t is not None}
        found = forward_sweep([output], given, {t._number for t in sources}).get(output._number)
        return zeros_like(output) if found is None else found

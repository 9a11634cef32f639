"""Gradients through a compiled call: its results are nodes of the caller's graph.

The gradient of a result is another compiled function, made when it is first asked for: it traces the function again
and pulls the gradient back through it. So it can be differentiated in turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autodiff import enable_grad, pull_back
from ..ops._table import Attrs, Op, Spec
from ..ops._table import Plan as OpPlan
from ..tensor import Tensor
from .trees import flatten, rebuild

if TYPE_CHECKING:
    from .compiled import Compiled, Plan

__all__ = ["link"]


def link(compiled: Compiled[Any], plan: Plan, outputs: Sequence[Tensor], structure: Any, leaves: Sequence[Any]) -> None:
    """Record the outputs that can be differentiated as made from the arguments and from tensors outside."""
    kept = [leaf if isinstance(leaf, Tensor) else np.array(leaf) for leaf in leaves]  # the caller may change an array
    sources = tuple(leaves[s] if isinstance(s, int) else s for s in plan.sources)
    for number, output in enumerate(outputs):
        if plan.differentiable[number]:
            rule = _Gradient(compiled, plan, number, structure, kept)
            output._record(Op("compiled", _no_plan, variadic_vjp=rule), sources, ())


def _no_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> OpPlan:
    raise TypeError(f"{name}: is no op of its own")


class _Gradient:
    """The gradient rule of one result of one call."""

    def __init__(self, compiled: Compiled[Any], plan: Plan, number: int, structure: Any, leaves: list[Any]) -> None:
        self.compiled, self.plan, self.number = compiled, plan, number
        self.structure, self.leaves = structure, leaves
        self._made: tuple[Tensor, tuple[Tensor, ...]] | None = None

    def __call__(self, i: int, g: Tensor, out: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
        """The gradient by source i; all of them are computed for the first that is asked for."""
        if self._made is None or self._made[0] is not g:
            pull = self.plan.pulls.get(self.number)
            if pull is None:
                pull = self.plan.pulls[self.number] = type(self.compiled)(self._pull)
            waiting = iter(self.leaves)
            self._made = (g, pull(rebuild(self.structure, lambda: next(waiting)), g))
        return self._made[1][i]

    def _pull(self, arguments: Any, g: Tensor) -> tuple[Tensor, ...]:
        given: list[Any] = []
        flatten(arguments, given)
        args, kwargs = arguments
        results: list[Any] = []
        with enable_grad():
            flatten(self.compiled.function(*args, **kwargs), results)
        output = results[self.plan.results.index(self.number)]
        targets = [given[s] if isinstance(s, int) else s for s in self.plan.sources]
        found = pull_back([output], [g], {t._number for t in targets})
        return tuple(
            found[t._number] if t._number in found else Tensor._wrap(np.zeros(t.shape, t.dtype)) for t in targets
        )

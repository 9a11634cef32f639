"""What one kind of call of a compiled function does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import _core
from .._tensor import Tensor, tensor_numbers
from .._util.dtypes import Array, Spec
from .._util.errors import CompileError
from .._util.trees import is_array, rebuild
from .build import Built

__all__ = ["Plan", "no_plan"]


def no_plan(*_: Any) -> Any:
    """The fast call where there is none."""
    return NotImplemented


@dataclass(eq=False)
class Plan:
    """What one kind of call does: the program, and what happens to tensors outside besides it."""

    built: Built
    structure: Any  # of the result
    results: list[Any]  # for each array of the result: the number of its output, or an object from outside
    guards: list[tuple[Any, str, Any]]  # (object, attribute, value) for which the trace holds
    grad_inputs: list[Tensor | int]  # tensors, or numbers of arguments, whose gradients are read, after the arguments
    grad_outputs: list[tuple[Tensor | int, int]]  # (tensor, or number of the argument, whose `grad` is set; output)
    cleared: list[Tensor]  # whose `grad` is None afterwards
    cleared_arguments: list[int]  # likewise, by number
    versions: list[list[int]]  # of memory that is overwritten
    sources: list[Tensor | int]  # what results can be differentiated by: tensors, or numbers of arguments
    differentiable: list[bool]  # for each output, whether it can be
    statics: list[Any] = field(default_factory=list)
    derivatives: dict[Any, Callable[..., Any]] = field(default_factory=dict)  # of outputs, compiled

    def holds(self, leaves: Sequence[Any]) -> bool:
        """Whether what the trace relied on is still so."""
        for owner, attribute, value in self.guards:
            if getattr(owner, attribute) is not value:
                return False
        wanted = self.built.inputs[len(self.built.inputs) - len(self.grad_inputs) :]
        for grad, v in zip(self._given(leaves), wanted, strict=True):
            if grad is None or self.built.values[v].spec != Spec(grad.shape, grad.dtype):
                return False
        return True

    def _given(self, leaves: Sequence[Any]) -> list[Tensor | None]:
        return [(leaves[t] if isinstance(t, int) else t)._grad for t in self.grad_inputs]

    def fast_call(self, args: Sequence[Any]) -> Callable[..., Any]:
        """A call in C++ for arguments like these, where the result is tensors and no argument is a tree."""
        alone = self.structure == (None,)
        plain = alone or (self.structure[0] is tuple and all(item == (None,) for item in self.structure[1:]))
        in_order = self.results == list(range(len(self.built.outputs)))
        nested = any(isinstance(a, (tuple, list, dict)) for a in args)
        outside = self.grad_inputs or self.grad_outputs or self.cleared_arguments or any(self.differentiable)
        if not plain or not in_order or nested or outside:
            return no_plan
        statics = [None if is_array(a) else (a,) for a in args]
        self.statics = statics  # the fast call borrows them
        return _core.fast_call(
            self.built.program, statics, self.guards, self.versions, self.cleared, alone, Tensor, tensor_numbers
        )

    @property
    def output_dtypes(self) -> list[np.dtype[Any]]:
        """The dtype of each output of the program."""
        return [spec.dtype for spec in self.built.output_specs]

    def _loaded(self) -> _core.Program:
        if self.built.program.isa != _core.active_isa():
            self.built.load()  # a fast call keeps the old program: it will not fit
        return self.built.program

    def run_rows(self, index: Array, results: Array, first: int, seconds: float) -> int:
        """Calls number `first`, ... on the rows of `index`, results one by one into `results`; returns the next."""
        if self.grad_inputs or self.grad_outputs:
            raise CompileError("compile: gradients are kept from call to call; forget them at the end of each step")
        if not self.holds([]):
            raise CompileError("compile: what the trace relies on has changed between two steps")
        done = self._loaded().run_rows(index, results, first, seconds)
        for version in self.versions:
            version[0] += 1
        for tensor in self.cleared:
            tensor._grad = None
        return done

    def run(self, leaves: Sequence[Any], arrays: Sequence[Array]) -> list[Tensor]:
        """One call; the outputs of the program as tensors."""
        given = [grad._data for grad in self._given(leaves) if grad is not None]
        made = self._loaded()(*arrays, *given)
        outputs = made if isinstance(made, tuple) else (made,)
        for version in self.versions:
            version[0] += 1
        for tensor in self.cleared:
            tensor._grad = None
        for number in self.cleared_arguments:
            leaves[number]._grad = None
        for target, i in self.grad_outputs:
            (leaves[target] if isinstance(target, int) else target)._grad = Tensor._wrap(outputs[i])
        return [Tensor._wrap(array) for array in outputs]

    def result(self, outputs: Sequence[Tensor]) -> Any:
        """The function's result with these outputs."""
        found = iter(self.results)

        def leaf() -> Any:
            result = next(found)
            return outputs[result] if isinstance(result, int) else result

        return rebuild(self.structure, leaf)

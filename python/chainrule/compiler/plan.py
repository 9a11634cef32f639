"""What one kind of call of a compiled function does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from .. import _core
from .._tensor import Tensor
from .._util.dtypes import Array, Spec
from .._util.errors import CompileError
from .._util.trees import is_array, rebuild
from .build import CompiledProgram

__all__ = ["Plan", "no_plan"]


def no_plan(*_: Any) -> Any:
    """The fast call where there is none."""
    return NotImplemented


class GradEffect(Enum):
    """What a call leaves in `grad` of a tensor whose gradient the function touched (a table of cases: `Trace`)."""

    KEPT = "as it was"
    SET = "an output of the program"
    CLEARED = "None"
    CONSUMED = "None: an optimizer has used it up"


@dataclass(frozen=True)
class GradUse:
    """What a call does with `grad` of one tensor."""

    tensor: Tensor | int  # a captured one, or the number of an argument
    effect: GradEffect
    read: bool  # whether the gradient at the beginning is an input of the program, after the arguments
    output: int = -1  # of the program, where it is SET


@dataclass(eq=False)
class Plan:
    """What one kind of call does: the program, and what happens to captured tensors besides it."""

    built: CompiledProgram
    structure: Any  # of the result
    results: list[Any]  # for each array of the result: the number of its output, or an object that was captured
    guards: list[tuple[Any, str, Any]]  # (object, attribute, value) for which the trace holds
    gradients: list[GradUse]
    versions: list[list[int]]  # of memory that is overwritten
    sources: list[Tensor | int]  # what results can be differentiated by: tensors, or numbers of arguments
    differentiable: list[bool]  # for each output, whether it can be
    statics: list[Any] = field(default_factory=list)
    derivatives: dict[Any, Callable[..., Any]] = field(default_factory=dict)  # of outputs, compiled

    def __post_init__(self) -> None:
        # By what a call has to do, so that it need not look.
        none = (GradEffect.CLEARED, GradEffect.CONSUMED)
        self._read = [use.tensor for use in self.gradients if use.read]
        self._set = [(use.tensor, use.output) for use in self.gradients if use.effect is GradEffect.SET]
        emptied = [use.tensor for use in self.gradients if use.effect in none]
        self._cleared = [t for t in emptied if isinstance(t, Tensor)]
        self._cleared_arguments = [t for t in emptied if isinstance(t, int)]

    def holds(self, leaves: Sequence[Any]) -> bool:
        """Whether what the trace relied on is still so."""
        for owner, attribute, value in self.guards:
            if getattr(owner, attribute) is not value:
                return False
        wanted = self.built.inputs[len(self.built.inputs) - len(self._read) :]
        for grad, v in zip(self._given(leaves), wanted, strict=True):
            if grad is None or self.built.values[v].spec != Spec(grad.shape, grad.dtype):
                return False
        return True

    def _given(self, leaves: Sequence[Any]) -> list[Tensor | None]:
        return [(leaves[t] if isinstance(t, int) else t)._grad for t in self._read]

    def fast_call(self, args: Sequence[Any]) -> Callable[..., Any]:
        """A call in C++ for arguments like these, where the result is tensors and no argument is a tree."""
        alone = self.structure == (None,)
        plain = alone or (self.structure[0] is tuple and all(item == (None,) for item in self.structure[1:]))
        in_order = self.results == list(range(len(self.built.outputs)))
        nested = any(isinstance(a, (tuple, list, dict)) for a in args)
        gradients = self._read or self._set or self._cleared_arguments or any(self.differentiable)
        if not plain or not in_order or nested or gradients:
            return no_plan
        statics = [None if is_array(a) else (a,) for a in args]
        self.statics = statics  # the fast call borrows them
        return _core.fast_call(self.built.program, statics, self.guards, self.versions, self._cleared, alone)

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
        if self._read or self._set:
            raise CompileError("compile: gradients persist between steps; call zero_grad() inside the compiled step")
        if not self.holds([]):
            raise CompileError("compile: what the trace relies on has changed between two steps")
        done = self._loaded().run_rows(index, results, first, seconds)
        for version in self.versions:
            version[0] += 1
        for tensor in self._cleared:
            tensor._grad = None
        return done

    def run(self, leaves: Sequence[Any], arrays: Sequence[Array]) -> list[Tensor]:
        """One call; the outputs of the program as tensors."""
        given = [grad._data for grad in self._given(leaves) if grad is not None]
        made = self._loaded()(*arrays, *given)
        outputs = made if isinstance(made, tuple) else (made,)
        for version in self.versions:
            version[0] += 1
        for tensor in self._cleared:
            tensor._grad = None
        for number in self._cleared_arguments:
            leaves[number]._grad = None
        for target, i in self._set:
            (leaves[target] if isinstance(target, int) else target)._grad = Tensor._wrap(outputs[i])
        return [Tensor._wrap(array) for array in outputs]

    def result(self, outputs: Sequence[Tensor]) -> Any:
        """The function's result with these outputs."""
        found = iter(self.results)

        def leaf() -> Any:
            result = next(found)
            return outputs[result] if isinstance(result, int) else result

        return rebuild(self.structure, leaf)

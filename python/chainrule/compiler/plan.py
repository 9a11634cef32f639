"""The plan of a compiled function for one kind of call: its program and the effects of a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _core
from .._tensor import Tensor
from .._util.dtypes import Array, Spec
from .._util.errors import CompileError
from .._util.trees import is_array, is_container, is_flat, rebuild
from .entries import Kind, explain

if TYPE_CHECKING:
    from .build import CompiledProgram

__all__ = ["Plan", "no_plan"]


def no_plan(*_: Any) -> Any:
    """Stands for a missing fast call."""
    return NotImplemented


class GradEffect(Enum):
    """The effect of a call on `grad` of a tensor whose gradient the function reads or sets (all cases: `Trace`)."""

    UNCHANGED = "unchanged"
    SET = "an output of the program"
    CLEARED = "None"
    CONSUMED = "None: an optimizer has consumed it"


class GradUse(NamedTuple):
    """How a call uses `grad` of one tensor."""

    tensor: Tensor | int  # a captured tensor, or the index of an argument
    effect: GradEffect
    read: bool  # whether the gradient at entry is an input of the program, after the arguments
    output: int = -1  # index of the program's output if the effect is SET


@dataclass(eq=False)
class Plan:
    """One kind of call: the program, and its effects on tensors besides the result."""

    built: CompiledProgram
    structure: Any  # of the result
    results: list[Any]  # for each leaf of the result: the index of its output, or a captured object
    guards: list[tuple[Any, str, Any]]  # (object, attribute, value): the trace is valid while these are unchanged
    gradients: list[GradUse]
    versions: list[list[int]]  # versions of memory that is overwritten
    sources: list[Tensor | int]  # inputs with gradients: captured tensors, or indices of arguments
    differentiable: list[bool]  # for each output
    loses_gradients: bool  # whether a result would be differentiable if a call had no effects
    array_arguments: list[int] = field(default_factory=list)  # which must be arrays, not tensors
    watched: tuple[Any, ...] = ()  # entries of a `Watch`: likewise while they hold
    statics: list[Any] = field(default_factory=list)  # constant arguments of the fast call
    derivatives: dict[Any, Callable[..., Any]] = field(default_factory=dict)  # compiled sweeps of outputs

    def __post_init__(self) -> None:
        self._entries: tuple[Any, ...] = ()
        # Sorted by effect once, so that a call does not check each tensor.
        empty = (GradEffect.CLEARED, GradEffect.CONSUMED)
        self._read = [use.tensor for use in self.gradients if use.read]
        self._set = [(use.tensor, use.output) for use in self.gradients if use.effect is GradEffect.SET]
        cleared = [use.tensor for use in self.gradients if use.effect in empty]
        self._cleared = [t for t in cleared if isinstance(t, Tensor)]
        self._cleared_arguments = [t for t in cleared if isinstance(t, int)]

    def guards_hold(self, leaves: Sequence[Any]) -> bool:
        """Whether everything that the trace depends on is unchanged."""
        for owner, attribute, value in self.guards:
            if getattr(owner, attribute) is not value:
                return False
        if not _core.unchanged(self.watched, None):
            return False
        if leaves and any(isinstance(leaves[i], Tensor) for i in self.array_arguments):
            return False
        expected = self.built.inputs[len(self.built.inputs) - len(self._read) :]
        for grad, v in zip(self._entry_grads(leaves), expected, strict=True):
            if grad is None or self.built.values[v].spec != Spec(grad.shape, grad.dtype):
                return False
        return True

    def _entry_grads(self, leaves: Sequence[Any]) -> list[Tensor | None]:
        return [(leaves[t] if isinstance(t, int) else t)._grad for t in self._read]

    def fast_call(self, args: Sequence[Any], grad: bool) -> Callable[..., Any]:
        """A call in C++ for arguments like these, if the result is one tensor or a tuple and no argument is a tree."""
        single = self.structure == (None,)
        plain = single or is_flat(self.structure)
        in_order = self.results == list(range(len(self.built.outputs)))
        nested = any(is_container(a) or isinstance(a, (set, partial, slice)) for a in args)
        gradients = self._read or self._set or self._cleared_arguments or any(self.differentiable)
        if not plain or not in_order or nested or gradients:
            return no_plan
        statics: list[Any] = [None if is_array(a) else (a,) for a in args]
        arrays = [i for i, static in enumerate(statics) if static is None]
        for i in self.array_arguments:
            statics[arrays[i]] = ()
        guards = ((Kind.SLOT, owner, attribute, value) for owner, attribute, value in self.guards)
        # The fast call holds borrowed references.
        self.statics, self._entries = statics, (*guards, *self.watched)
        return _core.fast_call(self.built.program, statics, self._entries, self.versions, self._cleared, grad, single)

    @property
    def output_dtypes(self) -> list[np.dtype[Any]]:
        """The dtype of each output of the program."""
        return [spec.dtype for spec in self.built.output_specs]

    def _loaded(self) -> _core.Program:
        if self.built.program.isa != _core.active_isa():
            self.built.load()  # a fast call holds the old program, and rejects itself for this level
        return self.built.program

    def run_rows(
        self,
        index: Array,
        results: Array,
        first: int,
        seconds: float,
        done: Array | None = None,
        settings: Sequence[tuple[Array, int, Array]] = (),
        checked: bool = False,
    ) -> int:
        """Run call i on row i of `index` into `results[i]`, from `first` on for about `seconds`; return the next i.

        It is also in `done`, an int64 array of one element, if an exception ends the calls. Before call i, each of the
        settings (cells, offset, values) writes values[i] to cells[offset:], all float64. `checked`: whether the guards
        are known to hold.
        """
        if self._read or self._set:
            raise CompileError("compile: gradients persist between steps; call zero_grad() inside the compiled step")
        if not checked and not self.guards_hold([]):
            guards = [f"{type(o).__name__}.{name}" for o, name, value in self.guards if getattr(o, name) is not value]
            changed = guards[0] if guards else explain(self.watched) or "a gradient"
            raise CompileError(f"compile: {changed}, on which the trace depends, has changed between two steps")
        try:
            return self._loaded().run_rows(index, results, first, seconds, done, settings)
        finally:
            for version in self.versions:
                version[0] += 1
            for tensor in self._cleared:
                tensor._grad = None

    def run(self, leaves: Sequence[Any], arrays: Sequence[Array]) -> list[Tensor]:
        """Run one call; return the outputs of the program as tensors."""
        grads = [grad._data for grad in self._entry_grads(leaves) if grad is not None]
        returned = self._loaded()(*arrays, *grads)
        outputs = returned if isinstance(returned, tuple) else (returned,)
        for version in self.versions:
            version[0] += 1
        for tensor in self._cleared:
            tensor._grad = None
        for i in self._cleared_arguments:
            leaves[i]._grad = None
        for target, i in self._set:
            (leaves[target] if isinstance(target, int) else target)._grad = Tensor._wrap(outputs[i])
        return [Tensor._wrap(array) for array in outputs]

    def result(self, outputs: Sequence[Tensor]) -> Any:
        """The function's result with these outputs."""
        remaining = iter(self.results)

        def leaf() -> Any:
            result = next(remaining)
            return outputs[result] if isinstance(result, int) else result

        return rebuild(self.structure, leaf)

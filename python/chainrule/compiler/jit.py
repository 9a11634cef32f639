"""cr.compile: a function becomes a program, one for each kind of arguments."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import update_wrapper
from types import MethodType
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from .. import _core
from .._ir.values import Spec
from .._tensor import Tensor, grad_mode, numbers
from .._util.convert import to_array
from .._util.errors import CompileError
from .._util.trees import flatten, is_array, rebuild
from ..ops import _table
from .backward import attach_backward
from .build import CompiledProgram, build
from .report import describe
from .trace import Trace
from .tracer import TracerValue

__all__ = ["Compiled", "Plan", "compile"]

_MANY_PLANS = 64  # from where on somebody should know
_MOST_PLANS = 512

F = TypeVar("F", bound=Callable[..., Any])
Array = npt.NDArray[Any]


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
    sweeps: dict[Any, Compiled[Any]] = field(default_factory=dict)  # gradients and tangents of outputs

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
            return _no_plan
        statics = [None if is_array(a) else (a,) for a in args]
        self.statics = statics  # the fast call borrows them
        return _core.fast_call(
            self.built.program, statics, self.guards, self.versions, self._cleared, alone, Tensor, numbers
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

    def run(self, compiled: Compiled[Any], structure: Any, leaves: Sequence[Any], arrays: Sequence[Array]) -> Any:
        """One call."""
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
        wrapped = [Tensor._wrap(array) for array in outputs]
        if any(self.differentiable):
            attach_backward(compiled, self, wrapped, structure, leaves)
        found = iter(self.results)

        def leaf() -> Any:
            result = next(found)
            return wrapped[result] if isinstance(result, int) else result

        return rebuild(self.structure, leaf)


class Compiled(Generic[F]):
    """A function with its programs; made by `cr.compile`."""

    def __init__(self, function: F, micro_batch: int | None = None) -> None:
        self.function, self._micro_batch = function, micro_batch
        self._plans: dict[Any, list[Plan]] = {}
        self._last: Plan | None = None
        self._fast: Callable[..., Any] = _no_plan
        self._fast_mode: bool | None = None
        self._traced = 0
        update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program for these arguments; trace the function first where there is none yet."""
        if grad_mode.calls is self._fast_mode and not kwargs:
            result = self._fast(*args)
            if result is not NotImplemented:
                return result
        return self._find_and_run(args, kwargs)

    def _find_and_run(self, args: Any, kwargs: Any) -> Any:
        if grad_mode.trace is not None:
            return self.function(*args, **kwargs)
        plan, structure, leaves, arrays = self._find(args, kwargs)
        if plan is not self._last:
            self._remember(plan)
            if not kwargs:
                self._fast, self._fast_mode = plan.fast_call(args), grad_mode.enabled
        return plan.run(self, structure, leaves, arrays)

    def _remember(self, plan: Plan) -> None:
        self._fast, self._fast_mode = _no_plan, True  # it borrows from the plan
        self._last = plan

    def plan_of(self, *args: Any, **kwargs: Any) -> Plan:
        """The plan for such arguments; nothing is run."""
        plan = self._find(args, kwargs)[0]
        self._remember(plan)
        return plan

    def _find(self, args: Any, kwargs: Any) -> tuple[Plan, Any, list[Any], list[Array]]:
        leaves: list[Any] = []
        structure = flatten((args, kwargs), leaves)
        arrays = [_canonical(leaf) for leaf in leaves]
        marks = [(a.shape, a.dtype, _wants_grad(leaf)) for a, leaf in zip(arrays, leaves, strict=True)]
        plans = self._plans.setdefault((structure, *marks, grad_mode.enabled, grad_mode.sources), [])
        plan = next((p for p in plans if p.holds(leaves)), None)
        if plan is None:
            with _without_collections():
                plan = _trace(self.function, structure, leaves, arrays, self._micro_batch)
            plans.append(plan)
            self._traced += 1
            self._limit()
        return plan, structure, leaves, arrays

    def _limit(self) -> None:
        """Plans hold memory; a function that is traced again and again gets values that should be arrays."""
        if self._traced == _MANY_PLANS:
            warnings.warn(
                f"compile: {getattr(self, '__name__', 'the function')} was traced {_MANY_PLANS} times; numbers and "
                "objects among the arguments are fixed at tracing: pass what changes from call to call as an array, in "
                "few shapes",
                stacklevel=4,
            )
        if len(self._plans) > _MOST_PLANS:
            del self._plans[next(iter(self._plans))]

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """As a method: the object is the first argument."""
        return self if instance is None else MethodType(self, instance)

    @property
    def program(self) -> str:
        """What the last call ran, as text: instructions with what is fused into them, operations, memory."""
        if self._last is None:
            raise ValueError("compile: there is no program before the first call")
        return describe(self._last.built)


def compile(function: F) -> Compiled[F]:
    """Make a function of tensors into programs that run in one call of the core; also as a decorator.

    The first call with given shapes and dtypes traces the function: its ops, `backward()` and `optimizer.step()` are
    noted instead of run, then fused and given memory. Later calls run the program. Bits equal those of the function
    itself.

    Tensors and arrays among the arguments (also in tuples, lists, dicts) are read anew at every call; so are tensors
    that the function captures, such as parameters, and the options of optimizers, such as the learning rate.
    Everything else is fixed when it is traced: numbers and other arguments (another value traces again), captured NumPy
    arrays, Python's own branches and loops. A gradient that `optimizer.step()` has used up, in a function that
    began with `zero_grad()`, is not kept: `grad` is None afterwards; return it to look at it.

    Arguments: `function`, from tensors, arrays and anything else to a tensor, or a tuple, list or dict of them.
    Returns: a callable with the same arguments; its `program` shows what the last call ran.
    Errors: `cr.CompileError` at the line that asks for a tensor's value while it is traced; whatever the function
    raises. Nothing has changed then.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> weight = cr.nn.Parameter([1.0, 2.0])
    >>> optimizer = cr.optim.SGD([weight], lr=0.5)
    >>> @cr.compile
    ... def step(x):
    ...     optimizer.zero_grad()
    ...     loss = cr.square(cr.sum(weight * x))
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> step(np.array([1.0, 1.0], np.float32)).item(), weight.numpy()
    (9.0, array([-2., -1.], dtype=float32))
    """
    return Compiled(function)


@contextmanager
def _without_collections() -> Iterator[None]:
    """A trace of thousands of objects, all of them alive, is not searched for garbage again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _no_plan(*_: Any) -> Any:
    return NotImplemented


def _canonical(leaf: Any) -> Array:
    """The array of an argument as programs read it."""
    if isinstance(leaf, Tensor):
        return leaf._data
    array = leaf if isinstance(leaf, np.ndarray) else np.asarray(leaf)
    if array.dtype in _table.CODES and array.flags.c_contiguous and array.flags.aligned and type(array) is np.ndarray:
        return array
    return to_array(array, None)


def _wants_grad(leaf: Any) -> int:
    """0 without a gradient, 1 with one that is None so far, 2 with one."""
    return 0 if not isinstance(leaf, Tensor) or not leaf._requires_grad else 1 if leaf._grad is None else 2


def _trace(
    function: Callable[..., Any],
    structure: Any,
    leaves: Sequence[Any],
    arrays: Sequence[Array],
    micro_batch: int | None,
) -> Plan:
    """Run the function on tensors without values and build its program."""
    trace = Trace()
    arguments = []
    for leaf, array in zip(leaves, arrays, strict=True):
        argument = trace.input(Spec(array.shape, array.dtype))
        argument._requires_grad = _wants_grad(leaf) > 0
        arguments.append(argument)
        if isinstance(leaf, Tensor):
            trace.arguments[argument._number] = leaf
    positions = {argument._number: i for i, argument in enumerate(arguments)}
    waiting = iter(arguments)
    args, kwargs = rebuild(structure, lambda: next(waiting))
    with trace.running():
        result = function(*args, **kwargs)
        trace.finish()
    return _plan(trace, result, positions, micro_batch)


def _plan(trace: Trace, result: Any, positions: dict[int, int], micro_batch: int | None) -> Plan:
    """The plan of a trace: results, and what happens to gradients. `positions` of arguments, by tensor number."""
    outputs: list[tuple[int, Spec]] = []
    differentiable: list[bool] = []

    def output(tensor: Tensor, differentiable_by_caller: bool) -> int:
        outputs.append((trace.value(tensor), Spec(tensor.shape, tensor.dtype)))
        differentiable.append(differentiable_by_caller)
        return len(outputs) - 1

    leaves: list[Any] = []
    structure = flatten(result, leaves)
    pure = not trace.changes
    results = [
        output(leaf, pure and leaf._requires_grad)
        if isinstance(leaf, Tensor) and leaf._version[1] >= trace.start
        else leaf
        for leaf in leaves
    ]
    gradients = []
    for number, (tensor, gradient) in trace.grads.items():
        if number >= trace.start and number not in positions:
            continue
        effect = _grad_effect(trace, number, gradient, number in positions)
        at = output(gradient, False) if effect is GradEffect.SET and gradient is not None else -1
        read = trace.entry_grads.get(number, (tensor, None))[1] is not None
        gradients.append(GradUse(positions.get(number, tensor), effect, read, at))
    sources = [positions[n] for n, leaf in trace.arguments.items() if leaf._requires_grad]
    return Plan(
        build(trace, outputs, micro_batch),
        structure,
        results,
        trace.guards,
        gradients,
        trace.bumped,
        [*sources, *trace.captured.values()],
        differentiable,
    )


def _grad_effect(trace: Trace, number: int, gradient: Tensor | None, argument: bool) -> GradEffect:
    """What a call leaves in `grad` of the tensor of this number, whose gradient is `gradient` in the end."""
    read = number in trace.entry_grads
    before = trace.entry_grads[number][1] if read else None
    if gradient is None:
        # That a captured tensor's gradient was None is guarded.
        return GradEffect.KEPT if read and before is None and not argument else GradEffect.CLEARED
    if number in trace.consumed and not read:
        return GradEffect.CONSUMED
    unchanged = read and isinstance(gradient._data, TracerValue) and gradient._data.value == before
    return GradEffect.KEPT if unchanged else GradEffect.SET

"""cr.compile: trace a function into programs, one for each combination of argument shapes, dtypes and constants."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import update_wrapper
from types import MethodType
from typing import Any, Generic, TypeVar

import numpy as np

from .._tensor import Tensor
from .._util.arrays import is_plain, to_array
from .._util.dtypes import Array, Spec
from .._util.errors import CompileError
from .._util.mode import grad_mode
from .._util.trees import flatten, rebuild
from ..autodiff._inputs import zeros_like
from ..autodiff._jacobian import Sweep
from .backward import attach_backward, check_differentiable
from .entries import explain, restore, without_changes
from .plan import GradEffect, GradUse, Plan, no_plan
from .report import describe
from .trace import Trace, memory_of
from .tracer import TracerValue
from .values import check_arguments_unchanged, check_random_states, check_result, random_states, static_objects
from .watch import UnwatchableError, Watch

__all__ = ["Compiled", "Plan", "compile", "compiled_sweep"]

_WARN_PLANS = 64  # number of traces that raises a warning
_MAX_PLANS = 512
_MAX_VARIANTS = 16  # plans of one kind of call: for the mode of a model, say
_MAX_RUNS = 4  # of a function for one plan, if it changes what it depends on

F = TypeVar("F", bound=Callable[..., Any])


class Compiled(Generic[F]):
    """A function with its programs, as `cr.compile` returns it.

    `watched`: objects whose changes cause a new trace, by default the function and everything that it refers to.
    """

    def __init__(self, function: F, micro_batch: int | None = None, watched: Sequence[Any] | None = None) -> None:
        update_wrapper(self, function)  # first: what wraps a compiled function, as cr.grad(f), has its attributes
        self.function, self._micro_batch = function, micro_batch
        self._roots = (function,) if watched is None else tuple(watched)
        self._watch: Watch | None = None  # of the roots
        self._changed = ""  # what caused the latest trace
        self._plans: dict[Any, list[Plan]] = {}
        self._last: Plan | None = None
        self._fast: Callable[..., Any] = no_plan
        self._traced = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program for these arguments; trace the function first if none exists."""
        if not kwargs:
            result = self._fast(*args)
            if result is not NotImplemented:
                return result
        return self._find_and_run(args, kwargs)

    def _find_and_run(self, args: Any, kwargs: Any) -> Any:
        if not grad_mode.executor.has_values or grad_mode.replaced:
            return self.function(*args, **kwargs)
        plan, structure, leaves, arrays = self._find(args, kwargs)
        if plan is not self._last:
            self._remember(plan)
            if not kwargs:
                self._fast = plan.fast_call(args, grad_mode.enabled)
        if plan.loses_gradients and grad_mode.differentiated:
            check_differentiable(self, plan, leaves)
        outputs = plan.run(leaves, arrays)
        if any(plan.differentiable):
            attach_backward(self.function, Compiled, plan, outputs, structure, leaves)
        return plan.result(outputs)

    def _remember(self, plan: Plan) -> None:
        self._fast = no_plan  # the fast call holds borrowed references to the old plan
        self._last = plan

    def plan_of(self, *args: Any, **kwargs: Any) -> Plan:
        """The plan for arguments like these; nothing is run."""
        plan = self._find(args, kwargs)[0]
        self._remember(plan)
        return plan

    def _find(self, args: Any, kwargs: Any) -> tuple[Plan, Any, list[Any], list[Array]]:
        leaves: list[Any] = []
        structure = flatten((args, kwargs), leaves)
        arrays = [_canonical(leaf) for leaf in leaves]
        marks = [(a.shape, a.dtype, _grad_state(leaf)) for a, leaf in zip(arrays, leaves, strict=True)]
        plans = self._plans.setdefault((structure, *marks, grad_mode.enabled, grad_mode.sources), [])
        plan = next((p for p in plans if p.guards_hold(leaves)), None)
        if plan is None:
            self._changed = explain(plans[-1].watched) if plans else ""
            with _gc_disabled():
                plan = self._trace(structure, leaves, arrays)
            plans.append(plan)
            del plans[:-_MAX_VARIANTS]
            self._traced += 1
            self._limit()
        return plan, structure, leaves, arrays

    def _trace(self, structure: Any, leaves: Sequence[Any], arrays: Sequence[Array]) -> Plan:
        """Trace the function, once unless it changes what it depends on.

        Then it runs again: either the changes cause no other program, as those of a counter, and are watched no longer,
        or the last of a few runs changes nothing, as where layers are made at the first call.
        """
        objects = static_objects(structure)
        before: Any = None
        for _ in range(_MAX_RUNS):
            watch = self._watched(objects)
            states = random_states(watch)
            trace, result, positions = _run(self.function, structure, leaves, arrays)
            check_random_states(states, watch)
            changes = watch.changes()
            signature = _signature(trace, result) if changes else None
            if signature is not None and signature == before:
                watch.replace(changes, without_changes)
                for entry in changes:
                    restore(entry, None)
                changes = []
            if not changes:
                plan = _plan(trace, result, positions, self._micro_batch)
                plan.watched = watch.entries
                trace.grads.clear()  # tensors that refer to the trace: without the circle, it is freed at once
                return plan
            before = signature
        raise CompileError(
            f"compile: the function changes {explain(changes)}, which its result depends on; pass it as an argument, "
            "and return its new value"
        )

    def _watched(self, objects: Sequence[Any]) -> Watch:
        """The watch of the roots, and of these objects among the arguments."""
        if not objects and self._watch is not None and self._watch.unchanged():
            return self._watch
        try:
            watch = Watch([*self._roots, *objects])
        except UnwatchableError as error:
            name = getattr(self, "__name__", "the function")
            raise CompileError(
                f"compile: {name} refers to {error}, whose changes would not be seen; pass what it needs as arguments"
            ) from None
        if not objects:
            self._watch = watch
        return watch

    def _limit(self) -> None:
        """Warn about repeated tracing (its usual cause: a value that should be an array); bound the number of plans."""
        if self._traced == _WARN_PLANS:
            reason = (
                f"the latest time because {self._changed} had changed"
                if self._changed
                else "numbers and objects among the arguments are constants of a trace"
            )
            warnings.warn(
                f"compile: {getattr(self, '__name__', 'the function')} was traced {_WARN_PLANS} times; {reason}: pass "
                "values that change between calls as arrays of few different shapes",
                stacklevel=4,
            )
        if len(self._plans) > _MAX_PLANS:
            del self._plans[next(iter(self._plans))]

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Bind to an object, like a method: the object is the first argument."""
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Copies and pickles have the function only, by its name where the module has this object under it."""
        place: Any = sys.modules.get(getattr(self, "__module__", None) or "")
        name: str = getattr(self, "__qualname__", "")
        for part in name.split("."):
            place = getattr(place, part, None)
        if place is self:
            return name
        own = len(self._roots) == 1 and self._roots[0] is self.function
        return Compiled, (self.function, self._micro_batch, None if own else self._roots)

    @property
    def program(self) -> str:
        """The program of the last call as text: instructions with their fused steps, operation counts, memory."""
        if self._last is None:
            raise ValueError("compile: no program exists before the first call")
        return describe(self._last.built)


def compile(function: F) -> Compiled[F]:
    """Compile a function of tensors into programs that run in one call of the core; also usable as a decorator.

    The first call with given shapes and dtypes traces the function: its ops, `backward()` and `optimizer.step()` are
    recorded instead of run, then fused and assigned memory. Later calls run the program. The results have the same bits
    as those of the function itself.

    Tensors and arrays among the arguments (also in containers: tuples, lists, dicts and their subclasses, dataclasses,
    and classes given to `cr.register_tree_node`) are read at every call, and likewise tensors that the function
    captures, such as parameters, and the options of optimizers, such as the learning rate. Everything else is constant
    in a trace: numbers and other arguments, layers and attributes of models, captured arrays, globals. Another value,
    or a change, traces again. A gradient that `optimizer.step()` has consumed, in a function that
    began with `zero_grad()`, is not saved: `grad` is None afterwards; return it to inspect it.

    Arguments: `function`, from tensors, arrays and any other objects to a tensor, or a container of them.
    Returns: a callable with the same arguments; its `program` shows the program of the last call.
    Errors: `cr.CompileError` at the line that reads a tensor's value while the function is traced, and for arguments or
    captured objects whose changes could not be seen, such as iterators; everything that the function raises. Nothing
    has changed then.

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
def _gc_disabled() -> Iterator[None]:
    """Stop garbage collection while tracing: it would scan thousands of live objects repeatedly."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _canonical(leaf: Any) -> Array:
    """The array of an argument in the form that programs read."""
    if isinstance(leaf, Tensor):
        return leaf._data
    array = leaf if isinstance(leaf, np.ndarray) else np.asarray(leaf)
    return array if is_plain(array) else to_array(array, None)


def _grad_state(leaf: Any) -> int:
    """0 if it requires no gradient, 1 if `grad` is None, 2 if `grad` is a tensor."""
    return 0 if not isinstance(leaf, Tensor) or not leaf._requires_grad else 1 if leaf._grad is None else 2


def _run(
    function: Callable[..., Any], structure: Any, leaves: Sequence[Any], arrays: Sequence[Array]
) -> tuple[Trace, Any, dict[int, int]]:
    """Run the function on tensors without values; return the trace, the result, and the arguments by tensor number."""
    trace = Trace()
    arguments = []
    for leaf, array in zip(leaves, arrays, strict=True):
        argument = trace.input(Spec(array.shape, array.dtype), not isinstance(leaf, Tensor))
        argument._requires_grad = _grad_state(leaf) > 0
        arguments.append(argument)
        if isinstance(leaf, Tensor):
            trace.arguments[argument._number] = leaf
    remaining = iter(arguments)
    args, kwargs = rebuild(structure, lambda: next(remaining))
    with trace.running():
        result = function(*args, **kwargs)
        trace.finish()
    check_arguments_unchanged(structure, arguments, (args, kwargs))
    return trace, result, {argument._number: i for i, argument in enumerate(arguments)}


def _signature(trace: Trace, result: Any) -> Any:
    """Equal for traces that compute the same."""
    leaves: list[Any] = []
    structure = flatten(result, leaves)
    made = {id(state) for state in trace.own_states}
    values = [
        (v.spec, v.constant, v.array.tobytes() if v.constant or id(v.array) in made else memory_of(v.array))
        for v in trace.values
        if v.array is not None
    ]
    returned = [trace.value(t) if isinstance(t, Tensor) else id(t) for t in leaves]
    return [instr.lower() for instr in trace.code], trace.inputs, values, structure, returned


def _plan(trace: Trace, result: Any, positions: dict[int, int], micro_batch: int | None) -> Plan:
    """The plan of a trace: its results and its effects on gradients. `positions`: of arguments, by tensor number."""
    outputs: list[tuple[int, Spec]] = []
    differentiable: list[bool] = []

    def output(tensor: Tensor, differentiable_by_caller: bool) -> int:
        outputs.append((trace.value(tensor), Spec(tensor.shape, tensor.dtype)))
        differentiable.append(differentiable_by_caller)
        return len(outputs) - 1

    leaves: list[Any] = []
    structure = flatten(result, leaves)
    check_result(structure, trace)
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
    from .build import build  # on first use: the planner takes a tenth of the time of `import chainrule`

    return Plan(
        build(trace, outputs, micro_batch),
        structure,
        results,
        trace.guards,
        gradients,
        trace.bumped,
        [*sources, *trace.captured.values()],
        differentiable,
        trace.loses_gradients or (not pure and any(isinstance(t, Tensor) and t._requires_grad for t in leaves)),
        [i for i, value in enumerate(trace.inputs) if value in trace.array_arguments],
    )


def _grad_effect(trace: Trace, number: int, gradient: Tensor | None, argument: bool) -> GradEffect:
    """The effect of a call on `grad` of the tensor with this number; `gradient`: its `grad` at the end of the trace."""
    read = number in trace.entry_grads
    before = trace.entry_grads[number][1] if read else None
    if gradient is None:
        # For a captured tensor, a guard checks that its gradient is None.
        return GradEffect.UNCHANGED if read and before is None and not argument else GradEffect.CLEARED
    if number in trace.consumed and not read:
        return GradEffect.CONSUMED
    unchanged = read and isinstance(gradient._data, TracerValue) and gradient._data.value == before
    return GradEffect.UNCHANGED if unchanged else GradEffect.SET


def compiled_sweep(sweep: Sweep, like: Tensor) -> Sweep:
    """Compile a sweep of autodiff; return the sweep itself if the rule of a custom op reads values."""
    program = Compiled(sweep, watched=())
    try:
        program.plan_of(zeros_like(like))
    except CompileError:
        return sweep
    return program

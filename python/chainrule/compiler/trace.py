"""Tracing: a function runs once on tensors without values, and every op appends its instructions to a list.

The list is flat and in program order: forward, backward and updates alike, because gradient rules are written in ops
and optimizers append their updates. A value is identified by its index in `Trace.values`, its id. Captured arrays,
those that exist outside the function, are bound by reference: each run reads their current values. Nothing outside the
function changes while it is traced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from .. import _core
from .._ir.elementwise import Update
from .._ir.instruction import Instr
from .._ir.record import Record
from .._ir.records import Advance, Bernoulli, CheckFinite, CheckIndex, Copy, Draw
from .._ir.values import Value
from .._tensor import Tensor
from .._util.dtypes import Array, Shape, Spec
from .._util.errors import CompileError
from .._util.mode import EAGER, grad_mode
from ..ops._op import Attrs, Op
from ..ops._operands import as_tensor
from .tracer import TracerValue, raise_value_unknown, user_line

__all__ = ["Check", "Trace", "memory_of"]


class Check(NamedTuple):
    """An instruction that can stop the program, and a function from position and value of an element to the error."""

    instr: Instr
    error: Callable[[int, int], Exception]


def _spec(data: Any) -> Spec:
    return data.spec if isinstance(data, TracerValue) else Spec(data.shape, data.dtype)


def memory_of(array: Array) -> Any:
    """The same key for arrays with the same memory, such as a reshaped view."""
    return _core.address(array), array.size, array.dtype


class Trace:
    """The instructions of one run of the function; the current executor (`_util/mode.py`) during that run.

    The `grad` of tensors is not changed while they are traced; the trace records it by tensor number. At the end of a
    trace, the state of a tensor determines the effect of each call on its `grad` (`plan.GradEffect`):

    ============================================  ================  ================  ==========  ===================
    the function                                  `grads`           `entry_grads`     `consumed`  `grad` after a call
    ============================================  ================  ================  ==========  ===================
    neither reads nor sets it                     no entry          no entry          no          unchanged
    reads it                                      gradient at entry gradient at entry no          unchanged
    reads it, then sets it (accumulation)         last gradient     gradient at entry any         last gradient
    sets it without reading it (after zeroing)    last gradient     no entry          no          last gradient
    likewise, and an optimizer consumes it        last gradient     no entry          yes         None
    zeroes it at the end                          None              any               no          None
    ============================================  ================  ================  ==========  ===================

    The gradient at entry is an input of the program, or None.
    """

    has_values = False

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.code: list[Instr] = []
        self.inputs: list[int] = []  # values passed at each call
        self.array_arguments: set[int] = set()  # inputs that took a tensor's dtype, as only an array does
        self.checks: list[Check] = []
        self.start = Tensor._wrap(np.zeros(()))._number  # tensors with smaller numbers existed before the trace
        self.arguments: dict[int, Tensor] = {}  # tensors passed by the caller, by the number of the traced tensor
        self.captured: dict[int, Tensor] = {}  # captured tensors that require a gradient, by value
        self._bound: dict[Any, int] = {}  # values by memory
        self._bound_arrays: dict[int, tuple[Array, int]] = {}  # the same by array object: its address takes 1 us to get
        self._seen: dict[Any, tuple[int, Spec]] = {}  # results of appended ops, for reuse (common subexpressions)
        self._read: set[int] = set()  # captured tensors whose values are read
        self._writes = 0
        self.grads: dict[int, tuple[Tensor, Tensor | None]] = {}  # the current `grad` of tensors
        self.entry_grads: dict[int, tuple[Tensor, int | None]] = {}  # `grad` at entry, if read before set
        self.consumed: set[int] = set()  # tensors whose gradient an optimizer has consumed
        self.loses_gradients = False  # whether a value that requires a gradient was copied into a tensor
        self.bumped: list[list[int]] = []  # versions of overwritten memory
        self._draws: dict[int, tuple[Array, int]] = {}  # states of generators, and their numbers of draws
        self.own_states: list[Array] = []  # of generators created in the function: every run begins with these states
        self.guards: list[tuple[Any, str, Any]] = []  # (object, attribute, value) that the trace depends on

    # Values.

    def new(self, spec: Spec) -> int:
        """Append a value; return its id."""
        self.values.append(Value(spec))
        return len(self.values) - 1

    def input(self, spec: Spec, plain: bool = False) -> Tensor:
        """A traced tensor whose values are passed at each call."""
        value = self.new(spec)
        self.inputs.append(value)
        return Tensor._wrap(TracerValue(self, value, spec, plain))

    def bind(self, array: Array, constant: bool) -> int:
        """The id of a captured array or of a constant."""
        known = self._bound_arrays.get(id(array))
        if known is not None:
            return known[1]
        memory = memory_of(array)
        found = self._bound.get(memory)
        if found is None:
            if array.size > 0 and any(memory == memory_of(t._data) for t in self.arguments.values()):
                raise CompileError(
                    f"compile: a tensor is both an argument and captured ({user_line()}); either pass it or capture it"
                )
            found = self._bound[memory] = self.new(Spec(array.shape, array.dtype))
            self.values[found].array, self.values[found].constant = array, constant
        self._bound_arrays[id(array)] = array, found
        return found

    def value(self, tensor: Tensor) -> int:
        """The id of a tensor's value."""
        data = tensor._data
        if isinstance(data, TracerValue):
            if data.trace is not self:
                raise CompileError(
                    f"compile: a tensor created while another function was traced is used ({user_line()}); return "
                    "it from that function"
                )
            return data.value
        value = self.bind(data, self._created_inside(tensor))
        if tensor._number < self.start and tensor._number not in self._read:
            self._read.add(tensor._number)
            if tensor._op is None and tensor._data.dtype.kind == "f":
                self.guard(tensor, "_requires_grad")
            if tensor._requires_grad:
                self.captured[value] = tensor
        return value

    def _created_inside(self, tensor: Tensor) -> bool:
        """Whether the function created its memory. Such a tensor is a constant, unless it is a traced one."""
        return bool(tensor._version[1] >= self.start)

    def require_values(self, tensor: Tensor) -> None:
        """Raise if the tensor is captured: later runs would not read its values again."""
        if not isinstance(tensor._data, TracerValue) and not self._created_inside(tensor):
            raise_value_unknown(tensor.shape)

    # Instructions.

    def apply(self, op: Op, inputs: tuple[Tensor, ...], attrs: Attrs) -> Any:
        """Append an op; if all operands are constants, compute it now."""
        values = [self.value(t) for t in inputs]
        varying = [value for v in values if not (value := self.values[v]).constant]
        if not varying:
            return EAGER.apply(op, inputs, attrs)
        mutable = [value for value in varying if value.array is not None]
        key = (op, attrs, *values, *[t._data.shape for t in inputs], self._writes if mutable else 0)
        found = self._seen.get(key)
        if found is None:
            plan = op.planned([_spec(t._data) for t in inputs], attrs)
            found = self._seen[key] = self.new(plan.out), plan.out
            slots = [*values, found[0], *[self.new(spec) for spec in plan.temporaries]]
            for step in plan.code:
                outs, ins = [slots[i] for i in step.outs], [slots[i] for i in step.ins]
                self.code.append(Instr(step.name, step.dtype, outs, ins, step.record, step.reals))
        return TracerValue(self, *found)

    def emit(self, instr: Instr) -> Instr:
        """Append an instruction."""
        self.code.append(instr)
        return instr

    def in_place(
        self, name: str, outputs: Sequence[Tensor | Array], inputs: Sequence[Tensor | Array], record: Record
    ) -> None:
        """Append an instruction that overwrites captured tensors or arrays."""
        outs = [self._overwritten(t) for t in outputs]
        ins = [self.value(t) if isinstance(t, Tensor) else self.bind(t, False) for t in inputs]
        self.emit(Instr(name, self.values[outs[0]].spec.code, outs, ins, record))
        self._writes += 1

    def operand(self, tensor: Tensor, values: Any) -> Tensor:
        """Convert values to a tensor of the same dtype."""
        return as_tensor(values, tensor.dtype).astype(tensor.dtype)

    def overwrite(self, tensor: Tensor, values: Tensor) -> None:
        """Append a copy into a captured tensor; nothing is differentiated through it."""
        self.loses_gradients |= values._requires_grad
        self.in_place("copy", [tensor], [values], Copy.contiguous(tensor.size))

    def update(
        self,
        rule: str,
        parameter: Tensor,
        gradient: Tensor,
        states: tuple[Array, ...],
        hyperparameters: Array,
        step_state: Array | None,
    ) -> None:
        """Append an optimizer's update of one parameter, which consumes the gradient."""
        inputs: list[Tensor | Array] = [gradient, hyperparameters, *([] if step_state is None else [step_state])]
        self.in_place(rule, [parameter, *states], inputs, Update(parameter.size, parameter._row_size))
        self.consumed.add(parameter._number)
        self.bump_version(parameter._version)

    def advance(self, step_states: Sequence[Array], hyperparameters: Array, numbers: int, update: str) -> None:
        """Append the increment of the step states at the end of a step."""
        self.in_place(f"advance {update}".strip(), step_states, [hyperparameters], Advance(numbers))

    def _overwritten(self, target: Tensor | Array) -> int:
        if isinstance(target, Tensor) and (isinstance(target._data, TracerValue) or self._created_inside(target)):
            is_input = isinstance(target._data, TracerValue) and target._data.value in self.inputs
            what = "an argument" if is_input else "a tensor created inside the function"
            raise CompileError(
                f"compile: {what} cannot be overwritten ({user_line()}); return or use the new value instead, or "
                "capture a tensor and overwrite that"
            )
        value = self.value(target) if isinstance(target, Tensor) else self.bind(target, False)
        self.values[value].constant = False
        return value

    def check_index(self, index: Tensor, low: int, high: int, error: Callable[[int, int], Exception]) -> Tensor:
        """Append a check of an index; return the checked index, where negative values are counted from the end."""
        return self._check("check_index", index, CheckIndex(index.size, low, high), error)

    def check_finite(self, tensor: Tensor, error: Callable[[int, int], Exception]) -> None:
        """Append a check that no element is NaN or infinite."""
        self._check("check_finite", tensor, CheckFinite(tensor.size), error)

    def check_false(self, wrong: Tensor, error: Callable[[int, int], Exception]) -> None:
        """Append a check that a bool tensor is false everywhere."""
        self.check_index(wrong.astype(np.int64), 0, 1, error)

    def _check(self, name: str, tensor: Tensor, record: Record, error: Callable[[int, int], Exception]) -> Tensor:
        """Append a check of a tensor's values, which stops the program with `error(position, value)`."""
        value = self.value(tensor)
        spec = self.values[value].spec
        status, out = self.new(Spec((3,), np.dtype(np.int64))), self.new(spec)
        instr = self.emit(Instr(name, spec.code, [status, out], [value], record))
        self.checks.append(Check(instr, error))
        return Tensor._wrap(TracerValue(self, out, Spec(tensor.shape, spec.dtype)))

    def draw(self, name: str, state: Array, shape: Shape, dtype: np.dtype[Any], numbers: Array) -> Any:
        """Append a draw from the next stream of a generator; a run reads numbers that are not constant."""
        grad_mode.check_draw()
        earlier = self._draws.get(id(state), (state, 0))[1]
        self._draws[id(state)] = state, earlier + 1
        spec = Spec(shape, dtype)
        if spec.size == 0:
            return np.zeros(shape, dtype)
        # The counter of an element is relative to the first row of the batch, so a row block needs its row numbers.
        # A permutation has no rows: its first number depends on all swaps.
        rows = self.bind(np.arange(shape[0] if shape and name != "draw_permutation" else 1), True)
        out = self.new(spec)
        record = Bernoulli(spec.size, row_size=spec.size // self.values[rows].spec.size, earlier_draws=earlier)
        inputs = [self.bind(state, False), rows, self.bind(numbers, not numbers.flags.writeable)]
        self.emit(Instr(name, spec.code, [out], inputs, record))
        return TracerValue(self, out, spec)

    def note_result(self, result: Tensor, inputs: tuple[Tensor, ...]) -> None:
        """Do nothing: a traced rule cannot read values."""

    def register_generator(self, state: Array) -> None:
        """Record the state of a generator that the function creates."""
        self.own_states.append(state)

    def owns_generator(self, state: Array) -> bool:
        """Whether the function created the generator with this state."""
        return any(state is own for own in self.own_states)

    def finish(self) -> None:
        """Append the instructions at the end of a run: generators advance to the streams of the next run."""
        for state, count in self._draws.values():
            if not self.owns_generator(state):
                self.in_place("draw", [state], [], Draw(count))

    @property
    def changes(self) -> bool:
        """Whether a run has side effects."""
        return bool(self.bumped or self.grads or self._draws)

    # State of tensors: gradients and versions.

    def get_grad(self, tensor: Tensor) -> Tensor | None:
        """The value of `tensor.grad` at this point of the function."""
        if tensor._number in self.grads:
            return self.grads[tensor._number][1]
        if tensor._number >= self.start and tensor._number not in self.arguments:
            return tensor._grad
        grad = self.arguments.get(tensor._number, tensor)._grad
        traced = None if grad is None else self.input(Spec(grad.shape, grad.dtype))
        self.entry_grads[tensor._number] = (tensor, None if traced is None else self.value(traced))
        if traced is None and tensor._number < self.start:
            self.guard(tensor, "_grad")
        self.grads[tensor._number] = (tensor, traced)
        return traced

    def set_grad(self, tensor: Tensor, gradient: Tensor | None) -> None:
        """`tensor.grad = gradient` at this point of the function."""
        self.grads[tensor._number] = (tensor, gradient)
        self.consumed.discard(tensor._number)

    def check_requires_grad(self, tensor: Tensor, value: bool) -> None:
        """Raise if `requires_grad` of a tensor from outside would change: later runs would not change it."""
        captured = tensor._number < self.start
        if tensor._requires_grad != value and (captured or (tensor._number in self.arguments and not value)):
            what = "a captured tensor" if captured else "an argument"
            raise CompileError(f"compile: requires_grad of {what} is changed ({user_line()}); change it outside")

    def forbid(self, message: str) -> None:
        """Raise the error of an operation that a program could not repeat."""
        raise CompileError(message)

    def guard(self, owner: Any, attribute: str) -> None:
        """Record that the trace depends on the identity of an attribute; another object causes a new trace."""
        self.guards.append((owner, attribute, getattr(owner, attribute)))

    def bump_version(self, version: list[int]) -> None:
        """Increment the version of overwritten memory; undone at the end of tracing and repeated by every run."""
        version[0] += 1
        self.bumped.append(version)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ops append to this trace inside the block."""
        before = grad_mode.executor
        grad_mode.set(grad_mode.enabled, self)
        try:
            yield
        finally:
            grad_mode.set(grad_mode.enabled, before)
            for version in self.bumped:
                version[0] -= 1

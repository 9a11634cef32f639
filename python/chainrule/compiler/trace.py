"""Tracing: a function is run once on tensors without values, and every op appends its instructions to a list.

The list is flat and in program order: forward, backward and updates alike, because gradient rules are written in ops
and optimizers append their updates. Values are numbered; captured arrays, those that exist outside of the function, are
bound by reference, so that later runs see their values of then. Nothing outside changes while a function is traced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

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
from .tracer import TracerValue, refuse, user_line

__all__ = ["Check", "Trace"]


@dataclass(frozen=True)
class Check:
    """An instruction that can stop the program, and the error to raise then from position and value of the element."""

    instr: Instr
    error: Callable[[int, int], Exception]


def _memory(array: Array) -> Any:
    """What arrays have in common that are one; a reshaped view is the same memory."""
    return array.__array_interface__["data"][0], array.size, array.dtype


class Trace:
    """What one run of the function appended; the executor (`_util/mode.py`) while it runs.

    Tensors keep their `grad` while they are traced; what the function makes of it is noted here, by tensor number. At
    the end of a trace a tensor's state says what each call does (`plan.GradEffect`):

    ==========================================  ===========  ==================  ==========  ==================
    the function                                `grads` has  `entry_grads` has   `consumed`  `grad` after a call
    ==========================================  ===========  ==================  ==========  ==================
    neither read nor set it                     nothing      nothing             no          as it was
    read it, and left it                        what it was  what it was         no          as it was
    read it, then set it (accumulation)         the last     what it was         any         the last
    set it without reading it (after zeroing)   the last     nothing             no          the last
    the same, and an optimizer used it up       the last     nothing             yes         None
    zeroed it at the end                        None         any                 no          None
    ==========================================  ===========  ==================  ==========  ==================

    What it was: an input of the program, or None.
    """

    has_values = False

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.code: list[Instr] = []
        self.inputs: list[int] = []  # values given at each call
        self.checks: list[Check] = []
        self.start = Tensor._wrap(np.zeros(()))._number  # tensors with smaller numbers were there before
        self.arguments: dict[int, Tensor] = {}  # what the caller gave, by the number of the traced tensor
        self.captured: dict[int, Tensor] = {}  # captured tensors that gradients may be asked for, by value
        self._bound: dict[Any, int] = {}
        self._seen: dict[Any, int] = {}  # the value of an op that was appended before
        self._read: set[int] = set()  # captured tensors whose values were read
        self._writes = 0
        self.grads: dict[int, tuple[Tensor, Tensor | None]] = {}  # what `grad` of a tensor is now
        self.entry_grads: dict[int, tuple[Tensor, int | None]] = {}  # what it was when it was read before it was set
        self.consumed: set[int] = set()  # tensors whose gradient an optimizer has used up
        self.bumped: list[list[int]] = []  # versions of memory that is overwritten
        self._draws: dict[int, tuple[Array, int]] = {}  # states of generators, and how often each was drawn from
        self.own_states: list[Array] = []  # of generators made inside: every run begins with them as they were made
        self.guards: list[tuple[Any, str, Any]] = []  # (object, attribute, value): what the trace relies on

    # Values.

    def new(self, spec: Spec) -> int:
        """Number a new value."""
        self.values.append(Value(spec))
        return len(self.values) - 1

    def input(self, spec: Spec) -> Tensor:
        """A tensor whose values every call brings."""
        value = self.new(spec)
        self.inputs.append(value)
        return Tensor._wrap(TracerValue(self, value, spec))

    def bind(self, array: Array, constant: bool) -> int:
        """Number a captured array, or a constant."""
        where = _memory(array)
        found = self._bound.get(where)
        if found is None:
            if array.size > 0 and any(where == _memory(t._data) for t in self.arguments.values()):
                raise CompileError(
                    f"compile: a tensor is an argument and also captured ({user_line()}); pass it or capture it, not "
                    "both"
                )
            found = self._bound[where] = self.new(Spec(array.shape, array.dtype))
            self.values[found].array, self.values[found].constant = array, constant
        return found

    def value(self, tensor: Tensor) -> int:
        """The number of a tensor's value."""
        data = tensor._data
        if isinstance(data, TracerValue):
            if data.trace is not self:
                raise CompileError(
                    f"compile: a tensor from inside of another compiled function was kept and used ({user_line()}); "
                    "return it from the function"
                )
            return data.value
        value = self.bind(data, self._made_inside(tensor))
        if tensor._number < self.start and tensor._number not in self._read:
            self._read.add(tensor._number)
            if tensor._op is None and tensor._data.dtype.kind == "f":
                self.guard(tensor, "_requires_grad")
            if tensor._requires_grad:
                self.captured[value] = tensor
        return value

    def _made_inside(self, tensor: Tensor) -> bool:
        """Whether the function made its memory, from what is fixed: a constant."""
        return tensor._version[1] >= self.start

    def require_values(self, tensor: Tensor) -> None:
        """Refuse to show the present values of a captured tensor: later runs would not ask again."""
        if not isinstance(tensor._data, TracerValue) and not self._made_inside(tensor):
            refuse(tensor.shape)

    def _is_constant(self, tensor: Tensor) -> bool:
        return not isinstance(tensor._data, TracerValue) and self.values[self.value(tensor)].constant

    # Instructions.

    def apply(self, op: Op, inputs: tuple[Tensor, ...], attrs: Attrs) -> Any:
        """Append an op; of constants alone it is computed now."""
        if all(self._is_constant(t) for t in inputs):
            return EAGER.apply(op, inputs, attrs)
        values = [self.value(t) for t in inputs]
        plan = op.plan(op.name, [Spec(t._data.shape, t._data.dtype) for t in inputs], attrs)
        changing = any(self.values[v].array is not None and not self.values[v].constant for v in values)
        key = (op, attrs, *values, *[t._data.shape for t in inputs], self._writes if changing else 0)
        out = self._seen.get(key)
        if out is None:
            out = self._seen[key] = self.new(plan.out)
            slots = [*values, out, *[self.new(spec) for spec in plan.temporaries]]
            for step in plan.code:
                outs, ins = [slots[i] for i in step.outs], [slots[i] for i in step.ins]
                self.code.append(Instr(step.name, step.dtype, outs, ins, step.record, step.reals))
        return TracerValue(self, out, plan.out)

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
        """A tensor of the same dtype."""
        return as_tensor(values, tensor.dtype).astype(tensor.dtype)

    def overwrite(self, tensor: Tensor, values: Tensor) -> None:
        """Append a copy onto a captured tensor."""
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
        """Append an optimizer's step for one parameter, which uses the gradient up."""
        inputs: list[Tensor | Array] = [gradient, hyperparameters, *([] if step_state is None else [step_state])]
        self.in_place(rule, [parameter, *states], inputs, Update(parameter.size))
        self.consumed.add(parameter._number)
        self.bump_version(parameter._version)

    def advance(self, step_states: Sequence[Array], hyperparameters: Array, kind: int) -> None:
        """Append the end of a step."""
        self.in_place("advance", step_states, [hyperparameters], Advance(kind))

    def _overwritten(self, target: Tensor | Array) -> int:
        if isinstance(target, Tensor) and (isinstance(target._data, TracerValue) or self._made_inside(target)):
            given = isinstance(target._data, TracerValue) and target._data.value in self.inputs
            what = "an argument" if given else "a tensor made inside of the function"
            raise CompileError(
                f"compile: {what} would be overwritten ({user_line()}); return or use the new value instead, or let "
                "the function capture a tensor"
            )
        value = self.value(target) if isinstance(target, Tensor) else self.bind(target, False)
        self.values[value].constant = False
        return value

    def check_index(self, index: Tensor, low: int, high: int, error: Callable[[int, int], Exception]) -> Tensor:
        """Append a check of an index; returns what it writes, with negative ones counted from the end."""
        return self._check("check_index", index, CheckIndex(index.size, low, high), error)

    def check_finite(self, tensor: Tensor, error: Callable[[int, int], Exception]) -> None:
        """Append a check that no element is NaN or infinite."""
        self._check("check_finite", tensor, CheckFinite(tensor.size), error)

    def check_false(self, wrong: Tensor, error: Callable[[int, int], Exception]) -> None:
        """Append a check that a bool tensor holds nowhere."""
        self.check_index(wrong.astype(np.int64), 0, 1, error)

    def _check(self, name: str, tensor: Tensor, record: Record, error: Callable[[int, int], Exception]) -> Tensor:
        """Append a check of a tensor's values, which stops the program with `error(position, number)`."""
        value = self.value(tensor)
        spec = self.values[value].spec
        status, out = self.new(Spec((3,), np.dtype(np.int64))), self.new(spec)
        instr = self.emit(Instr(name, spec.code, [status, out], [value], record))
        self.checks.append(Check(instr, error))
        return Tensor._wrap(TracerValue(self, out, Spec(tensor.shape, spec.dtype)))

    def draw(self, state: Array, shape: Shape, dtype: np.dtype[Any], p: float, value: float) -> Any:
        """Append a draw of a mask: 0 with probability p, else `value`, from the next stream of a generator."""
        before = self._draws.get(id(state), (state, 0))[1]
        self._draws[id(state)] = state, before + 1
        spec = Spec(shape, dtype)
        if spec.size == 0:
            return np.zeros(shape, dtype)
        # An element's number counts from the first row of the batch: a block of rows has its own of these.
        rows = self.bind(np.arange(shape[0] if shape else 1), True)
        out = self.new(spec)
        record = Bernoulli(spec.size, row_size=spec.size // self.values[rows].spec.size, earlier_draws=before)
        self.emit(Instr("bernoulli", spec.code, [out], [self.bind(state, False), rows], record, [p, value]))
        return TracerValue(self, out, spec)

    def register_generator(self, state: Array) -> None:
        """Note the state of a generator that is made inside."""
        self.own_states.append(state)

    def owns_generator(self, state: Array) -> bool:
        """Whether it is the state of a generator that was made inside."""
        return any(state is own for own in self.own_states)

    def finish(self) -> None:
        """Append what is done once, at the end: generators go on to the streams of the next run."""
        for state, count in self._draws.values():
            if not self.owns_generator(state):
                self.in_place("draw", [state], [], Draw(count))

    @property
    def changes(self) -> bool:
        """Whether a run changes more than its results."""
        return bool(self.bumped or self.grads or self._draws)

    # State of tensors: gradients and versions.

    def get_grad(self, tensor: Tensor) -> Tensor | None:
        """What `tensor.grad` is at this point of the function."""
        if tensor._number in self.grads:
            return self.grads[tensor._number][1]
        if tensor._number >= self.start and tensor._number not in self.arguments:
            return tensor._grad
        before = self.arguments.get(tensor._number, tensor)._grad
        now = None if before is None else self.input(Spec(before.shape, before.dtype))
        self.entry_grads[tensor._number] = (tensor, None if now is None else self.value(now))
        if now is None and tensor._number < self.start:
            self.guard(tensor, "_grad")
        self.grads[tensor._number] = (tensor, now)
        return now

    def set_grad(self, tensor: Tensor, gradient: Tensor | None) -> None:
        """`tensor.grad = gradient` at this point of the function."""
        self.grads[tensor._number] = (tensor, gradient)
        self.consumed.discard(tensor._number)

    def check_requires_grad(self, tensor: Tensor, value: bool) -> None:
        """Refuse to change it on a captured tensor: later runs would not."""
        if tensor._number < self.start and tensor._requires_grad != value:
            raise CompileError(f"compile: requires_grad is changed inside ({user_line()}); change it outside")

    def forbid(self, message: str) -> None:
        """Refuse what a program could not repeat."""
        raise CompileError(message)

    def guard(self, owner: Any, attribute: str) -> None:
        """Note that the trace holds for this very object as the owner's attribute; another one traces anew."""
        self.guards.append((owner, attribute, getattr(owner, attribute)))

    def bump_version(self, version: list[int]) -> None:
        """Note that memory is overwritten; taken back at the end of tracing and done again by every run."""
        version[0] += 1
        self.bumped.append(version)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ops append to this trace inside the block."""
        grad_mode.set(grad_mode.enabled, self)
        try:
            yield
        finally:
            grad_mode.set(grad_mode.enabled, EAGER)
            for version in self.bumped:
                version[0] -= 1

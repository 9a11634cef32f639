"""The op table: the definition of an op, and `apply`, the single function that runs one.

An op is a row: its name, `plan` (shape rule and instructions), `vjp`, one gradient rule per argument for reverse mode,
and `jvp`, one tangent rule per argument for forward mode. Rules are written in ops, so gradients and tangents are
ordinary nodes of the graph and can be differentiated again. Code that covers all ops (autodiff, tests, documentation)
iterates over `OPS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Final, Literal

from .._ir.instruction import Instr
from .._ir.table import ELEMENTWISE
from .._tensor import Tensor
from .._util.checks import check_total
from .._util.dtypes import FLOATS, Shape, Spec
from .._util.mode import grad_mode

__all__ = [
    "ELEMENTWISE",
    "LINEAR",
    "OPS",
    "SYMMETRIC",
    "Attrs",
    "Forward",
    "Op",
    "Plan",
    "Rule",
    "Shape",
    "Spec",
    "Tangents",
    "apply",
    "register",
]

Attrs = tuple[Any, ...]


class Plan:
    """An op for given specs: the output, and instructions over slots (arguments, output, temporaries)."""

    __slots__ = ("code", "out", "temporaries")

    def __init__(self, out: Spec, code: list[Instr], temporaries: Sequence[Spec] = ()) -> None:
        self.out = out
        self.code = code
        self.temporaries = temporaries


# Reverse: rule(g, out, inputs, attrs) -> gradient of one argument, of the broadcast shape.
# Forward: rule(t, out, inputs, attrs) -> the term of one argument's tangent t in the output's, broadcasts to its shape.
Rule = Callable[[Tensor, Tensor, tuple[Tensor, ...], Attrs], Tensor]
Tangents = Sequence[Tensor | None]
Gradients = Sequence[Tensor | None]

# Forward rules without a formula. LINEAR: the op is linear in this argument while the others are fixed, so the rule is
# the op itself, applied to the tangent in place of the argument. SYMMETRIC: the Jacobian is symmetric, so the reverse
# rule is also the forward rule.
LINEAR: Final = "linear"
SYMMETRIC: Final = "symmetric"
Forward = Rule | Literal["linear", "symmetric"]


class Op:
    """A row of the table.

    `plan(name, specs, attrs)` checks shapes (its errors begin with the op's name) and returns the instructions. `vjp`
    and `jvp` have a rule or None for each argument: None if the derivative is 0 or does not exist. Elementwise ops need
    no `jvp`. A variadic op has one reverse rule, which also takes the argument's index, and one forward rule, which
    takes all tangents (None for arguments without one). `joint_vjp` computes the gradients of all arguments together,
    for ops whose gradients share their work; it takes whether each argument's is wanted. `copies_view`: the result is a
    copy of what is a view in NumPy and PyTorch, through which the argument would be changed in place.
    """

    def __init__(
        self,
        name: str,
        plan: Callable[[str, Sequence[Spec], Attrs], Plan],
        vjp: tuple[Rule | None, ...] = (),
        jvp: tuple[Forward | None, ...] = (),
        variadic_vjp: Callable[[int, Tensor, Tensor, tuple[Tensor, ...], Attrs], Tensor | None] | None = None,
        joint_vjp: Callable[[Sequence[bool], Tensor, Tensor, tuple[Tensor, ...], Attrs], Gradients] | None = None,
        variadic_jvp: Callable[[Tangents, Tensor, tuple[Tensor, ...], Attrs], Tensor | None] | None = None,
        copies_view: bool = False,
    ) -> None:
        self.name, self.plan, self.vjp, self.jvp, self.copies_view = name, plan, vjp, jvp, copies_view
        self.variadic_vjp, self.joint_vjp, self.variadic_jvp = variadic_vjp, joint_vjp, variadic_jvp

    def __repr__(self) -> str:
        return f"Op({self.name!r})"

    def planned(self, specs: Sequence[Spec], attrs: Attrs) -> Plan:
        """The plan for arguments of these specs; ValueError where a result is larger than any memory."""
        plan = self.plan(self.name, specs, attrs)
        for spec in (plan.out, *plan.temporaries):
            check_total(self.name, spec.shape, spec.dtype.itemsize)
        return plan

    def gradient(self, i: int, g: Tensor, out: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor | None:
        """The gradient with respect to argument i, or None if the op has none."""
        if self.joint_vjp is not None:
            return self.joint_vjp([n == i for n in range(len(inputs))], g, out, inputs, attrs)[i]
        if self.variadic_vjp is not None:
            return self.variadic_vjp(i, g, out, inputs, attrs)
        rule = self.vjp[i] if i < len(self.vjp) else None
        return None if rule is None else rule(g, out, inputs, attrs)

    def tangent(self, tangents: Tangents, out: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor | None:
        """The tangent of the output, in a shape that broadcasts to the output's; None if it is 0."""
        if self.variadic_jvp is not None:
            return self.variadic_jvp(tangents, out, inputs, attrs)
        total: Tensor | None = None
        for i, t in enumerate(tangents):
            part = None if t is None else self._part(i, t, out, inputs, attrs)
            if part is not None:
                total = part if total is None else apply(OPS["add"], (total, part))
        return total

    def _part(self, i: int, t: Tensor, out: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor | None:
        """The term of argument i's tangent in the output's."""
        rule = self.forward_rule(i)
        if rule is None:
            if i < len(self.vjp) and self.vjp[i] is not None:
                raise TypeError(f"jvp: {self.name} has no forward rule for argument {i}")
            return None
        if rule == LINEAR:
            return apply(self, (*inputs[:i], t, *inputs[i + 1 :]), attrs)
        return self.gradient(i, t, out, inputs, attrs) if rule == SYMMETRIC else rule(t, out, inputs, attrs)

    def forward_rule(self, i: int) -> Forward | None:
        """The forward rule of argument i, or None."""
        if not self.jvp and self.name in ELEMENTWISE:  # a diagonal Jacobian is symmetric
            return SYMMETRIC if i < len(self.vjp) and self.vjp[i] is not None else None
        return self.jvp[i] if i < len(self.jvp) else None

    @cached_property
    def differentiable(self) -> bool:
        """Whether it has a gradient rule."""
        by_one_rule = self.variadic_vjp is not None or self.joint_vjp is not None
        return by_one_rule or any(rule is not None for rule in self.vjp)


OPS: dict[str, Op] = {}


def register(op: Op) -> Op:
    """Add a row to the table; ValueError if the name is taken."""
    if op.name in OPS:
        raise ValueError(f"register: op {op.name} is already registered")
    OPS[op.name] = op
    return op


def apply(op: Op, inputs: tuple[Tensor, ...], attrs: Attrs = ()) -> Tensor:
    """Run an op on tensors, or append it to a trace, and record it in the graph if an input requires a gradient."""
    executor, enabled, replaced = grad_mode.of_ops
    if replaced:
        inputs = tuple([replaced.get(t._number, t) for t in inputs])
    out = Tensor._wrap(executor.apply(op, inputs, attrs))
    if op.copies_view:
        out._version.append(op.name)
    if enabled:
        for t in inputs:
            if t._requires_grad:
                if op.differentiable and out._data.dtype in FLOATS:
                    out._record(op, inputs, attrs)
                break
    return out

"""The op table: what an op is, and the one way to run one.

An op is a row: its name, `plan` (shape rule and instructions), `vjp`, one gradient rule per argument for reverse mode,
and `jvp`, one tangent rule per argument for forward mode. Rules are written in ops, so that gradients and tangents are
nodes of the graph like any other and can be differentiated again. Everything that goes over all ops (autodiff, tests,
documentation) iterates over `OPS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from .. import _core
from .._ir.instruction import Instr
from .._ir.shapes import Shape
from .._ir.table import ELEMENTWISE
from .._ir.values import Spec
from .._util.dtypes import CODES
from .._util.dtypes import FLOATS as _FLOATS
from .._util.errors import CompileError

if TYPE_CHECKING:
    from .._tensor import Tensor

__all__ = [
    "CODES",
    "ELEMENTWISE",
    "LINEAR",
    "OPS",
    "SYMMETRIC",
    "Op",
    "Plan",
    "Shape",
    "Spec",
    "apply",
    "clear_programs",
    "number_dtype",
    "one",
    "own",
    "pair",
    "register",
]

Attrs = tuple[Any, ...]


@dataclass(frozen=True)
class Plan:
    """What an op does for given specs: the output, and instructions over slots (arguments, output, temporaries)."""

    out: Spec
    code: list[Instr]
    temporaries: list[Spec] = field(default_factory=list)


# Reverse: rule(g, out, inputs, attrs) -> gradient of one argument, of the broadcast shape.
# Forward: rule(t, out, inputs, attrs) -> what one argument's tangent t adds to the output's, broadcasts to its shape.
Rule = Callable[["Tensor", "Tensor", "tuple[Tensor, ...]", Attrs], "Tensor"]
Tangents = Sequence["Tensor | None"]

# Forward rules that need no formula. LINEAR: linear in this argument while the others are fixed, so the op itself, with
# the tangent in the argument's place. SYMMETRIC: the Jacobian is its own transpose, so the reverse rule.
LINEAR: Final = "linear"
SYMMETRIC: Final = "symmetric"
Forward = Rule | Literal["linear", "symmetric"]


@dataclass(frozen=True, eq=False)
class Op:
    """A row of the table.

    `plan(name, specs, attrs)` checks shapes (its errors begin with the op's name) and gives the instructions. `vjp` and
    `jvp` have a rule or None for each argument: None where the derivative is 0 or does not exist. Elementwise ops need
    no `jvp`. A variadic op has one reverse rule, given the argument's index, too, and one forward rule, given all
    tangents (None where there is none).
    """

    name: str
    plan: Callable[[str, Sequence[Spec], Attrs], Plan]
    vjp: tuple[Rule | None, ...] = ()
    jvp: tuple[Forward | None, ...] = ()
    variadic_vjp: Callable[[int, Tensor, Tensor, tuple[Tensor, ...], Attrs], Tensor | None] | None = None
    variadic_jvp: Callable[[Tangents, Tensor, tuple[Tensor, ...], Attrs], Tensor | None] | None = None

    def gradient(self, i: int, g: Tensor, out: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor | None:
        """The gradient by argument i, or None where the op has none."""
        if self.variadic_vjp is not None:
            return self.variadic_vjp(i, g, out, inputs, attrs)
        rule = self.vjp[i] if i < len(self.vjp) else None
        return None if rule is None else rule(g, out, inputs, attrs)

    def tangent(self, tangents: Tangents, out: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor | None:
        """The tangent of the output, of a shape that broadcasts to it; None where it is 0."""
        if self.variadic_jvp is not None:
            return self.variadic_jvp(tangents, out, inputs, attrs)
        total: Tensor | None = None
        for i, t in enumerate(tangents):
            part = None if t is None else self._part(i, t, out, inputs, attrs)
            if part is not None:
                total = part if total is None else apply(OPS["add"], (total, part))
        return total

    def _part(self, i: int, t: Tensor, out: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor | None:
        """What the tangent of argument i adds."""
        rule = self.forward_rule(i)
        if rule is None:
            if i < len(self.vjp) and self.vjp[i] is not None:
                raise TypeError(f"jvp: {self.name} has no forward rule for argument {i}")
            return None
        if rule == LINEAR:
            return apply(self, (*inputs[:i], t, *inputs[i + 1 :]), attrs)
        return self.gradient(i, t, out, inputs, attrs) if rule == SYMMETRIC else rule(t, out, inputs, attrs)

    def forward_rule(self, i: int) -> Forward | None:
        """The forward rule of argument i."""
        if not self.jvp and self.name in ELEMENTWISE:  # a diagonal Jacobian is symmetric
            return SYMMETRIC if i < len(self.vjp) and self.vjp[i] is not None else None
        return self.jvp[i] if i < len(self.jvp) else None

    @property
    def differentiable(self) -> bool:
        return self.variadic_vjp is not None or any(rule is not None for rule in self.vjp)


OPS: dict[str, Op] = {}


def register(op: Op) -> Op:
    """Add a row; a name can be taken once."""
    if op.name in OPS:
        raise ValueError(f"register: op {op.name} exists")
    OPS[op.name] = op
    return op


_programs: dict[Any, tuple[_core.Program, Spec]] = {}
_PROGRAMS_MAX = 4096  # shapes that vary without end (ragged data) must not fill the memory


def clear_programs() -> None:
    """Forget all programs: they hold kernels of the ISA level that was active when they were built."""
    _programs.clear()


def _build(op: Op, arrays: Sequence[np.ndarray[Any, Any]], attrs: Attrs) -> tuple[_core.Program, Spec]:
    specs = [Spec(a.shape, a.dtype) for a in arrays]
    plan = op.plan(op.name, specs, attrs)
    program = _core.Program(
        [(s.code, list(s.shape)) for s in specs],
        [(plan.out.code, list(plan.out.shape))],
        [(s.code, list(s.shape)) for s in plan.temporaries],
        [instr.lower() for instr in plan.code],
    )
    return program, plan.out


def run(op: Op, arrays: Sequence[np.ndarray[Any, Any]], attrs: Attrs = ()) -> np.ndarray[Any, Any]:
    """Run an op on C-contiguous arrays, outside of any graph."""
    key = (op, attrs, *[(a.dtype, a.shape) for a in arrays])
    found = _programs.get(key)
    if found is None:
        found = _build(op, arrays, attrs)
        if len(_programs) >= _PROGRAMS_MAX:
            _programs.clear()
        _programs[key] = found
    try:
        result: np.ndarray[Any, Any] = found[0](*arrays)
    except TypeError:
        if all(isinstance(a, np.ndarray) for a in arrays):
            raise
        raise CompileError(
            f"{op.name}: a tensor from inside of a compiled function is used after it was traced; it has no values: "
            "return it from the function"
        ) from None
    return result


def apply(op: Op, inputs: tuple[Tensor, ...], attrs: Attrs = ()) -> Tensor:
    """Run an op on tensors (or append it to a trace), and its node to the graph where a gradient is wanted."""
    trace = _grad_mode.trace
    out: Tensor = (
        _tensor_class._wrap(run(op, [t._data for t in inputs], attrs))
        if trace is None
        else trace.apply(op, inputs, attrs)
    )
    if _grad_mode.enabled and op.differentiable and out._data.dtype in _FLOATS:
        for t in inputs:
            if t._requires_grad:
                out._record(op, inputs, attrs)
                break
    return out


# Arguments of the public functions as tensors.


def number_dtype(like: Any) -> np.dtype[Any]:
    """What a Python number becomes beside `like`: its float dtype, else float32."""
    own: np.dtype[Any] = getattr(like, "dtype", _FLOATS[0])
    if own in _FLOATS:
        return own
    native = np.dtype(own).newbyteorder("=")
    return native if native in _FLOATS else _FLOATS[0]


def one(x: Any) -> Tensor:
    """An operand, for an op to read."""
    tensor: Tensor = x if isinstance(x, _tensor_class) else _as_tensor(x, number_dtype(x))
    return tensor


def pair(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Two operands; a scalar takes the other's dtype."""
    if isinstance(a, _tensor_class):
        return a, b if isinstance(b, _tensor_class) else _as_tensor(b, number_dtype(a))
    if isinstance(b, _tensor_class) or (isinstance(b, np.ndarray) and b.ndim):
        return _as_tensor(a, number_dtype(b)), _as_tensor(b)
    first = one(a)
    return first, _as_tensor(b, number_dtype(first))


def own(x: Any) -> Tensor:
    """An operand of which a view may be returned: the memory is not that of the caller's array."""
    tensor: Tensor = x if isinstance(x, _tensor_class) else _tensor_class(x)
    return tensor


# Set by tensor.py: it needs this module for its operators, and this module its class.
_tensor_class: Any = None
_as_tensor: Any = None
_grad_mode: Any = None


def bind_tensor(tensor_class: type[Tensor], as_tensor: Callable[..., Tensor], grad_mode: Any) -> None:
    """Make the tensor class known to `apply` and to the operands."""
    global _tensor_class, _as_tensor, _grad_mode
    _tensor_class, _as_tensor, _grad_mode = tensor_class, as_tensor, grad_mode

"""What happens when an op is called: it runs at once, or a trace notes it. Nobody above has to ask which.

`grad_mode.trace` is an executor. Outside of compiled functions it is EAGER, which computes, reads and overwrites there
and then; while a function is traced it is the compiler's Trace, which has the same methods and appends to a program.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from .. import _core
from .arrays import to_array
from .dtypes import Array, Shape, Spec
from .errors import CompileError
from .programs import PROGRAMS, keep_program

__all__ = ["EAGER", "Eager", "Executor", "grad_mode"]

# Tensors stand above this module: it knows of their attributes only.
_Tensor = Any
_Error = Callable[[int, Any], Exception]


class Executor(Protocol):
    """What tensors, ops, generators, modules and optimizers ask for.

    `apply` and `draw` return what a tensor holds: arrays, or what stands for them while a function is traced.
    """

    has_values: bool  # whether results are there at once, in memory of their own

    def apply(self, op: Any, inputs: tuple[_Tensor, ...], attrs: tuple[Any, ...]) -> Any:
        """Run an op."""

    def check_index(self, index: _Tensor, low: int, high: int, error: _Error) -> _Tensor:
        """Raise `error(position, number)` for the first element outside of low .. high - 1.

        Returns the index; where `low` is negative, its negative elements are counted from `high`.
        """

    def check_finite(self, tensor: _Tensor, error: _Error) -> None:
        """Raise `error(position, number)` for the first element that is NaN or infinite.

        `number` is the element only where values are there.
        """

    def refuse(self, wrong: _Tensor, error: _Error) -> None:
        """Raise `error(position, 1)` for the first element at which a bool tensor holds."""

    def draw(self, state: Array, shape: Shape, dtype: np.dtype[Any], p: float, value: float) -> Any:
        """A mask of 0, with probability p, and `value`, from the next stream of a generator's state."""

    def operand(self, tensor: _Tensor, values: Any) -> Any:
        """What `overwrite` will write: values in the tensor's dtype, with their shape."""

    def overwrite(self, tensor: _Tensor, values: Any) -> None:
        """Write an operand of the tensor's shape over its values."""

    def update(
        self,
        rule: str,
        parameter: _Tensor,
        gradient: _Tensor,
        states: tuple[Array, ...],
        numbers: Array,
        clock: Array | None,
    ) -> None:
        """A step of an optimizer for one parameter, a change of its memory.

        `rule` is the row of the core's table, `numbers` its options.
        """

    def advance(self, clocks: Sequence[Array], numbers: Array, kind: int) -> None:
        """End a step: the counters of these parameters go on."""

    def bump(self, version: list[int]) -> None:
        """Count a change of memory."""

    def get_grad(self, tensor: _Tensor) -> Any:
        """What `tensor.grad` is now."""

    def set_grad(self, tensor: _Tensor, gradient: Any) -> None:
        """`tensor.grad = gradient`."""

    def adopt(self, state: Array) -> None:
        """A generator with this state was made."""

    def owns(self, state: Array) -> bool:
        """Whether seed and stream of this state may be set."""

    # What a program could not repeat. Running at once, all of it is allowed.

    def look(self, tensor: _Tensor) -> None:
        """Python looks at the values of a tensor."""

    def guard(self, owner: Any, attribute: str) -> None:
        """What follows relies on this attribute."""

    def keep_requires_grad(self, tensor: _Tensor, value: bool) -> None:
        """`requires_grad` of a tensor is set."""

    def forbid(self, message: str) -> None:
        """Something happens that must not happen in a compiled function; `message` says what, and the way out."""


class Eager:
    """Runs everything at once."""

    __slots__ = ()

    has_values = True

    def apply(self, op: Any, inputs: tuple[_Tensor, ...], attrs: tuple[Any, ...]) -> Any:
        """Run an op on C-contiguous arrays, with the program for their shapes."""
        arrays = [t._data for t in inputs]
        key = (op, attrs, *[(a.dtype, a.shape) for a in arrays])
        program = PROGRAMS.get(key)
        if program is None:
            program = keep_program(key, _build(op, arrays, attrs))
        try:
            return program(*arrays)
        except TypeError:
            if all(isinstance(a, np.ndarray) for a in arrays):
                raise
            raise CompileError(
                f"{op.name}: a tensor from inside of a compiled function is used after it was traced; it has no "
                "values: return it from the function"
            ) from None

    def check_index(self, index: _Tensor, low: int, high: int, error: _Error) -> _Tensor:
        """Raise for the first element out of range."""
        values = index._data
        wrong = (values < low) | (values >= high)
        if wrong.any():
            at = int(np.argmax(wrong))
            raise error(at, int(values.flat[at]))
        return index if low >= 0 else index._wrap(np.where(values < 0, values + high, values))

    def check_finite(self, tensor: _Tensor, error: _Error) -> None:
        """Raise for the first element that is not."""
        finite = np.isfinite(tensor._data)
        if not finite.all():
            at = int(np.argmin(finite))
            raise error(at, tensor._data.flat[at].item())

    def refuse(self, wrong: _Tensor, error: _Error) -> None:
        """Raise for the first element."""
        if wrong._data.any():
            raise error(int(np.argmax(wrong._data)), 1)

    def draw(self, state: Array, shape: Shape, dtype: np.dtype[Any], p: float, value: float) -> Any:
        """Draw, and go on to the next stream."""
        words = state.view(np.uint64)
        seed, stream = words.tolist()
        out = np.empty(shape, dtype)
        _core.bernoulli(seed, stream, out, p, value)
        words[1] = (stream + 1) % 2**64
        return out

    def operand(self, tensor: _Tensor, values: Any) -> Any:
        """An array."""
        return to_array(values, tensor.dtype)

    def overwrite(self, tensor: _Tensor, values: Any) -> None:
        """Write an array."""
        tensor._data[...] = values

    def update(
        self,
        rule: str,
        parameter: _Tensor,
        gradient: _Tensor,
        states: tuple[Array, ...],
        numbers: Array,
        clock: Array | None,
    ) -> None:
        """Run the rule."""
        _core.update_step(rule, parameter._data, gradient._data, states, numbers, clock)
        parameter._version[0] += 1

    def advance(self, clocks: Sequence[Array], numbers: Array, kind: int) -> None:
        """Count the step."""
        if clocks:
            _core.advance(clocks, numbers)

    def bump(self, version: list[int]) -> None:
        """Count."""
        version[0] += 1

    def get_grad(self, tensor: _Tensor) -> Any:
        """Read."""
        return tensor._grad

    def set_grad(self, tensor: _Tensor, gradient: Any) -> None:
        """Set."""
        tensor._grad = gradient

    def adopt(self, state: Array) -> None:
        """Nothing to note."""

    def owns(self, state: Array) -> bool:
        """All of them."""
        return True

    def look(self, tensor: _Tensor) -> None:
        """Allowed."""

    def guard(self, owner: Any, attribute: str) -> None:
        """Nothing is kept for later that could rely on it."""

    def keep_requires_grad(self, tensor: _Tensor, value: bool) -> None:
        """Allowed."""

    def forbid(self, message: str) -> None:
        """Allowed."""


def _build(op: Any, arrays: Sequence[Array], attrs: tuple[Any, ...]) -> _core.Program:
    plan = op.plan(op.name, [Spec(a.shape, a.dtype) for a in arrays], attrs)
    return _core.Program(
        [(a.code, list(a.shape)) for a in (Spec(a.shape, a.dtype) for a in arrays)],
        [(plan.out.code, list(plan.out.shape))],
        [(s.code, list(s.shape)) for s in plan.temporaries],
        [instr.lower() for instr in plan.code],
    )


EAGER = Eager()


class _GradMode(threading.local):
    """What ops do, per thread: whether they record the graph, and who executes them."""

    enabled = True
    trace: Executor = EAGER
    sources: frozenset[int] = frozenset()  # parameters that transformations around differentiate by
    calls: bool | None = True  # what compiled calls ask: `enabled`, or None where they must look further

    def set(self, enabled: bool, trace: Executor) -> None:
        """Change the mode."""
        self.enabled, self.trace = enabled, trace
        self.calls = enabled if trace is EAGER and not self.sources else None

    def differentiate_by(self, sources: frozenset[int]) -> None:
        """Change the parameters that are differentiated by."""
        self.sources = sources
        self.set(self.enabled, self.trace)


grad_mode = _GradMode()

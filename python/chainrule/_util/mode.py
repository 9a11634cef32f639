"""Eager or traced execution: ops call the current executor, and no caller needs to know which one it is.

`grad_mode.executor` is EAGER outside compiled functions: it computes, reads and overwrites immediately. While a
function is traced it is the compiler's Trace, which has the same methods and appends instructions to a program.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from .. import _core
from .arrays import to_array
from .dtypes import DEFAULT, Array, Shape, Spec
from .errors import CompileError
from .programs import PROGRAMS, cache_program

__all__ = ["EAGER", "Eager", "Executor", "grad_mode", "without_draws"]

# Tensor is defined in a layer above this one, so only its attributes are used here.
_Tensor = Any
_Error = Callable[[int, Any], Exception]


class Executor(Protocol):
    """The operations that tensors, ops, generators, modules and optimizers delegate to the current mode.

    `apply` and `draw` return a tensor's data: an array, or a tracer value while a function is traced.
    """

    has_values: bool  # whether results are available immediately, in newly allocated memory

    def apply(self, op: Any, inputs: tuple[_Tensor, ...], attrs: tuple[Any, ...]) -> Any:
        """Execute an op and return the data of its output."""

    def check_index(self, index: _Tensor, low: int, high: int, error: _Error) -> _Tensor:
        """Raise `error(position, value)` for the first element outside low .. high - 1.

        Returns the index; if `low` is negative, negative elements are counted from `high`.
        """

    def check_finite(self, tensor: _Tensor, error: _Error) -> None:
        """Raise `error(position, value)` for the first element that is NaN or infinite.

        `value` is that element only in eager execution.
        """

    def check_false(self, wrong: _Tensor, error: _Error) -> None:
        """Raise `error(position, 1)` for the first True element of a bool tensor."""

    def draw(self, name: str, state: Array, shape: Shape, dtype: np.dtype[Any], numbers: Array) -> Any:
        """Draw from the next stream of a generator's state, by the instruction of this name and its two numbers.

        "bernoulli": 0 with probability numbers[0], else numbers[1]; "draw_uniform": from numbers[0] to below
        numbers[1]; "draw_normal": mean numbers[0], standard deviation numbers[1]; "draw_integers": numbers[1] of them
        from numbers[0] on, int64; "draw_permutation": numbers is empty.
        """

    def operand(self, tensor: _Tensor, values: Any) -> Any:
        """Convert values to the tensor's dtype, for `overwrite`; their shape is preserved."""

    def overwrite(self, tensor: _Tensor, values: Any) -> None:
        """Overwrite a tensor's values in place with an operand of the same shape."""

    def update(
        self,
        rule: str,
        parameter: _Tensor,
        gradient: _Tensor,
        states: tuple[Array, ...],
        hyperparameters: Array,
        step_state: Array | None,
    ) -> None:
        """Apply an optimizer's update rule to one parameter, in place.

        `rule` is the name of the instruction in the core's table.
        """

    def advance(self, step_states: Sequence[Array], hyperparameters: Array, numbers: int, update: str) -> None:
        """End an optimizer step: advance the step states of these parameters, each of so many numbers.

        `update` names the rule that does it, "" for a step count and powers of the hyperparameters.
        """

    def bump_version(self, version: list[int]) -> None:
        """Increment a version counter: the memory was overwritten."""

    def get_grad(self, tensor: _Tensor) -> Any:
        """Return the current `tensor.grad`."""

    def set_grad(self, tensor: _Tensor, gradient: Any) -> None:
        """Assign `tensor.grad`."""

    def note_result(self, result: _Tensor, inputs: tuple[_Tensor, ...]) -> None:
        """Note that a custom op has computed a result from these inputs."""

    def register_generator(self, state: Array) -> None:
        """Record that a generator with this state was created."""

    def owns_generator(self, state: Array) -> bool:
        """Whether the seed and stream of this state may be set."""

    # Operations that a compiled program could not repeat. Eager execution allows all of them.

    def require_values(self, tensor: _Tensor) -> None:
        """Raise CompileError if Python cannot read the values of a tensor."""

    def guard(self, owner: Any, attribute: str) -> None:
        """Make a traced program valid only while this attribute is the same object."""

    def check_requires_grad(self, tensor: _Tensor, value: bool) -> None:
        """Raise CompileError if `requires_grad` cannot be set to this value."""

    def forbid(self, message: str) -> None:
        """Raise CompileError with this message if a function is being traced."""


_DRAWS: dict[str, Callable[..., None]] = {
    "bernoulli": _core.bernoulli,
    "draw_uniform": _core.uniform,
    "draw_normal": _core.normal,
    "draw_integers": _core.integers,
    "draw_permutation": _core.permutation,
}


class Eager:
    """The executor outside compiled functions: computes each result immediately."""

    __slots__ = ()

    has_values = True

    def apply(self, op: Any, inputs: tuple[_Tensor, ...], attrs: tuple[Any, ...]) -> Any:
        """Run an op on C-contiguous arrays, with the cached program for their shapes and dtypes."""
        arrays = [t._data for t in inputs]
        key = (op, attrs, *[(a.dtype, a.shape) for a in arrays])
        program = PROGRAMS.get(key)
        if program is None:
            program = cache_program(key, _build(op, arrays, attrs))
        try:
            return program(*arrays)
        except TypeError:
            if all(isinstance(a, np.ndarray) for a in arrays):
                raise
            raise CompileError(
                f"{op.name}: a tensor created inside a compiled function is used after tracing and has no values; "
                "return it from the function"
            ) from None

    def check_index(self, index: _Tensor, low: int, high: int, error: _Error) -> _Tensor:
        """Compare all elements now and raise for the first one out of range."""
        values = index._data
        wrong = (values < low) | (values >= high)
        if wrong.any():
            at = int(np.argmax(wrong))
            raise error(at, int(values.flat[at]))
        return index if low >= 0 else index._wrap(np.where(values < 0, values + high, values))

    def check_finite(self, tensor: _Tensor, error: _Error) -> None:
        """Test all elements now and raise for the first one that is NaN or infinite."""
        finite = np.isfinite(tensor._data)
        if not finite.all():
            at = int(np.argmin(finite))
            raise error(at, tensor._data.flat[at].item())

    def check_false(self, wrong: _Tensor, error: _Error) -> None:
        """Test all elements now and raise for the first one that is True."""
        if wrong._data.any():
            raise error(int(np.argmax(wrong._data)), 1)

    def draw(self, name: str, state: Array, shape: Shape, dtype: np.dtype[Any], numbers: Array) -> Any:
        """Draw now and advance the generator to its next stream."""
        grad_mode.check_draw()
        words = state.view(np.uint64)
        seed, stream = words.tolist()
        out = np.empty(shape, dtype)
        _DRAWS[name](seed, stream, out, *numbers.tolist())
        words[1] = (stream + 1) % 2**64
        return out

    def operand(self, tensor: _Tensor, values: Any) -> Any:
        """Convert to an array of the tensor's dtype; the values of another tensor are read on purpose."""
        values = values._read("copy_") if hasattr(values, "_read") else values
        same = type(values) is np.ndarray and values.dtype == tensor.dtype
        return values if same else to_array(values, tensor.dtype)

    def overwrite(self, tensor: _Tensor, values: Any) -> None:
        """Copy an array into the tensor's memory."""
        with _core.writing((tensor._data,)):
            tensor._data[...] = values

    def update(
        self,
        rule: str,
        parameter: _Tensor,
        gradient: _Tensor,
        states: tuple[Array, ...],
        hyperparameters: Array,
        step_state: Array | None,
    ) -> None:
        """Run the rule's kernel and increment the parameter's version."""
        _core.update_step(
            rule, parameter._data, gradient._data, states, hyperparameters, step_state, parameter._row_size
        )
        parameter._version[0] += 1

    def advance(self, step_states: Sequence[Array], hyperparameters: Array, numbers: int, update: str) -> None:
        """Advance the step counters."""
        if step_states:
            _core.advance(step_states, hyperparameters, update)

    def bump_version(self, version: list[int]) -> None:
        """Increment the version counter."""
        version[0] += 1

    def get_grad(self, tensor: _Tensor) -> Any:
        """Return the stored gradient."""
        return tensor._grad

    def set_grad(self, tensor: _Tensor, gradient: Any) -> None:
        """Store the gradient."""
        tensor._grad = gradient

    def note_result(self, result: _Tensor, inputs: tuple[_Tensor, ...]) -> None:
        """Do nothing: only the rule of another custom op needs to know."""

    def register_generator(self, state: Array) -> None:
        """Do nothing: only a trace distinguishes generators created inside the function."""

    def owns_generator(self, state: Array) -> bool:
        """Return True: outside a trace every generator may be set."""
        return True

    def require_values(self, tensor: _Tensor) -> None:
        """Every tensor has values; raise RuntimeError if another one stands for it."""
        if tensor._number in grad_mode.replaced:
            raise RuntimeError(
                f"functional_call: the values of a tensor {tensor.shape} are read while another one stands for it; "
                "compute with ops, or take x.detach()"
            )

    def guard(self, owner: Any, attribute: str) -> None:
        """Do nothing: eager execution creates no program that could become invalid."""

    def check_requires_grad(self, tensor: _Tensor, value: bool) -> None:
        """Do nothing: without a program to repeat, any tensor may change it."""

    def forbid(self, message: str) -> None:
        """Do nothing: the restriction applies to compiled functions only."""


def _build(op: Any, arrays: Sequence[Array], attrs: tuple[Any, ...]) -> _core.Program:
    plan = op.planned([Spec(a.shape, a.dtype) for a in arrays], attrs)
    return _core.Program(
        [(a.code, list(a.shape)) for a in (Spec(a.shape, a.dtype) for a in arrays)],
        [(plan.out.code, list(plan.out.shape))],
        [(s.code, list(s.shape)) for s in plan.temporaries],
        [instr.lower() for instr in plan.code],
    )


EAGER = Eager()


class _GradMode(threading.local):
    """Per-thread mode of ops: whether they record the graph, which executor runs them, the modes of modules."""

    enabled = True
    executor: Executor = EAGER
    sources: frozenset[int] = frozenset()  # parameters that enclosing transformations differentiate by
    differentiated: frozenset[int] = frozenset()  # likewise, with all other inputs; reading their values is an error
    replaced: dict[int, _Tensor] = {}  # noqa: RUF012 (never changed) what stands for a tensor, by its number, in ops
    # (module, training) by id(module), where this thread has modes of its own: `thread_modes` in nn/_evaluate.py.
    modules: dict[int, tuple[Any, bool]] | None = None
    no_draws: str | None = None  # the message of the error that a draw of random numbers is
    # (executor, enabled, replaced): an attribute of a thread costs each op 40 ns.
    of_ops: tuple[Executor, bool, dict[int, _Tensor]] = (EAGER, True, replaced)

    def set(self, enabled: bool, executor: Executor) -> None:
        """Set the recording flag and the executor."""
        self.enabled, self.executor = enabled, executor
        self.of_ops = executor, enabled, self.replaced
        # For the fast path of compiled calls: `enabled`, or None where that path does not apply.
        direct = executor is EAGER and not self.sources and not self.replaced
        _core.set_call_mode(enabled if direct else None)

    def set_sources(self, sources: frozenset[int]) -> None:
        """Set the parameters that enclosing transformations differentiate by."""
        self.sources = sources
        self.set(self.enabled, self.executor)

    def set_replaced(self, replaced: dict[int, _Tensor]) -> None:
        """Set the tensors that stand for others."""
        self.replaced = replaced
        self.set(self.enabled, self.executor)

    def check_draw(self) -> None:
        """Raise ValueError where random numbers must not be drawn."""
        if self.no_draws is not None:
            raise ValueError(self.no_draws)

    def state(self) -> dict[str, Any]:
        """All of this thread's modes, for `restore`."""
        return dict(self.__dict__)

    def restore(self, state: dict[str, Any]) -> None:
        """Set the modes of this thread as they were."""
        self.__dict__.clear()
        self.__dict__.update(state)
        self.set(self.enabled, self.executor)


grad_mode = _GradMode()


def _read_default() -> None:
    grad_mode.executor.guard(DEFAULT, "dtype")


DEFAULT.read = _read_default


@contextmanager
def without_draws(message: str) -> Iterator[None]:
    """Inside the block a draw of random numbers is a ValueError, in this thread."""
    before, grad_mode.no_draws = grad_mode.no_draws, message
    try:
        yield
    finally:
        grad_mode.no_draws = before

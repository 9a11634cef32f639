"""The programs of predictions: a model's forward pass for rows of one dtype and shape, or for several inputs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import _core, ops
from .._ir.records import Bernoulli
from .._tensor import Tensor
from .._util.dtypes import CODES, DEFAULT
from .._util.errors import CompileError
from ._evaluate import Model, dtype_of_part, evaluating, time_first
from ._inputs import call_with, map_parts, parts_of

if TYPE_CHECKING:  # functions import the compiler, which would be a tenth of the package's import
    from ..compiler.jit import Plan
    from ..compiler.watch import Watch

__all__ = [
    "BLOCK_ROWS",
    "bind",
    "check_forward",
    "compile_several",
    "entries_of",
    "guarded",
    "kind_of",
    "trace",
    "trace_lock",
]

BLOCK_ROWS = 256  # rows computed at a time
_PROBE_ROWS = 7  # of the trace that shows whether rows are independent; few layers have this width by chance

_trace_lock = threading.RLock()  # of the caches; and a trace that fails restores attributes, which threads share

Rows = npt.NDArray[Any]
Run = Callable[..., Any]


def bind(
    model: Callable[[], Any],
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    convert: Callable[[Any], Rows] | None,
    x_dtype: np.dtype[Any],
    plan: Plan | None = None,
    follow: tuple[Callable[[], Run] | None, tuple[Any, ...], Callable[[], None] | None] = (None, (), None),
) -> Run:
    """A function in C++ from rows of this shape and of `x_dtype` to their outputs, computed in `dtype`.

    `plan`: for one row, if there is one; `follow`: a function that makes another such function, to be called when these
    entries of a watch do not hold any more, and one that raises where predictions are refused.
    """

    def program(rows: int) -> _core.Program:
        return trace(model(), dtype, x_dtype, (rows, *shape)).built.program

    out = (plan or trace(model(), dtype, x_dtype, (1, *shape))).built.output_specs[0]
    return _core.predict_function(program, convert, CODES[x_dtype], out.code, shape, out.shape[1:], BLOCK_ROWS, *follow)


def trace(
    model: Any, dtype: np.dtype[Any], x_dtype: np.dtype[Any], shape: tuple[int, ...], micro_batch: int | None = None
) -> Plan:
    """Trace the model for an input of this shape; raise if it does not return one row for each row of the input."""

    from ..compiler.jit import Compiled

    def forward(x: Tensor) -> Tensor:
        output: Tensor = model(x if x_dtype == dtype else ops.astype(x, dtype))
        return output

    with trace_lock(), evaluating(model):
        plan = Compiled(forward, micro_batch).plan_of(np.empty(shape, x_dtype))
    refuse_training(model, plan)
    specs = plan.built.output_specs
    if len(specs) != 1 or plan.results != [0] or specs[0].shape[:1] != shape[:1]:
        outputs = ", ".join(str(spec.shape) for spec in specs) or "none"
        raise ValueError(f"Predictor: the model must return one row for each of {shape[0]} rows, got {outputs}")
    return plan


def check_forward(model: Any, x_dtype: np.dtype[Any], dtype: np.dtype[Any], shape: tuple[int, ...]) -> list[Any]:
    """Raise CompileError if rows are not independent; return the owners of the guarded attributes of the trace."""
    rows, micro_batch = probe_of(model)
    return check_plan(trace(model, dtype, x_dtype, (rows, *shape), micro_batch), micro_batch)


def probe_of(model: Any) -> tuple[int, int | None]:
    """The rows and the micro-batch of a trace that shows whether rows are independent; those of layers here are."""
    if time_first(model):
        raise CompileError("predict: the first axis is time")
    builtin = all(type(module).__module__.startswith("chainrule.") for module in model.modules())
    return (1, None) if builtin else (_PROBE_ROWS, 1)


def refuse_training(model: Any, plan: Plan) -> None:
    """Raise CompileError if the model trains while it is evaluated."""
    modules = {id(module) for module in model.modules()}
    if any(name == "_training_here" and training and id(owner) in modules for owner, name, training in plan.guards):
        raise CompileError("predict: forward switches the model to training mode")


def check_plan(plan: Plan, micro_batch: int | None) -> list[Any]:
    """Raise CompileError if rows are not independent; return the owners of the guarded attributes of the trace."""
    blocks = plan.built.blocks
    code = [*blocks.before, *blocks.loop, *blocks.after]
    if plan.versions or plan.gradients or any(isinstance(instr.record, Bernoulli) for instr in code):
        raise CompileError("predict: the forward pass has side effects or draws random numbers")
    if micro_batch is not None and (blocks.rows != _PROBE_ROWS or blocks.after or blocks.sums):
        raise CompileError("predict: the outputs of rows depend on other rows")
    return guarded(plan)


def guarded(plan: Plan) -> list[Any]:
    """The owners of the attributes whose values determined the trace."""
    return [owner for owner, name, _ in plan.guards if name not in ("_training_here", "_requires_grad", "_grad")]


def entries_of(watch: Watch, owners: list[Any]) -> tuple[Any, ...]:
    """The entries of a watch, and of what determined the trace: these modules' tensors, and the default dtype."""
    from ..compiler.entries import Kind

    entries = watch.with_versions([owner for owner in owners if owner is not DEFAULT])
    return (*entries, (Kind.SLOT, DEFAULT, "dtype", DEFAULT.dtype)) if DEFAULT in owners else entries


# Several inputs.


def kind_of(rows: Any) -> Any:
    """What calls that share a program have in common: the names, dtypes and shapes of the inputs' rows."""
    return type(rows), *[(name, part.dtype, part.shape[1:]) for name, part in parts_of(rows)]


def compile_several(model: Model, owner: Callable[[], Any], rows: Any) -> tuple[Callable[[Any], Any], list[Any]]:
    """A compiled call of the model for inputs like these, and the owners of attributes that determined its trace.

    `owner` returns the model, which holds the call. Errors: CompileError if a row's outputs depend on other rows or
    differ from call to call; everything that the model raises.
    """

    from ..compiler.jit import Compiled

    def forward(x: Any) -> Any:
        return call_with(owner(), x)

    def checked(n: int, micro_batch: int | None) -> list[Any]:
        probe = map_parts(lambda part, _: np.zeros((n, *part.shape[1:]), dtype_of_part(model, part)), rows)
        with trace_lock(), evaluating(model):
            plan = Compiled(forward, micro_batch, watched=()).plan_of(probe)
        refuse_training(model, plan)
        outputs = len(plan.built.output_specs)
        if plan.results != list(range(outputs)) or any(s.shape[:1] != (n,) for s in plan.built.output_specs):
            raise CompileError("predict: an output is no array of one row for each row of the inputs")
        return check_plan(plan, micro_batch)

    guarded = checked(*probe_of(model))
    compiled, traced = Compiled(forward, watched=()), set[int]()

    def call(batch: Any) -> Any:
        n = len(parts_of(batch)[0][1])
        if n not in traced:
            with trace_lock():
                compiled.plan_of(batch)
            traced.add(n)
        return compiled(batch)

    return call, guarded


def trace_lock() -> threading.RLock:
    """The lock of the caches."""
    return _trace_lock


def _renew_lock() -> None:
    """Replace the lock in a forked child, where the thread that may hold it does not exist."""
    global _trace_lock
    _trace_lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)

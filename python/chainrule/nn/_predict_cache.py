"""Prediction with little overhead: the forward pass of a model, compiled into programs for rows of one dtype and shape.

A program is a copy of the computation at the time of tracing: it depends on the layers and attributes of the model, but
reads the values of parameters at every call. The programs are saved together with a list of everything that they depend
on (`compiler/watch.py`), which is compared with the model at every call, in C++ in a fraction of a microsecond for a
small net; after a change the model is compiled again. `PredictCache` implements `model.predict`, which computes models
that cannot be compiled op by op; `Predictor` does not. Both compute many rows in blocks, in parallel.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import _core, ops
from .._ir.records import Bernoulli
from .._tensor import Tensor
from .._util.arrays import as_ndarray, number_rows, real_array
from .._util.dtypes import CODES, INT64
from .._util.errors import CompileError
from .._util.mode import EAGER, grad_mode
from ..autodiff._sweeps import is_differentiated
from ._evaluate import Model, dtype_of_rows, evaluating, input_dtype, predict_eagerly, predict_several, time_first
from ._inputs import has_several, map_parts, parts_of
from ._record_calls import call_recorder

if (
    TYPE_CHECKING
):  # the functions that need it import the compiler: it takes a tenth of the time of the package's import
    from ..compiler.jit import Plan
    from ..compiler.watch import Watch

__all__ = ["BLOCK_ROWS", "PredictCache", "bind", "features_of", "guarded", "refuse_differentiated", "trace"]

BLOCK_ROWS = 256  # rows computed at a time
_PROBE_ROWS = 7  # of the trace that shows whether rows are independent; few layers have this width by chance
_MAX_KINDS = 32  # of inputs: dtypes and shapes of a row
_MAX_FAILURES = 2  # of compilations, before the model is always computed op by op

_trace_lock = threading.RLock()  # of the caches; and a trace that fails restores attributes, which threads share

Rows = npt.NDArray[Any]
Run = Callable[..., Any]


class PredictCache:
    """The programs of `predict` of one model. Every call checks that the model is unchanged since their compilation.

    A model is computed op by op if its forward cannot be compiled: it needs values in Python, has side effects, draws
    random numbers, mixes rows, or depends on objects whose changes cannot be detected.
    """

    __slots__ = (
        "_dtype",
        "_dtypes",
        "_entries",
        "_failures",
        "_features",
        "_owner",
        "_ready",
        "_runs",
        "_seen",
        "_watch",
    )

    _owner: weakref.ref[Any] | None
    _dtype: np.dtype[Any]  # of the model's input
    _features: int | None  # values in a row

    def __init__(self) -> None:
        self._owner = None
        self._failures = 0
        self._reset()

    def _reset(self) -> None:
        self._watch: Watch | None = None
        self._entries: tuple[Any, ...] | None = None
        # Entries, and the run for the kind of the latest input: one attribute, which threads read without the lock.
        self._ready: tuple[tuple[Any, ...] | None, Run] = (None, _no_run)
        self._runs: dict[Any, Run] = {}  # by kind of input: dtype and shape of a row
        self._seen: set[Any] = set()  # kinds of inputs seen so far
        self._dtypes: dict[Any, np.dtype[Any]] = {}  # that kinds of integers are converted to

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()  # a copied model has no programs

    def __call__(self, model: Any, X: Any, batch_size: int) -> Any:
        """The model's outputs for the rows of X."""
        if _core.call_mode() is None:  # in a transformation by parameters, in a trace, or in functional_call
            refuse_differentiated(model)
            if grad_mode.executor is not EAGER or grad_mode.replaced:
                return self._eagerly(model, X, batch_size)
        if call_recorder.calls is not None or self._failures >= _MAX_FAILURES:
            return self._eagerly(model, X, batch_size)
        if type(X) is not np.ndarray and has_several(X):
            return self._several(model, X, batch_size)
        entries, run = self._ready
        result: Any = NotImplemented
        if entries is not None and _core.unchanged(entries, model):
            try:
                result = run(X)
            except Exception:  # a failed check, such as an unknown category: op by op, the error has its position
                result = self._eagerly(model, X, batch_size)
        return self._dispatch(model, X, batch_size) if result is NotImplemented else result

    def _eagerly(self, model: Any, X: Any, batch_size: int) -> Any:
        if has_several(X):
            return predict_several(model, X, batch_size)
        rows = _rows(X)
        if rows.ndim == 1 and len(rows) == features_of(model):
            result = predict_eagerly(model, rows[None], batch_size)
            return result.reshape(result.shape[1:])
        return predict_eagerly(model, rows, batch_size)

    def _dispatch(self, model: Any, X: npt.ArrayLike, batch_size: int) -> Rows:
        """A call with another kind of input than the previous one, or after a change of the model."""
        values = _rows(X)
        with _trace_lock:
            self._follow(model)
            single = values.ndim == 1 and len(values) == self._features
        rows = values[None] if single else values
        if not _readable(rows):
            rows = real_array(rows, self._dtype_of(model, rows), "predict: X")
            rows = rows.view(np.dtype(rows.dtype.type))  # programs compare dtypes by identity
        kind = rows.dtype, rows.shape[1:]
        with _trace_lock:
            run, failed = self._runs.get(kind), False
            if run is None and self._should_compile(kind, len(rows)):
                run = self._compile(model, *kind)
                failed = run is None
            elif not self._start_watching(model):
                self._failures = _MAX_FAILURES
            if run is not None:
                self._ready = self._entries, run
        if run is not None:
            try:
                result: Rows = run(rows)
                return result.reshape(result.shape[1:]) if single else result
            except Exception:  # as above
                pass
        result = self._eagerly(model, values, batch_size)
        self._failures += failed  # not counted if the line above raises: then the input is wrong, not the model
        return result

    def _follow(self, model: Any) -> None:
        """Forget all programs if they are of another model, or the model has changed."""
        same_model = self._owner is not None and self._owner() is model
        if not same_model or self._entries is None or not _core.unchanged(self._entries, model):
            self._reset()
            self._owner, self._features, self._dtype = weakref.ref(model), features_of(model), input_dtype(model)

    def _several(self, model: Any, X: Any, batch_size: int) -> Any:
        """A call with several inputs."""
        from ._predict_several import compile_several, kind_of

        rows, failed = map_parts(number_rows, X, "predict: X"), False
        kind, n = kind_of(rows), max((len(part) for _, part in parts_of(rows) if part.ndim), default=0)
        with _trace_lock:
            try:
                self._follow(model)
            except TypeError:  # parameters of several dtypes, which need not concern the inputs
                return predict_several(model, X, batch_size)
            run = self._runs.get(kind)
            if run is None and self._should_compile(kind, n):
                owner = weakref.ref(model)
                run = self._compiled(model, kind, lambda: compile_several(model, owner, rows))
                failed = run is None
            elif not self._start_watching(model):
                self._failures = _MAX_FAILURES
        if run is not None:
            try:
                return predict_several(model, X, BLOCK_ROWS, run)
            except Exception:  # op by op, the error has its position
                pass
        result = predict_several(model, X, batch_size)
        self._failures += failed
        return result

    def _dtype_of(self, model: Any, rows: Rows) -> np.dtype[Any]:
        """The dtype that rows are converted to; once for each kind of integers, which takes a call of the model."""
        if rows.dtype.kind not in "iu":
            return self._dtype
        kind = rows.dtype, rows.shape[1:]
        if kind not in self._dtypes:
            self._dtypes[kind] = dtype_of_rows(model, rows)
        return self._dtypes[kind]

    def _should_compile(self, kind: Any, n: int) -> bool:
        """Whether to compile now: for many rows, or at the second call with this kind of input.

        Compilation takes as long as several calls, so a model that is used once, or changes between calls, is computed
        op by op.
        """
        if n > BLOCK_ROWS or kind in self._seen:
            return True
        if len(self._seen) >= _MAX_KINDS:
            self._seen.clear()
        self._seen.add(kind)
        return False

    def _start_watching(self, model: Any) -> bool:
        """Record the state of the model; return whether that is possible."""
        from ..compiler.watch import UnwatchableError, Watch

        if self._watch is None:
            try:
                self._watch = Watch([model], model, strict=True)
            except UnwatchableError:
                return False
            self._entries = self._watch.entries
        return True

    def _compile(self, model: Any, x_dtype: np.dtype[Any], shape: tuple[int, ...]) -> Run | None:
        owner, dtype = weakref.ref(model), x_dtype if x_dtype == INT64 else self._dtype

        def compiled() -> tuple[Run, list[Any]]:
            guarded = _check_forward(model, x_dtype, dtype, shape)
            return bind(owner, dtype, shape, None, x_dtype), guarded

        return self._compiled(model, (x_dtype, shape), compiled)

    def _compiled(self, model: Any, kind: Any, make: Callable[[], tuple[Run, list[Any]]]) -> Run | None:
        """The run that `make` returns with the owners of its trace; None if the model cannot be compiled."""
        if not self._start_watching(model) or self._watch is None:
            return None
        watch = self._watch
        try:
            run, guarded = make()
        except Exception:  # op by op, the model may work; otherwise that raises the same error or a better one
            watch.restore(model)
            return None
        if not watch.unchanged(model):
            watch.restore(model)
            return None
        if len(self._runs) >= _MAX_KINDS:
            self._runs.clear()
        self._entries = watch.with_versions(guarded)
        self._runs[kind] = run
        return run


def _no_run(X: Any) -> Any:
    return NotImplemented


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

    with _trace_lock, evaluating(model):
        plan = Compiled(forward, micro_batch).plan_of(np.empty(shape, x_dtype))
    refuse_training(model, plan)
    specs = plan.built.output_specs
    if len(specs) != 1 or plan.results != [0] or specs[0].shape[:1] != shape[:1]:
        outputs = ", ".join(str(spec.shape) for spec in specs) or "none"
        raise ValueError(f"Predictor: the model must return one row for each of {shape[0]} rows, got {outputs}")
    return plan


def _check_forward(model: Any, x_dtype: np.dtype[Any], dtype: np.dtype[Any], shape: tuple[int, ...]) -> list[Any]:
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


def refuse_differentiated(model: Any) -> None:
    """Raise TypeError if an enclosing transformation differentiates by the parameters: predictions are constants."""
    for name, p in model.named_parameters():
        if is_differentiated(grad_mode.replaced.get(p._number, p)):
            raise TypeError(
                f"predict: the result is an array without a gradient, and {name} is differentiated here; call model(x)"
            )


def _rows(X: npt.ArrayLike) -> Rows:
    rows = as_ndarray(X, "predict: X")
    if rows.ndim == 0:
        raise ValueError("predict: X must have at least one dimension, got a single number")
    return rows


def _readable(rows: Rows) -> bool:
    """Whether programs can read this array without a conversion."""
    floating = rows.dtype is np.dtype(np.float32) or rows.dtype is np.dtype(np.float64)
    return type(rows) is np.ndarray and floating and rows.flags.c_contiguous and rows.flags.aligned


def features_of(model: Model) -> int | None:
    """The `in_features` of the first layer that has it; None if a layer for images precedes it."""
    for module in model.modules():
        if hasattr(module, "in_channels"):
            return None
        features = getattr(module, "in_features", None)
        if isinstance(features, int):
            return features
    return None


def trace_lock() -> threading.RLock:
    """The lock of the caches."""
    return _trace_lock


def _renew_lock() -> None:
    """Replace the lock in a forked child, where the thread that may hold it does not exist."""
    global _trace_lock
    _trace_lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)

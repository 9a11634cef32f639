"""Prediction with little overhead: the forward pass of a model, compiled into programs for rows of one dtype and shape.

A program is a copy of the computation at the time of tracing: it depends on the layers and attributes of the model, but
reads the values of parameters at every call. The programs are saved together with a list of everything that they depend
on (`compiler/watch.py`), which is compared with the model at every call, in C++ in a fraction of a microsecond for a
small net; after a change the model is compiled again. `PredictCache` implements `model.predict`, which computes models
that cannot be compiled op by op; `Predictor` does not. Both compute many rows in blocks, in parallel.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import _core
from .._util.arrays import as_ndarray, number_rows, real_array
from .._util.dtypes import INT64
from .._util.mode import EAGER, grad_mode
from ..autodiff._sweeps import is_differentiated
from ._evaluate import Model, dtype_of_rows, input_dtype, predict_eagerly, predict_several
from ._inputs import has_several, map_parts, parts_of
from ._predict_programs import BLOCK_ROWS, bind, check_forward, compile_several, entries_of, kind_of, trace_lock
from ._record_calls import call_recorder

# The functions that need it import the compiler: it takes a tenth of the time of the package's import.
if TYPE_CHECKING:
    from ..compiler.watch import Watch

__all__ = ["PredictCache", "features_of", "refuse_differentiated"]

_MAX_KINDS = 32  # of inputs: dtypes and shapes of a row
_MAX_FAILURES = 2  # of compilations, before the model is always computed op by op

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
        with trace_lock():
            self._follow(model)
            single = values.ndim == 1 and len(values) == self._features
        rows = values[None] if single else values
        if not _readable(rows):
            rows = real_array(rows, self._dtype_of(model, rows), "predict: X")
            rows = rows.view(np.dtype(rows.dtype.type))  # programs compare dtypes by identity
        kind = rows.dtype, rows.shape[1:]
        with trace_lock():
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
        rows, failed = map_parts(number_rows, X, "predict: X"), False
        kind, n = kind_of(rows), max((len(part) for _, part in parts_of(rows) if part.ndim), default=0)
        with trace_lock():
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
            guarded = check_forward(model, x_dtype, dtype, shape)
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
        self._entries = entries_of(watch, guarded)
        self._runs[kind] = run
        return run


def _no_run(X: Any) -> Any:
    return NotImplemented


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

"""Prediction with little overhead: a model's forward pass as programs. `Predictor` binds them to a model as it is;
`PredictCache` is behind `model.predict` and keeps them as long as nothing that they rely on has changed.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _core, ops
from .._tensor import Tensor
from .._util.arrays import real_array
from .._util.dtypes import CODES, Spec
from .._util.errors import CompileError
from .._util.mode import EAGER, grad_mode
from ..compiler.jit import Compiled, Plan
from ._evaluate import Model, evaluating, input_dtype, predict_eagerly
from ._record_calls import call_recorder
from ._watch import UnwatchableError, Watch

__all__ = ["PredictCache", "Predictor"]

_BLOCK = 256  # rows computed at a time
_PROBE = 7  # rows of the trace that shows whether they mix; few layers are so wide by chance
_MOST_KINDS = 32  # of input: dtypes and shapes of a row
_MOST_FAILURES = 2

_one_trace = threading.RLock()  # a trace switches the modes of modules, which threads share

Rows = npt.NDArray[Any]
Run = Callable[..., Any]


class Predictor:
    """A model's predictions, without Python between the layers: `predict(x)` and `predict(x, out=)`.

    The forward pass is compiled for as many rows as come; many rows are computed in blocks, in parallel. A row's result
    does not depend on the other rows. Parameters are used as they are at the time of the call; other changes of the
    model (layers replaced, attributes) need a new Predictor, which `model.predict` makes by itself.

    Arguments: `model`, a Module; `row_shape`, the shape of one row of X (default: (in_features,) of the first layer
    that has it).
    Call: `x`, numbers of shape (n, *row_shape) (an array of the model's dtype in C order is used as it is); `out`, an
    array for the result or None. Returns: an ndarray (n, ...) with the model's outputs: `out` where given.
    Errors: ValueError for shapes; TypeError for values that are not numbers; `cr.CompileError` for a model that needs
    values in Python.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> model = cr.nn.Sequential(cr.nn.Linear(3, 2, generator=cr.random.Generator(seed=1)), cr.nn.Softmax())
    >>> predict = cr.Predictor(model)
    >>> predict(np.zeros((1, 3), np.float32))
    array([[0.5, 0.5]], dtype=float32)
    """

    __slots__ = ("_dtype", "model", "predict", "row_shape")

    def __init__(self, model: Model, row_shape: tuple[int, ...] | None = None) -> None:
        if not hasattr(model, "named_modules"):
            raise TypeError(f"Predictor: model must be a Module, got {type(model).__name__}")
        self.model = model
        self.row_shape = _first_features(model) if row_shape is None else tuple(row_shape)
        self._dtype = input_dtype(model)
        dtype, shape = self._dtype, self.row_shape

        def convert(x: Any) -> Rows:
            array = real_array(x, dtype, "predict: x")
            if array.shape[1:] != shape or array.ndim == 0:
                raise ValueError(f"predict: x must have shape (n, {', '.join(map(str, shape))}), got {array.shape}")
            return array

        self.predict = _bind(lambda: model, dtype, shape, convert)

    def __call__(self, x: npt.ArrayLike, out: Rows | None = None) -> Rows:
        """Return the model's outputs for the rows of x."""
        result: Rows = self.predict(x, out)
        return result


class PredictCache:
    """What `predict` of one model has compiled. Every call makes sure that it is still what the model computes.

    A model whose forward cannot be a program is computed op by op: it needs values in Python, it changes something, it
    draws random numbers, its rows are not independent, or it depends on what cannot be watched.
    """

    __slots__ = ("_dtype", "_entries", "_failures", "_features", "_kinds", "_last", "_owner", "_seen", "_watch")

    _owner: weakref.ref[Any] | None
    _dtype: np.dtype[Any]  # of the model's input
    _features: int | None  # numbers in a row

    def __init__(self) -> None:
        self._owner = None
        self._failures = 0
        self._forget()

    def _forget(self) -> None:
        self._watch: Watch | None = None
        self._entries: tuple[Any, ...] | None = None
        self._last: Run = _nothing  # of the latest kind of input
        self._kinds: dict[Any, Run] = {}
        self._seen: set[Any] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(None), ()  # the copy of a model begins without programs

    def __call__(self, model: Any, X: npt.ArrayLike, batch_size: int) -> Rows:
        """The model's outputs for the rows of X."""
        if grad_mode.executor is not EAGER or call_recorder.calls is not None or self._failures >= _MOST_FAILURES:
            return self._eagerly(model, _rows(X), batch_size)
        holds = self._entries is not None and _core.unchanged(self._entries, model)
        result: Any = NotImplemented
        if holds:
            try:
                result = self._last(X)
            except Exception:  # a check, as for unknown categories: op by op it tells the place
                result = self._eagerly(model, _rows(X), batch_size)
        return self._other(model, X, batch_size, holds) if result is NotImplemented else result

    def _eagerly(self, model: Any, rows: Rows, batch_size: int) -> Rows:
        if rows.ndim == 1 and len(rows) == _features(model):
            result = predict_eagerly(model, rows[None], batch_size)
            return result.reshape(result.shape[1:])
        return predict_eagerly(model, rows, batch_size)

    def _other(self, model: Any, X: npt.ArrayLike, batch_size: int, holds: bool) -> Rows:
        """A call that is not like the one before."""
        given = _rows(X)
        known = self._owner is not None and self._owner() is model
        if not holds or not known:
            self._forget()
            self._owner, self._features, self._dtype = weakref.ref(model), _features(model), input_dtype(model)
        single = given.ndim == 1 and len(given) == self._features
        rows = given[None] if single else given
        if not _plain(rows):
            rows = real_array(rows, self._dtype, "predict: X")
            rows = rows.view(np.dtype(rows.dtype.type))  # programs know a dtype by its object
        kind = rows.dtype, rows.shape[1:]
        run, failed = self._kinds.get(kind), False
        if run is None and self._worth(kind, len(rows)):
            run = self._compile(model, *kind)
            failed = run is None
        elif not self._look(model):
            self._failures = _MOST_FAILURES
        if run is not None:
            self._last = run
            try:
                result: Rows = run(rows)
                return result.reshape(result.shape[1:]) if single else result
            except Exception:  # as above
                pass
        result = self._eagerly(model, given, batch_size)
        self._failures += failed  # an error that is raised op by op, too, is the caller's
        return result

    def _worth(self, kind: Any, n: int) -> bool:
        """Whether to compile now. It takes as long as some calls: a few rows wait for the next call of their kind.

        So a model that is used once, or changes from call to call, is computed op by op.
        """
        if n > _BLOCK or kind in self._seen:
            return True
        if len(self._seen) >= _MOST_KINDS:
            self._seen.clear()
        self._seen.add(kind)
        return False

    def _look(self, model: Any) -> bool:
        """Note what the model is like; whether that is possible."""
        if self._watch is None:
            try:
                self._watch = Watch(model)
            except UnwatchableError:
                return False
            self._entries = self._watch.entries
        return True

    def _compile(self, model: Any, given: np.dtype[Any], shape: tuple[int, ...]) -> Run | None:
        if not self._look(model) or self._watch is None:
            return None
        owner, watch, dtype = weakref.ref(model), self._watch, self._dtype
        try:
            relied_on = _check_forward(model, given, dtype, shape)
            run = _bind(owner, dtype, shape, None, given)
        except Exception:  # op by op it may go well; else the same error is raised there, or a better one
            watch.restore(model)
            return None
        if not watch.holds(model):
            watch.restore(model)
            return None
        if len(self._kinds) >= _MOST_KINDS:
            self._kinds.clear()
        self._entries = watch.with_counts(relied_on)
        self._kinds[given, shape] = run
        return run


def _nothing(X: Any) -> Any:
    return NotImplemented


def _bind(
    model: Callable[[], Any],
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    convert: Callable[[Any], Rows] | None,
    given: np.dtype[Any] | None = None,
) -> Run:
    """A function in C++: rows of this shape in, given as `given` and computed as `dtype`; their outputs out."""
    taken = dtype if given is None else given

    def program(rows: int) -> tuple[_core.Program, Spec]:
        plan = _trace(model(), dtype, taken, (rows, *shape))
        return plan.built.program, plan.built.output_specs[0]

    out = program(1)[1]
    return _core.predict_function(
        lambda rows: program(rows)[0], convert, CODES[taken], out.code, shape, out.shape[1:], _BLOCK
    )


def _trace(
    model: Any, dtype: np.dtype[Any], given: np.dtype[Any], shape: tuple[int, ...], micro_batch: int | None = None
) -> Plan:
    """The plan of the model for so many rows, traced now; the errors say what keeps it from being a program of rows."""

    def forward(x: Tensor) -> Tensor:
        output: Tensor = model(x if given == dtype else ops.astype(x, dtype))
        return output

    with _one_trace, evaluating(model):
        plan = Compiled(forward, micro_batch).plan_of(np.empty(shape, given))
    own = {id(module) for module in model.modules()}
    if any(name == "_training" and training and id(owner) in own for owner, name, training in plan.guards):
        raise CompileError("predict: the model was put in training mode while it was traced")
    specs = plan.built.output_specs
    if len(specs) != 1 or plan.results != [0] or specs[0].shape[:1] != shape[:1]:
        outputs = ", ".join(str(spec.shape) for spec in specs) or "none"
        raise ValueError(f"Predictor: the model must return one row for each of {shape[0]} rows, got {outputs}")
    return plan


def _check_forward(model: Any, given: np.dtype[Any], dtype: np.dtype[Any], shape: tuple[int, ...]) -> list[Any]:
    """CompileError unless the forward pass can be cut into rows; else the modules whose values the trace relies on."""
    own = all(type(module).__module__.startswith("chainrule.") for module in model.modules())
    plan = _trace(model, dtype, given, (1 if own else _PROBE, *shape), None if own else 1)
    blocks = plan.built.blocks
    code = [*blocks.before, *blocks.loop, *blocks.after]
    if plan.versions or plan.gradients or any(instr.name == "bernoulli" for instr in code):
        raise CompileError("predict: the forward pass changes something, or draws random numbers")
    if not own and (blocks.rows != _PROBE or blocks.after or blocks.sums):
        raise CompileError("predict: the outputs of rows depend on other rows")
    return [owner for owner, name, _ in plan.guards if name not in ("_training", "_requires_grad", "_grad")]


def _rows(X: npt.ArrayLike) -> Rows:
    rows = np.asarray(X)
    if rows.ndim == 0:
        raise ValueError("predict: X must have at least one dimension, got a single number")
    return rows


def _plain(rows: Rows) -> bool:
    """Whether programs read this array as it is."""
    known = rows.dtype is np.dtype(np.float32) or rows.dtype is np.dtype(np.float64)
    return type(rows) is np.ndarray and known and rows.flags.c_contiguous and rows.flags.aligned


def _features(model: Model) -> int | None:
    """The `in_features` of the first layer that has it, unless a layer before takes images."""
    for module in model.modules():
        if hasattr(module, "in_channels"):
            return None
        features = getattr(module, "in_features", None)
        if isinstance(features, int):
            return features
    return None


def _first_features(model: Model) -> tuple[int, ...]:
    features = _features(model)
    if features is not None:
        return (features,)
    if any(hasattr(module, "in_channels") for module in model.modules()):
        raise ValueError("Predictor: the model takes images of any size; pass row_shape, (channels, h, w)")
    raise ValueError("Predictor: the model has no layer to take the number of features from; pass row_shape")


def _renew_lock() -> None:
    """A forked child has no thread that would release the lock."""
    global _one_trace
    _one_trace = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)

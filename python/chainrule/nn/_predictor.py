"""`Predictor`: a model's compiled predictions, bound to the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .._util.arrays import real_array
from .._util.errors import CompileError
from ._evaluate import Model, input_dtype, predict_several, time_first
from ._inputs import call_with, has_several
from ._predict_cache import features_of, refuse_differentiated
from ._predict_programs import BLOCK_ROWS, bind, entries_of, guarded, trace

__all__ = ["Predictor"]

Rows = npt.NDArray[Any]
Run = Callable[..., Any]


class Predictor:
    """A model's compiled predictions: `predict(x)` and `predict(x, out=)`.

    The forward pass is compiled for any number of rows; many rows are computed in blocks, in parallel. The result of a
    row does not depend on the other rows. Each call uses the current values of the parameters; other changes of the
    model (replaced layers, attributes) cause a new compilation.

    Arguments: `model`, a Module; `row_shape`, the shape of one row of X (default: (in_features,) of the first layer
    that has it); for several inputs a tuple of the shapes of their rows, or a dict of them by the names of `forward`'s
    arguments, as `model.predict` takes them.
    Call: `x`, numbers of shape (n, *row_shape) (an array of the model's dtype in C order is not copied); `out`, an
    array for the result or None. Returns: an ndarray (n, ...) with the model's outputs: `out` if passed.
    Errors: ValueError for shapes; TypeError for values that are not numbers; `cr.CompileError` for a model that needs
    values in Python.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> model = cr.nn.Sequential(cr.nn.Linear(3, 2, generator=cr.random.Generator(seed=1)), cr.nn.Softmax())
    >>> predict = cr.Predictor(model)
    >>> predict(np.zeros((1, 3), np.float32))
    array([[0.5, 0.5]], dtype=float32)
    """

    __slots__ = ("model", "predict", "row_shape")

    predict: Callable[..., Rows]

    def __init__(self, model: Model, row_shape: Any = None) -> None:
        if not hasattr(model, "named_modules"):
            raise TypeError(f"Predictor: model must be a Module, got {type(model).__name__}")
        if time_first(model):
            raise ValueError("Predictor: the first axis is time; make the layers with batch_first=True")
        self.model = model
        if isinstance(row_shape, Mapping) or (row_shape and all(isinstance(shape, tuple) for shape in row_shape)):
            self.row_shape: Any = row_shape
            self.predict = _of_several(model, row_shape)
        else:
            self.row_shape = _first_features(model) if row_shape is None else tuple(row_shape)
            self.predict = _following(model, self.row_shape)

    def __call__(self, x: Any, out: Rows | None = None) -> Any:
        """Return the model's outputs for the rows of x."""
        return self.predict(x, out)


def _of_several(model: Model, row_shape: Any) -> Run:
    """A function from the rows of several inputs to the outputs of the model as it is at each call."""
    from ..compiler.jit import Compiled

    compiled = Compiled(lambda x: call_with(model, x), watched=(model,))
    expected = _keyed(row_shape)

    def predict(x: Any, out: Rows | None = None) -> Any:
        given = {key: np.shape(part)[1:] for key, part in _keyed(x).items()} if has_several(x) else None
        if given != expected:
            raise ValueError(
                f"predict: x must have rows of shapes {expected} by input, got {given or type(x).__name__}"
            )
        result = predict_several(model, x, BLOCK_ROWS, compiled)
        if out is None:
            return result
        if not isinstance(result, np.ndarray) or (out.shape, out.dtype) != (result.shape, result.dtype):
            raise ValueError(f"predict: out must be one array like the model's output, got {out.dtype} {out.shape}")
        out[...] = result
        return out

    return predict


def _keyed(several: Any) -> dict[Any, Any]:
    return {**several} if isinstance(several, Mapping) else dict(enumerate(several))


def _following(model: Model, shape: tuple[int, ...]) -> Run:
    """A function from rows to the outputs of the model as it is at each call."""
    from ..compiler.entries import without_changes
    from ..compiler.watch import UnwatchableError, Watch

    dtype = input_dtype(model)
    try:
        watch = Watch([model])
    except UnwatchableError as error:
        raise CompileError(f"Predictor: the model refers to {error}, whose changes would not be seen") from None
    plan = trace(model, dtype, dtype, (1, *shape))
    watch.replace(watch.changes(), without_changes)  # what the forward pass changes itself, such as a counter

    def convert(x: Any) -> Rows:
        array = real_array(x, dtype, "predict: x")
        if array.shape[1:] != shape or array.ndim == 0:
            raise ValueError(f"predict: x must have shape (n, {', '.join(map(str, shape))}), got {array.shape}")
        return array

    entries = entries_of(watch, guarded(plan))
    return bind(
        lambda: model,
        dtype,
        shape,
        convert,
        dtype,
        plan,
        (lambda: _following(model, shape), entries, lambda: refuse_differentiated(model)),
    )


def _first_features(model: Model) -> tuple[int, ...]:
    features = features_of(model)
    if features is not None:
        return (features,)
    if any(hasattr(module, "in_channels") for module in model.modules()):
        raise ValueError("Predictor: the model accepts images of any size; pass row_shape, (channels, h, w)")
    raise ValueError("Predictor: no layer of the model has in_features; pass row_shape")

"""Prediction with little overhead: a model's forward pass as programs, bound once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _core
from .._util.arrays import real_array
from .._util.dtypes import CODES
from ..compiler import Compiled
from ..ops._op import Spec
from . import Conv2d, Module
from ._module import evaluating, input_dtype

__all__ = ["Predictor"]

_BLOCK = 256  # rows computed at a time


class Predictor:
    """A model's predictions, without Python between the layers: `predict(x)` and `predict(x, out=)`.

    The forward pass is compiled for as many rows as come; many rows are computed in blocks, in parallel. A row's result
    does not depend on the other rows. Parameters are used as they are at the time of the call; other changes of the
    model (layers replaced, attributes) need a new Predictor.

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

    def __init__(self, model: Module, row_shape: tuple[int, ...] | None = None) -> None:
        if not isinstance(model, Module):
            raise TypeError(f"Predictor: model must be a Module, got {type(model).__name__}")
        self.model = model
        self.row_shape = _first_features(model) if row_shape is None else tuple(row_shape)
        self._dtype = input_dtype(model)
        compiled: Compiled[Any] = Compiled(model)
        dtype, shape = self._dtype, self.row_shape

        def plan(rows: int) -> tuple[_core.Program, Spec]:
            with evaluating(model):
                built = compiled.plan_of(np.empty((rows, *shape), dtype)).built
            specs = built.output_specs
            if len(specs) != 1 or specs[0].shape[:1] != (rows,):
                given = ", ".join(str(spec.shape) for spec in specs)
                raise ValueError(f"Predictor: the model must return one row for each of {rows} rows, got {given}")
            return built.program, specs[0]

        def convert(x: Any) -> npt.NDArray[Any]:
            array = real_array(x, dtype, "predict: x")
            if array.shape[1:] != shape or array.ndim == 0:
                raise ValueError(f"predict: x must have shape (n, {', '.join(map(str, shape))}), got {array.shape}")
            return array

        out = plan(1)[1]
        self.predict = _core.predict_function(
            lambda rows: plan(rows)[0], convert, CODES[dtype], out.code, shape, out.shape[1:], _BLOCK
        )

    def __call__(self, x: npt.ArrayLike, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """Return the model's outputs for the rows of x."""
        result: npt.NDArray[Any] = self.predict(x, out)
        return result


def _first_features(model: Module) -> tuple[int, ...]:
    for module in model.modules():
        if isinstance(module, Conv2d):
            raise ValueError("Predictor: the model takes images of any size; pass row_shape, (channels, h, w)")
        features = getattr(module, "in_features", None)
        if isinstance(features, int):
            return (features,)
    raise ValueError("Predictor: the model has no layer to take the number of features from; pass row_shape")

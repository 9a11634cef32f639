"""Evaluation of a model: its mode, the dtype of its input, and the forward pass op by op."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .. import _core
from .._tensor import Tensor
from .._util.arrays import real_array
from .._util.mode import grad_mode
from ..autodiff._sweeps import no_grad

__all__ = ["EVALUATION_ROWS", "Model", "evaluating", "input_dtype", "predict_eagerly", "thread_modes", "to_model_input"]

EVALUATION_ROWS = 1024  # rows evaluated at a time if every op runs separately


class Model(Protocol):
    """The methods of Module that evaluation uses; Module is defined in a higher layer."""

    training: bool

    def __call__(self, *inputs: Any, **options: Any) -> Tensor:
        """Compute the output."""

    def modules(self) -> Iterator[Model]:
        """Yield the model and all modules inside it."""

    def _named_tensors(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """Yield (name, tensor) for parameters and buffers."""

    def _dtype(self) -> np.dtype[Any]:
        """The dtype of the parameters."""

    def _input_dtype(self) -> np.dtype[Any] | None:
        """The dtype that the input is converted to, or None."""


@contextmanager
def thread_modes(model: Model, training: bool | None = None) -> Iterator[None]:
    """Inside the block the modes of the model's modules are this thread's own: no other thread sees a change.

    They begin with `training`, or as they are, and changes end with the block.
    """
    before = grad_mode.modules
    own = {id(inner): (inner, inner.training if training is None else training) for inner in model.modules()}
    grad_mode.modules = own if before is None else {**before, **own}
    try:
        yield
    finally:
        grad_mode.modules = before


@contextmanager
def evaluating(model: Model) -> Iterator[None]:
    """Evaluation mode and no gradients inside the block, in this thread."""
    with thread_modes(model, training=False), no_grad():
        yield


def input_dtype(model: Model) -> np.dtype[Any]:
    """The dtype that the rows of X are converted to; TypeError if the parameters have different dtypes."""
    parameters = model._dtype()
    return model._input_dtype() or parameters


def to_model_input(values: npt.ArrayLike, dtype: npt.DTypeLike, name: str) -> Tensor:
    """Convert values of any real dtype to a tensor of `dtype`, rounded once; TypeError naming `name` for others."""
    return Tensor._wrap(real_array(values, dtype, name))


def predict_eagerly(model: Model, rows: npt.NDArray[Any], batch_size: int = EVALUATION_ROWS) -> npt.NDArray[Any]:
    """The model's outputs for these rows, computed eagerly, `batch_size` rows at a time, between two training steps."""
    dtype = input_dtype(model)
    with evaluating(model), _core.reading(tensor._data for _, tensor in model._named_tensors()):
        parts = [
            model(to_model_input(rows[start : start + batch_size], dtype, "predict: X")).numpy()
            for start in range(0, max(len(rows), 1), batch_size)
        ]
    return parts[0].copy() if len(parts) == 1 else np.concatenate(parts)

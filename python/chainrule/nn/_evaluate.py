"""Evaluation of a model: its mode, the dtype of its input, and the forward pass op by op."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .. import _core
from .._tensor import Tensor
from .._util.arrays import number_rows, real_array
from .._util.dtypes import BOOL, INT64
from .._util.mode import grad_mode
from ..autodiff._sweeps import no_grad
from ._inputs import call_with, has_several, map_parts, parts_of

__all__ = [
    "EVALUATION_ROWS",
    "Model",
    "dtype_of_part",
    "dtype_of_rows",
    "evaluating",
    "input_dtype",
    "predict_eagerly",
    "predict_several",
    "thread_modes",
    "time_first",
    "to_model_input",
]

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


def dtype_of_rows(model: Model, rows: npt.NDArray[Any]) -> np.dtype[Any]:
    """The dtype that these rows are converted to: int64 for integers, if the model does not take them as floats."""
    dtype = input_dtype(model)
    if rows.dtype.kind not in "iu" or rows.ndim == 0 or len(rows) == 0:
        return dtype
    with evaluating(model):
        try:
            model(Tensor._wrap(rows[:1].astype(dtype)))
        except TypeError:
            return INT64
        except Exception:  # another error, which the call with all rows raises
            pass
    return dtype


def dtype_of_part(model: Model, part: npt.NDArray[Any]) -> np.dtype[Any]:
    """The dtype that one of several inputs is converted to: integers and bools stay what they are."""
    return {"i": INT64, "u": INT64, "b": BOOL}.get(part.dtype.kind, model._dtype())


def to_model_input(values: npt.ArrayLike, dtype: npt.DTypeLike, name: str) -> Tensor:
    """Convert values of any real dtype to a tensor of `dtype`, rounded once; TypeError naming `name` for others."""
    return Tensor._wrap(real_array(values, dtype, name))


def time_first(model: Model) -> bool:
    """Whether a layer takes time along the first axis, which is then no axis of rows, and nothing else can move it."""
    modules = list(model.modules())
    return any(getattr(module, "batch_first", True) is False for module in modules) and all(
        type(module).__module__.startswith("chainrule.") for module in modules
    )


def predict_eagerly(model: Model, rows: npt.NDArray[Any], batch_size: int = EVALUATION_ROWS) -> Any:
    """The model's outputs for these rows, computed eagerly, `batch_size` rows at a time, between two training steps."""
    dtype = dtype_of_rows(model, rows)
    if len(rows) > batch_size and time_first(model):
        raise ValueError(
            f"predict: X has {len(rows)} steps of time along its first axis, more than batch_size={batch_size}; make "
            "the layers with batch_first=True, or pass a larger batch_size"
        )
    return _in_batches(model, rows, lambda part, name: to_model_input(part, dtype, name), batch_size)


def predict_several(
    model: Model, given: Any, batch_size: int = EVALUATION_ROWS, run: Callable[[Any], Any] | None = None
) -> Any:
    """The same for several inputs. `run`: a compiled call of the model, which gets few different numbers of rows."""
    rows = map_parts(number_rows, given, "predict: X")
    shapes = ", ".join(f"X{which}: {part.shape}" for which, part in parts_of(rows))
    if any(part.ndim == 0 for _, part in parts_of(rows)) or len({len(part) for _, part in parts_of(rows)}) > 1:
        raise ValueError(f"predict: the inputs must have the same number of rows, got {shapes}")
    return _in_batches(
        model, rows, lambda part, name: to_model_input(part, dtype_of_part(model, part), name), batch_size, run
    )


def _in_batches(
    model: Model,
    rows: Any,
    convert: Callable[[npt.NDArray[Any], str], Tensor],
    batch_size: int,
    run: Callable[[Any], Any] | None = None,
) -> Any:
    n, start = len(parts_of(rows)[0][1]), 0
    found: list[Any] = []
    with evaluating(model), _core.reading(tensor._data for _, tensor in model._named_tensors()):
        while start < n or not found:
            size = batch_size
            if run is not None and n - start < size:  # powers of two, for which few programs are made
                size = 1 << max(n - start, 1).bit_length() - 1
            batch = map_parts(convert, map_parts(_slice(start, size), rows), "predict: X")
            outputs = call_with(model, batch) if run is None else run(batch)
            found.append(map_parts(lambda output, _: output.numpy(), outputs))
            start += size
    if isinstance(found[0], dict):
        return {key: _joined([outputs[key] for outputs in found]) for key in found[0]}
    if has_several(found[0]):
        return tuple(_joined(list(outputs)) for outputs in zip(*found, strict=True))
    return _joined(found)


def _slice(start: int, size: int) -> Callable[[npt.NDArray[Any], str], npt.NDArray[Any]]:
    return lambda array, _: array[start : start + size]


def _joined(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return parts[0].copy() if len(parts) == 1 else np.concatenate(parts)

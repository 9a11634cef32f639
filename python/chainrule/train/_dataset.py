"""Checks and conversion of training data, before the model changes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .._tensor import Tensor
from .._util.arrays import as_ndarray, first_nonfinite, is_plain, number_rows
from .._util.dtypes import FLOATS
from ..nn import Module, Sequential
from ..nn._evaluate import (
    dtype_of_part,
    dtype_of_rows,
    evaluating,
    input_dtype,
    predict_eagerly,
    time_first,
    to_model_input,
)
from ..nn._inputs import call_with, has_several, map_parts, parts_of
from ..nn._loss_module import takes
from ..nn._preprocessing.base import split_preprocessing
from ..ops._op import OPS, apply

__all__ = ["Dataset", "convert", "holds_labels", "prepare", "prepare_validation"]

Loss = Callable[..., Tensor]  # (prediction, target), with sample_weight if the data has weights
_TAKE = OPS["take"]


@dataclass(frozen=True)
class Dataset:
    """A data set: inputs, targets and optional sample weights as tensors, and the model without its preprocessing.

    `x` is already preprocessed, once instead of in every epoch. The bits are the same because the result for a row
    does not depend on the other rows. `x` and `y` are tensors, or tuples or dicts of them.
    """

    x: Any
    y: Any
    model: Module
    weight: Tensor | None = None
    front: Sequential | None = None  # the preprocessing

    def __len__(self) -> int:
        return self._rows

    @cached_property
    def _rows(self) -> int:
        """The number of rows, which an epoch of few steps asks for as often as there are steps."""
        return len(parts_of(self.x)[0][1])

    def batch(self, rows: Tensor) -> tuple[Any, Any, dict[str, Tensor]]:
        """Gather a minibatch by row indices, which must be in range: inputs, targets, keyword arguments of the loss."""
        x, y = (map_parts(lambda part, _: apply(_TAKE, (part, rows)), source) for source in (self.x, self.y))
        return x, y, {} if self.weight is None else {"sample_weight": apply(_TAKE, (self.weight, rows))}

    def follow(self, model: Module, caller: str) -> None:
        """Take over the layers that the model has now; its preprocessing must be the one that `x` comes from."""
        if self.front is None:
            return
        done, layers = list(self.front), list(model) if isinstance(model, Sequential) else []
        if any(a is not b for a, b in zip(layers, done, strict=False)) or len(layers) < len(done):
            raise ValueError(f"{caller}: the preprocessing layers have changed since the data was preprocessed by them")
        rest = self.model
        assert isinstance(rest, Sequential)
        rest._layers[:] = layers[len(done) :]


def prepare(
    model: Module,
    X: Any,
    y: Any,
    loss: Loss,
    optimized: Sequence[Tensor],
    sample_weight: npt.ArrayLike | None,
    caller: str,
) -> Dataset:
    """Check the training data against the model and the loss, and convert it."""
    if not isinstance(model, Module):
        raise TypeError(f"{caller}: model must be a Module, got {type(model).__name__}")
    own = {id(parameter) for parameter in model.parameters()}
    if not any(id(parameter) in own for parameter in optimized):
        raise ValueError(f"{caller}: the optimizer has none of the model's parameters")
    if sample_weight is not None:
        X, y = _rows_counted(X, y, np.asarray(sample_weight))
    train = convert(model, X, y, loss, f"{caller}: ")
    if sample_weight is not None:
        train = replace(train, weight=_weights(sample_weight, loss, train, caller))
    _check_first_row(loss, train, caller)
    return train


def prepare_validation(model: Module, validation: tuple[Any, Any], loss: Loss) -> Dataset:
    """Check and convert the validation data."""
    if not isinstance(validation, (tuple, list)) or len(validation) != 2:
        raise TypeError(f"fit: validation must be a pair (X, y), got {type(validation).__name__}")
    held_out = convert(model, validation[0], validation[1], loss, "fit: validation ")
    _check_first_row(loss, held_out, "fit", "validation ")
    return held_out


def holds_labels(y: Any, loss: Loss) -> bool:
    """Whether the loss is one of `cr.nn` or `cr` that takes the targets as class labels."""
    return isinstance(y, Tensor) and y.dtype.kind == "i" and takes(loss) in ("labels", "labels or probabilities")


def convert(model: Module, X: Any, y: Any, loss: Loss, where: str) -> Dataset:
    """Convert inputs and targets for a model and a loss; errors begin with `where`."""
    if time_first(model):
        raise ValueError(f"{where}the first axis of X is time; make the layers with batch_first=True")
    inputs = map_parts(number_rows, X, f"{where}X")
    targets = map_parts(as_ndarray, y, f"{where}y")
    _check_rows(inputs, targets, where)
    if has_several(inputs):
        front, rest = None, model
        x = map_parts(lambda part, name: _to_finite_tensor(part, dtype_of_part(model, part), name), inputs, f"{where}X")
    else:
        front, rest = split_preprocessing(model)
        if front is None:
            x = _to_finite_tensor(inputs, dtype_of_rows(model, inputs), f"{where}X")
        else:
            x = _preprocessed(front, inputs, input_dtype(model), f"{where}X")
    return Dataset(x, _targets(model, targets, loss, f"{where}y"), rest, front=front)


def _check_rows(inputs: Any, targets: Any, where: str) -> None:
    """Raise ValueError unless all arrays have the same number of rows, above 0."""
    parts = [(f"X{which}", part) for which, part in parts_of(inputs)]
    parts += [(f"y{which}", part) for which, part in parts_of(targets)]
    shapes = [part.shape for _, part in parts]
    if any(part.ndim == 0 for _, part in parts):
        names = " and ".join(name for name, _ in parts)
        raise ValueError(f"{where}{names} must have an axis of rows, got shapes {' and '.join(map(str, shapes))}")
    first = len(parts[0][1])
    if any(len(part) != first for _, part in parts):
        counts = ", ".join(f"{name} has {len(part)}" for name, part in parts[1:])
        described = ", ".join(f"{name}: {part.shape}" for name, part in parts)
        raise ValueError(f"{where}{parts[0][0]} has {first} rows, {counts} ({described})")
    for name, part in parts[: len(parts_of(inputs))]:
        if part.size == 0:
            raise ValueError(f"{where}{name} is empty, its shape is {part.shape}")


def _targets(model: Module, targets: Any, loss: Loss, where: str) -> Any:
    """The targets as tensors: labels as int64, numbers in the model's dtype."""
    expected = takes(loss)
    if has_several(targets):
        if expected in ("labels", "labels or probabilities"):
            raise TypeError(f"{where}: this loss takes one array of labels, got {len(targets)} arrays")
        return map_parts(lambda part, name: _to_finite_tensor(part, dtype_of_part(model, part), name), targets, where)
    integers = targets.dtype.kind in "iu" and expected != "numbers"
    probabilities = expected == "labels or probabilities" and targets.dtype.kind == "f" and targets.ndim == 2
    if expected in ("labels", "labels or probabilities") and not probabilities:
        if not integers:
            raise TypeError(
                f"{where} must be integer labels for this loss, got dtype {targets.dtype}; a model that ends with "
                "cr.nn.Output takes labels of any kind"
            )
        if targets.ndim != 1:
            raise ValueError(f"{where} has shape {targets.shape}, labels must have shape ({len(targets)},)")
    if integers:
        return Tensor._wrap(targets.astype(np.int64, order="C"))
    return _to_finite_tensor(targets, model._dtype(), where)


def _rows_counted(X: Any, y: Any, weight: npt.NDArray[Any]) -> tuple[Any, Any]:
    """Copies in which a row of weight 0 repeats one that counts: inside the model it is not infinite or NaN either."""
    arrays = [map_parts(lambda part, _: np.asarray(part), source) for source in (X, y)]
    lengths = [len(part) if part.ndim else -1 for source in arrays for _, part in parts_of(source)]
    if weight.ndim != 1 or len({*lengths, len(weight)}) > 1:
        return X, y  # an error that `convert` or `_weights` describes
    without, counting = np.flatnonzero(weight == 0), np.flatnonzero(weight != 0)
    if not len(without) or not len(counting):
        return X, y
    index = np.arange(len(weight))
    index[without] = counting[0]
    x, targets = (map_parts(lambda part, _: part[index], source) for source in arrays)
    return x, targets


def _preprocessed(front: Module, inputs: npt.NDArray[Any], dtype: np.dtype[Any], name: str) -> Tensor:
    """Apply the preprocessing, in chunks of rows; the result must be finite."""
    to_model_input(inputs[:1], dtype, name)  # for an error message that names X
    x = Tensor._wrap(front.predict(inputs) if inputs.ndim > 1 else predict_eagerly(front, inputs))
    index = first_nonfinite(x.numpy())
    if index is not None:
        cause = first_nonfinite(np.asarray(inputs[index[0]], dtype=np.float64))
        if cause is not None:
            raise _not_finite(inputs, (index[0], *cause), name, dtype)
        raise _not_finite(x.numpy(), index, f"{name} after preprocessing: x", dtype)
    return x


def _weights(sample_weight: npt.ArrayLike, loss: Loss, rows: Dataset, caller: str) -> Tensor:
    given = as_ndarray(sample_weight, f"{caller}: sample_weight")
    if given.shape != (len(rows),):
        raise ValueError(
            f"{caller}: sample_weight has shape {given.shape}, expected ({len(rows)},), one for each row of X"
        )
    x_dtype = rows.x.dtype if isinstance(rows.x, Tensor) else None
    dtype = x_dtype if x_dtype in FLOATS else rows.model._dtype()
    weight = _to_finite_tensor(given, dtype, f"{caller}: sample_weight")
    below = np.flatnonzero(weight.numpy() < 0)
    if len(below):
        raise ValueError(f"{caller}: sample_weight[{below[0]}] is {given[below[0]]}, expected numbers of at least 0")
    if not weight.numpy().any():
        raise ValueError(f"{caller}: sample_weight is 0 for every row, expected at least one above 0")
    try:
        inspect.signature(loss.forward if isinstance(loss, Module) else loss).bind(None, None, sample_weight=None)
    except TypeError:
        raise TypeError(
            f"{caller}: the loss does not accept sample_weight, expected f(prediction, target, sample_weight)"
        ) from None
    return weight


def _to_finite_tensor(array: npt.NDArray[Any], dtype: np.dtype[Any], name: str) -> Tensor:
    # Avoids a copy if possible: copying Fashion-MNIST takes as long as half an epoch.
    unchanged = array.dtype == dtype and is_plain(array)
    converted = Tensor._wrap(array) if unchanged else to_model_input(array, dtype, name)
    index = first_nonfinite(converted.numpy())
    if index is not None:
        raise _not_finite(array, index, name, dtype)
    return converted


def _not_finite(array: npt.NDArray[Any], index: tuple[int, ...], name: str, dtype: np.dtype[Any]) -> ValueError:
    value = array[index]
    axes = ", ".join(str(i) for i in index)
    column = f", column {axes[len(str(index[0])) + 2 :]}" if len(index) > 1 else ""
    too_large = f", too large for {dtype}" if np.isfinite(value) else ""
    return ValueError(f"{name}[{axes}] is {value}{too_large} (row {index[0]}{column}); every value must be finite")


def _check_first_row(loss: Loss, rows: Dataset, caller: str, prefix: str = "") -> None:
    """Compute the loss of one row to find mismatched shapes before the first step."""
    x, y, options = rows.batch(Tensor(np.zeros(1, dtype=np.int64)))
    with evaluating(rows.model):
        prediction = call_with(rows.model, x)
        if holds_labels(rows.y, loss) and isinstance(prediction, Tensor) and prediction.ndim == 2:
            _check_labels(rows.y.numpy(), prediction.shape[1], f"{caller}: {prefix}")
        value = loss(prediction, y, **options)
    if not isinstance(value, Tensor):
        raise TypeError(f"{caller}: the loss must return a tensor, got {type(value).__name__}")
    if value.shape != ():
        raise ValueError(f"{caller}: the loss must return a scalar, got shape {value.shape} (use reduction='mean')")


def _check_labels(labels: npt.NDArray[Any], classes: int, where: str) -> None:
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        index = int(wrong[0])
        expected = f"labels must be from 0 to {classes - 1} (the model has {classes} outputs)"
        raise ValueError(f"{where}y[{index}] is {labels[index]}, {expected}")

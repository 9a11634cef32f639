"""Running statistics of batch norm for weights that training has not had, such as averages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from .._util.arrays import number_rows
from .._util.checks import check_integer
from .._util.mode import grad_mode
from ..autodiff import no_grad
from ..nn import Module
from ..nn._evaluate import dtype_of_part, dtype_of_rows, thread_modes, to_model_input
from ..nn._inputs import call_with, has_several, map_parts, parts_of
from ..nn._norm import _BatchNorm

__all__ = ["update_bn"]


def update_bn(loader: Any, model: Module, batch_size: int | None = None) -> None:
    """Compute the running statistics of batch norm anew: the means over batches of inputs, with the present weights.

    For averaged weights, which have passed none of the data: `cr.update_bn(X, averaged)`. All `BatchNorm` layers are
    reset, and the model is called with each batch in training mode; every batch counts alike. Nothing else changes, and
    a model without such layers is not called.

    Arguments: `loader`, an iterable of batches, such as a `cr.data.DataLoader`: inputs, or tuples or lists that begin
    with them; or an array of all rows, or several inputs in a tuple or dict as for `cr.fit`; `model`; `batch_size`, of
    arrays, None for all rows at once.
    Errors: TypeError and ValueError for other arguments, for no batches, and those of the model; its statistics are
    then what they were.
    Source: PyTorch's torch.optim.swa_utils.update_bn.

    >>> import chainrule as cr
    >>> averaged = cr.AveragedModel(cr.nn.Sequential(cr.nn.BatchNorm1d(2), cr.nn.Linear(2, 1)))
    >>> cr.update_bn([[[1.0, 0.0], [3.0, 2.0]], [[5.0, 1.0], [7.0, 5.0]]], averaged)
    >>> averaged.module[0].running_mean.numpy()
    array([4., 2.], dtype=float32)
    """
    if not isinstance(model, Module):
        raise TypeError(
            f"update_bn: model must be a Module, got {type(model).__name__}; write update_bn(loader, model)"
        )
    grad_mode.executor.forbid("update_bn: called inside a compiled function; call it outside")
    batches = _batches(loader, batch_size)
    layers = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not layers:
        return
    buffers = [buffer for layer in layers for _, buffer in layer.named_buffers()]
    before, momenta = [buffer.numpy().copy() for buffer in buffers], [layer.momentum for layer in layers]
    count = 0
    try:
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # the mean of all batches
        with no_grad(), thread_modes(model, training=True):
            for x in batches:
                call_with(model, _converted(model, x))
                count += 1
        if not count:
            raise ValueError("update_bn: there are no batches")
    except BaseException:
        for buffer, values in zip(buffers, before, strict=True):
            buffer.copy_(values)
        raise
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


def _batches(loader: Any, batch_size: int | None) -> Iterator[Any]:
    """The inputs of each batch."""
    if hasattr(loader, "__array__") or has_several(loader):
        return _of_rows(loader, batch_size)
    if not isinstance(loader, Iterable) or isinstance(loader, (str, bytes)):
        raise TypeError(f"update_bn: loader must be an iterable of batches or arrays, got {type(loader).__name__}")
    if batch_size is not None:
        raise TypeError("update_bn: batch_size goes with arrays, not with an iterable of batches")
    return map(_inputs_of, loader)


def _of_rows(data: Any, batch_size: int | None) -> Iterator[Any]:
    rows = map_parts(number_rows, data, "update_bn: X")
    parts = parts_of(rows)
    if any(part.ndim == 0 for _, part in parts) or len({len(part) for _, part in parts}) > 1:
        shapes = ", ".join(f"X{which}: {part.shape}" for which, part in parts)
        raise ValueError(f"update_bn: the inputs must have the same number of rows, got {shapes}")
    n = len(parts[0][1])
    size = max(n, 1) if batch_size is None else check_integer("update_bn: batch_size", batch_size, 1)

    def batch(at: int) -> Any:
        return map_parts(lambda part, _: part[at : at + size], rows)

    return map(batch, range(0, n, size))


def _inputs_of(batch: Any) -> Any:
    """The first item of a tuple or a list of arrays, as in PyTorch; other batches are inputs themselves."""
    paired = isinstance(batch, (tuple, list)) and batch and (_is_inputs(batch[0]) or has_several(batch[0]))
    return batch[0] if paired else batch


def _is_inputs(item: Any) -> bool:
    return isinstance(item, Mapping) or (hasattr(item, "__array__") and np.ndim(item) > 0)


def _converted(model: Module, x: Any) -> Any:
    if has_several(x):
        return map_parts(
            lambda part, name: to_model_input(number_rows(part, name), dtype_of_part(model, part), name),
            x,
            "update_bn: X",
        )
    rows = number_rows(x, "update_bn: X")
    return to_model_input(rows, dtype_of_rows(model, rows), "update_bn: X")

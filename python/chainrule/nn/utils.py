"""Conversion between the parameters of a model and one flat vector."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import ops
from .._tensor import Tensor
from ..ops._operands import as_tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Join parameters into one vector, each in C order, one after the other.

    Arguments: `parameters`, tensors of one dtype, at least one, for example `model.parameters()`.
    Returns: a tensor of shape (total size,), differentiable with respect to each of them.
    Errors: ValueError for no parameters or several dtypes.

    >>> import chainrule as cr
    >>> layer = cr.nn.Linear(2, 3)
    >>> cr.nn.utils.parameters_to_vector(layer.parameters()).shape
    (9,)
    """
    found = list(parameters)
    if not found:
        raise ValueError("parameters_to_vector: there are no parameters")
    dtypes = {parameter.dtype for parameter in found}
    if len(dtypes) > 1:
        raise ValueError(f"parameters_to_vector: the parameters mix {' and '.join(sorted(map(str, dtypes)))}")
    return ops.concatenate([ops.flatten(parameter, 0) for parameter in found])


def vector_to_parameters(vector: Any, parameters: Iterable[Tensor]) -> None:
    """Overwrite parameters with the parts of one vector; the inverse of `parameters_to_vector`.

    Arguments: `vector`, numbers of shape (total size,); `parameters`, leaves.
    Errors: ValueError for another shape or a parameter computed by an op; nothing changes then.

    >>> import chainrule as cr
    >>> layer = cr.nn.Linear(2, 1)
    >>> cr.nn.utils.vector_to_parameters([1.0, 2.0, 3.0], layer.parameters())
    >>> layer.weight.tolist(), layer.bias.tolist()
    ([[1.0], [2.0]], [3.0])
    """
    found = list(parameters)
    values = as_tensor(vector)
    total = sum(parameter.size for parameter in found)
    if values.shape != (total,):
        raise ValueError(f"vector_to_parameters: the vector has shape {values.shape}, the parameters take ({total},)")
    for i, parameter in enumerate(found):
        if not parameter.is_leaf:
            raise ValueError(f"vector_to_parameters: parameter {i} was made by an op; only leaves can be overwritten")
    start = 0
    for parameter in found:
        parameter.copy_(ops.reshape(values[start : start + parameter.size], parameter.shape))
        start += parameter.size

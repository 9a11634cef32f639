"""Calls of a model with other parameters, clipping of gradients, the parameters as one flat vector.

`rnn` has sequences of several lengths; it is loaded where it is first used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ... import ops
from ..._tensor import Tensor
from ..._util.mode import grad_mode
from ...autodiff._clip import clip_grad_norm_, clip_grad_value_
from ...autodiff._inputs import make_input_leaf
from ...autodiff._sweeps import check_overwrite
from ...ops._operands import as_tensor
from .._module import Module

if TYPE_CHECKING:
    from . import rnn as rnn

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "functional_call",
    "parameters_to_vector",
    "vector_to_parameters",
]


def functional_call(
    module: Module,
    parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    strict: bool = False,
) -> Any:
    """Call a module with other tensors in place of its parameters and buffers; the module itself does not change.

    The call is differentiable with respect to these tensors: in `cr.grad` and the other transformations, by
    `backward()`, and in compiled functions. Other threads that use the module at the same time are not affected.

    Arguments: `module`; `parameters`, tensors, arrays or numbers by the names of `named_parameters()` and
    `named_buffers()`, of the same shapes and dtypes, or a sequence of such dicts; the others keep their values; tied
    parameters are replaced under all their names; `args`, the argument of the call, or a tuple of them; `kwargs`;
    `strict`, whether every parameter and buffer must be given.
    Returns: the module's result.
    Errors: ValueError for an unknown or missing name, a name given twice, two tensors for tied parameters, or another
    shape; TypeError for another dtype. RuntimeError if the module reads replaced values in Python.
    Source: PyTorch's torch.func.functional_call.

    >>> import chainrule as cr
    >>> layer = cr.nn.Linear(2, 1)
    >>> parameters = {"weight": cr.tensor([[2.0], [3.0]]), "bias": cr.tensor([0.5])}
    >>> cr.nn.utils.functional_call(layer, parameters, cr.tensor([[1.0, 1.0]])).numpy()
    array([[5.5]], dtype=float32)
    >>> loss = lambda p, x: cr.sum(cr.nn.utils.functional_call(layer, p, x))
    >>> cr.grad(loss)(parameters, cr.tensor([[1.0, 4.0]]))["weight"].numpy()
    array([[1.],
           [4.]], dtype=float32)
    """
    if not isinstance(module, Module):
        raise TypeError(f"functional_call: module must be a Module, got {type(module).__name__}")
    parts = [parameters] if isinstance(parameters, Mapping) else list(parameters)
    if not all(isinstance(part, Mapping) for part in parts):
        raise TypeError(
            "functional_call: parameters must be a dict from names to tensors, or a sequence of dicts; "
            "dict(model.named_parameters()) is one"
        )
    given: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            if name in given:
                raise ValueError(f"functional_call: {name} is given twice")
            given[name] = value
    replaced = _replacements(module, given, strict)
    arguments = () if args is None else args if isinstance(args, tuple) else (args,)
    before = grad_mode.replaced
    grad_mode.set_replaced({**before, **replaced})
    try:
        return module(*arguments, **(kwargs or {}))
    finally:
        grad_mode.set_replaced(before)


def _replacements(module: Module, given: Mapping[str, Any], strict: bool) -> dict[int, Tensor]:
    """The tensor that stands for each parameter or buffer, by its number."""
    named = {
        (f"{where}.{name}" if where else name): member
        for where, inner in _all_modules(module)
        for name, member in inner._members()
        if isinstance(member, Tensor)
    }
    unknown = [name for name in given if name not in named]
    if unknown:
        raise ValueError(
            f"functional_call: {type(module).__name__} has no parameter or buffer {', '.join(unknown)}; it has "
            f"{', '.join(named) or 'none'}"
        )
    if strict:
        reached = {named[name]._number for name in given}
        missing = [name for name, member in named.items() if member._number not in reached]
        if missing:
            raise ValueError(f"functional_call: missing {', '.join(missing)}")
    found: dict[int, tuple[str, Any, Tensor]] = {}
    for name, value in given.items():
        own = named[name]
        tensor = as_tensor(value, own.dtype)
        if tensor.shape != own.shape:
            raise ValueError(f"functional_call: {name} has shape {own.shape}, the given tensor {tensor.shape}")
        if tensor.dtype != own.dtype:
            raise TypeError(f"functional_call: {name} is {own.dtype}, the given tensor {tensor.dtype}")
        known = found.get(own._number)
        if known is not None and known[1] is not value:
            raise ValueError(f"functional_call: {known[0]} and {name} are tied, expected the same tensor for both")
        # A separate node: the given tensor may itself be a parameter that another one stands for.
        apart = make_input_leaf(tensor) if tensor._requires_grad else tensor.detach()
        found[own._number] = name, value, apart
    return {number: apart for number, (_, _, apart) in found.items()}


def _all_modules(module: Module, prefix: str = "", outer: tuple[Module, ...] = ()) -> Iterable[tuple[str, Module]]:
    """Every (name, module), shared ones under each of their names."""
    yield prefix, module
    for name, child in module.named_children():
        if child is not module and child not in outer:
            yield from _all_modules(child, f"{prefix}.{name}" if prefix else name, (*outer, module))


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

    This is not differentiable with respect to the vector: see `functional_call`.

    Arguments: `vector`, numbers of shape (total size,); `parameters`, leaves.
    Errors: ValueError for another shape or a parameter computed by an op; RuntimeError inside `cr.grad` and other
    transformations if the vector depends on what is differentiated; nothing changes then.

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
        check_overwrite("vector_to_parameters", parameter, values)
    start = 0
    for parameter in found:
        parameter.copy_(ops.reshape(values[start : start + parameter.size], parameter.shape))
        start += parameter.size


def __getattr__(name: str) -> Any:
    if name == "rnn":
        return import_module(f"{__name__}.rnn")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

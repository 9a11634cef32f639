"""Derivatives of tensors that are computed already, with PyTorch's names; `cr.grad` transforms functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._tensor import Tensor
from ._util.array_protocol import depends_on
from .autodiff._inputs import zeros_like
from .autodiff._sweeps import (
    ancestors,
    backward,
    enable_grad,
    is_differentiated,
    no_grad,
    reverse_sweep,
    seed,
    subgraph,
)

__all__ = ["backward", "grad"]


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """Compute the gradients of tensors with respect to others that they were computed from, leaves or not.

    sum over i of grad_outputs[i] * d outputs[i] / d inputs[k], for each k. No `grad` changes.

    Arguments: `outputs`, a tensor or several; `inputs`, likewise, which require gradients; `grad_outputs`, a gradient
    for each output, or None for 1 (an output of one element); `create_graph`, whether the results can be
    differentiated again; `allow_unused`, whether the result for an input without influence is None, instead of an
    error, or with `materialize_grads` zeros; `retain_graph` has no effect: a graph exists as long as its tensors, and
    `only_inputs` can but be True.
    Returns: a tuple with a gradient for each input, of its shape and dtype.
    Errors: TypeError for anything but tensors; ValueError for an output or an input that requires no gradient, an input
    without influence, or a gradient of another shape; RuntimeError when a value that the graph needs was overwritten.

    >>> import chainrule as cr
    >>> x = cr.tensor(3.0, requires_grad=True)
    >>> u = x * x * x
    >>> (slope,) = cr.autograd.grad(u, x, create_graph=True)
    >>> (curvature,) = cr.autograd.grad(slope, x)
    >>> slope.item(), curvature.item()
    (27.0, 18.0)
    """
    if not only_inputs:
        raise ValueError("autograd.grad: only_inputs must be True; cr.backward adds to the grad of all leaves")
    ends, starts = _tensors("outputs", outputs), _tensors("inputs", inputs)
    given = list(grad_outputs) if isinstance(grad_outputs, (tuple, list)) else [grad_outputs]
    if grad_outputs is None:
        given = [None] * len(ends)
    if len(given) != len(ends):
        raise ValueError(f"autograd.grad: {len(given)} grad_outputs for {len(ends)} outputs")
    sources = {t._number: t for t in starts}
    nodes = subgraph(ancestors(ends), sources)
    # Inside a transformation the results must not be constants either.
    recorded = create_graph or any(map(is_differentiated, ends))
    with enable_grad() if recorded else no_grad():
        seeds = [seed(t, g, "autograd.grad") for t, g in zip(ends, given, strict=True)]
        found = reverse_sweep(ends, seeds, sources, nodes, "autograd.grad", independent=False)
    results: list[Tensor | None] = []
    for i, t in enumerate(starts):
        g = found.get(t._number)
        if g is None and not (allow_unused or materialize_grads):
            used = any(depends_on(end, frozenset([t._number])) for end in ends)
            raise ValueError(
                f"autograd.grad: input {i} {'has no gradient' if used else 'was not used to compute the outputs'}; "
                "with allow_unused=True its gradient is None"
            )
        results.append(zeros_like(t) if g is None and materialize_grads else g)
    return tuple(results)


def _tensors(what: str, given: Any) -> list[Tensor]:
    """The tensors of an argument, which must require gradients."""
    if callable(given):
        raise TypeError(f"autograd.grad: {what} must be tensors, got a function; its gradient is cr.grad(f)(x)")
    found = [given] if isinstance(given, Tensor) else list(given) if isinstance(given, (tuple, list)) else None
    if found is None or not all(isinstance(t, Tensor) for t in found):
        raise TypeError(f"autograd.grad: {what} must be a tensor or a list or tuple of tensors, got {_kind(given)}")
    if not found:
        raise ValueError(f"autograd.grad: there are no {what}")
    for i, t in enumerate(found):
        if not t._requires_grad:
            raise ValueError(f"autograd.grad: {what[:-1]} {i} does not require a gradient")
    return found


def _kind(given: Any) -> str:
    """Describe an argument, for errors."""
    if isinstance(given, (tuple, list)):
        return f"a {type(given).__name__} with {next(type(t).__name__ for t in given if not isinstance(t, Tensor))}"
    return type(given).__name__

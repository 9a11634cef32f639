"""Gradient checking: analytic derivatives against central differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._tensor import Tensor, tensor
from .._util.checks import check_size
from .._util.dtypes import Array
from .._util.trees import flatten, leaves_with_paths
from ._inputs import as_float, is_leaf, unflatten
from ._recording import Recording
from ._sweeps import no_grad
from ._transforms import check_function

__all__ = ["gradcheck"]


def gradcheck(
    f: Callable[..., Any],
    inputs: Sequence[Any],
    eps: float = 1e-6,
    atol: float = 1e-7,
    rtol: float = 1e-5,
    seed: int = 0,
    order: int = 1,
) -> bool:
    """Compare the derivatives of f, in both modes, with central differences, (f(x + eps) - f(x - eps)) / (2 eps).

    A function with several outputs is checked through their sum with fixed random weights.

    Arguments: `f`, a function of tensors that returns a tensor or a tree of them; `inputs`, its arguments, as those of
    `cr.vjp`, all floats float64 (other values are passed on unchanged); `eps`, the step; `atol`, `rtol`: |analytic -
    numeric| <= atol + rtol * |numeric|; `seed`, of the weights; `order`, 2 to check the gradient's derivatives, too.
    Returns: True.
    Errors: AssertionError naming the path and index of the worst entry; TypeError for floats that are not float64.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.gradcheck(lambda x: cr.tanh(x), [np.array([0.1, 0.5])], order=2)
    True
    """
    check_function("gradcheck", f)
    order = check_size("gradcheck: order", order)
    arguments = [_copy(argument, f"input {n}") for n, argument in enumerate(inputs)]
    rng = np.random.default_rng(seed)
    checked = f
    for number in range(1, order + 1):
        run = _run(checked, arguments)
        weights = [tensor(rng.uniform(0.5, 1.5, out.shape), out.dtype) for out in run.outputs]
        worst = _worst(checked, arguments, run, weights, eps, atol, rtol)
        if worst is not None:
            raise AssertionError(f"gradcheck: {'gradient, ' * (number - 1)}{worst}")
        checked = _gradient(checked, weights)
    return True


def _copy(argument: Any, name: str) -> Any:
    """Copy the floats of an argument to new float64 tensors; modules and other values are returned unchanged."""
    leaves: list[Any] = []
    structure = flatten(argument, leaves, is_leaf)
    copies = []
    for (path, _), leaf in zip(leaves_with_paths(structure, where=name), leaves, strict=True):
        x = as_float(leaf, np.float64)
        if x is not None and x.dtype != np.float64:
            raise TypeError(f"gradcheck: {path} is {x.dtype}; differences need float64")
        copies.append(leaf if x is None else Tensor(x))
    return unflatten(structure, copies)


def _run(f: Callable[..., Any], arguments: Sequence[Any]) -> Recording:
    run = Recording("gradcheck", f, arguments, {}, range(len(arguments)), others=True)
    run.inputs.paths = [path.replace("argument", "input", 1) for path in run.inputs.paths]
    for path, x in zip(run.inputs.paths, run.inputs.sources, strict=True):
        if x.dtype != np.float64:
            raise TypeError(f"gradcheck: {path} is {x.dtype}; differences need float64")
    if not run.inputs.sources:
        raise ValueError("gradcheck: no input is float64")
    return run


def _gradient(f: Callable[..., Any], weights: Sequence[Tensor]) -> Callable[..., Any]:
    """A function that computes the gradients of all floats among its arguments."""

    def computed(*arguments: Any) -> list[Tensor]:
        return Recording("gradcheck", f, arguments, {}, range(len(arguments)), others=True).pull(weights)

    return computed


def _worst(
    f: Callable[..., Any],
    arguments: Sequence[Any],
    run: Recording,
    weights: Sequence[Tensor],
    eps: float,
    atol: float,
    rtol: float,
) -> str | None:
    """Describe the entry with the largest error beyond the tolerance, or return None."""
    worst: tuple[float, str] | None = None
    for path, x, gradient in zip(run.inputs.paths, run.inputs.sources, run.pull(weights), strict=True):
        for index in np.ndindex(x.shape):
            numeric = _weighted(_difference(f, arguments, run, x._data, index, eps), weights)
            e = np.zeros(x.shape)
            e[index] = 1.0
            pushed = [t._data for t in run.push({x._number: tensor(e)})]
            for mode, got in (("reverse", float(gradient._data[index])), ("forward", _weighted(pushed, weights))):
                excess = abs(got - numeric) - (atol + rtol * abs(numeric))
                if not excess <= 0 and (worst is None or not excess <= worst[0]):
                    worst = (excess, f"{path} at {index}: analytic {got!r} ({mode} mode), numeric {numeric!r}")
    return None if worst is None else worst[1]


def _weighted(changes: Sequence[Array], weights: Sequence[Tensor]) -> float:
    return float(sum((change * w._data).sum() for change, w in zip(changes, weights, strict=True)))


def _difference(
    f: Callable[..., Any], arguments: Sequence[Any], run: Recording, memory: Array, index: tuple[int, ...], eps: float
) -> list[Array]:
    """The central difference of each output. They are not summed first, so a large output hides no small change."""
    before, ends = memory[index], []
    try:
        for step in (eps, -eps):
            memory[index] = before + step
            with no_grad():
                ends.append([np.array(t._data) for t in run.leaves(f(*arguments))])
    finally:
        memory[index] = before
    return [(above - below) / (2 * eps) for above, below in zip(*ends, strict=True)]

"""Regularization terms: penalties on parameters, added to a loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .._tensor import Tensor
from ._arithmetic import _float_dtype, abs, add, square
from ._operands import one
from ._reduce import sum

__all__ = ["l1_penalty", "l2_penalty"]


def l1_penalty(parameters: Any, biases: bool = True) -> Tensor:
    """Sum of the absolute values of parameters, sum |w|; its gradient at 0 is 0.

    Arguments: `parameters`, a Module (all of its parameters), a tensor, or several tensors of one dtype; `biases`,
    False to exclude those with fewer than two axes (biases, scales).
    Returns: a 0-d tensor: the sums of the tensors, added in order.
    Errors: ValueError without parameters, TypeError for dtypes.

    >>> import chainrule as cr
    >>> cr.l1_penalty([cr.tensor([[1.0, -2.0]]), cr.tensor([4.0])]).item()
    7.0
    """
    return _sum_over("l1_penalty", abs, parameters, biases)


def l2_penalty(parameters: Any, biases: bool = True) -> Tensor:
    """Sum of the squares of parameters, sum w**2; c times it equals a weight decay of 2 * c in `cr.optim.SGD`.

    Arguments, returns and errors as `cr.l1_penalty`.

    >>> import chainrule as cr
    >>> cr.l2_penalty([cr.tensor([[1.0, -2.0]]), cr.tensor([4.0])], biases=False).item()
    5.0
    """
    return _sum_over("l2_penalty", square, parameters, biases)


def _sum_over(name: str, f: Callable[[Any], Tensor], parameters: Any, biases: bool) -> Tensor:
    given = parameters.parameters() if hasattr(parameters, "parameters") else parameters
    tensors = [one(p) for p in given] if _is_iterable(given) else [one(given)]
    chosen = [p for p in tensors if biases or p.ndim > 1]
    if not chosen:
        raise ValueError(f"{name}: expected at least one parameter" + (" with two or more axes" if tensors else ""))
    _float_dtype(name, chosen)
    total = sum(f(chosen[0]))
    for parameter in chosen[1:]:
        total = add(total, sum(f(parameter)))
    return total


def _is_iterable(given: Any) -> bool:
    return isinstance(given, Iterable) and not hasattr(given, "ndim")

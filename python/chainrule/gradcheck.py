"""Analytic gradients against central differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .ops import mul, sum
from .tensor import Tensor, as_tensor, tensor
from .transforms import grad

__all__ = ["gradcheck"]

_Array = np.ndarray[Any, Any]


def gradcheck(
    f: Callable[..., Tensor],
    inputs: Sequence[Any],
    eps: float = 1e-6,
    atol: float = 1e-7,
    rtol: float = 1e-5,
    seed: int = 0,
) -> bool:
    """Compare the gradient of f with central differences, (f(x + eps) - f(x - eps)) / (2 eps), in float64.

    A function with several outputs is checked through their sum with fixed random weights.

    Arguments: `f`, a function of tensors that returns a tensor; `inputs`, its arguments, all float64 (integers and
    bools are passed on unchanged); `eps`, the step; `atol`, `rtol`: |analytic - numeric| <= atol + rtol * |numeric|;
    `seed`, of the weights.
    Returns: True.
    Errors: AssertionError naming the argument and index of the worst entry; TypeError for inputs that are not float64.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.gradcheck(lambda x: cr.tanh(x), [np.array([0.1, 0.5])])
    True
    """
    points = [as_tensor(x, np.dtype(np.float64)) for x in inputs]
    floats = [i for i, p in enumerate(points) if p.dtype.kind == "f"]
    for i in floats:
        if points[i].dtype != np.float64:
            raise TypeError(f"gradcheck: input {i} is {points[i].dtype}; differences need float64")
    values = [np.array(p.numpy()) for p in points]
    out = f(*[tensor(v) for v in values])
    weights = np.random.default_rng(seed).uniform(0.5, 1.5, out.shape)

    def scalar(*args: Any) -> Tensor:
        return sum(mul(f(*args), weights))

    if not floats:
        raise ValueError("gradcheck: no input is float64")
    analytic = grad(scalar, floats)(*[tensor(v) for v in values])
    worst: tuple[float, str] | None = None
    for i, a in zip(floats, analytic, strict=True):
        for index in np.ndindex(values[i].shape):
            numeric = float((_difference(f, values, i, index, eps) * weights).sum())
            got = float(a.numpy()[index])
            excess = abs(got - numeric) - (atol + rtol * abs(numeric))
            if not excess <= 0 and (worst is None or not excess <= worst[0]):
                worst = (excess, f"input {i} at {index}: analytic {got!r}, numeric {numeric!r}")
    if worst is not None:
        raise AssertionError(f"gradcheck: {worst[1]}")
    return True


def _difference(f: Callable[..., Tensor], values: list[_Array], i: int, index: tuple[int, ...], eps: float) -> _Array:
    """The change of each output: taken before outputs are added up, a large one does not drown the others."""
    ends = []
    for step in (eps, -eps):
        moved = values[i].copy()
        moved[index] += step
        ends.append(f(*[tensor(moved if j == i else v) for j, v in enumerate(values)]).numpy())
    return np.asarray((ends[0] - ends[1]) / (2 * eps))

"""Vectors divided by their norms, PyTorch's `nn.functional.normalize`."""

from __future__ import annotations

from typing import Any

from .._tensor import Tensor
from .._util.checks import check_number
from ._activations import clip
from ._arithmetic import div
from ._norms import norm
from ._operands import one

__all__ = ["normalize"]


def normalize(input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12) -> Tensor:
    """Divide by the norm along an axis, x / max(norm, eps).

    Arguments: `input`, a float tensor; `p`, the order of the norm, as in `cr.norm`; `dim`, an axis or a tuple of axes;
    `eps`, a number of at least 0.
    Returns: a tensor of the same shape.
    Errors: ValueError for an axis that is not there, another order or eps.
    Source: PyTorch's torch.nn.functional.normalize.

    >>> import chainrule.nn.functional as F
    >>> F.normalize([[3.0, 4.0], [0.0, 0.0]], dim=1).numpy().round(4)
    array([[0.6, 0.8],
           [0. , 0. ]], dtype=float32)
    """
    x, smallest = one(input), check_number("normalize: eps", eps)
    return div(x, clip(norm(x, p, dim, keepdims=True), smallest))

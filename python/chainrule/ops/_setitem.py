"""`x[index] = value`: a tensor with other elements at an index."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._tensor import Tensor
from .._util.mode import grad_mode
from ._getitem import getitem
from ._index import overlaid
from ._shape import broadcast_to, reshape

__all__ = ["with_items"]


def with_items(x: Tensor, index: Any, value: Any) -> Tensor:
    """x with `value`, which broadcasts, at every index that `x[index]` takes; the last of repeated indices counts."""
    places = getitem(Tensor._wrap(np.arange(x.size).reshape(x.shape)), index)
    found = grad_mode.executor.operand(x, value)
    new = found if isinstance(found, Tensor) else Tensor._wrap(np.asarray(found))
    while new.ndim > places.ndim and new.shape[0] == 1:
        new = reshape(new, new.shape[1:])
    if new.ndim > places.ndim or any(
        n not in (1, m) for n, m in zip(reversed(new.shape), reversed(places.shape), strict=False)
    ):
        raise ValueError(f"x[index] = value: expected a value that broadcasts to {places.shape}, got shape {new.shape}")
    rows = (reshape(t, (1, -1)) for t in (x, places, broadcast_to(new, places.shape)))
    return reshape(overlaid(*rows), x.shape)

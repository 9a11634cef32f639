"""Layers that change the shape only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import ops
from .._tensor import Tensor
from .._util.exports import own_names
from ._module import Module


class Flatten(Module):
    """Join all axes but the first: (n, a, b, ...) becomes (n, a*b*...).

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.Flatten()(cr.tensor(np.zeros((2, 3, 4), np.float32))).shape
    (2, 12)
    """

    def forward(self, x: Tensor) -> Tensor:
        columns = 1
        for size in x.shape[1:]:
            columns *= size
        return ops.reshape(x, (len(x), columns))


if not TYPE_CHECKING:
    __all__ = own_names(globals())

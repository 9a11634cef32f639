"""Layers that change the shape only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import ops
from .._ir.shapes import product
from .._tensor import Tensor
from .._util.checks import check_integer
from .._util.exports import own_names
from ._module import Module


class Flatten(Module):
    """Join axes: by default all but the first, (n, a, b, ...) becomes (n, a*b*...).

    Arguments: `start_dim` and `end_dim`, the first and the last of the axes; negative ones count from the end.
    Errors: in a call, ValueError for axes that do not exist or are not in order.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.Flatten()(cr.tensor(np.zeros((2, 3, 4), np.float32))).shape
    (2, 12)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = check_integer("Flatten: start_dim", start_dim)
        self.end_dim = check_integer("Flatten: end_dim", end_dim)

    def forward(self, x: Tensor) -> Tensor:
        return ops.flatten(x, self.start_dim, self.end_dim)

    def config(self) -> dict[str, Any]:
        dims = {"start_dim": self.start_dim, "end_dim": self.end_dim}
        return {} if dims == {"start_dim": 1, "end_dim": -1} else dims  # as in files of earlier versions


class Unflatten(Module):
    """Divide an axis into several, (n, a*b) becomes (n, a, b).

    Arguments: `dim`, the axis, negative from the end; `unflattened_size`, the lengths, one of which may be -1.
    Errors: in a call, ValueError for an axis that does not exist, and lengths whose product is another.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.Unflatten(1, (3, 4))(np.zeros((2, 12), np.float32)).shape
    (2, 3, 4)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        self.dim = check_integer("Unflatten: dim", dim)
        sizes = tuple(check_integer("Unflatten: unflattened_size", n, -1) for n in unflattened_size)
        if not sizes or sizes.count(-1) > 1:
            raise ValueError(f"Unflatten: unflattened_size must be lengths, one of them -1 at most, got {sizes}")
        self.unflattened_size = sizes

    def forward(self, x: Tensor) -> Tensor:
        at, sizes = self.dim + x.ndim if self.dim < 0 else self.dim, list(self.unflattened_size)
        if not 0 <= at < x.ndim:
            raise ValueError(f"Unflatten: there is no axis {self.dim} in shape {x.shape}")
        length, known = x.shape[at], product([n for n in sizes if n >= 0])
        if -1 in sizes and known and length % known == 0:
            sizes[sizes.index(-1)] = length // known
        if -1 in sizes or product(sizes) != length:
            raise ValueError(
                f"Unflatten: axis {self.dim} of shape {x.shape} is not divided into {self.unflattened_size}"
            )
        return ops.reshape(x, (*x.shape[:at], *sizes, *x.shape[at + 1 :]))

    def config(self) -> dict[str, Any]:
        return {"dim": self.dim, "unflattened_size": self.unflattened_size}


if not TYPE_CHECKING:
    __all__ = own_names(globals())

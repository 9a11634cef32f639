"""Dropout as a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._tensor import Tensor
from .._util.checks import check_number
from .._util.exports import own_names
from ..ops._dropout import dropout
from ..random import Generator
from ._module import Module


class Dropout(Module):
    """Random zeros in training, y = x * mask (see `cr.dropout`); in evaluation mode y = x.

    Arguments: `p`, the probability of a zero, from 0 to 1; `generator`, to draw from (default: the one that
    `cr.manual_seed` seeds). A model file saves p; the generator's seed and stream are saved by `cr.save_checkpoint(...,
    generator=generator)`.
    Errors: ValueError for p out of range.

    >>> import chainrule as cr
    >>> layer = cr.nn.Dropout(0.5, generator=cr.random.Generator(seed=7))
    >>> layer(cr.tensor([1.0, 2.0, 3.0, 4.0])).numpy()
    array([2., 4., 0., 0.], dtype=float32)
    >>> layer.eval()(cr.tensor([1.0, 2.0])).numpy()
    array([1., 2.], dtype=float32)
    """

    def __init__(self, p: float = 0.5, generator: Generator | None = None) -> None:
        self.p = check_number("Dropout: p", p, maximum=1)
        self.generator = generator

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"p": self.p}

    def forward(self, x: Tensor) -> Tensor:
        """Compute y from x."""
        return dropout(x, self.p, self.training, self.generator)


if not TYPE_CHECKING:
    __all__ = own_names(globals())

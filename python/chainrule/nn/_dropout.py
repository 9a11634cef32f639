"""Dropout as a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._tensor import Tensor
from .._util.checks import check_number
from .._util.dtypes import Array
from .._util.exports import own_names
from ..ops._dropout import dropout, dropout_by
from ..random import Generator
from ._module import Module


class _Rates:
    """The rates that a schedule sets, p and 1 / (1 - p), in an array that compiled programs read at every run."""

    def __init__(self) -> None:
        self.cells = np.array([0.0, 1.0])


class Dropout(Module):
    """Random zeros in training, y = x * mask (see `cr.dropout`); in evaluation mode y = x.

    Arguments: `p`, the probability of a zero, from 0 to 1; `generator`, to draw from (default: the one that
    `cr.manual_seed` seeds). A model file saves p; the generator's seed and stream are saved by `cr.save_checkpoint(...,
    generator=generator)`.
    `p` can be set, and changed before every step by a `cr.optim.StepSchedule` of the layer or of a model.
    Errors: ValueError for p out of range.

    >>> import chainrule as cr
    >>> layer = cr.nn.Dropout(0.5, generator=cr.random.Generator(seed=7))
    >>> layer(cr.tensor([1.0, 2.0, 3.0, 4.0])).numpy()
    array([2., 4., 0., 0.], dtype=float32)
    >>> layer.eval()(cr.tensor([1.0, 2.0])).numpy()
    array([1., 2.], dtype=float32)
    """

    def __init__(self, p: float = 0.5, generator: Generator | None = None) -> None:
        self.p = p
        self.generator = generator

    @property
    def p(self) -> float:
        """The probability of a zero; that of a schedule is this one times a factor. Setting it ends the schedule's."""
        return self._p

    @p.setter
    def p(self, value: float) -> None:
        self._p = check_number("Dropout: p", value, maximum=1)
        self._rates: _Rates | None = None

    def _rate_cells(self) -> Array:
        """The rates of a schedule, which apply from now on."""
        if self._rates is None:
            self._rates = _Rates()
        return self._rates.cells

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"p": self.p}

    def forward(self, x: Tensor) -> Tensor:
        """Compute y from x."""
        if self._rates is not None and self.training:
            return dropout_by(x, self._rates.cells, self.generator)
        return dropout(x, self.p, self.training, self.generator)


if not TYPE_CHECKING:
    __all__ = own_names(globals())

"""Dropout as a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._tensor import Tensor
from .._util.checks import check_number
from .._util.dtypes import Array
from .._util.exports import own_names
from ..ops._dropout import alpha_dropout, dropout, dropout_by, dropout_channels
from ..random import Generator
from ._module import Module


class _Rates:
    """The rates that a schedule sets, p and 1 / (1 - p), in an array that compiled programs read at every run."""

    def __init__(self) -> None:
        self.cells = np.array([0.0, 1.0])


def _checked(name: str, generator: Any) -> Generator | None:
    """TypeError for PyTorch's second argument, `inplace`."""
    if isinstance(generator, bool):
        raise TypeError(f"{name}: the second argument is a generator, got {generator}; write inplace={generator}")
    checked: Generator | None = generator
    return checked


class Dropout(Module):
    """Random zeros in training, y = x * mask (see `cr.dropout`); in evaluation mode y = x.

    Arguments: `p`, the probability of a zero, from 0 to 1; `generator`, to draw from (default: the one that
    `cr.manual_seed` seeds); `inplace`, as in PyTorch, without effect here: x always keeps its values. A model file
    saves p; the generator's seed and stream are saved by `cr.save_checkpoint(..., generator=generator)`.
    `p` can be set, and changed before every step by a `cr.optim.StepSchedule` of the layer or of a model.
    Errors: ValueError for p out of range.

    >>> import chainrule as cr
    >>> layer = cr.nn.Dropout(0.5, generator=cr.random.Generator(seed=7))
    >>> layer(cr.tensor([1.0, 2.0, 3.0, 4.0])).numpy()
    array([2., 4., 0., 0.], dtype=float32)
    >>> layer.eval()(cr.tensor([1.0, 2.0])).numpy()
    array([1., 2.], dtype=float32)
    """

    def __init__(self, p: float = 0.5, generator: Generator | None = None, inplace: bool = False) -> None:
        self.p = p
        self.generator, self.inplace = _checked("Dropout", generator), bool(inplace)

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


class _Masked(Module):
    """Arguments of the layers that draw by their own rule."""

    def __init__(self, p: float = 0.5, generator: Generator | None = None, inplace: bool = False) -> None:
        name = type(self).__name__
        self.p = check_number(f"{name}: p", p, maximum=1)
        self.generator, self.inplace = _checked(name, generator), bool(inplace)

    def config(self) -> dict[str, Any]:
        return {"p": self.p}


class Dropout2d(_Masked):
    """Dropout of whole channels of images in training, `cr.nn.functional.dropout2d`; in evaluation mode y = x.

    Arguments: as `cr.nn.Dropout`. Input: x of shape (n, channels, h, w) or (n, channels, l). Output: the same shape.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.Dropout2d(0.5, generator=cr.random.Generator(seed=7))
    >>> layer(np.ones((1, 4, 1, 1), np.float32)).numpy().reshape(-1)
    array([2., 2., 0., 0.], dtype=float32)
    """

    def forward(self, x: Tensor) -> Tensor:
        return dropout_channels("dropout2d", x, self.p, self.training, self.generator)


class Dropout1d(_Masked):
    """Dropout of whole channels of signals in training, `cr.nn.functional.dropout1d`; in evaluation mode y = x.

    Arguments: as `cr.nn.Dropout`. Input: x of shape (n, channels, l) or (channels, l). Output: the same shape.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.Dropout1d(0.5, generator=cr.random.Generator(seed=7))
    >>> layer(np.ones((1, 4, 1), np.float32)).numpy().reshape(-1)
    array([2., 2., 0., 0.], dtype=float32)
    """

    def forward(self, x: Tensor) -> Tensor:
        return dropout_channels("dropout1d", x, self.p, self.training, self.generator)


class AlphaDropout(_Masked):
    """Dropout that keeps mean and variance of what selu gives, `cr.nn.functional.alpha_dropout`.

    Arguments: as `cr.nn.Dropout`. In evaluation mode y = x.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.AlphaDropout(0.5, generator=cr.random.Generator(seed=7))
    >>> layer.eval()(np.ones((1, 4), np.float32)).numpy()
    array([[1., 1., 1., 1.]], dtype=float32)
    """

    def forward(self, x: Tensor) -> Tensor:
        return alpha_dropout(x, self.p, self.training, self.generator)


if not TYPE_CHECKING:
    __all__ = own_names(globals())

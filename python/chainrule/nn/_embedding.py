"""Embedding: a learned vector for each category."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from .._util.arrays import as_ndarray
from .._util.checks import check_integer, check_size
from .._util.dtypes import FLOATS, INT64
from .._util.exports import own_names
from .._util.mode import grad_mode
from ..ops._op import apply
from ..random import Generator
from ._init import draw_normal
from ._module import Module, Parameter, Stored


class Embedding(Module):
    """A learned vector for each category, y = weight[x].

    `weight` has shape (num_embeddings, embedding_dim) and is drawn from N(0, 1), the row `padding_idx` is 0. The
    gradient of a row is the sum over the rows of x that name it, in their order; the row `padding_idx` gets none.

    Arguments: `num_embeddings`, `embedding_dim`, at least 1; `padding_idx`, the category of missing values, or None
    (negative: from the end); `dtype`, float32 or float64; `generator`, a `cr.random.Generator` (default: the one that
    `cr.manual_seed` seeds).
    Input: x, integers from 0 to num_embeddings - 1 of any shape, or floats without fractions, the form in which
    `cr.fit` and `predict` pass inputs. Output: shape (*x.shape, embedding_dim).
    Errors: ValueError for sizes below 1 or a padding_idx out of range; TypeError for another dtype; in a call,
    IndexError naming the position of a category out of range, ValueError for one with a fraction or NaN.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.Embedding(5, 3, generator=cr.random.Generator(seed=1))
    >>> layer(np.array([[0, 4], [2, 2]])).shape
    (2, 2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        dtype: npt.DTypeLike = np.float32,
        generator: Generator | None = None,
    ) -> None:
        self.num_embeddings = check_size("Embedding: num_embeddings", num_embeddings)
        self.embedding_dim = check_size("Embedding: embedding_dim", embedding_dim)
        kind = np.dtype(dtype)
        if kind not in FLOATS:
            raise TypeError(f"Embedding: dtype must be float32 or float64, got {kind}")
        self.padding_idx = None if padding_idx is None else check_integer("Embedding: padding_idx", padding_idx)
        if self.padding_idx is not None:
            if not -self.num_embeddings <= self.padding_idx < self.num_embeddings:
                raise ValueError(
                    f"Embedding: padding_idx must be below {self.num_embeddings} in size, got {padding_idx}"
                )
            self.padding_idx %= self.num_embeddings
        shape = (self.num_embeddings, self.embedding_dim)
        weight = np.array(draw_normal(shape, kind, generator))
        if self.padding_idx is not None:
            weight[self.padding_idx] = 0
        self.weight = Parameter(weight)

    def forward(self, x: Any) -> Tensor:
        x = _categories(x)
        rows = ops.take(self.weight, x)
        if self.padding_idx is None:
            return rows
        padded = (np.arange(self.num_embeddings) == self.padding_idx).astype(self.weight.dtype)
        at = ops.greater(ops.take(padded.reshape(-1, 1), x), 0)
        return ops.where(at, ops.take(self.weight.detach(), x), rows)

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> Embedding:
        stored("weight", (config.get("num_embeddings"), config.get("embedding_dim")))
        return cls(**{**config, "generator": Generator(0)})

    def config(self) -> dict[str, Any]:
        return {
            "num_embeddings": self.num_embeddings,
            "embedding_dim": self.embedding_dim,
            "padding_idx": self.padding_idx,
            "dtype": str(self.weight.dtype),
        }


def _categories(x: Any) -> Any:
    """Integers unchanged, floats as integers, checked when they are known."""
    if not isinstance(x, Tensor):
        x = Tensor(as_ndarray(x, "Embedding: x"))
    if x.dtype not in FLOATS:
        return x
    values, shape = ops.astype(x.detach(), np.float64), x.shape
    index = apply(ops.OPS["astype"], (values,), (INT64.char,))

    def fraction(at: int, _: Any) -> Exception:
        position = tuple(int(i) for i in np.unravel_index(at, shape))
        return ValueError(f"Embedding: x at position {position} is not a whole number")

    grad_mode.executor.check_false(ops.not_equal(values, ops.astype(index, np.float64)), fraction)
    return index


if not TYPE_CHECKING:
    __all__ = own_names(globals())

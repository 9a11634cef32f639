"""Embedding: a learned vector for each category; bags of them; parameters that are updated by rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._ir.shapes import product
from .._tensor import Tensor
from .._util.checks import check_number, check_size
from .._util.exports import own_names
from ..ops._embedding import categories, embedding, embedding_bag, norm_order, padding_row, row_scales
from ..random import Generator
from ._init import draw_normal, float_dtype
from ._module import Module, Parameter, Stored


class RowParameter(Parameter):
    """A parameter that optimizers update row by row: a row whose gradient is 0 keeps its values and states.

    With SGD without momentum and weight decay, and with Adagrad without weight decay, this is what they do anyway. With
    momentum, Adam, AdamW and others the averages of such a row do not decay, its weights do not move on and do not
    shrink: the meaning of PyTorch's `SparseAdam`. The count of steps goes on for all rows. Where the gradient is a sum
    of rows by index, as that of an embedding, a compiled step costs what these rows cost, not what the table costs.

    Arguments: `data`, numbers of at least one axis, copied; float32 or float64.

    >>> import chainrule as cr
    >>> weight = cr.nn.RowParameter([[1.0], [2.0]])
    >>> optimizer = cr.optim.SGD([weight], lr=0.5, weight_decay=0.5)
    >>> cr.sum(weight[0]).backward()
    >>> optimizer.step()
    >>> weight.tolist()
    [[0.25], [2.0]]
    """

    __slots__ = ()

    @property
    def _row_size(self) -> int:  # type: ignore[override]
        return product(self.shape[1:])


class _Table(Module):
    """The weight of both layers, and its arguments."""

    def _initialize(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        scale_grad_by_freq: bool,
        sparse: bool,
        dtype: npt.DTypeLike | None,
        generator: Generator | None,
    ) -> None:
        name = type(self).__name__
        self.num_embeddings = check_size(f"{name}: num_embeddings", num_embeddings)
        self.embedding_dim = check_size(f"{name}: embedding_dim", embedding_dim)
        kind = float_dtype(name, dtype)
        self.padding_idx = padding_row(name, padding_idx, self.num_embeddings)
        self.max_norm = None if max_norm is None else check_number(f"{name}: max_norm", max_norm)
        self.norm_type = norm_order(name, norm_type)
        self.scale_grad_by_freq, self.sparse = bool(scale_grad_by_freq), bool(sparse)
        shape = (self.num_embeddings, self.embedding_dim)
        weight = np.array(draw_normal(shape, kind, generator))
        if self.padding_idx is not None:
            weight[self.padding_idx] = 0
        self.weight = RowParameter(weight) if self.sparse else Parameter(weight)

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> Module:
        stored("weight", (config.get("num_embeddings"), config.get("embedding_dim")))
        return cls(**{**config, "generator": Generator(0)})

    def config(self) -> dict[str, Any]:
        names = ("num_embeddings", "embedding_dim", "padding_idx", "max_norm", "scale_grad_by_freq", "sparse")
        order = "inf" if self.norm_type == np.inf else self.norm_type  # JSON has no infinity
        return {**{name: getattr(self, name) for name in names}, "norm_type": order, "dtype": str(self.weight.dtype)}

    @classmethod
    def from_pretrained(cls, embeddings: Any, freeze: bool = True, **options: Any) -> Any:
        """A layer with this table, (categories, size) and float; `freeze`: it is not trained; `options` of the class.

        >>> import chainrule as cr
        >>> cr.nn.Embedding.from_pretrained([[0.5, 1.0], [2.0, 4.0]])([1]).tolist()
        [[2.0, 4.0]]
        """
        table = Tensor(embeddings)
        if table.ndim != 2:
            raise ValueError(f"{cls.__name__}: embeddings must be (categories, size), got shape {table.shape}")
        made: Any = cls
        layer = made(*table.shape, dtype=table.dtype, generator=Generator(0), **options)
        weight: Parameter = layer.weight
        weight.requires_grad = False
        weight.copy_(table)
        weight.requires_grad = not freeze
        return layer


class Embedding(_Table):
    """A learned vector for each category, y = weight[x].

    `weight` has shape (num_embeddings, embedding_dim) and is drawn from N(0, 1), the row `padding_idx` is 0. The
    gradient of a row is the sum over the rows of x that name it, in their order; the row `padding_idx` gets none.

    Arguments: `num_embeddings`, `embedding_dim`, at least 1; `padding_idx`, the category of missing values, or None
    (negative: from the end); `max_norm`, rows that a call reads are scaled to it where their norm is larger, in
    training in place before they are read; `norm_type`, the p of that norm; `scale_grad_by_freq`, whether the gradient
    of a row is divided by the number of times that a call names it; `sparse`, whether the weight is a
    `cr.nn.RowParameter`, of which optimizers update only the rows that a batch names; `dtype`, float32 or float64;
    `generator`, a `cr.random.Generator` (default: the one that `cr.manual_seed` seeds).
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
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        dtype: npt.DTypeLike | None = None,
        generator: Generator | None = None,
    ) -> None:
        options = (padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
        self._initialize(num_embeddings, embedding_dim, *options, dtype, generator)

    def forward(self, x: Any) -> Tensor:
        index, by_frequency = categories("Embedding", x), self.scale_grad_by_freq
        if self.max_norm is None or self.training:
            return embedding(index, self.weight, self.padding_idx, self.max_norm, self.norm_type, by_frequency)
        rows = embedding(index, self.weight, self.padding_idx, scale_grad_by_freq=by_frequency)
        return ops.mul(rows, row_scales("Embedding", rows, self.max_norm, self.norm_type))


class EmbeddingBag(_Table):
    """Sums, means or maxima of learned vectors over bags of categories, `cr.nn.functional.embedding_bag`.

    Arguments: as `cr.nn.Embedding`; `mode`, "sum", "mean" or "max"; `include_last_offset`, whether the last offset is
    the end of the last bag. The category `padding_idx` takes no part. The order is PyTorch's.
    Input: x, categories (bags, size of a bag), or (n,) with `offsets` (bags,), the places at which bags begin;
    `per_sample_weights`, for sums: factors of the shape of x. Output: shape (bags, embedding_dim).
    Errors: as `cr.nn.Embedding`; ValueError for another mode; in a call, those of `cr.nn.functional.embedding_bag`.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.EmbeddingBag(5, 3, mode="sum", generator=cr.random.Generator(seed=1))
    >>> layer(np.array([[0, 4], [2, 2]])).shape
    (2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        dtype: npt.DTypeLike | None = None,
        generator: Generator | None = None,
    ) -> None:
        if mode not in ("sum", "mean", "max"):
            raise ValueError(f'EmbeddingBag: mode must be "sum", "mean" or "max", got {mode!r}')
        self.mode, self.include_last_offset = mode, bool(include_last_offset)
        options = (padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
        self._initialize(num_embeddings, embedding_dim, *options, dtype, generator)

    def forward(self, x: Any, offsets: Any = None, per_sample_weights: Any = None) -> Tensor:
        weight: Any = self.weight
        if self.max_norm is not None and not self.training:
            weight = ops.mul(weight, row_scales("EmbeddingBag", weight, self.max_norm, self.norm_type))
        return embedding_bag(
            categories("EmbeddingBag", x),
            weight,
            offsets,
            self.max_norm if self.training else None,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            per_sample_weights=per_sample_weights,
            include_last_offset=self.include_last_offset,
            padding_idx=self.padding_idx,
        )

    def config(self) -> dict[str, Any]:
        return {**super().config(), "mode": self.mode, "include_last_offset": self.include_last_offset}


if not TYPE_CHECKING:
    __all__ = own_names(globals())

"""Multi-head attention."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from .._util.checks import check_number, check_size
from .._util.dtypes import BOOL
from .._util.exports import own_names
from ..ops._attention import attention_weights, mask_of
from ..ops._dropout import dropout
from ..ops._matmul import _product
from ..ops._operands import as_tensor
from ..random import Generator
from ._init import check_init, draw_weight
from ._linear import Linear
from ._module import Module, Parameter, Stored


class MultiheadAttention(Module):
    """Attention in several heads, out_proj of `cr.scaled_dot_product_attention` of projected queries, keys and values.

    Parameters: `in_proj_weight` (embed_dim, 3 * embed_dim), the weights of queries, keys and values side by side, or
    where kdim or vdim differ, `q_proj_weight` (embed_dim, embed_dim), `k_proj_weight` (kdim, embed_dim), and
    `v_proj_weight` (vdim, embed_dim), as `Linear` draws them with "glorot"; `in_proj_bias` (3 * embed_dim,), 0;
    `out_proj`, a `Linear`.

    Arguments: `embed_dim`, a multiple of `num_heads`; `dropout`, the probability with which a weight becomes 0 in
    training; `bias`; `kdim` and `vdim`, the features of keys and values (default embed_dim); `batch_first`, whether
    inputs and outputs are (rows, steps, features) in place of (steps, rows, features); `dtype`; `generator`.
    Input: query, key, value, (steps, rows, features) or (steps, features); `key_padding_mask` (rows, keys), of bools,
    True for keys that are left out, or floats, which are added to the scores; `attn_mask` (queries, keys) or (rows *
    heads, queries, keys) likewise (True leaves out: the opposite of `cr.scaled_dot_product_attention`);
    `need_weights`, whether to return the weights (without it self-attention is faster), their mean over the heads with
    `average_attn_weights`; `is_causal`, whether query i looks at keys 0 to i only. A query that may look at no key
    gets 0 from every head.
    Output: (result, weights or None), the result like the query, the weights (rows, queries, keys), or (rows, heads,
    queries, keys). Errors: ValueError for sizes and shapes; TypeError for dtypes.
    Source: Vaswani et al., Attention is all you need, NeurIPS 2017.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.MultiheadAttention(4, 2, batch_first=True, generator=cr.random.Generator(seed=1))
    >>> x = np.ones((2, 3, 4), np.float32)
    >>> result, weights = layer(x, x, x)
    >>> result.shape, weights.shape
    ((2, 3, 4), (2, 3, 3))
    """

    _transposed_in_pytorch = True

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        dtype: npt.DTypeLike | None = None,
        generator: Generator | None = None,
    ) -> None:
        name = "MultiheadAttention"
        self.embed_dim = check_size(f"{name}: embed_dim", embed_dim)
        self.num_heads = check_size(f"{name}: num_heads", num_heads)
        if self.embed_dim % self.num_heads:
            raise ValueError(f"{name}: embed_dim {embed_dim} must be a multiple of num_heads {num_heads}")
        self.kdim = self.embed_dim if kdim is None else check_size(f"{name}: kdim", kdim)
        self.vdim = self.embed_dim if vdim is None else check_size(f"{name}: vdim", vdim)
        self.dropout, self.batch_first = check_number(f"{name}: dropout", dropout, maximum=1), bool(batch_first)
        kind, e = check_init(name, "glorot", dtype), self.embed_dim
        for attribute, shape in self._weights(e, self.kdim, self.vdim).items():
            setattr(self, attribute, Parameter(draw_weight(shape, shape[0], shape[1], "glorot", kind, generator)))
        self.in_proj_bias = Parameter(np.zeros(3 * e, kind)) if bias else None
        self.out_proj = Linear(e, e, bias, kind, generator=generator)

    @staticmethod
    def _weights(e: Any, kdim: Any, vdim: Any) -> dict[str, tuple[Any, ...]]:
        if kdim == vdim == e:
            return {"in_proj_weight": (e, 3 * e)}
        return {"q_proj_weight": (e, e), "k_proj_weight": (kdim, e), "v_proj_weight": (vdim, e)}

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> Any:
        """Return (result, weights), or (result, None) without `need_weights`."""
        itself = query is key and key is value
        q, k, v = self._inputs(query, key, value)
        mask = self._mask(key_padding_mask, attn_mask, is_causal, (q.shape[0], q.shape[1], k.shape[1]), q.dtype)
        p = self.dropout if self.training else 0.0
        weights = None
        if itself and not need_weights and hasattr(self, "in_proj_weight"):
            rows = ops.self_attention(
                ops.linear(q, self.in_proj_weight, self.in_proj_bias), self.num_heads, mask, dropout_p=p
            )
        else:
            heads = [self._projected(t, i) for i, t in enumerate((q, k, v))]
            weights = dropout(attention_weights("MultiheadAttention", heads[0], heads[1], mask), p)
            rows = ops.reshape(ops.transpose(_product(weights, heads[2], False, False), (0, 2, 1, 3)), q.shape)
        result = self.out_proj(rows)
        if query_is_alone := np.ndim(query) == 2:
            result = result[0]
        elif not self.batch_first:
            result = ops.transpose(result, (1, 0, 2))
        if weights is None or not need_weights:
            return result, None
        weights = ops.mean(weights, 1) if average_attn_weights else weights
        return result, weights[0] if query_is_alone else weights

    def _inputs(self, query: Any, key: Any, value: Any) -> list[Tensor]:
        """The inputs as (rows, steps, features)."""
        found: list[Tensor] = []
        dtype = self.out_proj.weight.dtype
        for name, x, features in (
            ("query", query, self.embed_dim),
            ("key", key, self.kdim),
            ("value", value, self.vdim),
        ):
            t = x if isinstance(x, Tensor) else as_tensor(np.asarray(x, dtype))
            if t.ndim not in (2, 3) or t.shape[-1] != features:
                raise ValueError(
                    f"MultiheadAttention: {name} must be (steps, rows, {features}), rows first with batch_first, or "
                    f"(steps, {features}), got {t.shape}"
                )
            if found and t.ndim != found[0].ndim:
                raise ValueError(f"MultiheadAttention: {name} must have as many axes as query, got {t.shape}")
            found.append(t)
        if found[0].ndim == 2:
            found = [ops.expand_dims(t, 0) for t in found]
        elif not self.batch_first:
            found = [ops.transpose(t, (1, 0, 2)) for t in found]
        q, k, v = found
        if k.shape[:2] != v.shape[:2] or q.shape[0] != k.shape[0]:
            raise ValueError(
                f"MultiheadAttention: query, key and value must have as many rows, key and value as many steps, got "
                f"{np.shape(query)}, {np.shape(key)} and {np.shape(value)}"
            )
        return found

    def _projected(self, x: Tensor, part: int) -> Tensor:
        """The heads (rows, heads, steps, depth) of query, key or value: part 0, 1, 2."""
        e = self.embed_dim
        columns = slice(part * e, (part + 1) * e)
        if hasattr(self, "in_proj_weight"):
            weight = self.in_proj_weight[:, columns]
        else:
            weight = getattr(self, f"{'qkv'[part]}_proj_weight")
        y = ops.linear(x, weight, None if self.in_proj_bias is None else self.in_proj_bias[columns])
        apart = ops.reshape(y, (*y.shape[:2], self.num_heads, e // self.num_heads))
        return ops.transpose(apart, (0, 2, 1, 3))

    def _mask(
        self, padding: Any, mask: Any, is_causal: bool, sizes: tuple[int, int, int], dtype: np.dtype[Any]
    ) -> Tensor | None:
        """What is added to the scores (rows, heads, queries, keys); None for nothing."""
        rows, queries, keys = sizes
        parts = []
        if is_causal:
            seen = np.tril(np.ones((queries, keys), dtype=bool))
            parts.append(Tensor._wrap(np.where(seen, dtype.type(0), dtype.type(-np.inf))))
        for name, given, shapes in (
            ("attn_mask", mask, ((queries, keys), (rows * self.num_heads, queries, keys))),
            ("key_padding_mask", padding, ((rows, keys), (keys,)) if rows == 1 else ((rows, keys),)),
        ):
            if given is None:
                continue
            m = mask_of("MultiheadAttention", given, False, np.shape(given), dtype)
            assert m is not None
            if m.shape not in shapes:
                raise ValueError(f"MultiheadAttention: {name} must be {shapes[0]} here, got {m.shape}")
            if name == "key_padding_mask":
                m = ops.reshape(m, (rows, 1, 1, keys))
            elif m.ndim == 3:
                m = ops.reshape(m, (rows, self.num_heads, queries, keys))
            parts.append(ops.where(m, np.full((), -np.inf, dtype), np.zeros((), dtype)) if m.dtype == BOOL else m)
        return reduce(ops.add, parts) if parts else None

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> MultiheadAttention:
        e = config.get("embed_dim")
        for name, shape in cls._weights(e, config.get("kdim", e), config.get("vdim", e)).items():
            stored(name, shape)
        return cls(**{**config, "generator": Generator(0)})

    def config(self) -> dict[str, Any]:
        return {
            "embed_dim": self.embed_dim,
            "num_heads": self.num_heads,
            "dropout": self.dropout,
            "bias": self.in_proj_bias is not None,
            "kdim": self.kdim,
            "vdim": self.vdim,
            "batch_first": self.batch_first,
            "dtype": str(self.out_proj.weight.dtype),
        }


if not TYPE_CHECKING:
    __all__ = own_names(globals())

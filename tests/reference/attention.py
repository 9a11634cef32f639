"""Scaled dot product attention, and the gradient of self-attention: docs/arithmetic.md."""

import math

import numpy as np

from .bits import Array
from .matmul import matmul
from .softmax_losses import softmax, softmax_grad


def _swapped(x: Array) -> Array:
    return np.ascontiguousarray(np.swapaxes(x, -1, -2))


@np.errstate(all="ignore")
def weights(
    q: Array, k: Array, mask: Array | None = None, is_causal: bool = False, scale: float | None = None
) -> Array:
    """The weights; 0 where nothing may be looked at."""
    scores = matmul(q * factor(q, scale), _swapped(k))
    allowed = np.tril(np.ones(scores.shape[-2:], bool)) if is_causal else np.ones((), bool)
    if mask is not None:
        allowed = mask if mask.dtype == bool else mask > -np.inf
        scores = scores if mask.dtype == bool else scores + mask
    allowed = np.broadcast_to(allowed, scores.shape)
    return np.where(allowed, softmax(np.where(allowed, scores, q.dtype.type(-np.inf))), q.dtype.type(0))


def factor(q: Array, scale: float | None) -> Array:
    """The factor of the queries, rounded once."""
    return np.asarray(q.dtype.type(1 / math.sqrt(q.shape[-1]) if scale is None else scale))


def attention(
    q: Array, k: Array, v: Array, mask: Array | None = None, is_causal: bool = False, scale: float | None = None
) -> Array:
    """``softmax((q * scale) k^T + mask) v``."""
    return matmul(weights(q, k, mask, is_causal, scale), v)


def heads_of(x: Array, heads: int, parts: int) -> Array:
    """(parts, batch, heads, steps, depth) of (batch, steps, parts * heads * depth)."""
    batch, steps, wide = x.shape
    return np.ascontiguousarray(x.reshape(batch, steps, parts, heads, wide // parts // heads).transpose(2, 0, 3, 1, 4))


def rows_of(x: Array) -> Array:
    """Back."""
    parts, batch, heads, steps, depth = x.shape
    return np.ascontiguousarray(x.transpose(1, 3, 0, 2, 4)).reshape(batch, steps, parts * heads * depth)


def self_attention(x: Array, mask: Array | None = None, heads: int = 1, is_causal: bool = False) -> Array:
    """Attention of packed projections, head by head."""
    q, k, v = heads_of(x, heads, 3)
    return rows_of(attention(q, k, v, mask, is_causal)[None])


@np.errstate(all="ignore")
def self_attention_grad(x: Array, mask: Array | None, g: Array, heads: int = 1, is_causal: bool = False) -> Array:
    """The gradient by the projections; those of keys and values are chains over the queries."""
    (q, k, v), (g,) = heads_of(x, heads, 3), heads_of(g, heads, 1)
    p, s = weights(q, k, mask, is_causal), factor(q, None)
    by_scores = softmax_grad(p, matmul(g, _swapped(v)))
    return rows_of(np.stack([matmul(by_scores, k) * s, matmul(_swapped(by_scores), q * s), matmul(_swapped(p), g)]))

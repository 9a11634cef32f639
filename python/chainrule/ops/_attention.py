"""Scaled dot product attention, and self-attention of packed projections as one instruction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._ir.instruction import Instr
from .._ir.records import Attention
from .._ir.table import Entry, add_instruction
from .._tensor import Tensor
from .._util.checks import check_number, check_size
from .._util.dtypes import BOOL
from .._util.exports import own_names
from .._util.mode import grad_mode
from ..random import Generator
from ._arithmetic import _float_dtype, add, greater, mul, where
from ._dropout import dropout
from ._matmul import _product
from ._op import OPS, Attrs, Gradients, Op, Plan, Spec, Tangents, apply, register
from ._operands import as_tensor, one, pair
from ._shape import broadcast_to, reshape, stack, transpose
from ._softmax import softmax
from ._strides import broadcast_shapes, broadcast_strides, copy_code

_LONGEST = 4096  # steps: beyond, a row of scores and its gradient need not fit the scratch memory of the instruction


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Means of the values, weighted by how well their keys match each query: softmax(scale * q @ k^T) @ v.

    Arguments: `query` (..., n, d), `key` (..., m, d), `value` (..., m, e), of one float dtype, leading axes broadcast;
    `attn_mask`, broadcast to (..., n, m): bools, True where a query may look at a key, or floats, which are added to
    the scores; `dropout_p`, the probability with which a weight becomes 0 (the others are divided by 1 - p), also in
    evaluation: pass 0 there; `is_causal`, whether query i looks at keys 0 to i only; `scale`, default 1 / sqrt(d);
    `generator` for the dropout.
    Returns: a tensor (..., n, e); a query that may look at no key gets 0.
    Errors: ValueError for shapes, for a mask together with `is_causal`, and for dropout_p out of range; TypeError for
    dtypes.
    Source: Vaswani et al., Attention is all you need, NeurIPS 2017.

    >>> import chainrule as cr
    >>> q, k, v = [[0.0, 0.0]], [[1.0, 2.0], [3.0, 4.0]], [[1.0], [3.0]]
    >>> cr.scaled_dot_product_attention(q, k, v).numpy()
    array([[2.]], dtype=float32)
    """
    name = "scaled_dot_product_attention"
    p = check_number(f"{name}: dropout_p", dropout_p, maximum=1)
    query, key = pair(query, key)
    v = pair(query, value)[1]
    _float_dtype(name, (query, key, v))
    weights = attention_weights(name, query, key, attn_mask, is_causal, scale)
    if v.ndim < 2 or v.shape[-2] != weights.shape[-1]:
        n = weights.shape[-1]
        raise ValueError(f"{name}: value must be (..., {n}, e) for {n} keys, got {v.shape}")
    return _product(dropout(weights, p, generator=generator), v, False, False)


def attention_weights(
    name: str, query: Any, key: Any, mask: Any = None, is_causal: bool = False, scale: float | None = None
) -> Tensor:
    """The weights (..., n, m) of attention; those of a query that may look at no key are 0."""
    q, k = pair(query, key)
    if q.ndim < 2 or k.ndim < 2 or q.shape[-1] != k.shape[-1]:
        raise ValueError(f"{name}: query must be (..., n, d) and key (..., m, d), got {q.shape} and {k.shape}")
    scores = _product(mul(q, _scale(scale, q.shape[-1])), k, False, True)
    m = mask_of(name, mask, is_causal, scores.shape, scores.dtype)
    if m is None:
        return softmax(scores, -1)
    allowed = m if m.dtype == BOOL else greater(m, -np.inf)
    scores = where(allowed, scores if m is allowed else add(scores, m), -np.inf)
    # Softmax of equal scores is uniform, also of -inf: where nothing may be looked at it is 0 here.
    return where(allowed, softmax(scores, -1), 0.0)


def mask_of(name: str, mask: Any, is_causal: bool, shape: Sequence[int], dtype: np.dtype[Any]) -> Tensor | None:
    """The mask of scores of this shape, of bools or of floats of this dtype; None for none."""
    if is_causal and mask is not None:
        raise ValueError(f"{name}: expected attn_mask or is_causal, not both; combine them into one mask")
    if is_causal:
        return Tensor._wrap(np.tril(np.ones(tuple(shape[-2:]), dtype=bool)))
    if mask is None:
        return None
    if isinstance(mask, Tensor):
        m = mask
    else:
        array = np.asarray(mask)
        m = as_tensor(array.astype(dtype) if array.dtype.kind == "f" else array)
    if m.dtype != dtype and m.dtype.kind == "f":
        raise TypeError(f"{name}: expected one dtype, got {dtype} and {m.dtype} (attn_mask)")
    if m.dtype not in (BOOL, dtype):
        raise TypeError(f"{name}: attn_mask must be bools or {dtype}, got {m.dtype}")
    if broadcast_shapes(name, [m.shape, tuple(shape)]) != tuple(shape):
        raise ValueError(f"{name}: attn_mask {m.shape} does not broadcast to the scores {tuple(shape)}")
    return m


def _scale(scale: float | None, depth: int) -> float:
    if scale is None:
        return 1 / math.sqrt(depth) if depth else 1.0
    return float(scale)


# Self-attention of projections x (batch, steps, 3 * heads * depth). Inputs: x, a mask that is added to the scores
# (or none), factors of the weights (or none), then the planes that a run leaves, the result and the weights.


class _Heads(NamedTuple):
    """The attributes."""

    heads: int
    scale: float
    has_bias: bool
    has_drop: bool

    def record(self, specs: Sequence[Spec]) -> Attention:
        batch, steps, wide = specs[0].shape
        strides: tuple[int, ...] = (0, 0, 0, 0)
        if self.has_bias:
            strides = broadcast_strides(specs[1].shape, (batch, self.heads, steps, steps))
        depth = wide // 3 // self.heads
        b, h, row = strides[:3]
        return Attention(batch, steps, self.heads, depth, self.has_bias, b, h, row, self.has_drop)


def _run_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    how, k = _Heads(*attrs), len(specs)
    batch, steps, wide = specs[0].shape
    size = batch * steps * wide // 3 + batch * how.heads * steps * steps
    code = Instr("attention", specs[0].code, [k], list(range(k)), how.record(specs), [how.scale])
    return Plan(Spec((size,), _float_dtype("self_attention", specs)), [code])


def _result_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    batch, steps, wide = specs[0].shape
    out, k = Spec((batch, steps, wide // 3), specs[0].dtype), len(specs)
    n = batch * steps * wide // 3
    return Plan(out, [copy_code(out.code, k, k - 1, (n,), (1,), (1,))])


def _grad_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    """Inputs: planes, the gradient of the result, projections, masks."""
    how, k = _Heads(*attrs), len(specs)
    code = Instr(name, specs[0].code, [k], list(range(k)), how.record(specs[2:]), [how.scale])
    return Plan(Spec(specs[2].shape, specs[2].dtype), [code])


def _split(x: Tensor, heads: int, parts: int) -> list[Tensor]:
    """The parts of rows (batch, steps, parts * heads * depth), each as (batch, heads, steps, depth)."""
    batch, steps, wide = x.shape
    apart = reshape(x, (batch, steps, parts, heads, wide // parts // heads))
    together = transpose(apart, (2, 0, 3, 1, 4))
    return [together[i] for i in range(parts)]


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """Back from heads to rows."""
    batch, heads, steps, depth = parts[0].shape
    return reshape(transpose(stack(parts), (1, 3, 0, 2, 4)), (batch, steps, len(parts) * heads * depth))


class _InOps:
    """The same in ops, rounding for rounding, which can be differentiated again."""

    def __init__(self, x: tuple[Tensor, ...], attrs: Attrs) -> None:
        self.how = how = _Heads(*attrs)
        self.q, self.k, self.v = _split(x[0], how.heads, 3)
        self.drop = x[1 + how.has_bias] if how.has_drop else None
        bias = x[1] if how.has_bias else None
        self.weights = attention_weights("self_attention", self.q, self.k, bias, scale=how.scale)
        self.used = self._dropped(self.weights)

    def _dropped(self, t: Tensor) -> Tensor:
        return t if self.drop is None else mul(t, self.drop)

    def result(self) -> Tensor:
        return _joined([_product(self.used, self.v, False, False)])

    def gradient(self, upstream: Tensor) -> Tensor:
        (g,) = _split(upstream, self.how.heads, 1)
        by_weights = self._dropped(_product(g, self.v, False, True))
        by_scores = apply(OPS["softmax_grad"], (self.weights, by_weights))
        by_q = mul(_product(by_scores, self.k, False, False), self.how.scale)
        by_k = _product(by_scores, mul(self.q, self.how.scale), True, False)
        return _joined([by_q, by_k, _product(self.used, g, True, False)])

    def tangent(self, t: Tensor) -> Tensor:
        by_q, by_k, by_v = _split(t, self.how.heads, 3)
        scores = add(
            _product(mul(by_q, self.how.scale), self.k, False, True),
            _product(mul(self.q, self.how.scale), by_k, False, True),
        )
        weights = self._dropped(apply(OPS["softmax_grad"], (self.weights, scores)))
        return _joined([add(_product(weights, self.v, False, False), _product(self.used, by_v, False, False))])


def _gradients(wanted: Sequence[bool], g: Tensor, y: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Gradients:
    if grad_mode.enabled and (x[0]._requires_grad or g._requires_grad):
        found = _InOps(x, attrs).gradient(g)
    else:
        found = apply(_GRAD, (x[-1], g, *x[:-1]), attrs)
    return [found, *[None] * (len(x) - 1)]


def _tangent(tangents: Tangents, y: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor | None:
    return None if tangents[0] is None else _InOps(x, attrs).tangent(tangents[0])


for _name in ("attention", "attention_grad"):
    add_instruction(_name, Entry(Attention, 4 if _name == "attention" else 10))
_RUN = register(Op("attention_run", _run_plan))
_GRAD = register(Op("attention_grad", _grad_plan))
_ATTENTION = register(Op("attention", _result_plan, joint_vjp=_gradients, variadic_jvp=_tangent))


def self_attention(
    projections: Any,
    num_heads: int,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Attention of a sequence to itself in several heads, from queries, keys and values side by side.

    Head h is `cr.scaled_dot_product_attention` of columns h * d to (h + 1) * d of each third, with the same bits.

    Arguments: `projections` (batch, steps, 3 * num_heads * d): all queries, all keys, all values; `num_heads`;
    `attn_mask`, broadcast to (batch, num_heads, steps, steps); the others as of `cr.scaled_dot_product_attention`.
    Returns: a tensor (batch, steps, num_heads * d). Errors: ValueError for shapes, TypeError for dtypes.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.self_attention(np.ones((1, 2, 6), np.float32), 2).numpy().tolist()
    [[[1.0, 1.0], [1.0, 1.0]]]
    """
    name, x, heads = "self_attention", one(projections), check_size("self_attention: num_heads", num_heads)
    p = check_number(f"{name}: dropout_p", dropout_p, maximum=1)
    if x.ndim != 3 or x.shape[2] % (3 * heads) or not x.shape[2]:
        raise ValueError(f"{name}: projections must be (batch, steps, 3 * {heads} * d), got {x.shape}")
    batch, steps, wide = x.shape
    scores = (batch, heads, steps, steps)
    mask = mask_of(name, attn_mask, is_causal, scores, x.dtype)
    drop = None if p == 0 else dropout(broadcast_to(np.ones((), x.dtype), scores), p, generator=generator)
    number = _scale(scale, wide // 3 // heads)
    if mask is not None and mask.dtype == BOOL and steps <= _LONGEST:
        mask = where(mask, np.zeros((), x.dtype), np.full((), -np.inf, x.dtype))
    if mask is not None and mask.shape[-1:] != (steps,):
        mask = broadcast_to(mask, (*mask.shape[:-1], steps))
    inputs = tuple(t for t in (x, mask, drop) if t is not None)
    attrs = (heads, number, mask is not None, drop is not None)
    if steps > _LONGEST or (mask is not None and mask._requires_grad):
        return _InOps(inputs, attrs).result()
    return apply(_ATTENTION, (*inputs, apply(_RUN, inputs, attrs)), attrs)


if not TYPE_CHECKING:
    __all__ = [name for name in own_names(globals()) if name not in ("attention_weights", "mask_of")]

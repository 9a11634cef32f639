"""Matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._ir.instruction import Instr
from .._ir.products import Matmul
from .._ir.shapes import product
from .._tensor import Tensor
from .._util.dtypes import CODES, FLOATS
from ._arithmetic import _float_dtype, add
from ._dtypes import common_dtype, converted
from ._op import LINEAR, Attrs, Op, Plan, Spec, apply, register
from ._operands import pair
from ._shape import reshape
from ._strides import broadcast_shapes, broadcast_strides


def _matmul_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    """attrs: whether the last two axes of a and of b are transposed (by strides, without a copy)."""
    a, b = specs
    dtype = product_dtype(name, specs)
    (m, k), (k_b, n) = (s.shape[-2:][::-1] if swap else s.shape[-2:] for s, swap in zip(specs, attrs, strict=True))
    if k != k_b:
        raise ValueError(f"{name}: a has {k} columns, b has {k_b} rows (a: {a.shape}, b: {b.shape})")
    batch = broadcast_shapes(name, [a.shape[:-2], b.shape[:-2]])
    (rs_a, cs_a), (rs_b, cs_b) = (
        (1, spec.shape[-1]) if swap else (spec.shape[-1], 1) for spec, swap in zip(specs, attrs, strict=True)
    )
    record = Matmul(
        batch=batch,
        m=m,
        n=n,
        k=k,
        rs_a=rs_a,
        cs_a=cs_a,
        rs_b=rs_b,
        cs_b=cs_b,
        rs_c=n,
        batch_a=_batch_strides(a, batch),
        batch_b=_batch_strides(b, batch),
    )
    slots, code, temporaries = converted(specs, [dtype, dtype])
    code.append(Instr("matmul" if dtype in FLOATS else "matmul_integers", CODES[dtype], [2], slots, record))
    return Plan(Spec((*batch, m, n), dtype), code, temporaries)


def product_dtype(name: str, specs: Sequence[Spec | Tensor]) -> np.dtype[Any]:
    """The dtype of products of these operands: one float dtype, or of integers and bools the wider one."""
    dtypes = [spec.dtype for spec in specs]
    return _float_dtype(name, specs) if any(t in FLOATS for t in dtypes) else common_dtype(name, dtypes)


def _batch_strides(spec: Spec, batch: tuple[int, ...]) -> tuple[int, ...]:
    """The distance between consecutive matrices along each batch axis, in elements."""
    if not batch:
        return ()
    matrix = spec.shape[-2] * spec.shape[-1]
    return tuple([stride * matrix for stride in broadcast_strides(spec.shape[:-2], batch)])


def _product(a: Tensor, b: Tensor, swap_a: bool, swap_b: bool) -> Tensor:
    return apply(_MATMUL, (a, b), (swap_a, swap_b))


def _by_a(g: Tensor, out: Tensor, x: tuple[Tensor, ...], swap: Attrs) -> Tensor:
    b = x[1]
    return _product(b, g, swap[1], True) if swap[0] else _product(g, b, False, not swap[1])


def _by_b(g: Tensor, out: Tensor, x: tuple[Tensor, ...], swap: Attrs) -> Tensor:
    a = x[0]
    return _product(g, a, True, swap[0]) if swap[1] else _product(a, g, not swap[0], False)


_MATMUL = register(Op("matmul", _matmul_plan, (_by_a, _by_b), (LINEAR, LINEAR)))


def matmul(a: Any, b: Any) -> Tensor:
    """Matrix product, out[..., i, j] = sum over k of a[..., i, k] * b[..., k, j], each one fma chain over k.

    Arguments: `a` (..., m, k), `b` (..., k, n), of one float dtype, or of integers, which wrap around, and bools, as
    NumPy's: two bools give whether any pair is True; leading axes broadcast; a 1-d argument is treated as a row or
    column whose axis is removed from the result, as in NumPy.
    Returns: a tensor (..., m, n).
    Errors: ValueError for mismatched lengths or 0-d arguments, TypeError for dtypes.

    >>> import chainrule as cr
    >>> cr.matmul([[1.0, 2.0]], [[3.0], [4.0]]).numpy()
    array([[11.]], dtype=float32)
    """
    first, second = pair(a, b)
    if first.ndim == 0 or second.ndim == 0:
        raise ValueError(f"matmul: expected at least one axis, got {first.shape} and {second.shape}; use * for scalars")
    left = reshape(first, (1, first.shape[0])) if first.ndim == 1 else first
    right = reshape(second, (second.shape[0], 1)) if second.ndim == 1 else second
    if left.shape[-1] != right.shape[-2]:
        raise ValueError(
            f"matmul: a has {left.shape[-1]} columns, b has {right.shape[-2]} rows "
            f"(a: {first.shape}, b: {second.shape})"
        )
    if right.ndim == 2 and left.ndim > 2:
        # Join the rows of all batches into one matrix, so that the gradient of b is one chain over all rows.
        flat = reshape(left, (product(left.shape[:-1]), left.shape[-1]))
        out = reshape(_product(flat, right, False, False), (*left.shape[:-1], right.shape[-1]))
    else:
        out = _product(left, right, False, False)
    if first.ndim == 1 and second.ndim == 1:
        return reshape(out, ())
    if first.ndim == 1:
        return reshape(out, (*out.shape[:-2], out.shape[-1]))
    if second.ndim == 1:
        return reshape(out, out.shape[:-1])
    return out


def linear(x: Any, weight: Any, bias: Any = None) -> Tensor:
    """Affine map of rows, y = x @ weight + bias.

    Arguments: `x` (..., in_features), `weight` (in_features, out_features), `bias` (out_features,) or None, of one
    float dtype.
    Returns: a tensor (..., out_features).
    Errors: ValueError showing the shapes, TypeError for dtypes.

    >>> import chainrule as cr
    >>> cr.linear([[1.0, 2.0]], [[3.0], [4.0]], [0.5]).numpy()
    array([[11.5]], dtype=float32)
    """
    rows, w = pair(x, weight)
    if w.ndim != 2:
        raise ValueError(f"linear: weight must be (in_features, out_features), got shape {w.shape}")
    if rows.ndim == 0 or rows.shape[-1] != w.shape[0]:
        features = rows.shape[-1] if rows.ndim else "no"
        raise ValueError(
            f"linear: x has {features} features, weight expects {w.shape[0]} (x: {rows.shape}, weight: {w.shape})"
        )
    _float_dtype("linear", [rows, w])
    y = matmul(rows, w)
    if bias is None:
        return y
    _, b = pair(y, bias)
    _float_dtype("linear", [w, b])
    if b.shape != (w.shape[1],):
        raise ValueError(f"linear: bias must have shape ({w.shape[1]},), got {b.shape} (weight: {w.shape})")
    return add(y, b)


__all__ = ["linear", "matmul"]

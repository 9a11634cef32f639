"""Normalisation: what batch, layer, group, instance and RMS norm are made of (docs/arithmetic.md, Normalisation).

Ops on *channels*, whose derivatives consist of the same ops, sums and elementwise ops:

    moments(x)             mean and variance of each channel
    centred_sums(x, m, g)  sum of g, and sum of g * (x - m), of each channel
    normalize(x, m, k, b)  (x - m) * k + b
    row_norm_forward(x, m, k)  (x - m) * k of rows, m and k being those of x

x is (R, D), each row a channel (`by_rows`), or (N, C) or (N, C, L) with C channels. The numbers of the channels have
the shape in which they broadcast over x, (R, 1), (C,) or (C, 1); two of them for each channel are (R, 2) or (2, C).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._ir.instruction import Instr
from .._ir.records import Channels
from .._ir.table import Entry, add_instruction
from .._tensor import Tensor
from ._arithmetic import _float_dtype, add, div, mul, neg, sub
from ._math import sqrt
from ._op import LINEAR, SYMMETRIC, Attrs, Op, Plan, Spec, apply, register
from ._reduce import sum
from ._shape import concatenate, reshape, slice_of, stack
from ._strides import broadcast_shapes, map_code

__all__ = ["centred_sums", "inverse_root", "moments", "normalize", "normalized_rows", "sum_of_squares"]

_FIRST, _SECOND, _ALL = slice(0, 1), slice(1, 2), slice(None)


def _channels(shape: Sequence[int], by_rows: bool) -> Channels:
    if by_rows:
        return Channels(outer=1, channels=shape[0], inner=shape[1], by_rows=1)
    return Channels(outer=shape[0], channels=shape[1], inner=shape[2] if len(shape) > 2 else 1, by_rows=0)


def _sums_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    (by_rows,) = attrs
    x = specs[0]
    record = _channels(x.shape, by_rows)
    shape = (record.channels, 2) if by_rows else (2, record.channels)
    out = Spec(shape, _float_dtype(name, specs))
    return Plan(out, [Instr(name, x.code, [len(specs)], list(range(len(specs))), record)])


def _normalize_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    dtype = _float_dtype(name, specs)
    x, n = specs[0], len(specs)
    out = Spec(broadcast_shapes(name, [spec.shape for spec in specs]), dtype)
    between = [n + 1 + i for i in range(n - 2)]  # temporaries
    code = [
        map_code(step, x.code, out.shape, target, [source, i], [out.shape, specs[i].shape], [])
        for i, (step, source, target) in enumerate(
            zip(("sub", "mul", "add"), (0, *between), (*between, n), strict=False), start=1
        )
    ]
    return Plan(out, code, [out] * len(between))


def _shape_of_numbers(x: Tensor, by_rows: bool) -> tuple[int, ...]:
    """The shape of one number for each channel."""
    return (x.shape[0], 1) if by_rows else (x.shape[1], *[1] * (x.ndim - 2))


def _parts(pairs: Tensor, x: Tensor, by_rows: bool) -> tuple[Tensor, Tensor]:
    """The first and the second numbers of the channels of x."""
    found = [slice_of(pairs, (_ALL, part) if by_rows else (part,)) for part in (_FIRST, _SECOND)]
    first, second = (reshape(part, _shape_of_numbers(x, by_rows)) for part in found)
    return first, second


def _joined(first: Tensor, second: Tensor, by_rows: bool) -> Tensor:
    """The inverse of `_parts`."""
    if by_rows:
        return concatenate([first, second], 1)
    return stack([reshape(part, (part.size,)) for part in (first, second)])


def _elements(x: Tensor, by_rows: bool) -> int:
    """The elements of a channel."""
    return x.shape[1] if by_rows else x.shape[0] * (x.shape[2] if x.ndim > 2 else 1)


# moments.


def _moments_reverse(g: Tensor, out: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    (x,), (by_rows,) = inputs, attrs
    of_mean, of_variance = _parts(div(g, _elements(x, by_rows)), x, by_rows)
    return normalize(x, _parts(out, x, by_rows)[0], mul(2.0, of_variance), of_mean, by_rows=by_rows)


def _moments_forward(t: Tensor, out: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    (x,), (by_rows,) = inputs, attrs
    mean = _parts(out, x, by_rows)[0]
    sums, products = _parts(centred_sums(x, mean, t, by_rows=by_rows), x, by_rows)
    return div(_joined(sums, mul(2.0, products), by_rows), _elements(x, by_rows))


# centred_sums.


def _sums_by_x(g: Tensor, out: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    return mul(_parts(g, inputs[0], attrs[0])[1], inputs[2])


def _sums_by_mean(g: Tensor, out: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    x, (by_rows,) = inputs[0], attrs
    return neg(mul(_parts(g, x, by_rows)[1], _parts(out, x, by_rows)[0]))


def _sums_by_g(g: Tensor, out: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    x, mean, (by_rows,) = inputs[0], inputs[1], attrs
    of_sum, of_product = _parts(g, x, by_rows)
    return normalize(x, mean, of_product, of_sum, by_rows=by_rows)


def _second_alone(part: Tensor, by_rows: bool) -> Tensor:
    """Numbers as the second of two, the first being 0."""
    return _joined(mul(0.0, part), part, by_rows)


def _sums_forward_x(t: Tensor, out: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    x, mean, g, (by_rows,) = *inputs, attrs
    return _second_alone(_parts(centred_sums(t, mul(0.0, mean), g, by_rows=by_rows), x, by_rows)[1], by_rows)


def _sums_forward_mean(t: Tensor, out: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    x, (by_rows,) = inputs[0], attrs
    return _second_alone(neg(mul(t, _parts(out, x, by_rows)[0])), by_rows)


# normalize.


def _sums_of(g: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> tuple[Tensor, Tensor]:
    """The sums of g and of g * (x - m)."""
    x, mean, (by_rows,) = inputs[0], inputs[1], attrs
    return _parts(centred_sums(x, mean, g, by_rows=by_rows), x, by_rows)


# row_norm: x's rules are the whole derivative, also through m = mean(x) and k = 1 / sqrt(variance(x) + eps), which have
# none of their own. Its Jacobian, and that of its gradient with respect to x, are symmetric.


def _row_norm_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    return _normalize_plan(name, specs, (True,))


def _row_norm_backward_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    x = specs[0]
    code = Instr(name, x.code, [len(specs)], list(range(len(specs))), _channels(x.shape, True))
    return Plan(Spec(x.shape, _float_dtype(name, specs)), [code])


def _row_norm_second(gg: Tensor, d: Tensor, inputs: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    """The derivative of the sum of gg * row_norm_backward(x, m, k, g) with respect to x."""
    x, m, k, g = inputs
    n, y = x.shape[1], apply(_ROW_NORM, (x, m, k))
    along_g, along_gg = (sum(mul(y, part), 1, True) for part in (g, gg))
    product = sub(sum(mul(g, sub(gg, div(sum(gg, 1, True), n))), 1, True), div(mul(along_g, along_gg), n))
    other = apply(_ROW_NORM_BACKWARD, (x, m, k, gg))
    total = add(mul(mul(k, y), product), add(mul(along_gg, d), mul(along_g, other)))
    return mul(neg(div(k, n)), total)


for _name in ("moments", "centred_sums", "row_norm_backward"):
    add_instruction(_name, Entry(Channels, 4))
_MOMENTS = register(Op("moments", _sums_plan, (_moments_reverse,), (_moments_forward,)))
_CENTRED_SUMS = register(
    Op(
        "centred_sums",
        _sums_plan,
        (_sums_by_x, _sums_by_mean, _sums_by_g),
        (_sums_forward_x, _sums_forward_mean, LINEAR),
    )
)
_NORMALIZE = register(
    Op(
        "normalize",
        _normalize_plan,
        (
            lambda g, y, x, a: mul(g, x[2]),
            lambda g, y, x, a: neg(mul(x[2], _sums_of(g, x, a)[0])),
            lambda g, y, x, a: _sums_of(g, x, a)[1],
            lambda g, y, x, a: _sums_of(g, x, a)[0],
        ),
        (
            lambda t, y, x, a: mul(t, x[2]),
            lambda t, y, x, a: neg(mul(t, x[2])),
            lambda t, y, x, a: mul(t, sub(x[0], x[1])),
            lambda t, y, x, a: t,
        ),
    )
)
_ROW_NORM_BACKWARD: Op = register(
    Op(
        "row_norm_backward",
        _row_norm_backward_plan,
        (_row_norm_second, None, None, lambda gg, d, x, a: apply(_ROW_NORM_BACKWARD, (*x[:3], gg))),
        (SYMMETRIC, None, None, LINEAR),
    )
)
_ROW_NORM: Op = register(
    Op(
        "row_norm_forward",
        _row_norm_plan,
        (lambda g, y, x, a: apply(_ROW_NORM_BACKWARD, (*x, g)), None, None),
        (SYMMETRIC, None, None),
    )
)


def moments(x: Tensor, by_rows: bool) -> tuple[Tensor, Tensor]:
    """Mean, and variance (the mean of (x - mean)**2), of each channel."""
    return _parts(apply(_MOMENTS, (x,), (by_rows,)), x, by_rows)


def centred_sums(x: Tensor, mean: Tensor, g: Tensor, by_rows: bool) -> Tensor:
    """The sums of g and of g * (x - mean) of each channel, joined."""
    return apply(_CENTRED_SUMS, (x, mean, g), (by_rows,))


def sum_of_squares(x: Tensor) -> Tensor:
    """Of each row."""
    zeros = Tensor._wrap(np.zeros((x.shape[0], 1), x.dtype))
    return _parts(centred_sums(x, zeros, x, by_rows=True), x, True)[1]


def normalize(x: Tensor, mean: Tensor, scale: Tensor, shift: Tensor | None, by_rows: bool) -> Tensor:
    """(x - mean) * scale + shift, each rounded."""
    return apply(_NORMALIZE, (x, mean, scale) if shift is None else (x, mean, scale, shift), (by_rows,))


def normalized_rows(x: Tensor, eps: float) -> Tensor:
    """(x - mean) / sqrt(variance + eps) of each row."""
    mean, variance = moments(x, by_rows=True)
    return apply(_ROW_NORM, (x, mean, inverse_root(variance, eps)))


def inverse_root(x: Tensor, eps: float) -> Tensor:
    """1 / sqrt(x + eps)."""
    return div(1.0, sqrt(add(x, eps)))

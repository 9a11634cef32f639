"""Batch, layer, group, instance and RMS norm, made of the ops of `_normalize.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._ir.shapes import product
from .._tensor import Tensor
from .._util.checks import check_number, check_size, is_integer
from .._util.exports import own_names
from ._arithmetic import _float_dtype, add, div, mul
from ._normalize import inverse_root, moments, normalize, normalized_rows, sum_of_squares
from ._operands import one, pair
from ._shape import reshape

Operand = Any  # a tensor, an array or None


def _operands(name: str, x: Any, **others: Operand) -> tuple[Tensor, list[Tensor | None]]:
    """x and the others as tensors of one dtype: plain arrays take that of the tensors."""
    like = next((other for other in (x, *others.values()) if isinstance(other, Tensor)), None)
    if like is None:
        like = one(x)
    found = [None if other is None else pair(other, like)[0] for other in (x, *others.values())]
    assert found[0] is not None
    _float_dtype(name, [part for part in found if part is not None])
    return found[0], found[1:]


def _check_numbers(name: str, x: Tensor, length: int, **numbers: Tensor | None) -> None:
    """ValueError unless each of these has one number for each channel."""
    for key, part in numbers.items():
        if part is not None and part.shape != (length,):
            raise ValueError(f"{name}: {key} has shape {part.shape}, expected ({length},) for x {x.shape}")


def _trailing(name: str, x: Tensor, normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    """The lengths of the last axes that are normalised over."""
    given = (normalized_shape,) if is_integer(normalized_shape) else tuple(normalized_shape)  # type: ignore[arg-type]
    shape = tuple(check_size(f"{name}: normalized_shape", n) for n in given)
    if not shape or x.shape[-len(shape) :] != shape:
        raise ValueError(f"{name}: x has shape {x.shape}, whose last axes are not normalized_shape {shape}")
    return shape


def _affine(y: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    y = y if weight is None else mul(y, weight)
    return y if bias is None else add(y, bias)


def layer_norm(
    x: Any, normalized_shape: int | Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    """Normalise over the last axes, y = (x - mean) / sqrt(variance + eps) * weight + bias.

    Mean and variance (the mean of (x - mean)**2) are those of the elements of the last axes, for each index of the axes
    before them: no row depends on another one.

    Arguments: `x`, float32 or float64; `normalized_shape`, the lengths of its last axes; `weight`, `bias`, tensors of
    this shape or None; `eps`, a number of at least 0.
    Returns: a tensor of x's shape.
    Errors: ValueError for shapes or eps; TypeError for other or mixed dtypes.
    Source: Ba, Kiros and Hinton, Layer normalization, 2016.

    >>> import chainrule as cr
    >>> cr.layer_norm([[1.0, 3.0], [10.0, 30.0]], 2, eps=0.0).numpy()
    array([[-1.,  1.],
           [-1.,  1.]], dtype=float32)
    """
    eps = check_number("layer_norm: eps", eps)
    x, (w, b) = _operands("layer_norm", x, weight=weight, bias=bias)
    shape = _trailing("layer_norm", x, normalized_shape)
    for key, part in (("weight", w), ("bias", b)):
        if part is not None and part.shape != shape:
            raise ValueError(f"layer_norm: {key} has shape {part.shape}, expected normalized_shape {shape}")
    size = product(shape)
    rows = reshape(x, (x.size // size, size))
    y = normalized_rows(rows, eps)
    w, b = (None if part is None else reshape(part, (size,)) for part in (w, b))
    return reshape(_affine(y, w, b), x.shape)


def rms_norm(x: Any, normalized_shape: int | Sequence[int], weight: Any = None, eps: float | None = None) -> Tensor:
    """Divide by the root of the mean square over the last axes, y = x / sqrt(mean(x**2) + eps) * weight.

    Arguments: `x`, float32 or float64; `normalized_shape`, the lengths of its last axes; `weight`, a tensor of this
    shape or None; `eps`, a number of at least 0, None for the spacing of numbers at 1 in x's dtype.
    Returns: a tensor of x's shape.
    Errors: ValueError for shapes or eps; TypeError for other or mixed dtypes.
    Source: Zhang and Sennrich, Root mean square layer normalization, NeurIPS 2019.

    >>> import chainrule as cr
    >>> cr.rms_norm([[3.0, -3.0, 3.0, 3.0]], 4).numpy()
    array([[ 1., -1.,  1.,  1.]], dtype=float32)
    """
    x, (w,) = _operands("rms_norm", x, weight=weight)
    eps = float(np.finfo(x.dtype).eps) if eps is None else check_number("rms_norm: eps", eps)
    shape = _trailing("rms_norm", x, normalized_shape)
    if w is not None and w.shape != shape:
        raise ValueError(f"rms_norm: weight has shape {w.shape}, expected normalized_shape {shape}")
    size = product(shape)
    rows = reshape(x, (x.size // size, size))
    scale = inverse_root(div(sum_of_squares(rows), size), eps)
    y = mul(rows, scale)
    return reshape(_affine(y, None if w is None else reshape(w, (size,)), None), x.shape)


def group_norm(x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """Normalise groups of channels of each row, y = (x - mean) / sqrt(variance + eps) * weight + bias.

    Axis 1 has C channels; each group is C / num_groups of them in order, with all their elements. `weight` and `bias`
    have a number for each channel.

    Arguments: `x`, float32 or float64 of shape (n, C, ...); `num_groups`, a divisor of C; `weight`, `bias`, tensors of
    shape (C,) or None; `eps`, a number of at least 0.
    Returns: a tensor of x's shape.
    Errors: ValueError for shapes, num_groups or eps; TypeError for other or mixed dtypes.
    Source: Wu and He, Group normalization, ECCV 2018.

    >>> import chainrule as cr
    >>> cr.group_norm([[1.0, 3.0, 10.0, 30.0]], 2, eps=0.0).numpy()
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """
    return _by_groups("group_norm", x, check_size("group_norm: num_groups", num_groups), weight, bias, eps)


def _by_groups(name: str, x: Any, groups: int | None, weight: Any, bias: Any, eps: float) -> Tensor:
    """group_norm; without a number of groups each channel is one."""
    eps = check_number(f"{name}: eps", eps)
    x, (w, b) = _operands(name, x, weight=weight, bias=bias)
    if x.ndim < 2:
        raise ValueError(f"{name}: x has shape {x.shape}, expected (n, channels, ...)")
    n, channels = x.shape[:2]
    groups = channels if groups is None else groups
    if groups == 0 or channels % groups:
        raise ValueError(f"{name}: num_groups {groups} does not divide the {channels} channels of x {x.shape}")
    _check_numbers(name, x, channels, weight=w, bias=b)
    rows = reshape(x, (n * groups, channels // groups * product(x.shape[2:])))
    y = normalized_rows(rows, eps)
    if w is None and b is None:
        return reshape(y, x.shape)
    form = (channels, *[1] * (x.ndim - 2))
    w, b = (None if part is None else reshape(part, form) for part in (w, b))
    return _affine(reshape(y, x.shape), w, b)


def instance_norm(x: Any, *, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """Normalise each channel of each row, y = (x - mean) / sqrt(variance + eps) * weight + bias.

    Arguments: `x`, float32 or float64 of shape (n, C, d1, ...); the others as in `cr.group_norm`.
    Returns: a tensor of x's shape.
    Errors: ValueError for shapes or eps, and for channels of one element; TypeError for other or mixed dtypes.
    Source: Ulyanov, Vedaldi and Lempitsky, Instance normalization, 2016.

    >>> import chainrule as cr
    >>> cr.instance_norm([[[1.0, 3.0], [10.0, 30.0]]], eps=0.0).numpy()
    array([[[-1.,  1.],
            [-1.,  1.]]], dtype=float32)
    """
    x = one(x) if weight is None and bias is None else x
    shape = x.shape if isinstance(x, Tensor) else np.shape(x)
    if len(shape) < 3:
        raise ValueError(f"instance_norm: x has shape {shape}, expected (n, channels, d1, ...)")
    if product(shape[2:]) == 1:
        raise ValueError(f"instance_norm: expected more than one element for each channel, got x {shape}")
    return _by_groups("instance_norm", x, None, weight, bias, eps)


def batch_norm(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel over the batch, y = (x - mean) / sqrt(variance + eps) * weight + bias.

    In training, mean and variance (the mean of (x - mean)**2) are those of the channel's n elements in all rows, and
    the running ones, if they are given, are overwritten: running_mean = (1 - momentum) * running_mean + momentum *
    mean, and running_var likewise with variance * n / (n - 1). Otherwise mean and variance are the running ones, and
    no row depends on another one.

    Arguments: `x`, float32 or float64 of shape (n, C) or (n, C, ...); `running_mean`, `running_var`, tensors of shape
    (C,), or None in training; `weight`, `bias`, tensors of shape (C,) or None; `training`; `momentum`, from 0 to 1;
    `eps`, a number of at least 0.
    Returns: a tensor of x's shape.
    Errors: ValueError for shapes, momentum and eps, for one element for each channel in training, and for running
    statistics that are missing; TypeError for other or mixed dtypes.
    Source: Ioffe and Szegedy, Batch normalization, ICML 2015.

    >>> import chainrule as cr
    >>> x = cr.tensor([[1.0, 10.0], [3.0, 30.0]])
    >>> cr.batch_norm(x, training=True, eps=0.0).numpy()
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)
    >>> cr.batch_norm(x, cr.tensor([1.0, 10.0]), cr.tensor([4.0, 100.0]), eps=0.0).numpy()
    array([[0., 0.],
           [1., 2.]], dtype=float32)
    """
    eps = check_number("batch_norm: eps", eps)
    if not isinstance(momentum, Tensor):
        momentum = check_number("batch_norm: momentum", momentum, maximum=1)
    running = {"running_mean": running_mean, "running_var": running_var}
    source, (mean, variance, w, b) = _operands("batch_norm", x, **running, weight=weight, bias=bias)
    if source.ndim < 2:
        raise ValueError(f"batch_norm: x has shape {source.shape}, expected (n, channels, ...)")
    channels = source.shape[1]
    _check_numbers("batch_norm", source, channels, running_mean=mean, running_var=variance, weight=w, bias=b)
    if (mean is None) != (variance is None) or (mean is None and not training):
        raise ValueError("batch_norm: running_mean and running_var are both needed" + " or none" * training)
    n = source.shape[0] * product(source.shape[2:])
    values = source if source.ndim == 2 else reshape(source, (source.shape[0], channels, product(source.shape[2:])))
    form = (channels, *[1] * (values.ndim - 2))
    if training:
        if n < 2:
            raise ValueError(
                f"batch_norm: expected more than one element for each channel in training, got x {source.shape}"
            )
        now = moments(values, by_rows=False)
        for key, old, new, factor in (
            ("running_mean", running_mean, now[0], None),
            ("running_var", running_var, now[1], n / (n - 1)),
        ):
            if old is not None:
                _average(key, old, reshape(new.detach(), (channels,)), factor, momentum)
        mean, variance = now
    assert mean is not None
    assert variance is not None
    scale = inverse_root(reshape(variance, form), eps)
    scale = scale if w is None else mul(reshape(w, form), scale)
    shift = None if b is None else reshape(b, form)
    return reshape(normalize(values, reshape(mean, form), scale, shift, by_rows=False), source.shape)


def _average(name: str, running: Any, new: Tensor, factor: float | None, momentum: float | Tensor) -> None:
    """Overwrite a running average."""
    if not isinstance(running, Tensor):
        raise TypeError(
            f"batch_norm: {name} is overwritten in training, expected a tensor, got {type(running).__name__}"
        )
    new = new if factor is None else mul(new, factor)
    keep = 1.0 - momentum if not isinstance(momentum, Tensor) else add(1.0, mul(momentum, -1.0))
    running.copy_(add(mul(running.detach(), keep), mul(new, momentum)))


if not TYPE_CHECKING:
    __all__ = own_names(globals())

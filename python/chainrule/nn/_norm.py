"""Layers that normalise: over the batch, over features, over groups of channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from .._util.checks import check_number, check_size, is_integer
from .._util.dtypes import INT64
from .._util.exports import own_names
from ..ops._op import OPS, apply
from ._init import float_dtype
from ._module import Buffer, Module, Parameter, Stored


class _Norm(Module):
    """`weight` and `bias` of one shape, or None."""

    weight: Parameter | None
    bias: Parameter | None

    def _make_affine(self, shape: tuple[int, ...], weight: bool, bias: bool, dtype: npt.DTypeLike | None) -> None:
        self.dtype = float_dtype(type(self).__name__, dtype)
        self.weight = Parameter(np.ones(shape, self.dtype)) if weight else None
        self.bias = Parameter(np.zeros(shape, self.dtype)) if bias else None


class _BatchNorm(_Norm):
    """Batch norm of inputs with some numbers of axes."""

    _ndims: tuple[int, ...] = ()
    _shapes = ""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        name = type(self).__name__
        self.num_features = check_size(f"{name}: num_features", num_features)
        self.eps = check_number(f"{name}: eps", eps)
        self.momentum = None if momentum is None else check_number(f"{name}: momentum", momentum, maximum=1)
        self.affine, self.track_running_stats = bool(affine), bool(track_running_stats)
        shape = (self.num_features,)
        self._make_affine(shape, self.affine, self.affine, dtype)
        tracked = self.track_running_stats
        self.running_mean = Buffer(np.zeros(shape, self.dtype)) if tracked else None
        self.running_var = Buffer(np.ones(shape, self.dtype)) if tracked else None
        self.num_batches_tracked = Buffer(np.zeros((), np.int64)) if tracked else None

    def forward(self, x: Any) -> Tensor:
        shape = x.shape if isinstance(x, Tensor) else np.shape(x)
        if len(shape) not in self._ndims or shape[1] != self.num_features:
            raise ValueError(
                f"{type(self).__name__}: x has shape {shape}, expected {self._shapes.format(C=self.num_features)}"
            )
        training, momentum = self.training, self.momentum
        factor: float | Tensor = 0.0 if momentum is None else momentum
        mean, variance = self.running_mean, self.running_var
        if training and self.num_batches_tracked is not None:
            number = ops.add(ops.astype(self.num_batches_tracked, np.float64), 1.0)
            self.num_batches_tracked.copy_(apply(OPS["astype"], (number,), (INT64.char,)))
            if momentum is None:  # the mean of all batches
                factor = ops.astype(ops.div(1.0, number), self.dtype)
        return ops.batch_norm(x, mean, variance, self.weight, self.bias, training or mean is None, factor, self.eps)

    def reset_running_stats(self) -> None:
        """Set the running mean to 0, the running variance to 1, the number of batches to 0."""
        for buffer, value in ((self.running_mean, 0), (self.running_var, 1), (self.num_batches_tracked, 0)):
            if buffer is not None:
                buffer.copy_(np.full(buffer.shape, value, buffer.dtype))

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> _BatchNorm:
        for key, made in (("weight", "affine"), ("running_mean", "track_running_stats")):
            if config.get(made):
                stored(key, (config.get("num_features"),))
        return cls(**config)

    def config(self) -> dict[str, Any]:
        return {
            "num_features": self.num_features,
            "eps": self.eps,
            "momentum": self.momentum,
            "affine": self.affine,
            "track_running_stats": self.track_running_stats,
            "dtype": str(self.dtype),
        }


class BatchNorm1d(_BatchNorm):
    """Normalise each feature over the batch, y = (x - mean) / sqrt(variance + eps) * weight + bias.

    In training mode, mean and variance (the mean of (x - mean)**2) are those of the batch, and the running ones follow:
    running_mean = (1 - momentum) * running_mean + momentum * mean, and running_var likewise with variance * n / (n - 1)
    for n elements. In evaluation mode they are the running ones, and no row depends on another one.

    `weight` begins at 1, `bias` at 0; the buffers `running_mean` at 0, `running_var` at 1, `num_batches_tracked` at 0.

    Arguments: `num_features`, the features or channels C, at least 1; `eps`, at least 0; `momentum`, from 0 to 1, None
    for the mean over all batches so far; `affine`, whether there are weight and bias; `track_running_stats`, whether
    there are running statistics, else those of the batch are used in evaluation mode, too; `dtype`, float32 or float64.
    Input: x of shape (n, C) or (n, C, length) in the layer's dtype. Output: the same shape.
    Errors: ValueError for sizes, eps or momentum out of range, for another shape, and in training mode for one element
    of each feature; TypeError for another dtype.
    Source: Ioffe and Szegedy, Batch normalization, ICML 2015.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.BatchNorm1d(2)
    >>> layer(np.array([[1.0, 10.0], [3.0, 30.0]], np.float32)).numpy().round(3)
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)
    >>> layer.running_mean.numpy().round(3)
    array([0.2, 2. ], dtype=float32)
    """

    _ndims, _shapes = (2, 3), "(n, {C}) or (n, {C}, length)"


class BatchNorm2d(_BatchNorm):
    """Normalise each channel of images over the batch and all places; otherwise as `BatchNorm1d`.

    Arguments: those of `BatchNorm1d`, for `num_features` channels.
    Input: x of shape (n, num_features, height, width) in the layer's dtype. Output: the same shape.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.BatchNorm2d(1)
    >>> layer(np.array([[[[1.0, 3.0]]]], np.float32)).numpy().round(3)
    array([[[[-1.,  1.]]]], dtype=float32)
    """

    _ndims, _shapes = (4,), "(n, {C}, height, width)"


def _shape_of(name: str, normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    given = [normalized_shape] if is_integer(normalized_shape) else list(normalized_shape)  # type: ignore[arg-type]
    if not given:
        raise ValueError(f"{name}: normalized_shape must have at least one length, got {normalized_shape!r}")
    return tuple(check_size(f"{name}: normalized_shape", n) for n in given)


class LayerNorm(_Norm):
    """Normalise each row over its last axes, y = (x - mean) / sqrt(variance + eps) * weight + bias.

    Mean and variance (the mean of (x - mean)**2) are those of the elements of the last axes; no row depends on another
    one. `weight` begins at 1, `bias` at 0; both have the shape `normalized_shape`.

    Arguments: `normalized_shape`, the lengths of the last axes of x, or one length; `eps`, at least 0;
    `elementwise_affine`, whether there is a weight; `bias`, whether there is a bias beside it; `dtype`, float32 or
    float64.
    Input: x of shape (..., *normalized_shape) in the layer's dtype. Output: the same shape.
    Errors: ValueError for sizes below 1, eps out of range or another shape; TypeError for another dtype.
    Source: Ba, Kiros and Hinton, Layer normalization, 2016.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.LayerNorm(3)(np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]], np.float32)).numpy().round(2)
    array([[-1.22,  0.  ,  1.22],
           [-1.22,  0.  ,  1.22]], dtype=float32)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        self.normalized_shape = _shape_of("LayerNorm", normalized_shape)
        self.eps = check_number("LayerNorm: eps", eps)
        self.elementwise_affine = bool(elementwise_affine)
        self._make_affine(self.normalized_shape, self.elementwise_affine, self.elementwise_affine and bias, dtype)

    def forward(self, x: Any) -> Tensor:
        return ops.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> LayerNorm:
        if config.get("elementwise_affine"):
            stored("weight", _shape_of("LayerNorm", config.get("normalized_shape", ())))
        return cls(**config)

    def config(self) -> dict[str, Any]:
        return {
            "normalized_shape": list(self.normalized_shape),
            "eps": self.eps,
            "elementwise_affine": self.elementwise_affine,
            "bias": self.bias is not None or not self.elementwise_affine,
            "dtype": str(self.dtype),
        }


class RMSNorm(_Norm):
    """Divide each row by its root mean square over the last axes, y = x / sqrt(mean(x**2) + eps) * weight.

    `weight` has the shape `normalized_shape` and begins at 1.

    Arguments: `normalized_shape`, the lengths of the last axes of x, or one length; `eps`, at least 0, None for the
    spacing of numbers at 1 in x's dtype; `elementwise_affine`, whether there is a weight; `dtype`, float32 or float64.
    Input: x of shape (..., *normalized_shape) in the layer's dtype. Output: the same shape.
    Errors: ValueError for sizes below 1, eps out of range or another shape; TypeError for another dtype.
    Source: Zhang and Sennrich, Root mean square layer normalization, NeurIPS 2019.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.RMSNorm(4)(np.array([[3.0, -3.0, 3.0, 3.0]], np.float32)).numpy()
    array([[ 1., -1.,  1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        self.normalized_shape = _shape_of("RMSNorm", normalized_shape)
        self.eps = None if eps is None else check_number("RMSNorm: eps", eps)
        self.elementwise_affine = bool(elementwise_affine)
        self._make_affine(self.normalized_shape, self.elementwise_affine, False, dtype)

    def forward(self, x: Any) -> Tensor:
        return ops.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> RMSNorm:
        if config.get("elementwise_affine"):
            stored("weight", _shape_of("RMSNorm", config.get("normalized_shape", ())))
        return cls(**config)

    def config(self) -> dict[str, Any]:
        return {
            "normalized_shape": list(self.normalized_shape),
            "eps": self.eps,
            "elementwise_affine": self.elementwise_affine,
            "dtype": str(self.dtype),
        }


class GroupNorm(_Norm):
    """Normalise groups of channels of each row, y = (x - mean) / sqrt(variance + eps) * weight + bias.

    Each of `num_groups` groups is num_channels / num_groups channels in order, with all their elements. `weight` and
    `bias` have a number for each channel and begin at 1 and 0.

    Arguments: `num_groups`, a divisor of `num_channels`; `eps`, at least 0; `affine`, whether there are weight and
    bias; `dtype`, float32 or float64.
    Input: x of shape (n, num_channels, ...) in the layer's dtype. Output: the same shape.
    Errors: ValueError for sizes, eps or another shape; TypeError for another dtype.
    Source: Wu and He, Group normalization, ECCV 2018.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.GroupNorm(2, 6)(np.array([[1.0, 2.0, 3.0, 10.0, 20.0, 30.0]], np.float32)).numpy().round(2)
    array([[-1.22,  0.  ,  1.22, -1.22,  0.  ,  1.22]], dtype=float32)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        self.num_groups = check_size("GroupNorm: num_groups", num_groups)
        self.num_channels = check_size("GroupNorm: num_channels", num_channels)
        if self.num_channels % self.num_groups:
            raise ValueError(f"GroupNorm: num_groups {num_groups} does not divide num_channels {num_channels}")
        self.eps, self.affine = check_number("GroupNorm: eps", eps), bool(affine)
        self._make_affine((self.num_channels,), self.affine, self.affine, dtype)

    def forward(self, x: Any) -> Tensor:
        shape = x.shape if isinstance(x, Tensor) else np.shape(x)
        if len(shape) < 2 or shape[1] != self.num_channels:
            raise ValueError(f"GroupNorm: x has shape {shape}, expected (n, {self.num_channels}, ...)")
        return ops.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> GroupNorm:
        if config.get("affine"):
            stored("weight", (config.get("num_channels"),))
        return cls(**config)

    def config(self) -> dict[str, Any]:
        return {
            "num_groups": self.num_groups,
            "num_channels": self.num_channels,
            "eps": self.eps,
            "affine": self.affine,
            "dtype": str(self.dtype),
        }


class _InstanceNorm(_Norm):
    """Instance norm of inputs with some number of axes."""

    _ndim, _shapes = 0, ""

    def __init__(
        self, num_features: int, eps: float = 1e-5, *, affine: bool = False, dtype: npt.DTypeLike | None = None
    ) -> None:
        name = type(self).__name__
        self.num_features = check_size(f"{name}: num_features", num_features)
        self.eps, self.affine = check_number(f"{name}: eps", eps), bool(affine)
        self._make_affine((self.num_features,), self.affine, self.affine, dtype)

    def forward(self, x: Any) -> Tensor:
        shape = x.shape if isinstance(x, Tensor) else np.shape(x)
        if len(shape) != self._ndim or shape[1] != self.num_features:
            raise ValueError(
                f"{type(self).__name__}: x has shape {shape}, expected {self._shapes.format(C=self.num_features)}"
            )
        return ops.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> _InstanceNorm:
        if config.get("affine"):
            stored("weight", (config.get("num_features"),))
        return cls(**config)

    def config(self) -> dict[str, Any]:
        return {"num_features": self.num_features, "eps": self.eps, "affine": self.affine, "dtype": str(self.dtype)}


class InstanceNorm1d(_InstanceNorm):
    """Normalise each channel of each row over its length, y = (x - mean) / sqrt(variance + eps) * weight + bias.

    Arguments: `num_features`, the channels, at least 1; `eps`, at least 0; `affine`, whether there are weight and bias;
    `dtype`, float32 or float64.
    Input: x of shape (n, num_features, length) in the layer's dtype, length at least 2. Output: the same shape.
    Errors: ValueError for sizes, eps or another shape; TypeError for another dtype.
    Source: Ulyanov, Vedaldi and Lempitsky, Instance normalization, 2016.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.InstanceNorm1d(1)(np.array([[[1.0, 3.0]], [[10.0, 30.0]]], np.float32)).numpy().round(3)
    array([[[-1.,  1.]],
    <BLANKLINE>
           [[-1.,  1.]]], dtype=float32)
    """

    _ndim, _shapes = 3, "(n, {C}, length)"


class InstanceNorm2d(_InstanceNorm):
    """Normalise each channel of each image over its places; otherwise as `InstanceNorm1d`.

    Arguments: those of `InstanceNorm1d`.
    Input: x of shape (n, num_features, height, width) in the layer's dtype. Output: the same shape.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.InstanceNorm2d(1)(np.array([[[[1.0, 3.0]]]], np.float32)).numpy().round(3)
    array([[[[-1.,  1.]]]], dtype=float32)
    """

    _ndim, _shapes = 4, "(n, {C}, height, width)"


if not TYPE_CHECKING:
    __all__ = own_names(globals())

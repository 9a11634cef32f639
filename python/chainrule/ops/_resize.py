"""Images and signals of another size: nearest elements, linear interpolation; pixels from channels."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import numpy as np

from .._tensor import Tensor
from .._util.checks import check_integer, check_number, check_size, check_total
from .._util.dtypes import Array
from ._adaptive import adaptive_avg_pool1d, adaptive_avg_pool2d
from ._arithmetic import _float_dtype, add, mul
from ._op import Shape
from ._operands import one
from ._shape import broadcast_to, reshape, take, transpose

__all__ = ["interpolate", "pixel_shuffle", "pixel_unshuffle"]

_MODES = {
    **{"nearest": (3, 4), "nearest-exact": (3, 4), "area": (3, 4)},
    **{"linear": (3,), "bilinear": (4,), "bicubic": (4,)},
}


def interpolate(
    x: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resize images or signals.

    "nearest": element i of m is element floor(i * s) of n, s = n / m or 1 / scale_factor, computed in float32 as in
    PyTorch; "nearest-exact": floor((i + 0.5) * s). "linear" and "bilinear": between the two nearest elements of each
    axis, at (i + 0.5) * s - 0.5, at least 0, or with `align_corners` at i * (n - 1) / (m - 1). "bicubic": of the four
    nearest elements, the outermost one standing for those outside, by Keys' cubic convolution with a = -0.75. "area":
    `adaptive_avg_pool2d`.

    Arguments: `x` (n, channels, h, w) or (n, channels, l), float; `size`, of the result, (oh, ow) or one number for
    both; or `scale_factor`, likewise, above 0: the size is floor(h * scale_factor); `mode`; `align_corners`, for the
    linear and cubic ones; `recompute_scale_factor`, take s from the sizes though a scale factor is given; `antialias`,
    for "bilinear" and "bicubic": in smaller images each element is a mean of the s times wider kernel, a = -0.5.
    Returns: a tensor (n, channels, oh, ow) or (n, channels, ol).
    Errors: ValueError for shapes, an unknown mode, a mode of other axes, both or neither of size and scale_factor, and
    a result without elements; TypeError for dtypes.
    Source: Keys, Cubic convolution interpolation for digital image processing (1981).

    >>> import chainrule as cr
    >>> cr.nn.functional.interpolate([[[1.0, 3.0]]], scale_factor=2.0, mode="linear").tolist()
    [[[1.0, 1.5, 2.5, 3.0]]]
    """
    images = one(x)
    _float_dtype("interpolate", [images])
    if mode not in _MODES:
        raise ValueError(f"interpolate: mode must be one of {', '.join(_MODES)}, got {mode!r}")
    if images.ndim not in _MODES[mode]:
        shapes = {3: "(n, channels, l)", 4: "(n, channels, h, w)"}
        wanted = " or ".join(shapes[ndim] for ndim in _MODES[mode])
        raise ValueError(f'interpolate: x must be {wanted} for mode "{mode}", got shape {images.shape}')
    between = mode in ("linear", "bilinear", "bicubic")
    if align_corners is not None and not between:
        raise ValueError(
            f'interpolate: align_corners is for the modes "linear", "bilinear" and "bicubic", got mode "{mode}"'
        )
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(f'interpolate: antialias is for the modes "bilinear" and "bicubic", got mode "{mode}"')
    old = images.shape[2:]
    new, factors = _new_sizes(old, size, scale_factor)
    if recompute_scale_factor:
        factors = (None,) * len(old)
    check_total("interpolate", (*images.shape[:2], *new), 8)
    if min(old) < 1:
        raise ValueError(f"interpolate: x has no elements to resize, shape {images.shape}")
    if mode == "area":
        return adaptive_avg_pool2d(images, new) if len(old) == 2 else adaptive_avg_pool1d(images, new)
    for axis in reversed(range(len(old))):
        n, m, factor = old[axis], new[axis], factors[axis]
        if between:
            step = _step(n, m, factor, bool(align_corners))
            find = _wide if antialias else _cubic if mode == "bicubic" else _linear
            images = _weighted(images, 2 + axis, *find(n, m, step, bool(align_corners), mode == "bicubic"))
        elif m != n or factor is not None:
            images = _nearest(images, 2 + axis, n, m, factor, mode == "nearest-exact")
    return images


def _new_sizes(old: Shape, size: Any, scale_factor: Any) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """The sizes of the result, and the factors where these are given."""
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: expected either size or scale_factor")
    name, value = ("size", size) if scale_factor is None else ("scale_factor", scale_factor)
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,) * len(old)
    if len(given) != len(old):
        raise ValueError(f"interpolate: {name} must be one number or {len(old)}, got {value!r}")
    if scale_factor is None:
        return tuple(check_size("interpolate: size", n) for n in given), (None,) * len(old)
    factors = tuple(check_number("interpolate: scale_factor", s, above=True) for s in given)
    new = tuple(
        check_integer("interpolate: the new size", math.floor(n * s)) for n, s in zip(old, factors, strict=True)
    )
    if min(new) < 1:
        raise ValueError(f"interpolate: nothing is left of {tuple(old)} by scale_factor {scale_factor!r}")
    return new, factors


def _nearest(x: Tensor, axis: int, n: int, m: int, factor: float | None, exact: bool) -> Tensor:
    whole = m // n if m % n == 0 else 0
    if whole and (factor is None or factor == whole):  # each element several times
        shape = (*x.shape[: axis + 1], whole, *x.shape[axis + 1 :])
        apart = reshape(x, (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :]))
        return reshape(broadcast_to(apart, shape), (*x.shape[:axis], m, *x.shape[axis + 1 :]))
    scale = np.float32(n) / np.float32(m) if factor is None else np.float32(1.0 / factor)
    i = np.arange(m, dtype=np.float32)
    places = np.floor((i + np.float32(0.5) if exact else i) * scale).astype(np.int64)
    if not exact and m == 2 * n:
        places = np.arange(m) // 2
    elif not exact and m == n:
        places = np.arange(m)
    return take(x, np.minimum(places, n - 1), axis)


def _step(n: int, m: int, factor: float | None, align_corners: bool) -> float:
    """The distance of two of m elements in elements of the n."""
    if align_corners:
        return (n - 1) / (m - 1) if m > 1 else 0.0
    return n / m if factor is None else 1.0 / factor


# For each of m elements the places of those that it is made of, and their weights (number, m).


def _linear(n: int, m: int, step: float, align_corners: bool, cubic: bool) -> tuple[Array, Array]:
    i = np.arange(m, dtype=np.float64)
    at = i * step if align_corners else np.maximum((i + 0.5) * step - 0.5, 0.0)
    first = np.minimum(at.astype(np.int64), n - 1)
    share = np.clip(at - first, 0.0, 1.0)
    return np.stack([first, np.minimum(first + 1, n - 1)]), np.stack([1.0 - share, share])


def _cubic(n: int, m: int, step: float, align_corners: bool, cubic: bool) -> tuple[Array, Array]:
    i = np.arange(m, dtype=np.float64)
    at = i * step if align_corners else (i + 0.5) * step - 0.5
    first = np.floor(at)
    places = first.astype(np.int64) + np.arange(-1, 3)[:, None]
    return np.clip(places, 0, n - 1), _cubic_weights(at - first - np.arange(-1, 3)[:, None], -0.75)


def _wide(n: int, m: int, step: float, align_corners: bool, cubic: bool) -> tuple[Array, Array]:
    wide = max(step, 1.0)
    reach, center = wide * (2.0 if cubic else 1.0), step * (np.arange(m, dtype=np.float64) + 0.5)
    first = np.maximum((center - reach + 0.5).astype(np.int64), 0)
    count = np.minimum((center + reach + 0.5).astype(np.int64), n) - first
    k = np.arange(count.max())[:, None]
    distance = (k + first - center + 0.5) * (1.0 / wide)
    kernel = _cubic_weights(distance, -0.5) if cubic else np.maximum(1.0 - np.abs(distance), 0.0)
    weights = np.where(k < count, kernel, 0.0)
    sums = np.zeros(m)
    for row in weights:
        sums = sums + row
    return np.minimum(first + k, n - 1), weights / np.where(sums == 0.0, 1.0, sums)


def _cubic_weights(distance: Array, a: float) -> Array:
    """Keys' kernel, 0 from a distance of 2."""
    d = np.abs(distance)
    near = ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
    far = ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a
    return np.where(d <= 1.0, near, np.where(d < 2.0, far, 0.0))


def _weighted(x: Tensor, axis: int, places: Array, weights: Array) -> Tensor:
    """The sums of elements along an axis times weights, in the order of the rows of both."""
    shape = (-1, *[1] * (x.ndim - 1 - axis))
    parts = [mul(take(x, p, axis), np.asarray(w.reshape(shape), x.dtype)) for p, w in zip(places, weights, strict=True)]
    return reduce(add, parts)


def _with_pixels(name: str, x: Any, factor: Any) -> tuple[Tensor, int]:
    images = one(x)
    if images.ndim < 3:
        raise ValueError(f"{name}: x must be (..., channels, h, w), got shape {images.shape}")
    return images, check_size(f"{name}: factor", factor)


def pixel_shuffle(x: Any, upscale_factor: int) -> Tensor:
    """Larger images from r*r times as many channels: out[..., c, h*r + y, w*r + x] = in[..., c*r*r + y*r + x, h, w].

    Arguments: `x` (..., channels * r * r, h, w); `upscale_factor`, r, at least 1.
    Returns: a tensor (..., channels, h * r, w * r). Errors: ValueError for shapes.
    Source: Shi et al., Real-time single image and video super-resolution (2016).

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.functional.pixel_shuffle(np.arange(4.0).reshape(4, 1, 1), 2).tolist()
    [[[0.0, 1.0], [2.0, 3.0]]]
    """
    images, r = _with_pixels("pixel_shuffle", x, upscale_factor)
    *rest, channels, h, w = images.shape
    if channels % (r * r):
        raise ValueError(f"pixel_shuffle: the channels must be a multiple of {r * r}, got shape {images.shape}")
    n, k = len(rest), channels // (r * r)
    parts = reshape(images, (*rest, k, r, r, h, w))
    moved = transpose(parts, [*range(n), n, n + 3, n + 1, n + 4, n + 2])
    return reshape(moved, (*rest, k, h * r, w * r))


def pixel_unshuffle(x: Any, downscale_factor: int) -> Tensor:
    """Smaller images with r*r times as many channels, the inverse of `cr.nn.functional.pixel_shuffle`.

    Arguments: `x` (..., channels, h * r, w * r); `downscale_factor`, r, at least 1.
    Returns: a tensor (..., channels * r * r, h, w). Errors: ValueError for shapes.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.functional.pixel_unshuffle(np.arange(4.0).reshape(1, 2, 2), 2).shape
    (4, 1, 1)
    """
    images, r = _with_pixels("pixel_unshuffle", x, downscale_factor)
    *rest, channels, h, w = images.shape
    if h % r or w % r:
        raise ValueError(f"pixel_unshuffle: height and width must be multiples of {r}, got shape {images.shape}")
    n = len(rest)
    parts = reshape(images, (*rest, channels, h // r, r, w // r, r))
    moved = transpose(parts, [*range(n), n, n + 2, n + 4, n + 1, n + 3])
    return reshape(moved, (*rest, channels * r * r, h // r, w // r))

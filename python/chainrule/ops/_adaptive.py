"""Pools whose windows follow from the size of the result, as PyTorch's: window i of m over n elements is from
floor(i*n/m) to ceil((i+1)*n/m)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._tensor import Tensor
from .._util.checks import check_integer, check_total
from .._util.dtypes import INT64, Array
from ._arithmetic import add, div, where
from ._images import as_given, as_images
from ._op import OPS, apply
from ._reduce import argmax
from ._reduce import max as largest
from ._reduce import sum as total
from ._shape import reshape, take, transpose
from ._windows import Pair

__all__ = ["adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d"]

Size = int | tuple[int | None, ...] | list[int | None] | None


def adaptive_avg_pool2d(x: Any, output_size: Size) -> Tensor:
    """Means of windows that cover an image, as many as the result shall have elements.

    Row i of m is the mean over the rows from floor(i*h/m) to ceil((i + 1)*h/m) of h, columns likewise; the sum over a
    window is divided by the number of its elements.

    Arguments: `x` (n, channels, h, w), float, or one image without the first axis; `output_size`, (oh, ow), or one
    number for both; None stands for the image's.
    Returns: a tensor (n, channels, oh, ow). Errors: ValueError for shapes and sizes below 1; TypeError for dtypes.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.functional.adaptive_avg_pool2d(np.arange(16.0).reshape(1, 4, 4), (1, 2)).tolist()
    [[[6.5, 8.5]]]
    """
    return _average("adaptive_avg_pool2d", 2, x, output_size)


def adaptive_avg_pool1d(x: Any, output_size: Size) -> Tensor:
    """Means of windows that cover a signal; see `cr.nn.functional.adaptive_avg_pool2d`.

    Arguments: `x` (n, channels, l), float, or one signal without the first axis; `output_size`, the length of the
    result.
    Returns: a tensor (n, channels, output_size).

    >>> import chainrule as cr
    >>> cr.nn.functional.adaptive_avg_pool1d([[1.0, 3.0, 5.0]], 2).tolist()
    [[2.0, 4.0]]
    """
    return _average("adaptive_avg_pool1d", 1, x, output_size)


def adaptive_max_pool2d(x: Any, output_size: Size, return_indices: bool = False) -> Any:
    """Maxima of windows that cover an image; the windows of `cr.nn.functional.adaptive_avg_pool2d`.

    Arguments: as there; `return_indices`, return also the places of the maxima, in the plane read row by row, int64.
    Returns: a tensor (n, channels, oh, ow), or a tuple of it and the indices.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.functional.adaptive_max_pool2d(np.arange(16.0).reshape(1, 4, 4), (1, 2)).tolist()
    [[[13.0, 15.0]]]
    """
    return _maximum("adaptive_max_pool2d", 2, x, output_size, return_indices)


def adaptive_max_pool1d(x: Any, output_size: Size, return_indices: bool = False) -> Any:
    """Maxima of windows that cover a signal; see `cr.nn.functional.adaptive_max_pool2d`.

    >>> import chainrule as cr
    >>> cr.nn.functional.adaptive_max_pool1d([[1.0, 3.0, 5.0]], 2).tolist()
    [[3.0, 5.0]]
    """
    return _maximum("adaptive_max_pool1d", 1, x, output_size, return_indices)


def _average(name: str, axes: int, x: Any, output_size: Any) -> Tensor:
    images, alone = as_images(name, x, axes)
    size = _size_of(name, axes, output_size, images)
    parts, index, inside = _windows(images, size)
    if inside is not None:
        parts = where(inside, parts, 0.0)
    counts = [rows[:, -1] - rows[:, 0] + 1 for rows in index]
    number = np.outer(*counts)
    divisor: Any = int(number[0, 0]) if (number == number[0, 0]).all() else number.astype(images.dtype)
    return as_given(div(total(parts, (3, 5)), divisor), axes, alone, size)


def _maximum(name: str, axes: int, x: Any, output_size: Any, return_indices: bool) -> Any:
    images, alone = as_images(name, x, axes)
    size = _size_of(name, axes, output_size, images)
    parts, index, _ = _windows(images, size)  # elements that fill up a window are repeated: the first one counts
    out = as_given(largest(parts, (3, 5)), axes, alone, size)
    if not return_indices:
        return out
    (n, channels, oh, kh, ow, kw), w = parts.shape, images.shape[3]
    rows = reshape(transpose(parts.detach(), (0, 1, 2, 4, 3, 5)), (n, channels, oh * ow, kh * kw))
    chosen = apply(OPS["astype"], (argmax(rows, 3),), (np.dtype(np.float64).char,))
    places = (index[0][:, None, :, None] * w + index[1][None, :, None, :]).reshape(-1).astype(np.float64)
    at = add(chosen, np.arange(oh * ow, dtype=np.float64) * (kh * kw))
    place = take(places, apply(OPS["astype"], (at,), (INT64.char,)))
    return out, as_given(apply(OPS["astype"], (place,), (INT64.char,)), axes, alone, size)


def _size_of(name: str, axes: int, output_size: Any, images: Tensor) -> Pair:
    given = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * axes
    if len(given) != axes:
        raise ValueError(
            f"{name}: output_size must be {'a number or a pair' if axes == 2 else 'a number'}, got {given}"
        )
    own = images.shape[4 - axes :]
    sizes = [n if m is None else check_integer(f"{name}: output_size", m, 1) for m, n in zip(given, own, strict=True)]
    check_total(name, (*images.shape[:2], *sizes), 8)
    if min(images.shape[2:]) < 1:
        raise ValueError(f"{name}: x has no elements to pool, shape {images.shape}")
    return (1, sizes[0]) if axes == 1 else (sizes[0], sizes[1])


def _windows(images: Tensor, size: Pair) -> tuple[Tensor, list[Array], Array | None]:
    """The windows as (n, channels, oh, kh, ow, kw), the rows and the columns of each, and which elements are its own.

    Windows of one length are a view. Others are filled up to the longest by repeating their last element.
    """
    n, channels, *lengths = images.shape
    index = [_window_index(length, count) for length, count in zip(lengths, size, strict=True)]
    if all(length % count == 0 for length, count in zip(lengths, size, strict=True)):
        shape = (n, channels, size[0], lengths[0] // size[0], size[1], lengths[1] // size[1])
        return reshape(images, shape), index, None
    parts = take(take(images, index[0], 2), index[1], 4)
    own = [np.diff(rows, axis=1, prepend=-1) != 0 for rows in index]
    inside = own[0][:, :, None, None] & own[1]
    return parts, index, None if inside.all() else inside


def _window_index(length: int, count: int) -> Array:
    """The elements of each window, (count, longest)."""
    at = np.arange(count + 1) * length
    begins, ends = at[:-1] // count, -(-at[1:] // count)
    return np.minimum(begins[:, None] + np.arange((ends - begins).max()), ends[:, None] - 1)

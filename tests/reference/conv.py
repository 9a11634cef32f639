"""Convolution and pooling over images (n, channels, h, w), and their gradients."""

from collections.abc import Callable
from typing import Any

import numpy as np

from . import reduce
from .bits import Array
from .elementwise import maximum
from .fma import fma

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]  # (top, bottom), (left, right)


def resolve_padding(padding: Pair | str, kernel: Pair, dilation: Pair) -> Padding:
    """Padding on each side; with an odd total, "same" pads one more at the bottom and at the right."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return (total[0] // 2, total[0] - total[0] // 2), (total[1] // 2, total[1] - total[1] // 2)
    assert not isinstance(padding, str)
    return (padding[0], padding[0]), (padding[1], padding[1])


def count(length: int, k: int, stride: int, dilation: int) -> int:
    """The number of windows along an axis of the padded image."""
    return (length - dilation * (k - 1) - 1) // stride + 1


def element(padded: Array, y: int, x: int, kernel: Pair, stride: Pair, dilation: Pair) -> Array:
    """Element (y, x) of all windows, a view of shape (n, channels, oh, ow)."""
    rows, columns = (count(padded.shape[2 + i], kernel[i], stride[i], dilation[i]) for i in range(2))
    top, left = y * dilation[0], x * dilation[1]
    return padded[:, :, top :: stride[0], left :: stride[1]][:, :, :rows, :columns]


def pad(x: Array, sides: Padding, value: float = 0.0) -> Array:
    """The padded image."""
    return np.pad(x, ((0, 0), (0, 0), *sides), constant_values=x.dtype.type(value))


def elements(kernel: Pair) -> list[Pair]:
    """The positions (y, x) of a window's elements, ascending."""
    return [(y, x) for y in range(kernel[0]) for x in range(kernel[1])]


def unfold(x: Array, kernel: Pair, dilation: Pair = (1, 1), padding: Pair = (0, 0), stride: Pair = (1, 1)) -> Array:
    """The columns of all windows, shape (n, channels * kh * kw, oh * ow)."""
    padded = pad(x, resolve_padding(padding, kernel, dilation))
    parts = [element(padded, *at, kernel, stride, dilation) for at in elements(kernel)]
    columns = np.stack(parts, 2)
    n, channels, size, rows, width = columns.shape
    return columns.reshape(n, channels * size, rows * width)


def fold(
    columns: Array,
    image: Pair,
    kernel: Pair,
    dilation: Pair = (1, 1),
    padding: Pair = (0, 0),
    stride: Pair = (1, 1),
) -> Array:
    """The sum over windows for each element of the image: from +0, in ascending order of (y, x)."""
    sides = resolve_padding(padding, kernel, dilation)
    n, size = columns.shape[0], kernel[0] * kernel[1]
    channels = columns.shape[1] // size
    parts = columns.reshape(n, channels, size, columns.shape[2])
    return fold_parts([parts[:, :, i] for i in range(size)], (n, channels, *image), kernel, dilation, sides, stride)


@np.errstate(all="ignore")
def fold_parts(
    parts: list[Array], shape: tuple[int, ...], kernel: Pair, dilation: Pair, sides: Padding, stride: Pair
) -> Array:
    """As `fold`, from one array per element of a window."""
    (top, bottom), (left, right) = sides
    n, channels, h, w = shape
    padded = np.zeros((n, channels, h + top + bottom, w + left + right), parts[0].dtype)
    for (y, x), part in zip(elements(kernel), parts, strict=True):
        view = element(padded, y, x, kernel, stride, dilation)
        view += part.reshape(view.shape)
    return padded[:, :, top : top + h, left : left + w]


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Pair = (1, 1),
    padding: Pair | str = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Array:
    """``c = +0; c = fma(weight[o,c,y,x], window[c,y,x], c)`` for (c, y, x) ascending, zero padding; then the bias."""
    if groups > 1:
        parts = zip(np.split(x, groups, 1), np.split(weight, groups, 0), strict=True)
        return with_bias(np.concatenate([conv2d(a, w, None, stride, padding, dilation) for a, w in parts], 1), bias)
    kernel = (weight.shape[2], weight.shape[3])
    padded = pad(x, resolve_padding(padding, kernel, dilation))
    size = [count(padded.shape[2 + i], kernel[i], stride[i], dilation[i]) for i in range(2)]
    c = np.zeros((x.shape[0], weight.shape[0], *size), x.dtype)
    for channel in range(x.shape[1]):
        for at in elements(kernel):
            window = element(padded[:, channel : channel + 1], *at, kernel, stride, dilation)
            c = fma(weight[:, channel, at[0], at[1]][None, :, None, None], window, c)
    return with_bias(c, bias)


@np.errstate(all="ignore")
def with_bias(c: Array, bias: Array | None) -> Array:
    """The bias of each channel added."""
    return c if bias is None else np.asarray(c + bias[:, None, None])


def conv_transpose2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    output_padding: Pair = (0, 0),
    groups: int = 1,
    dilation: Pair = (1, 1),
) -> Array:
    """For each (y, x) ``c = +0; c = fma(weight[ch,o,y,x], image[ch], c)``, ch ascending; `fold`; then the bias."""
    if groups > 1:
        pieces = zip(np.split(x, groups, 1), np.split(weight, groups, 0), strict=True)
        options = (None, stride, padding, output_padding, 1, dilation)
        return with_bias(np.concatenate([conv_transpose2d(a, w, *options) for a, w in pieces], 1), bias)
    kernel, parts = (weight.shape[2], weight.shape[3]), []
    for y, at in elements(kernel):
        c = np.zeros((x.shape[0], weight.shape[1], *x.shape[2:]), x.dtype)
        for channel in range(x.shape[1]):
            c = fma(weight[channel, :, y, at][None, :, None, None], x[:, channel, None], c)
        parts.append(c)
    arguments = zip(x.shape[2:], kernel, stride, padding, output_padding, dilation, strict=True)
    size = [(n - 1) * s - 2 * p + d * (k - 1) + more + 1 for n, k, s, p, more, d in arguments]
    sides = resolve_padding(padding, kernel, dilation)
    return with_bias(fold_parts(parts, (*c.shape[:2], *size), kernel, dilation, sides, stride), bias)


def signals(function: Callable[..., Array]) -> Callable[..., Array]:
    """The same function of signals, which are images of height 1."""

    def of_signals(*arrays: Array, **options: Any) -> Array:
        images = [a if a.ndim == 1 else a[:, :, None] for a in arrays]
        others = {"stride": 1, "dilation": 1, "padding": 0, "output_padding": 0}
        pairs = {k: (others[k], v) if k in others and not isinstance(v, str) else v for k, v in options.items()}
        return function(*images, **pairs)[:, :, 0]

    return of_signals


def conv2d_grad(
    x: Array,
    weight: Array,
    g: Array,
    stride: Pair = (1, 1),
    padding: Pair | str = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    """Gradients with respect to x, weight and bias.

    x: for each (y, x) one chain over the output channels, then summed as in `fold`. weight: one chain over (image, row,
    column); with groups one over (row, column) for each image, and a chain of additions over the images. bias: a chain
    of additions over the images, then the lane sum over the positions.
    """
    if groups > 1:
        pieces = list(zip(np.split(x, groups, 1), np.split(weight, groups, 0), np.split(g, groups, 1), strict=True))
        found = [conv2d_grad(*piece, stride, padding, dilation) for piece in pieces]
        weights = []
        for a, w, own in pieces:
            each = [conv2d_grad(a[i : i + 1], w, own[i : i + 1], stride, padding, dilation)[1] for i in range(len(a))]
            weights.append(reduce.sum(np.stack(each), axis=0))
        return np.concatenate([f[0] for f in found], 1), np.concatenate(weights), np.concatenate([f[2] for f in found])
    kernel = (weight.shape[2], weight.shape[3])
    sides = resolve_padding(padding, kernel, dilation)
    parts = []
    for y, at in elements(kernel):
        c = np.zeros((x.shape[0], x.shape[1], *g.shape[2:]), x.dtype)
        for o in range(weight.shape[0]):
            c = fma(weight[o, :, y, at][None, :, None, None], g[:, o, None], c)
        parts.append(c)
    by_x = fold_parts(parts, x.shape, kernel, dilation, sides, stride)
    padded, by_weight = pad(x, sides), np.zeros_like(weight)
    windows = np.stack([element(padded, *at, kernel, stride, dilation) for at in elements(kernel)], 2)
    for i, r, s in np.ndindex(g.shape[0], *g.shape[2:]):
        window = windows[i, :, :, r, s].reshape(weight.shape[1:])
        by_weight = fma(g[i, :, r, s][:, None, None, None], window, by_weight)
    by_bias = reduce.lane_sum(reduce.sum(g, axis=0).reshape(g.shape[1], g.shape[2] * g.shape[3]))
    return by_x, by_weight, by_bias


def pool_sides(
    shape: tuple[int, ...], kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil: bool
) -> Padding:
    """Padding on each side, including the extra padding of `ceil_mode` at the bottom and at the right."""
    sides = []
    for length, k, step, p, d in zip(shape[2:], kernel, stride, padding, dilation, strict=True):
        rest = (length + 2 * p - d * (k - 1) - 1) % step
        begin = length + 2 * p - d * (k - 1) - 1 - rest + step  # of the window after the last one
        sides.append((p, p + step - rest if ceil and rest and begin < length + p else p))
    return sides[0], sides[1]


def _window_parts(
    x: Array, kernel: Pair, stride: Pair | None, padding: Pair, dilation: Pair, ceil: bool, value: float
) -> tuple[list[Array], Padding]:
    step = kernel if stride is None else stride
    sides = pool_sides(x.shape, kernel, step, padding, dilation, ceil)
    padded = pad(x, sides, value)
    return [element(padded, *at, kernel, step, dilation) for at in elements(kernel)], sides


def max_pool2d(
    x: Array,
    kernel: Pair,
    stride: Pair | None = None,
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    ceil_mode: bool = False,
) -> Array:
    """The maximum of each window, with -inf as padding."""
    parts, _ = _window_parts(x, kernel, stride, padding, dilation, ceil_mode, -np.inf)
    result = parts[0]
    for part in parts[1:]:
        result = maximum(result, part)
    return np.array(result)


def max_pool2d_grad(
    x: Array,
    g: Array,
    kernel: Pair,
    stride: Pair | None = None,
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    ceil_mode: bool = False,
) -> Array:
    """g at the first maximum of each window, or at its first NaN; summed as in `fold`."""
    parts, sides = _window_parts(x, kernel, stride, padding, dilation, ceil_mode, -np.inf)
    chosen = np.argmax(np.stack(parts), 0)
    shares = [np.where(chosen == i, g, g.dtype.type(0)) for i in range(len(parts))]
    return fold_parts(shares, x.shape, kernel, dilation, sides, kernel if stride is None else stride)


def _divisors(
    x: Array, kernel: Pair, stride: Pair | None, padding: Pair, ceil: bool, include: bool, override: int | None
) -> Array:
    if override is not None:
        return np.asarray(override, x.dtype)
    step = kernel if stride is None else stride
    sides = pool_sides(x.shape, kernel, step, padding, (1, 1), ceil)
    counted = np.zeros((1, 1, *(n + sum(side) for n, side in zip(x.shape[2:], sides, strict=True))), x.dtype)
    margin = (0, 0) if include else padding
    end = [n + 2 * p - m for n, p, m in zip(x.shape[2:], padding, margin, strict=True)]
    counted[:, :, margin[0] : end[0], margin[1] : end[1]] = 1
    return np.asarray(sum(element(counted, *at, kernel, step, (1, 1)) for at in elements(kernel)))


@np.errstate(all="ignore")
def avg_pool2d(
    x: Array,
    kernel: Pair,
    stride: Pair | None = None,
    padding: Pair = (0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """The sum of each window, (y, x) ascending from +0, divided by the number of elements."""
    parts, _ = _window_parts(x, kernel, stride, padding, (1, 1), ceil_mode, 0.0)
    s = np.zeros_like(parts[0])
    for part in parts:
        s = s + part
    return np.asarray(s / _divisors(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override))


@np.errstate(all="ignore")
def avg_pool2d_grad(
    x: Array,
    g: Array,
    kernel: Pair,
    stride: Pair | None = None,
    padding: Pair = (0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """``g / n`` at each element of a window, summed as in `fold`."""
    step = kernel if stride is None else stride
    sides = pool_sides(x.shape, kernel, step, padding, (1, 1), ceil_mode)
    share = np.asarray(g / _divisors(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override))
    return fold_parts([share] * (kernel[0] * kernel[1]), x.shape, kernel, (1, 1), sides, step)

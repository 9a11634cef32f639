"""Windows over images: the arguments of convolution and pooling, with PyTorch's names and meanings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .._ir import records
from .._util.checks import MAX_SIZE, check_integer, is_integer
from ._op import Shape

__all__ = [
    "Pair",
    "Windows",
    "image_of",
    "output_size_of",
    "pair_of",
    "sizes_of",
    "transposed_windows_of",
    "windows_of",
]

Pair = tuple[int, int]


class Windows(NamedTuple):
    """oh x ow windows of kh x kw elements over planes of h x w.

    Element (y, x) of window (r, s) is at row r*stride_h + y*dilation_h - pad_top and column s*stride_w + x*dilation_w -
    pad_left of the plane, or in the padding.
    """

    h: int
    w: int
    kh: int
    kw: int
    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    pad_top: int
    pad_left: int
    oh: int
    ow: int

    @property
    def elements(self) -> int:
        """The number of elements of one window."""
        return self.kh * self.kw

    @property
    def positions(self) -> int:
        """The number of windows of one plane."""
        return self.oh * self.ow

    @property
    def is_pointwise(self) -> bool:
        """Whether the windows are the single elements of the plane, in order (a 1x1 convolution)."""
        return (self.oh, self.ow) == (self.h, self.w) and self.elements == self.stride_h * self.stride_w == 1

    def record(self, images: int, channels: int) -> records.Windows:
        """The instruction record for images with so many channels."""
        return records.Windows(
            images=images,
            channels=channels,
            height=self.h,
            width=self.w,
            kernel_h=self.kh,
            kernel_w=self.kw,
            stride_h=self.stride_h,
            stride_w=self.stride_w,
            dilation_h=self.dilation_h,
            dilation_w=self.dilation_w,
            pad_top=self.pad_top,
            pad_left=self.pad_left,
            out_h=self.oh,
            out_w=self.ow,
        )


def sizes_of(name: str, argument: str, value: Any, minimum: int, axes: int, other: int) -> Pair:
    """Return an argument as integers for height and width; of signals, which have one axis, the height is `other`."""
    if axes == 2:
        return pair_of(name, argument, value, minimum)
    numbers = tuple(value) if isinstance(value, (tuple, list)) and len(value) == 1 else (value,)
    if any(not is_integer(n) for n in numbers):
        raise TypeError(f"{name}: {argument} must be an integer, got {value!r}")
    if numbers[0] < minimum:
        raise ValueError(f"{name}: {argument} must be an integer of at least {minimum}, got {value!r}")
    return other, check_integer(f"{name}: {argument}", numbers[0])


def pair_of(name: str, argument: str, value: Any, minimum: int) -> Pair:
    """Return an argument as integers for height and width; a single integer stands for both."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if any(not is_integer(n) for n in values):
        raise TypeError(f"{name}: {argument} must be an integer or a pair of them, got {value!r}")
    if len(values) != 2 or min(values) < minimum:
        raise ValueError(
            f"{name}: {argument} must be an integer of at least {minimum} or a pair of them, got {value!r}"
        )
    what = f"{name}: {argument}"
    return check_integer(what, values[0]), check_integer(what, values[1])


def output_size_of(name: str, output_size: Any, lowest: Sequence[int], highest: Sequence[int]) -> tuple[int, ...]:
    """Return the size of a result, the last numbers of `output_size`, which may also be its whole shape."""
    given, axes = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,), len(lowest)
    if len(given) in (axes + 1, axes + 2):
        given = given[-axes:]
    if len(given) != axes or any(not is_integer(n) for n in given):
        what = "two integers" if axes == 2 else "an integer"
        raise ValueError(f"{name}: output_size must be {what}, or a shape that ends with them, got {output_size!r}")
    if any(not low <= n <= high for low, n, high in zip(lowest, given, highest, strict=True)):
        ranges = ", ".join(f"from {low} to {high}" for low, high in zip(lowest, highest, strict=True))
        raise ValueError(f"{name}: output_size must be {ranges}, got {output_size!r}")
    return tuple(int(n) for n in given)


def image_of(name: str, shape: Shape) -> Pair:
    """The height and width of images (n, channels, h, w)."""
    if len(shape) != 4:
        raise ValueError(f"{name}: x must be (n, channels, h, w), got shape {shape}")
    return shape[2], shape[3]


def windows_of(
    name: str,
    image: Pair,
    kernel: Pair,
    stride: Pair,
    dilation: Pair,
    padding: Sequence[Pair],
    ceil_mode: bool = False,
    axes: int = 2,
) -> Windows:
    """All windows inside the padded image; the padding is (before, after) for height and for width.

    `ceil_mode`: one more window where elements remain, unless it would start beyond the image. `axes`: 1 for signals,
    which are images of height 1, for errors.
    """

    def shown(pair: Sequence[Any]) -> Any:
        return tuple(pair) if axes == 2 else pair[1]

    what = "an image" if axes == 2 else "a signal"
    counts, steps, gaps = [], [], []
    for length, k, step, d, (before, after) in zip(image, kernel, stride, dilation, padding, strict=True):
        last = length + before + after - d * (k - 1) - 1
        if last < 0:
            raise ValueError(
                f"{name}: a kernel of {shown(kernel)} with dilation {shown(dilation)} is larger than {what} of "
                f"{shown(image)} with padding {shown(padding)}"
            )
        if length + before + after > MAX_SIZE // 8:
            raise ValueError(
                f"{name}: {what} of {shown(image)} with padding {shown(padding)} is larger than any memory"
            )
        count = last // step + 1
        counts.append(count + int(ceil_mode and last % step > 0 and count * step < length + before))
        # Distances to what does not exist are 1: all others are shorter than the image with its padding.
        steps.append(step if counts[-1] > 1 else 1)
        gaps.append(d if k > 1 else 1)
    numbers = (*image, *kernel, *steps, *gaps, padding[0][0], padding[1][0], *counts)
    return Windows._make(numbers)


def transposed_windows_of(
    name: str,
    columns: Pair,
    kernel: Pair,
    stride: Pair,
    dilation: Pair,
    padding: Pair,
    extra: Pair,
    axes: int,
) -> Windows:
    """The windows of a transposed convolution: `columns` of them, over the image that it returns.

    The image ends `extra` rows and columns after the last window, less the padding.
    """
    lengths, steps, gaps = [], [], []
    for count, k, step, d, p, more in zip(columns, kernel, stride, dilation, padding, extra, strict=True):
        whole = (count - 1) * step + d * (k - 1) + 1 + more
        if whole - 2 * p < 1:
            shown = columns if axes == 2 else columns[1]
            raise ValueError(
                f"{name}: nothing is left of {whole} elements from x {shown} with padding {p} on each side"
            )
        if whole > MAX_SIZE // 8:
            raise ValueError(f"{name}: the result has {whole} elements along an axis, more than any memory")
        lengths.append(whole - 2 * p)
        steps.append(step if count > 1 else 1)
        gaps.append(d if k > 1 else 1)
    return Windows._make((*lengths, *kernel, *steps, *gaps, *padding, *columns))

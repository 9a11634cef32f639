"""Windows over images: the arguments of convolution and pooling, with PyTorch's names and meanings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .._ir import records
from .._util.checks import MAX_SIZE, check_integer, is_integer
from ._op import Shape

__all__ = ["Pair", "Windows", "image_of", "pair_of", "windows_of"]

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
) -> Windows:
    """All windows inside the padded image; the padding is (before, after) for height and for width.

    `ceil_mode`: one more window where elements remain, unless it would start beyond the image.
    """
    counts, steps, gaps = [], [], []
    for length, k, step, d, (before, after) in zip(image, kernel, stride, dilation, padding, strict=True):
        last = length + before + after - d * (k - 1) - 1
        if last < 0:
            raise ValueError(
                f"{name}: a kernel of {kernel} with dilation {dilation} is larger than an image of {image} with "
                f"padding {tuple(padding)}"
            )
        if length + before + after > MAX_SIZE // 8:
            raise ValueError(f"{name}: an image of {image} with padding {tuple(padding)} is larger than any memory")
        count = last // step + 1
        counts.append(count + int(ceil_mode and last % step > 0 and count * step < length + before))
        # Distances to what does not exist are 1: all others are shorter than the image with its padding.
        steps.append(step if counts[-1] > 1 else 1)
        gaps.append(d if k > 1 else 1)
    numbers = (*image, *kernel, *steps, *gaps, padding[0][0], padding[1][0], *counts)
    return Windows._make(numbers)

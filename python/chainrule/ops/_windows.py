"""Windows over images: what the arguments of convolutions and pools mean, in PyTorch's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .._ir import records
from .._util.checks import is_integer
from ._op import Shape

__all__ = ["Pair", "Windows", "image_of", "pair_of", "windows_of"]

Pair = tuple[int, int]


class Windows(NamedTuple):
    """Windows of kh x kw elements over planes of h x w, oh x ow of them.

    Element (y, x) of window (r, s) is (r*step_h + y*gap_h - top, s*step_w + x*gap_w - left) of the plane, or outside.
    """

    h: int
    w: int
    kh: int
    kw: int
    step_h: int
    step_w: int
    gap_h: int
    gap_w: int
    top: int
    left: int
    oh: int
    ow: int

    @property
    def elements(self) -> int:
        """Elements of one window."""
        return self.kh * self.kw

    @property
    def positions(self) -> int:
        """Windows of one plane."""
        return self.oh * self.ow

    @property
    def whole(self) -> bool:
        """Whether each element is a window, in order."""
        return (self.oh, self.ow) == (self.h, self.w) and self.elements == self.step_h * self.step_w == 1

    def record(self, images: int, channels: int) -> records.Windows:
        """What the core's instructions take, for so many planes."""
        return records.Windows(
            images=images,
            channels=channels,
            height=self.h,
            width=self.w,
            kernel_h=self.kh,
            kernel_w=self.kw,
            stride_h=self.step_h,
            stride_w=self.step_w,
            dilation_h=self.gap_h,
            dilation_w=self.gap_w,
            pad_top=self.top,
            pad_left=self.left,
            out_h=self.oh,
            out_w=self.ow,
        )


def pair_of(name: str, argument: str, value: Any, least: int) -> Pair:
    """Two integers for height and width; one is taken for both."""
    numbers = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if any(not is_integer(n) for n in numbers):
        raise TypeError(f"{name}: {argument} must be an integer or a pair of them, got {value!r}")
    if len(numbers) != 2 or min(numbers) < least:
        raise ValueError(f"{name}: {argument} must be an integer of at least {least} or a pair of them, got {value!r}")
    return int(numbers[0]), int(numbers[1])


def image_of(name: str, shape: Shape) -> Pair:
    """Height and width of images (n, channels, h, w)."""
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
    """All windows inside of the image with its padding, which is (before, after) for height and for width.

    `ceil_mode`: one more where elements are left, unless it would begin behind the image.
    """
    counts = []
    for length, k, step, gap, (before, after) in zip(image, kernel, stride, dilation, padding, strict=True):
        room = length + before + after - gap * (k - 1) - 1
        if room < 0:
            raise ValueError(
                f"{name}: a kernel of {kernel} with dilation {dilation} is larger than an image of {image} with "
                f"padding {tuple(padding)}"
            )
        count = room // step + 1
        counts.append(count + int(ceil_mode and room % step > 0 and count * step < length + before))
    return Windows(*image, *kernel, *stride, *dilation, padding[0][0], padding[1][0], counts[0], counts[1])

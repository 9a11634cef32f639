"""Pooling layers: the ops of the same name, and the mean over whole images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import ops
from .._tensor import Tensor
from .._util.exports import own_names
from ..ops._windows import Pair, pair_of
from ._module import Module


class MaxPool2d(Module):
    """The largest element of each window; arguments as `cr.max_pool2d`.

    Input: x of shape (n, channels, h, w). Output: shape (n, channels, oh, ow).

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.MaxPool2d(2)(np.zeros((2, 6, 28, 28))).shape
    (2, 6, 14, 14)
    """

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size = pair_of("MaxPool2d", "kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else pair_of("MaxPool2d", "stride", stride, 1)
        self.padding = pair_of("MaxPool2d", "padding", padding, 0)
        self.dilation = pair_of("MaxPool2d", "dilation", dilation, 1)
        self.ceil_mode = bool(ceil_mode)

    def forward(self, x: Tensor) -> Tensor:
        return ops.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)

    def config(self) -> dict[str, Any]:
        return {
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "ceil_mode": self.ceil_mode,
        }


class AvgPool2d(Module):
    """The mean of each window; arguments as `cr.avg_pool2d`.

    Input: x of shape (n, channels, h, w). Output: shape (n, channels, oh, ow).

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.AvgPool2d(2)(np.zeros((2, 6, 28, 28))).shape
    (2, 6, 14, 14)
    """

    def __init__(
        self,
        kernel_size: int | Pair,
        stride: int | Pair | None = None,
        padding: int | Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self.kernel_size = pair_of("AvgPool2d", "kernel_size", kernel_size, 1)
        self.stride = self.kernel_size if stride is None else pair_of("AvgPool2d", "stride", stride, 1)
        self.padding = pair_of("AvgPool2d", "padding", padding, 0)
        self.ceil_mode, self.count_include_pad = bool(ceil_mode), bool(count_include_pad)
        self.divisor_override = divisor_override

    def forward(self, x: Tensor) -> Tensor:
        return ops.avg_pool2d(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def config(self) -> dict[str, Any]:
        return {
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "padding": self.padding,
            "ceil_mode": self.ceil_mode,
            "count_include_pad": self.count_include_pad,
            "divisor_override": self.divisor_override,
        }


class GlobalAvgPool2d(Module):
    """The mean of each channel over the whole image, y[i, c] = mean over (h, w) of x[i, c].

    Input: x of shape (n, channels, h, w). Output: shape (n, channels).
    Errors: ValueError for another number of axes.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.nn.GlobalAvgPool2d()(np.ones((2, 6, 7, 7))).shape
    (2, 6)
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4:
            raise ValueError(f"GlobalAvgPool2d: x must be (n, channels, h, w), got shape {x.shape}")
        return ops.mean(x, axis=(2, 3))


if not TYPE_CHECKING:
    __all__ = own_names(globals())

"""The convolutional layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from .._util.checks import check_size
from .._util.exports import own_names
from ..ops._windows import Pair, pair_of
from ..random import Generator
from ._init import check_init, draw_weight
from ._module import Module, Parameter, Stored


class Conv2d(Module):
    """Two-dimensional convolution, `cr.conv2d` with learned filters.

    `weight` has shape (out_channels, in_channels, kh, kw), PyTorch's, and is drawn uniformly from [-b, b), b = sqrt(6 /
    (fan_in + fan_out)) with `init="glorot"`, sqrt(6 / fan_in) with `init="he"` (for relu); fan_in = in_channels *
    kh * kw, fan_out = out_channels * kh * kw. `bias` has shape (out_channels,) and is initialized with 0.

    Arguments: `in_channels`, `out_channels`, at least 1; `kernel_size`, `stride`, `padding` and `dilation` as in
    `cr.conv2d`; `bias`, whether to add one; `dtype`, float32 or float64; `init`; `generator`, a `cr.random.Generator`
    (default: the one that `cr.manual_seed` seeds).
    Input: x of shape (n, in_channels, h, w) in the layer's dtype. Output: shape (n, out_channels, oh, ow).
    Errors: ValueError for sizes, an unknown init or padding; TypeError for another dtype; in a call, the errors of
    `cr.conv2d`.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.Conv2d(3, 6, kernel_size=5, generator=cr.random.Generator(seed=1))
    >>> layer(np.ones((2, 3, 32, 32), np.float32)).shape
    (2, 6, 28, 28)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair | str = 0,
        dilation: int | Pair = 1,
        bias: bool = True,
        dtype: npt.DTypeLike = np.float32,
        init: str = "glorot",
        generator: Generator | None = None,
    ) -> None:
        self.in_channels = check_size("Conv2d: in_channels", in_channels)
        self.out_channels = check_size("Conv2d: out_channels", out_channels)
        kind, self.init = check_init("Conv2d", init, dtype), init
        self.kernel_size = pair_of("Conv2d", "kernel_size", kernel_size, 1)
        self.stride = pair_of("Conv2d", "stride", stride, 1)
        self.dilation = pair_of("Conv2d", "dilation", dilation, 1)
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ValueError(f'Conv2d: padding must be an integer, a pair, "same" or "valid", got {padding!r}')
        if padding == "same" and self.stride != (1, 1):
            raise ValueError(f'Conv2d: padding "same" needs stride 1, got {stride!r}')
        self.padding = padding if isinstance(padding, str) else pair_of("Conv2d", "padding", padding, 0)
        shape = (self.out_channels, self.in_channels, *self.kernel_size)
        area = self.kernel_size[0] * self.kernel_size[1]
        self.weight = Parameter(
            draw_weight(shape, self.in_channels * area, self.out_channels * area, init, kind, generator)
        )
        self.bias = Parameter(np.zeros(self.out_channels, dtype=kind)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return ops.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation)

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> Conv2d:
        stored("weight", (config.get("out_channels"), config.get("in_channels"), *config.get("kernel_size", ())))
        return cls(**{**config, "generator": Generator(0)})

    def config(self) -> dict[str, Any]:
        return {
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "bias": self.bias is not None,
            "dtype": str(self.weight.dtype),
            "init": self.init,
        }


if not TYPE_CHECKING:
    __all__ = own_names(globals())

"""Convolutional layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from .._util.checks import check_size
from .._util.exports import own_names
from ..ops._convolve import check_groups, output_padding_of
from ..ops._operands import one
from ..ops._pad import pad_last
from ..ops._windows import Pair, output_size_of, sizes_of
from ..random import Generator
from ._init import check_init, draw_bias, draw_weight
from ._module import Module, Parameter, Stored

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(Module):
    """Weights and arguments of all of them; `axes` is 2 for images, 1 for signals."""

    _axes: ClassVar[int]
    padding: Any
    padding_mode = "zeros"

    def _initialize(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        dilation: Any,
        groups: int,
        bias: bool,
        dtype: npt.DTypeLike | None,
        init: str,
        generator: Generator | None,
        transposed: bool = False,
    ) -> None:
        name = type(self).__name__
        self.in_channels = check_size(f"{name}: in_channels", in_channels)
        self.out_channels = check_size(f"{name}: out_channels", out_channels)
        kind, self.init = check_init(name, init, dtype), init
        self.kernel_size = self._sizes("kernel_size", kernel_size, 1)
        self.stride = self._sizes("stride", stride, 1)
        self.dilation = self._sizes("dilation", dilation, 1)
        self.groups = check_groups(name, groups, self.in_channels, self.out_channels)
        first, second = self.in_channels, self.out_channels
        if not transposed:
            first, second = second, first
        kernel = self._numbers(self.kernel_size)
        shape, area = (first, second // self.groups, *kernel), int(np.prod(kernel, dtype=object))
        # PyTorch's fans, also of transposed weights: of the second and the first axis.
        fan_in, fan_out = shape[1] * area, first * area
        self.weight = Parameter(draw_weight(shape, fan_in, fan_out, init, kind, generator))
        self.bias = Parameter(draw_bias(self.out_channels, fan_in, init, kind, generator)) if bias else None

    def _sizes(self, argument: str, value: Any, minimum: int) -> Any:
        """An argument as the layer keeps it: a pair for images, an integer for signals."""
        pair = sizes_of(type(self).__name__, argument, value, minimum, self._axes, minimum)
        return pair if self._axes == 2 else pair[1]

    @staticmethod
    def _numbers(sizes: Any) -> tuple[int, ...]:
        return tuple(sizes) if isinstance(sizes, (tuple, list)) else (sizes,)

    @classmethod
    def _stored_shape(cls, config: dict[str, Any]) -> tuple[Any, ...]:
        """The shape of the weight in a configuration."""
        channels, groups = config.get("in_channels"), config.get("groups", 1)
        kernel = cls._numbers(config.get("kernel_size", ()))
        return config.get("out_channels"), check_size("in_channels", channels) // check_size("groups", groups), *kernel

    @classmethod
    def _rebuild(cls, config: dict[str, Any], stored: Stored) -> Module:
        stored("weight", cls._stored_shape(config))
        return cls(**{**config, "generator": Generator(0)})

    def config(self) -> dict[str, Any]:
        names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
        return {
            **{name: getattr(self, name) for name in names},
            **({"padding_mode": self.padding_mode} if self.padding_mode != "zeros" else {}),
            "bias": self.bias is not None,
            "dtype": str(self.weight.dtype),
            "init": self.init,
        }

    def _padded(self, x: Tensor) -> tuple[Tensor, Any]:
        """x and the padding that remains to be done: elements of the image come before, zeros within the op."""
        if self.padding_mode == "zeros" or self.padding == "valid":
            return x, self.padding
        widths: list[int] = []
        lengths = [self._numbers(value) for value in (self.kernel_size, self.dilation)]
        same = [d * (k - 1) for k, d in zip(*lengths, strict=True)]
        for axis in reversed(range(self._axes)):
            if self.padding == "same":
                widths += [same[axis] // 2, same[axis] - same[axis] // 2]
            else:
                widths += [self._numbers(self.padding)[axis]] * 2
        return pad_last(x, widths, self.padding_mode), 0

    def _padding_of(self, padding: Any, mode: str) -> Any:
        name = type(self).__name__
        if mode not in _PADDING_MODES:
            raise ValueError(f"{name}: padding_mode must be one of {', '.join(_PADDING_MODES)}, got {mode!r}")
        self.padding_mode = mode
        if not isinstance(padding, str):
            return self._sizes("padding", padding, 0)
        if padding not in ("same", "valid"):
            numbers = "an integer, a pair" if self._axes == 2 else "an integer"
            raise ValueError(f'{name}: padding must be {numbers}, "same" or "valid", got {padding!r}')
        if padding == "same" and self._numbers(self.stride) != (1,) * self._axes:
            raise ValueError(f'{name}: padding "same" needs stride 1, got {self.stride!r}')
        return padding


class Conv2d(_Convolution):
    """Two-dimensional convolution, `cr.conv2d` with learned filters.

    `weight` has shape (out_channels, in_channels / groups, kh, kw), PyTorch's, and is drawn uniformly from [-b, b), b =
    sqrt(6 / (fan_in + fan_out)) with `init="glorot"`, sqrt(6 / fan_in) with `init="he"` (for relu), 1 / sqrt(fan_in)
    with `init="torch"`; fan_in = in_channels / groups * kh * kw, fan_out = out_channels * kh * kw. `bias` has shape
    (out_channels,) and is initialized with 0, with "torch" likewise from [-b, b).

    Arguments: `in_channels`, `out_channels`, at least 1; `kernel_size`, `stride`, `padding`, `dilation` and `groups` as
    in `cr.conv2d` (groups=in_channels: each channel has filters of its own, a depthwise convolution); `bias`, whether
    to add one; `padding_mode`, "zeros", "reflect", "replicate" or "circular", the elements outside of the image as in
    `cr.pad`; `dtype`, float32 or float64; `init`; `generator`, a `cr.random.Generator` (default: the one that
    `cr.manual_seed` seeds).
    Input: x of shape (n, in_channels, h, w) in the layer's dtype, or one image. Output: shape (n, out_channels, oh,
    ow).
    Errors: ValueError for sizes, an unknown init or padding; TypeError for another dtype; in a call, the errors of
    `cr.conv2d`.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.Conv2d(3, 6, kernel_size=5, generator=cr.random.Generator(seed=1))
    >>> layer(np.ones((2, 3, 32, 32), np.float32)).shape
    (2, 6, 28, 28)
    """

    _axes = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair | str = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        dtype: npt.DTypeLike | None = None,
        init: str = "glorot",
        generator: Generator | None = None,
    ) -> None:
        self._initialize(in_channels, out_channels, kernel_size, stride, dilation, groups, bias, dtype, init, generator)
        self.padding = self._padding_of(padding, padding_mode)

    def forward(self, x: Tensor) -> Tensor:
        padded, padding = self._padded(x)
        return ops.conv2d(padded, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv1d(_Convolution):
    """One-dimensional convolution, `cr.conv1d` with learned filters.

    `weight` has shape (out_channels, in_channels / groups, k), `bias` (out_channels,); they are drawn as those of
    `cr.nn.Conv2d`, by default with `init="torch"`.

    Arguments: as `cr.nn.Conv2d`; `kernel_size`, `stride`, `padding` and `dilation` are integers.
    Input: x of shape (n, in_channels, l) in the layer's dtype, or one signal. Output: shape (n, out_channels, ol).
    Errors: as `cr.nn.Conv2d`.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.Conv1d(3, 6, kernel_size=5, padding="same", generator=cr.random.Generator(seed=1))
    >>> layer(np.ones((2, 3, 8), np.float32)).shape
    (2, 6, 8)
    """

    _axes = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int | str = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        dtype: npt.DTypeLike | None = None,
        init: str = "torch",
        generator: Generator | None = None,
    ) -> None:
        self._initialize(in_channels, out_channels, kernel_size, stride, dilation, groups, bias, dtype, init, generator)
        self.padding = self._padding_of(padding, padding_mode)

    def forward(self, x: Tensor) -> Tensor:
        padded, padding = self._padded(x)
        return ops.conv1d(padded, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class _TransposedConvolution(_Convolution):
    """The arguments of both."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        dtype: npt.DTypeLike | None = None,
        init: str = "torch",
        generator: Generator | None = None,
    ) -> None:
        self._initialize(
            in_channels, out_channels, kernel_size, stride, dilation, groups, bias, dtype, init, generator, True
        )
        self.padding = self._sizes("padding", padding, 0)
        self.output_padding = self._sizes("output_padding", output_padding, 0)
        name = type(self).__name__
        steps, gaps = (sizes_of(name, "stride", value, 1, self._axes, 1) for value in (self.stride, self.dilation))
        output_padding_of(name, output_padding, steps, gaps, self._axes)

    def forward(self, x: Tensor, output_size: Any = None) -> Tensor:
        extra = self.output_padding
        if output_size is not None:
            extra = self._extra(one(x).shape[-self._axes :], output_size)
        convolve = ops.conv_transpose2d if self._axes == 2 else ops.conv_transpose1d
        return convolve(x, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def _extra(self, shape: tuple[int, ...], output_size: Any) -> tuple[int, ...]:
        """The output padding of a result of this size."""
        arguments = (self.stride, self.padding, self.dilation, self.kernel_size)
        numbers = list(zip(shape, *(self._numbers(value) for value in arguments), strict=True))
        lowest = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in numbers]
        highest = [n + max(s, d) - 1 for n, (_, s, _, d, _) in zip(lowest, numbers, strict=True)]
        size = output_size_of(type(self).__name__, output_size, lowest, highest)
        return tuple(n - low for n, low in zip(size, lowest, strict=True))

    @classmethod
    def _stored_shape(cls, config: dict[str, Any]) -> tuple[Any, ...]:
        channels, groups = config.get("out_channels"), config.get("groups", 1)
        kernel = cls._numbers(config.get("kernel_size", ()))
        return config.get("in_channels"), check_size("out_channels", channels) // check_size("groups", groups), *kernel

    def config(self) -> dict[str, Any]:
        return {**super().config(), "output_padding": self.output_padding}


class ConvTranspose2d(_TransposedConvolution):
    """Transposed two-dimensional convolution, `cr.conv_transpose2d` with learned filters.

    `weight` has shape (in_channels, out_channels / groups, kh, kw), `bias` (out_channels,). They are drawn as those of
    `cr.nn.Conv2d`, by default with `init="torch"`; as in PyTorch, fan_in = out_channels / groups * kh * kw and fan_out
    = in_channels * kh * kw.

    Arguments: `in_channels`, `out_channels`, at least 1; `kernel_size`, `stride`, `padding`, `output_padding`, `groups`
    and `dilation` as in `cr.conv_transpose2d`; `bias`, `dtype`, `init`, `generator` as `cr.nn.Conv2d`.
    Input: x of shape (n, in_channels, h, w) in the layer's dtype, or one image; possibly the `output_size`, (oh, ow) or
    a shape that ends with them, in place of the output padding. Output: shape (n, out_channels, oh, ow).
    Errors: as `cr.nn.Conv2d`; in a call, those of `cr.conv_transpose2d`, and ValueError for an output_size that no
    output padding gives.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.ConvTranspose2d(2, 3, kernel_size=4, stride=2, padding=1, generator=cr.random.Generator(seed=1))
    >>> layer(np.ones((2, 2, 3, 3), np.float32)).shape
    (2, 3, 6, 6)
    """

    _axes = 2


class ConvTranspose1d(_TransposedConvolution):
    """Transposed one-dimensional convolution, `cr.conv_transpose1d` with learned filters.

    `weight` has shape (in_channels, out_channels / groups, k), `bias` (out_channels,); see `cr.nn.ConvTranspose2d`.

    Arguments: as `cr.nn.ConvTranspose2d`; `kernel_size`, `stride`, `padding`, `output_padding` and `dilation` are
    integers.
    Input: x of shape (n, in_channels, l) in the layer's dtype, or one signal; possibly the `output_size`. Output: shape
    (n, out_channels, ol).
    Errors: as `cr.nn.ConvTranspose2d`.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> layer = cr.nn.ConvTranspose1d(2, 3, kernel_size=4, stride=2, padding=1, generator=cr.random.Generator(seed=1))
    >>> layer(np.ones((2, 2, 5), np.float32)).shape
    (2, 3, 10)
    """

    _axes = 1


if not TYPE_CHECKING:
    __all__ = own_names(globals())

"""Random calls of convolutions and pools for derivative_cases."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import chainrule as cr
from cases.derivative_draws import Call, Generator, Rng, Shape, distinct, draw, pick_one
from chainrule import nn
from chainrule.ops._op import OPS, apply
from chainrule.ops._windows import windows_of
from reference.bits import Array

Pair = tuple[int, int]
LayerDraw = Callable[[Rng], tuple[nn.Module, list[Array]]]


def sizes(rng: Rng, low: int, high: int) -> Pair:
    """Two of them, height and width."""
    a, b = (int(i) for i in rng.integers(low, high + 1, 2))
    return a, b


def images(rng: Rng) -> Shape:
    return (*sizes(rng, 1, 2), *sizes(rng, 3, 4))


def window(rng: Rng) -> dict[str, Any]:
    """Fits into every image."""
    return {"dilation": sizes(rng, 1, 2), "padding": sizes(rng, 0, 1), "stride": sizes(rng, 1, 2)}


def conv2d(rng: Rng) -> Call:
    shape, kernel, options = images(rng), sizes(rng, 1, 2), window(rng)
    if rng.random() < 0.3:
        options |= {"padding": pick_one(rng, ("same", "valid")), "stride": 1}
    filters = int(rng.integers(1, 3))
    arrays = [draw(rng, shape), draw(rng, (filters, shape[1], *kernel)), draw(rng, (filters,))]
    return partial(cr.conv2d, **options), arrays[: int(rng.integers(2, 4))]


def _of_signals(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value[1] if isinstance(value, tuple) else value for name, value in options.items()}


def convolution(axes: int, transposed: bool) -> Generator:
    """With groups, and without the first axis of x."""

    def call(rng: Rng) -> Call:
        kernel, groups = sizes(rng, 1, 2)[:axes], int(rng.integers(1, 3))
        inner, outer = (groups * n for n in sizes(rng, 1, 2))
        options = {"dilation": sizes(rng, 1, 2), "padding": sizes(rng, 0, 1), "stride": sizes(rng, 1, 2)}
        if axes == 1:
            options = _of_signals(options)
        shape = (*sizes(rng, 1, 2)[:1], inner, *sizes(rng, 3, 4)[:axes])
        x, bias = draw(rng, shape if rng.integers(2) else shape[1:]), draw(rng, (outer,))
        weight = draw(rng, (inner, outer // groups, *kernel) if transposed else (outer, inner // groups, *kernel))
        function = getattr(cr, f"conv{'_transpose' * transposed}{axes}d")
        return partial(function, groups=groups, **options), [x, weight, bias][: int(rng.integers(2, 4))]

    return call


def unfold(rng: Rng) -> Call:
    return partial(cr.unfold, kernel_size=sizes(rng, 1, 2), **window(rng)), [draw(rng, images(rng))]


def fold(rng: Rng) -> Call:
    shape, kernel, options = images(rng), sizes(rng, 1, 2), window(rng)
    columns = cr.unfold(np.zeros(shape), kernel, **options).shape
    return partial(cr.fold, output_size=shape[2:], kernel_size=kernel, **options), [draw(rng, columns)]


def batched_matmul(rng: Rng) -> Call:
    (m, k), (n, columns), swap = sizes(rng, 1, 3), sizes(rng, 1, 3), bool(rng.integers(2))
    groups = int(rng.integers(1, 3))
    arrays = [draw(rng, (groups * k, m) if swap else (groups * m, k)), draw(rng, (n, groups * k, columns))]
    return lambda w, x: apply(OPS["batched_matmul"], (w, x), (swap, groups)), arrays


def matmul_accumulate(rng: Rng) -> Call:
    (m, k), (n, length) = sizes(rng, 1, 3), sizes(rng, 1, 3)
    groups = int(rng.integers(1, 3))
    arrays = [draw(rng, (n, groups * m, length)), draw(rng, (n, groups * k, length))]
    return lambda a, b: apply(OPS["matmul_accumulate"], (a, b), (groups,)), arrays


def pool(rng: Rng) -> dict[str, Any]:
    kernel = sizes(rng, 1, 3)
    padding = (int(rng.integers(kernel[0] // 2 + 1)), int(rng.integers(kernel[1] // 2 + 1)))
    stride = pick_one(rng, (None, sizes(rng, 1, 3)))
    return {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": bool(rng.integers(2))}


def max_pool2d(rng: Rng) -> Call:
    return partial(cr.max_pool2d, **pool(rng)), [distinct(rng, images(rng))]


def in_place(kind: str) -> Generator:
    """A convolution without columns, or one of its gradients."""

    def call(rng: Rng) -> Call:
        shape, options = images(rng), {"kernel": (2, 2), "stride": sizes(rng, 1, 2), "dilation": (1, 1)}
        h, w = shape[2:]
        windows = windows_of("conv2d", (h, w), *options.values(), [(1, 1), (0, 1)])
        weight = draw(rng, (3, shape[1] * windows.elements))
        g = draw(rng, (shape[0], 3, windows.positions))
        arrays = {"": [weight, draw(rng, shape)], "_by_weight": [g, draw(rng, shape)], "_by_images": [weight, g]}[kind]
        return lambda a, b: apply(OPS[f"convolution{kind}"], (a, b), (windows,)), arrays

    return call


def max_pool(rng: Rng) -> Call:
    windows = _overlapping("max_pool")
    return lambda x: apply(OPS["max_pool"], (x,), (windows,)), [distinct(rng, (1, 2, 3, 4))]


def max_pool_grad(rng: Rng) -> Call:
    windows, x = _overlapping("max_pool_grad"), cr.tensor(distinct(rng, (1, 2, 3, 4)))
    g = draw(rng, (1, 2, windows.oh, windows.ow))
    return lambda g: apply(OPS["max_pool_grad"], (x, g), (windows,)), [g]


def _overlapping(name: str) -> Any:
    """Windows with padding that overlap."""
    return windows_of(name, (3, 4), (2, 2), (2, 1), (1, 1), [(1, 1), (0, 0)])


def avg_pool2d(rng: Rng) -> Call:
    options = {"count_include_pad": bool(rng.integers(2)), "divisor_override": pick_one(rng, (None, None, 3))}
    return partial(cr.avg_pool2d, **pool(rng), **options), [draw(rng, images(rng))]


def convolutional(rng: Rng) -> tuple[nn.Module, list[Array]]:
    shape, options = images(rng), window(rng)
    generator = cr.random.Generator(1)
    bias = bool(rng.integers(2))
    return nn.Conv2d(shape[1], 2, sizes(rng, 1, 2), bias=bias, dtype=np.float64, generator=generator, **options), [
        draw(rng, shape)
    ]


def convolutional_of(kind: type[nn.Conv1d | nn.ConvTranspose1d | nn.ConvTranspose2d]) -> LayerDraw:
    def layer(rng: Rng) -> tuple[nn.Module, list[Array]]:
        shape, options = images(rng), window(rng)
        kernel: Any = sizes(rng, 1, 2)
        if kind._axes == 1:
            shape, options, kernel = shape[:3], _of_signals(options), kernel[0]
        options |= {"bias": bool(rng.integers(2)), "dtype": np.float64, "generator": cr.random.Generator(1)}
        return kind(shape[1], 2, kernel, **options), [draw(rng, shape)]

    return layer


CASES: dict[str, Generator] = {
    "conv2d": conv2d,
    "conv1d": convolution(1, False),
    "conv_transpose1d": convolution(1, True),
    "conv_transpose2d": convolution(2, True),
    "unfold": unfold,
    "fold": fold,
    "batched_matmul": batched_matmul,
    "matmul_accumulate": matmul_accumulate,
    **{f"convolution{kind}": in_place(kind) for kind in ("", "_by_weight", "_by_images")},
    "max_pool2d": max_pool2d,
    "max_pool": max_pool,
    "max_pool_grad": max_pool_grad,
    "avg_pool2d": avg_pool2d,
}
LAYERS: dict[str, LayerDraw] = {
    "Conv2d": convolutional,
    **{kind.__name__: convolutional_of(kind) for kind in (nn.Conv1d, nn.ConvTranspose1d, nn.ConvTranspose2d)},
    "MaxPool2d": lambda rng: (nn.MaxPool2d(**pool(rng)), [distinct(rng, images(rng))]),
    "AvgPool2d": lambda rng: (nn.AvgPool2d(**pool(rng)), [draw(rng, images(rng))]),
    "MaxPool1d": lambda rng: (nn.MaxPool1d(2, 1, 1), [distinct(rng, images(rng)[:3])]),
    "AdaptiveMaxPool1d": lambda rng: (nn.AdaptiveMaxPool1d(2), [distinct(rng, images(rng)[:3])]),
    "AdaptiveMaxPool2d": lambda rng: (nn.AdaptiveMaxPool2d(sizes(rng, 1, 4)), [distinct(rng, images(rng))]),
    "GlobalAvgPool2d": lambda rng: (nn.GlobalAvgPool2d(), [draw(rng, images(rng))]),
}

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


def unfold(rng: Rng) -> Call:
    return partial(cr.unfold, kernel_size=sizes(rng, 1, 2), **window(rng)), [draw(rng, images(rng))]


def fold(rng: Rng) -> Call:
    shape, kernel, options = images(rng), sizes(rng, 1, 2), window(rng)
    columns = cr.unfold(np.zeros(shape), kernel, **options).shape
    return partial(cr.fold, output_size=shape[2:], kernel_size=kernel, **options), [draw(rng, columns)]


def batched_matmul(rng: Rng) -> Call:
    (m, k), (n, columns), swap = sizes(rng, 1, 3), sizes(rng, 1, 3), bool(rng.integers(2))
    arrays = [draw(rng, (k, m) if swap else (m, k)), draw(rng, (n, k, columns))]
    return lambda w, x: apply(OPS["batched_matmul"], (w, x), (swap,)), arrays


def matmul_accumulate(rng: Rng) -> Call:
    (m, k), (n, length) = sizes(rng, 1, 3), sizes(rng, 1, 3)
    return lambda a, b: apply(OPS["matmul_accumulate"], (a, b)), [draw(rng, (n, m, length)), draw(rng, (n, k, length))]


def pool(rng: Rng) -> dict[str, Any]:
    kernel = sizes(rng, 1, 3)
    padding = (int(rng.integers(kernel[0] // 2 + 1)), int(rng.integers(kernel[1] // 2 + 1)))
    stride = pick_one(rng, (None, sizes(rng, 1, 3)))
    return {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": bool(rng.integers(2))}


def max_pool2d(rng: Rng) -> Call:
    return partial(cr.max_pool2d, **pool(rng)), [distinct(rng, images(rng))]


def window_max(rng: Rng) -> Call:
    """The padding of the first row of windows is the smallest element."""
    windows = windows_of("window_max", (3, 4), (2, 2), (2, 1), (1, 1), [(1, 1), (0, 0)])
    return lambda x: apply(OPS["window_max"], (x,), ((2,), windows)), [distinct(rng, (1, 2, 4, windows.positions))]


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


CASES: dict[str, Generator] = {
    "conv2d": conv2d,
    "unfold": unfold,
    "fold": fold,
    "batched_matmul": batched_matmul,
    "matmul_accumulate": matmul_accumulate,
    "max_pool2d": max_pool2d,
    "window_max": window_max,
    "avg_pool2d": avg_pool2d,
}
LAYERS: dict[str, Callable[[Rng], tuple[nn.Module, list[Array]]]] = {
    "Conv2d": convolutional,
    "MaxPool2d": lambda rng: (nn.MaxPool2d(**pool(rng)), [distinct(rng, images(rng))]),
    "AvgPool2d": lambda rng: (nn.AvgPool2d(**pool(rng)), [draw(rng, images(rng))]),
    "GlobalAvgPool2d": lambda rng: (nn.GlobalAvgPool2d(), [draw(rng, images(rng))]),
}

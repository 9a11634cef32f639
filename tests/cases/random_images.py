"""Layers of random nets that interpret a row as an image: convolutions and pools."""

from typing import Any

import numpy as np

import chainrule as cr
from cases.random_layers import Batch, Draw, Layer, layer


def image(n: int) -> tuple[int, int, int]:
    """n columns as (channels, h, w)."""
    channels = next(k for k in (3, 2, 1) if n % k == 0)
    h = next(k for k in (6, 5, 4, 3, 2, 1) if n // channels % k == 0)
    return channels, h, n // channels // h


@layer
def convolved(d: Draw, n: int) -> tuple[Layer, int]:
    channels, h, w = image(n)
    filters, kernel = 1 + d.below(5), (1 + d.below(min(h, 3)), 1 + d.below(min(w, 4)))
    weight, bias = d.parameter(filters, channels, *kernel), d.parameter(filters)
    stride, padding = (1 + d.below(2), 1 + d.below(3)), (d.below(3), d.below(2))
    act = d.activation()
    size = cr.conv2d(np.zeros((1, channels, h, w)), np.zeros(weight.shape), None, stride, padding).size

    def apply(rows: cr.Tensor, b: Batch) -> cr.Tensor:
        return act(cr.conv2d(rows.reshape(-1, channels, h, w), weight, bias, stride, padding).flatten(1))

    return apply, size


@layer
def filtered(d: Draw, n: int) -> tuple[Layer, int]:
    """The channels of a row are separate images."""
    _, h, w = image(n)
    weight, dilation = d.parameter(2, 1, 1 + d.below(3), 2), (1, 1 + d.below(2))

    def apply(rows: cr.Tensor, b: Batch) -> cr.Tensor:
        maps = cr.conv2d(rows.reshape(-1, 1, h, w), weight, None, 1, "same", dilation)
        return (maps[:, 0] * maps[:, 1]).reshape(-1, n) + rows

    return apply, n


@layer
def pooled(d: Draw, n: int) -> tuple[Layer, int]:
    channels, h, w = image(n)
    kernel, largest = (1 + d.below(h), 1 + d.below(min(w, 3))), d.chance(0.5)
    options: dict[str, Any] = {"stride": 1 + d.below(3), "padding": (kernel[0] // 2, 0), "ceil_mode": d.chance(0.5)}
    pool = cr.max_pool2d if largest else cr.avg_pool2d
    size = pool(np.zeros((1, channels, h, w)), kernel, **options).size
    return lambda rows, b: pool(rows.reshape(-1, channels, h, w), kernel, **options).flatten(1), size

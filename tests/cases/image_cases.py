"""Calls of convolutions and pools; rows for `op_cases`."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

import chainrule as cr
from cases.axis_cases import Row, Shape
from reference import conv

# Convolution and pooling: shapes of x, weight, bias; stride, padding, dilation.

CONVOLUTIONS: tuple[tuple[tuple[Shape, ...], Any, Any, Any], ...] = (
    (((2, 2, 4, 5), (3, 2, 3, 2), (3,)), (1, 1), (0, 0), (1, 1)),
    (((2, 1, 5, 4), (2, 1, 3, 3)), (2, 1), (1, 2), (1, 1)),
    (((1, 2, 6, 5), (2, 2, 2, 3), (2,)), (3, 2), (2, 0), (2, 1)),
    (((2, 3, 3, 4), (2, 3, 1, 1), (2,)), (1, 1), (0, 0), (1, 1)),
    (((1, 2, 4, 3), (2, 2, 1, 1)), (2, 2), (1, 1), (1, 1)),
    (((2, 1, 4, 5), (2, 1, 2, 3), (2,)), (1, 1), "same", (1, 2)),
    (((1, 1, 3, 3), (4, 1, 3, 3), (4,)), (1, 1), "valid", (1, 1)),
    (((1, 4, 2, 2), (1, 4, 1, 2)), (1, 1), (0, 0), (1, 1)),
    (((0, 2, 4, 4), (3, 2, 3, 3), (3,)), (1, 1), (1, 1), (1, 1)),
    (((2, 0, 4, 4), (3, 0, 3, 3), (3,)), (1, 1), (0, 0), (1, 1)),
    (((3, 3, 19, 17), (18, 3, 5, 3), (18,)), (1, 1), (2, 1), (1, 1)),
    (((2, 5, 9, 40), (3, 5, 3, 3), (3,)), (2, 1), (1, 0), (1, 3)),
    (((1, 1, 2, 3), (1, 1, 5, 5)), (1, 1), (14, 14), (1, 1)),
)  # fmt: skip
GROUPED: tuple[tuple[tuple[Shape, ...], dict[str, Any]], ...] = (
    (((2, 4, 4, 5), (6, 2, 3, 2), (6,)), {"groups": 2}),
    (((3, 3, 5, 4), (3, 1, 3, 3)), {"groups": 3, "stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)}),
)
SIGNALS: tuple[tuple[tuple[Shape, ...], dict[str, Any]], ...] = (
    (((2, 3, 7), (4, 3, 3), (4,)), {}),
    (((2, 4, 8), (2, 2, 3)), {"stride": 2, "padding": 2, "dilation": 2, "groups": 2}),
    (((1, 2, 6), (3, 2, 4), (3,)), {"padding": "same"}),
)
TRANSPOSED: tuple[tuple[tuple[Shape, ...], dict[str, Any]], ...] = (
    (((2, 3, 3, 4), (3, 2, 2, 3), (2,)), {}),
    (((1, 2, 3, 2), (2, 3, 3, 3)), {"stride": (2, 3), "padding": (1, 2), "output_padding": (1, 2), "dilation": (2, 1)}),
    (((2, 4, 2, 3), (4, 1, 3, 2), (2,)), {"stride": (2, 1), "groups": 2}),
)
TRANSPOSED_SIGNALS: tuple[tuple[tuple[Shape, ...], dict[str, Any]], ...] = (
    (((2, 3, 4), (3, 2, 3), (2,)), {}),
    (((2, 4, 3), (4, 2, 3), (4,)), {"stride": 3, "padding": 1, "output_padding": 2, "groups": 2, "dilation": 2}),
)
WINDOWS: tuple[tuple[Shape, dict[str, Any]], ...] = (
    ((2, 2, 4, 4), {"kernel": (2, 2)}),
    ((1, 2, 5, 6), {"kernel": (3, 2), "stride": (2, 1)}),
    ((1, 1, 6, 5), {"kernel": (3, 3), "stride": (2, 3), "padding": (1, 1)}),
    ((2, 1, 3, 4), {"kernel": (1, 1), "stride": (1, 1)}),
    ((0, 2, 4, 4), {"kernel": (2, 2)}),
    ((3, 5, 21, 35), {"kernel": (3, 2), "stride": (1, 1), "padding": (1, 0)}),
)
DILATED = ((1, 2, 7, 6), {"kernel": (3, 2), "stride": (1, 2), "padding": (1, 0), "dilation": (2, 3)})
CEIL = ((2, 1, 6, 7), {"kernel": (3, 2), "stride": (2, 4), "padding": (1, 1), "ceil_mode": True})


def _named(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options under the names of the public functions."""
    return {"kernel_size" if name == "kernel" else name: value for name, value in options.items()}


def _convolutions() -> Iterator[Row]:
    for shapes, stride, padding, dilation in CONVOLUTIONS:
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        note = f"{stride} {padding} {dilation}"
        yield Row("conv2d", shapes, partial(cr.conv2d, **options), partial(conv.conv2d, **options), note)
    both = (("conv2d", conv.conv2d, GROUPED), ("conv_transpose2d", conv.conv_transpose2d, TRANSPOSED))
    for name, reference, rows in (
        *both,
        ("conv1d", conv.signals(conv.conv2d), SIGNALS),
        ("conv_transpose1d", conv.signals(conv.conv_transpose2d), TRANSPOSED_SIGNALS),
    ):
        for shapes, own in rows:
            function = partial(getattr(cr, name), **own)
            yield Row(name, shapes, function, partial(reference, **own), f"{own}")
    for shape, options in (*WINDOWS, DILATED):
        yield Row(
            "unfold", [shape], partial(cr.unfold, **_named(options)), partial(conv.unfold, **options), f"{options}"
        )
        columns = conv.unfold(np.zeros(shape), **options).shape
        image = {"image": shape[2:]}
        function = partial(cr.fold, output_size=shape[2:], **_named(options))
        yield Row("fold", [columns], function, partial(conv.fold, **options, **image), f"{shape} {options}")


def _pools() -> Iterator[Row]:
    for shape, options in (*WINDOWS, DILATED, CEIL):
        function, reference = partial(cr.max_pool2d, **_named(options)), partial(conv.max_pool2d, **options)
        yield Row("max_pool2d", [shape], function, reference, f"{options}")
    more: tuple[dict[str, Any], ...] = (
        {**CEIL[1], "count_include_pad": False},
        {"kernel": (2, 3), "padding": (1, 1), "count_include_pad": False},
        {"kernel": (2, 2), "divisor_override": 3},
    )
    for shape, options in (*WINDOWS, CEIL, *((CEIL[0], options) for options in more)):
        function, reference = partial(cr.avg_pool2d, **_named(options)), partial(conv.avg_pool2d, **options)
        yield Row("avg_pool2d", [shape], function, reference, f"{options}")


def all_rows() -> Iterator[Row]:
    """All of them."""
    yield from _convolutions()
    yield from _pools()

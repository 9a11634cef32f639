"""Calls of the functions of normalisation, for the table of public functions (op_cases.py)."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import chainrule as cr
from reference import normalize
from reference.bits import Array

Shape = tuple[int, ...]
Row = tuple[str, list[Shape], Callable[..., cr.Tensor], Callable[..., Array], str]  # name, shapes, both, note
EPS = 0.25
STATISTICS = np.array([[0.5, -1.0, 2.0], [0.25, 1.5, 4.0]])


def call(name: str, options: dict[str, Any], x: Any, *affine: Any) -> cr.Tensor:
    """The function of x, weight and bias."""
    found: cr.Tensor = getattr(cr, name)(x, **options, **dict(zip(("weight", "bias"), affine, strict=False)), eps=EPS)
    return found


def rows() -> Iterator[Row]:
    for shape, axes in (((3, 5), 1), ((2, 3, 4), 2), ((4, 67), 1), ((2, 4099), 1), ((0, 3), 1)):
        of = shape[len(shape) - axes :]
        for name, most in (("layer_norm", 2), ("rms_norm", 1)):
            for affine in range(most + 1):
                function = partial(call, name, {"normalized_shape": of})
                reference = partial(getattr(normalize, name), axes=axes, eps=EPS)
                yield name, [shape, *[of] * affine], function, reference, f"{axes} {affine}"
    for shape in ((4, 3), (5, 21), (3, 2, 4), (2, 4, 2, 3), (2, 2, 33)):
        for name, options, given in (
            ("batch_norm", {"training": True}, {}),
            ("group_norm", {"num_groups": shape[1]}, {"groups": shape[1]}),
            ("group_norm", {"num_groups": 1}, {"groups": 1}),
            *((("instance_norm", {}, {"groups": shape[1]}),) if len(shape) > 2 else ()),
        ):
            source = getattr(normalize, "group_norm" if name == "instance_norm" else name)
            for affine in (0, 1, 2):
                shapes = [shape, *[shape[1:2]] * affine]
                yield name, shapes, partial(call, name, options), partial(source, **given, eps=EPS), f"{options}"


def in_evaluation(x: Any, *affine: Any) -> cr.Tensor:
    mean, variance = map(cr.tensor, STATISTICS.astype(x.dtype))
    return call("batch_norm", {"running_mean": mean, "running_var": variance}, x, *affine)


def of_statistics(x: Array, *affine: Array) -> Array:
    return normalize.batch_norm(x, *affine, statistics=STATISTICS.astype(x.dtype), eps=EPS)


def all_rows() -> Iterator[Row]:
    yield from rows()
    for shape in ((2, 3, 2), (4, 3)):
        yield "batch_norm", [shape, (3,), (3,)], in_evaluation, of_statistics, "evaluation"

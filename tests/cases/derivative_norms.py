"""Random calls of normalisation for tests/test_derivatives.py: rows of the op table, functions, layers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import chainrule as cr
from cases.derivative_draws import Call, Generator, Rng, draw, pick_one
from chainrule import nn
from chainrule.ops._op import OPS, apply
from reference.bits import Array


def channels(rng: Rng) -> tuple[Array, bool, tuple[int, ...]]:
    """x, whether each row is a channel, and the shape of a number for each channel; at least three elements each."""
    by_rows = bool(rng.integers(2))
    if by_rows:
        x = draw(rng, (int(rng.integers(1, 4)), int(rng.integers(3, 6))))
        return x, True, (x.shape[0], 1)
    lines = pick_one(rng, ((), (1,), (3,)))
    x = draw(rng, (int(rng.integers(3, 6)), int(rng.integers(1, 4)), *lines))
    return x, False, (x.shape[1], *[1] * len(lines))


def op(name: str, rng: Rng) -> Call:
    x, by_rows, numbers = channels(rng)
    others = {
        "moments": (),
        "centred_sums": (numbers, x.shape),
        "normalize": (numbers,) * int(rng.integers(2, 4)),
    }[name]
    return lambda *arrays: apply(OPS[name], arrays, (by_rows,)), [x, *[draw(rng, shape) for shape in others]]


def rows_op(name: str, rng: Rng) -> Call:
    """Of x, with its own mean and scale."""
    x = draw(rng, (int(rng.integers(1, 4)), int(rng.integers(3, 6))))

    def function(v: Any, *g: Any) -> cr.Tensor:
        mean = cr.mean(v, 1, True)
        k = 1 / cr.sqrt(cr.mean(cr.square(v - mean), 1, True) + 0.25)
        return apply(OPS[name], (cr.add(v, 0.0), mean, k, *g))

    return function, [x, *([draw(rng, x.shape)] if name == "row_norm_backward" else [])]


def over_last_axes(name: str, rng: Rng) -> Call:
    x = draw(rng, (int(rng.integers(1, 4)), 2, int(rng.integers(3, 5))))
    shape = x.shape[-int(rng.integers(1, 3)) :]
    affine = int(rng.integers(0, 2 if name == "rms_norm" else 3))
    function = partial(getattr(cr, name), normalized_shape=shape, eps=0.25)
    arrays = [x, *[draw(rng, shape)] * affine]
    return lambda v, *parts: function(v, **dict(zip(("weight", "bias"), parts, strict=False))), arrays


def by_channel(name: str, rng: Rng) -> Call:
    x = draw(rng, (4, 4, int(rng.integers(2, 4))))
    options: dict[str, dict[str, Any]] = {
        "batch_norm": {"training": True},
        "group_norm": {"num_groups": int(pick_one(rng, (1, 2, 4)))},
        "instance_norm": {},
    }
    function = partial(getattr(cr, name), **options[name], eps=0.25)
    affine = [draw(rng, (4,)) for _ in range(int(rng.integers(0, 3)))]
    return lambda v, *parts: function(v, **dict(zip(("weight", "bias"), parts, strict=False))), [x, *affine]


Build = Callable[[Rng], tuple[nn.Module, list[Array]]]
LAYERS: dict[str, Build] = {
    "BatchNorm1d": lambda rng: (nn.BatchNorm1d(3, 0.25, dtype=np.float64), [draw(rng, (4, 3))]),
    "BatchNorm2d": lambda rng: (nn.BatchNorm2d(2, 0.25, dtype=np.float64), [draw(rng, (2, 2, 2, 2))]),
    "LayerNorm": lambda rng: (nn.LayerNorm(4, 0.25, dtype=np.float64), [draw(rng, (2, 4))]),
    "RMSNorm": lambda rng: (nn.RMSNorm(4, 0.25, dtype=np.float64), [draw(rng, (2, 4))]),
    "GroupNorm": lambda rng: (nn.GroupNorm(2, 6, 0.25, dtype=np.float64), [draw(rng, (2, 6))]),
    "InstanceNorm1d": lambda rng: (nn.InstanceNorm1d(2, 0.25, affine=True, dtype=np.float64), [draw(rng, (2, 2, 3))]),
    "InstanceNorm2d": lambda rng: (nn.InstanceNorm2d(1, 0.25, dtype=np.float64), [draw(rng, (2, 1, 2, 2))]),
    "Residual": lambda rng: (nn.Residual(nn.Linear(2, 2, dtype=np.float64), nn.Tanh()), [draw(rng, (3, 2))]),
}
CASES: dict[str, Generator] = {
    **{name: partial(op, name) for name in ("moments", "centred_sums", "normalize")},
    **{name: partial(rows_op, name) for name in ("row_norm_forward", "row_norm_backward")},
    **{name: partial(over_last_axes, name) for name in ("layer_norm", "rms_norm")},
    **{name: partial(by_channel, name) for name in ("batch_norm", "group_norm", "instance_norm")},
}

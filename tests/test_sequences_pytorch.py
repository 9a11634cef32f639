"""Recurrent layers, attention and encoder layers against PyTorch: results and gradients recorded from it.

For each, from torch 2.13 in float64: the sum of all results times a pattern, and the sums of its gradients by the input
and by the parameters times patterns. Parameters are patterns, too, in PyTorch's order, the weights transposed.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from cases.layers import tensors_of
from chainrule import nn
from reference.bits import Array

F64: dict[str, Any] = {"dtype": np.float64}
ENCODER = {"dropout": 0.0, **F64}
CAUSAL = np.triu(np.ones((4, 4), bool), 1)


def itself(layer: nn.Module, x: Any) -> Any:
    return layer(x, x, x)


def masked(layer: nn.Module, x: Any) -> Any:
    result: Any = layer(x, x, x, attn_mask=CAUSAL, need_weights=False)
    return result[0]


def plain(layer: nn.Module, x: Any) -> Any:
    return layer(x)


RECORDED: tuple[tuple[Callable[[], nn.Module], Callable[..., Any], int, tuple[float, float, float]], ...] = (
    (lambda: nn.RNN(3, 2, **F64), plain, 3, (-0.7469709079199752, -0.239639120004554, 0.973344255117633)),
    (
        lambda: nn.RNN(3, 2, nonlinearity="relu", bidirectional=True, **F64),
        plain,
        3,
        (0.1776275634765625, -0.143798828125, -0.85498046875),
    ),
    (
        lambda: nn.GRU(3, 2, num_layers=2, **F64),
        plain,
        3,
        (0.16277923372103717, -0.016467566115157803, 0.23410343921470175),
    ),
    (
        lambda: nn.GRU(3, 2, bidirectional=True, batch_first=True, **F64),
        plain,
        3,
        (0.35440329352098376, -0.06318724413551263, 0.05682811764851098),
    ),
    (
        lambda: nn.LSTM(3, 2, num_layers=2, bidirectional=True, **F64),
        plain,
        3,
        (-0.048813914857649465, 0.06451644240601673, -0.3889129181225725),
    ),
    (
        lambda: nn.LSTM(3, 2, bias=False, **F64),
        plain,
        3,
        (0.059995221417223084, 0.11695657253462581, -0.1335296125970733),
    ),
    (
        lambda: nn.MultiheadAttention(6, 2, **F64),
        itself,
        6,
        (-0.5950645789408086, -0.16212241417501566, 0.134127328426924),
    ),
    (
        lambda: nn.MultiheadAttention(6, 3, **F64),
        masked,
        6,
        (-0.5786871763596343, -0.29151353930396406, 0.04099187549970831),
    ),
    (
        lambda: nn.TransformerEncoderLayer(6, 2, 5, activation="gelu", **ENCODER),
        plain,
        6,
        (0.1986282390519492, -0.5923101677740681, -0.35772797197481654),
    ),
    (
        lambda: nn.TransformerEncoderLayer(6, 3, 5, norm_first=True, **ENCODER),
        plain,
        6,
        (-0.27863753219091386, -3.147770366540409, 0.24653907569301864),
    ),
)


def pattern(i: int, shape: tuple[int, ...]) -> Array:
    return ((np.arange(np.prod(shape)) * (2 * i + 3) % 17) / 16 - 0.5).reshape(shape)


@pytest.mark.parametrize(("make", "call", "features", "recorded"), RECORDED)
@pytest.mark.parametrize("compiled", [False, True])
def test_as_in_pytorch(
    make: Callable[[], nn.Module],
    call: Callable[..., Any],
    features: int,
    recorded: tuple[float, float, float],
    compiled: bool,
) -> None:
    layer = make()
    parameters = list(layer.parameters())
    for i, p in enumerate(parameters):
        p.copy_(pattern(i, p.shape))

    def loss(x: Any) -> cr.Tensor:
        flat = cr.concatenate([cr.flatten(t) for t in tensors_of(call(layer, x))])
        return cr.sum(flat * pattern(9, flat.shape))

    def all_sums(x: Any) -> list[cr.Tensor]:
        layer.zero_grad()
        value = loss(x)
        by_x = cr.autograd.grad(value, x)[0]
        by_parameters = cr.autograd.grad(value, parameters)
        total = sum(cr.sum(g * pattern(7, g.shape)) for g in by_parameters)
        return [value, cr.sum(by_x * pattern(5, by_x.shape)), cr.sum(total)]

    x = cr.tensor(pattern(1, (4, 2, features)), requires_grad=True)
    run: Any = cr.compile(all_sums) if compiled else all_sums
    np.testing.assert_allclose([t.item() for t in run(x)], recorded, rtol=0, atol=1e-12)

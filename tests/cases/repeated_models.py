"""Models in which a parameter or layer occurs several times, and registered classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn

GENERATOR = cr.random.Generator(seed=5)
X = cr.random.Generator(seed=6).normal((4, 3))


def linear(n: int = 3, m: int = 3, **options: Any) -> nn.Linear:
    return nn.Linear(n, m, generator=GENERATOR, **options)


# Classes of a user.


@nn.register_serializable(name="tests.Residual")
class Residual(nn.Module):
    """A module that is made of another."""

    def __init__(self, inner: nn.Module, scale: float = 1.0) -> None:
        self.inner, self.scale = inner, scale

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return x + self.scale * self.inner(x)

    def config(self) -> dict[str, Any]:
        return {"inner": self.inner, "scale": self.scale}


@nn.register_serializable(name="tests.Net")
class Net(nn.Module):
    """A module that makes its layers; one weight is used twice."""

    def __init__(self, width: int, depth: int = 2, tied: bool = False) -> None:
        self.width, self.depth, self.tied = width, depth, tied
        self.layers = [nn.Linear(width, width) for _ in range(depth)]
        self.offset = nn.Parameter(np.linspace(-1, 1, width, dtype=np.float32))
        self.count = nn.Buffer([1.5])
        if tied:
            self.layers[-1].weight = self.layers[0].weight

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        for layer in self.layers:
            x = cr.tanh(layer(x))
        return x + self.offset * self.count

    def config(self) -> dict[str, Any]:
        return {"width": np.int64(self.width), "depth": self.depth, "tied": self.tied}


@nn.register_serializable
class Many(nn.Module):
    """Modules in a list and a dict of its configuration."""

    def __init__(self, first: list[nn.Module], names: dict[str, Any]) -> None:
        self.first, self.last, self.names = list(first), names["last"], names

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        for layer in (*self.first, self.last):
            x = layer(x)
        return x

    def config(self) -> dict[str, Any]:
        return {"first": self.first, "names": {"last": self.last, "numbers": [1, 2.5, None, "a", True]}}


@nn.register_serializable
class OwnSequential(nn.Sequential):
    """A subclass of a layer of cr.nn."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 3))
        self.width = width

    def config(self) -> dict[str, Any]:
        return {"width": self.width}


class Unregistered(nn.Module):
    def __init__(self) -> None:
        self.inner = nn.Linear(3, 3)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.inner(x)


# Models in which something occurs twice, with the pairs of names that are one object.

Pairs = list[tuple[str, str]]


def tied(*changes: tuple[int, str, int], layers: Callable[[], list[nn.Module]] | None = None) -> nn.Sequential:
    model = nn.Sequential(*([linear(), nn.Tanh(), linear(), linear()] if layers is None else layers()))
    for to, name, source in changes:
        setattr(model[to], name, getattr(model[source], name))
    return model


def shared_layer() -> nn.Sequential:
    layer = linear()
    return nn.Sequential(layer, nn.Tanh(), layer)


def shared_block() -> nn.Sequential:
    block = nn.Sequential(linear(), nn.Tanh())
    return nn.Sequential(block, nn.Sequential(block, linear()), block)


def shared_and_tied() -> nn.Sequential:
    block = nn.Sequential(linear(), linear())
    block[1].weight = block[0].weight
    last = linear()
    last.bias = block[0].bias
    return nn.Sequential(block, block, last)


def tied_across_blocks() -> nn.Sequential:
    model = nn.Sequential(nn.Sequential(linear(), nn.Tanh()), nn.Sequential(nn.Sequential(linear())))
    model[1][0][0].weight = model[0][0].weight
    return model


def tied_to_own() -> nn.Sequential:
    model = nn.Sequential(Net(3), linear())
    model[1].weight = model[0].layers[1].weight
    return model


def own_tied_to_first() -> nn.Sequential:
    model = nn.Sequential(linear(), Net(3))
    model[1].layers[1].weight = model[0].weight
    model[1].offset = model[0].bias
    return model


def own_with_shared_inner() -> nn.Sequential:
    inner = linear()
    return nn.Sequential(inner, Residual(inner, 0.5), Residual(nn.Sequential(inner, nn.Tanh())))


def own_layer_replaced() -> nn.Sequential:
    model = nn.Sequential(linear(), Net(3))
    model[1].layers[0] = model[0]
    return model


def own_block_changed() -> nn.Sequential:
    model = nn.Sequential(linear(), nn.ReLU(), OwnSequential(3))
    model[2]._layers[0] = model[0]
    return model


def own_twice() -> nn.Sequential:
    net = Net(3, tied=True)
    return nn.Sequential(net, nn.Tanh(), net)


def tied_buffers() -> nn.Sequential:
    model = nn.Sequential(nn.Standardize(3), nn.Standardize(3), linear()).eval()
    nn.fit_preprocessing(model, X)
    model[1].mean = model[0].mean
    return model


REPEATED: dict[str, tuple[Callable[[], nn.Module], Pairs]] = {
    "weight": (lambda: tied((2, "weight", 0)), [("0.weight", "2.weight")]),
    "bias": (lambda: tied((2, "bias", 0)), [("0.bias", "2.bias")]),
    "weight and bias": (
        lambda: tied((2, "weight", 0), (2, "bias", 0)),
        [("0.weight", "2.weight"), ("0.bias", "2.bias")],
    ),
    "three": (lambda: tied((2, "weight", 0), (3, "weight", 0)), [("0.weight", "2.weight"), ("0.weight", "3.weight")]),
    "chain": (lambda: tied((2, "weight", 0), (3, "bias", 2)), [("0.weight", "2.weight"), ("2.bias", "3.bias")]),
    "two pairs": (lambda: tied((2, "weight", 0), (3, "bias", 0)), [("0.weight", "2.weight"), ("0.bias", "3.bias")]),
    "float64": (
        lambda: tied((1, "weight", 0), layers=lambda: [linear(dtype=np.float64), linear(dtype=np.float64)]),
        [("0.weight", "1.weight")],
    ),
    "without bias": (
        lambda: tied((1, "weight", 0), layers=lambda: [linear(bias=False), linear(bias=False)]),
        [("0.weight", "1.weight")],
    ),
    "other classes": (
        lambda: tied((1, "weight", 0), layers=lambda: [linear(), nn.Maxout(3, 1, 3, generator=GENERATOR)]),
        [("0.weight", "1.weight")],
    ),
    "slopes": (lambda: tied((1, "weight", 0), layers=lambda: [nn.PReLU(3), nn.PReLU(3)]), [("0.weight", "1.weight")]),
    "across blocks": (tied_across_blocks, [("0.0.weight", "1.0.0.weight")]),
    "layer": (shared_layer, [("0", "2")]),
    "block": (shared_block, [("0", "1.0"), ("0", "2")]),
    "layer and weight": (shared_and_tied, [("0", "1"), ("0.0.weight", "0.1.weight"), ("0.0.bias", "2.bias")]),
    "one of an own class": (tied_to_own, [("0.layers.1.weight", "1.weight")]),
    "inside an own class": (own_tied_to_first, [("0.weight", "1.layers.1.weight"), ("0.bias", "1.offset")]),
    "layers of own classes": (own_with_shared_inner, [("0", "1.inner"), ("0", "2.inner.0")]),
    "layer put into an own class": (own_layer_replaced, [("0", "1.layers.0")]),
    "layer put into a block": (own_block_changed, [("0", "2.0")]),
    "own class": (own_twice, [("0", "2"), ("0.layers.0.weight", "2.layers.1.weight")]),
    "by the constructor": (lambda: Net(3, tied=True), [("layers.0.weight", "layers.1.weight")]),
    "buffers": (tied_buffers, [("0.mean", "1.mean")]),
}

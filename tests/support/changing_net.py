"""A module of a user, with attributes of all kinds, and code that reads globals."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn

X = cr.random.Generator(seed=3).normal((6, 5))
SCALE = 2.0
TABLE = {"shift": np.array([0.5, -1.5, 2.5, 1.0], np.float32), "rates": [0.25, 3.0]}
SETTINGS = types.SimpleNamespace(slope=0.25, unused=1)


def linear(inputs: int, outputs: int, seed: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, generator=cr.random.Generator(seed))


class Block(nn.Module):
    def __init__(self) -> None:
        self.inner = linear(4, 4, 12)
        self.power = 2

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.inner(x) ** self.power


class Slots:
    __slots__ = ("rate",)

    def __init__(self) -> None:
        self.rate = 0.5


class Net(nn.Module):
    """A module of a user, with attributes of all kinds."""

    bonus = 0.125

    def __init__(self) -> None:
        self.first = linear(5, 4, 11)
        self.blocks = [Block()]
        self.by_name = {"a": linear(4, 4, 13)}
        for parameter in self.by_name["a"].parameters():
            parameter.requires_grad = False
        self.scale = 2.0
        self.flag = True
        self.drop = nn.Dropout(0.5, generator=cr.random.Generator(5))
        self.shift = np.array([1.0, 2.0, 3.0, 4.0], np.float32)
        self.options: dict[str, Any] = {"slope": 0.5, "names": ["a"]}
        self.activation: Callable[[cr.Tensor], cr.Tensor] = cr.tanh
        self.pair = (1.5, "add")
        self.config = types.SimpleNamespace(rate=0.75)
        self.slots = Slots()
        self.queue = deque([0.5, 1.5], maxlen=4)
        self.chosen = {"x", "y"}
        self.calls = 0

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        h = self.activation(self.first(x)) * self.scale + self.shift
        for block in self.blocks:
            h = block(h)
        h = h + self.by_name["a"](h) * self.options["slope"] * len(self.options["names"])
        h = h * self.config.rate + self.slots.rate + sum(self.queue) + len(self.chosen) + self.bonus
        h = self.drop(h * self.pair[0])
        return self.finish(h) if self.flag else h

    def finish(self, h: cr.Tensor) -> cr.Tensor:
        return cr.leaky_relu(h, SETTINGS.slope) * SCALE + TABLE["shift"] * TABLE["rates"][0]


class Other(Net):
    def finish(self, h: cr.Tensor) -> cr.Tensor:
        return h * 3.0

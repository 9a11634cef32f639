"""Optimizers of every kind, parameters of three shapes, and a step on them."""

from collections.abc import Callable

import numpy as np
import pytest

import chainrule as cr
from chainrule.optim import SGD, Adagrad, Adam, AdamW, RMSprop

Make = Callable[[list[cr.nn.Parameter]], cr.optim.Optimizer]
EVERY: dict[str, Make] = {
    "sgd": lambda p: SGD(p, 0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: Adam(p, 0.05),
    "amsgrad": lambda p: Adam(p, 0.05, (0.5, 0.8), amsgrad=True, weight_decay=0.1),
    "adamw": lambda p: AdamW(p, 0.05, weight_decay=0.2),
    "rmsprop": lambda p: RMSprop(p, momentum=0.5),
    "centered": lambda p: RMSprop(p, alpha=0.7, centered=True),
    "adagrad": lambda p: Adagrad(p, 0.1, lr_decay=0.3, initial_accumulator_value=0.2),
}
each_optimizer = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY.keys())


def parameters(dtype: type = np.float32) -> list[cr.nn.Parameter]:
    generator = cr.random.Generator(seed=3)
    return [cr.nn.Parameter(generator.normal(shape, dtype=dtype)) for shape in ((4, 3), (3,), ())]


def one_step(params: list[cr.nn.Parameter], optimizer: cr.optim.Optimizer) -> None:
    """On a loss with a different gradient everywhere."""
    optimizer.zero_grad()
    sum((cr.sum(cr.square(cr.square(p))) for p in params[1:]), start=cr.sum(cr.square(params[0]))).backward()
    optimizer.step()


def run(params: list[cr.nn.Parameter], optimizer: cr.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        one_step(params, optimizer)


def bits(params: list[cr.nn.Parameter]) -> bytes:
    return b"".join(p.numpy().tobytes() for p in params)

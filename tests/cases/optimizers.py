"""Optimizers of every kind, parameters of three shapes, and a step on them.

A new optimizer is included automatically, with the options of its kernel's row in `reference.UPDATES`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from reference import UPDATES

Make = Callable[[list[cr.nn.Parameter]], Optimizer]
CLASSES: dict[str, type[Optimizer]] = {
    name: kind
    for name in cr.optim.__all__
    if isinstance(kind := getattr(cr.optim, name), type) and issubclass(kind, Optimizer) and kind is not Optimizer
}


def kernels(kind: type[Optimizer]) -> list[str]:
    """The update kernels of a class, that of its default options first."""
    default = kind([cr.nn.Parameter([[1.0]])]).param_groups[0]._update
    return [default, *(name for name, _ in kind._updates if name != default)]


def options(kind: type[Optimizer], numbers: Sequence[float]) -> dict[str, Any]:
    """The options of a class from the hyperparameters of a kernel."""
    left, found = list(numbers), {}
    for name, option in kind._options.items():
        if len(left) >= option.size:
            values, left = left[: option.size], left[option.size :]
            found[name] = tuple(values) if name == "betas" else values[-1]
    return found


EVERY: dict[str, Make] = {
    "sgd": lambda p: SGD(p, 0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: Adam(p, 0.05),
    "amsgrad": lambda p: Adam(p, 0.05, (0.5, 0.8), amsgrad=True, weight_decay=0.1),
    "adamw": lambda p: AdamW(p, 0.05, weight_decay=0.2),
    "rmsprop": lambda p: RMSprop(p, momentum=0.5),
    "centered": lambda p: RMSprop(p, alpha=0.7, centered=True),
    "dampened": lambda p: SGD(p, 0.05, momentum=0.9, dampening=0.3, maximize=True),
    "adagrad": lambda p: Adagrad(p, 0.1, lr_decay=0.3, initial_accumulator_value=0.2),
}
COVERED = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Muon")  # Muon: of matrices only, in tests/test_muon.py
BY_REFERENCE: dict[str, Make] = {  # those without a row above
    name.lower(): partial(kind, **options(kind, UPDATES[kernels(kind)[0]].hyperparameters[0]))
    for name, kind in CLASSES.items()
    if name not in COVERED
}
EVERY |= BY_REFERENCE
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

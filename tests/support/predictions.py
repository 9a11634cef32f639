"""Rows, a net, and the check that its predictions have the bits of eager execution."""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn
from chainrule.nn._evaluate import predict_eagerly
from chainrule.nn._predict_cache import PredictCache


def rows(n: int, features: int = 5, dtype: Any = np.float32) -> np.ndarray:
    return cr.random.Generator(seed=31).normal((n, features), dtype=dtype)


def linear(inputs: int = 5, outputs: int = 4, seed: int = 32, **options: Any) -> nn.Linear:
    return nn.Linear(inputs, outputs, generator=cr.random.Generator(seed), **options)


def net() -> nn.Sequential:
    return nn.Sequential(linear(5, 8), nn.LeakyReLU(0.25), nn.Dropout(0.5), linear(8, 4, 33))


def cache(model: nn.Module) -> PredictCache:
    assert model._predictions is not None
    return model._predictions


def compiled(model: nn.Module) -> bool:
    """Whether the latest call left a program."""
    return bool(cache(model)._runs)


def assert_right(model: nn.Module, x: np.ndarray | None = None, program: bool = True) -> None:
    """Three calls, so that the model is compiled where it can be, give the bits of the ops one by one."""
    x = rows(6) if x is None else x
    expected = predict_eagerly(model, x)
    for _ in range(3):
        found = model.predict(x)
        assert found.tobytes() == expected.tobytes()
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert compiled(model) == program

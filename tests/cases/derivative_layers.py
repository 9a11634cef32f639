"""Random calls of the layers, as functions of their inputs and of all parameters, for tests/test_derivatives.py.

A layer without a row here is called as the example in its docstring calls it, with random numbers.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import chainrule as cr
from cases import derivative_images, derivative_losses, derivative_norms
from cases.derivative_draws import GAP, Call, Generator, Rng, draw, pick_one, some_shape
from cases.layers import CALLABLE, example
from chainrule import nn
from chainrule.nn import _activations
from reference.bits import Array

WHOLE = (-3.0, -1.0, 0.0, 1.0, 3.0)
Build = Callable[[Rng], tuple[nn.Module, list[Array]]]


def layer(build: Callable[[Rng], tuple[nn.Module, list[Array]]], rng: Rng) -> Call:
    """The layer's parameters are arguments behind its inputs."""
    module, inputs = build(rng)
    places = [(m, name) for m in module.modules() for name, p in vars(m).items() if isinstance(p, nn.Parameter)]

    def function(*values: Any) -> cr.Tensor:
        for (owner, name), value in zip(places, values[len(inputs) :], strict=True):
            setattr(owner, name, value)
        return module(*values[: len(inputs)])

    return function, [*inputs, *[draw(rng, getattr(owner, name).shape) for owner, name in places]]


def fully_connected(rng: Rng, n: int = 3) -> nn.Linear:
    return nn.Linear(n, int(rng.integers(1, 4)), bool(rng.integers(2)), np.float64, generator=cr.random.Generator(1))


def activation(build: Callable[[], nn.Module], rng: Rng) -> tuple[nn.Module, list[Array]]:
    """Default arguments; kinks are at integers."""
    return build(), [draw(rng, some_shape(rng, 1), kinks=WHOLE)]


def as_in_its_example(kind: type[nn.Module], rng: Rng) -> tuple[nn.Module, list[Array]]:
    """Inputs of the example's shapes; integers are unchanged; kinks are at integers."""
    found = example(kind)
    inputs = [x.numpy() if isinstance(x, cr.Tensor) else np.asarray(x) for x in found.inputs]
    return copy.deepcopy(found.layer), [draw(rng, x.shape, kinks=WHOLE) if x.dtype.kind == "f" else x for x in inputs]


def leaky(rng: Rng) -> tuple[nn.Module, list[Array]]:
    x = draw(rng, some_shape(rng, 2), kinks=(0.0,))
    return nn.PReLU(pick_one(rng, (1, x.shape[1])), dtype=np.float64), [x]


def largest_of_linear(rng: Rng) -> Call:
    """No two pieces of an output near to each other."""
    build = lambda rng: (nn.Maxout(2, int(rng.integers(1, 3)), dtype=np.float64), [draw(rng, (2, 2))])  # noqa: E731
    while True:
        function, arrays = layer(build, rng)
        x, weight, bias = arrays
        pieces = (x @ weight + bias).reshape(2, -1, 2)
        if np.abs(pieces[..., 0] - pieces[..., 1]).min() > 10 * GAP:
            return function, arrays


def net(rng: Rng) -> tuple[nn.Module, list[Array]]:
    first = fully_connected(rng)
    return nn.Sequential(first, nn.Tanh(), fully_connected(rng, first.out_features)), [draw(rng, (2, 3))]


def dropped(rng: Rng) -> Call:
    """The same elements at every call."""
    seed = int(rng.integers(1000))
    return lambda x: nn.Dropout(0.4, cr.random.Generator(seed))(x), [draw(rng, some_shape(rng))]


def coded(rng: Rng) -> Call:
    """Numeric columns around a categorical one."""
    module, rows = nn.OneHot(3, {1: 4}), int(rng.integers(1, 4))
    codes = rng.integers(0, 4, (rows, 1)).astype(np.float64)
    return lambda x: module(cr.concatenate([x[:, :1], codes, x[:, 1:]], 1)), [draw(rng, (rows, 2))]


def looked_up(rng: Rng) -> Call:
    """Rows of the table, some of them several times, some never."""
    module, index = nn.Embedding(4, 3, dtype=np.float64), rng.integers(0, 4, some_shape(rng, 1, 2, 5))

    def function(weight: Any) -> cr.Tensor:
        module.weight = weight
        return module(index)

    return function, [draw(rng, (4, 3))]


def fitted(build: Callable[..., Any], rng: Rng, **options: Any) -> tuple[nn.Module, list[Array]]:
    """A layer of three columns that has seen some rows."""
    return build(3, dtype=np.float64, **options).fit(draw(rng, (6, 3))), [draw(rng, (int(rng.integers(1, 4)), 3))]


def polynomial(rng: Rng) -> tuple[nn.Module, list[Array]]:
    features = int(rng.integers(1, 4))
    words = [bool(rng.integers(2)) for _ in range(2)]
    return nn.PolynomialFeatures(int(rng.integers(1, 4)), features, *words), [draw(rng, (2, features))]


def radial(rng: Rng) -> tuple[nn.Module, list[Array]]:
    return nn.RBFFeatures(draw(rng, (3, 2)), gamma=0.5), [draw(rng, (*some_shape(rng, 0, 2, 4), 2))]


LAYERS: dict[str, Build] = {
    "Sequential": net,
    "Linear": lambda rng: (fully_connected(rng), [draw(rng, (*some_shape(rng, 0, 2, 4), 3))]),
    "Flatten": lambda rng: (nn.Flatten(), [draw(rng, some_shape(rng, 2))]),
    **{
        name: partial(activation, getattr(nn, name)) for name in _activations.__all__ if name not in ("PReLU", "Maxout")
    },
    "PReLU": leaky,
    **derivative_images.LAYERS,
    **derivative_norms.LAYERS,
    "Output": lambda rng: (nn.Output("count", 3, 2, dtype=np.float64), [draw(rng, (2, 3))]),
    "Standardize": partial(fitted, nn.Standardize),
    "PCA": partial(fitted, nn.PCA, components=2),
    "Whiten": partial(fitted, nn.Whiten, eps=0.1),
    "PolynomialFeatures": polynomial,
    "RBFFeatures": radial,
}

CASES: dict[str, Generator] = {
    **{f"nn.{name}": partial(layer, build) for name, build in LAYERS.items()},
    "nn.Maxout": largest_of_linear,
    "nn.Dropout": dropped,
    "nn.OneHot": coded,
    "nn.Embedding": looked_up,
}
CASES |= {
    f"nn.{name}": partial(layer, partial(as_in_its_example, kind))
    for name, kind in CALLABLE.items()
    if f"nn.{name}" not in {*CASES, *derivative_losses.CASES}
}

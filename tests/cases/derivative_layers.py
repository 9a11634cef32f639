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
from cases.derivative_draws import GAP, Call, Generator, Rng, distinct, draw, pick_one, some_shape
from cases.layers import CALLABLE, example, tensors_of
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


def dropped(kind: type[nn.Module], shape: tuple[int, ...] | None, rng: Rng) -> Call:
    """The same elements at every call."""
    seed = int(rng.integers(1000))
    x = draw(rng, some_shape(rng) if shape is None else shape)
    return lambda v: kind(0.4, generator=cr.random.Generator(seed))(v), [x]  # type: ignore[call-arg]


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


def recurrent(kind: type[Any], rng: Rng) -> tuple[nn.Module, list[Array]]:
    """Outputs and states of a layer or a cell, side by side."""
    sizes: list[Any] = [int(rng.integers(1, 3)) for _ in range(2)]
    options: dict[str, Any] = {"bias": bool(rng.integers(2)), "dtype": np.float64, "generator": cr.random.Generator(1)}
    if kind in (nn.RNN, nn.GRU, nn.LSTM):
        options |= {name: bool(rng.integers(2)) for name in ("batch_first", "bidirectional")}
        options["num_layers"] = int(rng.integers(1, 3))
    x = draw(rng, (*(int(rng.integers(1, 3)) for _ in range(2 if "num_layers" in options else 1)), sizes[0]))
    return Joined(kind(*sizes, **options)), [x]


def attentive(rng: Rng) -> tuple[nn.Module, list[Array]]:
    """Queries, keys and values of different features, with the weights, or one tensor for all, without."""
    options: dict[str, Any] = {"bias": bool(rng.integers(2)), "dtype": np.float64, "generator": cr.random.Generator(1)}
    if rng.integers(2):
        return Joined(nn.MultiheadAttention(2, pick_one(rng, (1, 2)), **options), True), [draw(rng, (2, 1, 2))]
    layer = nn.MultiheadAttention(2, 2, kdim=3, vdim=1, batch_first=bool(rng.integers(2)), **options)
    rows, (n, m) = int(rng.integers(1, 3)), (int(rng.integers(1, 3)) for _ in range(2))
    shapes = [(n, rows, 2), (m, rows, 3), (m, rows, 1)]
    shapes = [(b, a, c) for a, b, c in shapes] if layer.batch_first else shapes
    return Joined(layer), [draw(rng, shape) for shape in shapes]


def transformer(name: str, rng: Rng) -> tuple[nn.Module, list[Array]]:
    """A layer, or one in a stack with a norm at its end; gelu has no kink, and with a large eps norms are smooth."""
    options: dict[str, Any] = {"dropout": 0.0, "dtype": np.float64, "generator": cr.random.Generator(1)}
    options |= {"layer_norm_eps": 2.0, "norm_first": bool(rng.integers(2)), "batch_first": bool(rng.integers(2))}
    sizes = (2, int(rng.integers(1, 3)), *((1, 1) if name == "Transformer" else ()), 2)
    kind: Any = getattr(nn, name if name in ("Transformer", *LAYER_OF.values()) else LAYER_OF[name])
    layer: nn.Module = kind(*sizes, activation="gelu", **options)
    if name in LAYER_OF:
        layer = getattr(nn, name)(layer, 1, nn.LayerNorm(2, 2.0, dtype=np.float64))
    shapes = [(2, int(rng.integers(1, 3)), 2)] * (1 if "Encoder" in name else 2)
    return layer, [draw(rng, shape) for shape in shapes]


LAYER_OF = {"TransformerEncoder": "TransformerEncoderLayer", "TransformerDecoder": "TransformerDecoderLayer"}


class Joined(nn.Module):
    """All results of a layer as one vector; `itself`: attention of the one input to itself, without weights."""

    def __init__(self, inner: nn.Module, itself: bool = False) -> None:
        self.inner, self.itself = inner, itself

    def forward(self, *inputs: Any) -> cr.Tensor:
        found: Any = self.inner(*inputs * 3, need_weights=False)[0] if self.itself else self.inner(*inputs)
        return cr.concatenate([cr.flatten(t) for t in tensors_of(found)])


def fitted(build: Callable[..., Any], rng: Rng, **options: Any) -> tuple[nn.Module, list[Array]]:
    """A layer of three columns that has seen some rows."""
    return build(3, dtype=np.float64, **options).fit(draw(rng, (6, 3))), [draw(rng, (int(rng.integers(1, 4)), 3))]


def polynomial(rng: Rng) -> tuple[nn.Module, list[Array]]:
    features = int(rng.integers(1, 4))
    words = [bool(rng.integers(2)) for _ in range(2)]
    return nn.PolynomialFeatures(int(rng.integers(1, 4)), features, *words), [draw(rng, (2, features))]


def radial(rng: Rng) -> tuple[nn.Module, list[Array]]:
    return nn.RBFFeatures(draw(rng, (3, 2)), gamma=0.5), [draw(rng, (*some_shape(rng, 0, 2, 4), 2))]


def unpooled(kind: type[nn.Module], shape: tuple[int, ...], rng: Rng) -> Call:
    """Elements at different places of each plane."""
    n, size = int(np.prod(shape[2:])), int(np.prod(shape[2:])) * 2 ** (len(shape) - 2)
    index = np.array([rng.permutation(size)[:n] for _ in range(shape[0] * shape[1])]).reshape(shape)
    module = kind(2)  # type: ignore[call-arg]
    return lambda x: module(x, index), [draw(rng, shape)]


def in_bags(rng: Rng) -> Call:
    module = nn.EmbeddingBag(4, 3, mode=pick_one(rng, ("sum", "mean", "max")), dtype=np.float64)
    index = rng.integers(0, 4, (2, 3))

    def function(weight: Any) -> cr.Tensor:
        module.weight = weight
        return module(index)

    return function, [distinct(rng, (4, 3))]


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
    "MultiheadAttention": attentive,
    "Output": lambda rng: (nn.Output("count", 3, 2, dtype=np.float64), [draw(rng, (2, 3))]),
    "Standardize": partial(fitted, nn.Standardize),
    "PCA": partial(fitted, nn.PCA, components=2),
    "Whiten": partial(fitted, nn.Whiten, eps=0.1),
    "PolynomialFeatures": polynomial,
    "RBFFeatures": radial,
}


def not_saturated(build: Build, rng: Rng) -> Call:
    """Small numbers: the slope of tanh far from 0 is known to an ULP of 1 only, and large ones bend what follows."""
    function, arrays = layer(build, rng)
    return function, [x / 4 for x in arrays]


CASES: dict[str, Generator] = {
    **{
        f"nn.{kind.__name__}": partial(not_saturated, partial(recurrent, kind))
        for kind in (nn.RNN, nn.GRU, nn.LSTM, nn.RNNCell, nn.GRUCell, nn.LSTMCell)
    },
    **{
        f"nn.{name}": partial(not_saturated, partial(transformer, name))
        for name in ("Transformer", *LAYER_OF, *LAYER_OF.values())
    },
    **{f"nn.{name}": partial(layer, build) for name, build in LAYERS.items()},
    "nn.Maxout": largest_of_linear,
    "nn.Dropout": partial(dropped, nn.Dropout, None),
    "nn.Dropout1d": partial(dropped, nn.Dropout1d, (2, 2, 1)),
    "nn.Dropout2d": partial(dropped, nn.Dropout2d, (2, 2, 1, 1)),
    "nn.OneHot": coded,
    "nn.Embedding": looked_up,
    "nn.EmbeddingBag": in_bags,
    "nn.MaxUnpool1d": partial(unpooled, nn.MaxUnpool1d, (2, 1, 3)),
    "nn.MaxUnpool2d": partial(unpooled, nn.MaxUnpool2d, (1, 2, 2, 1)),
}
CASES |= {
    f"nn.{name}": partial(layer, partial(as_in_its_example, kind))
    for name, kind in CALLABLE.items()
    if f"nn.{name}" not in {*CASES, *derivative_losses.CASES}
}

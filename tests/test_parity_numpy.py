"""A training run in float32 follows a plain NumPy net in float64: the loss within 1e-5 over 100 steps."""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from reference.bits import Array

STEPS, BATCH = 100, 50
SIZES = (64, 32, 16, 10)
Activation = tuple[nn.Module, Callable[[Array], Array], Callable[[Array, Array], Array]]


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


# The layer, its value, and its derivative from the input and the output.
ACTIVATIONS: dict[str, Activation] = {
    "relu": (nn.ReLU(), lambda x: np.maximum(x, 0), lambda x, y: (x > 0).astype(x.dtype)),
    "leaky_relu": (nn.LeakyReLU(0.1), lambda x: np.where(x > 0, x, 0.1 * x), lambda x, y: np.where(x > 0, 1.0, 0.1)),
    "tanh": (nn.Tanh(), np.tanh, lambda x, y: 1 - y * y),
    "sigmoid": (nn.Sigmoid(), sigmoid, lambda x, y: y * (1 - y)),
    "softplus": (nn.Softplus(), lambda x: np.log1p(np.exp(x)), lambda x, y: sigmoid(x)),
}


def numpy_run(
    weights: list[Array],
    batches: list[tuple[Array, Array]],
    activation: Activation,
    lr: float,
    momentum: float,
    decay: float,
) -> Iterator[float]:
    """Losses of softmax regression on top of a net, written as in a textbook."""
    _, value, derivative = activation
    velocity = [np.zeros_like(w) for w in weights]
    for X, labels in batches:
        inputs, sums = [X], []
        for i in range(0, len(weights), 2):
            sums.append(inputs[-1] @ weights[i] + weights[i + 1])
            inputs.append(value(sums[-1]) if i + 2 < len(weights) else sums[-1])
        scores = inputs[-1]
        log_p = scores - np.log(np.exp(scores).sum(1, keepdims=True))
        yield float(-log_p[np.arange(len(X)), labels].mean())
        delta = (np.exp(log_p) - np.eye(scores.shape[1])[labels]) / len(X)
        gradients: list[Array] = []
        for i in range(len(weights) - 2, -1, -2):
            layer = i // 2
            if i + 2 < len(weights):
                delta = delta * derivative(sums[layer], inputs[layer + 1])
            gradients = [inputs[layer].T @ delta, delta.sum(0), *gradients]
            delta = delta @ weights[i].T
        for w, v, g in zip(weights, velocity, gradients, strict=True):
            v *= momentum
            v += g + decay * w
            w -= lr * v


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_loss_follows_numpy(name: str) -> None:
    pixels, y = cr.data.load_digits()
    X: Array = np.asarray(pixels, np.float32) / 16
    generator = cr.random.Generator(5)
    layers: list[nn.Module] = []
    for i, (inside, outside) in enumerate(pairwise(SIZES)):
        layers += [nn.Linear(inside, outside, generator=generator)]
        layers += [ACTIVATIONS[name][0]] if i < len(SIZES) - 2 else []
    model = nn.Sequential(*layers)
    optimizer = cr.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    order = np.random.default_rng(0).permutation(len(X))
    batches = [(X[rows], y[rows]) for rows in np.resize(order, (STEPS, BATCH))]

    start = [p.numpy().astype(np.float64) for p in model.parameters()]
    wide = [(a.astype(np.float64), labels) for a, labels in batches]
    expected = list(numpy_run(start, wide, ACTIVATIONS[name], 0.05, 0.9, 1e-4))
    losses = []
    for rows, labels in batches:
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(rows), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    assert expected[-1] < 0.9 * expected[0], "the net has to learn, or any two runs agree"
    difference = np.abs(np.asarray(losses) - expected)
    assert difference.max() < 1e-5, f"{difference.max():.2g} at step {difference.argmax()}"

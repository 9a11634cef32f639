"""A training run has one digest on every level and number of threads; its float32 bits equal the reference's."""

from collections.abc import Callable

import numpy as np

import chainrule as cr
from chainrule import nn
from reference import activations, assert_same_bits, elementary, elementary_gradients, linear, linear_grad, sgd_step
from reference.bits import Array
from reference.softmax_losses import cross_entropy, cross_entropy_grad
from support import short_training as training
from support.variants import every_setting

VALUE: dict[type[nn.Module], Callable[[Array], Array]] = {
    nn.ReLU: activations.relu,
    nn.Tanh: elementary.tanh,
    nn.Sigmoid: elementary.sigmoid,
    nn.LeakyReLU: lambda x: activations.leaky_relu(x, 0.1),
    nn.Softplus: elementary.softplus,
}
GRADIENT: dict[
    type[nn.Module], Callable[[Array, Array, Array], Array]
] = {  # of the input, the output and the gradient that arrives
    nn.ReLU: lambda x, y, g: activations.relu_grad(y, g),
    nn.Tanh: lambda x, y, g: elementary_gradients.tanh_grad(y, g),
    nn.Sigmoid: lambda x, y, g: elementary_gradients.sigmoid_grad(y, g),
    nn.LeakyReLU: lambda x, y, g: activations.leaky_relu_grad(x, g, 0.1),
    nn.Softplus: lambda x, y, g: elementary_gradients.softplus_grad(x, g),
}
LR, MOMENTUM, DECAY = 0.1, 0.9, 1e-3


def test_one_digest_for_all_levels_and_threads() -> None:
    digests = {setting: training.digest() for setting in every_setting(threads=(1, 2, 3, 4, 7, 8))}
    assert len(set(digests.values())) == 1, digests


def reference_step(layers: list[nn.Module], parameters: list[Array], X: Array, labels: Array) -> list[Array]:
    """Loss, then the gradients of weight and bias of every linear layer, first layer first."""
    kept: list[Array] = [X]
    weights = iter(zip(parameters[::2], parameters[1::2], strict=True))
    for layer in layers:
        x = kept[-1]
        kept.append(linear(x, *next(weights)) if isinstance(layer, nn.Linear) else VALUE[type(layer)](x))
    g = cross_entropy_grad(kept[-1], labels, np.float32(1))
    gradients: list[Array] = []
    weight = iter(parameters[-2::-2])
    for layer, x, y in zip(layers[::-1], kept[-2::-1], kept[:0:-1], strict=True):
        if isinstance(layer, nn.Linear):
            g, by_weight, by_bias = linear_grad(x, next(weight), g)
            gradients = [by_weight, by_bias, *gradients]
        else:
            g = GRADIENT[type(layer)](x, y, g)
    return [cross_entropy(kept[-1], labels), *gradients]


def test_steps_are_the_reference_s() -> None:
    X, labels = training.data()
    for setting in every_setting(threads=(1, 3)):
        model = training.network(np.float32)
        optimizer = cr.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM, nesterov=True, weight_decay=DECAY)
        expected = [p.numpy().copy() for p in model.parameters()]
        buffers: list[Array | None] = [np.zeros_like(p) for p in expected]
        for step in range(3):
            optimizer.zero_grad()
            loss = nn.CrossEntropyLoss()(model(cr.tensor(X)), labels)
            loss.backward()
            in_numpy, *gradients = reference_step(list(model), expected, X, labels)
            assert_same_bits(loss.numpy(), in_numpy, f"{setting}, loss of step {step}")
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                assert parameter.grad is not None
                assert_same_bits(parameter.grad.numpy(), gradient, f"{setting}, gradient in step {step}")
            optimizer.step()
            for i, gradient in enumerate(gradients):
                expected[i], buffers[i] = sgd_step(
                    expected[i], gradient, buffers[i], LR, MOMENTUM, DECAY, nesterov=True
                )
        for parameter, value in zip(model.parameters(), expected, strict=True):
            assert_same_bits(parameter.numpy(), value, f"{setting}, trained")

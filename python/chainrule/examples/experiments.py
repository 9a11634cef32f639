"""Claims of the lectures as small experiments: seeded, about a second each, with identical results on every machine.

Each function returns a dataclass of results; `python -m chainrule.examples.plots FOLDER` plots them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .. import nn, ops
from .._tensor import Tensor, tensor
from .._util.dtypes import Array
from ..autodiff._transforms import grad
from ..compiler import compile
from ..inspect import saturation as saturation_report
from ..optim import SGD
from ..random import Generator
from ..train._history import History
from ..train._linear_regression import linear_regression
from ..tuning import multi_start
from .printed import from_printed
from .shapes import sawtooth
from .threshold import patterns

__all__ = [
    "Overfitting",
    "Restarts",
    "Saturation",
    "SawtoothGradients",
    "Scaling",
    "SteepLogistic",
    "ValidationCurve",
    "Width",
    "overfitting",
    "restarts",
    "saturation",
    "sawtooth_gradients",
    "scaling",
    "steep_logistic",
    "validation_curve",
    "width",
]

F64 = np.float64


def descend(
    model: nn.Module,
    x: Array,
    y: Array,
    loss: Callable[[Tensor, Tensor], Tensor],
    lr: float,
    steps: int,
    momentum: float = 0.9,
) -> list[float]:
    """Full-batch gradient descent; returns the loss before each step."""
    optimizer = SGD(model.parameters(), lr, momentum)

    @compile
    def step(x: Tensor, y: Tensor) -> Tensor:
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value

    return [step(x, y).item() for _ in range(steps)]


def mlp(widths: Sequence[int], activation: Callable[[], nn.Module], init: str, seed: int) -> nn.Sequential:
    """A float64 multilayer perceptron with the activation between its layers."""
    generator = Generator(seed)
    net = nn.Sequential()
    for i in range(len(widths) - 1):
        if i:
            net.append(activation())
        net.append(nn.Linear(widths[i], widths[i + 1], dtype=F64, init=init, generator=generator))
    return net


@dataclass(frozen=True)
class SteepLogistic:
    """For each factor k, the largest distance between sigmoid(k z) and 1[z > 0] for |z| >= 0.05."""

    factors: list[float]
    distance: list[float]


def steep_logistic() -> SteepLogistic:
    """Scaling up its weights and bias makes a logistic unit a threshold unit.

    >>> from chainrule.examples.experiments import steep_logistic
    >>> found = steep_logistic()
    >>> [round(d, 4) for d in found.distance]
    [0.4875, 0.4502, 0.31, 0.0392, 0.0]
    """
    factors = [1.0, 4.0, 16.0, 64.0, 256.0]
    z = tensor(np.concatenate([np.linspace(-3, -0.05, 200), np.linspace(0.05, 3, 200)]))
    threshold = ops.astype(z > 0, F64)
    return SteepLogistic(factors, [ops.max(ops.abs(ops.sigmoid(k * z) - threshold)).item() for k in factors])


@dataclass(frozen=True)
class Saturation:
    """By activation function, for each layer: the norm of the weights' gradient and the fraction of saturated units.

    `flat`: the fraction of activations, over all units and rows, whose derivative is below 0.05. `widened`: the same
    fraction for a sigmoid layer whose weights are multiplied by each of `factors`.
    """

    gradients: dict[str, list[float]]
    flat: dict[str, list[float]]
    factors: list[float]
    widened: list[float]


def saturation() -> Saturation:
    """Gradients through many layers vanish with sigmoid, not with tanh and relu; half of the relu outputs are flat.

    >>> from chainrule.examples.experiments import saturation
    >>> found = saturation()
    >>> found.gradients["sigmoid"][0] < 0.001 * found.gradients["sigmoid"][-1]
    True
    """
    x, y = Generator(1).normal((64, 256), dtype=F64), np.zeros((64, 1))
    kinds: dict[str, tuple[Callable[[], nn.Module], str]] = {
        "sigmoid": (nn.Sigmoid, "glorot"),
        "tanh": (nn.Tanh, "glorot"),
        "relu": (nn.ReLU, "he"),
    }
    gradients, flat = {}, {}
    for name, (activation, init) in kinds.items():
        net = mlp([256] * 8 + [1], activation, init, seed=2)
        layers = saturation_report(net, x, y, loss=ops.mse_loss, threshold=0.05).layers
        gradients[name] = [layer.parameters["weight"] for layer in layers if layer.parameters]
        flat[name] = [layer.vanishing for layer in layers if layer.vanishing is not None]
    factors, widened = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0], []
    layer = nn.Linear(256, 256, dtype=F64, generator=Generator(3))
    weight = layer.weight.numpy().copy()
    for factor in factors:
        layer.weight.copy_(factor * tensor(weight))
        report = saturation_report(nn.Sequential(layer, nn.Sigmoid()), x, threshold=0.05)
        widened.append(report["1"].vanishing or 0.0)
    return Saturation(gradients, flat, factors, widened)


@dataclass(frozen=True)
class SawtoothGradients:
    """By depth: the slope of the teeth, and the fraction of [-0.5, 1.5] where the gradient is 0."""

    depths: list[int]
    slope: list[float]
    flat_share: list[float]


def sawtooth_gradients() -> SawtoothGradients:
    """The gradient of a sawtooth net with respect to its input doubles with each layer, and is 0 outside the teeth.

    >>> from chainrule.examples.experiments import sawtooth_gradients
    >>> sawtooth_gradients().slope
    [2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
    """
    depths = [1, 2, 3, 4, 5, 6]
    x = tensor((np.arange(4096)[:, None] + 0.5) / 2048 - 0.5)
    slope, flat = [], []
    for depth in depths:
        net = sawtooth(depth, F64)
        magnitude = ops.abs(grad(lambda x, net=net: ops.sum(net(x)))(x))
        slope.append(ops.max(magnitude).item())
        flat.append(ops.mean(ops.astype(ops.equal(magnitude, 0.0), F64)).item())
    return SawtoothGradients(depths, slope, flat)


@dataclass(frozen=True)
class Width:
    """Mean squared errors of nets with one hidden layer, by its width, on a wave and on a sawtooth of 32 slopes.

    `deep_units`: the number of hidden units of the deep net that generates the sawtooth, with five hidden layers.
    """

    widths: list[int]
    wave_error: list[float]
    sawtooth_error: list[float]
    deep_units: int


def width() -> Width:
    """One hidden layer approximates any function if it is wide enough; a deep net may need far fewer units.

    >>> from chainrule.examples.experiments import width
    >>> found = width()
    >>> found.widths[:5], [round(error, 3) for error in found.sawtooth_error[:5]], found.deep_units
    ([2, 4, 8, 16, 32], [0.333, 0.333, 0.333, 0.333, 0.0], 15)
    """
    x = np.linspace(0, 1, 1025)[:, None]
    deep = sawtooth(5, F64)
    targets: list[Callable[[Tensor], Tensor]] = [lambda x: ops.tanh(8 * ops.sub(x, 0.3)) * (1 - x), deep]
    widths = [2, 4, 8, 16, 32, 64, 128]
    wave_error, sawtooth_error = (
        [ops.mse_loss(interpolant(target, n)(x), target(tensor(x))).item() for n in widths] for target in targets
    )
    return Width(widths, wave_error, sawtooth_error, deep_units=15)


def interpolant(target: Callable[[Tensor], Tensor], width: int) -> nn.Sequential:
    """The relu net with one hidden layer that interpolates the target at width + 1 points of [0, 1]: by construction.

    Hidden unit i is positive above the knot i / width; its outgoing weight is the change of slope at the knot.
    """
    knots = np.arange(width) / width
    values = target(tensor(np.arange(width + 1)[:, None] / width))[:, 0].detach()
    slopes = (values[1:] - values[:-1]) * float(width)
    changes = ops.concatenate([slopes[:1], slopes[1:] - slopes[:-1]])
    return nn.Sequential(
        from_printed(np.ones((width, 1)), -knots, dtype=F64),
        nn.ReLU(),
        from_printed(ops.reshape(changes, (1, width)), values[:1], dtype=F64),
    )


@dataclass(frozen=True)
class Overfitting:
    """By width of a net: the error on its twelve noisy training rows, and the error against the true function.

    `x`, `y`: the training rows; `grid`, `truth`, `curves`: points to plot, the true function and each net's predictions
    there.
    """

    widths: list[int]
    train_loss: list[float]
    test_loss: list[float]
    x: Array
    y: Array
    grid: Array
    truth: Array
    curves: list[Array]


def overfitting() -> Overfitting:
    """A wide shallow net memorises the noise of a few rows; one unit underfits, three fit well.

    >>> import numpy as np
    >>> from chainrule.examples.experiments import overfitting
    >>> found = overfitting()
    >>> found.widths[int(np.argmin(found.train_loss))], found.widths[int(np.argmin(found.test_loss))]
    (300, 3)
    """
    r = Generator(7)
    x, noise = r.uniform((12, 1), -1.0, 1.0, dtype=F64), r.normal((12, 1), std=0.2, dtype=F64)
    grid = np.linspace(-1, 1, 201)[:, None]
    y, truth = (ops.square(tensor(x)) - 0.5 + noise).numpy(), (ops.square(tensor(grid)) - 0.5).numpy()
    widths, train_loss, curves = [1, 3, 300], [], []
    for hidden in widths:
        net = mlp([1, hidden, 1], nn.Tanh, "glorot", seed=8)
        shapes = {"weight": (1, hidden), "bias": (hidden,)}
        generator = Generator(9)
        net[0].load_state_dict({name: generator.normal(shape, std=3.0, dtype=F64) for name, shape in shapes.items()})
        train_loss.append(descend(net, x, y, ops.mse_loss, lr=2 / (hidden + 4), steps=20_000)[-1])
        curves.append(net.predict(grid))
    test_loss = [ops.mse_loss(curve, truth).item() for curve in curves]
    return Overfitting(widths, train_loss, test_loss, x, y, grid, truth, curves)


@dataclass(frozen=True)
class Scaling:
    """Losses of logistic regression on raw and on standardised features, each with the best learning rate of a grid."""

    raw: list[float]
    standardised: list[float]
    raw_rate: float
    standardised_rate: float


def scaling() -> Scaling:
    """Gradient descent needs features of similar scale: a rate that suits the largest is far too small for the others.

    >>> from chainrule.examples.experiments import scaling
    >>> found = scaling()
    >>> found.raw_rate, found.standardised_rate
    (0.0001, 10.0)
    """
    r = Generator(11)
    unscaled, noise = r.normal((200, 2), dtype=F64), r.normal(200, std=0.5, dtype=F64)
    raw = (tensor(unscaled) * np.array([1.0, 40.0]) + np.array([0.0, 100.0])).numpy()
    score = ops.matmul(unscaled, np.array([2.0, 2.0])) + noise
    y = ops.astype(score > 0, F64).numpy()[:, None]
    best = [_best_rate(x, y) for x in (raw, nn.Standardize(2, dtype=F64).fit(raw)(raw).numpy())]
    return Scaling(best[0][1], best[1][1], best[0][0], best[1][0])


def _best_rate(x: Array, y: Array) -> tuple[float, list[float]]:
    """The learning rate of 10**-6 to 10**2 with the smallest loss after 300 steps from zero weights, and its losses."""
    runs = {}
    for rate in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0):
        model = from_printed(np.zeros((1, 2)), [0.0], dtype=F64)
        runs[rate] = descend(model, x, y, ops.binary_cross_entropy_with_logits, rate, 300, momentum=0.0)
    rate = min(runs, key=lambda rate: runs[rate][-1])
    return rate, runs[rate]


@dataclass(frozen=True)
class ValidationCurve:
    """By degree of a polynomial: its mean squared error on training rows and on validation rows."""

    degrees: list[int]
    train_loss: list[float]
    validation_loss: list[float]


def validation_curve() -> ValidationCurve:
    """Too few features underfit, too many overfit: the validation error shows which.

    >>> from chainrule.examples.experiments import validation_curve
    >>> found = validation_curve()
    >>> min(zip(found.validation_loss, found.degrees))[1]
    6
    """
    r = Generator(13)
    x, x_val = (r.uniform((n, 1), -1.0, 1.0, dtype=F64) for n in (16, 200))
    y, y_val = (
        ops.add(ops.exp(-8.0 * ops.square(tensor(rows))), r.normal(rows.shape, std=0.05, dtype=F64)).numpy()
        for rows in (x, x_val)
    )
    degrees, train, validation = list(range(1, 13)), [], []
    for degree in degrees:
        features = nn.PolynomialFeatures(degree, include_bias=False)
        line = linear_regression(features(x), y, dtype=F64)
        train.append(ops.mse_loss(line(features(x)), y).item())
        validation.append(ops.mse_loss(line(features(x_val)), y_val).item())
    return ValidationCurve(degrees, train, validation)


@dataclass(frozen=True)
class Restarts:
    """The final loss of a 2-2-1 net on XOR for each random initialisation, best first."""

    losses: list[float]

    @property
    def solved(self) -> int:
        """The number of initialisations that converge to a loss near 0."""
        return sum(loss < 0.01 for loss in self.losses)


def restarts() -> Restarts:
    """Small nets have local minima: some initialisations solve XOR, others do not; the best of several does.

    >>> from chainrule.examples.experiments import restarts
    >>> found = restarts()
    >>> found.solved, len(found.losses)
    (13, 20)
    """
    x, y = patterns(2).astype(F64), np.array([[0.0], [1.0], [1.0], [0.0]])

    def train(seed: int) -> tuple[nn.Module, History]:
        net = mlp([2, 2, 1], nn.Tanh, "glorot", seed)
        return net, History(loss=descend(net, x, y, ops.mse_loss, lr=0.3, steps=2000))

    return Restarts([trial.score for trial in multi_start(train, 20).trials])

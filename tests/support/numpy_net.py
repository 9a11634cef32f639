"""A neural net in plain NumPy, as in textbooks: layers with `forward` and `backward`, losses, SGD, momentum.

Nothing here is rounded in a special way or shared with the package; tests/test_parity_numpy.py compares within a
tolerance. The reference that has the package's bits is in tests/reference.
"""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from reference.bits import Array

Windows = tuple[int, int, int]  # kernel size, stride, padding: the same for rows and columns


class Layer:
    """`backward` takes the upstream gradient, stores the gradients of the parameters and returns that of the input."""

    def __init__(self, *parameters: Array) -> None:
        self.parameters = [np.array(p, np.float64) for p in parameters]
        self.gradients: list[Array] = []

    def forward(self, x: Array) -> Array:
        raise NotImplementedError

    def backward(self, upstream: Array) -> Array:
        raise NotImplementedError


class Linear(Layer):
    def forward(self, x: Array) -> Array:
        self.x = x
        weight, bias = self.parameters
        return np.asarray(x @ weight + bias)

    def backward(self, upstream: Array) -> Array:
        self.gradients = [self.x.T @ upstream, upstream.sum(axis=0)]
        return np.asarray(upstream @ self.parameters[0].T)


class Maxout(Linear):
    """The largest of `pieces` linear functions."""

    def __init__(self, pieces: int, weight: Array, bias: Array) -> None:
        super().__init__(weight, bias)
        self.pieces = pieces

    def forward(self, x: Array) -> Array:
        every = super().forward(x)
        self.groups = every.reshape(len(x), -1, self.pieces)
        return np.asarray(self.groups.max(axis=2))

    def backward(self, upstream: Array) -> Array:
        largest = np.arange(self.pieces) == self.groups.argmax(axis=2)[:, :, None]
        every = largest * upstream[:, :, None]
        return super().backward(every.reshape(len(upstream), -1))


class Activation(Layer):
    """An elementwise function and its derivative, both of the input."""

    def __init__(self, function: Callable[[Array], Array], derivative: Callable[[Array], Array]) -> None:
        super().__init__()
        self.function, self.derivative = function, derivative

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.asarray(self.function(x), np.float64)

    def backward(self, upstream: Array) -> Array:
        return np.asarray(upstream * self.derivative(self.x))


class Softmax(Layer):
    def forward(self, x: Array) -> Array:
        self.y = softmax(x)
        return self.y

    def backward(self, upstream: Array) -> Array:
        return np.asarray(self.y * (upstream - (upstream * self.y).sum(axis=1, keepdims=True)))


class PReLU(Layer):
    """max(0, x) + slope * min(0, x), with one trained slope for each feature."""

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.asarray(np.maximum(x, 0) + self.parameters[0] * np.minimum(x, 0))

    def backward(self, upstream: Array) -> Array:
        self.gradients = [(upstream * np.minimum(self.x, 0)).sum(axis=0)]
        return np.asarray(upstream * np.where(self.x > 0, 1, self.parameters[0]))


class Norm(Layer):
    """(x - mean) / sqrt(variance + eps) * weight + bias of parts of a row, or of the columns of a batch (None)."""

    def __init__(self, parts: int | None, eps: float, *parameters: Array) -> None:
        super().__init__(*parameters)
        self.parts, self.eps = parts, eps

    def forward(self, x: Array) -> Array:
        self.rows = x.T if self.parts is None else x.reshape(len(x) * self.parts, -1)
        d = self.rows - self.rows.mean(axis=1, keepdims=True)
        self.root = np.sqrt((d * d).mean(axis=1, keepdims=True) + self.eps)
        self.y = self.shaped(d / self.root, x)
        return np.asarray(self.y * self.parameters[0] + self.parameters[1])

    def shaped(self, rows: Array, like: Array) -> Array:
        return rows.T if self.parts is None else rows.reshape(like.shape)

    def backward(self, upstream: Array) -> Array:
        self.gradients = [(upstream * self.y).sum(axis=0), upstream.sum(axis=0)]
        g, y = (
            t.T if self.parts is None else t.reshape(self.rows.shape) for t in (upstream * self.parameters[0], self.y)
        )
        centred = g - g.mean(axis=1, keepdims=True) - y * (g * y).mean(axis=1, keepdims=True)
        return self.shaped(centred / self.root, upstream)


class PeriodicEmbedding(Layer):
    """x_j and cos(2 pi x_j w_j + b_j) @ W_j + c_j of each feature."""

    def forward(self, x: Array) -> Array:
        w, b, W, c = self.parameters
        self.x, self.angles = x.T[:, :, None], 2 * np.pi * x.T[:, :, None] * w + b
        y = np.concatenate([self.x, np.cos(self.angles) @ W + c], axis=2)
        return y.swapaxes(0, 1).reshape(len(x), -1)

    def backward(self, upstream: Array) -> Array:
        w, _, W, _ = self.parameters
        by_x, g = np.split(upstream.reshape(len(upstream), len(w), -1).swapaxes(0, 1), [1], axis=2)
        by_angle = -np.sin(self.angles) * (g @ W.swapaxes(1, 2))
        by_wave = 2 * np.pi * (by_angle * self.x).sum(1, keepdims=True)
        waves = np.cos(self.angles).swapaxes(1, 2)
        self.gradients = [by_wave, by_angle.sum(1, keepdims=True), waves @ g, g.sum(1, keepdims=True)]
        return np.asarray((by_x[:, :, 0] + 2 * np.pi * (by_angle * w).sum(2)).T)


class ByDifferences(Layer):
    """Any function of the input and parameters; its gradients are differences of fourth order.

    For layers that are not written out here, in float64.
    """

    step = 2e-3

    def __init__(self, function: Callable[..., Array], *parameters: Array) -> None:
        super().__init__(*parameters)
        self.function = function

    def forward(self, x: Array) -> Array:
        self.x = np.array(x, np.float64)
        return self.function(self.x, *self.parameters)

    def backward(self, upstream: Array) -> Array:
        arrays = [self.x, *self.parameters]
        dx, *self.gradients = [self.gradient(arrays, array, upstream) for array in arrays]
        return dx

    def gradient(self, arrays: Sequence[Array], array: Array, upstream: Array) -> Array:
        """With respect to one of the arrays, whose elements are moved and put back."""
        found = np.zeros_like(array)
        for i in np.ndindex(array.shape):
            at = array[i]
            for steps, factor in ((2, -1 / 12), (1, 2 / 3), (-1, -2 / 3), (-2, 1 / 12)):
                array[i] = at + steps * self.step
                found[i] += factor / self.step * float((self.function(*arrays) * upstream).sum())
            array[i] = at
        return found


class Flatten(Layer):
    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, upstream: Array) -> Array:
        return upstream.reshape(self.shape)


class ImageLayer(Layer):
    """A layer that moves a window over images (n, channels, height, width), one step per position of the output."""

    outside = 0.0

    def __init__(self, windows: Windows, *parameters: Array) -> None:
        super().__init__(*parameters)
        self.kernel, self.stride, self.padding = windows

    def at_window(self, window: Array) -> Array:
        """The output (n, channels) of a window (n, channels, kernel, kernel)."""
        raise NotImplementedError

    def back_at_window(self, window: Array, upstream: Array) -> Array:
        """The gradient of a window from that of its output."""
        raise NotImplementedError

    def positions(self, image: Array) -> Iterable[tuple[int, int, tuple[slice, slice]]]:
        rows, columns = ((side - self.kernel) // self.stride + 1 for side in image.shape[2:])
        for i in range(rows):
            for j in range(columns):
                top, left = i * self.stride, j * self.stride
                yield i, j, (slice(top, top + self.kernel), slice(left, left + self.kernel))

    def forward(self, x: Array) -> Array:
        border = (self.padding, self.padding)
        self.x = np.pad(x, ((0, 0), (0, 0), border, border), constant_values=self.outside)
        outputs = {
            (i, j): self.at_window(self.x[:, :, rows, columns]) for i, j, (rows, columns) in self.positions(self.x)
        }
        height, width = (last + 1 for last in max(outputs))
        return np.stack([np.stack([outputs[i, j] for j in range(width)], axis=-1) for i in range(height)], axis=-2)

    def backward(self, upstream: Array) -> Array:
        self.gradients = [np.zeros_like(p) for p in self.parameters]
        dx = np.zeros_like(self.x)
        for i, j, (rows, columns) in self.positions(self.x):
            dx[:, :, rows, columns] += self.back_at_window(self.x[:, :, rows, columns], upstream[:, :, i, j])
        inner = slice(self.padding, -self.padding or None)
        return dx[:, :, inner, inner]


class Conv2d(ImageLayer):
    """`weight` is (out_channels, in_channels, kernel, kernel)."""

    def at_window(self, window: Array) -> Array:
        weight, bias = self.parameters
        return np.asarray(np.einsum("ncij,ocij->no", window, weight) + bias)

    def back_at_window(self, window: Array, upstream: Array) -> Array:
        self.gradients[0] += np.einsum("no,ncij->ocij", upstream, window)
        self.gradients[1] += upstream.sum(axis=0)
        return np.asarray(np.einsum("no,ocij->ncij", upstream, self.parameters[0]))


class MaxPool2d(ImageLayer):
    outside = -np.inf

    def at_window(self, window: Array) -> Array:
        return np.asarray(window.max(axis=(2, 3)))

    def back_at_window(self, window: Array, upstream: Array) -> Array:
        largest = window == window.max(axis=(2, 3), keepdims=True)  # one element: the tests have no ties
        return np.asarray(largest * upstream[:, :, None, None])


class AvgPool2d(ImageLayer):
    def at_window(self, window: Array) -> Array:
        return np.asarray(window.mean(axis=(2, 3)))

    def back_at_window(self, window: Array, upstream: Array) -> Array:
        return np.broadcast_to(upstream[:, :, None, None] / self.kernel**2, window.shape)


class GlobalAvgPool2d(Layer):
    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        return np.asarray(x.mean(axis=(2, 3)))

    def backward(self, upstream: Array) -> Array:
        _, _, height, width = self.shape
        return np.broadcast_to(upstream[:, :, None, None] / (height * width), self.shape)


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def normal_cdf(x: Array) -> Array:
    return np.asarray((1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2)


def normal_density(x: Array) -> Array:
    return np.asarray(np.exp(-x * x / 2) / math.sqrt(2 * math.pi))


def elu(alpha: float, scale: float = 1.0) -> Activation:
    return Activation(
        lambda x: scale * np.where(x > 0, x, alpha * (np.exp(x) - 1)),
        lambda x: scale * np.where(x > 0, 1, alpha * np.exp(x)),
    )


# Elementwise activations by the name of their class, with its default options where no others are said.
ACTIVATIONS: dict[str, Callable[[], Activation]] = {
    "ReLU": lambda: Activation(lambda x: np.maximum(x, 0), lambda x: x > 0),
    "LeakyReLU": lambda: Activation(lambda x: np.where(x > 0, x, 0.01 * x), lambda x: np.where(x > 0, 1, 0.01)),
    "Sigmoid": lambda: Activation(sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x))),
    "Tanh": lambda: Activation(np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "Softplus": lambda: Activation(lambda x: np.log(1 + np.exp(x)), sigmoid),
    "ELU": lambda: elu(1.0),
    "SELU": lambda: elu(1.6732632423543772, 1.0507009873554805),
    "SiLU": lambda: Activation(lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * (1 - sigmoid(x)))),
    "GELU": lambda: Activation(lambda x: x * normal_cdf(x), lambda x: normal_cdf(x) + x * normal_density(x)),
    "Hardtanh": lambda: Activation(lambda x: np.clip(x, -1, 1), lambda x: np.abs(x) < 1),
    "Hardsigmoid": lambda: Activation(lambda x: np.clip(x / 6 + 0.5, 0, 1), lambda x: (np.abs(x) < 3) / 6),
    "ReLU6": lambda: Activation(lambda x: np.clip(x, 0, 6), lambda x: (x > 0) & (x < 6)),
    "Hardswish": lambda: Activation(
        lambda x: x * np.clip(x + 3, 0, 6) / 6, lambda x: np.where(np.abs(x) < 3, x / 3 + 0.5, x > 0)
    ),
    "CELU": lambda: elu(1.0),
    "Softshrink": lambda: Activation(lambda x: x - np.clip(x, -0.5, 0.5), lambda x: abs(x) > 0.5),
    "Hardshrink": lambda: Activation(lambda x: x * (abs(x) > 0.5), lambda x: abs(x) > 0.5),
    "Identity": lambda: Activation(np.copy, np.ones_like),
    "Softsign": lambda: Activation(lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2),
    "LogSigmoid": lambda: Activation(lambda x: -np.log(1 + np.exp(-x)), lambda x: sigmoid(-x)),
    "Sign": lambda: Activation(np.sign, np.zeros_like),
    "Heaviside": lambda: Activation(lambda x: x > 0, np.zeros_like),
}

Loss = Callable[[Array, Array], tuple[float, Array]]


def mean_of(value: Callable[[Array, Array], Array], gradient: Callable[[Array, Array], Array]) -> Loss:
    """The mean over all elements, and its gradient with respect to the prediction."""
    return lambda x, t: (float(value(x, t).mean()), np.asarray(gradient(x, t) / x.size))


def nll(x: Array, labels: Array) -> tuple[float, Array]:
    rows = np.arange(len(x))
    return float(-x[rows, labels].mean()), -np.eye(x.shape[1])[labels] / len(x)


def cross_entropy(x: Array, labels: Array) -> tuple[float, Array]:
    p = softmax(x)
    return float(-np.log(p[np.arange(len(x)), labels]).mean()), (p - np.eye(x.shape[1])[labels]) / len(x)


def multi_margin(x: Array, labels: Array) -> tuple[float, Array]:
    n, classes = x.shape
    own = np.eye(classes)[labels]
    margins = 1 - x[np.arange(n), labels][:, None] + x
    counted = (margins > 0) & (own == 0)
    gradient = counted - own * counted.sum(axis=1, keepdims=True)
    return float((margins * counted).sum() / classes / n), gradient / classes / n


# Losses by the name of their class, with its default options: from prediction and target the loss and its gradient.
LOSSES: dict[str, Loss] = {
    "MSELoss": mean_of(lambda x, t: (x - t) ** 2, lambda x, t: 2 * (x - t)),
    "L1Loss": mean_of(lambda x, t: np.abs(x - t), lambda x, t: np.sign(x - t)),
    "HuberLoss": mean_of(
        lambda x, t: np.where(np.abs(x - t) < 1, (x - t) ** 2 / 2, np.abs(x - t) - 0.5),
        lambda x, t: np.clip(x - t, -1, 1),
    ),
    "QuantileLoss": mean_of(lambda x, t: np.abs(x - t) / 2, lambda x, t: np.sign(x - t) / 2),
    "LogCoshLoss": mean_of(lambda x, t: np.log(np.cosh(x - t)), lambda x, t: np.tanh(x - t)),
    "HingeLoss": mean_of(lambda x, t: np.maximum(0, 1 - t * x), lambda x, t: -t * (t * x < 1)),
    "PerceptronLoss": mean_of(lambda x, t: np.maximum(0, -t * x), lambda x, t: -t * (t * x < 0)),
    "BCELoss": mean_of(lambda p, t: -t * np.log(p) - (1 - t) * np.log(1 - p), lambda p, t: (p - t) / (p * (1 - p))),
    "BCEWithLogitsLoss": mean_of(lambda x, t: (1 - t) * x + np.log(1 + np.exp(-x)), lambda x, t: sigmoid(x) - t),
    "PoissonNLLLoss": mean_of(lambda x, t: np.exp(x) - t * x, lambda x, t: np.exp(x) - t),
    "KLDivLoss": mean_of(lambda x, t: t * (np.log(t) - x), lambda x, t: -t),
    "CrossEntropyLoss": cross_entropy,
    "NLLLoss": nll,
    "MultiMarginLoss": multi_margin,
}
LOSSES["SmoothL1Loss"] = LOSSES["HuberLoss"]  # the same where beta and delta are 1


class Net:
    """Layers one after the other, trained by SGD: v = momentum * v + gradient + decay * w, w = w - lr * v."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = list(layers)
        self.velocities = [np.zeros_like(p) for p in self.parameters()]

    def parameters(self) -> list[Array]:
        return [p for layer in self.layers for p in layer.parameters]

    def gradients(self) -> list[Array]:
        return [g for layer in self.layers for g in layer.gradients]

    def forward(self, x: Array) -> Array:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def loss_and_gradients(self, loss: Loss, x: Array, target: Array) -> float:
        value, gradient = loss(self.forward(x), target)
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)
        return value

    def sgd_step(self, lr: float, momentum: float = 0.0, decay: float = 0.0) -> None:
        for w, v, g in zip(self.parameters(), self.velocities, self.gradients(), strict=True):
            v[...] = momentum * v + g + decay * w
            w -= lr * v

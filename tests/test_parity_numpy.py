"""Training agrees with a plain NumPy implementation in float64 (tests/support/numpy_net.py).

Losses, gradients and weights of every layer and every loss are compared after each of several steps of SGD, with and
without momentum: within 1e-10 in float64, within 1e-5 in float32. (tests/reference checks the last
bit.)
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest

import chainrule as cr
from cases.layers import example
from cases.pair_cases import DRAWS as PAIRS
from chainrule import nn
from chainrule.nn._loss_module import LOSSES as LOSS_MODULES
from chainrule.nn._loss_module import LossModule
from reference import losses as loss_rows
from reference.bits import Array
from support import numpy_net
from support.numpy_net import ACTIVATIONS, LOSSES

TOLERANCE = {np.float32: 1e-5, np.float64: 1e-10}
ROWS, FEATURES, WIDTH, CLASSES = 12, 5, 6, 4
IMAGES = (ROWS, 2, 7, 7)
Pair = tuple[nn.Module, numpy_net.Layer]  # a layer, and the same in plain NumPy
Nets = tuple[list[nn.Module], list[numpy_net.Layer]]
Dtype = type[np.float32] | type[np.float64]

# Layers that are not compared here, and why.
LEFT_OUT = {
    "Sequential": "it is the net around the layers",
    **dict.fromkeys(("Embedding", "EmbeddingBag"), "their inputs are categories: tests/test_embedding.py"),
    **dict.fromkeys(("RNN", "GRU", "LSTM", "LSTMCell"), "several results: tests/test_recurrent.py"),
    "MultiheadAttention": "several results: tests/test_attention.py",
    **dict.fromkeys(
        (f"Transformer{name}" for name in ("EncoderLayer", "Encoder", "DecoderLayer", "Decoder", "")),
        "sequences: tests/test_transformer.py",
    ),
    **dict.fromkeys(("MaxUnpool1d", "MaxUnpool2d"), "they have indices, too: tests/test_images.py"),
    "GaussianNLLLoss": "it has variances, too: tests/test_losses.py",
    **dict.fromkeys(
        (module.__name__ for module in LOSS_MODULES if module.function.__name__ in PAIRS),
        "their values and derivatives are those of tests/cases/pair_cases.py",
    ),
    **dict.fromkeys(
        ("ModuleList", "ModuleDict", "ParameterList", "ParameterDict"), "they are not called: tests/test_containers.py"
    ),
    **dict.fromkeys(("BatchNorm2d", "InstanceNorm1d", "InstanceNorm2d"), "images: tests/test_normalize.py"),
    **dict.fromkeys(
        ("Dropout", "Dropout1d", "Dropout2d", "AlphaDropout"), "their masks are drawn: tests/test_dropout.py"
    ),
    **dict.fromkeys(
        (
            *("Conv1d", "ConvTranspose1d", "ConvTranspose2d", "Bilinear", "Unflatten"),
            *("MaxPool1d", "AvgPool1d", "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveMaxPool1d"),
            *("AdaptiveMaxPool2d", "Upsample", "PixelShuffle", "PixelUnshuffle"),
            *("UpsamplingNearest2d", "UpsamplingBilinear2d", "CosineSimilarity", "PairwiseDistance"),
        ),
        "of images, signals or two inputs: tests/test_images.py, and tests/cases/op_cases.py",
    ),
    **dict.fromkeys(
        (
            *(f"{kind}Pad{n}d" for kind in ("Zero", "Constant", "Reflection", "Replication") for n in (1, 2)),
            "Unfold",
            "Fold",
        ),
        "of images or signals: tests/test_padding.py",
    ),
    **dict.fromkeys(
        ("OneHot", "PCA", "Standardize", "Whiten", "PolynomialFeatures", "RBFFeatures"),
        "preprocessing without trained parameters: tests/test_preprocessing.py, tests/test_features.py",
    ),
}


def linear(inputs: int, outputs: int, dtype: Dtype, seed: int) -> tuple[nn.Linear, numpy_net.Linear]:
    layer = nn.Linear(inputs, outputs, dtype=dtype, generator=cr.random.Generator(seed))
    return layer, numpy_net.Linear(*(p.numpy() for p in layer.parameters()))


def convolution(dtype: Dtype) -> tuple[nn.Conv2d, numpy_net.Conv2d]:
    layer = nn.Conv2d(2, 3, 3, stride=2, padding=1, dtype=dtype, generator=cr.random.Generator(4))
    return layer, numpy_net.Conv2d((3, 2, 1), *(p.numpy() for p in layer.parameters()))


def nets_of(pairs: list[Pair]) -> Nets:
    return [layer for layer, _ in pairs], [plain for _, plain in pairs]


def between(make: Callable[[Dtype], Pair], dtype: Dtype) -> Nets:
    """The layer between two fully connected ones, which train."""
    return nets_of([linear(FEATURES, WIDTH, dtype, 1), make(dtype), linear(WIDTH, CLASSES, dtype, 2)])


def on_images(pair: Pair, features: int, dtype: Dtype) -> Nets:
    """The layer behind a convolution, before a fully connected one with `features` features."""
    flatten = (nn.Flatten(), numpy_net.Flatten())
    return nets_of([convolution(dtype), pair, flatten, linear(features, CLASSES, dtype, 2)])


def activation(name: str) -> Callable[[Dtype], Nets]:
    return lambda dtype: between(lambda _: (getattr(nn, name)(), ACTIVATIONS[name]()), dtype)


def prelu(dtype: Dtype) -> Pair:
    layer = nn.PReLU(WIDTH, dtype=dtype)
    return layer, numpy_net.PReLU(layer.weight.numpy())


def maxout(dtype: Dtype) -> Pair:
    layer = nn.Maxout(WIDTH, WIDTH, 3, dtype=dtype, generator=cr.random.Generator(3))
    return layer, numpy_net.Maxout(3, *(p.numpy() for p in layer.parameters()))


def output(dtype: Dtype) -> Pair:
    layer = nn.Output("multiclass", WIDTH, WIDTH, dtype=dtype, generator=cr.random.Generator(3))
    return layer, numpy_net.Linear(*(p.numpy() for p in layer.parameters()))


def waves(dtype: Dtype) -> Nets:
    layer = nn.PeriodicEmbedding(FEATURES, 3, 5, 0.3, dtype, cr.random.Generator(3))
    plain = numpy_net.PeriodicEmbedding(*(p.numpy() for p in layer.parameters()))
    return nets_of([linear(FEATURES, FEATURES, dtype, 1), (layer, plain), linear(3 * FEATURES, CLASSES, dtype, 2)])


def threshold(dtype: Dtype) -> Pair:
    plain = numpy_net.Activation(lambda x: np.where(x > 0.125, x, -0.25), lambda x: x > 0.125)
    return nn.Threshold(0.125, -0.25), plain


def norm(layer: nn.BatchNorm1d | nn.LayerNorm | nn.GroupNorm, parts: int | None) -> Pair:
    return layer, numpy_net.Norm(parts, layer.eps, *(p.numpy() for p in layer.parameters()))


# For every layer a net with it, and the same in plain NumPy.
NETS: dict[str, Callable[[Dtype], Nets]] = {
    **{name: activation(name) for name in ACTIVATIONS},
    "Linear": lambda dtype: between(lambda _: linear(WIDTH, WIDTH, dtype, 3), dtype),
    "Output": lambda dtype: between(output, dtype),
    "Softmax": lambda dtype: between(lambda _: (nn.Softmax(), numpy_net.Softmax()), dtype),
    "PReLU": lambda dtype: between(prelu, dtype),
    "Maxout": lambda dtype: between(maxout, dtype),
    "Threshold": lambda dtype: between(threshold, dtype),
    "PeriodicEmbedding": waves,
    "BatchNorm1d": lambda dtype: between(lambda d: norm(nn.BatchNorm1d(WIDTH, 0.01, dtype=d), None), dtype),
    "LayerNorm": lambda dtype: between(lambda d: norm(nn.LayerNorm(WIDTH, 0.01, dtype=d), 1), dtype),
    "GroupNorm": lambda dtype: between(lambda d: norm(nn.GroupNorm(2, WIDTH, 0.01, dtype=d), 2), dtype),
    "Conv2d": lambda dtype: on_images((nn.Tanh(), ACTIVATIONS["Tanh"]()), 48, dtype),
    "MaxPool2d": lambda dtype: on_images((nn.MaxPool2d(3, 2, 1), numpy_net.MaxPool2d((3, 2, 1))), 12, dtype),
    "AvgPool2d": lambda dtype: on_images((nn.AvgPool2d(2, 1, 1), numpy_net.AvgPool2d((2, 1, 1))), 75, dtype),
    "GlobalAvgPool2d": lambda dtype: on_images((nn.GlobalAvgPool2d(), numpy_net.GlobalAvgPool2d()), 3, dtype),
    "Flatten": lambda dtype: on_images((nn.ReLU(), ACTIVATIONS["ReLU"]()), 48, dtype),
}


def by_differences(kind: type[nn.Module]) -> Callable[[Dtype], Nets] | None:
    """A net with the layer of the class's example, if it takes rows of numbers: the gradients are differences."""
    found = example(kind)
    if len(found.inputs) != 1 or found.inputs[0].ndim > 2:
        return None
    inputs, outputs = found.inputs[0].shape[-1], found.layer(*found.inputs).shape[-1]

    def made(dtype: Dtype) -> nn.Module:
        config = found.layer.config()
        return kind(**{**config, **({"dtype": dtype} if "dtype" in config else {})})

    def nets(dtype: Dtype) -> Nets:
        layer, exact = made(dtype), made(np.float64)
        for p, own in zip(exact.parameters(), layer.parameters(), strict=True):
            p.copy_(own.numpy().astype(np.float64))

        def function(x: Array, *parameters: Array) -> Array:
            for p, value in zip(exact.parameters(), parameters, strict=True):
                p.copy_(value)
            return np.array(exact(x).numpy())

        plain = numpy_net.ByDifferences(function, *(p.numpy() for p in layer.parameters()))
        return nets_of([linear(FEATURES, inputs, dtype, 1), (layer, plain), linear(outputs, CLASSES, dtype, 2)])

    return nets


def by_its_row(kind: type[LossModule]) -> numpy_net.Loss:
    """A loss by its row of the reference."""
    name = kind.function.__name__
    return lambda x, t: (float(loss_rows.loss(x, t, name=name)), loss_rows.loss_grad(x, t, np.ones(()), name=name)[0])


# Layers and losses without a row above.
LOSSES |= {kind.__name__: by_its_row(kind) for kind in LOSS_MODULES if kind.__name__ not in {*LEFT_OUT, *LOSSES}}
for _name, _kind in nn.LAYERS.items():
    if _name not in {*LEFT_OUT, *LOSSES, *NETS} and (_made := by_differences(_kind)) is not None:
        NETS[_name] = _made


def assert_close(found: Array, expected: Array, tolerance: float, where: str) -> None:
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=where)


def assert_trains_alike(nets: Nets, loss: str, x: Array, target: Array, dtype: Dtype, momentum: float) -> None:
    """Loss, gradients and weights of five steps on the same batch."""
    model, textbook = nn.Sequential(*nets[0]), numpy_net.Net(nets[1])
    optimizer = cr.optim.SGD(model.parameters(), lr=0.1, momentum=momentum)
    criterion, tolerance = getattr(nn, loss)(), TOLERANCE[dtype]
    start = [p.numpy().copy() for p in model.parameters()]
    losses = []
    for step in range(5):
        optimizer.zero_grad()
        found = criterion(model(x), target)
        found.backward()
        losses.append(textbook.loss_and_gradients(LOSSES[loss], x.astype(np.float64), target))
        assert_close(found.numpy(), np.asarray(losses[-1]), tolerance, f"loss of step {step}")
        for p, gradient in zip(model.parameters(), textbook.gradients(), strict=True):
            assert p.grad is not None
            assert_close(p.grad.numpy(), gradient, tolerance, f"gradient {p.shape} of step {step}")
        optimizer.step()
        textbook.sgd_step(0.1, momentum)
        for p, weight in zip(model.parameters(), textbook.parameters(), strict=True):
            assert_close(p.numpy(), weight, tolerance, f"weight {p.shape} after step {step}")
    assert losses[-1] < losses[0], "the net has to learn, or any two runs agree"
    assert any(np.abs(p.numpy() - before).max() > 1e-3 for p, before in zip(model.parameters(), start, strict=True))


def test_every_layer_and_loss_is_compared() -> None:
    """A new one has a line here or a reason, if it is not compared by differences or by its row of the reference."""
    assert set(cr.nn.LAYERS) - set(LEFT_OUT) == {*NETS, *LOSSES}


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda d: d.__name__)
@pytest.mark.parametrize("name", NETS)
def test_layers_train_as_in_numpy(name: str, dtype: Dtype, momentum: float) -> None:
    rng = np.random.default_rng(7)
    nets = NETS[name](dtype)
    images = isinstance(nets[0][0], nn.Conv2d)
    x = rng.standard_normal(IMAGES if images else (ROWS, FEATURES)).astype(dtype)
    assert_trains_alike(nets, "CrossEntropyLoss", x, rng.integers(0, CLASSES, ROWS), dtype, momentum)


def target_of(loss: str, rng: np.random.Generator, dtype: Dtype) -> Array:
    """A target for the loss: labels, signs, counts, probabilities or real numbers."""
    shape = (ROWS, CLASSES)
    if loss in ("CrossEntropyLoss", "NLLLoss", "MultiMarginLoss"):
        return rng.integers(0, CLASSES, ROWS)
    if loss in ("HingeLoss", "PerceptronLoss"):
        return rng.choice([-1, 1], shape).astype(dtype)
    if loss == "PoissonNLLLoss":
        return rng.integers(0, 4, shape).astype(dtype)
    if loss in ("BCELoss", "BCEWithLogitsLoss", "KLDivLoss"):
        return rng.uniform(0.1, 0.9, shape).astype(dtype)
    return (2 * rng.standard_normal(shape)).astype(dtype)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=lambda d: d.__name__)
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_train_as_in_numpy(loss: str, dtype: Dtype, momentum: float) -> None:
    rng = np.random.default_rng(8)
    layers, textbook = NETS["Tanh"](dtype)
    if loss == "BCELoss":  # of probabilities
        layers, textbook = [*layers, nn.Sigmoid()], [*textbook, ACTIVATIONS["Sigmoid"]()]
    x = rng.standard_normal((ROWS, FEATURES)).astype(dtype)
    assert_trains_alike((layers, textbook), loss, x, target_of(loss, rng, dtype), dtype, momentum)


STEPS, BATCH = 100, 50
SIZES = (64, 32, 16, 10)
LONG_RUNS = {
    "relu": (nn.ReLU, ACTIVATIONS["ReLU"]),
    "leaky_relu": (
        lambda: nn.LeakyReLU(0.1),
        lambda: numpy_net.Activation(lambda x: np.where(x > 0, x, 0.1 * x), lambda x: np.where(x > 0, 1.0, 0.1)),
    ),
    "tanh": (nn.Tanh, ACTIVATIONS["Tanh"]),
    "sigmoid": (nn.Sigmoid, ACTIVATIONS["Sigmoid"]),
    "softplus": (nn.Softplus, ACTIVATIONS["Softplus"]),
}


def numpy_run(net: numpy_net.Net, batches: list[tuple[Array, Array]]) -> Iterator[float]:
    for X, labels in batches:
        yield net.loss_and_gradients(numpy_net.cross_entropy, X.astype(np.float64), labels)
        net.sgd_step(lr=0.05, momentum=0.9, decay=1e-4)


@pytest.mark.parametrize("name", LONG_RUNS)
def test_the_loss_follows_numpy(name: str) -> None:
    """A run of 100 steps in float32: the loss stays within 1e-5."""
    pixels, y = cr.data.load_digits()
    X: Array = np.asarray(pixels, np.float32) / 16
    generator = cr.random.Generator(5)
    layers: list[nn.Module] = []
    textbook: list[numpy_net.Layer] = []
    for i, (inputs, outputs) in enumerate(pairwise(SIZES)):
        layer = nn.Linear(inputs, outputs, generator=generator)
        activation, numpy_activation = LONG_RUNS[name]
        is_last = i == len(SIZES) - 2
        layers += [layer] if is_last else [layer, activation()]
        plain = numpy_net.Linear(*(p.numpy() for p in layer.parameters()))
        textbook += [plain] if is_last else [plain, numpy_activation()]
    model = nn.Sequential(*layers)
    optimizer = cr.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    order = np.random.default_rng(0).permutation(len(X))
    batches = [(X[rows], y[rows]) for rows in np.resize(order, (STEPS, BATCH))]

    expected = list(numpy_run(numpy_net.Net(textbook), batches))
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

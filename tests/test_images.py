"""Pools of signals, adaptive pools, resizing and bilinear forms: PyTorch's formulas in NumPy, gradients, errors."""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from reference import assert_same_bits
from reference.bits import Array
from support.variants import every_setting

F = nn.functional


def close(found: Any, expected: Array) -> None:
    assert found.shape == expected.shape
    np.testing.assert_allclose(np.asarray(found.detach()), expected, rtol=1e-12, atol=1e-14)


def check(function: Callable[..., Any], *arrays: Array, expected: Array) -> None:
    """The value eager and compiled, and both derivatives against differences."""
    y = function(*(cr.tensor(a) for a in arrays))
    close(y, expected)
    assert_same_bits(cr.compile(function)(*(cr.tensor(a) for a in arrays)).numpy(), y.numpy())
    cr.gradcheck(function, [cr.tensor(a) for a in arrays])


# Signals are images of height 1, a single image is a batch of one.

SIGNALS: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "max_pool1d": lambda x: (
        F.max_pool1d(x, 3, 2, 1, 2, True), F.max_pool2d(x[:, :, None], (1, 3), (1, 2), (0, 1), (1, 2), True)
    ),
    "avg_pool1d": lambda x: (
        F.avg_pool1d(x, 3, 2, 1, True, False), F.avg_pool2d(x[:, :, None], (1, 3), (1, 2), (0, 1), True, False)
    ),
    "adaptive_avg_pool1d": lambda x: (F.adaptive_avg_pool1d(x, 3), F.adaptive_avg_pool2d(x[:, :, None], (1, 3))),
    "adaptive_max_pool1d": lambda x: (F.adaptive_max_pool1d(x, 3), F.adaptive_max_pool2d(x[:, :, None], (1, 3))),
}  # fmt: skip


@pytest.mark.parametrize("name", SIGNALS)
def test_signals(name: str) -> None:
    x = np.random.default_rng(1).standard_normal((2, 3, 7))
    found, expected = SIGNALS[name](cr.tensor(x))
    assert_same_bits(found.numpy(), expected.numpy()[:, :, 0])


SINGLE: dict[str, Callable[[Any], Any]] = {
    "conv1d": lambda x: F.conv1d(x[..., 0, :], np.arange(12.0).reshape(2, 3, 2)),
    "conv2d": lambda x: F.conv2d(x, np.arange(24.0).reshape(2, 3, 2, 2)),
    "conv_transpose2d": lambda x: F.conv_transpose2d(x, np.arange(24.0).reshape(3, 2, 2, 2)),
    "max_pool2d": lambda x: F.max_pool2d(x, 2),
    "avg_pool1d": lambda x: F.avg_pool1d(x[..., 0, :], 2),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, (2, None)),
    "pixel_unshuffle": lambda x: F.pixel_unshuffle(x, 2),
}


@pytest.mark.parametrize("name", SINGLE)
def test_one_image_is_a_batch_of_one(name: str) -> None:
    x = cr.tensor(np.random.default_rng(2).standard_normal((3, 4, 6)))
    assert_same_bits(SINGLE[name](x).numpy(), SINGLE[name](x[None]).numpy()[0])


# The places of maxima.


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_places_of_maxima(dtype: Any) -> None:
    rng = np.random.default_rng(3)
    for trial in range(12):
        x = rng.standard_normal((2, 2, 6, 7)).astype(dtype)
        x[0, 0] = -np.inf if trial == 0 else x[0, 0]
        options: dict[str, Any] = {
            "stride": (2, 1),
            "padding": (1, 1),
            "dilation": (1, 2),
            "ceil_mode": bool(trial % 2),
        }
        y, index = F.max_pool2d(x, (3, 2), return_indices=True, **options)
        assert index.dtype == np.int64
        planes = x.reshape(2, 2, 42)
        for setting in every_setting(threads=(1,)):
            assert_same_bits(F.max_pool2d(x, (3, 2), **options).numpy(), y.numpy(), setting)
        flat = index.numpy().reshape(2, 2, -1)
        assert_same_bits(np.take_along_axis(planes, flat, 2).reshape(y.shape), y.numpy())
        compiled = cr.compile(lambda x, o=options: F.max_pool2d(x, (3, 2), return_indices=True, **o))(cr.tensor(x))
        assert compiled[1].numpy().tolist() == index.numpy().tolist()
        y, index = F.adaptive_max_pool2d(x, (4, 3), return_indices=True)
        assert_same_bits(np.take_along_axis(planes, index.numpy().reshape(2, 2, -1), 2).reshape(y.shape), y.numpy())


# Adaptive pools.


def windows(n: int, m: int) -> Iterator[slice]:
    for i in range(m):
        yield slice(math.floor(i * n / m), math.ceil((i + 1) * n / m))


@pytest.mark.parametrize(("h", "w", "oh", "ow"), [(4, 6, 2, 3), (5, 7, 3, 2), (3, 4, 5, 6), (5, 4, 1, 1), (2, 3, 2, 5)])
def test_adaptive_pools(h: int, w: int, oh: int, ow: int) -> None:
    x = np.random.default_rng(4).permutation(2 * 2 * h * w).reshape(2, 2, h, w) * 0.37
    mean, largest = np.empty((2, 2, 2, oh, ow))
    for r, rows in enumerate(windows(h, oh)):
        for s, columns in enumerate(windows(w, ow)):
            mean[:, :, r, s] = x[:, :, rows, columns].mean((2, 3))
            largest[:, :, r, s] = x[:, :, rows, columns].max((2, 3))
    check(lambda x: F.adaptive_avg_pool2d(x, (oh, ow)), x, expected=mean)
    check(lambda x: F.adaptive_max_pool2d(x, (oh, ow)), x, expected=largest)


def test_an_infinity_stays_in_its_windows() -> None:
    x = np.ones((1, 1, 5))
    x[0, 0, 0] = np.inf
    assert F.adaptive_avg_pool1d(x, 3).tolist() == [[[np.inf, 1.0, 1.0]]]
    assert F.interpolate(x, size=3).tolist() == [[[np.inf, 1.0, 1.0]]]


# Resizing.


def linear(x: Array, m: int, scale: float, corners: bool) -> Array:
    """Along the last axis."""
    n, rows = x.shape[-1], []
    for i in range(m):
        at = i * ((n - 1) / (m - 1) if m > 1 else 0) if corners else max((i + 0.5) * scale - 0.5, 0.0)
        low = min(int(at), n - 1)
        share = min(at - low, 1.0)
        rows.append((1 - share) * x[..., low] + share * x[..., min(low + 1, n - 1)])
    return np.stack(rows, -1)


@pytest.mark.parametrize("corners", [False, True])
def test_linear_interpolation(corners: bool) -> None:
    rng = np.random.default_rng(5)
    for n, m in ((4, 7), (5, 3), (1, 4), (3, 1)):
        x = rng.standard_normal((1, 2, n, 3))
        signal = linear(x[..., 0], m, n / m, corners)
        check(lambda x, m=m: F.interpolate(x, m, mode="linear", align_corners=corners), x[..., 0], expected=signal)
        rows = linear(x, 5, 3 / 5, corners).swapaxes(2, 3)
        expected = linear(rows, m, n / m, corners).swapaxes(2, 3)
        check(lambda x, m=m: F.interpolate(x, (m, 5), mode="bilinear", align_corners=corners), x, expected=expected)
    x = rng.standard_normal((1, 1, 5))
    expected = linear(x, 7, 1 / 1.5, corners)
    check(lambda x: F.interpolate(x, scale_factor=1.5, mode="linear", align_corners=corners), x, expected=expected)


def cubic(d: float, a: float) -> float:
    """Keys' kernel."""
    d = abs(d)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def resized(x: Array, m: int, at: Callable[[int], float], kernel: Callable[[float], float], edges: bool) -> Array:
    """Along the last axis: sums over what the kernel reaches, with the outermost elements repeated or left out."""
    n, columns = x.shape[-1], []
    for i in range(m):
        reached = [k for k in range(-9, n + 9) if edges or 0 <= k < n]
        weights = [kernel(at(i) - k) for k in reached]
        total = 1.0 if edges else sum(weights)
        columns.append(sum(w / total * x[..., min(max(k, 0), n - 1)] for w, k in zip(weights, reached, strict=True)))
    return np.stack(columns, -1)


@pytest.mark.parametrize("corners", [False, True])
def test_cubic_interpolation(corners: bool) -> None:
    rng = np.random.default_rng(5)
    for n, m in ((4, 7), (5, 3), (1, 4), (3, 1)):
        x = rng.standard_normal((1, 2, n, 3))

        def along(x: Array, n: int, m: int) -> Array:
            step = (n - 1) / max(m - 1, 1) if corners else n / m
            place = lambda i: i * step if corners else (i + 0.5) * step - 0.5  # noqa: E731
            return resized(x, m, place, lambda d: cubic(d, -0.75), True)

        expected = along(along(x, 3, 5).swapaxes(2, 3), n, m).swapaxes(2, 3)
        check(lambda x, m=m: F.interpolate(x, (m, 5), mode="bicubic", align_corners=corners), x, expected=expected)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_smaller_images_without_aliases(mode: str) -> None:
    kernel = (lambda d: cubic(d, -0.5)) if mode == "bicubic" else lambda d: max(1.0 - abs(d), 0.0)
    x = np.random.default_rng(5).standard_normal((1, 2, 3, 8))
    for m in (3, 11):
        step = 8 / m
        wide = max(step, 1.0)
        expected = resized(x, m, lambda i, s=step: (i + 0.5) * s - 0.5, lambda d, w=wide: kernel(d / w), False)
        check(lambda x, m=m: F.interpolate(x, (3, m), mode=mode, antialias=True), x, expected=expected)


def test_maxima_at_their_places() -> None:
    x = np.random.default_rng(4).standard_normal((2, 3, 5, 6))
    y, places = F.max_pool2d(x, 2, return_indices=True)
    expected = np.zeros_like(x)
    for i in np.ndindex(2, 3, 2, 3):
        expected[i[:2]].reshape(-1)[places.numpy()[i]] = y.numpy()[i]
    unpool = lambda y: F.max_unpool2d(y, places, 2, output_size=(5, 6))  # noqa: E731
    check(unpool, y.numpy(), expected=expected)
    check(lambda y: F.max_unpool2d(y, places[0], 2, output_size=(3, 5, 6)), y.numpy()[0], expected=expected[0])
    signal, at = F.max_pool1d(x[:, :, 0], 2, return_indices=True)
    assert_same_bits(
        F.max_unpool1d(signal, at, 2).numpy(),
        F.max_unpool2d(signal[:, :, None], at[:, :, None], (1, 2)).numpy()[:, :, 0],
    )


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_transposed_convolutions_of_a_given_size(stride: int) -> None:
    layer = nn.ConvTranspose2d(2, 3, 3, stride, padding=1, generator=cr.random.Generator(1))
    signal = nn.ConvTranspose1d(2, 3, 3, stride, dilation=2, generator=cr.random.Generator(1))
    x = cr.tensor(np.random.default_rng(4).standard_normal((2, 2, 4, 5)).astype(np.float32))
    for more in range(stride):
        size = tuple((n - 1) * stride + 1 + more for n in (4, 5))
        expected = F.conv_transpose2d(x, layer.weight, layer.bias, stride, 1, more)
        for given in (size, [3, *size], (2, 3, *size)):
            assert_same_bits(layer(x, output_size=given).detach().numpy(), expected.detach().numpy())
        assert signal(x[:, :, 0], 4 * stride + 5 + more).shape == (2, 3, 4 * stride + 5 + more)
    with pytest.raises(ValueError, match=r"ConvTranspose2d: output_size must be from \d+ to"):
        layer(x, (4 * stride + 1, 9 * stride))


def test_nearest_elements() -> None:
    rng = np.random.default_rng(6)
    for n, m in ((4, 7), (5, 3), (3, 3), (1, 4), (6, 1), (3, 9), (3, 6), (7, 5)):
        x, scale = rng.standard_normal((2, 2, n)), np.float32(n) / np.float32(m)
        places = [min(int(np.floor(np.float32(i) * scale)), n - 1) for i in range(m)]
        check(lambda x, m=m: F.interpolate(x, m), x, expected=x[..., places])
        places = [min(int(np.floor((np.float32(i) + np.float32(0.5)) * scale)), n - 1) for i in range(m)]
        check(lambda x, m=m: F.interpolate(x, m, mode="nearest-exact"), x, expected=x[..., places])
    x = rng.standard_normal((1, 2, 3, 2))
    check(lambda x: F.interpolate(x, scale_factor=2), x, expected=x.repeat(2, 2).repeat(2, 3))
    check(lambda x: F.interpolate(x, (2, 2), mode="area"), x, expected=F.adaptive_avg_pool2d(x, 2).numpy())


def test_pixels() -> None:
    x = np.random.default_rng(7).standard_normal((2, 12, 3, 2))
    expected = np.empty((2, 3, 6, 4))
    for c, y, z in np.ndindex(3, 2, 2):
        expected[:, c, y::2, z::2] = x[:, c * 4 + y * 2 + z]
    check(lambda x: F.pixel_shuffle(x, 2), x, expected=expected)
    check(lambda x: F.pixel_unshuffle(x, 2), expected, expected=x)


def test_bilinear_forms() -> None:
    rng = np.random.default_rng(8)
    for lead in ((), (3,), (2, 3), (0,)):
        a, b = rng.standard_normal((*lead, 3)), rng.standard_normal((*lead, 4))
        weight, bias = rng.standard_normal((2, 3, 4)), rng.standard_normal(2)
        expected = np.einsum("...i,oij,...j->...o", a, weight, b)
        check(F.bilinear, a, b, weight, bias, expected=expected + bias)
        close(F.bilinear(a, b, weight), expected)


# Layers.

LAYERS: dict[str, tuple[nn.Module, Callable[[Any], Any]]] = {
    "MaxPool2d": (nn.MaxPool2d(2, return_indices=True), lambda x: F.max_pool2d(x, 2, return_indices=True)[1]),
    "MaxPool1d": (nn.MaxPool1d(2, 1, ceil_mode=True), lambda x: F.max_pool1d(x, 2, 1, ceil_mode=True)),
    "AvgPool1d": (nn.AvgPool1d(3, 1, 1, False, False), lambda x: F.avg_pool1d(x, 3, 1, 1, False, False)),
    "AdaptiveAvgPool2d": (nn.AdaptiveAvgPool2d((None, 2)), lambda x: F.adaptive_avg_pool2d(x, (None, 2))),
    "AdaptiveMaxPool2d": (nn.AdaptiveMaxPool2d(2, True), lambda x: F.adaptive_max_pool2d(x, 2, True)[1]),
    "Upsample": (nn.Upsample((3, 5), mode="bilinear", align_corners=True),
                 lambda x: F.interpolate(x, (3, 5), mode="bilinear", align_corners=True)),
    "PixelUnshuffle": (nn.PixelUnshuffle(2), lambda x: F.pixel_unshuffle(x, 2)),
    "Flatten": (nn.Flatten(0, 2), lambda x: cr.reshape(x, (24, 6))),
    "Unflatten": (nn.Unflatten(-1, (2, -1)), lambda x: cr.reshape(x, (2, 3, 4, 2, 3))),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_their_functions(name: str, tmp_path: Any) -> None:
    layer, function = LAYERS[name]
    x = cr.tensor(np.random.default_rng(9).standard_normal((2, 3, 4, 6)))
    x = x[:, :, 0] if name.endswith("1d") else x
    cr.save(layer, tmp_path / "model")
    for kind in (layer, cr.load(tmp_path / "model")):
        y = kind(x)
        found = y[1] if isinstance(y, tuple) else y
        assert_same_bits(found.numpy(), function(x).numpy())


def test_a_small_autoencoder_learns() -> None:
    """Strided convolutions down, transposed ones and an upsampling up, compiled as eager."""
    X, _ = cr.data.load_digits()
    images = cr.tensor(np.asarray(X[:64], np.float32).reshape(-1, 1, 8, 8) / 16)
    losses, weights = [], []
    for compile in (False, True):
        generator = cr.random.Generator(seed=0)
        model = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1, generator=generator),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1, groups=4, generator=generator),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Upsample(scale_factor=2),
            nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1, generator=generator),
        )
        optimizer = cr.optim.Adam(model.parameters(), lr=0.02)

        def step(x: cr.Tensor, model: Any = model, optimizer: Any = optimizer) -> cr.Tensor:
            optimizer.zero_grad()
            loss = cr.mse_loss(model(x), x)
            loss.backward()
            optimizer.step()
            return loss

        run = cr.compile(step) if compile else step
        losses.append([run(images).item() for _ in range(40)])
        weights.append(b"".join(p.numpy().tobytes() for p in model.parameters()))
    assert losses[0] == losses[1]
    assert weights[0] == weights[1]
    assert losses[0][-1] < 0.7 * losses[0][0]


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [(1, 2), "same", "valid"])
def test_other_elements_outside(mode: str, padding: Any, tmp_path: Any) -> None:
    """The layer pads before it convolves; odd padding goes to the bottom right."""
    options: dict[str, Any] = {"padding": padding, "dilation": (1, 2), "padding_mode": mode, "dtype": np.float64}
    layer = nn.Conv2d(2, 3, (2, 2), generator=cr.random.Generator(1), **options)
    x = np.random.default_rng(10).standard_normal((2, 2, 5, 6))
    widths = {"same": ((0, 1), (1, 1)), "valid": ((0, 0), (0, 0))}.get(padding, ((1, 1), (2, 2)))
    numpy_mode = {"replicate": "edge", "circular": "wrap"}.get(mode, mode)
    padded = np.pad(x, ((0, 0), (0, 0), *widths), numpy_mode)
    expected = F.conv2d(padded, layer.weight, layer.bias, dilation=(1, 2))
    assert_same_bits(layer(cr.tensor(x)).numpy(), expected.numpy())
    cr.save(layer, tmp_path / "model")
    assert_same_bits(cr.load(tmp_path / "model")(cr.tensor(x)).numpy(), expected.numpy())
    signal = nn.Conv1d(2, 3, 3, padding=2, padding_mode=mode, generator=cr.random.Generator(1), dtype=np.float64)
    padded = np.pad(x[:, :, 0], ((0, 0), (0, 0), (2, 2)), numpy_mode)
    assert_same_bits(signal(cr.tensor(x[:, :, 0])).numpy(), F.conv1d(padded, signal.weight, signal.bias).numpy())


# Errors.

X = np.ones((2, 4, 5, 6))
ERRORS: tuple[tuple[Callable[[], Any], type[Exception], str], ...] = (
    (lambda: F.conv2d(X, np.ones((4, 2, 3, 3)), groups=3), ValueError, "conv2d: groups must divide in_channels = 4, g"),
    (lambda: F.conv2d(X, np.ones((3, 2, 3, 3)), groups=2), ValueError, "conv2d: groups must divide out_channels = 3,"),
    (lambda: F.conv2d(X, np.ones((4, 4, 3, 3)), groups=2), ValueError, "conv2d: x has 4 channels, weight expects 8 (x"),
    (lambda: F.conv1d(X, np.ones((4, 4, 3))), ValueError, "conv1d: x must be (n, in_channels, l) or without the first"),
    (lambda: F.conv1d(X[..., 0], np.ones((4, 4, 9))), ValueError, "conv1d: a kernel of 9 with dilation 1 is larger th"),
    (lambda: F.conv1d(X[..., 0], np.ones((4, 4, 3)), stride=(1, 1)), TypeError, "conv1d: stride must be an integer, g"),
    (lambda: F.conv_transpose2d(X, np.ones((3, 2, 3, 3))), ValueError, "conv_transpose2d: x has 4 channels, weight ex"),
    (lambda: F.conv_transpose2d(X, np.ones((4, 2, 3, 3)), output_padding=1), ValueError,
     "conv_transpose2d: output_padding must be below the stride or the dilation, got 1"),
    (lambda: F.conv_transpose2d(X, np.ones((4, 2, 3, 3)), padding=4), ValueError, "conv_transpose2d: nothing is left"),
    (lambda: F.conv_transpose2d(X, np.ones((4, 2, 3, 3)), np.ones(3)), ValueError, "conv_transpose2d: bias must have"),
    (lambda: F.conv_transpose2d(X, np.ones((4, 2, 3, 3)), stride=2**60), ValueError, "conv_transpose2d: the result ha"),
    (lambda: F.max_pool1d(X, 2), ValueError, "max_pool1d: x must be (n, channels, l) or without the first axis, got s"),
    (lambda: F.max_pool1d(X[0, 0], 2, padding=2), ValueError, "max_pool1d: padding must be at most half of the kernel"),
    (lambda: F.adaptive_avg_pool2d(X, (2, 0)), ValueError, "adaptive_avg_pool2d: output_size must be at least 1, got"),
    (lambda: F.adaptive_avg_pool1d(X[0], (2, 2)), ValueError, "adaptive_avg_pool1d: output_size must be a number, got"),
    (lambda: F.interpolate(X), ValueError, "interpolate: expected either size or scale_factor"),
    (lambda: F.interpolate(X, 3, mode="cubic"), ValueError, "interpolate: mode must be one of nearest, nearest-exact,"),
    (lambda: F.interpolate(X, 3, mode="linear"), ValueError, 'interpolate: x must be (n, channels, l) for mode "linea'),
    (lambda: F.interpolate(X, 3, align_corners=True), ValueError, 'interpolate: align_corners is for the modes "linea'),
    (lambda: F.interpolate(X, 3, antialias=True), ValueError, 'interpolate: antialias is for the modes "bilinear" and'),
    (lambda: F.max_unpool2d(X, np.zeros((2, 4, 5, 5), int), 2), ValueError, "max_unpool2d: indices must have the shap"),
    (lambda: F.max_unpool2d(X, np.full(X.shape, 120), 2), IndexError, "max_unpool2d: 120 at position (0, 0, 0, 0) is"),
    (lambda: F.max_unpool2d(X, np.zeros(X.shape, int), 2, output_size=(12, 12)), ValueError,
     "max_unpool2d: output_size must be from 9 to 11, from 11 to 13, got (12, 12)"),
    (lambda: F.max_unpool1d(X[0], np.zeros((4, 5, 6), int), 2, output_size=(1.5,)), ValueError,
     "max_unpool1d: output_size must be an integer, or a shape that ends with them, got (1.5,)"),
    (lambda: F.interpolate(X, scale_factor=0.1), ValueError, "interpolate: nothing is left of (5, 6) by scale_factor"),
    (lambda: F.pixel_shuffle(X, 3), ValueError, "pixel_shuffle: the channels must be a multiple of 9, got shape (2, 4"),
    (lambda: F.pixel_unshuffle(X, 2), ValueError, "pixel_unshuffle: height and width must be multiples of 2, got shap"),
    (lambda: F.bilinear(X[..., 0], X[..., 0], np.ones((2, 3, 5))), ValueError, "bilinear: weight expects 3 and 5 feat"),
    (lambda: nn.Conv2d(4, 6, 3, groups=4), ValueError, "Conv2d: groups must divide out_channels = 6, got 4"),
    (lambda: nn.ConvTranspose1d(4, 6, 3, output_padding=1), ValueError, "ConvTranspose1d: output_padding must be belo"),
    (lambda: nn.Conv2d(4, 6, 3, padding_mode="wrap"), ValueError, "Conv2d: padding_mode must be one of zeros, ref"),
    (lambda: nn.Unflatten(1, (3, 2))(cr.tensor(X)), ValueError, "Unflatten: axis 1 of shape (2, 4, 5, 6) is not divid"),
    (lambda: nn.Flatten(2, 1)(cr.tensor(X)), ValueError, "flatten: axes 2 to 1 are not in shape (2, 4, 5, 6)"),
)  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS, ids=[words for _, _, words in ERRORS])
def test_errors_name_the_argument(call: Callable[[], Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=f"^{re.escape(words)}"):
        call()

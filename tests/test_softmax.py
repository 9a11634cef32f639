"""softmax, log_softmax and cross-entropy with their gradients have the reference's bits."""

from collections.abc import Callable

import numpy as np
import pytest

from cases.kernel_rows import label
from reference import ROWWISE, assert_same_bits
from reference import softmax_losses as reference
from reference.bits import Array
from support.programs import Float, cross_entropy, cross_entropy_both, cross_entropy_grad, rowwise, scalar_float64
from support.variants import every_setting

FLOATS = (np.float32, np.float64)
each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=label)
SHAPES = [(rows, cols) for cols in (*range(1, 36), 63, 64, 65, 100) for rows in (1, 5, 39)]
LONG = [(2, 1000), (3, 4095), (2, 4096), (2, 4097), (1, 8200), (100, 10), (0, 5), (1, 12289)]


def values(shape: tuple[int, int], dtype: Float, scale: float, seed: int) -> Array:
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


Case = tuple[tuple[Array, ...], Array]
Function = Callable[..., Array]


def compare(run: Function, in_numpy: Function, make: Callable[[tuple[int, int]], tuple[Array, ...]]) -> None:
    """run(*make(shape)) is in_numpy(*make(shape)) for all shapes and settings."""
    cases: list[Case] = []
    with scalar_float64():
        for shape in [*SHAPES, *LONG]:
            inputs = make(shape)
            cases.append((inputs, np.asarray(in_numpy(*inputs))))
    for setting in every_setting():
        for inputs, expected in cases:
            assert_same_bits(run(*inputs), expected, f"{setting}, shape {inputs[0].shape}")


@each_dtype
@pytest.mark.parametrize("name", ROWWISE)
@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_values(name: str, dtype: Float, scale: float) -> None:
    in_numpy: Function = ROWWISE[name].value
    compare(lambda x: rowwise(name, x), in_numpy, lambda shape: (values(shape, dtype, scale, 51),))


@each_dtype
@pytest.mark.parametrize("name", ROWWISE)
def test_gradients(name: str, dtype: Float) -> None:
    row = ROWWISE[name]

    def make(shape: tuple[int, int]) -> tuple[Array, Array]:
        x = values(shape, dtype, 3.0, 52)
        return np.ascontiguousarray(row.value(x)) if row.kept == "y" else x, values(shape, dtype, 2.0, 53)

    compare(lambda kept, g: rowwise(f"{name}_grad", kept, g), row.gradient, make)


def labels(shape: tuple[int, int]) -> Array:
    return np.random.default_rng(54).integers(0, shape[1], shape[0])


@each_dtype
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_cross_entropy(dtype: Float, scale: float) -> None:
    compare(
        cross_entropy,
        lambda x, t: reference.cross_entropy(x, t, reduction="none"),
        lambda shape: (values(shape, dtype, scale, 55), labels(shape)),
    )


@each_dtype
def test_cross_entropy_grad(dtype: Float) -> None:
    compare(
        cross_entropy_grad,
        lambda x, t, g: reference.cross_entropy_grad(x, t, g, reduction="none"),
        lambda shape: (values(shape, dtype, 4.0, 56), labels(shape), values(shape, dtype, 1.0, 57)[:, 0].copy()),
    )


def both(x: Array, target: Array, g: Array) -> Array:
    """The outputs of cross_entropy_both, from the separate instructions."""
    arrived = np.broadcast_to(g, x.shape[:1]).copy()
    return np.concatenate([cross_entropy_grad(x, target, arrived).ravel(), cross_entropy(x, target)])


@each_dtype
def test_cross_entropy_both(dtype: Float) -> None:
    def in_numpy(x: Array, target: Array, g: Array) -> Array:
        gradient = reference.cross_entropy_grad(x, target, g, reduction="none")
        return np.concatenate([gradient.ravel(), reference.cross_entropy(x, target, reduction="none")])

    def make(shape: tuple[int, int]) -> tuple[Array, ...]:
        g = values(shape, dtype, 1.0, 62)[:, 0].copy() if shape[0] % 2 else np.asarray(-0.37, dtype)
        return values(shape, dtype, 3.0, 61), labels(shape), g

    compare(cross_entropy_both, in_numpy, make)


@each_dtype
def test_cross_entropy_both_in_one_pass(dtype: Float) -> None:
    """The bits of the two instructions, for every number of rows in a block and behind it, with NaN and infinities."""
    shapes = [(rows, cols) for cols in range(1, 71) for rows in (0, 1, 2, 3, 4, 6, 8, 11, 16, 17)]
    shapes += [(rows, cols) for rows in range(68) for cols in (1, 2, 3, 4, 10, 16, 64)] + [(19, 1000), (3, 5000)]
    rng = np.random.default_rng(63)
    for _ in every_setting(threads=(1, 3)):
        for rows, cols in shapes:
            x = (5 * rng.standard_normal((rows, cols))).astype(dtype)
            x[rng.random(x.shape) < 0.2 / cols] = rng.choice([np.nan, np.inf, -np.inf, -300])
            g = rng.standard_normal(rows).astype(dtype) if cols % 2 else np.asarray(rng.standard_normal(), dtype)
            target = rng.integers(0, cols, rows)
            assert_same_bits(cross_entropy_both(x, target, g), both(x, target, g), f"{rows} x {cols}")


@each_dtype
def test_every_class_as_label(dtype: Float) -> None:
    x, g = values((67, 67), dtype, 2.0, 58), values((67, 67), dtype, 1.0, 59)[0].copy()
    target = np.random.default_rng(60).permutation(67)
    with scalar_float64():
        loss = reference.cross_entropy(x, target, reduction="none")
        gradient = reference.cross_entropy_grad(x, target, g, reduction="none")
    for setting in every_setting():
        assert_same_bits(cross_entropy(x, target), loss, setting)
        assert_same_bits(cross_entropy_grad(x, target, g), gradient, setting)

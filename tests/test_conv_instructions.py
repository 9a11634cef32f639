"""The instructions of convolutions: all sizes around the length of a vector, columns in pieces, sums over images."""

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.ops import _conv
from reference import assert_same_bits, conv
from reference import matmul as reference_matmul
from reference.bits import Array
from support.programs import fold, matmul_accumulate, unfold
from support.variants import every_setting

DTYPES = (np.float32, np.float64)


def draw(seed: int, *shapes: tuple[int, ...], dtype: Any = np.float32) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("dtype", DTYPES)
def test_windows_of_every_width(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    for w in range(1, 40):
        for setting in every_setting(threads=(1, 3)):
            stride, dilation = (1, 1 + w % 3 // 2), (1 + w % 2, 1)
            kernel, padding = (2, 1 + w % min(w, 4)), (1, w % 2)
            x = rng.standard_normal((2, 2, 4, w)).astype(dtype)
            columns = conv.unfold(x, kernel, dilation, padding, stride)
            what = f"{setting}, width {w}, kernel {kernel}, stride {stride}, padding {padding}, dilation {dilation}"
            assert_same_bits(unfold(x, kernel, dilation, padding, stride), columns, what)
            g = rng.standard_normal(columns.shape).astype(dtype)
            image = conv.fold(g, x.shape[2:], kernel, dilation, padding, stride)
            assert_same_bits(fold(g, x.shape[2:], kernel, dilation, padding, stride), image, what)


@pytest.mark.parametrize("dtype", DTYPES)
def test_columns_that_are_not_kept(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images whose columns are cut by rows, within a row, and by channels; all tails; the reference's bits."""
    monkeypatch.setattr(_conv, "_LARGE_COLUMNS", 0)
    for x, weight, options in (
        ((2, 3, 9, 37), (5, 3, 3, 3), {"padding": (1, 1)}),
        ((2, 2, 7, 19), (17, 2, 2, 3), {"stride": (2, 3), "padding": (1, 0), "dilation": (1, 2)}),
        ((1, 40, 1, 300), (3, 40, 1, 9), {"padding": (0, 4)}),
        ((1, 150, 3, 6), (2, 150, 3, 3), {"padding": (1, 1)}),
        ((2, 0, 4, 4), (3, 0, 3, 3), {}),
        ((0, 2, 4, 4), (3, 2, 3, 3), {}),
    ):
        arrays = draw(3, x, weight, (weight[0],), dtype=dtype)
        y = conv.conv2d(*arrays, **options)
        (g,) = draw(4, y.shape, dtype=dtype)
        expected = conv.conv2d_grad(*arrays[:2], g, **options)
        for setting in every_setting(threads=(1, 3)):
            tensors = [cr.tensor(a, requires_grad=True) for a in arrays]
            found = cr.conv2d(*tensors, **options)
            assert_same_bits(found.numpy(), y, f"{setting} {x}")
            found.backward(cr.tensor(g))
            for tensor, gradient in zip(tensors, expected, strict=True):
                assert tensor.grad is not None
                assert_same_bits(tensor.grad.numpy(), gradient, f"{setting} {x}")


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sum_of_products_is_one_chain(dtype: Any) -> None:
    for n, m, k, length in ((1, 3, 4, 5), (4, 17, 2, 33), (3, 2, 40, 16), (0, 3, 2, 5), (2, 13, 13, 300)):
        a, b = draw(n, (n, m, length), (n, k, length), dtype=dtype)
        rows = [np.swapaxes(x, 1, 2).reshape(n * length, x.shape[1]) for x in (a, b)]
        expected = reference_matmul(rows[0].T, rows[1])
        for setting in every_setting():
            assert_same_bits(matmul_accumulate(a, b), expected, f"{setting}, {(n, m, k, length)}")
            if n > 1:
                part = matmul_accumulate(a[:1], b[:1])
                assert_same_bits(matmul_accumulate(a[1:], b[1:], out=part, continues=True), expected, setting)

"""Max pooling at the edges: its gradient stays in the image; ties, infinities and NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from reference import assert_same_bits, conv
from reference.bits import Array
from support.programs import max_pool, max_pool_grad
from support.variants import every_setting

INF, NAN = np.inf, np.nan
WINDOWS: dict[str, dict[str, Any]] = {
    "one around": {"kernel_size": 3, "stride": 1, "padding": 1},
    "step 2": {"kernel_size": 3, "stride": 2, "padding": 1},
    "two around": {"kernel_size": 4, "stride": 1, "padding": 2},
    "two around, step 3": {"kernel_size": (4, 5), "stride": 3, "padding": 2},
    "above": {"kernel_size": (3, 2), "stride": 1, "padding": (1, 0)},
    "beside": {"kernel_size": (2, 3), "stride": (2, 1), "padding": (0, 1)},
    "dilated": {"kernel_size": 2, "stride": 1, "padding": 1, "dilation": 2},
    "dilated by 3": {"kernel_size": (2, 3), "stride": 1, "padding": (1, 2), "dilation": (3, 2)},
    "ceil": {"kernel_size": 2, "stride": 2, "ceil_mode": True},
    "ceil and around": {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    "inside": {"kernel_size": 2, "stride": 2},
}
IMAGES: dict[str, Array] = {
    "-inf": np.full((2, 2, 5, 7), -INF),
    "rows of -inf": np.where(np.arange(5)[:, None] % 3 == 0, -INF, np.arange(140.0).reshape(2, 2, 5, 7)),
    "a corner": np.where(np.add.outer(np.arange(5), np.arange(7)) < 4, -INF, np.ones((2, 2, 5, 7))),
    "ties": np.zeros((2, 2, 5, 7)),
    "the least number": np.full((2, 2, 5, 7), -1.7e308),
    "mixed": np.random.default_rng(1).choice([-INF, -INF, -2.0, -2.0, 3.0], (2, 2, 5, 7)),
    "inf": np.random.default_rng(2).choice([-INF, INF, 1.0], (2, 2, 5, 7)),
}


def by_loops(
    x: Array,
    g: Array | None,
    kernel_size: Any,
    stride: Any,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> tuple[Array, Array]:
    """The maximum of each window, and where each gradient goes: the first of the largest in the image."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = (
        v if isinstance(v, tuple) else (v, v) for v in (kernel_size, stride, padding, dilation)
    )
    y = cr.max_pool2d(x, kernel_size, stride, padding, dilation, ceil_mode).numpy()
    values, back = np.full(y.shape, -INF), np.zeros_like(x)
    for n, c, r, s in np.ndindex(y.shape):
        best = None
        for i, j in np.ndindex(kh, kw):
            at = (n, c, r * sh + i * dh - ph, s * sw + j * dw - pw)
            if not (0 <= at[2] < x.shape[2] and 0 <= at[3] < x.shape[3]):
                continue
            if best is None or x[at] > x[best] or (np.isnan(x[at]) and not np.isnan(x[best])):
                best = at
        if best is not None:
            values[n, c, r, s] = x[best]
            back[best] += 1 if g is None else g[n, c, r, s]
    return values, back


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("image", IMAGES)
def test_the_gradient_stays_in_the_image(image: str, window: str, dtype: Any) -> None:
    """Eager and compiled, reverse and forward."""
    x, options = np.maximum(IMAGES[image], np.finfo(dtype).min).astype(dtype), WINDOWS[window]
    x[IMAGES[image] == -INF] = -INF

    def pool(v: cr.Tensor) -> cr.Tensor:
        return cr.max_pool2d(v, **options)

    y, pull = cr.vjp(pool, x)
    g = np.random.default_rng(3).integers(1, 9, y.shape).astype(dtype)
    values, back = by_loops(x, g, **options)
    t = np.random.default_rng(4).integers(-9, 9, x.shape).astype(dtype)
    for _ in every_setting():
        np.testing.assert_array_equal(cr.compile(pool)(cr.tensor(x)).numpy(), values)
        np.testing.assert_array_equal(y.numpy(), values)
        np.testing.assert_array_equal(pull(g)[0].numpy(), back)
    both = cr.compile(lambda v, u: cr.vjp(pool, v)[1](u)[0])(cr.tensor(x), cr.tensor(g))
    np.testing.assert_array_equal(both.numpy(), back)
    assert (cr.jvp(pool, (x,), (t,))[1].numpy() * g).sum() == (t * back).sum()


@pytest.mark.parametrize("window", WINDOWS)
def test_nan_reaches_every_window_and_takes_the_gradient(window: str) -> None:
    x, options = np.full((1, 1, 5, 7), -INF), WINDOWS[window]
    x[0, 0, 2, 3] = NAN
    y, pull = cr.vjp(lambda v: cr.max_pool2d(v, **options), x)
    values, back = by_loops(x, None, **options)
    np.testing.assert_array_equal(y.numpy(), values)
    np.testing.assert_array_equal(pull(np.ones(y.shape))[0].numpy(), back)
    assert back[0, 0, 2, 3] == np.isnan(values).sum() > 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_windows_of_every_width(dtype: Any) -> None:
    """Ties, zeros of both signs, NaN; two planes for each of two images; the reference's bits."""
    rng = np.random.default_rng(0)
    for w in range(1, 40):
        x = rng.choice([NAN, INF, 0.0, -0.0, 1.0, 2.0, -3.0], (2, 2, 5, w)).astype(dtype)
        for kernel, stride, padding, dilation in (
            ((2, min(2, w)), (2, 2), (0, 0), (1, 1)),
            ((3, min(3, w)), (2, 2), (1, min(3, w) // 2), (1, 1)),
            ((2, 1 + w % min(w, 4)), (1, 1 + w % 3), (0, 0), (1 + w % 2, 1)),
        ):
            y = conv.max_pool2d(x, kernel, stride, padding, dilation)
            g = rng.standard_normal(y.shape).astype(dtype)
            by_x = conv.max_pool2d_grad(x, g, kernel, stride, padding, dilation)
            window: dict[str, Any] = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
            for setting in every_setting(threads=(1, 3)):
                assert_same_bits(max_pool(x, **window), y, f"{setting}, width {w}, {window}")
                assert_same_bits(max_pool_grad(x, g, **window), by_x, f"{setting}, width {w}, {window}")

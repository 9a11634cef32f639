"""Losses at the edges: small losses, infinite scores, probabilities of 0, and rows of weight 0 that hold anything."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from reference import assert_same_bits
from reference.bits import Array
from support.variants import every_setting
from test_losses import CALLS, ROWS

Loss = Callable[..., cr.Tensor]
FLOATS = (np.float32, np.float64)
MODES: dict[str, Callable[[Loss], Loss]] = {"eager": lambda f: f, "compiled": cr.compile}
each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: d.__name__)
each_mode = pytest.mark.parametrize("mode", MODES)


def nll(x: cr.Tensor, labels: Any) -> cr.Tensor:
    return cr.nll_loss(cr.log_softmax(x), labels)


def reverse(f: Loss, x: Array) -> Array:
    return cr.grad(f)(cr.tensor(x)).numpy()


def forward(f: Loss, x: Array) -> Array:
    """The gradient, one tangent after the other."""
    columns = []
    for i in range(x.size):
        t = np.zeros_like(x)
        t.flat[i] = 1
        columns.append(cr.jvp(f, (x,), (t,))[1].item())
    return np.reshape(columns, x.shape)


# Small losses.

GAPS = (0.5, 8.0, 15.0, 17.0, 20.0, 30.0, 60.0)
SCORES: dict[str, Callable[[Any], Array]] = {
    "two": lambda gap: np.array([[gap, 0.0]]),
    "shifted": lambda gap: np.array([[gap + 128.0, 128.0]]),
    "ten": lambda gap: np.array([[gap, *[0.0] * 9]]),
    "many": lambda gap: np.array([[gap, *[0.0] * 99]]),
}


@each_dtype
@each_mode
@pytest.mark.parametrize("gap", GAPS)
def test_small_losses_of_classes(gap: float, mode: str, dtype: Any) -> None:
    """log1p of the others' share, from scores, log probabilities and class probabilities, and its slopes."""
    tolerance = 4 * np.finfo(dtype).eps
    for name, make in SCORES.items():
        x = make(gap).astype(dtype)
        distance = np.float64(x[0, 0]) - np.float64(x[0, 1])
        others = (x.shape[1] - 1) * np.exp(-distance)
        onehot = np.eye(x.shape[1], dtype=dtype)[:1]
        slope = np.full(x.shape, np.exp(-distance) / (1 + others))
        slope[0, 0] = -others / (1 + others)
        for loss, target in ((cr.cross_entropy, np.array([0])), (nll, np.array([0])), (cr.cross_entropy, onehot)):
            f = MODES[mode](lambda v, loss=loss, target=target: loss(v, target))
            np.testing.assert_allclose(f(cr.tensor(x)).item(), np.log1p(others), rtol=tolerance, err_msg=name)
            g = MODES[mode](cr.grad(lambda v, loss=loss, target=target: loss(v, target)))(cr.tensor(x)).numpy()
            exact = loss is cr.cross_entropy and target.ndim == 1
            np.testing.assert_allclose(g, slope, rtol=2 * tolerance, atol=0 if exact else np.finfo(dtype).eps)


@each_dtype
@each_mode
@pytest.mark.parametrize("gap", GAPS)
def test_small_losses_of_bits(gap: float, mode: str, dtype: Any) -> None:
    """Alike for class 0 and 1."""
    tolerance = 2 * np.finfo(dtype).eps
    bce = cr.binary_cross_entropy_with_logits
    for loss in (bce, partial(bce, pos_weight=1.0)):
        for x, t in ((gap, 1.0), (-gap, 0.0), (gap, 0.0), (-gap, 1.0)):
            score, target = np.array([x], dtype), np.array([t], dtype)
            wrong = (x > 0) != (t == 1)
            value = np.log1p(np.exp(gap)) if wrong else np.log1p(np.exp(-gap))
            slope = (1 if t == 0 else -1) / (1 + np.exp(-gap if wrong else gap))
            f = MODES[mode](lambda v, loss=loss, target=target: loss(v, target))
            np.testing.assert_allclose(f(cr.tensor(score)).item(), value, rtol=tolerance)
            g = MODES[mode](cr.grad(lambda v, loss=loss, target=target: loss(v, target)))(cr.tensor(score))
            np.testing.assert_allclose(g.item(), slope, rtol=tolerance)
            np.testing.assert_allclose(
                forward(lambda v, loss=loss, target=target: loss(v, target), score), slope, rtol=tolerance
            )


@each_dtype
def test_both_classes_have_the_same_bits(dtype: Any) -> None:
    """The loss of x, t is that of -x, 1 - t, and the slope its negative."""
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.uniform(-60, 60, 500), rng.standard_normal(500), [0.0, 3e-8, np.inf]]).astype(dtype)
    t = rng.choice(np.array([0, 1, 0.25, 0.5, 0.75], dtype), x.shape)
    each = partial(cr.binary_cross_entropy_with_logits, reduction="none")
    total = partial(cr.binary_cross_entropy_with_logits, reduction="sum")
    for _ in every_setting():
        assert_same_bits(each(x, t).numpy(), each(-x, 1 - t).numpy())
        np.testing.assert_array_equal(reverse(lambda v: total(v, t), x), -reverse(lambda v: total(v, 1 - t), -x))


def test_a_loss_of_labels_is_that_of_their_log_probabilities() -> None:
    rng = np.random.default_rng(6)
    for classes in (2, 3, 10, 65, 300):
        x = (12 * rng.standard_normal((40, classes))).astype(np.float32)
        labels = np.where(np.arange(40) % 2, x.argmax(1), rng.integers(0, classes, 40))
        own = cr.cross_entropy(x, labels, "none").numpy()
        assert_same_bits(own, cr.nll_loss(cr.log_softmax(x), labels, "none").numpy())
        wide = x.astype(np.float64)
        d = wide - wide[np.arange(40), labels][:, None]
        d[np.arange(40), labels] = -np.inf
        np.testing.assert_allclose(own, np.logaddexp(0, np.logaddexp.reduce(d, axis=1)), rtol=4e-6)


# Infinite scores.

INF = np.inf
INFINITE: dict[str, tuple[list[float], int, float, list[float]]] = {
    "right": ([INF, 0, 1], 0, 0.0, [0, 0, 0]),
    "wrong": ([INF, 0, 1], 1, INF, [1, -1, 0]),
    "excluded other": ([-INF, 0, 0], 1, np.log(2), [0, -0.5, 0.5]),
    "excluded label": ([-INF, 0, 0], 0, INF, [-1, 0.5, 0.5]),
    "only one": ([-INF, 3, -INF], 1, 0.0, [0, 0, 0]),
    "both signs": ([INF, 5, -INF], 0, 0.0, [0, 0, 0]),
    "two of the largest": ([INF, 5, INF], 2, np.log(2), [0.5, 0, -0.5]),
    "two of the largest, wrong": ([INF, 5, INF], 1, INF, [0.5, -1, 0.5]),
    "all": ([INF, INF, INF], 1, np.log(3), [1 / 3, -2 / 3, 1 / 3]),
    "none": ([-INF, -INF, -INF], 1, np.log(3), [1 / 3, -2 / 3, 1 / 3]),
}


@each_dtype
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("name", INFINITE)
def test_infinite_scores_of_classes(name: str, wide: bool, dtype: Any) -> None:
    """Equal scores share what there is, also infinite ones: of any number of rows and of many excluded classes."""
    row, label, value, slope = INFINITE[name]
    if wide:  # row by row instead of in blocks
        if name in ("all", "none"):
            return
        row, slope = [*row, *[-INF] * 150], [*slope, *[0.0] * 150]
    x, t = np.array([row] * 20, dtype), np.full(20, label)
    probabilities = np.array(slope) + (np.arange(len(row)) == label)
    for _ in every_setting():
        np.testing.assert_allclose(cr.cross_entropy(x, t, "none").numpy(), np.full(20, value), rtol=1e-6)
        np.testing.assert_allclose(reverse(lambda v: cr.cross_entropy(v, t, "sum"), x), [slope] * 20, rtol=1e-6)
        np.testing.assert_allclose(cr.softmax(x).numpy(), [probabilities] * 20, rtol=1e-6)
        with np.errstate(divide="ignore"):
            np.testing.assert_allclose(cr.log_softmax(x).numpy(), [np.log(probabilities)] * 20, rtol=1e-6)
    both = cr.compile(lambda v: cr.value_and_grad(lambda u: cr.cross_entropy(u, t, "sum"))(v))(cr.tensor(x))
    np.testing.assert_allclose(both[1].numpy(), [slope] * 20, rtol=1e-6)
    assert both[0].item() == pytest.approx(20 * value, rel=1e-6)


@each_dtype
@each_mode
@pytest.mark.parametrize("pos_weight", [None, 3.0])
def test_infinite_scores_of_bits(pos_weight: float | None, mode: str, dtype: Any) -> None:
    x = np.array([INF, INF, -INF, -INF], dtype)
    t = np.array([1, 0, 0, 1], dtype)
    loss = MODES[mode](partial(cr.binary_cross_entropy_with_logits, target=t, reduction="none", pos_weight=pos_weight))
    np.testing.assert_array_equal(loss(x).numpy(), [0, INF, 0, INF])
    total = partial(cr.binary_cross_entropy_with_logits, target=t, reduction="sum", pos_weight=pos_weight)
    slope = [0, 1, 0, -(pos_weight or 1)]
    np.testing.assert_array_equal(MODES[mode](cr.grad(total))(cr.tensor(x)).numpy(), slope)
    np.testing.assert_array_equal(forward(total, x), slope)


def test_nan_stays_nan() -> None:
    for row in ([np.nan, 0.0, 1.0], [0.0, np.nan, INF], [np.nan, -INF, -INF], [np.nan] * 3):
        for classes in (3, 100):
            x = np.array([row + [0.0] * (classes - 3)] * 3, np.float32)
            for _ in every_setting():
                assert np.isnan(cr.cross_entropy(x, [0, 1, 2], "none").numpy()).all()
                assert np.isnan(reverse(lambda v: cr.cross_entropy(v, [0, 1, 2]), x)).all()
                assert np.isnan(cr.softmax(x).numpy()).all()
                assert np.isnan(cr.log_softmax(x).numpy()).all()


COUNTED: dict[str, tuple[float, float, bool, float, float]] = {  # x, count, log_input, loss, slope
    "nothing at rate 0": (-INF, 0.0, True, 0.0, 0.0),
    "something at rate 0": (-INF, 2.0, True, INF, -2.0),
    "nothing at rate inf": (INF, 0.0, True, INF, INF),
    "something at rate inf": (INF, 2.0, True, INF, INF),
    "nothing at a rate of 0": (0.0, 0.0, False, 0.0, 1.0),
    "something at a rate of 0": (0.0, 2.0, False, INF, -INF),
}


@each_dtype
@each_mode
@pytest.mark.parametrize("name", COUNTED)
def test_infinite_rates(name: str, mode: str, dtype: Any) -> None:
    x, count, log_input, value, slope = COUNTED[name]
    rate, target = np.array([x], dtype), np.array([count], dtype)
    f = partial(cr.poisson_nll_loss, target=target, log_input=log_input, eps=0.0)
    assert MODES[mode](f)(cr.tensor(rate)).item() == value
    assert MODES[mode](cr.grad(f))(cr.tensor(rate)).item() == slope
    assert forward(f, rate)[0] == slope


MARGINS: dict[str, tuple[list[float], int, float, list[float]]] = {
    "right": ([INF, 0.0, 1.0], 0, 0.0, [0, 0, 0]),
    "wrong": ([INF, 0.0, 1.0], 1, INF, [1 / 3, -2 / 3, 1 / 3]),
    "equal": ([INF, INF, 1.0], 0, 1 / 3, [0, 0, 0]),
    "all": ([INF, INF, INF], 1, 2 / 3, [0, 0, 0]),
    "none": ([-INF, -INF, -INF], 1, 2 / 3, [0, 0, 0]),
    "excluded": ([-INF, 0.0, -5.0], 1, 0.0, [0, 0, 0]),
    "excluded label": ([0.0, -INF, -5.0], 1, INF, [1 / 3, -2 / 3, 1 / 3]),
}


@each_dtype
@each_mode
@pytest.mark.parametrize("name", MARGINS)
def test_infinite_scores_of_margins(name: str, mode: str, dtype: Any) -> None:
    row, label, value, slope = MARGINS[name]
    x = np.array([row], dtype)
    f = partial(cr.multi_margin_loss, target=np.array([label]))
    assert MODES[mode](f)(cr.tensor(x)).item() == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(MODES[mode](cr.grad(f))(cr.tensor(x)).numpy(), [slope], rtol=1e-6)


# Probabilities of 0.

TARGETS = {
    "one other": ([-INF, 0.0], [0.0, 1.0], 0.0, [0.0, 0.0]),
    "two others": ([-INF, 0.0, 0.0], [0.0, 0.5, 0.5], np.log(2), [0.0, 0.0, 0.0]),
    "one of two": ([-INF, 0.0, 0.0], [0.0, 1.0, 0.0], np.log(2), [0.0, -0.5, 0.5]),
    "impossible": ([-INF, 0.0, 0.0], [0.5, 0.5, 0.0], INF, [-0.5, 0.0, 0.5]),
    "certain": ([INF, 0.0, 0.0], [1.0, 0.0, 0.0], 0.0, [0.0, 0.0, 0.0]),
}


@each_dtype
@each_mode
@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_probability_0_of_a_class_counts_0(name: str, reduction: str, mode: str, dtype: Any) -> None:
    scores, q, value, slope = TARGETS[name]
    x, target = np.array([scores, scores], dtype), np.array([q, q], dtype)
    times = 2 if reduction == "sum" else 1
    f = MODES[mode](partial(cr.cross_entropy, reduction=reduction))
    np.testing.assert_allclose(
        f(x, target).numpy(), np.full((2,) if reduction == "none" else (), times * value), rtol=1e-6
    )

    def total(v: cr.Tensor) -> cr.Tensor:
        return cr.sum(cr.cross_entropy(v, target, reduction))

    share = 0.5 if reduction == "mean" else 1.0
    g = MODES[mode](cr.grad(total))(cr.tensor(x)).numpy()
    np.testing.assert_allclose(g, share * np.array([slope, slope]), atol=1e-6)
    if np.isfinite(value):
        np.testing.assert_allclose(forward(total, x), share * np.array([slope, slope]), atol=1e-6)


@each_dtype
@each_mode
def test_probability_0_with_weights_and_smoothing(mode: str, dtype: Any) -> None:
    x, q = np.array([[-INF, 0.0, 0.0]], dtype), np.array([[0.5, 0.5, 0.0]], dtype)
    weighted = MODES[mode](partial(cr.cross_entropy, weight=[0.0, 1.0, 1.0]))
    np.testing.assert_allclose(weighted(x, q).item(), np.log(2) / 2, rtol=1e-6)
    smoothed = MODES[mode](partial(cr.cross_entropy, weight=[0.0, 1.0, 1.0], label_smoothing=0.3))
    np.testing.assert_allclose(smoothed(x, q).item(), np.log(2) * (0.35 + 0.2), rtol=1e-6)
    assert MODES[mode](partial(cr.cross_entropy, label_smoothing=0.3))(x, q).item() == INF


@each_dtype
@each_mode
@pytest.mark.parametrize("poison", [-INF, INF, np.nan])
def test_probability_0_of_a_divergence_counts_0(poison: float, mode: str, dtype: Any) -> None:
    """Value and both gradients: of probabilities and of their logarithms."""
    t = np.array([[0.0, 0.5, 0.5], [0.2, 0.0, 0.8]], dtype)
    x = np.log(np.array([[0.2, 0.4, 0.4], [0.1, 0.1, 0.8]])).astype(dtype)
    x[t == 0] = poison
    own = np.where(t == 0, 0, t * (np.log(np.where(t == 0, 1, t)) - np.where(t == 0, 0, x)))
    with np.errstate(divide="ignore"):
        log_t = np.log(t)
    for log_target, target in ((False, t), (True, log_t)):
        f = MODES[mode](partial(cr.kl_div, reduction="none", log_target=log_target))
        np.testing.assert_allclose(f(x, target).numpy(), own, rtol=1e-5, atol=1e-7)

        def total(u: cr.Tensor, v: cr.Tensor, log_target: bool = log_target) -> cr.Tensor:
            return cr.kl_div(u, v, "sum", log_target=log_target)

        by_x, by_t = MODES[mode](cr.grad(total, (0, 1)))(cr.tensor(x), cr.tensor(target))
        np.testing.assert_allclose(by_x.numpy(), -t, rtol=1e-5)
        assert np.isfinite(by_t.numpy()).all()


# Rows of weight 0.

POISON = (INF, -INF, np.nan, 3e38)


def poisoned(x: Array, target: Array, value: float) -> tuple[Array, Array]:
    """Row 2, of weight 0, with anything in it."""
    x, target = x.copy(), target.copy()
    x[2] = value
    target[2] = (99 if value == INF else -100) if target.dtype.kind == "i" else value
    return x, target


@each_mode
@pytest.mark.parametrize("poison", POISON)
@pytest.mark.parametrize("name", CALLS)
def test_a_row_of_weight_0_might_as_well_not_be_there(name: str, poison: float, mode: str) -> None:
    """Values, gradients and tangents have the bits of the clean row, of arrays and of tensors of weights."""
    loss, x, target = CALLS[name]
    for dtype in FLOATS:
        clean = x.astype(dtype)
        goal = target if target.dtype.kind == "i" else target.astype(dtype)
        bad_x, bad_target = poisoned(clean, goal, poison)
        for reduction in ("mean", "sum", "none"):

            def call(v: cr.Tensor, t: Any, w: Any, reduction: str = reduction) -> cr.Tensor:
                return cr.sum(loss(v, t, reduction=reduction, sample_weight=w))

            f = MODES[mode](cr.value_and_grad(call))
            for weights in (ROWS, cr.tensor(ROWS)):
                value, slope = f(cr.tensor(bad_x), bad_target, weights)
                expected, wanted = f(cr.tensor(clean), goal, weights)
                assert np.isfinite(value.item())
                assert_same_bits(value.numpy(), expected.numpy(), f"{reduction}")
                assert_same_bits(slope.numpy(), wanted.numpy(), f"{reduction}")
                assert not slope.numpy()[2].any()
        t = np.random.default_rng(7).standard_normal(clean.shape).astype(dtype)
        got = cr.jvp(partial(loss, target=bad_target, sample_weight=ROWS), (bad_x,), (t,))[1]
        assert_same_bits(got.numpy(), cr.jvp(partial(loss, target=goal, sample_weight=ROWS), (clean,), (t,))[1].numpy())


@each_mode
@pytest.mark.parametrize("poison", POISON)
@pytest.mark.parametrize("function", [cr.cross_entropy, cr.nll_loss, cr.multi_margin_loss], ids=lambda f: f.__name__)
def test_a_class_of_weight_0_might_as_well_not_be_there(function: Loss, poison: float, mode: str) -> None:
    x = np.random.default_rng(8).standard_normal((4, 3)).astype(np.float32)
    labels, weight = np.array([0, 1, 2, 1]), [1.0, 2.0, 0.0]
    bad = x.copy()
    bad[2] = poison
    f = MODES[mode](cr.value_and_grad(lambda v, w: function(v, labels, weight=w)))
    for given in (np.array(weight), cr.tensor(weight)):
        value, slope = f(cr.tensor(bad), given)
        expected, wanted = f(cr.tensor(x), given)
        assert np.isfinite(value.item())
        assert_same_bits(value.numpy(), expected.numpy())
        assert_same_bits(slope.numpy(), wanted.numpy())


@pytest.mark.parametrize("name", CALLS)
def test_weights_that_are_differentiated_are_factors(name: str) -> None:
    """The derivative by a weight of 0 is the loss of its row: what meta-learning of weights begins with."""
    loss, x, target = CALLS[name]
    each = loss(x, target, reduction="none").numpy()
    each = each.reshape(len(each), -1).sum(1)

    def total(w: cr.Tensor) -> cr.Tensor:
        return loss(x, target, reduction="sum", sample_weight=w)

    for f in (cr.grad(total), cr.compile(cr.grad(total))):
        np.testing.assert_allclose(f(cr.tensor(ROWS)).numpy(), each, rtol=1e-12)
    np.testing.assert_allclose(forward(total, ROWS), each, rtol=1e-12)


def test_a_row_that_counts_is_not_hidden() -> None:
    x = np.array([[np.nan, 1.0], [2.0, 3.0]])
    assert np.isnan(cr.mse_loss(x, np.zeros((2, 2)), sample_weight=[1.0, 0.0]).item())
    assert np.isnan(cr.mse_loss(x, np.zeros((2, 2)), sample_weight=[np.nan, 1.0]).item())
    with pytest.raises(ValueError, match="cross_entropy: label 7 at row 1 is out of range"):
        cr.cross_entropy(np.zeros((2, 2)), [-100, 7], sample_weight=[0.0, 1.0])
    with pytest.raises(ValueError, match=r"hinge_loss: the target at \(1,\) is neither"):
        cr.hinge_loss([1.0, 2.0], [0.0, 0.0], sample_weight=[0.0, 1.0])

"""Losses and penalties: PyTorch's values, extreme arguments, kinks, weights, strict shapes. Bits are in test_ops."""

import doctest
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from cases.loss_cases import KINDS
from cases.loss_values import CLASS_WEIGHT, COUNTS, LABELS, POS_WEIGHT, TARGET, VALUES, VARIANCES, X
from chainrule.nn._loss_module import LOSSES
from reference.bits import Array

Loss = Callable[..., cr.Tensor]
SIGNS = np.where(TARGET > 0.5, 1.0, -1.0)
ROWS = np.asarray([0.5, 2.0, 0.0, 1.25, 3.0])
PROBABILITIES = TARGET / TARGET.sum(1, keepdims=True)
LOG_P = X - np.log(np.exp(X).sum(1, keepdims=True))

# The rows of loss_values, and those that PyTorch does not have.
CALLS: dict[str, tuple[Loss, Array, Array]] = {
    "mse_loss": (cr.mse_loss, X, TARGET),
    "l1_loss": (cr.l1_loss, X, TARGET),
    "huber_loss": (cr.huber_loss, X, TARGET),
    "huber_loss delta=0.7": (partial(cr.huber_loss, delta=0.7), X, TARGET),
    "smooth_l1_loss beta=0.5": (partial(cr.smooth_l1_loss, beta=0.5), X, TARGET),
    "smooth_l1_loss beta=0": (partial(cr.smooth_l1_loss, beta=0), X, TARGET),
    "binary_cross_entropy": (cr.binary_cross_entropy, 1 / (1 + np.exp(-X)), TARGET),
    "binary_cross_entropy_with_logits": (cr.binary_cross_entropy_with_logits, X, TARGET),
    "binary_cross_entropy_with_logits pos_weight": (
        partial(cr.binary_cross_entropy_with_logits, pos_weight=POS_WEIGHT),
        *(X, TARGET),
    ),
    "poisson_nll_loss": (cr.poisson_nll_loss, X, COUNTS),
    "poisson_nll_loss full": (partial(cr.poisson_nll_loss, full=True), X, COUNTS),
    "poisson_nll_loss rate": (partial(cr.poisson_nll_loss, log_input=False), np.exp(X), COUNTS),
    "gaussian_nll_loss number": (partial(cr.gaussian_nll_loss, var=0.7), X, TARGET),
    "kl_div": (cr.kl_div, LOG_P, PROBABILITIES),
    "kl_div log_target": (partial(cr.kl_div, log_target=True), LOG_P, np.log(PROBABILITIES)),
    "cross_entropy": (cr.cross_entropy, X, LABELS),
    "cross_entropy weight": (partial(cr.cross_entropy, weight=CLASS_WEIGHT), X, LABELS),
    "cross_entropy label_smoothing=0.1": (partial(cr.cross_entropy, label_smoothing=0.1), X, LABELS),
    "cross_entropy weight label_smoothing=0.1": (
        partial(cr.cross_entropy, weight=CLASS_WEIGHT, label_smoothing=0.1),
        *(X, LABELS),
    ),
    "cross_entropy probabilities": (cr.cross_entropy, X, PROBABILITIES),
    "cross_entropy probabilities weight label_smoothing=0.1": (
        partial(cr.cross_entropy, weight=CLASS_WEIGHT, label_smoothing=0.1),
        *(X, PROBABILITIES),
    ),
    "nll_loss": (cr.nll_loss, LOG_P, LABELS),
    "nll_loss weight": (partial(cr.nll_loss, weight=CLASS_WEIGHT), LOG_P, LABELS),
    "multi_margin_loss": (cr.multi_margin_loss, X, LABELS),
    "multi_margin_loss p=2 margin=0.5 weight": (
        partial(cr.multi_margin_loss, p=2, margin=0.5, weight=CLASS_WEIGHT),
        *(X, LABELS),
    ),
    "mse_loss half": (partial(cr.mse_loss, half=True), X, TARGET),
    "quantile_loss": (cr.quantile_loss, X, TARGET),
    "quantile_loss several": (partial(cr.quantile_loss, quantile=[0.1, 0.9, 0.5, 0.3]), X, TARGET[:, :1]),
    "log_cosh_loss": (cr.log_cosh_loss, X, TARGET),
    "hinge_loss": (cr.hinge_loss, X, SIGNS),
    "hinge_loss margin=0.4": (partial(cr.hinge_loss, margin=0.4), X, SIGNS),
    "perceptron_loss": (cr.perceptron_loss, X, SIGNS),
}


def _call_of(name: str) -> tuple[Loss, Array, Array]:
    """By the first case of the row of the reference."""
    domains, options = KINDS[name][0]
    rng = np.random.default_rng(11)
    drawn = [rng.uniform(*domain, X.shape) for domain in domains]
    fixed = [options["target"][: len(X)]] if "target" in options else []
    return partial(getattr(cr, name), **{k: v for k, v in options.items() if k != "target"}), *drawn, *fixed


CALLS |= {name: _call_of(name) for name in KINDS if name not in {key.split()[0] for key in CALLS}}


@pytest.mark.parametrize("name", VALUES)
def test_pytorch_gives_the_same(name: str) -> None:
    loss, x, target = CALLS[name]
    expected = VALUES[name]
    for reduction in ("mean", "sum", "batchmean"):
        if reduction in expected:
            value = loss(x, target, reduction=reduction).item()
            np.testing.assert_allclose(value, expected[reduction], rtol=1e-12, err_msg=reduction)
    each = loss(x, target, reduction="none").numpy().reshape(-1)
    np.testing.assert_allclose(each[:3], expected["none"], rtol=1e-12)
    gradient = cr.grad(lambda v: loss(v, target))(cr.tensor(x)).numpy()
    np.testing.assert_allclose(gradient[:2, :2].reshape(-1), expected["gradient"], rtol=1e-10, atol=1e-14)


# What PyTorch does not have.


def test_half_the_squares() -> None:
    """The three forms of the lecture notes: half a square, half of a sum, the squared length."""
    d = X - TARGET
    np.testing.assert_allclose(cr.mse_loss(X, TARGET, "none", half=True).numpy(), d * d / 2, rtol=1e-15)
    np.testing.assert_allclose(cr.mse_loss(X, TARGET, "sum", half=True).item(), (d * d).sum() / 2, rtol=1e-15)
    np.testing.assert_allclose(cr.mse_loss(X[0], TARGET[0], "sum").item(), np.linalg.norm(d[0]) ** 2, rtol=1e-15)
    assert cr.mse_loss(X, X, "sum").item() == 0
    gradient = cr.grad(lambda p: cr.mse_loss(p, TARGET, "sum", half=True))(cr.tensor(X))
    np.testing.assert_allclose(gradient.numpy(), d, rtol=1e-15)


def test_hinge_and_perceptron() -> None:
    for margin in (1.0, 0.4):
        each = np.maximum(0, margin - SIGNS * X)
        np.testing.assert_allclose(cr.hinge_loss(X, SIGNS, "none", margin=margin).numpy(), each, rtol=1e-15)
    np.testing.assert_allclose(cr.perceptron_loss(X, SIGNS, "sum").item(), np.maximum(0, -SIGNS * X).sum(), rtol=1e-14)
    gradient = cr.grad(lambda p: cr.perceptron_loss(p, SIGNS, "sum"))(cr.tensor(X))
    np.testing.assert_array_equal(gradient.numpy(), np.where(SIGNS * X < 0, -SIGNS, 0))


@pytest.mark.parametrize("name", CALLS)
def test_weights_of_rows(name: str) -> None:
    """np.average of the losses of the rows, as scikit-learn weights them; weight 0 is as if the row were not there."""
    loss, x, target = CALLS[name]
    weighted = partial(loss, x, target, sample_weight=ROWS)
    each = loss(x, target, reduction="none").numpy()
    by_row = ROWS.reshape(-1, *(1,) * (each.ndim - 1))
    np.testing.assert_array_equal(weighted(reduction="none").numpy(), each * by_row)
    np.testing.assert_allclose(weighted(reduction="sum").item(), (each * by_row).sum(), rtol=1e-13)
    without = [0, 1, 3, 4]
    fewer = loss(x[without], target[without], sample_weight=ROWS[without]).item()
    np.testing.assert_allclose(weighted().item(), fewer, rtol=1e-13)
    np.testing.assert_allclose(loss(x, target, sample_weight=np.full(5, 7)).item(), loss(x, target).item(), rtol=1e-13)
    if not (name.startswith(("cross_entropy", "nll_loss")) and "weight" in name and "probabilities" not in name):
        np.testing.assert_allclose(weighted().item(), np.average(each, weights=by_row + 0 * each), rtol=1e-13)


def test_weights_of_rows_and_classes_are_multiplied() -> None:
    each, own = cr.cross_entropy(X, LABELS, "none").numpy(), ROWS * CLASS_WEIGHT[LABELS]
    value = cr.cross_entropy(X, LABELS, weight=CLASS_WEIGHT, sample_weight=ROWS).item()
    np.testing.assert_allclose(value, np.average(each, weights=own), rtol=1e-13)


def test_a_batch_without_weight_has_loss_and_gradient_0() -> None:
    x = cr.tensor(X, requires_grad=True)
    for loss in (
        cr.cross_entropy(x, LABELS, sample_weight=np.zeros(5)),
        cr.cross_entropy(x, np.zeros(5, np.int64), weight=[0, 1, 1, 1]),
        cr.mse_loss(x, TARGET, sample_weight=np.zeros(5)),
    ):
        x.grad = None
        loss.backward()
        assert loss.item() == 0
        assert x.grad is not None
        assert not x.grad.numpy().any()


def test_weights_are_rounded_once() -> None:
    """Lists and float64 arrays alike, also for a float64 loss."""
    for given in ([0.1] * 5, np.full(5, 0.1), cr.tensor(np.full(5, 0.1))):
        assert cr.mse_loss(X, X + 1, "sum", sample_weight=given).item() == pytest.approx(0.1 * X.size, rel=1e-14)
    assert cr.nll_loss([[-1.0, -2.0]], [1], "sum", weight=[0.3, 0.1]).item() == float(np.float32(0.1) * np.float32(2))


# Extreme arguments.

EXTREME = np.asarray([[1e4, -1e4, 3e3], [-1e30, 1e30, 0.0], [80.0, -80.0, 200.0]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_scores_neither_overflow_nor_turn_nan(dtype: type[np.floating[Any]]) -> None:
    scores, labels = EXTREME.astype(dtype), np.asarray([1, 0, 1])
    bits = (EXTREME > 0).astype(dtype)
    calls: list[tuple[Loss, Any]] = [
        (cr.cross_entropy, labels),
        (partial(cr.cross_entropy, label_smoothing=0.1), labels),
        (partial(cr.cross_entropy, weight=[1.0, 2.0, 0.5]), labels),
        (cr.cross_entropy, np.full((3, 3), 1 / 3, dtype)),
        (cr.multi_margin_loss, labels),
        (cr.binary_cross_entropy_with_logits, bits),
        (cr.binary_cross_entropy_with_logits, 1 - bits),
        (partial(cr.binary_cross_entropy_with_logits, pos_weight=3.0), 1 - bits),
        (cr.huber_loss, bits),
        (cr.log_cosh_loss, bits),
        (cr.quantile_loss, bits),
        (cr.hinge_loss, 1 - 2 * bits),
    ]
    for loss, target in calls:
        value, gradient = cr.value_and_grad(lambda x, f=loss, t=target: f(x, t))(cr.tensor(scores))
        assert np.isfinite(value.item()), loss
        assert np.isfinite(gradient.numpy()).all(), loss
        assert np.abs(gradient.numpy()).max() > 0, loss


def test_logarithms_of_0_are_cut_off() -> None:
    p, t = np.asarray([0.0, 1.0, 0.0, 1.0, 1e-40]), np.asarray([1.0, 0.0, 0.0, 1.0, 1.0])
    for dtype in (np.float32, np.float64):
        given = cr.tensor(p.astype(dtype), requires_grad=True)
        each = cr.binary_cross_entropy(given, t.astype(dtype), "none")
        np.testing.assert_allclose(each.numpy(), [100, 100, 0, 0, -np.log(p.astype(dtype)[4])], rtol=1e-6)
        cr.sum(each).backward()
        assert given.grad is not None
        np.testing.assert_allclose(given.grad.numpy(), [-1e12, 1e12, 0, 0, -1e12], rtol=1e-6)


def test_probability_0_counts_nothing() -> None:
    target = cr.tensor([[0.0, 1.0]], requires_grad=True)
    loss = cr.kl_div(np.log(np.asarray([[0.25, 0.75]], np.float32)), target, "sum")
    np.testing.assert_allclose(loss.item(), -np.log(0.75), rtol=1e-6)
    loss.backward()
    assert target.grad is not None
    np.testing.assert_allclose(target.grad.numpy(), [[-np.log(0.25), 1 - np.log(0.75)]], rtol=1e-6)


@pytest.mark.parametrize("name", CALLS)
def test_no_rows(name: str) -> None:
    """The sum of nothing is 0, its mean is NaN."""
    loss, x, target = CALLS[name]
    assert loss(x[:0], target[:0], reduction="sum").item() == 0
    assert loss(x[:0], target[:0], reduction="none").shape == loss(x, target, reduction="none").numpy()[:0].shape
    if "weight" not in name or "margin" in name or "probabilities" in name or "pos" in name:
        assert np.isnan(loss(x[:0], target[:0]).item())


# Kinks: the chosen derivatives at arguments where the loss is not differentiable.

KINKS: dict[str, tuple[Loss, float, float, float]] = {
    "l1": (cr.l1_loss, 2.0, 2.0, 0.0),
    "huber": (cr.huber_loss, 1.0, 0.0, 1.0),
    "huber below": (cr.huber_loss, -1.0, 0.0, -1.0),
    "smooth l1": (partial(cr.smooth_l1_loss, beta=0.5), 0.5, 0.0, 1.0),
    "quantile": (partial(cr.quantile_loss, quantile=0.9), 2.0, 2.0, 0.0),
    "log cosh": (cr.log_cosh_loss, 2.0, 2.0, 0.0),
    "hinge at the margin": (cr.hinge_loss, -1.0, -1.0, 0.0),
    "hinge inside": (cr.hinge_loss, 0.5, 1.0, -1.0),
    "perceptron at 0": (cr.perceptron_loss, 0.0, 1.0, 0.0),
}


@pytest.mark.parametrize("name", KINKS)
def test_kinks(name: str) -> None:
    loss, p, t, slope = KINKS[name]
    assert cr.grad(lambda x: loss(x, cr.tensor(t)))(cr.tensor(p)).item() == slope


def test_the_margin_of_classes_is_a_kink() -> None:
    scores = np.asarray([[2.0, 1.0, 0.0]])
    gradient = cr.grad(lambda x: cr.multi_margin_loss(x, [0]))(cr.tensor(scores))
    np.testing.assert_array_equal(gradient.numpy(), np.zeros((1, 3)))


# Errors.

NUMBERS = {name: call for name, call in CALLS.items() if call[2].shape == X.shape and "probabilities" not in name}
CLASSES = {name: call for name, call in CALLS.items() if call[2].shape == LABELS.shape}


@pytest.mark.parametrize("name", NUMBERS)
def test_shapes_are_strict(name: str) -> None:
    loss, x, target = NUMBERS[name]
    word = name.split()[0]
    with pytest.raises(ValueError, match=rf"^{word}: .*\(5, 1\), target \(5,\); use target.reshape\(-1, 1\) or pred"):
        loss(x[:, :1], target[:, 0])
    with pytest.raises(ValueError, match=rf"^{word}: .*\(5,\), target \(5, 1\); use prediction.reshape\(-1, 1\) or t"):
        loss(x[:, 0], target[:, :1])
    with pytest.raises(ValueError, match=rf"^{word}: .*\(5, 4\), target \(1, 4\); give both one shape"):
        loss(x, target[:1])
    with pytest.raises(TypeError, match=rf"^{word}: expected one dtype, got float64 and float32"):
        loss(x, target.astype(np.float32))
    with pytest.raises(TypeError, match=rf"^{word}: expected float32 or float64, got int64"):
        loss(x, target.astype(np.int64))


@pytest.mark.parametrize("name", CLASSES)
def test_labels_are_strict(name: str) -> None:
    loss, x, labels = CLASSES[name]
    word = name.split()[0]
    with pytest.raises(ValueError, match=rf"^{word}: .*\(5, 4\) and \(5, 1\); use labels.reshape\(-1\)"):
        loss(x, labels[:, None])
    with pytest.raises(ValueError, match=rf"^{word}: .*got \(5, 4\) and \(4,\)$"):
        loss(x, labels[1:])
    with pytest.raises(ValueError, match=rf"^{word}: .*got \(5,\) and \(5,\)"):
        loss(x[:, 0], labels)
    with pytest.raises(TypeError, match=rf"^{word}: labels must be integers \(class indices\), got float64"):
        loss(x, labels * 1.0)
    for wrong in (4, -1):
        with pytest.raises(ValueError, match=rf"^{word}: label {wrong} at row 2 is out of range for 4 classes"):
            loss(x, np.where(np.arange(5) == 2, wrong, labels))


@pytest.mark.parametrize("name", CALLS)
def test_the_words_and_weights_are_checked(name: str) -> None:
    loss, x, target = CALLS[name]
    word = name.split()[0]
    last = "none or batchmean" if word == "kl_div" else "sum or none"
    with pytest.raises(ValueError, match=rf"^{word}: reduction must be mean, .*{last}, got 'product'"):
        loss(x, target, reduction="product")
    with pytest.raises(ValueError, match=rf"^{word}: sample_weight has shape \(4,\), expected one per row, \(5,\)$"):
        loss(x, target, sample_weight=ROWS[1:])
    with pytest.raises(ValueError, match=rf"^{word}: sample_weight .*\(5, 1\), .*; use sample_weight.reshape\(-1\)"):
        loss(x, target, sample_weight=ROWS[:, None])


ERRORS: dict[str, tuple[Callable[[], object], str]] = {
    "zeros": (lambda: cr.hinge_loss(X, (SIGNS + 1) / 2), r"hinge_loss: the target at \(0, 0\) is neither -1 nor 1; wr"),
    "nan": (lambda: cr.perceptron_loss([1.0, 2.0], [1.0, np.nan]), r"perceptron_loss: the target at \(1,\) is neither"),
    "below": (lambda: cr.binary_cross_entropy([0.5, -1e-30], [1.0, 0.0]), r"the prediction at \(1,\) is not a prob"),
    "above": (lambda: cr.binary_cross_entropy([1.0000001, 0.5], [1.0, 0.0]), r"at \(0,\) is not a probability from 0"),
    "delta": (lambda: cr.huber_loss(X, X, delta=0), "huber_loss: delta must be a finite number above 0, got 0"),
    "beta": (
        lambda: cr.smooth_l1_loss(X, X, beta=-1),
        "smooth_l1_loss: beta must be a finite number of at least 0, got -1",
    ),
    "eps": (
        lambda: cr.poisson_nll_loss(X, X, log_input=False, eps=np.inf),
        "eps must be a finite number of at least 0, got inf",
    ),
    "quantile": (
        lambda: cr.quantile_loss(X, X, quantile=90),
        "quantile_loss: quantile must be above 0 and below 1, got 90",
    ),
    "no quantile": (lambda: cr.nn.QuantileLoss(quantile=[0.5, 1.0])(X[:, :2], X[:, 0]), "and below 1, got 1.0"),
    "quantiles": (
        lambda: cr.quantile_loss(X, X[:, 0], quantile=[0.1, 0.9]),
        r"quantile_loss: prediction has shape \(5, 4\), expected \(..., 2\) for 2 quantiles",
    ),
    "none": (lambda: cr.quantile_loss(X[:, :0], X[:, 0], quantile=[]), r"expected \(..., 0\) for 0 quantiles"),
    "a target each": (
        lambda: cr.quantile_loss(X, X, quantile=[0.1, 0.2, 0.7, 0.9]),
        r"prediction has shape \(5, 4\), target \(5, 4\); the target of 4 quantiles has the shape \(5,\) or \(5, 1\)",
    ),
    "variance": (
        lambda: cr.gaussian_nll_loss(X, X, VARIANCES - 0.1),
        r"gaussian_nll_loss: the variance at \(0, 2\) is negative; give cr.exp or cr.softplus",
    ),
    "variances": (
        lambda: cr.gaussian_nll_loss(X, X, VARIANCES[:4]),
        r"gaussian_nll_loss: var has shape \(4, 4\), expected \(5, 4\), \(5, 1\) or a number",
    ),
    "p": (lambda: cr.multi_margin_loss(X, LABELS, p=3), "multi_margin_loss: p must be 1 or 2, got 3"),
    "smoothing": (lambda: cr.cross_entropy(X, LABELS, label_smoothing=1.5), "must be from 0 to 1, got 1.5"),
    "weight": (lambda: cr.cross_entropy(X, LABELS, weight=[1, 2]), r"weight has shape \(2,\), expected .*\(4,\)"),
    "pos": (lambda: cr.binary_cross_entropy_with_logits(X, TARGET, pos_weight=[1, 2]), r"pos_weight has shape \(2,\)"),
    "no rows": (lambda: cr.mse_loss(1.0, 2.0, sample_weight=[1.0]), r"a prediction of shape \(\) has no rows"),
    "probabilities": (lambda: cr.cross_entropy(X, PROBABILITIES[:, 1:]), r"\(5, 4\), target \(5, 3\); give both"),
    "axes": (lambda: cr.cross_entropy(X[None], PROBABILITIES), r"labels \(n, ...\), got \(1, 5, 4\) and \(5, 4\)"),
    "nothing": (lambda: cr.l1_penalty([]), "l1_penalty: expected at least one parameter$"),
    "biases only": (
        lambda: cr.l2_penalty(cr.tensor([1.0]), biases=False),
        "l2_penalty: expected at least one parameter with two or more axes$",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    call, message = ERRORS[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_the_examples_of_the_page_run() -> None:
    text = (Path(__file__).parent.parent / "docs" / "losses.md").read_text()
    code = "".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    test = doctest.DocTestParser().get_doctest(code, {}, "losses.md", None, None)
    assert len(test.examples) > 25
    output: list[str] = []
    assert doctest.DocTestRunner(verbose=False).run(test, out=output.append).failed == 0, "".join(output)


def test_the_page_names_all_losses() -> None:
    text = (Path(__file__).parent.parent / "docs" / "losses.md").read_text()
    for name in (*KINDS, *(module.__name__ for module in LOSSES)):
        assert re.search(rf"`{name}[(`]", text), name

"""Losses and penalties: PyTorch's values, extreme arguments, kinks, weights, strict shapes. Bits are in test_ops."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

import chainrule as cr
from loss_values import CLASS_WEIGHT, COUNTS, LABELS, POS_WEIGHT, TARGET, VALUES, X
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
    "hinge_loss": (cr.hinge_loss, X, SIGNS),
    "hinge_loss margin=0.4": (partial(cr.hinge_loss, margin=0.4), X, SIGNS),
    "perceptron_loss": (cr.perceptron_loss, X, SIGNS),
}


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

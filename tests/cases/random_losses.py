"""Losses of random nets: functions of a net, whose output is (rows, outputs), and a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

import chainrule as cr

if TYPE_CHECKING:
    from cases.random_layers import Batch
    from cases.random_nets import Net

Loss = Callable[["Net", "Batch"], cr.Tensor]


def classes(net: Net, b: Batch) -> cr.Tensor:
    return cr.cross_entropy(net(b), b.labels)


def classes_summed(net: Net, b: Batch) -> cr.Tensor:
    return cr.cross_entropy(net(b), b.labels, reduction="sum") * 0.02


def weighted_classes(net: Net, b: Batch) -> cr.Tensor:
    return cr.mean(cr.cross_entropy(net(b), b.labels, reduction="none") * b.target[:, 0])


def values(net: Net, b: Batch) -> cr.Tensor:
    return cr.mse_loss(net(b), b.target)


def values_summed(net: Net, b: Batch) -> cr.Tensor:
    return cr.mse_loss(net(b), b.target, reduction="sum") * 0.01


def bits(net: Net, b: Batch) -> cr.Tensor:
    return cr.binary_cross_entropy_with_logits(net(b), b.target)


def robust(net: Net, b: Batch) -> cr.Tensor:
    out = net(b)
    near = cr.huber_loss(out, b.target, delta=0.3, sample_weight=b.target[:, 0])
    far = cr.l1_loss(out, b.target, "sum") * 0.01 + cr.smooth_l1_loss(out, b.target) * 0.5
    return near + far + cr.log_cosh_loss(out, b.target) * 0.3 + cr.quantile_loss(out, b.target, quantile=0.2) * 0.1


def signs(net: Net, b: Batch) -> cr.Tensor:
    out, target = net(b), cr.astype(b.target > 0.5, b.target.dtype) * 2.0 - 1.0
    return (
        cr.hinge_loss(out, target, sample_weight=b.target[:, 0]) + cr.perceptron_loss(out * 0.5, target, "sum") * 0.01
    )


def probabilities(net: Net, b: Batch) -> cr.Tensor:
    out = net(b)
    weight = np.arange(1, out.shape[1] + 1)
    likely = cr.binary_cross_entropy_with_logits(out, b.target, pos_weight=weight) * 0.1
    return likely + cr.binary_cross_entropy(cr.sigmoid(out), b.target, sample_weight=b.target[:, -1])


def distributions(net: Net, b: Batch) -> cr.Tensor:
    out = net(b)
    divergence = cr.kl_div(cr.log_softmax(out), cr.softmax(b.target), "batchmean")
    return divergence + cr.poisson_nll_loss(cr.tanh(out), b.target) * 0.1 + cr.cross_entropy(out, cr.softmax(b.target))


def smoothed_classes(net: Net, b: Batch) -> cr.Tensor:
    out = net(b)
    weight = 1.0 / np.arange(1, out.shape[1] + 1)
    return cr.cross_entropy(out, b.labels, weight=weight, label_smoothing=0.1, sample_weight=b.target[:, 0])


def margins(net: Net, b: Batch) -> cr.Tensor:
    out = net(b)
    weight = 1.0 / np.arange(1, out.shape[1] + 1)
    likely = cr.nll_loss(cr.log_softmax(out), b.labels, weight=weight) * 0.1
    return likely + cr.multi_margin_loss(out, b.labels, p=2, sample_weight=b.target[:, 0]) * 0.2


def several(net: Net, b: Batch) -> cr.Tensor:
    out = net(b)
    middle = cr.mse_loss(cr.sigmoid(out), b.target, reduction="none")
    return cr.cross_entropy(out, b.labels) + 0.5 * middle.mean() + cr.sum(cr.abs(out[:, -1])) * 0.01


def by_probability(net: Net, b: Batch) -> cr.Tensor:
    return -cr.mean(cr.sum(cr.log_softmax(net(b)) * b.target, -1))


def weight_penalty(net: Net, b: Batch) -> cr.Tensor:
    penalty = cr.l1_penalty(net.parameters) + cr.l2_penalty(net.parameters, biases=False)
    return cr.cross_entropy(net(b), b.labels) + penalty * 0.001


def gradient_penalty(net: Net, b: Batch) -> cr.Tensor:
    value, slope = cr.value_and_grad(lambda x: cr.mse_loss(net(b, x), b.target))(b.x)
    return cr.add(value, cr.mean(cr.square(slope)) * 0.5)


def differential_equation(net: Net, b: Batch) -> cr.Tensor:
    """u'' + u' u = x in the first feature."""

    def u(x: cr.Tensor) -> cr.Tensor:
        return cr.tanh(net(b, x))[:, 0]

    def first(x: cr.Tensor) -> cr.Tensor:
        return cr.ops.getitem(cr.grad(lambda z: cr.sum(u(z)))(x), (slice(None), 0))

    second = cr.grad(lambda x: cr.sum(first(x)))(b.x)[:, 0]
    return cr.mean(cr.square(second + first(b.x) * u(b.x) - b.x[:, 0])) * 0.1 + cr.mean(cr.square(u(b.x * 0.5)))


LOSSES: tuple[Loss, ...] = (
    classes, classes, classes_summed, weighted_classes, values, values_summed, bits, several, by_probability, robust,
    signs, probabilities, distributions, smoothed_classes, margins, weight_penalty, gradient_penalty,
    differential_equation,
)  # fmt: skip
COMPARING = (
    classes,
    classes_summed,
    weighted_classes,
    several,
    by_probability,
    distributions,
    smoothed_classes,
    margins,
    weight_penalty,
)  # fmt: skip  (one output: all 0)
DEEP = (gradient_penalty, differential_equation)  # their graphs are several times the net

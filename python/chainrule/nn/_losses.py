"""Losses: the ops as modules with their options. docs/losses.md has the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from .. import ops
from .._tensor import Tensor
from ._module import Module

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "HingeLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "MSELoss",
    "MultiMarginLoss",
    "NLLLoss",
    "PenalizedLoss",
    "PerceptronLoss",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "takes",
]

Weights = Sequence[float] | None


class _Loss(Module):
    """What the losses share: the op, the reduction and the op's options, which are attributes.

    `takes` says what targets are: "numbers", "labels", or "labels or probabilities".
    """

    function: ClassVar[Callable[..., Tensor]]
    takes: ClassVar[str] = "numbers"
    reductions: ClassVar[tuple[str, ...]] = ("mean", "sum", "none")

    def __init__(self, reduction: str = "mean", **options: Any) -> None:
        if reduction not in self.reductions:
            words = f"{', '.join(self.reductions[:-1])} or {self.reductions[-1]}"
            raise ValueError(f"{type(self).__name__}: reduction must be {words}, got {reduction!r}")
        self.reduction = reduction
        vars(self).update(options)
        self._options = tuple(options)

    def config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("reduction", *self._options)}

    def forward(self, prediction: Tensor, target: Tensor, sample_weight: Any = None) -> Tensor:
        return type(self).function(prediction, target, sample_weight=sample_weight, **self.config())


def _numbers(weight: Any) -> Any:
    """Weights as a model file can keep them."""
    return None if weight is None else np.asarray(weight, dtype=np.float64).tolist()


class MSELoss(_Loss):
    """Squared error, (prediction - target)**2, then the reduction.

    Arguments: `reduction`: "mean" or "sum" over all elements, or "none"; `half`: take half of it.
    Input: prediction and target of one shape and dtype; different shapes are an error, never a broadcast;
    `sample_weight`, None or one number for each row. The other losses of numbers take the same.

    >>> import chainrule as cr
    >>> cr.nn.MSELoss()(cr.tensor([1.0, 2.0]), cr.tensor([1.0, 4.0])).item()
    2.0
    """

    function = staticmethod(ops.mse_loss)

    def __init__(self, reduction: str = "mean", *, half: bool = False) -> None:
        super().__init__(reduction, half=bool(half))


class L1Loss(_Loss):
    """Absolute error, |prediction - target|, then the reduction; arguments and input as `MSELoss`.

    >>> import chainrule as cr
    >>> cr.nn.L1Loss()(cr.tensor([1.0, 2.0]), cr.tensor([1.0, 4.0])).item()
    1.0
    """

    function = staticmethod(ops.l1_loss)


class HuberLoss(_Loss):
    """Squared error / 2 up to a distance of `delta`, beyond it delta * (|d| - delta / 2); see `cr.huber_loss`.

    >>> import chainrule as cr
    >>> cr.nn.HuberLoss()(cr.tensor([0.0, 0.0]), cr.tensor([0.5, 3.0])).item()
    1.3125
    """

    function = staticmethod(ops.huber_loss)

    def __init__(self, reduction: str = "mean", *, delta: float = 1.0) -> None:
        super().__init__(reduction, delta=float(delta))


class SmoothL1Loss(_Loss):
    """Absolute error with a smooth bottom of width `beta`; see `cr.smooth_l1_loss`.

    >>> import chainrule as cr
    >>> cr.nn.SmoothL1Loss()(cr.tensor([0.0, 0.0]), cr.tensor([0.5, 3.0])).item()
    1.3125
    """

    function = staticmethod(ops.smooth_l1_loss)

    def __init__(self, reduction: str = "mean", *, beta: float = 1.0) -> None:
        super().__init__(reduction, beta=float(beta))


class HingeLoss(_Loss):
    """Hinge loss of two classes, max(0, margin - target * prediction), for targets -1 and 1; see `cr.hinge_loss`.

    >>> import chainrule as cr
    >>> cr.nn.HingeLoss()(cr.tensor([0.5, -2.0]), cr.tensor([1.0, 1.0])).item()
    1.75
    """

    function = staticmethod(ops.hinge_loss)

    def __init__(self, reduction: str = "mean", *, margin: float = 1.0) -> None:
        super().__init__(reduction, margin=float(margin))


class PerceptronLoss(_Loss):
    """Perceptron loss, max(0, -target * prediction), for targets -1 and 1; see `cr.perceptron_loss`.

    >>> import chainrule as cr
    >>> cr.nn.PerceptronLoss()(cr.tensor([0.5, -2.0]), cr.tensor([1.0, 1.0])).item()
    1.0
    """

    function = staticmethod(ops.perceptron_loss)


class BCELoss(_Loss):
    """Binary cross entropy of probabilities, -(t * log(p) + (1 - t) * log(1 - p)); see `cr.binary_cross_entropy`.

    >>> import chainrule as cr
    >>> cr.nn.BCELoss()(cr.tensor([0.5]), cr.tensor([1.0])).item()
    0.6931471824645996
    """

    function = staticmethod(ops.binary_cross_entropy)


class BCEWithLogitsLoss(_Loss):
    """Binary cross entropy of scores before the sigmoid, (1 - target) * x + log(1 + exp(-x)), then the reduction.

    Arguments: `reduction`; `pos_weight`: how much target 1 counts against 0, a number or one for each column.
    Input: logits and target of one shape and dtype, target from 0 to 1; `sample_weight`.

    >>> import chainrule as cr
    >>> cr.nn.BCEWithLogitsLoss()(cr.tensor([0.0]), cr.tensor([1.0])).item()
    0.6931471824645996
    """

    function = staticmethod(ops.binary_cross_entropy_with_logits)

    def __init__(self, reduction: str = "mean", *, pos_weight: float | Weights = None) -> None:
        super().__init__(reduction, pos_weight=_numbers(pos_weight))


class PoissonNLLLoss(_Loss):
    """Negative log likelihood of counts, exp(x) - target * x, for x the logarithm of the rate.

    Arguments: `reduction`; `log_input`, `full`, `eps` as `cr.poisson_nll_loss`.

    >>> import chainrule as cr
    >>> cr.nn.PoissonNLLLoss()(cr.tensor([0.0]), cr.tensor([3.0])).item()
    1.0
    """

    function = staticmethod(ops.poisson_nll_loss)

    def __init__(
        self, reduction: str = "mean", *, log_input: bool = True, full: bool = False, eps: float = 1e-8
    ) -> None:
        super().__init__(reduction, log_input=bool(log_input), full=bool(full), eps=float(eps))


class KLDivLoss(_Loss):
    """Kullback-Leibler divergence of logarithms of probabilities, target * (log(target) - prediction).

    Arguments: `reduction`: "batchmean" for the divergence itself, "mean" over all elements, "sum" or "none";
    `log_target`: whether targets are logarithms, too.

    >>> import chainrule as cr
    >>> cr.nn.KLDivLoss("batchmean")(cr.log([[0.5, 0.5]]), cr.tensor([[1.0, 0.0]])).item()
    0.6931471824645996
    """

    function = staticmethod(ops.kl_div)
    reductions = ("mean", "sum", "none", "batchmean")

    def __init__(self, reduction: str = "mean", *, log_target: bool = False) -> None:
        super().__init__(reduction, log_target=bool(log_target))


class CrossEntropyLoss(_Loss):
    """Cross entropy of softmax scores, -log(softmax(logits)[label]) per row, then the reduction.

    Arguments: `reduction`: "mean" or "sum" over rows, or "none"; `weight`: one number for each class; the mean is then
    divided by the sum of the weights of the labels; `label_smoothing`, from 0 to 1.
    Input: logits of shape (n, classes), before softmax; labels, integers of shape (n,) from 0 to classes - 1, or
    probabilities (n, classes); `sample_weight`, None or one number for each row.

    >>> import chainrule as cr
    >>> cr.nn.CrossEntropyLoss()(cr.tensor([[0.0, 0.0]]), cr.tensor([1])).item()
    0.6931471824645996
    """

    function = staticmethod(ops.cross_entropy)
    takes = "labels or probabilities"

    def __init__(self, reduction: str = "mean", *, weight: Weights = None, label_smoothing: float = 0.0) -> None:
        super().__init__(reduction, weight=_numbers(weight), label_smoothing=float(label_smoothing))


class NLLLoss(_Loss):
    """Negative log likelihood, -log_probabilities[label] per row; arguments and labels as `CrossEntropyLoss`.

    >>> import chainrule as cr
    >>> cr.nn.NLLLoss()(cr.log([[0.5, 0.5]]), cr.tensor([1])).item()
    0.6931471824645996
    """

    function = staticmethod(ops.nll_loss)
    takes = "labels"

    def __init__(self, reduction: str = "mean", *, weight: Weights = None) -> None:
        super().__init__(reduction, weight=_numbers(weight))


class MultiMarginLoss(_Loss):
    """Hinge loss of classes, the sum of max(0, margin - x[label] + x[j])**p over j != label, / classes.

    Arguments: `reduction`; `p`, 1 or 2; `margin`; `weight`, one number for each class; see `cr.multi_margin_loss`.

    >>> import chainrule as cr
    >>> cr.nn.MultiMarginLoss()(cr.tensor([[1.0, 1.5, 3.0, -3.0]]), cr.tensor([0])).item()
    1.125
    """

    function = staticmethod(ops.multi_margin_loss)
    takes = "labels"

    def __init__(self, reduction: str = "mean", *, p: int = 1, margin: float = 1.0, weight: Weights = None) -> None:
        super().__init__(reduction, p=int(p), margin=float(margin), weight=_numbers(weight))


class PenalizedLoss:
    """A loss and a penalty of a model's parameters, loss + l1 * sum |w| + l2 * sum w**2, as `cr.fit` takes it.

    l2 gives the steps of `cr.optim.SGD` with a weight decay of 2 * l2, and shows it in the loss.

    Arguments: `loss`, a loss module or function; `model`, a Module; `l1`, `l2`, at least 0; `biases`, False to leave
    out parameters with fewer than two axes.
    Input: that of the loss. Errors: ValueError for a factor that is negative or not finite.

    >>> import chainrule as cr
    >>> model = cr.nn.Linear(1, 1)
    >>> _ = model.weight.copy_([[3.0]])
    >>> loss = cr.nn.PenalizedLoss(cr.nn.MSELoss(), model, l2=0.5)
    >>> loss(model(cr.tensor([[1.0]])), cr.tensor([[2.0]])).item()
    5.5
    """

    def __init__(
        self, loss: Callable[..., Tensor], model: Module, *, l1: float = 0.0, l2: float = 0.0, biases: bool = True
    ) -> None:
        for name, factor in (("l1", l1), ("l2", l2)):
            if not 0 <= factor < float("inf"):
                raise ValueError(f"PenalizedLoss: {name} must be at least 0 and finite, got {factor!r}")
        self.loss, self.model, self.l1, self.l2, self.biases = loss, model, l1, l2, biases

    def __call__(self, *inputs: Any, **options: Any) -> Tensor:
        total = self.loss(*inputs, **options)
        if self.l1:
            total = ops.add(total, ops.mul(ops.l1_penalty(self.model, self.biases), self.l1))
        if self.l2:
            total = ops.add(total, ops.mul(ops.l2_penalty(self.model, self.biases), self.l2))
        return total


LOSSES: tuple[type[_Loss], ...] = (
    MSELoss, L1Loss, HuberLoss, SmoothL1Loss, HingeLoss, PerceptronLoss, BCELoss, BCEWithLogitsLoss, PoissonNLLLoss,
    KLDivLoss, CrossEntropyLoss, NLLLoss, MultiMarginLoss,
)  # fmt: skip


def takes(loss: object) -> str | None:
    """What targets of a loss (a module, or the function of one) are, as `_Loss.takes`; None for one's own."""
    while isinstance(loss, PenalizedLoss):
        loss = loss.loss
    return next((kind.takes for kind in LOSSES if isinstance(loss, kind) or loss is kind.function), None)

"""What training minimises: the loss of a batch plus the L2 penalty, and the loss that is reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .. import ops
from .._tensor import Tensor
from ..nn._loss_module import takes

__all__ = ["Objective", "categorical", "numeric", "of_labels"]

Loss = Callable[..., Tensor]


class Objective:
    """The mean loss of rows + alpha/2 * sum W**2 / (sum of the rows' weights), of scikit-learn's estimators.

    `rows(prediction, target, sample_weight)` is the mean loss; `mean`, whether the mean over outputs is reported.
    """

    def __init__(
        self, rows: Loss, coefficients: Sequence[Tensor], alpha: float, outputs: int = 1, mean: bool = False
    ) -> None:
        self.rows, self.coefficients, self.alpha = rows, list(coefficients), alpha
        self.outputs, self.mean = outputs, mean

    def __call__(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        loss = self.minimised(prediction, target, sample_weight)
        if not self.mean or self.outputs == 1:
            return loss
        # scikit-learn follows the gradient of the sum over the outputs and reports the mean over them.
        shown = self.reported(prediction, target, sample_weight)
        return ops.add(loss, ops.sub(shown, loss).detach())

    def minimised(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """The function whose gradient is followed."""
        return self._penalized(self._rows(prediction, target, sample_weight), len(prediction), sample_weight)

    def reported(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """The loss in `loss_curve_`."""
        loss = self._rows(prediction, target, sample_weight)
        if self.mean and self.outputs > 1:
            loss = ops.div(loss, float(self.outputs))
        return self._penalized(loss, len(prediction), sample_weight)

    def _rows(self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None) -> Tensor:
        return self.rows(prediction, target, sample_weight)

    def _penalized(self, loss: Tensor, rows: int, sample_weight: Tensor | None) -> Tensor:
        if self.alpha == 0:
            return loss
        half = ops.mul(ops.l2_penalty(self.coefficients), 0.5)
        penalty = ops.mul(half, self.alpha)
        if sample_weight is None:
            return ops.add(loss, ops.div(penalty, float(rows)))
        return ops.add(loss, ops.div(penalty, ops.sum(sample_weight)))


def numeric(loss: str | Loss, quantile: float, delta: float) -> tuple[Loss, bool]:
    """The loss of numbers (n, outputs): its sum over the outputs, mean over rows; whether its mean is reported."""
    if callable(loss):
        return _own(loss), False
    each: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "squared_error": lambda p, t: ops.mul(ops.square(ops.sub(p, t)), 0.5),
        "absolute_error": lambda p, t: ops.abs(ops.sub(p, t)),
        "huber": lambda p, t: ops.huber_loss(p, t, "none", delta=delta),
        "quantile": lambda p, t: ops.quantile_loss(p, t, "none", quantile=quantile),
        "log_cosh": lambda p, t: ops.log_cosh_loss(p, t, "none"),
        "poisson": _poisson,
    }
    chosen = each[loss]
    return lambda p, t, w: _mean_of_rows(chosen(p, t), w), loss != "poisson"


def _poisson(score: Tensor, target: Tensor) -> Tensor:
    """Half the Poisson deviance of the rate e**score."""
    positive = ops.where(ops.greater(target, 0.0), target, 1.0)
    constant = ops.sub(ops.mul(target, ops.log(positive)), target)
    return ops.add(ops.sub(ops.exp(score), ops.mul(target, score)), constant)


def _mean_of_rows(losses: Tensor, sample_weight: Tensor | None) -> Tensor:
    rows = ops.sum(losses, -1) if losses.ndim > 1 else losses
    if sample_weight is None:
        return ops.mean(rows)
    return ops.div(ops.sum(ops.mul(rows, sample_weight)), ops.sum(sample_weight))


def of_labels(loss: str | Loss) -> bool:
    """Whether an own loss takes class labels, and so a score for each of two classes, too."""
    inner = getattr(loss, "func", loss)  # of a partial
    return callable(loss) and takes(inner) in ("labels", "labels or probabilities")


def categorical(kind: str, loss: str | Loss, sizes: Sequence[int]) -> Loss:
    """The loss of classes by the kind of target, of the scores before softmax or sigmoid."""
    if callable(loss):
        return _own(loss)
    if kind == "multiclass":
        return lambda p, t, w: ops.cross_entropy(p, t, sample_weight=w)
    if kind == "multioutput":
        return lambda p, t, w: _of_columns(p, t, w, sizes)
    return lambda p, t, w: _mean_of_rows(ops.binary_cross_entropy_with_logits(p, t, "none"), w)


def _of_columns(scores: Tensor, labels: Tensor, sample_weight: Tensor | None, sizes: Sequence[int]) -> Tensor:
    """The sum over the columns of the target of the cross entropies of their scores."""
    start, total = 0, None
    for column, size in enumerate(sizes):
        part = ops.cross_entropy(scores[:, start : start + size], labels[:, column], sample_weight=sample_weight)
        total = part if total is None else ops.add(total, part)
        start += size
    assert total is not None
    return total


def _own(loss: Loss) -> Loss:
    """A user's function of prediction and target; weights are passed where there are some."""

    def call(prediction: Tensor, target: Tensor, sample_weight: Tensor | None) -> Tensor:
        if sample_weight is None:
            return loss(prediction, target)
        return loss(prediction, target, sample_weight=sample_weight)

    return call

"""The losses as modules, one row each: name, function, exceptions. docs/losses.md has the table.

Options, defaults, documentation and examples are those of the function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import ops
from .._util.exports import own_names
from ._loss_module import LossModule, TripleLoss


class MSELoss(LossModule, of=ops.mse_loss): ...


class L1Loss(LossModule, of=ops.l1_loss): ...


class HuberLoss(LossModule, of=ops.huber_loss): ...


class SmoothL1Loss(LossModule, of=ops.smooth_l1_loss): ...


class QuantileLoss(LossModule, of=ops.quantile_loss): ...


class LogCoshLoss(LossModule, of=ops.log_cosh_loss): ...


class HingeLoss(LossModule, of=ops.hinge_loss): ...


class PerceptronLoss(LossModule, of=ops.perceptron_loss): ...


class BCELoss(LossModule, of=ops.binary_cross_entropy): ...


class BCEWithLogitsLoss(LossModule, of=ops.binary_cross_entropy_with_logits): ...


class PoissonNLLLoss(LossModule, of=ops.poisson_nll_loss): ...


class GaussianNLLLoss(TripleLoss, of=ops.gaussian_nll_loss): ...


class KLDivLoss(LossModule, of=ops.kl_div):
    reductions = ("mean", "sum", "none", "batchmean")


class SoftMarginLoss(LossModule, of=ops.soft_margin_loss): ...


class HingeEmbeddingLoss(LossModule, of=ops.hinge_embedding_loss): ...


class MultiLabelSoftMarginLoss(LossModule, of=ops.multilabel_soft_margin_loss): ...


class SigmoidFocalLoss(LossModule, of=ops.sigmoid_focal_loss): ...


class MarginRankingLoss(TripleLoss, of=ops.margin_ranking_loss): ...


class CosineEmbeddingLoss(TripleLoss, of=ops.cosine_embedding_loss): ...


class TripletMarginLoss(TripleLoss, of=ops.triplet_margin_loss): ...


class FocalLoss(LossModule, of=ops.focal_loss):
    takes = "labels"


class CrossEntropyLoss(LossModule, of=ops.cross_entropy):
    takes = "labels or probabilities"


class NLLLoss(LossModule, of=ops.nll_loss):
    takes = "labels"


class MultiMarginLoss(LossModule, of=ops.multi_margin_loss):
    takes = "labels"


if not TYPE_CHECKING:
    __all__ = own_names(globals())

"""Train one member of a tabular model: a net, on the rows of four folds, stopped by the loss of the fifth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from ..optim import AdamW
from ..optim._schedules import cos_pi
from ..random import Generator
from ..train import Trainer
from ._net import TabularNet

__all__ = ["FOLDS", "Job", "Member", "Recipe", "folds_of", "train_member"]

FOLDS = 5
_FITTED_ROWS = 4096  # that the first state of the net is fitted to


@dataclass(frozen=True)
class Recipe:
    """How a member is trained; rates are multiples of `lr`, which follows `coslog4` over the epochs.

    Source of rates, schedule and first state: RealMLP-TD-S of Holzmueller, Grinsztajn and Steinwart, Better by default:
    strong pre-tuned MLPs and boosted trees on tabular data, NeurIPS 2024.
    """

    hidden: tuple[int, ...]
    activation: str
    epochs: int
    batch_size: int
    lr: float
    label_smoothing: float = 0.0
    patience: int = 0
    scale_rate: float = 6.0
    bias_rate: float = 0.1
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.95)
    refit: bool = False


@dataclass(frozen=True)
class Job:
    """What a member depends on, and nothing else: its number, the seed, the recipe, and the encoded rows."""

    number: int
    seed: int
    recipe: Recipe
    inputs: npt.NDArray[np.float32]
    targets: npt.NDArray[Any]
    weights: npt.NDArray[np.float32] | None
    folds: npt.NDArray[np.int64]
    outputs: int
    loss: Callable[..., Tensor]


@dataclass(frozen=True)
class Member:
    """A trained net, the rows that were held out of its training, and its outputs for them."""

    number: int
    net: TabularNet
    epochs: int
    losses: tuple[float, ...]
    held_out: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32] = field(repr=False)


def folds_of(codes: npt.NDArray[np.int64] | None, rows: int, seed: int, number: int) -> npt.NDArray[np.int64]:
    """The fold of each row for a member: the rows of each class in random order, dealt to the folds in turn.

    Members 0 to 4 share the folds, 5 to 9 the next ones.
    """
    order = Generator(seed=seed, stream=2**32 + number // FOLDS).permutation(rows)
    if codes is not None:
        order = order[np.argsort(codes[order], kind="stable")]
    folds = np.empty(rows, np.int64)
    folds[order] = np.arange(rows) % FOLDS
    return folds


def _parts(job: Job) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The rows to train on, and those held out; all rows are both if there are too few."""
    held = job.folds == job.number % FOLDS
    trained, held_out = np.flatnonzero(~held), np.flatnonzero(held)
    if not len(held_out) or not len(trained) or (job.weights is not None and not _both_weigh(job.weights, held)):
        trained = held_out = np.arange(len(held))
    return trained, held_out


def _both_weigh(weights: npt.NDArray[np.float32], held: npt.NDArray[np.bool_]) -> bool:
    return bool((weights[held] > 0).any() and (weights[~held] > 0).any())


def train_member(job: Job) -> Member:
    """Train a member: the weights after its best epoch, or with `refit` those of all rows after as many epochs."""
    trained, held_out = _parts(job)
    run = _Run(job, trained)
    best, losses, kept = 0, [], run.net.state_dict()
    for epoch in range(job.recipe.epochs):
        run.epoch(epoch)
        losses.append(_loss(job, run.net, held_out))
        if losses[-1] <= min(losses):  # the last one of equals
            best, kept = epoch + 1, run.net.state_dict()
        elif job.recipe.patience and epoch + 1 - best >= job.recipe.patience:
            break
    run.net.load_state_dict(kept)
    scores = run.net.predict(job.inputs[held_out])
    if job.recipe.refit and best:
        run = _Run(job, np.arange(len(job.inputs)))
        for epoch in range(best):
            run.epoch(epoch)
    return Member(job.number, run.net, best, tuple(losses), held_out, scores)


class _Run:
    """A net with its optimizer, and epochs under the schedule."""

    def __init__(self, job: Job, rows: npt.NDArray[np.int64]) -> None:
        recipe, inputs = job.recipe, job.inputs[rows]
        draw = Generator(seed=job.seed, stream=job.number * 2**20)
        width = inputs.shape[1]
        self.net = TabularNet(width, recipe.hidden, job.outputs, recipe.activation, generator=draw)
        self.net.fit_first_state(inputs[draw.permutation(len(inputs))[:_FITTED_ROWS]], draw)
        self.recipe, groups = recipe, []
        self.rates = []
        for parameter, rate, decays in self.net.rates(recipe.scale_rate, recipe.bias_rate):
            decay = recipe.weight_decay if decays else 0.0
            groups.append({"params": [parameter], "lr": recipe.lr * rate, "weight_decay": decay})
            self.rates.append(recipe.lr * rate)
        self.optimizer = AdamW(groups, lr=recipe.lr, betas=recipe.betas, weight_decay=0.0)
        self.trainer = Trainer(
            self.net,
            inputs,
            job.targets[rows],
            loss=job.loss,
            optimizer=self.optimizer,
            batch_size=min(recipe.batch_size, len(rows)),
            sample_weight=None if job.weights is None else job.weights[rows],
            seed=(job.seed + job.number * 0x9E3779B97F4A7C15) % 2**63,
        )

    def epoch(self, number: int) -> None:
        factor = _coslog4((number + 0.5) / self.recipe.epochs)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.trainer.run_epoch()


def _coslog4(t: float) -> float:
    """(1 - cos(2 pi log2(1 + 15 t))) / 2: four cycles, each twice as long as the one before."""
    log2 = ops.div(ops.log(np.float64(1.0 + 15.0 * t)), ops.log(np.float64(2.0))).item()
    return (1.0 - cos_pi(int(2.0 * log2 * 2**40), 2**40)) / 2.0


def _loss(job: Job, net: TabularNet, rows: npt.NDArray[np.int64]) -> float:
    options = {} if job.weights is None else {"sample_weight": job.weights[rows]}
    value = float(job.loss(net.predict(job.inputs[rows]), job.targets[rows], **options).item())
    return value if value == value else float("inf")

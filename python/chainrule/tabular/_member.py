"""Train the members of a tabular model: nets, each on the rows of four folds, stopped by the loss of the fifth."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from ..compiler.jit import Compiled
from ..data._split import epoch_order
from ..nn._evaluate import evaluating, thread_modes
from ..ops._op import OPS, apply
from ..optim import AdamW, StepSchedule
from ..random import Generator
from ._net import TabularNet

__all__ = ["FOLDS", "Job", "Member", "Recipe", "Training", "folds_of", "train_member"]

FOLDS = 5
_FITTED_ROWS = 4096  # that the first state of the net is fitted to
_SECONDS = 0.05  # between checks for Ctrl-C
_GOLDEN = 0x9E3779B97F4A7C15
_TAKE = OPS["take"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Recipe:
    """How a member is trained; rates are multiples of `lr`, which follows the curve `coslog4` over all steps.

    Source of rates, schedule and first state: RealMLP-TD-S of Holzmueller, Grinsztajn and Steinwart, Better by default:
    strong pre-tuned MLPs and boosted trees on tabular data, NeurIPS 2024.
    """

    hidden: tuple[int, ...]
    activation: str
    epochs: int
    batch_size: int
    lr: float
    label_smoothing: float = 0.0
    evaluations: int = 32  # of the loss of the held-out rows, in equal distances
    scale_rate: float = 6.0
    bias_rate: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    refit: bool = False


@dataclass(frozen=True)
class Member:
    """A trained net, the rows that were held out of its training, and its outputs for them.

    `epochs`: those until the best evaluation; `losses`: of all evaluations; `independent`: whether the held-out rows
    are no training rows; there are too few rows otherwise.
    """

    number: int
    net: TabularNet
    epochs: int
    losses: tuple[float, ...]
    held_out: Ints
    independent: bool
    scores: npt.NDArray[np.float32] = field(repr=False)


def folds_of(codes: Ints | None, rows: int, seed: int, number: int) -> Ints:
    """The fold of each row for a member: the rows of each class in random order, dealt to the folds in turn.

    Members 0 to 4 share the folds, 5 to 9 the next ones.
    """
    order = Generator(seed=seed, stream=2**32 + number // FOLDS).permutation(rows)
    if codes is not None:
        order = order[np.argsort(codes[order], kind="stable")]
    folds = np.empty(rows, np.int64)
    folds[order] = np.arange(rows) % FOLDS
    return folds


@dataclass(frozen=True)
class Training:
    """What all members depend on: the seed, the recipe, the encoded rows.

    `classes`: the number of classes, or 0 for numbers. The program of a step is compiled once in each thread, and used
    for all members that it trains; it is not pickled.
    """

    seed: int
    recipe: Recipe
    inputs: npt.NDArray[np.float32]
    targets: npt.NDArray[Any]
    weights: npt.NDArray[np.float32] | None
    classes: int
    _thread: threading.local = field(default_factory=threading.local, init=False, repr=False, compare=False)

    def __reduce__(self) -> Any:
        given = self.seed, self.recipe, self.inputs, self.targets, self.weights, self.classes
        return Training, given

    def member(self, number: int) -> Member:
        """Train a member: the weights at its best evaluation, or with `refit` those of all rows after as many epochs.

        It has the same bits wherever and after whichever other members it is trained.
        """
        program: _Program | None = getattr(self._thread, "program", None)
        if program is None:
            program = self._thread.program = _Program(self)
        folds = folds_of(self.targets if self.classes else None, len(self.inputs), self.seed, number)
        trained, held_out = self._parts(folds == number % FOLDS)
        net = program.begin(number, trained)
        best, losses, kept, scores = 0, [], program.net.state_dict(), None
        for done in program.run(number, trained):
            loss, outputs = program.evaluate(held_out)
            losses.append(loss)
            if scores is None or loss <= min(losses):  # the last one of equals
                best, kept, scores = done, program.net.state_dict(), outputs
            if loss == float("inf"):
                break
        assert scores is not None
        if self.recipe.refit:
            rows = np.arange(len(self.inputs))
            net = program.begin(number, rows)
            for done in program.run(number, rows):
                kept = program.net.state_dict()
                if done >= best:
                    break
        net.load_state_dict(kept)
        epochs = -(-best * self.recipe.epochs // len(losses)) if losses else 0
        independent = len(held_out) + len(trained) == len(self.inputs)
        return Member(number, net, epochs, tuple(losses), held_out, independent, scores)

    def _parts(self, held: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
        """The rows to train on, and those held out; all rows are both if there are too few."""
        trained, held_out = np.flatnonzero(~held), np.flatnonzero(held)
        if not len(held_out) or not len(trained) or not self._both_weigh(held):
            trained = held_out = np.arange(len(held))
        return trained, held_out

    def _both_weigh(self, held: npt.NDArray[np.bool_]) -> bool:
        return self.weights is None or bool((self.weights[held] > 0).any() and (self.weights[~held] > 0).any())


Job = tuple[Training, int]


def train_member(job: Job) -> Member:
    """Train the member of a number: the function that processes are sent, as its jobs can be pickled."""
    training, number = job
    return training.member(number)


class _Program:
    """A net with its optimizer, and the programs of a step and of an evaluation."""

    def __init__(self, training: Training) -> None:
        recipe = training.recipe
        self.training, self.recipe = training, recipe
        self.net = self._net()
        self._x, self._y = Tensor._wrap(training.inputs), Tensor._wrap(training.targets)
        self._weights = None if training.weights is None else Tensor._wrap(training.weights)
        groups = [
            {"params": parameters, "lr": recipe.lr * rate}
            for rate, parameters in self.net.rates(recipe.scale_rate, recipe.bias_rate).items()
        ]
        self._optimizer = AdamW(groups, lr=recipe.lr, betas=recipe.betas, weight_decay=0.0)
        self._fresh = self._optimizer.state_dict()
        self._step = Compiled(self._take_step, None, (self.net, self._optimizer))
        self._outputs = Compiled(self._loss, None, (self.net,))

    def _net(self, draw: Generator | None = None) -> TabularNet:
        width, classes, recipe = self.training.inputs.shape[1], self.training.classes, self.recipe
        return TabularNet(width, recipe.hidden, classes or 1, recipe.activation, draw)

    def begin(self, number: int, rows: Ints) -> TabularNet:
        """Set the first state of a member; return a net with it."""
        draw = Generator(seed=self.training.seed, stream=number * 2**20)
        net = self._net(draw)
        net.fit_first_state(self.training.inputs[rows[draw.permutation(len(rows))[:_FITTED_ROWS]]], draw)
        self.net.load_state_dict(net.state_dict())
        self._optimizer.load_state_dict(self._fresh)
        return net

    def run(self, number: int, rows: Ints) -> Iterator[int]:
        """Train on these rows; yields the number of parts that are done after each of `evaluations` equal parts.

        An epoch leaves out the rows that do not fill a batch; others in each epoch.
        """
        recipe = self.recipe
        size = min(recipe.batch_size, len(rows))
        each = len(rows) // size * size
        seed = (self.training.seed + number * _GOLDEN) % 2**63
        orders = (rows[epoch_order(len(rows), seed, epoch)[:each]] for epoch in range(recipe.epochs))
        steps = recipe.epochs * each // size
        schedule = StepSchedule(self._optimizer, "lr", "coslog4", total_steps=steps)
        parts, waiting, first = min(recipe.evaluations, steps), np.empty(0, np.int64), 0
        for part in range(parts):
            count = steps * (part + 1) // parts - first
            while len(waiting) < count * size:
                waiting = np.concatenate([waiting, next(orders)])
            self._steps(waiting[: count * size].reshape(count, size), schedule, first)
            waiting, first = waiting[count * size :], first + count
            yield part + 1

    def _steps(self, index: Ints, schedule: StepSchedule, first: int) -> None:
        with thread_modes(self.net, training=True):
            plan = self._step.plan_of(index[0])
            losses, done = np.empty(len(index), plan.output_dtypes[0]), np.zeros(1, np.int64)
            while done[0] < len(index):
                begin = int(done[0])
                plan.run_rows(index, losses, begin, _SECONDS, done, schedule._settings(first, len(index)))

    def _take_step(self, rows: Tensor) -> Tensor:
        self._optimizer.zero_grad()
        loss = self._loss(rows, self.recipe.label_smoothing)[0]
        loss.backward()
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss

    def _loss(self, rows: Tensor, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
        """Cross entropy or squared error of these rows, and the outputs."""
        x, y = (apply(_TAKE, (source, rows)) for source in (self._x, self._y))
        weights: dict[str, Any] = (
            {} if self._weights is None else {"sample_weight": apply(_TAKE, (self._weights, rows))}
        )
        outputs = self.net(x)
        if self.training.classes:
            return ops.cross_entropy(outputs, y, label_smoothing=smoothing, **weights), outputs
        return ops.mse_loss(outputs, y, **weights), outputs

    def evaluate(self, rows: Ints) -> tuple[float, npt.NDArray[np.float32]]:
        """The loss of these rows, infinity for NaN, and the outputs."""
        with evaluating(self.net):
            loss, outputs = self._outputs(rows)
        value = float(loss.item())
        return (value if value == value else float("inf")), outputs.numpy()

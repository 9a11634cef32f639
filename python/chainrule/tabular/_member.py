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
from ..autodiff import no_grad
from ..compiler.jit import Compiled
from ..data._split import epoch_order
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
    evaluations: int = 16  # of the loss of the held-out rows, in equal distances
    patience: float = 0.4  # training ends after twice the time to the best evaluation and this share of the whole
    scale_rate: float = 1.0
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

    def release(self) -> None:
        """Free this thread's program now: it refers to itself, with all rows, and would wait for the collector."""
        program: _Program | None = self._thread.__dict__.pop("program", None)
        if program is not None:
            vars(program).clear()

    def member(self, number: int) -> Member:
        """Train a member: the weights at its best evaluation, or with `refit` those of all rows after as many epochs.

        It has the same bits wherever and after whichever other members it is trained.
        """
        program: _Program | None = getattr(self._thread, "program", None)
        if program is None:
            program = self._thread.program = _Program(self)
        folds = folds_of(self.targets if self.classes else None, len(self.inputs), self.seed, number)
        trained, held_out = self._parts(folds == number % FOLDS)
        program.begin(number, trained)
        best, losses, kept, scores, parts = 0, [], program.net.state_dict(), None, program.parts(trained)
        for done in program.run(number, trained):
            loss, outputs = program.evaluate(held_out)
            losses.append(loss)
            if scores is None or loss <= min(losses):  # the last one of equals
                best, kept, scores = done, program.net.state_dict(), outputs
            if loss == float("inf") or done > 2 * best + self.recipe.patience * parts:
                break
        assert scores is not None
        if self.recipe.refit:
            rows = np.arange(len(self.inputs))
            program.begin(number, rows)
            for done in program.run(number, rows):
                kept = program.net.state_dict()
                if done >= best:
                    break
        program.net.load_state_dict(kept)
        epochs = -(-best * self.recipe.epochs // parts)
        independent = len(held_out) + len(trained) == len(self.inputs)
        return Member(number, program.net.folded(), epochs, tuple(losses), held_out, independent, scores)

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
        self._fresh, self._rates = self._optimizer.state_dict(), dict[int, list[Any]]()
        self._step = Compiled(self._take_step, None, (self.net, self._optimizer))
        self._evaluation = Compiled(self._evaluated, None, (self.net,))

    def _net(self, draw: Generator | None = None) -> TabularNet:
        width, classes, recipe = self.training.inputs.shape[1], self.training.classes, self.recipe
        return TabularNet(width, recipe.hidden, classes or 1, recipe.activation, draw, scaled=True)

    def begin(self, number: int, rows: Ints) -> None:
        """Set the first state of a member."""
        draw = Generator(seed=self.training.seed, stream=number * 2**20)
        net = self._net(draw)
        net.fit_first_state(self.training.inputs[rows[draw.permutation(len(rows))[:_FITTED_ROWS]]], draw)
        self.net.load_state_dict(net.state_dict())
        self._optimizer.load_state_dict(self._fresh)

    def run(self, number: int, rows: Ints) -> Iterator[int]:
        """Train on these rows; yields the number of parts that are done after each of `evaluations` equal parts.

        An epoch leaves out the rows that do not fill a batch; others in each epoch.
        """
        size, steps = self._steps_of(rows)
        each = len(rows) // size * size
        seed = (self.training.seed + number * _GOLDEN) % 2**63
        orders = (rows[epoch_order(len(rows), seed, epoch)[:each]] for epoch in range(self.recipe.epochs))
        plan, rates = self._step.plan_of(rows[:size]), self._rates_of(steps)
        parts, waiting, first = self.parts(rows), np.empty(0, np.int64), 0
        for part in range(parts):
            count = steps * (part + 1) // parts - first
            while len(waiting) < count * size:
                waiting = np.concatenate([waiting, next(orders)])
            index = waiting[: count * size].reshape(count, size)
            settings = [(cells, at, values[first : first + count]) for cells, at, values in rates]
            losses, done = np.empty(count, np.float32), np.zeros(1, np.int64)
            while done[0] < count:
                plan.run_rows(index, losses, int(done[0]), _SECONDS, done, settings)
            waiting, first = waiting[count * size :], first + count
            yield part + 1

    def _rates_of(self, steps: int) -> list[Any]:
        """The rates of all steps, as a program reads them; computed once for all members."""
        if steps not in self._rates:
            schedule = StepSchedule(self._optimizer, "lr", "coslog4", total_steps=steps)
            self._rates[steps] = schedule._settings(0, steps)
        return self._rates[steps]

    def parts(self, rows: Ints) -> int:
        """The number of parts in which these rows are trained on."""
        return min(self.recipe.evaluations, self._steps_of(rows)[1])

    def _steps_of(self, rows: Ints) -> tuple[int, int]:
        """The size of a batch, and the number of all steps."""
        size = min(self.recipe.batch_size, len(rows))
        return size, len(rows) // size * self.recipe.epochs

    def _take_step(self, rows: Tensor) -> Tensor:
        self._optimizer.zero_grad()
        loss = self._loss(rows, self.recipe.label_smoothing)[0]
        loss.backward()
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss

    def _loss(self, rows: Tensor, smoothing: float = 0.0, counted: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Cross entropy or squared error of these rows, and the outputs; `counted`: 0 for rows that do not count."""
        x, y = (apply(_TAKE, (source, rows)) for source in (self._x, self._y))
        weights = None if self._weights is None else apply(_TAKE, (self._weights, rows))
        if counted is not None:
            weights = counted if weights is None else ops.mul(weights, counted)
        outputs = self.net(x)
        if self.training.classes:
            return ops.cross_entropy(outputs, y, label_smoothing=smoothing, sample_weight=weights), outputs
        return ops.mse_loss(outputs, y, sample_weight=weights), outputs

    def _evaluated(self, rows: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
        return self._loss(rows, counted=counted)

    def evaluate(self, rows: Ints) -> tuple[float, npt.NDArray[np.float32]]:
        """The loss of these rows, infinity for NaN, and the outputs.

        Folds differ by one row: the program is that of the larger ones, where a row that does not count is added.
        """
        most = max(-(-len(self.training.inputs) // FOLDS), len(rows))
        index, counted = np.full(most, rows[0]), np.zeros(most, np.float32)
        index[: len(rows)], counted[: len(rows)] = rows, 1
        with no_grad():
            loss, outputs = self._evaluation(index, counted)
        value = float(loss.item())
        return (value if value == value else float("inf")), outputs.numpy()[: len(rows)].copy()

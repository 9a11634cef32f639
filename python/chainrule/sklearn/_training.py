"""Training loops: minibatches with scikit-learn's stopping rules, and L-BFGS."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from .. import ops
from .._tensor import Tensor
from .._util.interrupt import DeferredInterrupt
from ..compiler.jit import Compiled
from ..data._split import epoch_order
from ..nn._evaluate import thread_modes
from ..optim import LBFGS
from ..train import Callback, History, Trainer
from ..train._mean_loss import weighted_mean
from ._losses import Objective
from ._net import Net
from ._rates import Rates

__all__ = ["Held", "Rows", "Steps", "fit_lbfgs", "fit_stochastic"]

Array = npt.NDArray[Any]


@dataclass
class Rows:
    """Rows to train on; X dense, or sparse in CSR form."""

    x: Any
    y: Array
    weight: Array | None

    def __len__(self) -> int:
        return int(self.x.shape[0])


@dataclass
class Held:
    """Rows to validate on, and how they are judged: `score` is the larger the better, `loss` the reported loss."""

    rows: Rows
    score: Callable[[Rows], float]
    loss: Callable[[Rows], float]
    name: str = "score"


@dataclass
class Steps:
    """The step on one minibatch as an argument, compiled once: of `partial_fit`, and of sparse rows."""

    net: Net
    objective: Objective
    rates: Rates
    _compiled: Any = field(default=None, repr=False)

    def run(self, x: Array, y: Array, weight: Array | None) -> float:
        """One step; returns the loss before it."""
        if self._compiled is None:
            watched = (self.net.scores, self.objective, self.rates.optimizer)
            self._compiled = Compiled(self._step, watched=watched)
        given = (x, y) if weight is None else (x, y, weight)
        return float(self._compiled(*given).item())

    def _step(self, x: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
        self.rates.optimizer.zero_grad()
        loss = self.objective(self.net.scores(x), y, weight)
        loss.backward()
        self.rates.optimizer.step()
        self.rates.optimizer.zero_grad()
        return loss

    def epoch(self, rows: Rows, batch: int, order: Array) -> float:
        """One epoch in this order; returns the mean of the losses."""
        losses = []
        with thread_modes(self.net.scores, training=True):
            for start in range(0, len(rows), batch):
                index = order[start : start + batch]
                x = rows.x[index]
                dense = x.toarray() if sparse.issparse(x) else x
                weight = None if rows.weight is None else rows.weight[index]
                losses.append(self.run(np.ascontiguousarray(dense), rows.y[index], weight))
        return weighted_mean(np.array(losses), len(rows), batch)


def _epochs(
    est: Any, net: Net, objective: Objective, rates: Rates, rows: Rows, batch: int, interrupt: DeferredInterrupt
) -> Iterator[float]:
    """Train epoch by epoch, with the net in training mode; yields the mean loss of each."""
    if sparse.issparse(rows.x):
        steps = Steps(net, objective, rates)
        while True:
            net.begin_epoch(est._epochs)
            order = epoch_order(len(rows), est._seed, est._epochs) if est.shuffle else np.arange(len(rows))
            yield steps.epoch(rows, batch, order)
    trainer = Trainer(
        net.scores,
        rows.x,
        rows.y,
        loss=objective,
        optimizer=rates.optimizer,
        batch_size=batch,
        sample_weight=rows.weight,
        seed=est._seed,
        shuffle=est.shuffle,
        nonfinite="continue",
    )
    trainer.next_epoch = est._epochs
    while True:
        net.begin_epoch(est._epochs)
        for _ in trainer.parts(interrupt):
            pass
        interrupt.in_step = True
        trainer.end_epoch()
        interrupt.leave_step()
        yield trainer.mean_loss


class _Watcher:
    """The callbacks of a training, called as `cr.fit` calls them."""

    def __init__(self, est: Any, net: Net, held: Held | None) -> None:
        self.callbacks = list(est.callbacks or ())
        self.net, self.held, self.history = net, held, History()
        names = ["loss", *(["val_loss", f"val_{held.name}"] if held else [])]
        for hook in self._hooks():
            hook.begin(net.scores, names)

    def _hooks(self) -> list[Callback]:
        return [callback for callback in self.callbacks if isinstance(callback, Callback)]

    def epoch(self, loss: float, measured: tuple[float, float] | None) -> bool:
        """Record an epoch; whether a callback stops training."""
        self.history.loss.append(loss)
        if self.held is not None and measured is not None:
            self.history.val_loss.append(measured[0])
            self.history.metrics.setdefault(self.held.name, []).append(measured[1])
        stops = False
        for callback in self.callbacks:
            stops = callback(self.history) is True or stops
        return stops

    def end(self) -> None:
        for hook in self._hooks():
            hook.end(self.net.scores)


def fit_stochastic(
    est: Any, net: Net, objective: Objective, rates: Rates, rows: Rows, batch: int, held: Held | None
) -> None:
    """Run up to `max_iter` epochs, until the loss, or with early stopping the score, no longer improves."""
    watcher = _Watcher(est, net, held)
    best = net.copies() if est.early_stopping else []
    est.n_iter_ = 0
    reached = False
    try:
        with DeferredInterrupt() as interrupt, thread_modes(net.scores, training=True):
            for loss in _epochs(est, net, objective, rates, rows, batch, interrupt):
                est._epochs += 1
                est.n_iter_ += 1
                est.t_ += len(rows)
                est.loss_ = loss
                est.loss_curve_.append(loss)
                if est.verbose:
                    print(f"Iteration {est.n_iter_}, loss = {loss:.8f}")
                measured = _measure(est, held)
                stop = watcher.epoch(loss, measured)
                if est.early_stopping and measured:
                    if _count(est, measured[1]):
                        best = net.copies()
                else:
                    _count_loss(est, loss)
                rates.end_epoch(est.t_)
                if stop or (est._no_improvement_count > est.n_iter_no_change and _stalled(est, rates)):
                    break
                reached = est.n_iter_ >= est.max_iter
                if reached:
                    break
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=4)
    if reached:
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({est.max_iter}) reached and the optimization hasn't "
            "converged yet.",
            ConvergenceWarning,
            stacklevel=4,
        )
    watcher.end()
    if est.early_stopping:
        net.restore(best)


def _say(est: Any, text: str) -> None:
    if est.verbose:
        print(text)


def _measure(est: Any, held: Held | None) -> tuple[float, float] | None:
    """The loss and the score of the held-out rows, recorded."""
    if held is None:
        return None
    loss, score = held.loss(held.rows), held.score(held.rows)
    est.validation_loss_curve_.append(loss)
    est.validation_scores_.append(score)
    _say(est, f"Validation score: {score:f}")
    return loss, score


def _count(est: Any, score: float) -> bool:
    """Count an epoch whose score is not better by `tol`; whether it is the best so far."""
    better = bool(score > est.best_validation_score_)
    threshold = ops.add(np.float64(est.best_validation_score_), np.float64(est.tol)).item()
    est._no_improvement_count = est._no_improvement_count + 1 if score < threshold else 0
    if better:
        est.best_validation_score_ = score
    return better


def _difference(a: Tensor, b: Tensor) -> Tensor:
    return ops.sub(a, b)


_less_tol = Compiled(_difference, watched=())  # a tenth of the time of an op on two numbers


def _count_loss(est: Any, loss: float) -> None:
    """Count an epoch whose loss is not smaller by `tol`."""
    threshold = _less_tol(np.array(est.best_loss_, np.float64), np.array(est.tol, np.float64)).item()
    est._no_improvement_count = est._no_improvement_count + 1 if loss > threshold else 0
    est.best_loss_ = min(est.best_loss_, loss) if loss == loss else est.best_loss_


def _stalled(est: Any, rates: Rates) -> bool:
    """Whether training stops now that nothing improves; "adaptive" reduces the rate first."""
    what = "Validation score" if est.early_stopping else "Training loss"
    why = rates.stalled()
    then = why or f"Setting learning rate to {rates.learning_rate:f}"
    _say(est, f"{what} did not improve more than tol={est.tol:f} for {est.n_iter_no_change} consecutive epochs. {then}")
    if not why:
        est._no_improvement_count = 0
    return bool(why)


_RELATIVE = 2.220446049250313e-09  # change of the loss at which SciPy's L-BFGS-B has converged


def _hardly_falls(before: Tensor, after: Tensor) -> Tensor:
    largest = ops.maximum(ops.maximum(ops.abs(before), ops.abs(after)), 1.0)
    return ops.sub(before, after) <= ops.mul(largest, _RELATIVE)


_converged = Compiled(_hardly_falls, watched=())


def fit_lbfgs(est: Any, net: Net, objective: Objective, rows: Rows, held: Held | None) -> None:
    """Run L-BFGS on all rows: up to `max_iter` iterations and `max_fun` evaluations."""
    x = rows.x.toarray() if sparse.issparse(rows.x) else rows.x
    data = [Tensor._wrap(a) for a in (x, rows.y, *(() if rows.weight is None else (rows.weight,)))]
    optimizer = LBFGS(
        net.parameters,
        max_eval=est.max_fun,
        tolerance_grad=est.tol,
        history_size=10,
        line_search_fn="strong_wolfe",
    )

    def evaluate(x: Tensor, *rest: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = objective.minimised(net.scores(x), *rest)
        loss.backward()
        return loss

    at_parameters = optimizer._compiled(evaluate, data, (net.scores, objective))
    watcher = _Watcher(est, net, held)
    est.n_iter_, converged = 0, True
    net.begin_epoch(0)
    try:
        with thread_modes(net.scores, training=True):
            for _, before, point in optimizer._iterations(at_parameters, est.max_fun):
                est.n_iter_ += 1
                est.loss_ = point.loss
                _say(est, f"Iteration {est.n_iter_}, loss = {point.loss:.8f}")
                if watcher.epoch(point.loss, _measure(est, held)):
                    break
                if _converged(np.array(before), np.array(point.loss)).item():
                    break
                if est.n_iter_ >= est.max_iter:
                    converged = False
                    break
            converged = converged and optimizer.func_evals < est.max_fun
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=4)
    watcher.end()
    optimizer.zero_grad()
    with thread_modes(net.scores, training=False):
        est.loss_ = float(objective.reported(net.scores(data[0]), *data[1:]).item())
    est.t_ += len(rows) * est.n_iter_
    if not converged:
        limit = f"max_iter={est.max_iter}" if est.n_iter_ >= est.max_iter else f"max_fun={est.max_fun}"
        warnings.warn(
            f"lbfgs failed to converge after {est.n_iter_} iteration(s): {limit} reached. Increase it, or scale the "
            "data, which improves convergence.",
            ConvergenceWarning,
            stacklevel=4,
        )

"""Steps of L-BFGS in a training: each computes the loss of all rows several times, and changes the model as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from math import isfinite
from typing import Any

from .. import _core
from .._tensor import Tensor
from .._util.interrupt import DeferredInterrupt
from .._util.mode import without_draws
from ..nn import Module
from ..nn._evaluate import thread_modes
from ..nn._inputs import call_with
from ..optim import LBFGS
from ..optim._line_search import Point
from ._dataset import Dataset
from ._nonfinite import stopped

__all__ = ["LBFGSSteps"]

Evaluate = Callable[[Tensor], Point]


class LBFGSSteps:
    """Steps on all rows, in the order in which they were given, with the bits of a loop of `LBFGS.step(closure)`.

    A step that is not completed is undone.
    """

    def __init__(self, caller: str, rows: Dataset, loss: Callable[..., Tensor], optimizer: LBFGS) -> None:
        self._caller, self._rows, self._loss, self._optimizer = caller, rows, loss, optimizer
        self._data = [rows.x, rows.y, *(() if rows.weight is None else (rows.weight,))]
        self._compiled: Evaluate | None = None

    def check(self, batch_size: int, schedules: Sequence[object], **clipping: float | None) -> None:
        """Raise ValueError for options that L-BFGS has no meaning for."""
        n, caller = len(self._rows), self._caller
        if batch_size < n:
            raise ValueError(
                f"{caller}: LBFGS needs the loss of all rows in every step; pass batch_size=None, got "
                f"batch_size={batch_size} for {n} rows"
            )
        for name, bound in clipping.items():
            if bound is not None:
                raise ValueError(f"{caller}: {name} does not go with LBFGS, whose steps need the gradient as it is")
        if schedules:
            raise ValueError(f"{caller}: LBFGS chooses the length of its steps itself and takes no schedule")

    def compile(self, micro_batch: int | None) -> None:
        """Compile the evaluation, now: what cannot be compiled is an error before the model changes."""
        optimizer, watched = self._optimizer, (self._rows.model, self._loss)
        # Not a method of this object: without a circle, programs are freed with the trainer.
        closure = partial(_loss_and_gradients, self._rows.model, self._loss, optimizer)
        self._compiled = compiled = optimizer._compiled(closure, self._data, watched, micro_batch)
        with self._without_draws(), thread_modes(self._rows.model, training=True):
            compiled.plan(sum(parameter.size for parameter in optimizer.params))

    def _without_draws(self) -> AbstractContextManager[None]:
        return without_draws(
            f"{self._caller}: LBFGS needs the same loss for the same weights, but the model or the loss draws random "
            "numbers in training; leave dropout out, or use another optimizer"
        )

    def _evaluate(self, direction: Tensor) -> Point:
        if self._compiled is not None:
            return self._compiled(direction)
        rows, loss, optimizer = self._rows, self._loss, self._optimizer
        point = optimizer._evaluate(partial(_loss_and_gradients, rows.model, loss, optimizer, *self._data), direction)
        optimizer.zero_grad()
        return point

    def step(self, epoch: int, check: bool, interrupt: DeferredInterrupt) -> tuple[float, bool]:
        """Run the step of an epoch; return the loss before it, and whether it has changed a parameter.

        Between evaluations Ctrl-C ends the step. `check`: whether a loss or gradient that is not finite is an error.
        """
        first: list[float] = []

        def evaluate(direction: Tensor) -> Point:
            interrupt.leave_step()
            interrupt.in_step = True
            point = self._evaluate(direction)
            if not first:
                first.append(point.loss)
                for what, number in (("loss", point.loss), ("gradient", point.largest)):
                    if check and not isfinite(number):
                        raise stopped(self._caller, number, epoch, 0, 1, what)
            return point

        optimizer, model = self._optimizer, self._rows.model
        modules = [module for module in (model, self._loss) if isinstance(module, Module)]
        stored = [tensor for module in modules for _, tensor in module._named_tensors()]
        tensors = list({id(tensor): tensor for tensor in (*optimizer.params, *stored)}.values())
        saved = optimizer._saved()
        # No other thread sees the points that the line search tries.
        with _core.writing([tensor._data for tensor in tensors]):
            before = [tensor.numpy().copy() for tensor in tensors]
            try:
                with self._without_draws():
                    optimizer._run(evaluate)
            except BaseException:
                for tensor, values in zip(tensors, before, strict=True):
                    tensor.copy_(values)
                vars(optimizer).update(saved)
                optimizer.zero_grad()
                model.zero_grad()
                raise
        changed = any(
            parameter.numpy().tobytes() != values.tobytes()
            for parameter, values in zip(optimizer.params, before, strict=False)
        )
        return first[0], changed


def _loss_and_gradients(
    model: Any, loss: Callable[..., Tensor], optimizer: LBFGS, x: Any, y: Any, *weight: Tensor
) -> Tensor:
    """The closure of a step; gradients remain on the parameters of the optimizer only."""
    optimizer.zero_grad()
    model.zero_grad()
    value = loss(call_with(model, x), y, **({"sample_weight": weight[0]} if weight else {}))
    value.backward()
    own = {id(parameter) for parameter in optimizer.params}
    for parameter in model.parameters():
        if id(parameter) not in own:
            parameter.grad = None
    return value

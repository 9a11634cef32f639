"""Averages of a model's weights over training: equal weights (SWA) and exponential ones (EMA)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import ops
from .._tensor import Tensor
from .._util.checks import check_integer, check_number
from .._util.mode import grad_mode
from ..autodiff import no_grad
from ..nn import Module
from ._callbacks import Callback
from ._history import History
from ._statistics import update_bn

__all__ = ["AveragedModel", "WeightAveraging"]


class AveragedModel(Module):
    """A copy of a model whose weights are an average of the model's, over the calls of `update_parameters`.

    The first call copies the weights w; from then on a = a + (w - a) / (n + 1), where n counts the calls before, the
    mean of all (stochastic weight averaging), or with `decay` a = a + (1 - decay) * (w - a), an exponential average.

    Arguments: `model`; `decay`, from 0 to 1, or None for the mean; `use_buffers`, whether buffers are averaged, too;
    else they are copied: `cr.update_bn` computes the statistics of batch norm for the averaged weights.
    Attributes: `module`, the copy; `n_averaged`, the number of calls.
    Input and output: as the model. Errors: ValueError for a model of other parameters.
    Source: Izmailov et al., Averaging weights leads to wider optima and better generalization, UAI 2018.

    >>> import chainrule as cr
    >>> layer = cr.nn.Linear(1, 1, bias=False)
    >>> averaged = cr.AveragedModel(layer)
    >>> for weight in (1.0, 2.0, 6.0):
    ...     _ = layer.weight.copy_([[weight]])
    ...     averaged.update_parameters(layer)
    >>> averaged(cr.tensor([[1.0]])).item()
    3.0
    """

    def __init__(self, model: Module, decay: float | None = None, use_buffers: bool = False) -> None:
        self.decay = None if decay is None else check_number("AveragedModel: decay", decay, maximum=1)
        self.use_buffers, self.n_averaged = bool(use_buffers), 0
        self.module = copy.deepcopy(model)

    def forward(self, *inputs: Any, **options: Any) -> Tensor:
        return self.module(*inputs, **options)

    def update_parameters(self, model: Module) -> None:
        """Take the weights of the model into the average."""
        grad_mode.executor.forbid(
            "AveragedModel: update_parameters is called inside a compiled function; call it after the step"
        )
        own, other = (dict(m.named_parameters()) for m in (self.module, model))
        buffers, new_buffers = (dict(m.named_buffers()) for m in (self.module, model))
        if {k: v.shape for k, v in own.items()} != {k: v.shape for k, v in other.items()}:
            raise ValueError("update_parameters: the model has other parameters than the averaged one")
        with no_grad():
            for name, average in {**own, **buffers}.items():
                value = other[name] if name in own else new_buffers[name]
                mean = self.n_averaged > 0 and (name in own or self.use_buffers) and average.dtype.kind == "f"
                average.copy_(self._averaged(average, value) if mean else value)
        self.n_averaged += 1

    def _averaged(self, average: Tensor, value: Tensor) -> Tensor:
        change = ops.sub(value, average)
        if self.decay is None:
            return ops.add(average, ops.div(change, float(self.n_averaged + 1)))
        share = ops.sub(np.float64(1), np.float64(self.decay)).item()
        return ops.add(average, ops.mul(change, share))


class WeightAveraging(Callback):
    """Average the weights over the epochs of `cr.fit`; at the end the model has the average.

    Arguments: `decay`, as `cr.AveragedModel`; `start`, the first epoch that counts, from 1; `use_buffers`. Attribute:
    `averaged`, the `cr.AveragedModel`, None before training. A `cr.fit` that continues the History goes on from the
    model's own last weights. Statistics of batch norm are those of the last epoch, or averages with `use_buffers`, or,
    with `update_bn`, those of the averaged weights: inputs for `cr.update_bn`, which is called with them at the end.

    >>> import chainrule as cr
    >>> X = cr.random.Generator(seed=0).normal((32, 2))
    >>> model = cr.nn.Linear(2, 1)
    >>> averaging = cr.WeightAveraging(start=3)
    >>> history = cr.fit(model, X, X[:, :1], loss=cr.nn.MSELoss(), epochs=5, callbacks=averaging)
    >>> averaging.averaged.n_averaged
    3
    """

    def __init__(
        self, decay: float | None = None, start: int = 1, use_buffers: bool = False, update_bn: Any = None
    ) -> None:
        self.decay = None if decay is None else check_number("WeightAveraging: decay", decay, maximum=1)
        self.start = check_integer("WeightAveraging: start", start, 1)
        self.use_buffers, self.update_bn = bool(use_buffers), update_bn
        self.averaged: AveragedModel | None = None
        self._model: Module | None = None
        self._last: dict[str, Any] | None = None  # the model's own weights, when it has the average

    def begin(self, model: Module, measures: Sequence[str]) -> None:
        """Begin a new average."""
        self.averaged, self._model, self._last = AveragedModel(model, self.decay, self.use_buffers), model, None

    def resume(self, model: Module, measures: Sequence[str], history: History) -> None:
        """Give the model its last weights back and go on, if this callback has averaged it."""
        if self.averaged is None or self._model is not model:
            self.begin(model, measures)
        elif self._last is not None:
            model.load_state_dict(self._last)
            self._last = None

    def __call__(self, history: History) -> None:
        """Take the weights of an epoch into the average."""
        if self.averaged is None or self._model is None:
            raise RuntimeError("WeightAveraging: pass it to cr.fit as one of its callbacks")
        if history.epochs >= self.start:
            self.averaged.update_parameters(self._model)

    def end(self, model: Module) -> None:
        """Set the model's weights to the average."""
        if self.averaged is not None and self.averaged.n_averaged:
            if self.update_bn is not None:
                update_bn(self.update_bn, self.averaged.module)
            self._last = model.state_dict()
            model.load_state_dict(self.averaged.module.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Return the average and the number of epochs in it."""
        if self.averaged is None:
            return {"n_averaged": 0, "weights": None}
        return {"n_averaged": self.averaged.n_averaged, "weights": self.averaged.module.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the result of `state_dict`; ValueError naming missing entries."""
        missing = [name for name in ("n_averaged", "weights") if name not in state]
        if missing:
            raise ValueError(f"load_state_dict: missing {', '.join(missing)}")
        if self.averaged is None and state["weights"] is not None:
            raise ValueError("load_state_dict: the callback has no model yet; pass it to cr.fit")
        if self.averaged is not None and state["weights"] is not None:
            self.averaged.module.load_state_dict(state["weights"])
            self.averaged.n_averaged = int(state["n_averaged"])

"""Choosing by trying: hyper-parameters on validation data, and restarts from different initial values."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import isnan, nan
from typing import Any

from ._util.checks import check_integer
from ._util.text_table import text_table
from .random import Generator
from .train._history import History

__all__ = ["Search", "Trial", "multi_start", "search"]

Train = Callable[..., tuple[Any, History]]
Choices = Sequence[Any] | Callable[[Generator], Any]

_DRAW_STREAM = 2**34  # apart from initialisation, the order of epochs and splits


@dataclass(frozen=True)
class Trial:
    """One training: what was chosen, what came of it.

    `params` are the arguments of the training; `model` and `history` what it returned; `score` the last value of the
    curve that is compared. `error` is the message of a FloatingPointError that ended it; then model and history are
    None, and the score is NaN.

    >>> import chainrule as cr
    >>> cr.Trial({"lr": 0.1}, 0.25, None, None).score
    0.25
    """

    params: dict[str, Any]
    score: float
    model: Any
    history: History | None
    error: str = ""


@dataclass(frozen=True)
class Search:
    """The trials of a search, best first; among equal scores the one that was tried first.

    >>> import chainrule as cr
    >>> found = cr.Search((cr.Trial({"lr": 0.1}, 0.25, None, None), cr.Trial({"lr": 2.0}, 0.5, None, None)), "val_loss")
    >>> found.best.params
    {'lr': 0.1}
    >>> print(found.summary())
    val_loss  lr
    0.25      0.1
    0.5       2.0
    """

    trials: tuple[Trial, ...]
    score: str

    @property
    def best(self) -> Trial:
        """The trial with the best score."""
        return self.trials[0]

    def summary(self) -> str:
        """The scores and parameters as a table, a line per trial."""
        names = list(self.trials[0].params)
        rows = [[f"{trial.score:.4g}", *(str(trial.params[name]) for name in names)] for trial in self.trials]
        return text_table([self.score, *names], rows, ruled=False)


def search(
    train: Train,
    params: Mapping[str, Choices],
    *,
    trials: int | None = None,
    seed: int = 0,
    score: str | None = None,
    mode: str = "min",
    largest: bool | None = None,
) -> Search:
    """Train once for each choice of hyper-parameters and compare the results, on validation data as a rule.

    Arguments: `train`, called with one value for each name in `params`, returns `(model, history)` of a model that it
    builds anew; `params`, sequences of values: all combinations are tried, the last name varying fastest; `trials`,
    instead of all combinations so many random ones: an element of each sequence, or the result of a function
    (generator) -> value; `seed` of these draws; `score`, the curve in `History.measures` whose last value is compared:
    "val_loss", "val_accuracy", "loss", ... (default: "val_loss", or "loss" when there was no validation); `mode`, "min"
    or "max" where more is better, as for accuracy (`largest`, True or False, is its former name).
    Returns: a `Search`: the trials, best first. One whose training ended in a FloatingPointError comes last.
    Errors: ValueError when there is nothing to choose from, or for an unknown score; FloatingPointError when no
    training succeeded; whatever else `train` raises.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> X = cr.random.Generator(seed=0).normal((80, 2))
    >>> y = (X[:, 0] > X[:, 1]).astype(np.int64)
    >>> def train(lr):
    ...     model = cr.nn.Sequential(cr.nn.Linear(2, 2, generator=cr.random.Generator(seed=1)))
    ...     history = cr.fit(
    ...         model, X[:60], y[:60], validation=(X[60:], y[60:]), loss=cr.nn.CrossEntropyLoss(),
    ...         optimizer=cr.optim.SGD(model.parameters(), lr=lr), epochs=5, seed=0, progress=False)
    ...     return model, history
    >>> found = cr.search(train, {"lr": [0.001, 0.1, 1.0]})
    >>> found.best.params, len(found.best.history.val_loss)
    ({'lr': 1.0}, 5)
    >>> drawn = cr.search(train, {"lr": lambda g: cr.exp(g.uniform((), low=-7, high=0)).item()}, trials=4, seed=2)
    >>> len(drawn.trials)
    4
    """
    mode = _mode("search", mode, largest)
    if not params:
        raise ValueError("search: params is empty, there is nothing to choose from")
    chosen = _grid(params) if trials is None else _draws(params, trials, seed)
    done = [_try(train, choice, score) for choice in chosen]
    if all(trial.error for _, trial in done):
        raise FloatingPointError(f"search: no training succeeded; the first: {done[0][1].error}")
    names = {name for name, trial in done if not trial.error}
    if len(names) > 1:
        raise ValueError(f"search: some trainings have validation, some have not; say which score ({sorted(names)})")
    ordered = sorted((trial for _, trial in done), key=lambda trial: _rank(trial.score, mode))
    return Search(tuple(ordered), names.pop())


def multi_start(
    train: Train,
    n: int,
    *,
    seed: int = 0,
    score: str | None = None,
    mode: str = "min",
    largest: bool | None = None,
) -> Search:
    """Train from n different initial values and compare: a way out of bad local minima.

    It is the search over `seed` in seed, ..., seed + n - 1.

    Arguments: `train`, called with `seed=`, from which it draws the initial values, returns `(model, history)`; `n`, at
    least 1; `seed`, the first; `score`, `mode` and `largest` as in `search`.
    Returns: a `Search`: all starts, best first.
    Errors: as `search`; ValueError for n below 1.

    >>> import chainrule as cr
    >>> X, y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [[0.0], [1.0], [1.0], [0.0]]
    >>> def train(seed):
    ...     g = cr.random.Generator(seed)
    ...     model = cr.nn.Sequential(cr.nn.Linear(2, 2, generator=g), cr.nn.Tanh(), cr.nn.Linear(2, 1, generator=g))
    ...     optimizer = cr.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    ...     return model, cr.fit(model, X, y, loss=cr.nn.MSELoss(), optimizer=optimizer, epochs=150, progress=False)
    >>> found = cr.multi_start(train, 8)
    >>> found.best.score < 1e-3 < 0.05 < found.trials[-1].score
    True
    """
    n = check_integer("multi_start: n", n, 1)
    mode = _mode("multi_start", mode, largest)
    return search(train, {"seed": range(seed, seed + n)}, score=score, mode=mode)


def _mode(caller: str, mode: str, largest: bool | None) -> str:
    if largest is not None:
        mode = "max" if largest else "min"
        warnings.warn(f'{caller}: write mode="{mode}" instead of largest={largest}', DeprecationWarning, stacklevel=3)
    if mode not in ("min", "max"):
        raise ValueError(f"{caller}: mode must be 'min' or 'max', got {mode!r}")
    return mode


def _grid(params: Mapping[str, Choices]) -> Iterator[dict[str, Any]]:
    for name, values in params.items():
        if callable(values) or len(values) == 0:
            raise ValueError(f"search: {name} must be a sequence of values, or say how many trials to draw")
    return (dict(zip(params, values, strict=True)) for values in product(*params.values()))  # type: ignore[arg-type]


def _draws(params: Mapping[str, Choices], trials: int, seed: int) -> Iterator[dict[str, Any]]:
    trials = check_integer("search: trials", trials, 1)
    generator = Generator(seed, stream=_DRAW_STREAM)
    for _ in range(trials):
        yield {name: _draw(name, values, generator) for name, values in params.items()}


def _draw(name: str, values: Choices, generator: Generator) -> Any:
    if callable(values):
        return values(generator)
    if len(values) == 0:
        raise ValueError(f"search: {name} has no values")
    return values[int(generator.permutation(len(values))[0])]


def _try(train: Train, params: dict[str, Any], score: str | None) -> tuple[str, Trial]:
    """The name of the score and the trial."""
    try:
        model, history = train(**params)
    except FloatingPointError as error:
        return "", Trial(params, nan, None, None, str(error))
    curves = history.measures
    name = score if score is not None else "val_loss" if history.val_loss else "loss"
    if not curves.get(name):
        there = ", ".join(curve for curve, values in curves.items() if values)
        hint = f"; did you mean 'val_{name}'?" if curves.get(f"val_{name}") else ""
        raise ValueError(f"search: there is no curve {name!r}{hint}; available curves: {there or 'none'}")
    return name, Trial(params, curves[name][-1], model, history)


def _rank(score: float, mode: str) -> tuple[bool, float]:
    return isnan(score), -score if mode == "max" else score

"""Hyperparameter search and multi-start training."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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

_DRAW_STREAM = 2**34  # distinct from the streams of initialisation, epoch orders and splits


@dataclass(frozen=True)
class Trial:
    """One training run of a search: its hyperparameters and its result.

    `params` are the arguments of the training function; `model` and `history` its result; `score` the last value of the
    compared curve. `error` is the message of a FloatingPointError that interrupted it; then model and history are None
    and the score is NaN.

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
    """The trials of a search, best first; equal scores in the order of the trials.

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
        """The scores and hyperparameters as a table, one line per trial."""
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
    n_jobs: int | None = None,
) -> Search:
    """Train once per combination of hyperparameters and compare the results, usually on validation data.

    Arguments: `train`, a function of one keyword argument for each name in `params` that returns `(model, history)` of
    a new model; `params`, sequences of values by name (grid search: all combinations, the last name varies fastest);
    `trials`, the number of random combinations instead (random search: an element of each sequence, or the result of a
    function (generator) -> value); `seed` of these draws; `score`, the curve in `History.measures` whose last value is
    compared: "val_loss", "val_accuracy", "loss", ... (default: "val_loss", without validation "loss"); `mode`, "min" or
    "max" (for accuracy, for example); `largest`, its deprecated form, True or False; `n_jobs`, trials trained at the
    same time by joblib (-1: one for each CPU; None: one, unless `joblib.parallel_config` says otherwise), in processes
    of this machine or, inside `joblib.parallel_config("dask")` or `("ray")`, on a cluster: the same results.
    Returns: a `Search`: the trials, best first; trials that raised FloatingPointError come last.
    Errors: ValueError for empty `params` or sequences, or an unknown score; FloatingPointError when no trial succeeded;
    ImportError where `n_jobs` is given and joblib is not installed; any other exception of `train`.

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
        raise ValueError("search: params is empty, expected at least one hyperparameter")
    combinations = _grid(params) if trials is None else _draws(params, trials, seed)
    done = _run_all(train, combinations, score, n_jobs)
    if all(trial.error for _, trial in done):
        raise FloatingPointError(f"search: no trial succeeded; the first: {done[0][1].error}")
    names = {name for name, trial in done if not trial.error}
    if len(names) > 1:
        raise ValueError(f"search: only some trials have validation; specify the score, one of {sorted(names)}")
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
    n_jobs: int | None = None,
) -> Search:
    """Multi-start training: train from n random initialisations and compare, to avoid bad local minima.

    It is a `search` over `seed` in seed, ..., seed + n - 1.

    Arguments: `train`, a function of `seed=`, which determines the initialisation, that returns `(model, history)`;
    `n`, at least 1; `seed`, the first; `score`, `mode`, `largest` and `n_jobs` as in `search`.
    Returns: a `Search`: the trials, best first.
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
    return search(train, {"seed": range(seed, seed + n)}, score=score, mode=mode, n_jobs=n_jobs)


def _mode(caller: str, mode: str, largest: bool | None) -> str:
    if largest is not None:
        mode = "max" if largest else "min"
        warnings.warn(f'{caller}: use mode="{mode}" instead of largest={largest}', DeprecationWarning, stacklevel=3)
    if mode not in ("min", "max"):
        raise ValueError(f"{caller}: mode must be 'min' or 'max', got {mode!r}")
    return mode


def _grid(params: Mapping[str, Choices]) -> Iterator[dict[str, Any]]:
    for name, values in params.items():
        if callable(values) or len(values) == 0:
            raise ValueError(f"search: {name} must be a non-empty sequence of values; functions require trials=")
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


def _run_all(
    train: Train, combinations: Iterable[dict[str, Any]], score: str | None, n_jobs: int | None
) -> list[tuple[str, Trial]]:
    if n_jobs is None and "joblib" not in sys.modules:  # nor can a `parallel_config` apply
        return [_run_trial(train, combination, score) for combination in combinations]
    try:
        from joblib import Parallel, delayed
    except ImportError as error:
        raise ImportError("search: n_jobs needs joblib: pip install 'chainrule[sklearn]'") from error
    done: list[tuple[str, Trial]] = Parallel(n_jobs)(delayed(_run_trial)(train, c, score) for c in combinations)
    return done


def _run_trial(train: Train, params: dict[str, Any], score: str | None) -> tuple[str, Trial]:
    """Run one trial; return the name of the score and the trial."""
    try:
        model, history = train(**params)
    except FloatingPointError as error:
        return "", Trial(params, nan, None, None, str(error))
    curves = history.measures
    name = score if score is not None else "val_loss" if history.val_loss else "loss"
    if not curves.get(name):
        available = ", ".join(curve for curve, values in curves.items() if values)
        hint = f"; did you mean 'val_{name}'?" if curves.get(f"val_{name}") else ""
        raise ValueError(f"search: unknown curve {name!r}{hint}; available curves: {available or 'none'}")
    return name, Trial(params, curves[name][-1], model, history)


def _rank(score: float, mode: str) -> tuple[bool, float]:
    return isnan(score), -score if mode == "max" else score

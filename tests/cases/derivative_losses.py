"""Random calls of the losses and penalties, as functions and as modules, for tests/test_derivatives.py.

A loss without a row in `WAYS` is called as the cases of its row of the reference say.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import chainrule as cr
from cases.derivative_draws import Call, Generator, Rng, Shape, distinct, draw, labelled, pick_one, some_shape
from chainrule import nn
from chainrule.nn._loss_module import LOSSES as MODULES
from reference.bits import Array
from reference.losses import LOSSES, Interval, Loss

Options = dict[str, Any]
UNIT, LOGS = (0.3, 0.9), (-3.0, -0.1)


def common(rng: Rng, shape: Shape) -> Options:
    """A reduction, and sometimes weights of rows."""
    options: Options = {"reduction": pick_one(rng, ("mean", "sum", "none"))}
    if shape and rng.random() < 0.4:
        options["sample_weight"] = rng.uniform(0.1, 2.0, shape[0])
    return options


# Arguments: the arrays that are differentiated by, and the target where it is fixed.


def pairs(first: tuple[float, float], second: tuple[float, float], rng: Rng, **_: Any) -> list[Array]:
    shape = some_shape(rng)
    return [draw(rng, shape, first), draw(rng, shape, second)]


def distances(rng: Rng, delta: float | None = None, beta: float | None = None, **_: Any) -> list[Array]:
    """Prediction and target, their distance away from 0 and from where two pieces meet."""
    meet = delta or beta or 0.0
    target = draw(rng, some_shape(rng), (-1.0, 1.0))
    return [target + draw(rng, target.shape, kinks=(0.0, meet, -meet)), target]


def quantiles(rng: Rng, quantile: Any, **_: Any) -> list[Array]:
    """Prediction and target, away from 0; a last axis of the prediction where there are several quantiles."""
    if np.ndim(quantile) == 0:
        return distances(rng)
    target = draw(rng, (*some_shape(rng, 1), 1), (-1.0, 1.0))
    return [target + draw(rng, (*target.shape[:-1], len(quantile)), kinks=(0.0,)), target]


def gaussian(rng: Rng, **_: Any) -> list[Array]:
    """Means, targets and variances above eps."""
    x, target = pairs((-3.0, 3.0), (-3.0, 3.0), rng)
    return [x, target, draw(rng, (*x.shape[:-1], 1) if x.ndim and rng.random() < 0.3 else x.shape, (0.4, 3.0))]


def signs(rng: Rng, margin: float = 0.0, **_: Any) -> list[Array]:
    shape = some_shape(rng)
    target = rng.choice([-1.0, 1.0], shape)
    return [target * draw(rng, shape, kinks=(margin,)), target]


def labels(rng: Rng, **_: Any) -> list[Array]:
    return list(labelled(rng))


def separate(rng: Rng, **_: Any) -> list[Array]:
    """Scores whose differences are tenths, and labels: no margin of 0.95 is reached exactly."""
    scores, of_rows = labelled(rng)
    return [distinct(rng, scores.shape), of_rows]


def probabilities(rng: Rng, **_: Any) -> list[Array]:
    scores, _labels = labelled(rng)
    return [scores, draw(rng, scores.shape, UNIT)]


def of_classes(rng: Rng, x: Array) -> Options:
    return {"weight": rng.uniform(0.2, 2.0, x.shape[1])} if rng.random() < 0.5 else {}


def of_columns(rng: Rng, x: Array) -> Options:
    return {"pos_weight": rng.uniform(0.2, 2.0, x.shape[-1:])} if rng.random() < 0.5 else {}


# name, module, arguments, options to choose from, options that depend on the prediction's shape, arguments that move.
Way = tuple[str, type[nn.Module], Callable[..., list[Array]], tuple[Options, ...], Callable[[Rng, Array], Options], int]


def none(rng: Rng, x: Array) -> Options:
    return {}


WAYS: tuple[Way, ...] = (
    ("mse_loss", nn.MSELoss, partial(pairs, (-3.0, 3.0), UNIT), ({}, {"half": True}), none, 2),
    ("l1_loss", nn.L1Loss, distances, ({},), none, 2),
    ("huber_loss", nn.HuberLoss, distances, ({"delta": 1.0}, {"delta": 0.4}), none, 2),
    ("smooth_l1_loss", nn.SmoothL1Loss, distances, ({"beta": 0.7}, {"beta": 0.0}), none, 2),
    ("quantile_loss", nn.QuantileLoss, quantiles, ({"quantile": 0.3}, {"quantile": [0.1, 0.5, 0.8]}), none, 2),
    ("hinge_loss", nn.HingeLoss, signs, ({"margin": 1.0}, {"margin": 0.3}), none, 1),
    ("perceptron_loss", nn.PerceptronLoss, signs, ({},), none, 1),
    ("binary_cross_entropy", nn.BCELoss, partial(pairs, UNIT, UNIT), ({},), none, 2),
    (
        "binary_cross_entropy_with_logits", nn.BCEWithLogitsLoss, partial(pairs, (-3.0, 3.0), UNIT), ({},), of_columns,
        2,
    ),
    (
        "poisson_nll_loss", nn.PoissonNLLLoss, partial(pairs, UNIT, UNIT), ({}, {"full": True}, {"log_input": False}),
        none, 2,
    ),
    ("gaussian_nll_loss", nn.GaussianNLLLoss, gaussian, ({}, {"full": True}), none, 3),
    ("kl_div", nn.KLDivLoss, partial(pairs, LOGS, UNIT), ({}, {"log_target": True}), none, 2),
    ("cross_entropy", nn.CrossEntropyLoss, labels, ({}, {"label_smoothing": 0.2}), of_classes, 1),
    ("cross_entropy", nn.CrossEntropyLoss, probabilities, ({}, {"label_smoothing": 0.2}), of_classes, 2),
    ("nll_loss", nn.NLLLoss, labels, ({},), of_classes, 1),
    ("multi_margin_loss", nn.MultiMarginLoss, separate, ({"margin": 0.95}, {"margin": 0.95, "p": 2}), of_classes, 1),
)  # fmt: skip


def of_its_row(row: Loss, domains: tuple[Interval, ...], fixed: Array | None, rng: Rng, **options: Any) -> list[Array]:
    """Prediction and target of a case of the reference, away from the kinks of the row."""
    target = draw(rng, some_shape(rng), domains[1]) if fixed is None else fixed
    kinks = row.kinks(**options)
    return [target + draw(rng, target.shape, kinks=kinks) if kinks else draw(rng, target.shape, domains[0]), target]


def by_its_row(name: str) -> Iterator[Way]:
    """The calls of a loss without a row in `WAYS`: the cases of its reference row."""
    row = LOSSES[name]
    module = next(kind for kind in MODULES if kind.function is getattr(cr, name))
    for domains, options in row.cases:
        arguments = partial(of_its_row, row, domains, options.get("target"))
        yield name, module, arguments, ({k: v for k, v in options.items() if k != "target"},), none, len(domains)


WAYS += tuple(way for name in LOSSES if name not in {way[0] for way in WAYS} for way in by_its_row(name))


def loss(ways: tuple[Way, ...], as_module: bool, rng: Rng) -> Call:
    """A random call of a loss, with random options."""
    name, module, arguments, choices, by_shape, moving = pick_one(rng, ways)
    options = dict(pick_one(rng, choices))
    arrays = arguments(rng, **options)
    options |= by_shape(rng, arrays[0])
    given = common(rng, arrays[0].shape)
    fixed = [cr.tensor(x) for x in arrays[moving:]]
    if not as_module:
        return lambda *x: getattr(cr, name)(*x, *fixed, **options, **given), arrays[:moving]
    weight = given.pop("sample_weight", None)
    built = module(**options, **given)
    return lambda *x: built(*x, *fixed, sample_weight=weight), arrays[:moving]


def penalty(name: str, rng: Rng) -> Call:
    shapes = [some_shape(rng, 0, 2, 4) for _ in range(rng.integers(1, 4))]
    biases = bool(rng.integers(2)) or all(len(shape) < 2 for shape in shapes)
    return lambda *w: getattr(cr, name)(w, biases=biases), [draw(rng, shape, kinks=(0.0,)) for shape in shapes]


def _cases() -> dict[str, Generator]:
    found: dict[str, Generator] = {}
    for name, module, *_ in WAYS:
        ways = tuple(way for way in WAYS if way[0] == name)
        found[name] = partial(loss, ways, False)
        found[f"nn.{module.__name__}"] = partial(loss, ways, True)
    return {**found, **{name: partial(penalty, name) for name in ("l1_penalty", "l2_penalty")}}


CASES = _cases()

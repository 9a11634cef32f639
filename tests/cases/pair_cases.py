"""Calls of functions of pairs of vectors, with their references, for op_cases; random ones for all derivatives."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import chainrule as cr
from cases.derivative_draws import GAP, Call, Generator, Rng, draw, labelled, pick_one, some_shape
from chainrule.nn._loss_module import LOSSES as MODULES
from reference import pair_losses, reduce
from reference.bits import Array
from reference.losses import CLASS_WEIGHT, COLUMNS, LABELS, ROWS, SIGNS

Reference = Callable[..., Array]
Row = tuple[str, tuple[tuple[int, ...], ...], Callable[..., cr.Tensor], Reference, str]

ALONG: tuple[tuple[str, dict[str, Any]], ...] = (
    *(("normalize", {"p": p, "axis": axis}) for p in (1.0, 2.0, np.inf) for axis in (0, 1)),
    ("cosine_similarity", {"axis": 0, "eps": 0.5}),
    ("cosine_similarity", {}),
    *(("pairwise_distance", {"p": p}) for p in (1.0, 2.0, np.inf)),
    ("pairwise_distance", {"eps": 0.25, "keepdims": True}),
)
# Name, tensors, target, options.
LOSSES: tuple[tuple[str, int, Array | None, dict[str, Any]], ...] = (
    ("soft_margin_loss", 1, SIGNS, {}),
    ("hinge_embedding_loss", 1, SIGNS, {"margin": 0.4}),
    ("margin_ranking_loss", 2, SIGNS, {"margin": 0.3}),
    ("cosine_embedding_loss", 2, SIGNS[:, 0], {"margin": -0.2}),
    ("triplet_margin_loss", 3, None, {}),
    ("triplet_margin_loss", 3, None, {"margin": 2.0, "p": 1.0, "eps": 0.1, "swap": True}),
    ("multilabel_soft_margin_loss", 1, (SIGNS + 1) / 2, {}),
    ("multilabel_soft_margin_loss", 1, (SIGNS + 1) / 2, {"weight": COLUMNS}),
    ("sigmoid_focal_loss", 1, (SIGNS + 1) / 2, {}),
    ("sigmoid_focal_loss", 1, (SIGNS + 1) / 2, {"alpha": -1.0, "gamma": 1.5}),
    ("focal_loss", 1, LABELS, {}),
    ("focal_loss", 1, LABELS, {"gamma": 0.5, "weight": CLASS_WEIGHT}),
)
NAMES = tuple(dict.fromkeys(row[0] for row in (*ALONG, *LOSSES)))


def _call(name: str, target: Array | None, *x: Any, **options: Any) -> cr.Tensor:
    """With a target of numbers in the dtype of the tensors."""
    loss: Callable[..., cr.Tensor] = getattr(cr, name)
    if target is None:
        return loss(*x, **options)
    return loss(*x, target if target.dtype.kind == "i" else target.astype(x[0].dtype), **options)


def _expected(
    name: str, target: Array | None, *x: Array, reduction: str, sample_weight: Array | None = None, **options: Any
) -> Array:
    if sample_weight is not None:
        without = (sample_weight == 0).reshape(-1, 1)
        x = tuple(np.where(without, a.dtype.type(1), a) for a in x)
    kept = [] if target is None else [target if target.dtype.kind == "i" else target.astype(x[0].dtype)]
    values = getattr(pair_losses, name.removesuffix("_loss"))(*x, *kept, **options)
    dtype = values.dtype.type
    if sample_weight is not None:
        weight = sample_weight.astype(values.dtype)
        values = values * weight.reshape(-1, *(1,) * (values.ndim - 1))
    if reduction == "none":
        return np.asarray(values)
    if sample_weight is None:
        return np.asarray(reduce.sum(values) / dtype(values.size))
    total, times = reduce.sum(weight), values[0].size
    return np.asarray(reduce.sum(values) / (total * dtype(times) if times != 1 else total))


def rows() -> Iterator[Row]:
    for name, options in ALONG:
        tensors = 1 if name == "normalize" else 2
        function, reference = partial(getattr(cr, name), **options), partial(getattr(pair_losses, name), **options)
        for shape in ((3, 5), (2, 3, 4)):
            yield name, (shape,) * tensors, function, reference, f"{options}"
    for name, tensors, target, options in LOSSES:
        for given in ({"reduction": "none"}, {"reduction": "mean"}, {"reduction": "mean", "sample_weight": ROWS}):
            if given.get("sample_weight") is not None and target is not None and target.dtype.kind == "f":
                continue  # their targets are checked, and replaced, by test_losses_pairs
            called = {**options, **given}
            function, reference = partial(_call, name, target, **called), partial(_expected, name, target, **called)
            yield name, ((6, 4),) * tensors, function, reference, f"{called}"


# Random calls.

Given = tuple[list[Array], Array | None, dict[str, Any]]  # tensors, target, options


def _vectors(rng: Rng, shape: tuple[int, ...]) -> Array:
    """No element near 0, no two of nearly the same magnitude."""
    magnitudes = 0.3 + (rng.permutation(int(np.prod(shape))).reshape(shape)) * (2 * GAP)
    return np.asarray(magnitudes * rng.choice([-1.0, 1.0], shape))


def _along(name: str, rng: Rng) -> Given:
    shape = some_shape(rng, 1)
    while max(shape) < 2:  # vectors of one element have a constant length and direction: rounding alone remains
        shape = some_shape(rng, 1)
    options: dict[str, Any] = {} if name == "cosine_similarity" else {"p": pick_one(rng, (1.0, 2.0, np.inf))}
    if name == "pairwise_distance":
        b = draw(rng, shape, (-1.0, 1.0))
        return [b + _vectors(rng, shape), b], None, {**options, "eps": 0.0}
    options["axis"] = int(rng.choice([axis for axis, length in enumerate(shape) if length > 1]))
    if name == "normalize":
        return [_vectors(rng, shape)], None, options
    return [draw(rng, shape, kinks=(0.0,)), draw(rng, shape, kinks=(0.0,))], None, options


def _signed(name: str, rng: Rng) -> Given:
    """Scores and distances away from the kinks of both targets."""
    shape, options = some_shape(rng), {"reduction": pick_one(rng, ("mean", "sum", "none"))}
    target = rng.choice([-1.0, 1.0], shape)
    if name == "soft_margin_loss":
        return [draw(rng, shape)], target, options
    if name == "hinge_embedding_loss":
        return [draw(rng, shape, kinks=(0.7,))], target, {**options, "margin": 0.7}
    b = draw(rng, shape)
    return [b + target * draw(rng, shape, kinks=(0.4,)), b], target, {**options, "margin": 0.4}


def _cosine_embedding(name: str, rng: Rng) -> Given:
    """Acute angles, above the margin."""
    shape = (int(rng.integers(1, 5)), int(rng.integers(2, 5)))
    target = rng.choice([-1.0, 1.0], shape[0])
    return [draw(rng, shape, (0.3, 2.0)), draw(rng, shape, (0.3, 2.0))], target, {"margin": -0.5}


def _triplet_margin(name: str, rng: Rng) -> Given:
    """Distances far from 0, of the positive farther than of the anchor."""
    shape = some_shape(rng, 1)
    a, near = draw(rng, shape, (-1.0, 1.0)), np.abs(_vectors(rng, shape))
    options = {"p": pick_one(rng, (1.0, 2.0)), "swap": bool(rng.integers(2)), "margin": 1e3, "eps": 0.0}
    return [a, a + near, a - 2.0 - np.abs(_vectors(rng, shape))], None, options


def _several_labels(name: str, rng: Rng) -> Given:
    shape, options = some_shape(rng, 1), {"reduction": pick_one(rng, ("mean", "sum", "none"))}
    if name == "sigmoid_focal_loss":
        options |= {"gamma": pick_one(rng, (2.0, 1.5)), "alpha": pick_one(rng, (0.25, -1.0))}
    else:
        options["weight"] = rng.uniform(0.2, 2.0, shape[-1])
    return [draw(rng, shape)], rng.uniform(0.1, 0.9, shape), options


def _focal(name: str, rng: Rng) -> Given:
    scores, labels = labelled(rng)
    options = {"gamma": pick_one(rng, (2.0, 1.5)), "reduction": pick_one(rng, ("mean", "none"))}
    return [np.concatenate([scores, rng.uniform(-1, 1, (len(scores), 1))], 1)], labels, options


DRAWS: dict[str, Callable[[str, Rng], Given]] = {
    **dict.fromkeys(("normalize", "cosine_similarity", "pairwise_distance"), _along),
    **dict.fromkeys(("soft_margin_loss", "hinge_embedding_loss", "margin_ranking_loss"), _signed),
    "cosine_embedding_loss": _cosine_embedding,
    "triplet_margin_loss": _triplet_margin,
    **dict.fromkeys(("multilabel_soft_margin_loss", "sigmoid_focal_loss"), _several_labels),
    "focal_loss": _focal,
}


def _random(name: str, module: type[cr.nn.Module] | None, rng: Rng) -> Call:
    tensors, target, options = DRAWS[name](name, rng)
    function = partial(getattr(cr, name), **options) if module is None else module(**options)
    kept = () if target is None else (target,)
    return lambda *x: function(*x, *kept), tensors


RANDOM: dict[str, Generator] = {
    **{name: partial(_random, name, None) for name in DRAWS},
    **{f"nn.{m.__name__}": partial(_random, m.function.__name__, m) for m in MODULES if m.function.__name__ in DRAWS},
}

"""Ways to call the losses of the reference and the penalties: reductions, sample weights, and the options of a row."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import chainrule as cr
from reference import reduce
from reference.bits import Array
from reference.losses import LABELS, LOSSES, ROWS, Interval, Options

Shape = tuple[int, ...]

# Intervals of prediction and target, or of the prediction alone where the target is an option; and options.
KINDS = {name: row.cases for name, row in LOSSES.items()}
OF_CLASSES = tuple(name for name, row in LOSSES.items() if row.cases[0][1].get("target") is LABELS)


def ways(name: str) -> Iterator[tuple[tuple[Shape, ...], tuple[Interval, ...], Options, str]]:
    """Shapes and intervals of the arrays, the other arguments, a note."""
    for number, (domains, options) in enumerate(KINDS[name]):
        for reduction in ("mean", "sum", "none", *(["batchmean"] * (name == "kl_div"))):
            given = {**options, "reduction": reduction}
            shapes: list[Shape] = [(6, 4)]
            fixed = any(np.ndim(options.get(key, 0)) for key in ("target", "pos_weight", "var"))
            if name not in OF_CLASSES and not fixed:
                shapes += [(5,), ()] if reduction != "batchmean" else [(5,)]
            for shape in shapes:
                yield (shape,) * len(domains), domains, given, f"{number}, {reduction}"
            if reduction != "sum":
                note = f"{number}, rows, {reduction}"
                yield ((6, 4),) * len(domains), domains, {**given, "sample_weight": ROWS}, note


def call(name: str, prediction: Any, *rest: Any, target: Array | None = None, **options: Any) -> cr.Tensor:
    """The loss, a fixed target of numbers, and variances, in the dtype of the prediction."""
    loss: Callable[..., cr.Tensor] = getattr(cr, name)
    if np.ndim(options.get("var", 0)):
        options["var"] = options["var"].astype(prediction.dtype)
    if target is None:
        return loss(prediction, *rest, **options)
    return loss(prediction, target.astype(prediction.dtype) if target.dtype.kind == "f" else target, **options)


PENALTIES: dict[str, Callable[[Array], Array]] = {"l1_penalty": np.abs, "l2_penalty": np.square}


def call_of_all(name: str, *parameters: Any, biases: bool) -> cr.Tensor:
    """The penalty of several tensors."""
    of: Callable[..., cr.Tensor] = getattr(cr, name)
    return of(parameters, biases=biases)


def penalty(*parameters: Array, of: Callable[[Array], Array], biases: bool) -> Array:
    """The sums of the parameters, added in order."""
    chosen = [p for p in parameters if biases or p.ndim > 1]
    total = reduce.sum(of(chosen[0]))
    for p in chosen[1:]:
        total = np.asarray(total + reduce.sum(of(p)))
    return total


def penalty_grad(parameters: Sequence[Array], g: Array, name: str, biases: bool) -> list[Array | None]:
    """The gradient with respect to each parameter; None for an excluded one."""
    by = {
        "l1_penalty": lambda p: np.where(p > 0, g, np.where(p < 0, -g, p * 0)),
        "l2_penalty": lambda p: g * (p + p),
    }[name]
    return [by(p) if biases or p.ndim > 1 else None for p in parameters]

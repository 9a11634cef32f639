"""Ways to call the losses and penalties: options, reductions, weights of rows. op_cases makes cases of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import chainrule as cr
from reference import reduce
from reference.bits import Array

Interval = tuple[float, float]
Shape = tuple[int, ...]
Options = Mapping[str, Any]

LABELS = np.asarray([2, 0, 3, 1, 3, 0])
CLASS_WEIGHT = np.asarray([0.3, 1.7, 0.9, 2.1])
ROWS = np.asarray([0.7, 2.3, 0.0, 1.1, 0.4, 3.0])
SIGNS = np.asarray([[1.0, -1.0, -1.0, 1.0], [-1.0, 1.0, 1.0, 1.0]] * 3)
COUNTS = np.asarray([[0.0, 2.0, 1.0, 1.0], [5.0, 3.0, 7.0, 0.0]] * 3)
COLUMNS = np.asarray([0.5, 3.0, 1.2, 0.8])
ORDINARY, UNIT, LOGS, SCORES = (-3.0, 3.0), (0.02, 0.98), (-6.0, -0.1), (-9.0, 9.0)
NUMBERS, BITS = (ORDINARY, ORDINARY), (ORDINARY, UNIT)

# Intervals of prediction and target, or of the prediction alone where the target is an option; and options.
LABELLED: Options = {"target": LABELS}
WEIGHTED: Options = {"target": LABELS, "weight": CLASS_WEIGHT}
KINDS: dict[str, tuple[tuple[tuple[Interval, ...], Options], ...]] = {
    "mse_loss": ((NUMBERS, {}), (NUMBERS, {"half": True})),
    "l1_loss": ((NUMBERS, {}),),
    "huber_loss": ((NUMBERS, {}), (NUMBERS, {"delta": 0.3})),
    "smooth_l1_loss": ((NUMBERS, {"beta": 0.7}), (NUMBERS, {"beta": 0.0})),
    "hinge_loss": (((ORDINARY,), {"target": SIGNS}), ((ORDINARY,), {"target": SIGNS, "margin": 0.3})),
    "perceptron_loss": (((ORDINARY,), {"target": SIGNS}),),
    "binary_cross_entropy": (((UNIT, UNIT), {}),),
    "binary_cross_entropy_with_logits": (
        (BITS, {}), (BITS, {"pos_weight": np.asarray(2.5)}), (BITS, {"pos_weight": COLUMNS}),
    ),
    "poisson_nll_loss": (
        (BITS, {}), ((ORDINARY,), {"full": True, "target": COUNTS}), ((UNIT, UNIT), {"log_input": False}),
    ),
    "kl_div": (((LOGS, UNIT), {}), ((LOGS, LOGS), {"log_target": True})),
    "cross_entropy": (
        ((SCORES,), LABELLED), ((SCORES,), WEIGHTED), ((SCORES,), {**LABELLED, "label_smoothing": 0.1}),
        ((SCORES,), {**WEIGHTED, "label_smoothing": 0.3}), ((ORDINARY, UNIT), {}),
        ((ORDINARY, UNIT), {"weight": CLASS_WEIGHT, "label_smoothing": 0.1}),
    ),
    "nll_loss": (((LOGS,), LABELLED), ((LOGS,), WEIGHTED)),
    "multi_margin_loss": (((SCORES,), LABELLED), ((SCORES,), {**WEIGHTED, "p": 2, "margin": 0.4})),
}  # fmt: skip
OF_CLASSES = ("cross_entropy", "nll_loss", "multi_margin_loss")


def ways(name: str) -> Iterator[tuple[tuple[Shape, ...], tuple[Interval, ...], Options, str]]:
    """Shapes and intervals of the arrays, the other arguments, a note."""
    for number, (domains, options) in enumerate(KINDS[name]):
        for reduction in ("mean", "sum", "none", *(["batchmean"] * (name == "kl_div"))):
            given = {**options, "reduction": reduction}
            shapes: list[Shape] = [(6, 4)]
            if name not in OF_CLASSES and "target" not in options and options.get("pos_weight") is not COLUMNS:
                shapes += [(5,), ()] if reduction != "batchmean" else [(5,)]
            for shape in shapes:
                yield (shape,) * len(domains), domains, given, f"{number}, {reduction}"
            if reduction != "sum":
                note = f"{number}, rows, {reduction}"
                yield ((6, 4),) * len(domains), domains, {**given, "sample_weight": ROWS}, note


def call(name: str, prediction: Any, *rest: Any, target: Array | None = None, **options: Any) -> cr.Tensor:
    """The loss, a fixed target of numbers in the dtype of the prediction."""
    loss: Callable[..., cr.Tensor] = getattr(cr, name)
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
    """By each parameter; None for one that is left out."""
    by = {
        "l1_penalty": lambda p: np.where(p > 0, g, np.where(p < 0, -g, p * 0)),
        "l2_penalty": lambda p: g * (p + p),
    }[name]
    return [by(p) if biases or p.ndim > 1 else None for p in parameters]

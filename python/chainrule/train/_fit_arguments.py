"""What `fit` makes of arguments in the forms that users of other libraries write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops, optim
from .._tensor import tensor
from .._util.arrays import as_ndarray, number_rows
from .._util.checks import is_integer
from ..data._split import split_rows
from ..nn import Module
from ..nn._inputs import has_several, map_parts, parts_of
from ..nn._output import Output
from ..random import default_generator
from ._history import History
from ._loss_names import named_loss
from ._scheduling import each

__all__ = ["balanced", "class_weights", "hold_out", "make_callbacks", "make_optimizer", "progress_of", "resolve_loss"]

Values = npt.NDArray[Any]
Loss = Callable[..., Any]


def resolve_loss(loss: Loss | str | None, output: Output | None) -> Loss:
    """The loss, that of a name, or that of the output layer."""
    if loss is None and output is None:
        raise TypeError("fit: loss is missing; pass one of cr.nn, or end the model with cr.nn.Output, which has one")
    if loss is None and output is not None:
        return output.loss()
    if not callable(loss) and not isinstance(loss, str):
        raise TypeError(
            f"fit: loss must be a loss module of cr.nn, a name or a function (prediction, target), got {loss!r}"
        )
    return named_loss(loss, "fit")


def make_optimizer(optimizer: Any, model: Module, history: History | None, schedule: Any) -> Any:
    """The optimizer: an object, a class or function of the parameters, a name of `cr.optim`, or by default Adam.

    Errors: ValueError for an unknown name, or where the optimizer would have to have a state already.
    """
    if optimizer is not None and not isinstance(optimizer, str) and not _makes_one(optimizer):
        return optimizer
    if not isinstance(model, Module):
        raise TypeError(f"fit: model must be a Module, got {type(model).__name__}")
    owners = [one.optimizer for one in each(schedule) if one.optimizer is not None]  # None: of dropout
    if owners:
        if optimizer is None:
            return owners[0]
        raise ValueError(f"fit: schedule has its own optimizer; pass that object instead of {optimizer!r}")
    if history is not None and (history.epochs or history._position.losses):
        raise ValueError("fit: to continue a history, pass the optimizer object that trained it: it has a state")
    if optimizer is not None and not isinstance(optimizer, str):
        made = optimizer(model.parameters())
        if _makes_one(made) or not hasattr(made, "step"):
            raise TypeError(f"fit: optimizer must return one of cr.optim for the parameters, got {made!r}")
        return made
    name = "adam" if optimizer is None else optimizer.lower()
    known: dict[str, Callable[..., Any]] = {
        key.lower(): kind
        for key, kind in vars(optim).items()
        if isinstance(kind, type) and issubclass(kind, optim.Optimizer) and kind is not optim.Optimizer
    }
    known["lbfgs"] = partial(optim.LBFGS, line_search_fn="strong_wolfe")
    if name not in known:
        names = ", ".join(sorted(known))
        raise ValueError(f"fit: unknown optimizer {optimizer!r}, expected one of {names}, or an object of cr.optim")
    return known[name](model.parameters())


def _makes_one(optimizer: Any) -> bool:
    """Whether this is a class or a function that makes an optimizer."""
    return isinstance(optimizer, type) or (callable(optimizer) and not hasattr(optimizer, "step"))


def make_callbacks(callbacks: Any) -> list[Callable[[History], object]]:
    """One callback or several, as a list."""
    if callbacks is None:
        return []
    given = [callbacks] if callable(callbacks) else callbacks
    if not isinstance(given, Iterable) or isinstance(given, (str, bytes)):
        raise TypeError(f"fit: callbacks must be a function of the History or several, got {callbacks!r}")
    found = list(given)
    for callback in found:
        if not callable(callback):
            raise TypeError(f"fit: callbacks must be functions of the History, got {callback!r}")
    return found


def progress_of(progress: bool | None, verbose: int | str | None) -> bool | str | None:
    """The display of progress from `progress` and `verbose`, which say the same."""
    if verbose is None:
        return progress
    if progress is not None:
        raise ValueError("fit: progress and verbose say the same; pass one of them")
    if isinstance(verbose, bool) or (is_integer(verbose) and verbose in (0, 1)):
        return bool(verbose)
    if verbose == "auto":
        return None
    if is_integer(verbose) and verbose == 2:
        return "lines"
    raise ValueError(f"fit: verbose must be 0 (silent), 1 (a bar), 2 (a line per epoch) or 'auto', got {verbose!r}")


def hold_out(
    X: Any,
    y: Any,
    sample_weight: npt.ArrayLike | None,
    fraction: float,
    seed: int | None,
    by_class: bool,
) -> tuple[Any, Any, Values | None, tuple[Any, Any]]:
    """Divide the rows: those to train on with their weights, and a fraction of them to validate on."""
    if not 0 < fraction < 1:
        raise ValueError(f"fit: validation must be a fraction between 0 and 1 or a pair (X, y), got {fraction}")
    inputs, targets = map_parts(number_rows, X, "fit: X"), map_parts(as_ndarray, y, "fit: y")
    parts = [part for source in (inputs, targets) for _, part in parts_of(source)]
    if any(part.ndim == 0 for part in parts) or len({len(part) for part in parts}) > 1:
        shapes = " and ".join(str(part.shape) for part in parts)
        raise ValueError(f"fit: X and y must have the same number of rows, got shapes {shapes}")
    n = len(parts[0])
    by_class = by_class and not has_several(targets) and targets.size == n
    labels = targets.reshape(-1) if by_class else None
    if labels is not None and labels.dtype.kind == "f" and bool((labels != np.floor(labels)).any()):
        labels = None  # probabilities
    seed = default_generator().seed if seed is None else seed
    held, rest = split_rows("fit: validation", n, (fraction.as_integer_ratio(),), seed, labels)
    weight = None if sample_weight is None else as_ndarray(sample_weight, "fit: sample_weight")
    if weight is not None and weight.shape != (n,):
        raise ValueError(f"fit: sample_weight has shape {weight.shape}, expected ({n},), one per row of X")
    kept = None if weight is None else weight[rest]

    def rows(source: Any, index: Values) -> Any:
        return map_parts(lambda part, _: part[index], source)

    return rows(inputs, rest), rows(targets, rest), kept, (rows(inputs, held), rows(targets, held))


def balanced(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The balanced weights of classes with these numbers of rows: rows / (classes * rows of the class).

    >>> balanced(np.array([3, 1]))
    array([0.66666667, 2.        ])
    """
    return ops.div(np.float64(counts.sum()), tensor((len(counts) * counts).astype(np.float64))).numpy()


def class_weights(
    class_weight: Mapping[Any, float] | str,
    y: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None,
    output: Output | None,
    labels: bool,
) -> Values:
    """The weight of each row: that of its class, times its `sample_weight`.

    `y` are the labels for the loss; the keys of a dict are the class names of the output layer, or these labels.
    "balanced" is n / (classes * rows of the class), as in scikit-learn.
    """
    codes = as_ndarray(y, "fit: y")
    if codes.ndim == 2 and codes.shape[1] == 1:
        codes = codes[:, 0]
    if not labels or codes.ndim != 1 or codes.dtype.kind not in "biuf" or bool((codes != np.floor(codes)).any()):
        raise ValueError("fit: class_weight requires a class label for each row; pass sample_weight for other targets")
    present, index, counts = np.unique(codes, return_inverse=True, return_counts=True)
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(f"fit: class_weight must be 'balanced' or a dict by class, got {class_weight!r}")
        by_class = balanced(counts)
    elif isinstance(class_weight, Mapping):
        names = present.tolist() if output is None or output.classes is None else output.classes
        unknown = [key for key in class_weight if not any(key == name and _alike(key, name) for name in names)]
        if unknown:
            shown = ", ".join(map(repr, names[:10]))
            raise ValueError(f"fit: class_weight names the class {unknown[0]!r}, y has {shown}")
        own = [names[int(code)] for code in present] if output is not None and output.classes is not None else present
        weights = {name: float(class_weight[name]) for name in class_weight}
        by_class = np.array([weights.get(name, 1.0) for name in (n.item() if hasattr(n, "item") else n for n in own)])
        if not (np.isfinite(by_class).all() and (by_class >= 0).all()):
            raise ValueError(f"fit: class_weight must be numbers of at least 0, got {dict(class_weight)}")
    else:
        raise TypeError(f"fit: class_weight must be 'balanced' or a dict by class, got {class_weight!r}")
    rows = by_class[index.reshape(-1)]
    if sample_weight is None:
        return rows
    weight = as_ndarray(sample_weight, "fit: sample_weight")
    if weight.shape != rows.shape:
        raise ValueError(f"fit: sample_weight has shape {weight.shape}, expected {rows.shape}, one for each row of X")
    return ops.mul(rows, weight.astype(np.float64)).numpy()


def _alike(key: Any, name: Any) -> bool:
    """Whether both are texts, or both are not: 1 and True and 1.0 name one class."""
    return isinstance(key, str) == isinstance(name, str)

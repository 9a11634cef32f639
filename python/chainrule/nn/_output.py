"""The last layer, its loss and its link function from the kind of target: one table, `KINDS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from .._util.arrays import as_ndarray, real_array
from ..ops._operands import one
from ..random import Generator
from ._linear import Linear
from ._losses import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss, PoissonNLLLoss
from ._module import Module

__all__ = ["MAX_CLASSES", "Output", "are_classes", "infer_kind", "loss_for"]

MAX_CLASSES = 20  # integers with more distinct values are treated as continuous


@dataclass(frozen=True)
class Kind:
    """`distribution` of the target, whose mean is `link(scores)`; `loss`: its negative log likelihood of the scores."""

    distribution: str
    link: Callable[[Any], Tensor]
    loss: Callable[..., Module]


KINDS: dict[str, Kind] = {
    "binary": Kind("Bernoulli", ops.sigmoid, BCEWithLogitsLoss),
    "multilabel": Kind("Bernoulli, for each column", ops.sigmoid, BCEWithLogitsLoss),
    "multiclass": Kind("Multinoulli", ops.softmax, CrossEntropyLoss),
    "continuous": Kind("Gaussian", one, MSELoss),
    "count": Kind("Poisson", ops.exp, PoissonNLLLoss),
}


def _kind(kind: str) -> Kind:
    if kind not in KINDS:
        raise ValueError(f"Output: kind must be one of {', '.join(KINDS)}, got {kind!r}")
    return KINDS[kind]


def loss_for(kind: str, **options: Any) -> Module:
    """The loss of a kind of target, to be applied to scores: the negative log likelihood of its distribution.

    Arguments: `kind`, as `Output`; `options`, those of the loss (`reduction`, `weight`, ...).
    Errors: ValueError for another kind.

    >>> import chainrule as cr
    >>> cr.nn.loss_for("count", reduction="sum")
    PoissonNLLLoss(reduction='sum', log_input=True, full=False, eps=1e-08)
    """
    return _kind(kind).loss(**options)


class Output(Linear):
    """The last layer for a kind of target: a linear layer that returns scores, with its loss and link function.

    | kind | distribution | link: mean of the target | loss of the scores |
    |---|---|---|---|
    | "binary" | Bernoulli | sigmoid | BCEWithLogitsLoss |
    | "multilabel" | Bernoulli, for each column | sigmoid | BCEWithLogitsLoss |
    | "multiclass" | Multinoulli | softmax | CrossEntropyLoss |
    | "continuous" | Gaussian | identity | MSELoss |
    | "count" | Poisson | exp | PoissonNLLLoss |

    Arguments: `kind`; `in_features`; `out_features`, for multiclass the number of classes, else of columns of the
    target; the rest as `Linear`.
    Input and output: as `Linear`; the outputs are scores, the input of the loss; `link` converts them to
    probabilities.
    Errors: ValueError for another kind, several columns of "binary", one class of "multiclass"; as `Linear`.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> X = cr.random.Generator(seed=0).normal((64, 2))
    >>> y = X[:, 0] > X[:, 1]
    >>> output = cr.nn.Output(cr.infer_kind(y), 2, generator=cr.random.Generator(seed=1))
    >>> model = cr.nn.Sequential(output)
    >>> optimizer = cr.optim.SGD(model.parameters(), lr=1.0)
    >>> history = cr.fit(model, X, output.targets(y), loss=output.loss(), optimizer=optimizer, seed=0)
    >>> probability = output.link(model.predict(X)).numpy()
    >>> bool(((probability[:, 0] > 0.5) == y).mean() > 0.9)
    True
    """

    def __init__(
        self,
        kind: str,
        in_features: int,
        out_features: int = 1,
        bias: bool = True,
        dtype: npt.DTypeLike = np.float32,
        init: str = "glorot",
        generator: Generator | None = None,
    ) -> None:
        _kind(kind)
        if (kind == "binary" and out_features != 1) or (kind == "multiclass" and out_features == 1):
            expected = "1 score for each row" if kind == "binary" else "a score for each of 2 classes or more"
            raise ValueError(f"Output: {kind} expects {expected}, got out_features={out_features}")
        super().__init__(in_features, out_features, bias, dtype, init, generator)
        self.kind = kind

    def config(self) -> dict[str, Any]:
        return {"kind": self.kind, **super().config()}

    def loss(self, **options: Any) -> Module:
        """The loss of the scores, `cr.nn.loss_for` this kind."""
        return loss_for(self.kind, **options)

    def link(self, scores: Any) -> Tensor:
        """The mean of the target for given scores (n, out_features): probabilities, rates, values.

        >>> import chainrule as cr
        >>> cr.nn.Output("multiclass", 4, 2).link([[0.0, 0.0]]).numpy()
        array([[0.5, 0.5]], dtype=float32)
        """
        return _kind(self.kind).link(scores)

    def targets(self, y: npt.ArrayLike) -> npt.NDArray[Any]:
        """Convert targets for the loss: class labels are unchanged, others become numbers of the layer's dtype.

        Targets of shape (n,) become (n, 1), except for class labels.

        Errors: TypeError for values that are not numbers.

        >>> import chainrule as cr
        >>> cr.nn.Output("count", 4).targets([3, 0]).tolist()
        [[3.0], [0.0]]
        """
        given = as_ndarray(y, "Output: y")
        if self.kind == "multiclass" and given.ndim == 1:
            return given
        numbers = real_array(given, self.weight.dtype, "Output: y")
        return numbers.reshape(-1, 1) if numbers.ndim == 1 else numbers


def infer_kind(y: npt.ArrayLike) -> str:
    """Guess the kind of target (see `cr.nn.Output`) from its values.

    One column: text, bools, and whole numbers with at most 20 distinct values are classes, "binary" for two and
    "multiclass" for more; other numbers are "continuous". Several columns: "multiclass" when each row sums to 1
    (probabilities, one-hot), "multilabel" for other zeros and ones, else "continuous". Counts cannot be
    distinguished from classes and quantities: pass "count" explicitly.

    Arguments: `y` (n,) or (n, columns), numbers or text.
    Returns: the kind.
    Errors: ValueError for no rows, more than two axes, NaN, or a single class.

    >>> import chainrule as cr
    >>> [cr.infer_kind(y) for y in ([0, 1, 1], ["a", "b", "c"], [0.5, 1.5], [[1, 1], [0, 1]])]
    ['binary', 'multiclass', 'continuous', 'multilabel']
    """
    values = as_ndarray(y, "infer_kind: y")
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim not in (1, 2) or values.size == 0:
        raise ValueError(f"infer_kind: expected (n,) or (n, columns) with rows, got shape {values.shape}")
    numbers = values.dtype.kind in "biuf"
    if not numbers and values.ndim == 2:
        raise ValueError(f"infer_kind: columns of text have no kind, got dtype {values.dtype} and shape {values.shape}")
    if numbers and not np.isfinite(values).all():
        raise ValueError("infer_kind: every value must be finite")
    if values.ndim == 2:
        return _kind_of_columns(values)
    if numbers and not are_classes(values):
        return "continuous"
    distinct = np.unique(values if numbers else values.astype(str))
    if len(distinct) == 1:
        raise ValueError(f"infer_kind: the only value is {distinct[0]}; there is nothing to learn")
    return "binary" if len(distinct) == 2 else "multiclass"


def are_classes(values: npt.ArrayLike) -> bool:
    """Whether values look like class numbers: integers with at most MAX_CLASSES distinct values."""
    distinct = np.unique(np.asarray(values))
    return len(distinct) <= MAX_CLASSES and bool((distinct == np.floor(distinct)).all())


def _kind_of_columns(values: npt.NDArray[Any]) -> str:
    bits = bool(((values == 0) | (values == 1)).all())
    shares = bool((values >= 0).all() and (np.abs(values.sum(1) - 1) < 1e-6).all())
    return "multiclass" if shares else "multilabel" if bits else "continuous"

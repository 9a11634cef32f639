"""The last layer, its loss and its link function from the kind of target: one table, `KINDS`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import ops
from .._tensor import Tensor
from .._util.arrays import as_ndarray, real_array
from ..ops._operands import one
from ..random import Generator
from ._class_names import ClassName, check_names, distinct_names, encode, labels_of
from ._containers import Sequential
from ._linear import Linear
from ._losses import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss, PoissonNLLLoss
from ._module import Module

__all__ = ["MAX_CLASSES", "Output", "are_classes", "infer_kind", "loss_for", "output_of"]

MAX_CLASSES = 20  # integers with more distinct values are treated as continuous


class Kind(NamedTuple):
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
    target; `classes`, for binary and multiclass the names of the classes (texts, bools or whole numbers) in the order
    of the scores, for binary two, of which the second is the one that the probability is of (default: learned from the
    labels of the first training, in sorted order); the rest as `Linear`.
    Attributes: `classes`, a tuple of names, None as long as the labels are the numbers of the outputs 0, 1, ... or
    nothing was learned. They are saved with the model.
    Input and output: as `Linear`; the outputs are scores, the input of the loss; `link` converts them to
    probabilities, `labels` to class names.
    Errors: ValueError for another kind, several columns of "binary", one class of "multiclass", other numbers of
    `classes`; as `Linear`.

    `cr.fit` takes the loss and the targets from the last layer if it is an `Output`:

    >>> import numpy as np
    >>> import chainrule as cr
    >>> X = cr.random.Generator(seed=0).normal((64, 2))
    >>> y = np.where(X[:, 0] > X[:, 1], "warm", "cold")
    >>> output = cr.nn.Output(cr.infer_kind(y), 2, generator=cr.random.Generator(seed=1))
    >>> model = cr.nn.Sequential(output)
    >>> history = cr.fit(model, X, y, optimizer=cr.optim.SGD(model.parameters(), lr=1.0), seed=0)
    >>> output.classes
    ('cold', 'warm')
    >>> bool((output.labels(model.predict(X)) == y).mean() > 0.9)
    True
    >>> output.link(model.predict(X)).numpy().shape  # the probability of "warm"
    (64, 1)
    """

    def __init__(
        self,
        kind: str,
        in_features: int,
        out_features: int = 1,
        bias: bool = True,
        dtype: npt.DTypeLike | None = None,
        init: str = "glorot",
        generator: Generator | None = None,
        *,
        classes: Sequence[ClassName] | None = None,
    ) -> None:
        _kind(kind)
        if (kind == "binary" and out_features != 1) or (kind == "multiclass" and out_features == 1):
            expected = "1 score for each row" if kind == "binary" else "a score for each of 2 classes or more"
            raise ValueError(f"Output: {kind} expects {expected}, got out_features={out_features}")
        super().__init__(in_features, out_features, bias, dtype, init, generator)
        self.kind = kind
        if classes is not None and kind not in _CLASSES:
            raise ValueError(f"Output: classes are those of binary and multiclass, got kind={kind!r}")
        self.classes = None if classes is None else check_names("Output: classes", classes, self._class_count)

    @property
    def _class_count(self) -> int:
        return 2 if self.kind == "binary" else self.out_features

    def config(self) -> dict[str, Any]:
        named = {} if self.classes is None else {"classes": list(self.classes)}
        return {"kind": self.kind, **super().config(), **named}

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
        """Convert targets for the loss: class names become the numbers 0, 1, ..., others numbers of the layer's dtype.

        Targets of shape (n,) become (n, 1), except for the labels of multiclass. The first labels that are not the
        numbers of the outputs already (0 to classes - 1; for binary 0, 1 or probabilities) determine `classes`.

        Arguments: `y`, of shape (n,), (n, 1) or (n, out_features): for binary and multiclass texts, bools or whole
        numbers, or probabilities.
        Errors: TypeError for other values; ValueError for a label that is none of the classes, or for another number
        of them.

        >>> import chainrule as cr
        >>> cr.nn.Output("count", 4).targets([3, 0]).tolist()
        [[3.0], [0.0]]
        >>> cr.nn.Output("multiclass", 4, 3).targets(["b", "c", "a"]).tolist()
        [1, 2, 0]
        """
        return self._targets(y, "Output: y")

    def _targets(self, y: npt.ArrayLike, what: str) -> npt.NDArray[Any]:
        """`targets`, whose errors begin with `what`."""
        given = as_ndarray(y, what)
        if self.kind in _CLASSES and not self._are_outputs(given):
            values = labels_of(given, what)
            classes = self._learned(values, what) if self.classes is None else self.classes
            given, self.classes = encode(values, classes, what), classes
        if self.kind == "multiclass" and (given.ndim == 1 or given.shape[1] == 1):
            return given.reshape(-1)
        numbers = real_array(given, self.weight.dtype, what)
        return numbers.reshape(-1, 1) if numbers.ndim == 1 else numbers

    def _are_outputs(self, y: npt.NDArray[Any]) -> bool:
        """Whether targets need no names: probabilities, or the numbers of the outputs.

        Where the names are numbers, too, they are meant.
        """
        if y.dtype.kind not in "biuf" or y.ndim not in (1, 2) or not y.size:
            return False
        if self.kind == "multiclass" and y.ndim == 2 and y.shape[1] > 1:
            return True
        named = self.classes is not None and not isinstance(self.classes[0], (str, bool))
        if named or y.dtype.kind == "b":
            return False
        if y.dtype.kind == "f":
            return self.kind == "binary" and not bool(((y < 0) | (y > 1)).any())
        return int(y.min()) >= 0 and int(y.max()) < self._class_count

    def _learned(self, values: npt.NDArray[Any], what: str) -> tuple[ClassName, ...]:
        names = distinct_names(values)
        if len(names) != self._class_count:
            raise ValueError(
                f"{what} has {len(names)} different labels, the output layer has {self._class_count} classes; write a "
                "layer of as many, or name them with classes="
            )
        return names

    def labels(self, scores: npt.ArrayLike) -> npt.NDArray[Any]:
        """The predicted labels for given scores (n, out_features): the class of the highest probability.

        Arguments: `scores`, what the model returns.
        Returns: shape (n,), `classes` or the numbers of the outputs; for multilabel 0 and 1 of shape (n, out_features).
        Errors: ValueError for a kind without classes, or another shape.

        >>> import chainrule as cr
        >>> cr.nn.Output("multiclass", 4, 2, classes=["cat", "dog"]).labels([[0.5, 1.5], [2.0, 0.0]]).tolist()
        ['dog', 'cat']
        """
        values = as_ndarray(scores, "Output: scores")
        if self.kind not in (*_CLASSES, "multilabel"):
            raise ValueError(f"Output: targets of kind {self.kind!r} have no labels; link(scores) predicts their mean")
        if values.ndim != 2 or values.shape[1] != self.out_features:
            raise ValueError(f"Output: scores have shape {values.shape}, expected (n, {self.out_features})")
        if self.kind == "multilabel":
            return (values > 0).astype(np.int64)
        codes = (values[:, 0] > 0).astype(np.int64) if self.kind == "binary" else np.argmax(values, axis=1)
        return codes if self.classes is None else np.array(self.classes)[codes]


_CLASSES = ("binary", "multiclass")


def output_of(model: Module) -> Output | None:
    """The output layer of a model: the last layer of a Sequential, the only Output in a model of another class.

    >>> import chainrule as cr
    >>> from chainrule.nn._output import output_of
    >>> output_of(cr.nn.Sequential(cr.nn.ReLU(), cr.nn.Output("count", 4))).kind
    'count'
    """
    while isinstance(model, Sequential):
        if not len(model):
            return None
        model = model[-1]
    found = [module for module in model.modules() if isinstance(module, Output)]
    return found[0] if len(found) == 1 else None


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

"""MLPClassifier."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from .. import ops
from ._base import BaseMLP
from ._losses import Objective, categorical, of_labels
from ._net import Net
from ._scores import accuracy
from ._targets import Labels
from ._training import Rows

__all__ = ["MLPClassifier"]

Array = npt.NDArray[Any]


class MLPClassifier(ClassifierMixin, BaseMLP):  # type: ignore[misc]
    """A net that classifies rows: scikit-learn's `MLPClassifier`, with its parameters, attributes and results.

    Computes in the dtype of X, float32 or float64; the same bits on every machine for an integer `random_state`.

    Arguments: those of scikit-learn's class, with its defaults. Further ones: `activation` also any name in
    docs/sklearn.md, a function of tensors, a module, or a list with one for each hidden layer; `class_weight`, a dict
    from classes to weights, "balanced", or a list of dicts for several targets; `loss`, "log_loss" or a function of
    scores and targets; `dropout`, the share of zeros after each hidden layer, in [0, 1), or one for each; `callbacks`,
    functions of a `cr.History` called after each epoch, as in `cr.fit`: one that returns True stops training.
    Attributes: those of scikit-learn's class; `validation_loss_curve_` with validation rows; for several targets
    `classes_` is a list.

    >>> import numpy as np
    >>> from chainrule.sklearn import MLPClassifier
    >>> X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> net = MLPClassifier(hidden_layer_sizes=8, solver="lbfgs", random_state=1).fit(X, ["no", "yes", "yes", "no"])
    >>> net.predict(X).tolist()
    ['no', 'yes', 'yes', 'no']
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
        "loss": [StrOptions({"log_loss"}), callable],
    }
    _score_name = "accuracy"

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        class_weight: Any = None,
        loss: Any = "log_loss",
        dropout: Any = 0.0,
        callbacks: Any = None,
    ) -> None:
        self._keep(locals())

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, eval_set: Any = None) -> MLPClassifier:
        """Train on rows X (n, features) and classes y.

        Arguments: `X`, an array, frame or sparse matrix of finite numbers; `y`, n classes of any type, an indicator
        matrix (n, labels), or columns of classes (n, targets); `sample_weight`, n weights of at least 0; `eval_set`,
        rows (X, y) to validate on after each epoch: `validation_scores_` and `validation_loss_curve_`; early stopping
        uses them in place of a part of X.
        Returns: self. Errors: ValueError as scikit-learn's; for a loss that diverges.
        """
        self._validate_params()
        self._fit(X, y, sample_weight, False, eval_set)
        return self

    @available_if(lambda estimator: estimator._check_solver())  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """Train for one epoch on these rows, and keep what has been learnt before.

        Arguments: as `fit`; `classes`, all classes, at the first call.
        Returns: self. n calls with the rows of a `fit` give the bits of n epochs of it. Callbacks are not called.
        """
        self._validate_params()
        self._learn_classes(y, classes)
        self._fit(X, y, sample_weight, True)
        return self

    def _learn_classes(self, y: Any, classes: Any) -> None:
        if getattr(self, "classes_", None) is None and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight: 'balanced' needs all rows, which partial_fit does not see; pass a dict, or "
                "compute_class_weight('balanced', classes=classes, y=y)"
            )
        several = np.ndim(y) == 2 and np.shape(y)[1] > 1
        known = getattr(self, "_labels", None)
        if known is None:
            found = Labels.of(np.asarray(_plain(y))) if several else Labels.named(classes, of_labels(self.loss))
            if several and found.kind == "multioutput":
                found = Labels("multioutput", [np.unique(np.asarray(column)) for column in classes])
            self._labels, self.classes_ = found, found.classes
        elif classes is not None and not several and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes_!r}"
            )

    def _encoded(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        y = _plain(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "_labels") or (not self.warm_start and not incremental):
            self._labels = Labels.of(y, of_labels(self.loss))
            self.classes_ = self._labels.classes
        elif self.warm_start and not incremental:
            found = Labels.of(y, of_labels(self.loss))
            if not found.same(self._labels):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                    f"Previously got {self.classes_}, `y` has {found.classes}"
                )
        elif len(unknown := self._labels.unknown(y)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {unknown}."
            )
        self._given = y
        return X, self._labels.encode(y, X.dtype)

    def _weights(self, sample_weight: Any, X: Any, y: Any) -> Array | None:
        weight = super()._weights(sample_weight, X, y)
        given = self.__dict__.pop("_given")
        if self.class_weight is None:
            return weight
        of_class = compute_sample_weight(self.class_weight, given).astype(X.dtype)
        return of_class if weight is None else np.asarray(ops.mul(weight, of_class).numpy())

    def _outputs(self, y: Array) -> tuple[int, str]:
        softmax = self._labels.kind in ("multiclass", "multioutput")
        return self._labels.outputs, "softmax" if softmax else "logistic"

    def _groups(self) -> list[int]:
        labels = getattr(self, "_labels", None)
        return labels.sizes if labels is not None and labels.kind == "multioutput" else [self.n_outputs_]

    def _objective(self, net: Net) -> Objective:
        rows = categorical(self._labels.kind, self.loss, self._labels.sizes)
        return Objective(rows, [linear.weight for linear in net.linears], float(self.alpha))

    def _stratify(self, y: Array) -> Array | None:
        return y[:, 0] if self._labels.kind == "binary" else None

    def _score_of(self, rows: Rows) -> float:
        output = self._outputs_of(rows.x)
        if not np.isfinite(output).all():
            return float("nan")
        return accuracy(self._labels.correct(output, rows.y), rows.weight)

    def predict(self, X: Any) -> Array:
        """The classes of rows X (n, features): an array (n,), or (n, targets). Errors: ValueError as scikit-learn's."""
        return self._labels_of(self._forward(X))

    def _labels_of(self, output: Array) -> Array:
        return self._labels.decode(output)

    def predict_proba(self, X: Any) -> Any:
        """The probabilities of the classes of rows X (n, features), in the order of `classes_`.

        Returns: an array (n, classes); for an indicator matrix (n, labels), of each label; for several targets a list
        of arrays. Errors: ValueError as scikit-learn's.
        """
        output = self._forward(X)
        labels = self._labels
        if labels.kind == "multioutput":
            return labels.parts(output)
        if labels.kind != "binary":
            return output
        if len(labels.classes) == 1:
            return np.ones_like(output)
        if len(output) > 1:
            return np.concatenate([1 - output, output], axis=1)
        both, second = np.empty((1, 2), output.dtype), output.item()  # a quarter of the time; 1 - p is rounded once
        both[0, 0], both[0, 1] = 1 - second, second
        return both

    def predict_log_proba(self, X: Any) -> Any:
        """The logarithms of `predict_proba`; -inf for a probability of 0."""
        found = self.predict_proba(X)
        several = isinstance(found, list)
        logarithms = [ops.log(part).numpy() for part in (found if several else [found])]
        return logarithms if several else logarithms[0]

    def __sklearn_tags__(self) -> Any:
        """Labels and several targets are accepted."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        return tags


def _plain(y: Any) -> Array:
    """y as an array, also if it is a sparse indicator matrix."""
    return np.asarray(y.toarray() if hasattr(y, "toarray") else y)

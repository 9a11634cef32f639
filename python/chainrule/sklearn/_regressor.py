"""MLPRegressor."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from ._base import BaseMLP, _as_dtype
from ._losses import Objective, numeric
from ._net import Net
from ._scores import r2
from ._training import Rows

__all__ = ["MLPRegressor"]

Array = npt.NDArray[Any]
LOSSES = {"squared_error", "poisson", "absolute_error", "huber", "quantile", "log_cosh"}


class MLPRegressor(RegressorMixin, BaseMLP):  # type: ignore[misc]
    """A net that predicts numbers: scikit-learn's `MLPRegressor`, with its parameters, attributes and results.

    Computes in the dtype of X, float32 or float64; the same bits on every machine for an integer `random_state`.

    Arguments: those of scikit-learn's class, with its defaults. Further ones: `loss` also "absolute_error", "huber"
    (with `delta`, above 0), "quantile" (with `quantile`, between 0 and 1), "log_cosh", or a function of predictions and
    targets (n, outputs) as `cr.fit` takes it; `activation`, `dropout` and `callbacks` as in `MLPClassifier`.
    Attributes: those of scikit-learn's class; `validation_loss_curve_` with validation rows.

    >>> import numpy as np
    >>> from chainrule.sklearn import MLPRegressor
    >>> X = np.linspace(-1.0, 1.0, 50).reshape(-1, 1)
    >>> net = MLPRegressor(hidden_layer_sizes=20, activation="tanh", solver="lbfgs", random_state=1)
    >>> net.fit(X, X[:, 0] ** 2).predict([[0.5]]).round(2).tolist()
    [0.25]
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(LOSSES), callable],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
        "delta": [Interval(Real, 0, None, closed="neither")],
    }
    _score_name = "r2"

    def __init__(
        self,
        loss: Any = "squared_error",
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
        quantile: float = 0.5,
        delta: float = 1.0,
        dropout: Any = 0.0,
        callbacks: Any = None,
    ) -> None:
        self._keep(locals())

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, eval_set: Any = None) -> MLPRegressor:
        """Train on rows X (n, features) and numbers y (n,) or (n, outputs).

        Arguments: `X`, an array, frame or sparse matrix of finite numbers; `y`; `sample_weight`, n weights of at least
        0; `eval_set`, rows (X, y) to validate on after each epoch: `validation_scores_` (R2) and
        `validation_loss_curve_`; early stopping uses them in place of a part of X.
        Returns: self. Errors: ValueError as scikit-learn's; for a loss that diverges.
        """
        self._validate_params()
        self._fit(X, y, sample_weight, False, eval_set)
        return self

    @available_if(lambda estimator: estimator._check_solver())  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train for one epoch on these rows, and keep what has been learnt before.

        Returns: self. n calls with the rows of a `fit` give the bits of n epochs of it. Callbacks are not called.
        """
        self._validate_params()
        self._fit(X, y, sample_weight, True)
        return self

    def _encoded(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=True,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        y = np.asarray(y.toarray() if hasattr(y, "toarray") else y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        target = _as_dtype(y.reshape(len(y), -1), X.dtype)
        if not reset and hasattr(self, "intercepts_") and target.shape[1] != len(self.intercepts_[-1]):
            raise ValueError(f"y has {target.shape[1]} outputs, the fitted net {len(self.intercepts_[-1])}")
        if self.loss == "poisson" and (target < 0).any():
            raise ValueError("y: the loss 'poisson' takes counts of at least 0")
        return X, target

    def _outputs(self, y: Array) -> tuple[int, str]:
        return y.shape[1], "exp" if self.loss == "poisson" else "identity"

    def _objective(self, net: Net) -> Objective:
        rows, mean = numeric(self.loss, float(self.quantile), float(self.delta))
        coefficients = [linear.weight for linear in net.linears]
        return Objective(rows, coefficients, float(self.alpha), net.linears[-1].out_features, mean)

    def _score_of(self, rows: Rows) -> float:
        output = self._outputs_of(rows.x)
        return r2(rows.y, output, rows.weight) if np.isfinite(output).all() else float("nan")

    def predict(self, X: Any) -> Array:
        """The predictions for rows X (n, features), of shape (n,) or (n, outputs). Errors: as scikit-learn's."""
        output = self._forward(X)
        return output.reshape(-1) if output.shape[1] == 1 else output

    def __sklearn_tags__(self) -> Any:
        """Several outputs are accepted."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

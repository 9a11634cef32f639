"""What classifier and regressor share: parameters, checks, training and the forward pass."""

from __future__ import annotations

import warnings
from math import isfinite
from numbers import Integral, Real
from operator import is_
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .._tensor import Tensor
from .._util.arrays import real_array
from ..nn._evaluate import evaluating
from ..random import Generator
from ._losses import Objective
from ._net import Net, activations_of, initial_weights
from ._rates import Rates
from ._split import hold_out
from ._training import Held, Rows, Steps, fit_lbfgs, fit_stochastic

__all__ = ["BaseMLP"]

Array = npt.NDArray[Any]
STOCHASTIC = ("sgd", "adam")
_SEEDS = 2**31 - 1
_WEIGHTS_STREAM = 2**42
_BLOCK = 4096  # rows of a sparse matrix that are made dense at a time
_SMALL = 4096  # numbers that are checked by one product
_DTYPES = (np.dtype(np.float64), np.dtype(np.float32))


class BaseMLP(BaseEstimator):  # type: ignore[misc]
    """The common part of `MLPClassifier` and `MLPRegressor`."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [str, callable, list, tuple],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "callbacks": [callable, list, tuple, None],
    }

    def _keep(self, arguments: dict[str, Any]) -> None:
        """Set the constructor's arguments as attributes, as scikit-learn's estimators have them."""
        self.__dict__.update({name: value for name, value in arguments.items() if name not in ("self", "__class__")})

    # What the subclasses add.

    def _encoded(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        """Check X and y, learn the classes; return X and the target of the loss."""
        raise NotImplementedError

    def _outputs(self, y: Array) -> tuple[int, str]:
        """The number of outputs, and their activation."""
        raise NotImplementedError

    def _objective(self, net: Net) -> Objective:
        raise NotImplementedError

    def _score_of(self, rows: Rows) -> float:
        raise NotImplementedError

    def _stratify(self, y: Array) -> Array | None:
        """The labels whose proportions a held-out part keeps."""
        return None

    _score_name = "score"
    _net: Net | None = None
    _steps: Steps | None = None
    _optimizer: Rates | None = None

    # Training.

    def _hidden(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        found = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if any(size <= 0 for size in found):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {found}.")
        return [int(size) for size in found]

    def _dropouts(self, hidden: int) -> list[float]:
        given = self.dropout
        found = [float(p) for p in given] if hasattr(given, "__iter__") else [float(given)] * hidden
        if len(found) != hidden or not all(0 <= p < 1 for p in found):
            raise ValueError(
                f"dropout: expected a number in [0, 1), or one for each of {hidden} hidden layers, got {given}"
            )
        return found

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool, eval_set: Any = None) -> Any:
        hidden = self._hidden()
        activations = activations_of(self.activation, len(hidden))
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        X, target = self._encoded(X, y, incremental, first)
        weight = self._weights(sample_weight, X, y)
        X, target, weight = _counted(X, target, weight)
        self.n_outputs_, out_activation = self._outputs(target)
        units = [X.shape[1], *hidden, self.n_outputs_]
        if first:
            self._initialize(units, activations, X.dtype, out_activation)
        elif [X.shape[1], *(len(b) for b in self.intercepts_)] != units:
            known = [X.shape[1], *(len(b) for b in self.intercepts_)]
            raise ValueError(
                f"the fitted net has layers of {known}, the parameters ask for {units}; fit a new estimator"
            )
        net = self._linked()
        rows = self._rows(X, target, weight, net)
        if self.solver == "lbfgs":
            held, rows = self._held(rows, eval_set, net)
            fit_lbfgs(self, net, self._objective(net), rows, held)
        elif incremental:
            self._one_epoch(net, rows)
        else:
            self._optimizer = rates = Rates(self, net.parameters)
            self._steps = None
            held, rows = self._held(rows, eval_set, net)
            batch = self._batch(len(rows))
            fit_stochastic(self, net, self._objective(net), rates, rows, batch, held)
        if not all(bool(np.isfinite(values).all()) for values in (*net.coefs, *net.intercepts)):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                "preprocessed."
            )
        return self

    def _initialize(self, units: list[int], activations: list[Any], dtype: np.dtype[Any], out: str) -> None:
        self._seed = _seed_of(self.random_state)
        self._epochs = self.n_iter_ = self.t_ = 0
        self.n_layers_, self.out_activation_ = len(units), out
        self.coefs_, self.intercepts_ = initial_weights(
            units, activations, dtype, Generator(self._seed, stream=_WEIGHTS_STREAM)
        )
        self._net = None
        self._steps = None
        self._optimizer = None
        self._no_improvement_count = 0
        if self.solver in STOCHASTIC:
            self.loss_curve_: list[float] = []
            self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_: list[float] | None = None
        self.validation_loss_curve_: list[float] | None = None
        self.best_validation_score_ = -np.inf if self.early_stopping and self.solver in STOCHASTIC else None

    def _one_epoch(self, net: Net, rows: Rows) -> None:
        """An epoch of `partial_fit`: its compiled step is kept for the next one."""
        rates = self._optimizer or Rates(self, net.parameters)
        self._optimizer = rates
        steps = self._steps
        if steps is None or steps.net is not net or steps.rates is not rates:
            steps = self._steps = Steps(net, self._objective(net), rates)
        net.begin_epoch(self._epochs)
        order = Generator(self._seed, stream=2**32 + self._epochs).permutation(len(rows))
        if not self.shuffle:
            order = np.arange(len(rows))
        loss = steps.epoch(rows, self._batch(len(rows)), order)
        self._epochs += 1
        self.n_iter_, self.loss_ = 1, loss
        self.t_ += len(rows)
        self.loss_curve_.append(loss)
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {loss:.8f}")
        self.best_loss_ = loss if self.best_loss_ is None else min(self.best_loss_, loss)
        rates.end_epoch(self.t_)

    def _batch(self, rows: int) -> int:
        if self.batch_size == "auto":
            return min(200, rows)
        if self.batch_size > rows:
            warnings.warn(
                f"batch_size: {self.batch_size} is larger than the {rows} rows and is clipped to them", stacklevel=4
            )
        return int(min(self.batch_size, rows))

    def _weights(self, sample_weight: Any, X: Any, y: Any) -> Array | None:
        if sample_weight is None:
            return None
        weight = _check_sample_weight(sample_weight, X, dtype=X.dtype)
        if (weight < 0).any():
            raise ValueError(f"sample_weight: weights are at least 0, got {weight.min()}")
        if not weight.any():
            raise ValueError("sample_weight: every weight is 0, expected at least one above 0")
        return np.asarray(weight)

    def _rows(self, X: Any, target: Array, weight: Array | None, net: Net) -> Rows:
        """Rows in the dtype of the net; sparse ones in CSR form."""
        x = X.tocsr().astype(net.dtype) if sparse.issparse(X) else np.ascontiguousarray(_as_dtype(X, net.dtype))
        y = _as_dtype(target, net.dtype) if target.dtype.kind == "f" else target
        return Rows(x, np.ascontiguousarray(y), None if weight is None else _as_dtype(weight, net.dtype))

    def _held(self, rows: Rows, eval_set: Any, net: Net) -> tuple[Held | None, Rows]:
        """The rows to validate on: `eval_set`, or with early stopping a part of the rows."""
        stops = self.early_stopping and self.solver in STOCHASTIC
        if eval_set is None and not stops:
            return None, rows
        objective = self._objective(net)

        def loss(part: Rows) -> float:
            with evaluating(net.scores):
                scores = net.scores(Tensor._wrap(_dense(part.x)))
                return float(objective.reported(scores, *_tensors(part)).item())

        if eval_set is not None:
            part = self._evaluation_rows(eval_set, net)
        else:
            train, held = hold_out(len(rows), self.validation_fraction, self._seed, self._stratify(rows.y))
            part, rows = (
                Rows(rows.x[i], rows.y[i], None if rows.weight is None else rows.weight[i]) for i in (held, train)
            )
        if self.validation_scores_ is None:
            self.validation_scores_, self.validation_loss_curve_ = [], []
        return Held(part, self._score_of, loss, self._score_name), rows

    def _evaluation_rows(self, eval_set: Any, net: Net) -> Rows:
        pair = eval_set[0] if isinstance(eval_set, list) and len(eval_set) == 1 else eval_set
        if not isinstance(pair, (tuple, list)) or len(pair) not in (2, 3):
            raise ValueError("eval_set: expected a pair (X, y), or (X, y, sample_weight)")
        X, target = self._encoded(pair[0], pair[1], True, False)
        weight = None
        if len(pair) == 3:
            weight = _check_sample_weight(pair[2], X, dtype=X.dtype)
        return self._rows(X, target, weight, net)

    # The net.

    def _linked(self) -> Net:
        """The net whose memory `coefs_` and `intercepts_` are; made again if they have been replaced."""
        net = self._net
        if net is not None and _same(self.coefs_, net.coefs) and _same(self.intercepts_, net.intercepts):
            return net
        hidden = len(self.coefs_) - 1
        made = Net(
            self.coefs_,
            self.intercepts_,
            activations_of(self.activation, hidden),
            self._dropouts(hidden),
            self.out_activation_,
            self._groups(),
            getattr(self, "_seed", 0),
        )
        if not hasattr(self, "_seed"):
            self._seed = _seed_of(self.random_state)
        self._epochs = getattr(self, "_epochs", 0)
        self.coefs_, self.intercepts_ = list(made.coefs), list(made.intercepts)
        self._net, self._steps = made, None
        if self._optimizer is not None:
            self._optimizer.bind(made.parameters)
        return made

    def _groups(self) -> list[int]:
        """The numbers of outputs that are classes of one target."""
        return [self.n_outputs_]

    def __getstate__(self) -> dict[str, Any]:
        """Without the net, which is made again from `coefs_` and `intercepts_`."""
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in ("_net", "_steps")}

    def _forward(self, X: Any) -> Array:
        """The outputs of the net for rows that are checked first, quickly where they are an array of numbers."""
        own = self.__dict__
        net = own.get("_net")
        if (
            net is not None
            and type(X) is np.ndarray
            and X.dtype in _DTYPES
            and X.ndim == 2
            and X.shape[1] == own["n_features_in_"]
            and X.shape[0] > 0
            and _finite(X)
            and "feature_names_in_" not in own
        ):
            if not (_same(own["coefs_"], net.coefs) and _same(own["intercepts_"], net.intercepts)):
                net = self._linked()
            result: Array = net.output.predict(X)
            return result
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return self._outputs_of(X)

    def _outputs_of(self, X: Any) -> Array:
        """The outputs for rows that need no checks."""
        net = self._linked()
        if not sparse.issparse(X):
            return np.asarray(net.output.predict(_as_dtype(X, net.dtype)))
        X = X.tocsr()
        parts = [net.output.predict(_dense(X[i : i + _BLOCK])) for i in range(0, X.shape[0], _BLOCK)]
        return np.concatenate(parts)

    def __sklearn_tags__(self) -> Any:
        """Sparse matrices are accepted."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _check_solver(self) -> bool:
        if self.solver not in STOCHASTIC:
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True


def _same(given: Any, own: list[Array]) -> bool:
    """Whether a list still holds the net's arrays."""
    if len(given) != len(own):
        return False
    return all(map(is_, given, own))


def _finite(X: Array) -> bool:
    """Whether an array has no NaN and inf; False also where a product of large numbers overflows."""
    return bool(np.isfinite(X).all()) if X.size > _SMALL else isfinite(np.vdot(X, X))


def _as_dtype(values: Array, dtype: np.dtype[Any]) -> Array:
    """The values in this dtype, rounded once."""
    if values.dtype == dtype:
        return values
    if values.dtype.kind in "fiub" and values.dtype.itemsize <= 8 and values.dtype.name != "uint64":
        return real_array(values, dtype, "X")
    return values.astype(dtype)


def _dense(x: Any) -> Array:
    return np.ascontiguousarray(x.toarray() if sparse.issparse(x) else x)


def _tensors(rows: Rows) -> tuple[Any, ...]:
    return tuple(None if a is None else Tensor._wrap(a) for a in (rows.y, rows.weight))


def _counted(X: Any, target: Array, weight: Array | None) -> tuple[Any, Array, Array | None]:
    """Without the rows of weight 0: as if they were not there."""
    if weight is None or weight.all():
        return X, target, weight
    kept = np.flatnonzero(weight)
    X = X.tocsr()[kept] if sparse.issparse(X) else X[kept]
    return X, target[kept], weight[kept]


def _seed_of(random_state: Any) -> int:
    """An integer is the seed; a RandomState, or NumPy's global one for None, draws one."""
    if isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool):
        return int(random_state)
    return int(check_random_state(random_state).randint(_SEEDS))

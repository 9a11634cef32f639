"""`TabularClassifier` and `TabularRegressor`: scikit-learn's interface of `chainrule.tabular.TabularModel`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from ..data import Table
from ..data._frame import Frame
from ..data._kinds import column_kinds
from ..tabular import TabularModel
from ..tabular._target import check_labels

__all__ = ["TabularClassifier", "TabularRegressor"]

Array = npt.NDArray[Any]


class _Tabular(BaseEstimator):  # type: ignore[misc]
    """What both estimators share."""

    chainrule_model_: TabularModel
    _task: Literal["classification", "regression"]

    def __init__(
        self,
        *,
        n_members: int = 5,
        epochs: int | None = None,
        hidden: Sequence[int] | None = None,
        refit: bool = False,
        time_limit: float | None = None,
        categories: Sequence[str] = (),
        numbers: Sequence[str] = (),
        dates: Sequence[str] | Mapping[str, str] = (),
        ignore: Sequence[str] = (),
        n_jobs: int | None = None,
        random_state: Any = 0,
    ) -> None:
        self.n_members, self.epochs, self.hidden, self.refit = n_members, epochs, hidden, refit
        self.time_limit, self.n_jobs, self.random_state = time_limit, n_jobs, random_state
        self.categories, self.numbers, self.dates, self.ignore = categories, numbers, dates, ignore

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    def _fit(self, X: Any, y: Any, sample_weight: Any, class_weight: Any) -> None:
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None.")
        table = self._table(X, reset=True)
        if table.rows < 2:
            raise ValueError(f"X: n_samples = {table.rows}, at least 2 are needed")
        targets = self._targets(y)
        check_consistent_length(np.empty(table.rows), targets)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, np.empty((table.rows, 1)), ensure_non_negative=True)
        kinds = column_kinds(
            table, categories=self.categories, numbers=self.numbers, dates=self.dates, ignore=self.ignore
        )
        seed = self.random_state
        if not isinstance(seed, (int, np.integer)):
            seed = check_random_state(seed).randint(2**31 - 1)
        self.chainrule_model_ = TabularModel.fit(
            table,
            targets,
            task=self._task,
            kinds=kinds,
            sample_weight=sample_weight,
            class_weight=class_weight,
            n_members=self.n_members,
            epochs=self.epochs,
            hidden=self.hidden,
            refit=self.refit,
            time_limit=self.time_limit,
            seed=int(seed),
            run=self._run,
        )

    def _run(self, train: Any, jobs: Any) -> Any:
        if self.n_jobs is None and len(jobs) == 1:
            return map(train, jobs)
        return Parallel(n_jobs=self.n_jobs)(delayed(train)(job) for job in jobs)

    def _table(self, X: Any, reset: bool) -> Frame:
        """Check X as scikit-learn does, and read it as a table."""
        if isinstance(X, (Mapping, Frame, Table)) and not hasattr(X, "toarray"):  # a sparse dict of keys is a mapping
            frame = Frame.of(X)
            if reset:
                self.n_features_in_, self.feature_names_in_ = len(frame.names), np.array(frame.names, object)
            return frame
        if hasattr(X, "columns"):
            validate_data(self, X, reset=reset, skip_check_array=True)
            return Frame.of(X)
        values = validate_data(self, X, reset=reset, dtype=None, ensure_all_finite="allow-nan")
        if values.dtype.kind in "OU":
            return Frame.of({f"x{i}": _typed(values[:, i], i) for i in range(values.shape[1])})
        return Frame.of(values)

    def _targets(self, y: Any) -> Array:
        raise NotImplementedError

    @property
    def net(self) -> Any:
        """The net alone."""
        check_is_fitted(self)
        return self.chainrule_model_.net

    @property
    def digest_(self) -> str:
        """SHA-256 of all that predictions depend on."""
        check_is_fitted(self)
        return self.chainrule_model_.digest()

    @property
    def feature_importances_(self) -> Array:
        """The importance of each column of X: its share in how much worse held-out rows are predicted without it.

        At least 0, with the sum 1, as in scikit-learn's trees; measured by exchanging the values of a column between
        rows that were held out in training. Computed when first asked for; the same bits each time.
        """
        check_is_fitted(self)
        return self.chainrule_model_.feature_importances

    @property
    def columns_(self) -> Any:
        """How each column is used."""
        check_is_fitted(self)
        return self.chainrule_model_.columns


class TabularClassifier(ClassifierMixin, _Tabular):  # type: ignore[misc]
    """A classifier for tables that needs no settings: columns of numbers, categories, booleans and dates.

    An ensemble of small nets, each stopped by the rows of a fold that it does not see; the probabilities are calibrated
    on these rows. docs/tables.md describes how columns are used and what is trained.

    Arguments: `n_members`, nets that are averaged; `epochs`, at most; `hidden`, widths of hidden layers; `refit`,
    whether each net is trained again on all rows; `time_limit`, seconds; `class_weight`, "balanced" or a dict;
    `categories`, `numbers`, `dates`, `ignore`, names of columns that are to be used as such; `n_jobs`, members trained
    at a time, by joblib, with the same bits; `random_state`, an integer, a RandomState, or None.
    Attributes: `classes_`, as given; `chainrule_model_`, the `cr.tabular.TabularModel`; `columns_`; `net`; `digest_`;
    `feature_importances_`.

    >>> import numpy as np
    >>> from chainrule.sklearn import TabularClassifier
    >>> X = np.stack([np.arange(60) % 7, np.arange(60) % 4], 1).astype(float)
    >>> model = TabularClassifier(n_members=2).fit(X, np.where(X[:, 0] > 3, "high", "low"))
    >>> model.predict([[1.0, 2.0], [6.0, 0.0]]).tolist()
    ['low', 'high']
    """

    _task = "classification"

    def __init__(
        self,
        *,
        n_members: int = 5,
        epochs: int | None = None,
        hidden: Sequence[int] | None = None,
        refit: bool = False,
        time_limit: float | None = None,
        class_weight: Any = None,
        categories: Sequence[str] = (),
        numbers: Sequence[str] = (),
        dates: Sequence[str] | Mapping[str, str] = (),
        ignore: Sequence[str] = (),
        n_jobs: int | None = None,
        random_state: Any = 0,
    ) -> None:
        super().__init__(
            n_members=n_members,
            epochs=epochs,
            hidden=hidden,
            refit=refit,
            time_limit=time_limit,
            categories=categories,
            numbers=numbers,
            dates=dates,
            ignore=ignore,
            n_jobs=n_jobs,
            random_state=random_state,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> TabularClassifier:
        """Train on the rows of X and their classes y; returns self."""
        self._fit(X, y, sample_weight, self.class_weight)
        self.classes_ = self.chainrule_model_.classes
        return self

    def predict_proba(self, X: Any) -> Array:
        """Calibrated probabilities (rows, classes), in the order of `classes_`."""
        check_is_fitted(self)
        return self.chainrule_model_.predict_proba(self._table(X, reset=False))

    def predict(self, X: Any) -> Array:
        """The most probable class of each row, as in y."""
        check_is_fitted(self)
        names: Array = self.chainrule_model_.predict(self._table(X, reset=False))
        return names

    def _targets(self, y: Any) -> Array:
        y = column_or_1d(y, warn=True)
        if y.dtype.kind == "f":
            assert_all_finite(y, input_name="y")
        check_labels(y)  # of objects, which scikit-learn would compare
        check_classification_targets(y)
        return np.asarray(y)


class TabularRegressor(RegressorMixin, _Tabular):  # type: ignore[misc]
    """A regressor for tables that needs no settings: columns of numbers, categories, booleans and dates.

    Arguments and attributes: those of `TabularClassifier` but `class_weight` and `classes_`. Predictions stay within
    the range of the training targets. `predict(X, return_std=True)` and `predict_quantiles` say how far off they are.

    >>> import numpy as np
    >>> from chainrule.sklearn import TabularRegressor
    >>> X = np.stack([np.arange(80) % 7, np.arange(80) % 4], 1).astype(float)
    >>> model = TabularRegressor(n_members=2).fit(X, X[:, 0] * X[:, 1])
    >>> bool(model.score(X, X[:, 0] * X[:, 1]) > 0.9)
    True
    """

    _task = "regression"

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> TabularRegressor:
        """Train on the rows of X and their targets y; returns self."""
        self._fit(X, y, sample_weight, None)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The predicted target of each row, float64; with `return_std` a pair, with the standard deviation of each.

        The deviation of a new target from the prediction; on average as large as the errors of held-out rows were.
        """
        check_is_fitted(self)
        return self.chainrule_model_.predict(self._table(X, reset=False), return_std)

    def predict_quantiles(self, X: Any, quantiles: Any = (0.1, 0.5, 0.9)) -> Array:
        """The numbers that a new target is below with these probabilities, float64 (rows, quantiles).

        Arguments: `quantiles`, between 0 and 1; for one number the result has the shape (rows,). A row's numbers
        ascend with the quantile. They come from the errors of held-out rows: about 80 of 100 new targets are between
        the quantiles 0.1 and 0.9. Errors: ValueError for other quantiles, or a model of fewer than 5 rows.
        """
        check_is_fitted(self)
        found: Array = self.chainrule_model_.predict_quantiles(self._table(X, reset=False), quantiles)
        return found

    def _targets(self, y: Any) -> Array:
        return np.asarray(column_or_1d(check_array(y, ensure_2d=False, dtype="numeric", input_name="y"), warn=True))


def _typed(values: Array, index: int) -> Array:
    """A column of an array of objects: numbers, if all values are, else texts with None for missing ones."""
    listed = [None if v is None or (isinstance(v, float) and v != v) else v for v in values.tolist()]
    present = [v for v in listed if v is not None]
    if all(isinstance(v, (bool, int, float, np.number)) for v in present):
        return np.array([np.nan if v is None else v for v in listed], np.float64)
    wrong = next((v for v in present if not isinstance(v, str)), None)
    if wrong is not None:
        kind = type(wrong).__name__
        raise TypeError(
            f"X: column {index} has a {kind}; argument must be a string or a number, of one kind in a column"
        )
    found = np.empty(len(listed), object)
    found[:] = listed
    return found

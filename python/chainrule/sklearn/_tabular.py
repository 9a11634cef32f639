"""`TabularClassifier` and `TabularRegressor`: scikit-learn's interface of `chainrule.tabular.TabularModel`."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import check_random_state
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

from ..data._frame import Frame
from ..data._kinds import column_kinds
from ..tabular import TabularModel
from ..tabular._member import train_member

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
        table = self._table(X, reset=True)
        targets = self._targets(y)
        check_consistent_length(table.rows * [0], targets)
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
        named = hasattr(X, "columns") or isinstance(X, (Mapping, Frame))
        if not named or hasattr(X, "sparse"):
            pass
        if named and not isinstance(X, (Mapping, Frame)):
            validate_data(self, X, reset=reset, skip_check_array=True)
            return Frame.of(X)
        if named:
            frame = Frame.of(X)
            if reset:
                self.n_features_in_, self.feature_names_in_ = len(frame.names), np.array(frame.names, object)
            return frame
        given = X
        X = validate_data(
            self, X, reset=reset, dtype=None, ensure_all_finite="allow-nan", ensure_min_samples=1
        )
        del given
        if X.dtype.kind == "O":
            X = _converted(X)
        if X.dtype.kind == "f":
            check_array(X, ensure_all_finite="allow-nan")
        return Frame.of(X)

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
    def columns_(self) -> Any:
        """How each column is used."""
        check_is_fitted(self)
        return self.chainrule_model_.columns

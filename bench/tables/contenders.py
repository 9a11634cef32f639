"""The estimators that are compared, each at its defaults, with the preparation that its users write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Make = Callable[[bool, Any], Any]  # (is it a classification?, the training rows as a pandas frame) -> an estimator


@dataclass(frozen=True)
class Contender:
    """A row of the comparison."""

    name: str
    make: Make
    package: str
    by_default: bool = True


def _prepared(X: Any, estimator: Any) -> Any:
    """Scaled numbers and one-hot categories, then the estimator."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [name for name in X.columns if X[name].dtype.kind in "biuf"]
    others = [name for name in X.columns if name not in numbers]
    return make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), others),
        ),
        estimator,
    )


def _scaled_target(estimator: Any) -> Any:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler

    return TransformedTargetRegressor(estimator, transformer=StandardScaler())


def _chainrule(classes: bool, X: Any) -> Any:
    from chainrule.sklearn import TabularClassifier, TabularRegressor

    return TabularClassifier() if classes else TabularRegressor()


def _mlp(classes: bool, X: Any) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    if classes:
        return _prepared(X, MLPClassifier(random_state=0))
    return _prepared(X, _scaled_target(MLPRegressor(random_state=0)))


def _boosting(classes: bool, X: Any) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    texts = [name for name in X.columns if X[name].dtype.kind not in "biuf"]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=float("nan"))
    columns = make_column_transformer((encoder, texts), remainder="passthrough")
    few = [X[name].nunique() < 255 for name in texts]
    kind = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    marks = [*few, *[False] * (X.shape[1] - len(texts))]
    return make_pipeline(columns, kind(random_state=0, categorical_features=marks))


def _linear(classes: bool, X: Any) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    return _prepared(X, LogisticRegression(max_iter=1000) if classes else Ridge())


def _without_missing_numbers(X: Any, estimator: Any) -> Any:
    """The estimator behind medians for missing numbers and a mark of them, which pytabkit's users add by hand."""
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    missing = [name for name in X.columns if X[name].dtype.kind == "f" and X[name].isna().any()]
    if not missing:
        return estimator
    imputer = SimpleImputer(strategy="median", add_indicator=True)
    columns = make_column_transformer((imputer, missing), remainder="passthrough", verbose_feature_names_out=False)
    return make_pipeline(columns.set_output(transform="pandas"), estimator)


def _realmlp(simple: bool) -> Make:
    def make(classes: bool, X: Any) -> Any:
        import pytabkit

        name = f"RealMLP_TD{'_S' if simple else ''}_{'Classifier' if classes else 'Regressor'}"
        net = getattr(pytabkit, name)(random_state=0, n_threads=1, device="cpu")
        return _without_missing_numbers(X, net)

    return make


CONTENDERS = {
    row.name: row
    for row in (
        Contender("chainrule", _chainrule, "chainrule"),
        Contender("mlp", _mlp, "scikit-learn"),
        Contender("boosting", _boosting, "scikit-learn"),
        Contender("linear", _linear, "scikit-learn"),
        Contender("realmlp-td-s", _realmlp(True), "pytabkit"),
        Contender("realmlp-td", _realmlp(False), "pytabkit", by_default=False),
    )
}

"""TabularClassifier and TabularRegressor: scikit-learn's checks, tables, weights, parallel training."""

from __future__ import annotations

import pickle
from typing import Any

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import StackingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import chainrule as cr
from chainrule.sklearn import MLPClassifier, TabularClassifier, TabularRegressor


def _table(rows: int = 90) -> tuple[dict[str, Any], Any]:
    draw = np.random.default_rng(3)
    size, heat = draw.normal(50, 20, rows), draw.choice(["gas", "oil", "wood"], rows)
    dates = np.datetime64("2024-01-01") + draw.integers(0, 700, rows)
    size[::7] = np.nan
    price = np.where(heat == "oil", 3.0, 1.0) + np.nan_to_num(size, nan=10.0) / 30 + draw.normal(0, 0.1, rows)
    return {"size": size, "heat": heat, "built": dates.astype("datetime64[us]"), "lift": draw.random(rows) < 0.5}, price


@parametrize_with_checks(
    [
        TabularClassifier(n_members=1, epochs=8),
        TabularRegressor(n_members=1, epochs=30),
        TabularClassifier(n_members=2, epochs=8, hidden=(8,), refit=True, class_weight="balanced"),
        TabularRegressor(n_members=2, epochs=30, hidden=(8, 8), refit=True),
    ]
)
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def test_scores_without_settings() -> None:
    X, y = load_breast_cancer(return_X_y=True)
    parts = train_test_split(X, y, random_state=0, stratify=y)
    assert TabularClassifier().fit(parts[0], parts[2]).score(parts[1], parts[3]) > 0.95
    X, y = load_diabetes(return_X_y=True)
    parts = train_test_split(X, y, random_state=0)
    assert TabularRegressor().fit(parts[0], parts[2]).score(parts[1], parts[3]) > 0.3


@pytest.mark.parametrize("kind", [TabularClassifier, MLPClassifier])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [(None, "row 1|NaN"), (np.nan, "row 1|NaN"), (pd.NaT, "row 1|NaN"), (3, "int and str"), (2.5, "float and str")],
)
def test_classes_that_cannot_be_compared(kind: Any, wrong: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind().fit(np.arange(4.0)[:, None], np.array(["a", wrong, "b", "a"], object))


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, dict])
def test_frames_of_all_libraries_give_the_same_model(make: Any) -> None:
    table, price = _table()
    expected = TabularRegressor(n_members=2, epochs=5).fit(table, price)
    model = TabularRegressor(n_members=2, epochs=5).fit(make(table), price)
    assert model.digest_ == expected.digest_
    assert model.predict(make(table)).tobytes() == expected.predict(table).tobytes()
    assert [kind.kind for kind in model.columns_] == ["number", "category", "date", "boolean"]


@pytest.mark.parametrize(
    "names",
    [["low", "high"], [7, -1], [True, False], np.array(["02134", "1E2"], object)],
)
def test_class_names_come_back_as_given(names: Any) -> None:
    table, price = _table()
    y = np.asarray(names)[(price > np.median(price)).astype(int)]
    model = TabularClassifier(n_members=2, epochs=5).fit(table, y)
    assert model.classes_.dtype == y.dtype and sorted(model.classes_.tolist()) == sorted(names)
    assert model.predict(table).dtype == y.dtype and set(model.predict(table).tolist()) <= set(names)


def test_jobs_saving_and_pickling_keep_the_bits(tmp_path: Any) -> None:
    table, price = _table()
    y = np.where(price > np.median(price), "high", "low")
    alone = TabularClassifier(n_members=3, epochs=5).fit(table, y)
    expected = alone.predict_proba(table).tobytes()
    jobs = TabularClassifier(n_members=3, epochs=5, n_jobs=2).fit(table, y)
    assert jobs.digest_ == alone.digest_ and jobs.predict_proba(table).tobytes() == expected
    cr.save(alone, tmp_path / "model.safetensors")
    loaded = cr.load(tmp_path / "model.safetensors")
    assert loaded.digest() == alone.digest_ and loaded.predict_proba(table).tobytes() == expected
    assert loaded.predict(table).tolist() == alone.predict(table).tolist()
    assert pickle.loads(pickle.dumps(alone)).predict_proba(table).tobytes() == expected


def test_in_pipelines_and_searches() -> None:
    table, price = _table()
    pipe = make_pipeline(FunctionTransformer(), TabularRegressor(epochs=4))
    search = GridSearchCV(pipe, {"tabularregressor__n_members": [1, 2]}, cv=2).fit(pd.DataFrame(table), price)
    assert search.best_params_["tabularregressor__n_members"] in (1, 2)


def test_weights_are_routed_through_pipelines_and_searches() -> None:
    table, price = _table()
    frame, weight = pd.DataFrame(table), np.arange(len(price)) % 4 + 0.5
    alone = TabularRegressor(n_members=1, epochs=4).fit(frame, price, sample_weight=weight)
    with config_context(enable_metadata_routing=True):
        estimator = TabularRegressor(n_members=1, epochs=4).set_fit_request(sample_weight=True)
        pipe = make_pipeline(FunctionTransformer(), estimator.set_score_request(sample_weight=True))
        assert pipe.fit(frame, price, sample_weight=weight)[-1].digest_ == alone.digest_
        search = GridSearchCV(pipe, {"tabularregressor__epochs": [4]}, cv=2).fit(frame, price, sample_weight=weight)
        assert search.best_estimator_[-1].digest_ == alone.digest_
    assert TabularRegressor(n_members=1, epochs=4).fit(frame, price).digest_ != alone.digest_


def test_behind_a_column_transformer_and_as_one_of_its_outputs() -> None:
    table, price = _table()
    frame = pd.DataFrame(table)
    columns = make_column_transformer(
        (StandardScaler(), ["size"]), (OneHotEncoder(sparse_output=False), ["heat"]), remainder="drop"
    )
    arrays = make_pipeline(columns, TabularRegressor(n_members=2)).fit(frame, price)
    frames = make_pipeline(clone(columns).set_output(transform="pandas"), TabularRegressor(n_members=2))
    frames.fit(frame, price)
    assert arrays[-1].n_features_in_ == frames[-1].n_features_in_ == 4
    assert frames[-1].feature_names_in_.tolist() == columns.fit(frame).get_feature_names_out().tolist()
    assert np.corrcoef(frames.predict(frame), price)[0, 1] > 0.8
    inner = frames[:-1].transform(frame)
    chosen = SelectFromModel(frames[-1], prefit=True, threshold=0.1).set_output(transform="pandas").fit(inner)
    kept = list(chosen.transform(inner).columns)
    shares = zip(inner.columns, frames[-1].feature_importances_, strict=True)
    assert kept == [name for name, share in shares if share >= 0.1] != []
    stacked = StackingRegressor([("net", TabularRegressor(n_members=1, epochs=5))], Ridge(), cv=2)
    assert stacked.set_output(transform="pandas").fit(frame, price).transform(frame).shape == (90, 1)


def test_deviations_quantiles_and_importances_of_the_estimators(tmp_path: Any) -> None:
    table, price = _table()
    model = TabularRegressor(n_members=2).fit(pd.DataFrame(table), price)
    values, deviations = model.predict(table, return_std=True)
    assert values.tobytes() == model.predict(table).tobytes() and (deviations > 0).all()
    quantiles = model.predict_quantiles(table, [0.2, 0.9])
    joblib.dump(model, tmp_path / "model.joblib")
    cr.save(model, tmp_path / "model.safetensors")
    for other in (joblib.load(tmp_path / "model.joblib"), cr.load(tmp_path / "model.safetensors")):
        assert other.predict_quantiles(table, [0.2, 0.9]).tobytes() == quantiles.tobytes()
        assert other.predict(table, return_std=True)[1].tobytes() == deviations.tobytes()
    importances = model.feature_importances_
    assert importances.shape == (4,) and importances.sum() == pytest.approx(1) and importances.argmax() == 1
    assert joblib.load(tmp_path / "model.joblib").feature_importances_.tobytes() == importances.tobytes()
    assert cr.load(tmp_path / "model.safetensors").feature_importances.tobytes() == importances.tobytes()
    fresh = clone(model)
    assert not hasattr(fresh, "chainrule_model_")
    with pytest.raises(NotFittedError):
        _ = fresh.feature_importances_


@pytest.mark.full
@pytest.mark.parametrize("backend", ["dask", "ray"])
def test_members_on_a_cluster_have_the_bits_of_one_machine(backend: str) -> None:
    table, price = _table()

    def both() -> tuple[str, str]:
        def train(lr: float) -> tuple[cr.nn.Module, cr.History]:
            model = cr.nn.Sequential(cr.nn.Linear(1, 1, generator=cr.random.Generator(seed=1)))
            sgd = cr.optim.SGD(model.parameters(), lr=lr)
            x = price[:, None].astype(np.float32)
            return model, cr.fit(model, x, x, loss=cr.nn.MSELoss(), optimizer=sgd, epochs=2, seed=0, progress=False)

        model = TabularRegressor(n_members=3, epochs=5, n_jobs=2).fit(table, price)
        return model.digest_, repr(
            [(t.params, t.score) for t in cr.search(train, {"lr": [1e-6, 1e-7]}, n_jobs=2).trials]
        )

    alone = both()
    if backend == "dask":
        from dask.distributed import Client  # of the dependency group `cluster`

        client = Client(n_workers=2, threads_per_worker=1, dashboard_address=None)
        with client, joblib.parallel_config("dask"):
            assert both() == alone
    else:
        import ray
        from ray.util.joblib import register_ray

        register_ray()
        ray.init(num_cpus=2, include_dashboard=False)
        try:
            with joblib.parallel_config("ray"):
                assert both() == alone
        finally:
            ray.shutdown()

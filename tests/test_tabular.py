"""The engine of tabular models: encoding, targets, members, calibration, files."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.data import DataError
from chainrule.data._frame import Frame
from chainrule.data._kinds import column_kinds
from chainrule.tabular import TabularModel
from chainrule.tabular._calibrate import temperature_of
from chainrule.tabular._encode import Encoder, quantile
from chainrule.tabular._intervals import errors_at, knots_of
from chainrule.tabular._member import Training
from chainrule.tabular._net import TabularEnsemble, TabularNet
from reference import assert_same_bits
from support.variants import every_setting, restored

ROWS = 60
TABLE = {"size": np.arange(ROWS) * 7 % 11, "heat": ["gas", "oil", "wood"] * 20, "built": np.arange(ROWS) * 5 % 13}
PRICE = np.arange(ROWS) * 7 % 11 * 1.5 + np.array([0.0, 4.0, 1.0] * 20)
KIND = np.where(PRICE > 8, "dear", "cheap")
DIGESTS = (  # of a classification and of a regression; a change of the recipe changes them
    "d5725bd87fa86e090510d30e5f7910bf20bd63d68b3d33b627b937d4c7495300",
    "d73a011fae51412d1b1eb0a70e38959c902b3c9f5c5eff42817a20f64de23da1",
)


def _encoder(table: dict[str, Any]) -> Encoder:
    frame = Frame.of(table)
    return Encoder.learn(frame, column_kinds(frame))


def test_quantiles_are_numpys() -> None:
    values = np.sort(np.array([3.5, -1.0, 2.25, 8.0, 0.5]))
    for share in (0.0, 0.1, 0.25, 0.5, 0.9, 1.0):
        assert quantile(values, share) == pytest.approx(np.quantile(values, share), rel=1e-15)


def test_numbers_are_scaled_clipped_and_marked_where_missing() -> None:
    encoder = _encoder({"size": [1.0, 2.0, 3.0, 4.0, np.nan, 5.0]})
    pieces = [f"size from {low} to {low + 1}" for low in range(1, 5)]
    assert encoder.features == ["size", "size is missing", *pieces]
    out = encoder(Frame.of({"size": [3.0, 5.0, np.nan, 1e300]}))
    centred = 2.0 / 2.0  # the distance of 5 from the median 3 in interquartile ranges
    assert out[:, 0].tolist() == pytest.approx([0.0, centred / np.sqrt(1 + centred**2 / 9), 0.0, 3.0])
    assert out[:, 1].tolist() == [0, 0, 1, 0]
    low, high = np.float32(-0.2).item(), np.float32(0.2).item()
    assert out[:, 2:].tolist() == [[high, high, low, low], [high] * 4, [0.0] * 4, [high] * 4]


def test_pieces_bend_where_the_values_are_and_are_few_in_wide_tables() -> None:
    draw = np.random.default_rng(0)
    values = np.append(draw.normal(size=99), 1e6)
    encoder = _encoder({"x": values})
    edges = encoder.blocks[0].edges
    assert len(edges) == 9 and edges[0] == values.min() and edges[-1] == 1e6
    assert edges[4] == pytest.approx(np.median(values), rel=1e-12)
    half = encoder(Frame.of({"x": [(edges[3] + edges[4]) / 2]}))[0, 1:]
    assert half.tolist() == pytest.approx([0.2] * 3 + [0.0] + [-0.2] * 4, abs=1e-6)
    assert len(_encoder({"x": np.arange(2500)}).blocks[0].edges) == 17
    wide = _encoder({f"x{i}": draw.normal(size=50) for i in range(100)})
    assert {len(block.edges) for block in wide.blocks} == {6}
    assert _encoder({f"x{i}": draw.normal(size=9) for i in range(300)}).blocks[0].edges == ()
    assert _encoder({"x": [1.0, 2.5, np.nan, 2.5]}).blocks[0].edges == ()


def test_bits_stay_and_categories_have_places_for_unknown_and_missing_values() -> None:
    table = {"lift": [0, 1, 1, 0], "heat": ["gas", "oil", None, "wood"], "side": ["l", "r", "r", "l"]}
    encoder = _encoder(table)
    assert encoder.features == ["lift", "heat = gas", "heat = oil", "heat = wood", "heat is missing", "side = r"]
    out = encoder(Frame.of({"lift": [1, 0], "heat": ["sun", None], "side": ["x", "l"]}))
    assert out.tolist() == [[1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, -1]]
    assert encoder.unknown(Frame.of({"lift": [1, 0], "heat": ["sun", None], "side": ["x", "l"]})) == {
        "heat": 1,
        "side": 1,
    }


def test_dates_are_calendar_features() -> None:
    dates = np.array(["2024-02-29T06:00", "2023-12-31T18:00", "NaT"], "datetime64[us]")
    encoder = _encoder({"at": dates, "n": [1.0, 2.0, 4.0]})
    row = dict(zip(encoder.features, encoder(Frame.of({"at": dates, "n": [1.0, 2.0, 4.0]})).T.tolist(), strict=True))
    assert row["at: February"] == [1, 0, 0] and row["at: December"] == [0, 1, 0]
    assert row["at: Thursday"] == [1, 0, 0] and row["at: Sunday"] == [0, 1, 0]
    assert row["at: hour"] == [-0.5, 0.5, 0] and row["at is missing"] == [0, 0, 1]


def test_an_encoder_is_rebuilt_from_its_description() -> None:
    encoder = _encoder(TABLE)
    assert Encoder.rebuild(encoder.describe()) == encoder


def test_members_do_not_depend_on_their_number_nor_rows_on_their_order() -> None:
    three = TabularModel.fit(TABLE, PRICE, task="regression", n_members=3, epochs=4)
    one = TabularModel.fit(TABLE, PRICE, task="regression", n_members=1, epochs=4)
    assert one.losses[0] == three.losses[0]
    back = {name: np.asarray(values, object if name == "heat" else None)[::-1] for name, values in TABLE.items()}
    assert TabularModel.fit(back, PRICE[::-1], task="regression", n_members=3, epochs=4).digest() == three.digest()
    assert TabularModel.fit(TABLE, PRICE, task="regression", n_members=3, epochs=4, seed=1).digest() != three.digest()


def _digests() -> tuple[str, str]:
    kind = TabularModel.fit(TABLE, KIND, task="classification", n_members=2, epochs=8)
    return kind.digest(), TabularModel.fit(TABLE, PRICE, task="regression", n_members=2, epochs=8).digest()


def test_the_digest_is_the_same_at_all_levels_and_numbers_of_threads() -> None:
    with restored():
        for setting in every_setting((1, 3)):
            assert _digests() == DIGESTS, setting


def test_a_folded_net_has_the_outputs_of_the_scaled_one() -> None:
    draw = cr.random.Generator(seed=3)
    for hidden in ((), (7, 5)):
        net = TabularNet(4, hidden, 3, "mish", draw, scaled=True)
        x = draw.normal((9, 4))
        net.fit_first_state(x, draw)
        assert net.scale is not None
        net.scale.copy_(draw.normal((4, 1)))
        net.weights[-1].copy_(draw.normal(net.weights[-1].shape))
        folded = net.folded()
        assert folded.scale is None and len(list(folded.parameters())) == len(list(net.parameters())) - 1
        assert folded.predict(x).tobytes() == net.predict(x).tobytes()
        expected = net.forward(cr.Tensor(x)).numpy()
        assert expected.tobytes() == net.predict(x).tobytes()


def test_what_training_needed_is_freed_without_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        model = TabularModel.fit(TABLE, PRICE, task="regression", epochs=2, time_limit=60)
        left = [o for o in gc.get_objects() if isinstance(o, (Training, cr.optim.AdamW))]
    finally:
        gc.enable()
    assert model.net.spreads and not left


def test_a_time_limit_is_repeated_by_what_it_ran() -> None:
    model = TabularModel.fit(TABLE, KIND, task="classification", time_limit=0.5)
    ran = model.info()
    again = TabularModel.fit(
        TABLE, KIND, task="classification", n_members=ran["n_members"], epochs=ran["recipe"]["epochs"]
    )
    assert again.digest() == ran["digest"]


def test_a_linear_target_takes_the_linear_nets_and_a_bent_one_the_others() -> None:
    draw = np.random.default_rng(0)
    X = draw.normal(size=(150, 6))
    noise = draw.normal(size=150)
    straight = TabularModel.fit(X, X @ np.arange(1.0, 7.0) + 4 * noise, task="regression")
    bent = TabularModel.fit(X, X[:, 0] * X[:, 1] * 3 + 0.1 * noise, task="regression", epochs=60)
    assert straight.net.share.item() > 0.4 and len(straight.net.linear) == 5
    assert bent.net.share.item() == 0 and not bent.net.linear


def test_the_temperature_minimises_the_loss_of_held_out_scores() -> None:
    draw = np.random.default_rng(0)
    codes = draw.integers(0, 3, 400)
    scores = (np.eye(3)[codes] * 4 + draw.normal(0, 4, (400, 3))).astype(np.float32)
    best = float(temperature_of(scores, codes, None)[0])

    def loss(factor: float) -> float:
        return cr.cross_entropy(scores * np.float32(factor), codes, label_smoothing=1 / 402).item()

    assert loss(best) < min(loss(best * 0.9), loss(best * 1.1))


def test_an_ensemble_averages_scores_and_mixes_probabilities() -> None:
    draw = cr.random.Generator(seed=4)
    x = draw.normal((6, 4))
    nets = [TabularNet(4, hidden, 3, generator=draw) for hidden in ((5,), (5,), (), ())]
    for net in nets:
        net.weights[-1].copy_(draw.normal(net.weights[-1].shape))
    ensemble = TabularEnsemble(nets[:2], nets[2:], True)
    ensemble.share.copy_(np.float32([0.25]))
    ensemble.temperature.copy_(np.float32([2.0, 0.5]))
    scores = [net.predict(x).astype(np.float64) for net in nets]
    powers = [np.exp(t * (a + b) / 2) for t, a, b in ((2.0, *scores[:2]), (0.5, *scores[2:]))]
    shares = [p / p.sum(1, keepdims=True) for p in powers]
    np.testing.assert_allclose(ensemble.predict(x), 0.75 * shares[0] + 0.25 * shares[1], rtol=1e-5)


def test_predictions_stay_within_the_range_of_the_targets() -> None:
    model = TabularModel.fit(TABLE, PRICE, task="regression", n_members=2, epochs=30)
    far = {"size": [1e6, -1e6], "heat": ["oil", "gas"], "built": [0, 0]}
    assert PRICE.min() <= model.predict(far).min() and model.predict(far).max() <= PRICE.max()


def _noisy(rows: int, seed: int) -> tuple[Any, Any]:
    """A target whose noise depends on the third column."""
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(rows, 3))
    return X, 2 * X[:, 0] + np.sin(2 * X[:, 1]) + np.exp(0.7 * X[:, 2]) * draw.normal(size=rows)


def test_quantiles_and_deviations_cover_what_they_say() -> None:
    X, y = _noisy(800, 0)
    model = TabularModel.fit(X, y, task="regression", epochs=20)
    X, y = _noisy(4000, 1)
    shares = [0.05, 0.25, 0.5, 0.75, 0.95]
    values = model.predict_quantiles(X, shares)
    assert np.abs((y[:, None] <= values).mean(0) - shares).max() < 0.04
    assert (np.diff(values, axis=1) >= 0).all()
    mean, deviation = model.predict(X, return_std=True)
    assert mean.tobytes() == model.predict(X).tobytes()
    assert 0.85 < np.sqrt((((y - mean) / deviation) ** 2).mean()) < 1.15
    assert np.corrcoef(np.log(deviation), X[:, 2])[0, 1] > 0.7  # wide where the noise is
    assert model.predict_quantiles(X, 0.25).tobytes() == np.ascontiguousarray(values[:, 1]).tobytes()


def test_quantiles_ascend_for_any_shares() -> None:
    draw = np.random.default_rng(0)
    errors = draw.standard_cauchy(37)
    knots = knots_of(errors, np.ones(37))
    assert knots == pytest.approx(np.sort(errors), rel=1e-12)
    found = errors_at(knots, np.sort(np.append(draw.random(3000), np.arange(1, 38) / 38)))
    assert (np.diff(found) >= 0).all() and found[0] == knots[0] and found[-1] == knots[-1]
    assert errors_at(knots, [0.5]) == np.median(errors)


def test_knots_of_many_and_of_weighted_errors() -> None:
    draw = np.random.default_rng(0)
    errors, weights = draw.normal(size=5000), draw.integers(1, 4, 5000)
    levels = np.arange(1, 1001) / 1001
    many = knots_of(errors, np.ones(5000))
    assert many == pytest.approx(np.quantile(errors, levels, method="weibull"), abs=1e-9)
    repeated = np.quantile(np.repeat(errors, weights), levels, method="weibull")
    assert np.abs(knots_of(errors, weights.astype(float)) - repeated)[50:-50].max() < 0.01


def test_importances_are_of_the_columns_that_matter() -> None:
    draw = np.random.default_rng(0)
    table = {
        "noise": draw.normal(size=400),
        "same": np.full(400, 3.0),
        "much": draw.normal(size=400),
        "some": draw.choice(["a", "b", "c"], 400),
    }
    for task in ("regression", "classification"):
        y = 2 * table["much"] + (table["some"] == "b")
        y = y if task == "regression" else np.where(y > 0.3, "yes", "no")
        model = TabularModel.fit(table, y, task=task, n_members=2, epochs=15)
        digest, found = model.digest(), model.feature_importances
        noise, same, much, some = found.tolist()
        assert same == 0 <= noise < 0.05 < some < 0.5 < much
        assert found.sum() == pytest.approx(1) and model.digest() == digest
        again = TabularModel.fit(table, y, task=task, n_members=2, epochs=15)
        assert again.feature_importances.tobytes() == found.tobytes()


def test_what_a_task_or_too_few_rows_do_not_have_is_refused() -> None:
    classes = TabularModel.fit(TABLE, KIND, task="classification", n_members=1, epochs=2)
    with pytest.raises(TypeError, match="predict: return_std: the model is a classification"):
        classes.predict(TABLE, return_std=True)
    with pytest.raises(TypeError, match="predict_quantiles: the model is a classification"):
        classes.predict_quantiles(TABLE)
    model = TabularModel.fit(TABLE, PRICE, task="regression", n_members=1, epochs=2)
    for wrong in (0, 1.0, [0.5, np.nan], "low", [[0.5]], None):
        with pytest.raises(ValueError, match="quantiles: expected numbers between 0 and 1"):
            model.predict_quantiles(TABLE, wrong)
    kinds = column_kinds(Frame.of({"a": [1.0, 2.5]}))
    alone = TabularModel.fit({"a": [2.0]}, [1.0], task="regression", kinds=kinds, epochs=2)
    assert alone.predict({"a": [2.0]}).tolist() == [1.0]
    with pytest.raises(ValueError, match="too few training rows"):
        alone.predict_quantiles({"a": [2.0]})


@pytest.mark.parametrize("exponent", [-1000, -600, 500, 600, 1000])
def test_targets_far_from_1_are_scaled_without_overflow(exponent: int) -> None:
    plain, far = (
        TabularModel.fit(TABLE, np.ldexp(PRICE, k), task="regression", n_members=2, epochs=2) for k in (0, exponent)
    )
    assert_same_bits(far.predict(TABLE), np.ldexp(plain.predict(TABLE), exponent))


def test_equal_targets_of_any_size() -> None:
    for value in (0.0, 1.7e308, -5e-324):
        model = TabularModel.fit(TABLE, np.full(ROWS, value), task="regression", n_members=1, epochs=2)
        assert_same_bits(model.predict(TABLE), np.full(ROWS, value))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "guess"}, "task: expected"),
        ({"y": KIND[:-1]}, "y: 59 targets for 60 rows"),
        ({"y": np.array([None, *KIND[1:]], object)}, "y: 1 targets are missing"),
        ({"y": np.array([3, *KIND[1:].tolist()], object)}, "y: class names are int and str; make them all texts"),
        ({"X": {"a": np.full(ROWS, 3.0)}}, "X: no column can be used"),
        ({"X": {"a": np.where(np.arange(ROWS) == 4, np.inf, np.arange(ROWS) * 0.3)}}, "column 'a': row 4 is infinite"),
        ({"sample_weight": -np.ones(ROWS)}, "sample_weight: weights must be"),
        ({"class_weight": {"none": 2.0}}, "class_weight: there is no class 'none'"),
        ({"n_members": 0}, "n_members"),
    ],
)
def test_refusals(options: dict[str, Any], message: str) -> None:
    arguments = {"X": TABLE, "y": KIND, "task": "classification", "epochs": 2, **options}
    X, y = arguments.pop("X"), arguments.pop("y")
    with pytest.raises((DataError, ValueError), match=message):
        TabularModel.fit(X, y, **arguments)


def test_a_forged_file_is_refused(tmp_path: Any) -> None:
    path = tmp_path / "model.safetensors"
    cr.save(TabularModel.fit(TABLE, KIND, task="classification", n_members=1, epochs=2), path)
    text = path.read_bytes()
    path.write_bytes(text.replace(b'"kind":"tabular"', b'"kind":"unknown"'))
    with pytest.raises(cr.ModelFormatError):
        cr.load(path)

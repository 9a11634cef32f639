"""The engine of tabular models: encoding, targets, members, calibration, files."""

from __future__ import annotations

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

ROWS = 60
TABLE = {"size": np.arange(ROWS) * 7 % 11, "heat": ["gas", "oil", "wood"] * 20, "built": np.arange(ROWS) * 5 % 13}
PRICE = np.arange(ROWS) * 7 % 11 * 1.5 + np.array([0.0, 4.0, 1.0] * 20)
KIND = np.where(PRICE > 8, "dear", "cheap")


def _encoder(table: dict[str, Any]) -> Encoder:
    frame = Frame.of(table)
    return Encoder.learn(frame, column_kinds(frame))


def test_quantiles_are_numpys() -> None:
    values = np.sort(np.array([3.5, -1.0, 2.25, 8.0, 0.5]))
    for share in (0.0, 0.1, 0.25, 0.5, 0.9, 1.0):
        assert quantile(values, share) == pytest.approx(np.quantile(values, share), rel=1e-15)


def test_numbers_are_scaled_clipped_and_marked_where_missing() -> None:
    encoder = _encoder({"size": [1.0, 2.0, 3.0, 4.0, np.nan, 5.0]})
    assert encoder.features == ["size", "size is missing"]
    out = encoder(Frame.of({"size": [3.0, 5.0, np.nan, 1e300]}))
    centred = 2.0 / 2.0  # the distance of 5 from the median 3 in interquartile ranges
    assert out[:, 0].tolist() == pytest.approx([0.0, centred / np.sqrt(1 + centred**2 / 9), 0.0, 3.0])
    assert out[:, 1].tolist() == [0, 0, 1, 0]


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
    assert one.members[0].losses == three.members[0].losses
    back = {name: np.asarray(values, object if name == "heat" else None)[::-1] for name, values in TABLE.items()}
    assert TabularModel.fit(back, PRICE[::-1], task="regression", n_members=3, epochs=4).digest() == three.digest()
    assert TabularModel.fit(TABLE, PRICE, task="regression", n_members=3, epochs=4, seed=1).digest() != three.digest()


def test_a_time_limit_is_repeated_by_what_it_ran() -> None:
    model = TabularModel.fit(TABLE, KIND, task="classification", time_limit=0.5)
    ran = model.info()
    again = TabularModel.fit(
        TABLE, KIND, task="classification", n_members=ran["n_members"], epochs=ran["recipe"]["epochs"]
    )
    assert again.digest() == ran["digest"]


def test_the_temperature_minimises_the_loss_of_held_out_scores() -> None:
    draw = np.random.default_rng(0)
    codes = draw.integers(0, 3, 400)
    scores = (np.eye(3)[codes] * 4 + draw.normal(0, 4, (400, 3))).astype(np.float32)
    best = float(temperature_of(scores, codes, None)[0])

    def loss(factor: float) -> float:
        return cr.cross_entropy(scores * np.float32(factor), codes, label_smoothing=1 / 402).item()

    assert loss(best) < min(loss(best * 0.9), loss(best * 1.1))


def test_predictions_stay_within_the_range_of_the_targets() -> None:
    model = TabularModel.fit(TABLE, PRICE, task="regression", n_members=2, epochs=30)
    far = {"size": [1e6, -1e6], "heat": ["oil", "gas"], "built": [0, 0]}
    assert PRICE.min() <= model.predict(far).min() and model.predict(far).max() <= PRICE.max()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "guess"}, "task: expected"),
        ({"y": KIND[:-1]}, "y: 59 targets for 60 rows"),
        ({"y": np.array([None, *KIND[1:]], object)}, "y: 1 targets are missing"),
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

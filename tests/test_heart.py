"""The heart data of the lectures, from file to net: categorical, missing and numeric values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.cli.main import run
from chainrule.serialize._model_files import load_prepared

PATH = Path(__file__).parent / "data" / "heart.csv"
FIRST_ROWS = """\
63,1,typical,145,233,1,2,150,0,2.3,3,0,fixed,No
67,1,asymptomatic,160,286,0,2,108,1,1.5,2,3,normal,Yes
67,1,asymptomatic,120,229,0,2,129,1,2.6,2,2,reversable,Yes
37,1,nonanginal,130,250,0,0,187,0,3.5,3,0,normal,No
41,0,nontypical,130,204,0,2,172,0,1.4,1,0,normal,No
"""


def test_row_68_the_five_printed_rows() -> None:
    table = cr.data.read_csv(PATH, target="AHD", missing="nan")
    assert table.features.shape == (303, 13)
    assert table.target is not None
    lines = []
    for values, answer in zip(table.features[:5], table.target, strict=False):
        texts = [
            table.categories[name][int(value)] if name in table.categories else f"{value:g}"
            for name, value in zip(table.columns, values, strict=True)
        ]
        lines.append(",".join([*texts, answer]) + "\n")
    assert "".join(lines) == FIRST_ROWS
    assert table.target.count("Yes") == 139
    assert table.categories["ChestPain"] == ("asymptomatic", "nonanginal", "nontypical", "typical")
    assert table.coded == {2: 4, 12: 3}
    assert int(np.isnan(table.features).sum()) == 6
    assert table.notes == ("categories: ChestPain (4), Thal (3)", "missing values: Ca (4), Thal (2)")


def test_train_and_predict_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["train", str(PATH), "--target", "AHD"]) == 0
    out = capsys.readouterr().out
    assert "heart: 242 rows to train on, 61 held out, classification" in out
    for column in ("ChestPain   category   4: asymptomatic", "Thal        category   3: fixed, normal, reversable"):
        assert column in out
    assert float(out.split("held-out accuracy ")[1].split()[0]) > 75
    # The format of R and pandas: an unnamed column of row numbers; missing values are NA.
    rows = PATH.read_text().replace(",,", ",NA,").splitlines()
    Path("indexed.csv").write_text("\n".join(f"{i or ''},{row}" for i, row in enumerate(rows)) + "\n")
    assert run(["predict", "heart.safetensors", str(PATH)]) == 0
    plain = capsys.readouterr().out
    assert len(plain.splitlines()) == 304
    assert run(["predict", "heart.safetensors", "indexed.csv"]) == 0
    assert capsys.readouterr().out == plain


def test_the_plain_net_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["train", str(PATH), "--target", "AHD", "--net", "plain", "--epochs", "20"]) == 0
    done = capsys.readouterr()
    said = done.out + done.err
    assert "heart: missing values: replaced by the column mean, for categories by zeros" in said
    assert "net 18-64-32-2, SGD lr 0.02 momentum 0.9, batch 32, seed 0" in said
    model, preparation = load_prepared("heart.safetensors")
    assert [type(layer).__name__ for layer in model[:2]] == ["OneHot", "Standardize"]
    assert preparation is not None
    assert preparation.missing
    rows = PATH.read_text().replace(",,", ",NA,").splitlines()
    Path("indexed.csv").write_text("\n".join(f"{i or ''},{row}" for i, row in enumerate(rows)) + "\n")
    columns = ["--categories", "Slope,Ca", "--ignore", "Fbs"]
    assert run(["train", "indexed.csv", "--target", "AHD", "--net", "plain", "--epochs", "1", *columns]) == 0
    done = capsys.readouterr()
    assert "column 1 (unnamed row numbers): dropped" in done.out + done.err
    assert "net 22-64-32-2" in done.out + done.err


@pytest.mark.parametrize("net", ["tabular", "plain"])
def test_an_unknown_category_is_counted(
    net: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["train", str(PATH), "--target", "AHD", "--net", net, "--epochs", "1", "--quiet"]) == 0
    text = PATH.read_text().splitlines()
    Path("new.csv").write_text("\n".join([*text[:3], text[3].replace("reversable", "other")]))
    assert run(["predict", "heart.safetensors", "new.csv"]) == 0
    assert "Thal: 1 of 3 values were not in the training rows ('other')" in capsys.readouterr().err


def test_ten_fold_cross_validation_reaches_80_percent() -> None:
    table = cr.data.read_csv(PATH, target="AHD", missing="nan")
    X, y = table.features, np.array([answer == "Yes" for answer in table.target or ()], dtype=np.int64)
    scores = []
    for fold, (train, held) in enumerate(cr.data.k_fold(y, 10, seed=0, stratified=True)):
        generator = cr.random.Generator(seed=fold)
        model = nn.Sequential(
            nn.OneHot(13, table.coded, unknown="zeros"),
            nn.Standardize(18, missing="mean"),
            nn.Linear(18, 8, generator=generator),
            nn.Tanh(),
            nn.Linear(8, 2, generator=generator),
        )
        nn.fit_preprocessing(model, X[train])
        optimizer = cr.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.02)
        cr.fit(
            model, X[train], y[train], loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=30, seed=fold,
            progress=False,
        )  # fmt: skip
        scores.append(np.mean(model.predict(X[held]).argmax(axis=1) == y[held]))
    assert np.mean(scores) >= 0.80, scores

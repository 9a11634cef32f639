"""The command line on a table as people have them: train, predict, evaluate, info, in one process."""

import csv
import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import chainrule as cr
from chainrule.cli import run
from chainrule.sklearn import TabularClassifier, TabularRegressor

pytestmark = pytest.mark.usefixtures("in_folder")
ROWS = 240


@pytest.fixture(name="in_folder")
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write_shop(path: str = "shop.csv", rows: int = ROWS) -> None:
    """German numbers, dates, an identifier, shares, missing values of several spellings, class names."""
    rng = np.random.default_rng(3)
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, delimiter=";")
        out.writerow(["Kunde", "Datum", "Betrag", "Stadt", "Alter", "Rabatt", "kauft"])
        for i in range(rows):
            age, city, amount = rng.integers(18, 80), rng.choice(["Köln", "Bonn", "Ulm", "?"]), rng.gamma(2, 30)
            bought = amount / 60 + (age > 50) + rng.normal() * 0.3 > 1.4
            out.writerow([
                f"K-{i * 7:05d}", f"2023-{rng.integers(1, 13):02d}-{rng.integers(1, 28):02d}",
                f"{amount:.2f}".replace(".", ","), city, age if rng.random() > 0.1 else "NA",
                f"{rng.integers(0, 50)}%", "ja" if bought else "nein",
            ])  # fmt: skip


def chainrule(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, str]:
    assert run(list(words)) == 0, capsys.readouterr().err
    done = capsys.readouterr()
    return done.out, done.err


def test_a_german_table(capsys: pytest.CaptureFixture[str]) -> None:
    write_shop()
    out, err = chainrule(capsys, "train", "shop.csv", "--target", "kauft")
    for said in ("delimiter ';'", "decimal ','", "texts that are all different; left out", "3: Bonn, Köln, Ulm"):
        assert said in out + err
    assert "balanced accuracy" in out
    assert "always" in out
    assert "digest " in out

    model = cr.load("shop.safetensors")
    assert list(model.classes) == ["ja", "nein"]
    out, _ = chainrule(capsys, "predict", "shop.safetensors", "shop.csv", "--keep", "Kunde")
    lines = [line.split(",") for line in out.splitlines()]
    assert lines[0] == ["Kunde", "prediction"]
    assert lines[1][0] == "K-00000"
    assert len(lines) == ROWS + 1
    true = [line.split(";")[-1] for line in Path("shop.csv").read_text(encoding="utf-8").splitlines()[1:]]
    assert np.mean([line[1] == name for line, name in zip(lines[1:], true, strict=True)]) > 0.75


def test_python_predicts_what_the_command_does(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"size": rng.normal(size=200), "kind": rng.choice(["a", "b", "c"], 200)})
    frame["rooms"] = np.where(rng.random(200) < 0.1, np.nan, rng.integers(1, 6, 200))
    frame["sold"] = np.where(frame["size"] + (frame["kind"] == "b") > 0.5, "yes", "no")
    frame.to_csv("t.csv", index=False)
    chainrule(capsys, "train", "t.csv", "--target", "sold", "--quiet")
    out, _ = chainrule(capsys, "predict", "t.safetensors", "t.csv")
    model = cr.load("t.safetensors")
    again = pickle.loads(pickle.dumps(model))
    assert out.split()[1:] == model.predict(frame).tolist() == again.predict(frame).tolist()
    assert (model.predict_proba(frame) == again.predict_proba(frame)).all()
    out, _ = chainrule(capsys, "predict", "t.safetensors", "t.csv", "--probabilities")
    rows = list(csv.reader(out.splitlines()))
    assert rows[0] == ["prediction", "probability_no", "probability_yes"]
    assert [[float(text) for text in row[1:]] for row in rows[1:]] == model.predict_proba(frame).tolist()


@pytest.mark.parametrize("estimator", [TabularClassifier, TabularRegressor])
def test_the_command_predicts_what_a_pickled_estimator_does(estimator: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"size": rng.normal(size=120), "kind": rng.choice(["a", "b"], 120)})
    y = frame["size"] * 3 + (frame["kind"] == "b") + rng.normal(size=120)
    fitted = estimator(n_members=2, random_state=0).fit(frame, y if estimator is TabularRegressor else y > 0)
    cr.save(fitted, "m")
    frame.to_csv("t.csv", index=False)
    out, _ = chainrule(capsys, "predict", "m", "t.csv")
    expected = pickle.loads(pickle.dumps(fitted)).predict(frame)
    assert out.split()[1:] == [
        str(value) if estimator is TabularClassifier else repr(value) for value in expected.tolist()
    ]
    assert cr.load("m").predict(frame).tolist() == expected.tolist()


def test_a_word_for_missing_means_the_same_in_training_and_prediction(capsys: pytest.CaptureFixture[str]) -> None:
    write_shop()
    chainrule(capsys, "train", "shop.csv", "--target", "kauft", "--quiet")
    text = Path("shop.csv").read_text(encoding="utf-8")
    Path("empty.csv").write_text(text.replace(";?;", ";;").replace(";NA;", ";null;"), encoding="utf-8")
    first, notes = chainrule(capsys, "predict", "shop.safetensors", "shop.csv")
    second, _ = chainrule(capsys, "predict", "shop.safetensors", "empty.csv")
    assert first == second
    assert "missing values: Stadt" in notes
    assert "not in the training rows" not in notes
    Path("new.csv").write_text(text.replace("Ulm", "Paris"), encoding="utf-8")
    _, notes = chainrule(capsys, "predict", "shop.safetensors", "new.csv")
    assert "were not in the training rows ('Paris')" in notes


STANDING = (
    'id,size,price,kind,note,"a, b",y\r\n'
    '007,1.50,$120,gas,NA,"x, y",1\r\n'
    '008,+2.0,"$1,200.00",NA,"say ""hi""",,0\r\n'
    '009,3e0,$7.10,coal,"two\nlines"," edge ",1\r\n'
    "010,-,$-1,gas,'q',02134,0\r\n"
)


@pytest.mark.parametrize("source", ["t.csv", "-"])
def test_kept_columns_come_back_as_they_stand(
    source: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = STANDING.splitlines(keepends=True)
    Path("train.csv").write_text(rows[0] + "".join(rows[1:]) * 10, encoding="utf-8", newline="")
    chainrule(capsys, "train", "train.csv", "--target", "y", "--ignore", "id,note", "--quiet", "--members", "1")
    Path("t.csv").write_text(STANDING, encoding="utf-8", newline="")
    monkeypatch.setattr("sys.stdin", io.StringIO(STANDING, newline=""))
    chainrule(capsys, "predict", "train.safetensors", source, "--out", "p.csv")
    kept = [
        line.rsplit(",", 1)[0] for line in Path("p.csv").read_text(encoding="utf-8").replace("two\n", "").split("\n")
    ]
    expected = STANDING.replace("\r\n", "\n").replace("two\n", "").split("\n")
    assert kept == expected
    with Path("p.csv").open(encoding="utf-8", newline="") as file:
        again = list(csv.reader(file))
    assert [row[:-1] for row in again] == list(csv.reader(STANDING.splitlines(keepends=True)))


def test_kept_columns_of_other_files(capsys: pytest.CaptureFixture[str]) -> None:
    write_shop()
    chainrule(capsys, "train", "shop.csv", "--target", "kauft", "--quiet")
    out, _ = chainrule(capsys, "predict", "shop.safetensors", "shop.csv", "--keep", "Rabatt,Betrag")
    rows = [line.split(";") for line in Path("shop.csv").read_text(encoding="utf-8").splitlines()]
    assert [row[:2] for row in csv.reader(out.splitlines())] == [[row[5], row[2]] for row in rows]
    for name in ("p.tsv", "p.parquet", "p.feather"):
        chainrule(capsys, "predict", "shop.safetensors", "shop.csv", "--out", name)
    assert Path("p.tsv").read_text(encoding="utf-8").splitlines()[1].split("\t")[:-1] == rows[1]
    frame = pd.read_parquet("p.parquet")
    assert frame["Betrag"].tolist() == [float(row[2].replace(",", ".")) for row in rows[1:]]
    assert frame["Kunde"].tolist() == [row[0] for row in rows[1:]]
    pd.testing.assert_frame_equal(pd.read_feather("p.feather"), frame)
    chainrule(capsys, "predict", "shop.safetensors", "p.parquet", "--out", "again.csv", "--keep", "Betrag")
    assert pd.read_csv("again.csv")["prediction"].tolist() == frame["prediction"].tolist()
    for name in ("p.csv.gz", "p.xlsx"):
        assert run(["predict", "shop.safetensors", "shop.csv", "--out", name]) == 2
        assert f"{name[name.rindex('.') :]} files are not written" in capsys.readouterr().err
        assert not Path(name).exists()


def test_a_word_for_missing_is_one_for_evaluate(capsys: pytest.CaptureFixture[str]) -> None:
    """The words of --missing in training, without the option; further ones with it."""
    write_shop()
    text = Path("shop.csv").read_text(encoding="utf-8").replace(";NA;", ";keins;").replace(";?;", ";unbekannt;")
    Path("words.csv").write_text(text, encoding="utf-8")
    words = ("--missing", "keins", "--missing", "unbekannt")
    chainrule(capsys, "train", "words.csv", "--target", "kauft", "--quiet", *words, "--out", "m")
    out, _ = chainrule(capsys, "evaluate", "m", "words.csv", "--json")
    for word in ("keins", "unbekannt"):
        text = text.replace(f";{word};", ";;")
    Path("empty.csv").write_text(text, encoding="utf-8")
    same, _ = chainrule(capsys, "evaluate", "m", "empty.csv", "--json")
    assert json.loads(out)["scores"] == json.loads(same)["scores"]
    Path("more.csv").write_text(text.replace(";;", ";nichts;"), encoding="utf-8")
    more, _ = chainrule(capsys, "evaluate", "m", "more.csv", "--json", "--missing", "nichts")
    assert json.loads(more)["scores"] == json.loads(out)["scores"]
    Path("target.csv").write_text(text.replace(";ja\n", ";keins\n", 3), encoding="utf-8")
    _, notes = chainrule(capsys, "evaluate", "m", "target.csv", "--json")
    assert f"3 of {ROWS} rows have a missing target" in notes


def test_evaluate_and_info(capsys: pytest.CaptureFixture[str]) -> None:
    write_shop()
    chainrule(capsys, "train", "shop.csv", "--target", "kauft", "--quiet")
    out, _ = chainrule(capsys, "evaluate", "shop.safetensors", "shop.csv")
    assert f"{ROWS} rows" in out
    assert "log loss" in out
    out, _ = chainrule(capsys, "info", "shop.safetensors")
    for said in ("kauft", "classification", "2 classes: ja, nein", "AUC", "digest"):
        assert said in out


@pytest.mark.parametrize("width", [32, 40, 80])
def test_tables_fit_the_terminal(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shop()
    chainrule(capsys, "train", "shop.csv", "--target", "kauft", "--quiet", "--members", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    out, _ = chainrule(capsys, "info", "shop.safetensors")
    table = out[out.index("column") : out.index("2 classes")].splitlines()
    assert max(map(len, table)) <= width
    for word in ("importance", "identifier", "category", "Kunde", "Rabatt"):
        assert any(word in line.split() for line in table)  # not broken
    assert "texts that are all different; left out" in " ".join(" ".join(table).split())


def test_a_run_is_repeated_from_its_model(capsys: pytest.CaptureFixture[str]) -> None:
    write_shop()
    chainrule(capsys, "train", "shop.csv", "--target", "kauft", "--seed", "5", "--out", "a", "--quiet")
    chainrule(capsys, "train", "--config", "a", "--out", "b", "--quiet")
    assert Path("a").read_bytes() == Path("b").read_bytes()


def test_json_and_log_are_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    write_shop()
    out, _ = chainrule(capsys, "train", "shop.csv", "--target", "kauft", "--json", "--log", "log")
    told: dict[str, Any] = json.loads(out)
    assert "digest" in json.dumps(told)
    lines = [json.loads(line) for line in Path("log").read_text().splitlines()]
    assert len(lines) > 1


def test_numbers_come_in_their_unit(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    price = 20_000 + 3_000 * x[:, 0] + rng.normal(size=200) * 100
    Path("p.csv").write_text("a,b,price\n" + "".join(f"{u},{v},{p}\n" for (u, v), p in zip(x, price, strict=True)))
    out, _ = chainrule(capsys, "train", "p.csv", "--target", "price")
    assert "RMSE" in out
    assert "R2" in out
    predicted = np.array([float(v) for v in chainrule(capsys, "predict", "p.safetensors", "p.csv")[0].split()[1:]])
    assert np.corrcoef(predicted, price)[0, 1] > 0.98
    assert abs(predicted.mean() - price.mean()) < 500


def test_quantiles_are_those_of_python(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=200), "kind": rng.choice(["p", "q"], 200), "n": rng.normal(size=200)})
    frame["price"] = 100 + 30 * frame["a"] + 20 * (frame["kind"] == "q") + rng.normal(size=200) * 5
    frame.to_csv("p.csv", index=False)
    chainrule(capsys, "train", "p.csv", "--target", "price", "--quiet")
    out, _ = chainrule(capsys, "predict", "p.safetensors", "p.csv", "--quantiles", "0.1,0.5,0.975")
    lines = [line.split(",") for line in out.splitlines()]
    assert lines[0] == ["prediction", "quantile_0.1", "quantile_0.5", "quantile_0.975"]
    written = np.array(lines[1:], dtype=float)
    model = cr.load("p.safetensors")
    for found in (model, pickle.loads(pickle.dumps(model))):
        assert written[:, 1:].tolist() == found.predict_quantiles(frame, [0.1, 0.5, 0.975]).tolist()
    assert (np.diff(written[:, 1:], axis=1) > 0).all()
    assert 0.75 < np.mean((frame["price"] > written[:, 1]) & (frame["price"] < written[:, 3])) < 1

    out, _ = chainrule(capsys, "info", "p.safetensors")
    assert "importance" in out
    told = json.loads(chainrule(capsys, "info", "p.safetensors", "--json")[0])["importances"]
    assert list(told) == ["a", "kind", "n"] and told["a"] > told["kind"] > told["n"]
    Path("none.csv").write_text("a,kind,n\n")
    assert chainrule(capsys, "predict", "p.safetensors", "none.csv", "--quantiles", "0.5")[0] == (
        "prediction,quantile_0.5\n"
    )
    for wrong in ("0.1,0.1", "0", "1.5", "many"):
        assert run(["predict", "p.safetensors", "p.csv", "--quantiles", wrong]) == 2
        assert "--quantiles must be different numbers between 0 and 1" in capsys.readouterr().err


def test_the_commands_of_the_page_run(capsys: pytest.CaptureFixture[str]) -> None:
    write_shop()
    write_shop("other.csv", 40)
    page = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
    commands = [
        line.split()[1:] for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("    chain")
    ]
    assert len(commands) == 13
    for words in commands:
        chainrule(capsys, *words)
    assert Path("again.safetensors").exists()
    assert len(Path("predicted.csv").read_text(encoding="utf-8").splitlines()) == 41
    assert {"curves.png", "confusion.png", "calibration.png"} <= {path.name for path in Path("pictures").iterdir()}

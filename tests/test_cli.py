"""The command line: output, saved files, errors."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.cli import task as training
from chainrule.cli._target import class_names, decide_task, sorted_classes
from chainrule.cli.main import run
from chainrule.serialize._model_files import load_prepared
from test_data import idx, idx_folder


@pytest.fixture(autouse=True)
def in_separate_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def flowers(path: Path, rows: int = 120, target: str = "kind") -> Path:
    """Two features, three classes with names, far apart."""
    centers = {"rose": (0, 0), "lily": (6, 1), "oak": (1, 9)}
    noise = cr.random.Generator(seed=1).normal((rows, 2))
    lines = [f"length,width,{target}"]
    for i, (a, b) in enumerate(noise.tolist()):
        name = list(centers)[i % 3]
        lines.append(f"{centers[name][0] + a},{100 * (centers[name][1] + b)},{name}")
    path.write_text("\n".join(lines) + "\n")
    return path


def prices(path: Path, rows: int = 200) -> Path:
    """price = 1000 + 30 * size - 4 * age."""
    draws = cr.random.Generator(seed=2).uniform((rows, 2), low=0, high=50, dtype=np.float64)
    lines = ["size,age,price"] + [f"{a},{b},{1000 + 30 * a - 4 * b}" for a, b in draws.tolist()]
    path.write_text("\n".join(lines) + "\n")
    return path


def ok(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code = run(arguments)
    shown = capsys.readouterr()
    assert code == 0, shown.err
    return shown.out


def error_line(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The message of a command that must fail in one line and leave nothing."""
    before = sorted(os.listdir())
    code = run(arguments)
    shown = capsys.readouterr()
    assert code == 2, shown
    lines = shown.err.splitlines()
    assert [line[:18] for line in lines] == ["chainrule: error: "], shown.err
    assert "Traceback" not in shown.err
    assert sorted(os.listdir()) == before
    return lines[0]


def held_out_accuracy(text: str) -> float:
    found = re.search(r"held-out accuracy ([\d.]+) % of (\d+) rows", text)
    assert found is not None, text
    return float(found[1])


def test_train_without_arguments_reaches_97_percent_on_digits(capsys: pytest.CaptureFixture[str]) -> None:
    accuracies, seconds = [], []
    for seed in range(5):
        text = ok(capsys, "train", "--seed", str(seed))
        accuracies.append(held_out_accuracy(text))
        found = re.search(r"([\d.]+) s of training, (\d+) samples/s", text)
        assert found is not None
        assert int(found[2]) > 0
        seconds.append(float(found[1]))
    assert np.mean(accuracies) >= 97.0, accuracies
    assert max(seconds) < 5.0, seconds
    assert "saved digits.safetensors" in text
    assert Path("digits.safetensors").is_file()


def test_events_are_logged_and_same_seed_same_file(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("train", "--epochs", "2", "--hidden", "8", "--seed", "3")
    assert run([*arguments, "--out", "a", "--log", "log"]) == 0
    assert capsys.readouterr().err == ""
    events = [json.loads(line) for line in Path("log").read_text().splitlines()]
    assert [event["event"] for event in events] == ["start", "epoch", "epoch", "end"]
    assert events[-1]["scores"]["rows"] == 359
    ok(capsys, *arguments, "--out", "b", "--threads", "2")
    ok(capsys, *arguments[:-1], "4", "--out", "c")
    assert Path("a").read_bytes() == Path("b").read_bytes() != Path("c").read_bytes()
    cr.set_num_threads(1)


def test_digits_model_predicts_headerless_pixels(capsys: pytest.CaptureFixture[str]) -> None:
    ok(capsys, "train", "--epochs", "5", "--quiet")
    X, y = cr.data.load_digits()
    rows = [",".join(str(int(v)) for v in (*x, label)) for x, label in zip(X[:50], y[:50], strict=True)]
    Path("pixels.csv").write_text("\n".join(rows) + "\n")
    found = ok(capsys, "predict", "digits.safetensors", "pixels.csv").splitlines()
    assert found[0] == "prediction"
    assert np.mean([int(p) == t for p, t in zip(found[1:], y[:50], strict=True)]) > 0.9


def test_csv_classification_and_predict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = flowers(tmp_path / "flowers.csv")
    text = ok(capsys, "train", str(path), "--target", "kind", "--epochs", "20", "--net", "plain")
    assert "96 rows to train on, 24 held out, classification" in text
    assert "net 2-64-32-3" in text
    assert held_out_accuracy(text) > 90
    _model, preparation = load_prepared("flowers.safetensors")
    assert preparation is not None
    assert preparation.classes == ("lily", "oak", "rose")
    assert preparation.columns == ("length", "width")
    assert preparation.target == "kind"
    rows = list(csv.reader(ok(capsys, "predict", "flowers.safetensors", str(path), "--probabilities").splitlines()))
    assert rows[0] == ["prediction", "probability_lily", "probability_oak", "probability_rose"]
    truth = [line.split(",")[2] for line in path.read_text().splitlines()[1:]]
    assert np.mean([row[0] == name for row, name in zip(rows[1:], truth, strict=True)]) > 0.9
    shares = np.array([[float(v) for v in row[1:]] for row in rows[1:]])
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
    assert [preparation.classes[i] for i in shares.argmax(axis=1)] == [row[0] for row in rows[1:]]
    # The same columns in another order, with one more and without the target, to a file.
    table = [line.split(",") for line in path.read_text().splitlines()]
    Path("new.csv").write_text(
        "\n".join(f"{b},9,{a}" if i else "width,new,length" for i, (a, b, _) in enumerate(table))
    )
    assert ok(capsys, "predict", "flowers.safetensors", "new.csv", "--out", "p.csv") == ""
    written = [line.split(",") for line in Path("p.csv").read_text().splitlines()]
    assert [row[-1] for row in written] == [row[0] for row in rows]
    assert written[0] == ["width", "new", "length", "prediction"]


def test_csv_regression_and_predict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = prices(tmp_path / "prices.csv")
    text = ok(capsys, "train", str(path), "--target", "price", "--net", "plain")
    found = re.search(r"held-out RMSE ([\d.]+) on 40 rows \(always guessing the mean: ([\d.]+)\)", text)
    assert found is not None
    assert "regression" in text
    rmse, guess = float(found[1]), float(found[2])
    assert rmse < 0.05 * guess
    assert 300 < guess < 600
    rows = ok(capsys, "predict", "prices.safetensors", str(path)).splitlines()[1:]
    truth = [float(line.split(",")[2]) for line in path.read_text().splitlines()[1:]]
    errors = np.array([float(row) for row in rows]) - truth
    assert np.sqrt(np.mean(errors**2)) < 0.05 * guess
    used, held = cr.data.train_test_split(np.arange(200), test_size=0.2, seed=0)
    np.testing.assert_allclose(np.sqrt(np.mean(errors[held] ** 2)), rmse, rtol=1e-3)
    model, preparation = load_prepared("prices.safetensors")
    assert preparation is not None
    assert preparation.output is not None
    np.testing.assert_allclose(preparation.output.mean.item(), np.mean([truth[i] for i in used]), rtol=1e-12)
    sizes = [float(line.split(",")[0]) for line in path.read_text().splitlines()[1:]]
    np.testing.assert_allclose(model[0].std.numpy()[0], np.std([sizes[i] for i in used]), rtol=1e-12)


def test_the_task_can_be_overridden(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "n.csv"
    path.write_text("a,n\n" + "".join(f"{i},{i % 4}\n" for i in range(80)))
    assert "classification" in ok(capsys, "train", str(path), "--target", "n", "--epochs", "1", "--quiet")
    text = ok(capsys, "train", str(path), "--target", "n", "--task", "regression", "--epochs", "1", "--quiet")
    assert "regression" in text
    assert "RMSE" in text


@pytest.mark.parametrize(
    ("target", "task", "expected"),
    [
        (["1", "0", "1.0"], None, ("0", "1")),
        (["10", "9", "2"] * 4, None, ("2", "9", "10")),
        (["10", "9", "2"], None, None),
        (["b", "a", "1", "a"], None, ("1", "a", "b")),
        (["1.5", "2"], None, None),
        ([str(i) for i in range(20)] * 4, None, tuple(str(i) for i in range(20))),
        ([str(i) for i in range(21)] * 4, None, None),
        (["1.5", "2"], "classification", ("1.5", "2")),
        (["1", "2"], "regression", None),
    ],
)
def test_decide_task(target: list[str], task: str | None, expected: tuple[str, ...] | None) -> None:
    found = decide_task(target, task, "f")
    assert found == ("regression" if expected is None else "classification")
    if expected is not None:
        names = class_names(target)
        assert sorted_classes(np.array([names[text] for text in target], object)) == expected


@pytest.mark.parametrize(
    ("target", "task", "message"),
    [
        (["1", "1.0"], None, "f: the target has only one value, '1'"),
        (["1", "NA"], "regression", "f: regression requires numbers, found 'NA'"),
        ([*map(str, range(30)), "NA"], None, "f: the target has 30 different numbers, but also 'NA'; pass --task"),
        (["a", "b", "c"], None, "f: every row has another text"),
    ],
)
def test_decide_task_rejects(target: list[str], task: str | None, message: str) -> None:
    with pytest.raises(cr.data.DataError, match=message):
        decide_task(target, task, "f")


def test_class_names() -> None:
    names = ["1.50", "-0", "0", "1e3", "nan"]
    assert class_names(names) == {name: name for name in names}
    assert list(class_names(["1.50", "1.5", "-0", "0"]).values()) == ["1.5", "1.5", "0", "0"]


def test_idx_folder_trains_and_tests_on_t10k(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    text = ok(capsys, "train", str(idx_folder(folder)), "--epochs", "1")
    assert "images: 3 rows to train on, 2 held out, classification" in text
    assert "net 4-256-128-3" in text
    assert Path("images.safetensors").is_file()


FASHION = Path("/usr/share/datasets/fashion-mnist")


@pytest.mark.full
@pytest.mark.skipif(not FASHION.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_fashion_mnist_reaches_88_percent(capsys: pytest.CaptureFixture[str]) -> None:
    text = ok(capsys, "train", str(FASHION))
    assert "60000 rows to train on, 10000 held out" in text
    assert "net 784-256-128-10" in text
    assert held_out_accuracy(text) >= 88.0


def test_options_reach_the_training(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    seen = []
    monkeypatch.setattr(training, "train", lambda problem, model, options, *rest: seen.append((model, options)))
    given = "--hidden 7,5 --epochs 9 --batch-size 11 --lr 0.25 --momentum 0.5 --nesterov --weight-decay 0.01 --seed 6"
    ok(capsys, "train", *given.split())
    ok(capsys, "train", "--hidden", "0")
    assert seen[0][1] == training.Options((7, 5), 9, 11, 0.25, 0.5, True, 0.01, 6)
    assert [layer.out_features for layer in seen[0][0] if hasattr(layer, "out_features")] == [64, 7, 5, 10]
    assert [type(layer).__name__ for layer in seen[1][0]] == ["Standardize", "Linear"]


# Errors.


def test_train_rejects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(flowers(tmp_path / "f.csv"))
    assert "unknown target column 'Knid'; did you mean 'kind'?" in error_line(capsys, "train", path, "--target", "Knid")
    assert "--target COLUMN is missing" in error_line(capsys, "train", path)
    assert "has: length, width, kind" in error_line(capsys, "train", path)
    assert "nowhere.csv: No such file or directory" in error_line(capsys, "train", "nowhere.csv", "--target", "x")
    assert "--target, --task, --categories, --ignore and the like require a file" in error_line(
        capsys, "train", "--target", "x"
    )
    assert "contains neither train-images-idx3-ubyte nor train-images" in error_line(capsys, "train", str(tmp_path))
    assert "--hidden must be sizes like 256,128, got '8;4'" in error_line(capsys, "train", "--hidden", "8;4")
    assert "--hidden must be sizes" in error_line(capsys, "train", "--hidden", "8,-4")
    assert "no such folder" in error_line(capsys, "train", "--out", "no/such/m")
    assert "is a folder" in error_line(capsys, "train", "--out", str(tmp_path))
    assert "momentum must be below 1" in error_line(capsys, "train", "--momentum", "1")
    assert "--holdout must be a fraction between 0 and 1" in error_line(capsys, "train", "--holdout", "2")
    assert "--epochs" in error_line(capsys, "train", "--epochs", "0")
    assert "--epochs" in error_line(capsys, "train", "--epochs", "many")
    assert "--bogus" in error_line(capsys, "train", "--bogus")
    assert "bogus" in error_line(capsys, "bogus")


def test_train_says_where_the_data_are_bad(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = flowers(tmp_path / "f.csv")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:50], "1,wide,rose", *lines[50:]]))
    assert "f.csv, line 51, column 'width': 'wide' is not a number" in error_line(
        capsys, "train", str(path), "--target", "kind"
    )
    path.write_text("\n".join([*lines[:50], "1,rose", *lines[50:]]))
    assert "f.csv, line 51: 2 fields, expected 3" in error_line(capsys, "train", str(path), "--target", "kind")


def test_train_says_which_number_is_too_large(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = flowers(tmp_path / "f.csv")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:50], "1,-2e155,rose", *lines[50:]]))
    assert "column 'width': -2e+155 is too large to standardise" in error_line(
        capsys, "train", str(path), "--target", "kind", "--net", "plain"
    )
    ignoring = error_line(capsys, "train", str(path), "--target", "kind", "--ignore", "hue")
    assert "ignore: there is no column 'hue'" in ignoring
    assert "--categories, --ignore and the like require a file" in error_line(capsys, "train", "--ignore", "hue")


def test_training_that_diverges_saves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = prices(tmp_path / "p.csv")
    run(["train", str(path), "--target", "price", "--net", "plain", "--lr", "1e6", "--quiet"])
    shown = capsys.readouterr()
    assert "the loss is" in shown.err
    assert "smaller learning rate" in shown.err
    assert len(shown.err.splitlines()) == 1
    assert os.listdir() == ["p.csv"]


def test_predict_rejects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = prices(tmp_path / "p.csv", rows=20)
    ok(capsys, "train", str(path), "--target", "price", "--epochs", "1", "--quiet")
    model = "p.safetensors"
    Path("few.csv").write_text("Size,rooms\n1,2\n")
    message = error_line(capsys, "predict", model, "few.csv")
    assert "few.csv: missing columns: size, age; did you mean 'Size'?" in message
    Path("bad.csv").write_text("size,age\n1,2\n3,x\n")
    assert "bad.csv, line 3, column 'age': 'x' is not a number" in error_line(capsys, "predict", model, "bad.csv")
    assert "--probabilities requires a classifier" in error_line(capsys, "predict", model, str(path), "--probabilities")
    assert "No such file" in error_line(capsys, "predict", "nowhere", str(path))
    whole = Path(model).read_bytes()
    Path("cut").write_bytes(whole[:-1])
    assert "cut: not a safetensors file" in error_line(capsys, "predict", "cut", str(path))
    Path("flipped").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "flipped: damaged: the checksum" in error_line(capsys, "predict", "flipped", str(path))
    cr.save(cr.nn.Linear(2, 1), "bare")
    assert "bare: has no column names" in error_line(capsys, "predict", "bare", str(path))
    assert "no/p.csv: No such file" in error_line(capsys, "predict", model, str(path), "--out", "no/p.csv")


def test_idx_labels_that_do_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    idx_folder(folder, train_images_idx3_ubyte=idx(0x0D, (3, 2, 2), b"\0" * 48))
    assert "expected 8-bit images, got float32" in error_line(capsys, "train", str(folder))
    idx_folder(folder, train_labels_idx1_ubyte=idx(0x09, (3,), b"\xff\0\1"))
    assert "labels must be at least 0, got -" in error_line(capsys, "train", str(folder))


def test_info_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    text = ok(capsys, "info")
    assert cr.__version__ in text
    assert cr.active_isa() in text
    for command in ("train", "predict", "info", "selftest"):
        assert command in ok(capsys, "--help")
        assert "Usage" in ok(capsys, command, "--help")
    assert ok(capsys, "--version").split() == ["chainrule", cr.__version__]


# As a process.

CHAINRULE = (sys.executable, "-W", "error", "-m", "chainrule")


@pytest.mark.alone
def test_ctrl_c_saves_and_exits_130() -> None:
    process = subprocess.Popen(
        [*CHAINRULE, "train", "--epochs", "100000", "--log", "log"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not Path("log").is_file() or Path("log").read_text().count("epoch") < 4):
        time.sleep(0.02)
    begun = time.perf_counter()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.perf_counter() - begun < 2.0
    assert "Traceback" not in err
    assert re.search(r"interrupted after \d+ completed epochs; saved digits.safetensors", err)
    model, preparation = load_prepared("digits.safetensors")
    X, y = cr.data.load_digits()
    assert preparation is not None
    predictions = preparation.predictions(model.predict(X))
    assert np.mean([int(predicted) == label for predicted, label in zip(predictions, y, strict=True)]) > 0.5


def test_importing_chainrule_leaves_the_heavy_modules_alone() -> None:
    heavy = "{'typer', 'click', 'rich', 'tqdm', 'safetensors', 'json', 'csv', 'gzip', 'lzma', 'difflib', 'hashlib'}"
    code = (
        f"import numpy, sys; before = set(sys.modules); import chainrule; print((set(sys.modules) - before) & {heavy})"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert shown.stdout == "set()\n"


def test_without_typer_one_line_says_what_to_install() -> None:
    code = "import sys; sys.modules['typer'] = None; from chainrule.__main__ import main; main()"
    failed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert failed.returncode == 2
    assert failed.stderr == "chainrule: error: the command line requires typer and rich: pip install typer rich\n"

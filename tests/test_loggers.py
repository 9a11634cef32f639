"""Callbacks that write curves elsewhere, on fakes of the libraries' interfaces; History.plot."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import chainrule as cr

X = cr.random.Generator(seed=1).normal((16, 2))


def fit(epochs: int = 2, **options: Any) -> cr.History:
    model = cr.nn.Linear(2, 1, generator=cr.random.Generator(seed=2))
    optimizer = cr.optim.SGD(model.parameters(), lr=0.1)
    shared: dict[str, Any] = {"loss": cr.nn.MSELoss(), "progress": False, "validation": (X, X[:, :1])}
    return cr.fit(model, X, X[:, :1], epochs=epochs, optimizer=optimizer, **shared, **options)


class Calls:
    """Records the calls of its methods."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *a, **k: self.calls.append((name, *a, *k.items()))


def expected(history: cr.History, epoch: int) -> dict[str, float]:
    values = {name: curve[epoch - 1] for name, curve in history.measures.items() if curve}
    return {**values, "seconds": history.seconds[epoch - 1]}


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "curves.jsonl"
    logger = cr.JSONLinesLogger(path)
    for epochs in (3, 2):  # training that begins anew replaces the file
        history = fit(epochs, callbacks=logger)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert lines == [{"epoch": e, **expected(history, e)} for e in range(1, epochs + 1)]
    continued = cr.History(loss=[1.0, 0.5, float("nan")], seconds=[0.1, 0.2, 0.3])
    cr.JSONLinesLogger(path)(continued)
    assert json.loads(path.read_text().splitlines()[2]) == {"epoch": 3, "loss": None, "seconds": 0.3}


def test_tensorboard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    writer = Calls()
    folders: list[Any] = []
    fake = SimpleNamespace(SummaryWriter=lambda folder: (folders.append(folder), writer)[1])
    monkeypatch.setitem(sys.modules, "tensorboardX", fake)
    history = fit(callbacks=cr.TensorBoardLogger(tmp_path))
    assert folders == [str(tmp_path)]
    scalars = [call for call in writer.calls if call[0] == "add_scalar"]
    wanted = [("add_scalar", n, v, e) for e in (1, 2) for n, v in expected(history, e).items()]
    assert scalars == wanted


def test_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    library: Any = Calls()
    library.active_run = lambda: None
    monkeypatch.setitem(sys.modules, "mlflow", library)
    history = fit(callbacks=cr.MLflowLogger("first", params={"lr": 0.1}))
    assert library.calls == [
        ("start_run", ("run_name", "first")),
        ("log_params", {"lr": 0.1}),
        *(("log_metrics", expected(history, e), ("step", e)) for e in (1, 2)),
        ("end_run",),
    ]
    library.active_run, library.calls[:] = (lambda: "run"), []
    fit(1, callbacks=cr.MLflowLogger())
    assert [call[0] for call in library.calls] == ["log_metrics"]


def test_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    library: Any = Calls()
    library.run = None
    monkeypatch.setitem(sys.modules, "wandb", library)
    history = fit(callbacks=cr.WandbLogger(project="nets"))
    assert library.calls == [
        ("init", ("project", "nets")),
        *(("log", expected(history, e), ("step", e)) for e in (1, 2)),
        ("finish",),
    ]


@pytest.mark.parametrize(
    ("name", "module", "package"),
    [
        ("TensorBoardLogger", "tensorboardX", "tensorboardX"),
        ("MLflowLogger", "mlflow", "mlflow-skinny"),
        ("WandbLogger", "wandb", "wandb"),
    ],
)
def test_a_missing_library_is_named(name: str, module: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=f"{name} requires the package {package}: pip install {package}"):
        getattr(cr, name)()


class Axes:
    """What `History.plot` uses of a matplotlib Axes."""

    def __init__(self) -> None:
        self.curves: dict[str, Any] = {}

    def plot(self, x: Any, y: Any, label: str) -> None:
        self.curves[label] = (list(x), list(y))

    def set_xlabel(self, text: str) -> None:
        assert text == "epoch"

    def legend(self) -> None: ...


def test_plot(monkeypatch: pytest.MonkeyPatch) -> None:
    history = cr.History(loss=[0.5, 0.25], val_loss=[0.75, 0.5], metrics={"accuracy": [0.5, 0.875]})
    pyplot = SimpleNamespace(
        subplots=lambda rows, columns, figsize: (None, Axes() if columns == 1 else np.array([Axes(), Axes()]))
    )
    monkeypatch.setitem(sys.modules, "matplotlib", SimpleNamespace(pyplot=pyplot))
    losses, metrics = history.plot()
    assert losses.curves == {"loss": ([1, 2], [0.5, 0.25]), "val_loss": ([1, 2], [0.75, 0.5])}
    assert list(metrics.curves) == ["val_accuracy"]
    own = Axes()
    assert history.plot(["loss"], ax=own) is own
    assert list(own.curves) == ["loss"]
    assert list(cr.History(loss=[1.0]).plot().curves) == ["loss"]
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"History\.plot requires matplotlib"):
        history.plot()

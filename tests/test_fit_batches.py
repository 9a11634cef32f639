"""`cr.fit` on an iterable of batches: the bits of the same rows in arrays."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn

N = 50
draw = np.random.default_rng(0)
X, Y = draw.normal(size=(N, 3)).astype(np.float32), draw.integers(0, 3, N)


def net() -> nn.Sequential:
    generator = cr.random.Generator(seed=1)
    return nn.Sequential(
        nn.Linear(3, 8, generator=generator), nn.ReLU(), nn.Dropout(0.2, generator=cr.random.Generator(seed=5)),
        nn.Linear(8, 3, generator=generator),
    )  # fmt: skip


def fitted(data: Any, labels: Any = None, model: Any = None, **options: Any) -> tuple[nn.Module, cr.History]:
    model = net() if model is None else model
    optimizer = cr.optim.Adam(model.parameters(), lr=0.01)
    options = {"epochs": 3, "seed": 7, **options}
    return model, cr.fit(model, data, labels, loss=nn.CrossEntropyLoss(), optimizer=optimizer, **options)


def loader(size: int = 8) -> cr.data.DataLoader:
    return cr.data.DataLoader(cr.data.TensorDataset(X, Y), batch_size=size, shuffle=True, seed=7)


def bits(model: nn.Module) -> list[bytes]:
    return [p.numpy().tobytes() for p in model.parameters()]


class Rows:
    """Batches of a generator that begins again with each `iter`."""

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, N, 16):
            yield X[start : start + 16].astype(np.float64), Y[start : start + 16].tolist()


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("size", [1, 8, 50])
def test_a_loader_has_the_bits_of_arrays(size: int, compiled: bool) -> None:
    options = {"compile": compiled, "validation": (X[:9], Y[:9])}
    expected, curves = fitted(X, Y, batch_size=size, **options)
    model, history = fitted(loader(size), **options)
    assert bits(model) == bits(expected)
    assert (history.loss, history.val_loss, history.samples) == (curves.loss, curves.val_loss, curves.samples)


def test_an_iterable_of_arrays() -> None:
    expected, curves = fitted(X, Y, batch_size=16, shuffle=False)
    model, history = fitted(Rows())
    assert bits(model) == bits(expected)
    assert history.loss == curves.loss


def test_an_iterator_is_there_once() -> None:
    expected, _ = fitted(X, Y, batch_size=16, shuffle=False, epochs=1)
    model, _ = fitted(iter(Rows()), epochs=1)
    assert bits(model) == bits(expected)
    with pytest.raises(ValueError, match="begins again"):
        fitted(iter(Rows()), epochs=2)


def test_preprocessing_and_several_inputs() -> None:
    front = nn.Standardize(3).fit(X)
    expected, _ = fitted(X, Y, nn.Sequential(front, *net()), batch_size=8)
    model, _ = fitted(loader(), model=nn.Sequential(front, *net()))
    assert bits(model) == bits(expected)

    class Sum(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(3, 3, generator=cr.random.Generator(seed=1))

        def forward(self, a: cr.Tensor, b: cr.Tensor) -> cr.Tensor:
            return self.layer(a + b)

    one, _ = fitted((X, X), Y, Sum(), batch_size=10, shuffle=False)
    other, _ = fitted([((X[i : i + 10], X[i : i + 10]), Y[i : i + 10]) for i in range(0, N, 10)], model=Sum())
    assert bits(one) == bits(other)


def test_schedules_by_step() -> None:
    models = net(), net()
    for model, data in zip(models, ((X, Y), (loader(), None)), strict=True):
        optimizer = cr.optim.SGD(model.parameters(), lr=0.1)
        schedule = cr.optim.StepSchedule(optimizer, "lr", "flat_cos")
        size = {} if data[1] is None else {"batch_size": 8}
        cr.fit(model, *data, loss=nn.CrossEntropyLoss(), epochs=2, seed=7, schedule=schedule, **size)
    assert bits(models[0]) == bits(models[1])
    with pytest.raises(ValueError, match="len"):
        cr.fit(models[1], Rows(), loss=nn.CrossEntropyLoss(), schedule=schedule)


@pytest.mark.parametrize("stop", [1, 3, 8, 15])
def test_an_interrupted_epoch_goes_on(tmp_path: Path, stop: int) -> None:
    expected, curves = fitted(loader())

    class Interrupted(cr.data.DataLoader):
        left = stop

        def __iter__(self) -> Iterator[Any]:
            for batch in super().__iter__():
                self.left -= 1
                if self.left < 0:
                    raise KeyboardInterrupt
                yield batch

    file = tmp_path / "run.safetensors"
    rows = Interrupted(cr.data.TensorDataset(X, Y), batch_size=8, shuffle=True, seed=7)
    with pytest.raises(KeyboardInterrupt):
        fitted(rows, checkpoint=file)
    model, history = fitted(loader(), checkpoint=file, resume=True)
    assert bits(model) == bits(expected)
    assert history.loss == curves.loss


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        (3, {}, TypeError, "y is missing"),
        ([], {}, ValueError, "no batches"),
        ([X], {}, TypeError, "a pair"),
        ([(X, Y, Y)], {}, TypeError, "3 items"),
        ([(X[:4], Y[:4]), (X[:3], Y[:3]), (X[:4], Y[:4])], {}, ValueError, "only the last batch may"),
        ([(X[:4], Y[:4]), (X[:5], Y[:5])], {}, ValueError, "has 5 rows, the first one 4"),
        ([(X[:4], Y[:4]), (X[:4], Y[:3])], {}, ValueError, "batch 2: X has 4 rows, y has 3"),
        ([(X[:4], Y[:4]), (X[:4, :2], Y[:4])], {}, ValueError, "batch 2 differs"),
        ([(X[:4], Y[:4]), (X[:4] * np.nan, Y[:4])], {}, ValueError, r"batch 2: X\[0, 0\] is nan"),
        ([(X, Y)], {"batch_size": 4}, TypeError, "batch_size goes with arrays"),
        ([(X, Y)], {"shuffle": False}, TypeError, "shuffle goes with arrays"),
        ([(X, Y)], {"sample_weight": np.ones(N)}, TypeError, "sample_weight goes with"),
        ([(X, Y)], {"validation": 0.2}, TypeError, "validation must be a pair"),
    ],
)
def test_errors(data: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fitted(data, **options)


def test_progress(capsys: pytest.CaptureFixture[str]) -> None:
    fitted(Rows(), progress=True)
    assert capsys.readouterr().err.count("epoch") >= 3

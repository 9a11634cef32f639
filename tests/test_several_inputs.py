"""Models of several inputs and outputs, of integers, and of rows in a mapped file: `fit`, `Trainer`, `predict`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn

N = 40
draw = np.random.default_rng(0)
USERS, ITEMS = draw.integers(0, 7, N), draw.integers(0, 5, N)
AGES = draw.normal(size=(N, 2))
RATINGS = ((USERS % 3) - (ITEMS % 2)).astype(np.float32)


class Recommender(nn.Module):
    """The product of two embeddings, and a layer for numbers."""

    def __init__(self) -> None:
        generator = cr.random.Generator(seed=1)
        self.user = nn.Embedding(7, 4, generator=generator)
        self.item = nn.Embedding(5, 4, generator=generator)
        self.age = nn.Linear(2, 1, generator=generator)

    def forward(self, users: cr.Tensor, items: cr.Tensor, ages: cr.Tensor) -> cr.Tensor:
        assert users.dtype == items.dtype == np.int64
        assert ages.dtype == np.float32
        return cr.sum(self.user(users) * self.item(items), axis=1) + self.age(ages)[:, 0]


class Two(nn.Module):
    """Two outputs."""

    def __init__(self, names: bool) -> None:
        self.names = names
        self.a = nn.Linear(2, 1, generator=cr.random.Generator(seed=2))
        self.b = nn.Linear(2, 3, generator=cr.random.Generator(seed=3))

    def forward(self, x: cr.Tensor) -> Any:
        a, b = self.a(x), self.b(x)
        return {"a": a, "b": b} if self.names else (a, b)


def both(prediction: Any, target: Any) -> cr.Tensor:
    a, b = ("a", "b") if isinstance(prediction, dict) else (0, 1)
    return cr.mse_loss(prediction[a], target[a]) + cr.cross_entropy(prediction[b], target[b])


def trained(X: Any, **options: Any) -> tuple[nn.Module, cr.History]:
    model = Recommender()
    optimizer = cr.optim.Adam(model.parameters(), lr=0.05)
    history = cr.fit(
        model, X, RATINGS, loss=nn.MSELoss(), optimizer=optimizer, epochs=30, batch_size=8, seed=0, **options
    )
    return model, history


def same(a: nn.Module, b: nn.Module) -> bool:
    return [t.numpy().tobytes() for t in a.parameters()] == [t.numpy().tobytes() for t in b.parameters()]


INPUTS = {"tuple": (USERS, ITEMS, AGES), "dict": {"ages": AGES, "users": USERS, "items": ITEMS}}


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("compiled", [True, False])
def test_several_inputs(kind: str, compiled: bool) -> None:
    X = INPUTS[kind]
    model, history = trained(X, compile=compiled, validation=0.25)
    assert history.loss[-1] < 0.2 * history.loss[0]
    assert len(history.val_loss) == 30
    looped = Recommender()
    optimizer = cr.optim.Adam(looped.parameters(), lr=0.05)
    reference, _ = trained(X, compile=not compiled, validation=0.25)
    assert same(model, reference)
    trainer = cr.Trainer(looped, X, RATINGS, loss=nn.MSELoss(), optimizer=optimizer, batch_size=8, seed=0)
    rows = cr.data.TensorDataset(USERS, ITEMS, AGES.astype(np.float32), RATINGS)
    trainer.run_epoch()
    again = Recommender()
    optimizer = cr.optim.Adam(again.parameters(), lr=0.05)
    for users, items, ages, ratings in cr.data.DataLoader(rows, 8, True, seed=0):
        optimizer.zero_grad()
        cr.mse_loss(again(users, items, ages), ratings).backward()
        optimizer.step()
    assert same(looped, again)


@pytest.mark.parametrize("kind", INPUTS)
def test_predictions_of_several_inputs(kind: str) -> None:
    X, model = INPUTS[kind], Recommender().eval()
    expected = model(USERS, ITEMS, AGES.astype(np.float32)).numpy()
    shapes = {"tuple": ((), (), (2,)), "dict": {"users": (), "items": (), "ages": (2,)}}[kind]
    predict = cr.Predictor(model, shapes)
    for size in (1, 7, 1000):
        assert model.predict(X, batch_size=size).tobytes() == expected.tobytes()
    for n in (N, 1, 13, 0):
        part = {k: v[:n] for k, v in X.items()} if isinstance(X, dict) else tuple(v[:n] for v in X)
        assert predict(part).tobytes() == expected[:n].tobytes()
        out = np.empty(n, np.float32)
        assert predict(part, out=out) is out
        assert out.tobytes() == expected[:n].tobytes()
    many = tuple(np.tile(v, (20, *[1] * (v.ndim - 1))) for v in (USERS, ITEMS, AGES))
    if kind == "tuple":
        assert predict(many).tobytes() == np.tile(expected, 20).tobytes()
    model.age.weight.copy_(np.zeros((2, 1)))
    changed = model(USERS, ITEMS, AGES.astype(np.float32)).numpy()
    assert predict(X).tobytes() == changed.tobytes() != expected.tobytes()


@pytest.mark.parametrize("names", [True, False])
def test_several_outputs(names: bool) -> None:
    y: Any = (AGES[:, :1], USERS % 3)
    y = dict(zip("ab", y, strict=True)) if names else y
    measures: list[Any] = []

    def measure(target: Any, prediction: Any) -> float:
        measures.append((type(target), type(prediction)))
        return float(prediction["b" if names else 1].shape[1])

    model = Two(names)
    optimizer = cr.optim.SGD(model.parameters(), lr=0.1)
    history = cr.fit(
        model, AGES, y, loss=both, optimizer=optimizer, epochs=5, validation=(AGES, y), metrics=measure, seed=0
    )
    assert history.val_loss[-1] < history.val_loss[0]
    assert history.metrics["measure"] == [3.0] * 5
    assert measures[0] == ((dict, dict) if names else (tuple, tuple))
    found = model.predict(AGES, batch_size=16)
    expected = model(AGES.astype(np.float32))
    for key in ("a", "b") if names else (0, 1):
        assert found[key].tobytes() == expected[key].numpy().tobytes()


def test_integers_stay_integers_where_floats_are_refused() -> None:
    class Table(nn.Module):
        def __init__(self) -> None:
            self.table = nn.Parameter(cr.random.Generator(seed=1).normal((7, 1)))

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return cr.take(self.table, x)

    model = Table()
    optimizer = cr.optim.SGD(model.parameters(), lr=0.5)
    cr.fit(model, USERS, AGES[:, :1], loss=nn.MSELoss(), optimizer=optimizer, epochs=3, validation=0.2, seed=0)
    trainer = cr.Trainer(model, USERS.astype(np.uint8), AGES[:, :1], loss=nn.MSELoss(), optimizer=optimizer)
    assert trainer.rows.x.dtype == np.int64
    for _ in range(3):  # op by op, then compiled
        assert model.predict(USERS).tobytes() == model(USERS).numpy().tobytes()
    with pytest.raises(IndexError):
        model.predict(USERS + 7)


def test_rows_of_a_mapped_file_are_not_copied(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", AGES.astype(np.float32))
    X = np.load(tmp_path / "x.npy", mmap_mode="r")
    model, copy = (nn.Linear(2, 1, generator=cr.random.Generator(seed=1)) for _ in range(2))
    trainers = [
        cr.Trainer(
            net, x, RATINGS[:, None], loss=nn.MSELoss(), optimizer=cr.optim.SGD(net.parameters(), lr=0.1), seed=0
        )
        for net, x in ((model, X), (copy, np.array(X)))
    ]
    assert np.shares_memory(trainers[0].rows.x.numpy(), X)
    for trainer in trainers:
        trainer.run_epoch()
    assert same(model, copy)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ((USERS, ITEMS[:5], AGES), RATINGS, r"X\[0\] has 40 rows, X\[1\] has 5"),
        ({"users": USERS, "items": ITEMS, "ages": AGES[:0]}, RATINGS, r"X\['users'\] has 40 rows"),
        ((USERS, ITEMS, np.full((N, 2), np.nan)), RATINGS, r"X\[2\]\[0, 0\] is nan"),
        ((USERS, ITEMS, AGES), RATINGS[:3], r"y has 3"),
        ((USERS, ITEMS, AGES), (RATINGS, RATINGS[:3]), r"y\[1\] has 3"),
    ],
)
def test_errors(X: Any, y: Any, message: str) -> None:
    model = Recommender()
    optimizer = cr.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=message):
        cr.fit(model, X, y, loss=nn.MSELoss(), optimizer=optimizer)
    with pytest.raises(TypeError, match="one array of labels"):
        cr.fit(model, (USERS, ITEMS, AGES), (USERS, ITEMS), loss=nn.CrossEntropyLoss(), optimizer=optimizer)
    with pytest.raises(ValueError, match="the same number of rows"):
        model.predict((USERS, ITEMS[:3], AGES))
    with pytest.raises(ValueError, match="rows of shapes"):
        cr.Predictor(model, ((), (), (2,)))((USERS, ITEMS))
    two = Two(False)
    optimizer = cr.optim.SGD(two.parameters(), lr=0.1)
    options: Any = {"loss": both, "optimizer": optimizer, "validation": 0.2, "metrics": "mae"}
    with pytest.raises(ValueError, match="one array of targets"):
        cr.fit(two, AGES, (AGES[:, :1], USERS % 3), **options)

"""`cr.data.DataLoader` and `TensorDataset`."""

from collections import namedtuple
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.data import DataLoader, TensorDataset, batches

X, Y = np.arange(20, dtype=np.float32).reshape(10, 2), np.arange(10)
Pair = namedtuple("Pair", ["x", "y"])


class Squares:
    """A data set of one's own."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> tuple[np.ndarray[Any, Any], int]:
        return np.full(3, i, np.float32), i * i


def rows(loader: DataLoader) -> list[list[int]]:
    return [y.numpy().tolist() for _, y in loader]


def test_the_batches_are_those_of_fit() -> None:
    loader = DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=True, seed=3)
    for epoch in range(3):
        assert rows(loader) == [part.tolist() for part in batches(10, 4, seed=3, epoch=epoch)]
    loader.epoch = 1
    assert rows(loader) == [part.tolist() for part in batches(10, 4, seed=3, epoch=1)]


def test_a_loop_has_the_bits_of_fit() -> None:
    def net() -> cr.nn.Sequential:
        return cr.nn.Sequential(cr.nn.Linear(2, 3, generator=cr.random.Generator(seed=1)))

    fitted, looped = net(), net()
    cr.fit(
        fitted,
        X,
        Y % 3,
        loss=cr.nn.CrossEntropyLoss(),
        optimizer=cr.optim.SGD(fitted.parameters(), lr=0.01),
        epochs=2,
        batch_size=4,
        seed=7,
    )
    optimizer = cr.optim.SGD(looped.parameters(), lr=0.01)
    loader = DataLoader(TensorDataset(X, Y % 3), batch_size=4, shuffle=True, seed=7)
    for _ in range(2):
        for x, y in loader:
            optimizer.zero_grad()
            cr.cross_entropy(looped(x), y).backward()
            optimizer.step()
    for a, b in zip(fitted.parameters(), looped.parameters(), strict=True):
        assert a.numpy().tobytes() == b.numpy().tobytes()


def test_the_default_seed_is_that_of_manual_seed() -> None:
    cr.manual_seed(11)
    assert rows(DataLoader(TensorDataset(X, Y), 4, True)) == rows(DataLoader(TensorDataset(X, Y), 4, True, seed=11))


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize(("drop", "sizes"), [(False, [4, 4, 2]), (True, [4, 4])])
def test_items_are_stacked(workers: int, drop: bool, sizes: list[int]) -> None:
    loader = DataLoader(Squares(10), batch_size=4, drop_last=drop, num_workers=workers)
    assert len(loader) == len(sizes)
    found = list(loader)
    assert [x.shape for x, _ in found] == [(n, 3) for n in sizes]
    assert [x.dtype for x, _ in found] == [np.float32] * len(sizes)
    assert np.concatenate([y.numpy() for _, y in found]).tolist() == [i * i for i in range(sum(sizes))]
    assert found[0][1].dtype == np.int64


def test_an_epoch_that_is_left_early_ends_its_threads() -> None:
    loader = DataLoader(Squares(1000), num_workers=2)
    for x, _ in loader:
        assert x.shape == (1, 3)
        break
    assert loader.epoch == 1
    assert next(iter(loader))[1].item() == 0


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([1, 2], cr.tensor([1, 2])),
        ([1.5, 2.5], cr.tensor([1.5, 2.5])),
        ([np.float64(1), np.float64(2)], cr.tensor(np.array([1.0, 2.0]))),
        ([True, False], cr.tensor([True, False])),
        (np.arange(4.0).reshape(2, 2), cr.tensor(np.arange(4.0).reshape(2, 2))),
        (cr.tensor([[1.0], [2.0]]), cr.tensor([[1.0], [2.0]])),
    ],
)
def test_kinds_of_items(items: Any, expected: cr.Tensor) -> None:
    (batch,) = DataLoader(items, batch_size=2)
    assert batch.dtype == expected.dtype
    np.testing.assert_array_equal(batch.numpy(), expected.numpy())


def test_containers_of_items() -> None:
    (batch,) = DataLoader([{"x": (X[0], 1), "name": "a"}, {"x": (X[1], 2), "name": "b"}], batch_size=2)
    assert batch["name"] == ["a", "b"]
    assert batch["x"][0].shape == (2, 2)
    assert batch["x"][1].numpy().tolist() == [1, 2]
    (pair,) = DataLoader([Pair(1, 2), Pair(3, 4)], batch_size=2)
    assert type(pair) is Pair
    assert pair.y.numpy().tolist() == [2, 4]
    assert next(iter(DataLoader([[1, 2], [3, 4]], batch_size=2, collate_fn=len))) == 2


def test_an_iterable() -> None:
    def rows_of_a_file() -> Iterator[tuple[float, int]]:
        yield from zip(np.arange(5.0).tolist(), range(5), strict=True)

    class File:
        def __iter__(self) -> Iterator[tuple[float, int]]:
            return rows_of_a_file()

    loader = DataLoader(File(), batch_size=2)
    for _ in range(2):
        assert [y.numpy().tolist() for _, y in loader] == [[0, 1], [2, 3], [4]]
    assert len(list(DataLoader(rows_of_a_file(), batch_size=2, drop_last=True))) == 2
    with pytest.raises(TypeError, match="not known"):
        len(loader)


def test_a_sampler() -> None:
    loader = DataLoader(TensorDataset(X, Y), 2, sampler=[5, 5, 1])
    assert (len(loader), rows(loader)) == (2, [[5, 5], [1]])


def test_parts_of_random_items() -> None:
    split = cr.data.random_split
    parts = split(Squares(10), [6, 4], cr.random.Generator(1))
    assert [len(part) for part in parts] == [6, 4]
    assert sorted(i for part in parts for i in part.indices) == list(range(10))
    assert [part.indices for part in split(Squares(10), [6, 4], cr.random.Generator(1))] == [p.indices for p in parts]
    assert [len(part) for part in split(Squares(11), [0.5, 0.3, 0.2])] == [6, 3, 2]
    assert len(list(DataLoader(parts[1], batch_size=3))) == 2
    for lengths in ([6, 3], [0.5, 0.3], [11, -1]):
        with pytest.raises(ValueError, match="random_split: lengths must sum up to 10"):
            split(Squares(10), lengths)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: DataLoader(Squares(3), 0), ValueError, "batch_size must be"),
        (lambda: DataLoader(Squares(3), None), TypeError, "batch_size must be"),
        (lambda: DataLoader(Squares(3), num_workers=-1), ValueError, "num_workers must be"),
        (lambda: DataLoader(3), TypeError, "dataset must have"),
        (lambda: DataLoader({"x": 1}), TypeError, "is a mapping"),
        (lambda: DataLoader(iter([1]), shuffle=True), ValueError, "an order of its own"),
        (lambda: DataLoader([1], 1, True, sampler=[0]), ValueError, "leave out shuffle"),
        (lambda: DataLoader([1], collate_fn=3), TypeError, "collate_fn must be"),  # type: ignore[arg-type]
        (lambda: list(DataLoader([[1], [1, 2]], 2)), ValueError, "different lengths"),
        (lambda: list(DataLoader([np.ones(1), np.ones(2)], 2)), ValueError, r"shapes \(1,\), \(2,\)"),
        (lambda: TensorDataset(), TypeError, "one or more"),
        (lambda: TensorDataset(1.0), TypeError, "an axis of rows"),
        (lambda: TensorDataset(X, Y[:3]), ValueError, r"got shapes \(10, 2\), \(3,\)"),
    ],
)
def test_errors(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()

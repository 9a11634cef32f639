"""Row indices: splits, folds and batches are partitions, determined by the seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import chainrule as cr
from chainrule.data import batches, k_fold, split, train_test_split


def test_split_is_a_partition_determined_by_the_seed() -> None:
    X, y = np.arange(50).reshape(25, 2), np.arange(25)
    X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.5, seed=3)
    assert len(y_val) == 13
    assert len(y_train) == 12
    assert sorted([*y_train, *y_val]) == list(range(25))
    np.testing.assert_array_equal(X_train, X[y_train])
    np.testing.assert_array_equal(X_val, X[y_val])
    again = train_test_split(X, y, test_size=0.5, random_state=3)
    np.testing.assert_array_equal(again[3], y_val)
    assert train_test_split(X, y, test_size=0.5, seed=4)[3].tolist() != y_val.tolist()


def test_split_into_several_parts() -> None:
    X, y = np.arange(40).reshape(20, 2), np.arange(20)
    parts = split(X, y, (0.7, 0.2, 0.1), seed=3)
    assert [len(rows) for _, rows in parts] == [14, 4, 2]
    assert sorted(np.concatenate([rows for _, rows in parts])) == list(range(20))
    for inputs, rows in parts:
        np.testing.assert_array_equal(inputs, X[rows])
    assert parts[0][1].tolist() == split(X, y, (0.7, 0.2, 0.1), seed=3)[0][1].tolist()
    assert parts[0][1].tolist() != split(X, y, (0.7, 0.2, 0.1), seed=4)[0][1].tolist()
    halves = split(X, y, (0.5, 0.5), seed=3)
    np.testing.assert_array_equal(halves[0][1], train_test_split(X, y, test_size=0.5, seed=3)[3])
    assert [len(rows) for _, rows in split(X[:3], y[:3], (0.5, 0.5))] == [2, 1], "halves up"


def test_stratified_splits_preserve_the_proportions() -> None:
    labels = np.array(["a"] * 60 + ["b"] * 30 + ["c"] * 10)[cr.random.Generator(seed=5).permutation(100)]
    rows = np.arange(100)
    for part, share in zip(split(rows, rows, (0.5, 0.3, 0.2), seed=1, stratify=labels), (0.5, 0.3, 0.2), strict=True):
        counts = {name: int((labels[part[1]] == name).sum()) for name in "abc"}
        assert counts == {"a": round(60 * share), "b": round(30 * share), "c": round(10 * share)}
    train, held = train_test_split(rows, test_size=0.2, seed=1, stratify=labels)
    assert [int((labels[held] == name).sum()) for name in "abc"] == [12, 6, 2]
    assert sorted([*train, *held]) == list(range(100))
    assert held.tolist() != sorted(held.tolist())


def test_folds() -> None:
    labels = np.array([0] * 31 + [1] * 17 + [2] * 5)[cr.random.Generator(seed=6).permutation(53)]
    for stratified in (False, True):
        folds = k_fold(labels, 5, seed=2, stratified=stratified)
        assert sorted(np.concatenate([held for _, held in folds])) == list(range(53))
        assert sorted(len(held) for _, held in folds) == [10, 10, 11, 11, 11]
        for train, held in folds:
            assert sorted([*train, *held]) == list(range(53))
        spread = [np.ptp([np.count_nonzero(labels[held] == label) for _, held in folds]) for label in range(3)]
        assert (max(spread) <= 1) == stratified
    same = k_fold(53, 5, seed=2)
    assert [held.tolist() for _, held in same] == [held.tolist() for _, held in k_fold(labels, 5, seed=2)]
    assert [held.tolist() for _, held in same] != [held.tolist() for _, held in k_fold(53, 5, seed=3)]


def test_batches_are_those_of_fit() -> None:
    seen: list[list[float]] = []

    class Recorder(cr.nn.Module):
        def __init__(self) -> None:
            self.scale = cr.nn.Parameter([1.0])

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            if cr.is_grad_enabled():
                seen.append(x.numpy()[:, 0].tolist())
            return x * self.scale

    model, X = Recorder(), np.arange(10, dtype=np.float32)[:, None]
    cr.fit(
        model, X, X, loss=cr.nn.MSELoss(), optimizer=cr.optim.SGD(model.parameters(), lr=1e-9), epochs=2, batch_size=4,
        seed=9, compile=False, progress=False,
    )  # fmt: skip
    expected = [rows.tolist() for epoch in range(2) for rows in batches(10, 4, seed=9, epoch=epoch)]
    assert seen == expected
    assert [rows.tolist() for rows in batches(5, 2, shuffle=False)] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: split(np.zeros((3, 1)), np.zeros(4)),
            r"split: X has shape \(3, 1\), y \(4,\); expected the same number of rows",
        ),
        (lambda: split(np.zeros(9), np.zeros(9), (0.5, 0.4)), r"fractions must be .* with sum 1, got \(0.5, 0.4\)"),
        (lambda: split(np.zeros(9), np.zeros(9), (1.5, -0.5)), "fractions must be"),
        (lambda: split(np.zeros(9), np.zeros(9), (1.0,)), "at least two positive numbers"),
        (lambda: split(np.zeros(2), np.zeros(2)), "split: one part is empty with 2 rows and fraction 0.6, 0.2"),
        (
            lambda: split(np.zeros(9), np.zeros(9), stratify=np.zeros(8)),
            r"split: labels have shape \(8,\), expected \(9,\)",
        ),
        (lambda: k_fold(5, 6), "k_fold: k must be between 2 and the number of rows, 5, got 6"),
        (lambda: k_fold(5, 1), "got 1"),
        (
            lambda: k_fold(5, 2, stratified=True),
            "rows is the number 5, expected an array of labels for stratified folds",
        ),
        (lambda: batches(0, 4), "batches: n and batch_size must be at least 1, got 0 and 4"),
    ],
)
def test_invalid_arguments_are_rejected(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("n", "fraction", "message"),
    [(10, 0.0, "between 0 and 1"), (10, 1.0, "between"), (2, 0.1, "one part is empty"), (1, 0.5, "one part is empty")],
)
def test_split_rejects_fractions(n: int, fraction: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train_test_split(np.zeros((n, 1)), np.zeros(n), test_size=fraction)


def test_split_rejects_different_lengths() -> None:
    with pytest.raises(ValueError, match="the arrays have 3, 4 rows, expected the same number"):
        train_test_split(np.zeros((3, 1)), np.zeros(4))


def test_the_former_split_selects_the_same_rows_and_says_what_to_write() -> None:
    X, y = np.arange(30).reshape(15, 2), np.arange(15)
    with pytest.warns(DeprecationWarning, match=r"train_test_split\(X, y, test_size=fraction\)"):
        former = cr.data.train_validation_split(X, y, fraction=0.3, seed=2)
    now = train_test_split(X, y, test_size=0.3, seed=2)
    for i, j in ((0, 0), (1, 2), (2, 1), (3, 3)):
        np.testing.assert_array_equal(former[i], now[j])


def test_frames_and_sparse_matrices_keep_their_type() -> None:
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    import scipy.sparse as sp

    values = np.arange(24.0).reshape(12, 2) % 7
    columns = {"a": values[:, 0], "b": values[:, 1]}
    rows = train_test_split(np.arange(12), test_size=3, seed=5)
    tables = [values.tolist(), pd.DataFrame(columns), pl.DataFrame(columns), pa.table(columns), sp.coo_matrix(values)]
    for table in tables:
        train, test = train_test_split(table, test_size=3, seed=5)
        for part, chosen in ((train, rows[0]), (test, rows[1])):
            dense = part.toarray() if sp.issparse(part) else part.to_pandas() if isinstance(part, pa.Table) else part
            np.testing.assert_array_equal(np.asarray(dense), values[chosen])
        assert isinstance(train, (np.ndarray, type(table), sp.csr_matrix))


def test_the_last_rows_without_shuffling() -> None:
    train, test = train_test_split(np.arange(10), test_size=0.25, shuffle=False)
    assert test.tolist() == [7, 8, 9]
    assert train.tolist() == list(range(7))
    with pytest.raises(ValueError, match="stratify requires shuffle=True"):
        train_test_split(np.arange(10), shuffle=False, stratify=np.arange(10) % 2)
    with pytest.raises(TypeError, match="expected one or more arrays"):
        train_test_split()
    for size in (0, 10, True, "half", float("nan")):
        with pytest.raises(ValueError, match="test_size must be between 0 and 1"):
            train_test_split(np.arange(10), test_size=size)  # type: ignore[arg-type]

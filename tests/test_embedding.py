"""Embedding: rows by category, gradients by rows in a written order, in fit, Predictor and model files."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from reference.bits import assert_same_bits

X = np.random.default_rng(0).integers(0, 7, (40, 3))


def layer(**options: Any) -> nn.Embedding:
    return nn.Embedding(7, 4, generator=cr.random.Generator(seed=3), **options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gradient_is_a_chain_over_the_rows(dtype: Any) -> None:
    embedding = layer(dtype=dtype)
    g = np.random.default_rng(1).standard_normal((40, 3, 4)).astype(dtype)
    y = embedding(X)
    assert_same_bits(y.numpy(), embedding.weight.numpy()[X])
    cr.sum(y * g).backward()
    expected = np.zeros((7, 4), dtype)
    for category, row in zip(X.reshape(-1), g.reshape(-1, 4), strict=True):
        expected[category] += row
    assert embedding.weight.grad is not None
    assert_same_bits(embedding.weight.grad.numpy(), expected)


def test_the_padding_row_is_zero_and_stays() -> None:
    embedding = layer(padding_idx=-1)
    assert embedding.padding_idx == 6
    assert not embedding.weight.numpy()[6].any()
    cr.sum(embedding(X) * 2.0).backward()
    assert embedding.weight.grad is not None
    gradient = embedding.weight.grad.numpy()
    assert not gradient[6].any()
    assert gradient[:6].all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_by_frequency(dtype: Any) -> None:
    """Values keep their bits, also -0 and infinities; each gradient is divided by the number of its category."""
    embedding = layer(dtype=dtype, scale_grad_by_freq=True)
    with cr.no_grad():
        embedding.weight.copy_(np.where(np.arange(7)[:, None] < 2, [[-0.0, 0.0, np.inf, -np.inf]], embedding.weight))
    x = np.array([[2, 1, 2], [3, 2, 0]])
    g = np.random.default_rng(1).standard_normal((2, 3, 4)).astype(dtype)
    for call in (embedding, cr.compile(embedding)):
        assert_same_bits(call(x).numpy(), embedding.weight.numpy()[x])
    expected = np.zeros((7, 4), dtype)
    for category, row in zip(x.reshape(-1), g.reshape(-1, 4), strict=True):
        expected[category] += row * (dtype(1) / dtype((x == category).sum()))
    cr.sum(embedding(x) * g).backward()
    assert embedding.weight.grad is not None
    assert_same_bits(embedding.weight.grad.numpy()[2:], expected[2:])
    bag = nn.EmbeddingBag(7, 4, scale_grad_by_freq=True, mode="sum", dtype=dtype)
    cr.sum(bag(x)).backward()
    assert bag.weight.grad is not None
    np.testing.assert_allclose(bag.weight.grad.numpy()[:5, 0], [1, 1, 1, 1, 0], rtol=1e-6)


class Net(nn.Module):
    def __init__(self) -> None:
        self.embedding, self.out = layer(), nn.Linear(12, 2, generator=cr.random.Generator(seed=4))

    def forward(self, x: Any) -> Any:
        return self.out(cr.reshape(self.embedding(x), (x.shape[0], 12)))


def trained(compile: bool) -> tuple[Net, bytes]:
    model = Net()
    optimizer = cr.optim.Adam(model.parameters(), lr=0.05)
    loss = nn.CrossEntropyLoss()
    y = (X[:, 0] > 3).astype(np.int64)
    history = cr.fit(
        model, X, y, loss=loss, optimizer=optimizer, epochs=20, batch_size=16, seed=1, compile=compile
    )  # fmt: skip
    assert history.loss[-1] < 0.5 * history.loss[0]
    return model, b"".join(a.tobytes() for a in model.state_dict().values())


def test_it_trains_in_fit_and_predicts() -> None:
    model, compiled = trained(True)
    assert trained(False)[1] == compiled
    x = X.astype(np.float32)
    assert_same_bits(model.predict(x), model(cr.tensor(x)).numpy())


def test_a_model_file_has_it(tmp_path: Any) -> None:
    embedding = layer(padding_idx=2)
    cr.save(embedding, tmp_path / "model.safetensors")
    loaded = cr.load(tmp_path / "model.safetensors")
    assert loaded.config() == embedding.config()
    assert_same_bits(loaded.weight.numpy(), embedding.weight.numpy())


# Updates by rows.

OPTIMIZERS: dict[str, Any] = {
    "SGD": lambda p: cr.optim.SGD(p, lr=0.1),
    "SGD with momentum": lambda p: cr.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "Adam": lambda p: cr.optim.Adam(p, lr=0.1, amsgrad=True, weight_decay=0.1),
    "AdamW": lambda p: cr.optim.AdamW(p, lr=0.1),
    "Adagrad": lambda p: cr.optim.Adagrad(p, lr=0.1),
    "RMSprop": lambda p: cr.optim.RMSprop(p, lr=0.1, centered=True),
}


class Pairs(nn.Module):
    """Two users of one table, and a table of its own."""

    def __init__(self, sparse: bool, rows: int, dtype: Any) -> None:
        generator = cr.random.Generator(seed=2)
        options: dict[str, Any] = {"sparse": sparse, "dtype": dtype, "generator": generator}
        self.one, self.other = nn.Embedding(rows, 5, padding_idx=3, **options), nn.Embedding(rows, 3, **options)
        self.out = nn.Linear(13, 1, dtype=dtype, generator=generator)

    def forward(self, a: Any, b: Any) -> cr.Tensor:
        return self.out(cr.concatenate([self.one(a), self.one(b), self.other(b)], 1))


def stepping(model: Pairs, optimizer: cr.optim.Optimizer, times: int = 1) -> Any:
    def step(a: Any, b: Any, y: Any) -> cr.Tensor:
        optimizer.zero_grad()
        for _ in range(times):  # gradients of several passes are summed up
            loss = cr.mean(cr.square(model(a, b) - y))
            loss.backward()
        optimizer.step()
        return loss

    return step


def pairs(rows: int, dtype: Any) -> list[tuple[Any, Any, Any]]:
    rng = np.random.default_rng(4)
    return [(*rng.integers(0, rows, (2, 16)), rng.standard_normal((16, 1)).astype(dtype)) for _ in range(5)]


def after_steps(kind: str, sparse: bool, compile: bool, rows: int, dtype: Any, times: int = 1) -> list[Any]:
    model = Pairs(sparse, rows, dtype)
    step = stepping(model, OPTIMIZERS[kind](model.parameters()), times)
    step = cr.compile(step) if compile else step
    for batch in pairs(rows, dtype):
        step(*batch)
    return [p.numpy().copy() for p in model.parameters()]


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_steps_by_rows(kind: str, dtype: Any) -> None:
    """Compiled as eager, which looks for the rows that are not 0; rows of no batch stay; SGD and Adagrad as always."""
    for rows, times in ((9, 1), (200, 1), (200, 2)):
        eager = after_steps(kind, True, False, rows, dtype, times)
        for a, b in zip(eager, after_steps(kind, True, True, rows, dtype, times), strict=True):
            assert_same_bits(a, b)
        before = Pairs(True, rows, dtype).one.weight.numpy()
        named = np.unique([(a, b) for a, b, _ in pairs(rows, dtype)])
        touched = np.isin(np.arange(rows), named) & (np.arange(rows) != 3)
        assert_same_bits(eager[0][~touched], before[~touched])
        assert (eager[0][touched] != before[touched]).any(1).all()
        dense = after_steps(kind, False, True, rows, dtype, times)
        if kind in ("SGD", "Adagrad"):
            for a, b in zip(eager, dense, strict=True):
                assert_same_bits(a, b)
        else:
            assert (eager[0] != dense[0]).any()


def test_a_compiled_step_computes_no_gradient_of_the_table() -> None:
    model = Pairs(True, 200, np.float32)
    compiled = cr.compile(stepping(model, cr.optim.Adam(model.parameters())))
    blocks = compiled.plan_of(*pairs(200, np.float32)[0]).built.blocks
    code = [*blocks.before, *blocks.loop, *blocks.after]
    sums = [instr.record.out_rows for instr in code if instr.name == "index_add"]
    assert sorted(sums) == [16, 32, 32]
    assert [instr.name for instr in code].count("distinct") == 2


def test_a_gradient_that_something_else_reads_is_whole() -> None:
    """Clipped gradients, and weights with another use, are updated by rows as in eager execution."""
    found = []
    for compile in (False, True):
        model = Pairs(True, 30, np.float64)
        optimizer = cr.optim.Adam(model.parameters(), lr=0.1)

        def step(a: Any, b: Any, y: Any, model: Any = model, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = cr.mean(cr.square(model(a, b) - y)) + cr.sum(cr.square(model.other.weight[:4]))
            loss.backward()
            cr.optim.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            return model.one.weight.grad.sum() if model.one.weight.grad is not None else loss

        step = cr.compile(step) if compile else step
        for batch in pairs(30, np.float64):
            step(*batch)
        found.append([p.numpy() for p in model.parameters()])
    for a, b in zip(*found, strict=True):
        assert_same_bits(a, b)


def test_a_parameter_by_rows_is_copied_and_saved_as_one(tmp_path: Any) -> None:
    embedding = layer(sparse=True)
    for other in (copy.deepcopy(embedding), pickle.loads(pickle.dumps(embedding))):
        assert isinstance(other.weight, nn.RowParameter)
        assert other.weight._row_size == 4
    cr.save(embedding, tmp_path / "model")
    assert isinstance(cr.load(tmp_path / "model").weight, nn.RowParameter)


# Limits of the norm, bags.


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, np.inf])
def test_rows_are_limited_before_they_are_read(p: float) -> None:
    for compile in (False, True):
        embedding = layer(max_norm=1.5, norm_type=p, dtype=np.float64)
        weight = embedding.weight.numpy().copy()
        named = np.array([0, 2, 2, 5])
        expected = weight.copy()
        for i in {*named}:
            norm = np.linalg.norm(weight[i], p)
            expected[i] = weight[i] * (1.5 / (norm + 1e-7) if norm > 1.5 else 1)
        y = embedding.eval()(named)
        np.testing.assert_allclose(y.numpy(), expected[named], rtol=1e-12)
        assert_same_bits(embedding.weight.numpy(), weight)  # only training writes
        embedding.train()
        y = (cr.compile(lambda i, e=embedding: e(i)) if compile else embedding)(named)
        np.testing.assert_allclose(embedding.weight.numpy(), expected, rtol=1e-12)
        assert_same_bits(y.numpy(), embedding.weight.numpy()[named])


def bags(mode: str, table: Any, x: Any, starts: Any, skipped: int | None, factors: Any) -> Any:
    ends, rows = [*starts[1:], len(x)], []
    for begin, end in zip(starts, ends, strict=True):
        own = [table[x[i]] * factors[i] for i in range(begin, end) if x[i] != skipped]
        each = {"sum": sum, "mean": lambda r: sum(r) / len(r), "max": lambda r: np.max(r, 0)}[mode]
        rows.append(each(own) if own else np.zeros(table.shape[1]))
    return np.stack(rows)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("skipped", [None, 2])
def test_bags(mode: str, skipped: int | None) -> None:
    rng, F = np.random.default_rng(8), nn.functional
    for trial in range(15):
        table, x = rng.standard_normal((6, 3)), rng.integers(0, 6, 12)
        starts = np.array([0, *np.sort(rng.integers(0, 13, 3))])
        factors = rng.standard_normal(12) if mode == "sum" and trial % 2 else np.ones(12)
        given = factors if mode == "sum" and trial % 2 else None
        options = {"mode": mode, "padding_idx": skipped}
        expected = bags(mode, table, x, starts, skipped, factors)
        weight = cr.tensor(table, requires_grad=True)
        y = F.embedding_bag(x, weight, starts, per_sample_weights=given, **options)
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-15)
        last = F.embedding_bag(x, weight, [*starts, 12], per_sample_weights=given, include_last_offset=True, **options)
        assert_same_bits(last.numpy(), y.numpy())
        compiled = cr.compile(
            lambda x, o, g, w=weight, options=options: F.embedding_bag(x, w, o, per_sample_weights=g, **options)
        )
        for a, b in zip((y, compiled(x, starts, given)), (expected, expected), strict=True):
            np.testing.assert_allclose(a.numpy(), b, rtol=1e-12, atol=1e-15)
        even = x.reshape(4, 3)
        y = F.embedding_bag(even, weight, per_sample_weights=None if given is None else given.reshape(4, 3), **options)
        expected = bags(mode, table, x, [0, 3, 6, 9], skipped, factors)
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12, atol=1e-15)
        for call in (
            lambda w, x=x, s=starts, g=given, o=options: F.embedding_bag(x, w, s, per_sample_weights=g, **o),
            lambda w, x=even, o=options: F.embedding_bag(x, w, **o),
        ):
            cr.gradcheck(call, [cr.tensor(table)])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.Embedding(0, 2), ValueError, "Embedding: num_embeddings must be an integer of at least 1, got 0"),
        (lambda: nn.Embedding(2, 2, padding_idx=2), ValueError, "Embedding: padding_idx must be below 2 in size, got"),
        (lambda: nn.Embedding(2, 2, dtype=np.int64), TypeError, "Embedding: dtype must be float32 or float64, got int"),
        (lambda: layer(max_norm=-1.0), ValueError, "Embedding: max_norm must be"),
        (lambda: nn.EmbeddingBag(3, 2, mode="min"), ValueError, "EmbeddingBag: mode must be"),
        (lambda: nn.EmbeddingBag(3, 2)([0, 1]), ValueError, "embedding_bag: input must be (bags, size), or (n,) with"),
        (lambda: nn.EmbeddingBag(3, 2)([0, 1], [1]), ValueError, "embedding_bag: offsets must ascend"),
        (lambda: nn.EmbeddingBag(3, 2)([0, 1], [0, 2, 1]), ValueError, "embedding_bag: offsets must ascend from 0"),
        (lambda: nn.EmbeddingBag(3, 2)([[0, 1]], None, [[1.0, 2.0]]), ValueError, "embedding_bag: per_sample_weights"),
        (lambda: layer()(np.array([1, 7])), IndexError, "embedding: 7 at position (1,) is out of range for 7"),
        (lambda: layer()(np.array([0.5])), ValueError, "Embedding: x at position (0,) is not a whole number"),
    ],
)  # fmt: skip
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call()

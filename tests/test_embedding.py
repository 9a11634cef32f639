"""Embedding: rows by category, gradients by rows in a written order, in fit, Predictor and model files."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.Embedding(0, 2), ValueError, "Embedding: num_embeddings must be an integer of at least 1, got 0"),
        (lambda: nn.Embedding(2, 2, padding_idx=2), ValueError, "Embedding: padding_idx must be below 2 in size, got"),
        (lambda: nn.Embedding(2, 2, dtype=np.int64), TypeError, "Embedding: dtype must be float32 or float64, got int"),
        (lambda: layer()(np.array([1, 7])), IndexError, "take: 7 at position (1,) is out of range for 7"),
        (lambda: layer()(np.array([0.5])), ValueError, "Embedding: x at position (0,) is not a whole number"),
    ],
)  # fmt: skip
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call()

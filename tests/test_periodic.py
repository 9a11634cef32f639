"""PeriodicEmbedding: values and gradients of the formula in NumPy, initial values, and its life in a model."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from reference.bits import Array, assert_same_bits

X = np.random.default_rng(61).uniform(-3, 3, (40, 3))


def layer(**options: Any) -> nn.PeriodicEmbedding:
    return nn.PeriodicEmbedding(3, generator=cr.random.Generator(seed=5), **options)


def parameters(module: nn.Module) -> dict[str, Array]:
    return {name: np.asarray(p.numpy(), np.float64) for name, p in module.named_parameters()}


def dense_of_waves(x: Array, p: dict[str, Array]) -> Array:
    """As RealMLP's authors write it: the columns of all features, then the features."""
    z = np.cos(2 * np.pi * x.T[:, :, None] @ p["frequency"] + p["phase"]) @ p["weight"] + p["bias"]
    return np.concatenate([z.swapaxes(0, 1).reshape(len(x), -1), x], axis=1)


@pytest.mark.parametrize("sizes", [(4, 16), (2, 1), (6, 5)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-14)])
def test_values(sizes: tuple[int, int], dtype: Any, tolerance: float) -> None:
    embedding_dim, frequencies = sizes
    module = layer(embedding_dim=embedding_dim, num_frequencies=frequencies, frequency_scale=0.7, dtype=dtype)
    y = module(cr.tensor(X.astype(dtype))).numpy().reshape(40, 3, embedding_dim)
    expected = dense_of_waves(np.asarray(X.astype(dtype), np.float64), parameters(module))
    together = np.concatenate([y[:, :, 1:].reshape(40, -1), y[:, :, 0]], axis=1)
    np.testing.assert_allclose(together, expected, rtol=0, atol=tolerance)
    assert_same_bits(y[:, :, 0], X.astype(dtype))


def test_gradients() -> None:
    module = layer(dtype=np.float64, frequency_scale=0.5)
    p, g = parameters(module), np.random.default_rng(62).standard_normal((40, 3, 4))
    x = cr.tensor(X, requires_grad=True)
    cr.sum(module(x) * g.reshape(40, 12)).backward()
    angles = 2 * np.pi * X[:, :, None] * p["frequency"][:, 0] + p["phase"][:, 0]  # row, feature, wave
    slope = -np.sin(angles) * np.einsum("rfd,fkd->rfk", g[:, :, 1:], p["weight"])
    expected = {
        "frequency": np.einsum("rfk,rf->fk", slope, 2 * np.pi * X)[:, None],
        "phase": slope.sum(0)[:, None],
        "weight": np.einsum("rfk,rfd->fkd", np.cos(angles), g[:, :, 1:]),
        "bias": g[:, :, 1:].sum(0)[:, None],
    }
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None
        np.testing.assert_allclose(parameter.grad.numpy(), expected[name], rtol=1e-11, atol=1e-11, err_msg=name)
    assert x.grad is not None
    by_x = g[:, :, 0] + 2 * np.pi * (slope * p["frequency"][:, 0]).sum(2)
    np.testing.assert_allclose(x.grad.numpy(), by_x, rtol=1e-11, atol=1e-11)


def test_initial_values() -> None:
    module = nn.PeriodicEmbedding(400, num_frequencies=25, generator=cr.random.Generator(seed=6))
    p = parameters(module)
    assert {name: a.shape for name, a in p.items()} == {
        "frequency": (400, 1, 25), "phase": (400, 1, 25), "weight": (400, 25, 3), "bias": (400, 1, 3),
    }  # fmt: skip
    assert abs(p["frequency"].std() - 0.1) < 0.003
    assert abs(p["frequency"].mean()) < 0.004
    for name, bound in (("phase", np.pi), ("weight", 0.2), ("bias", 0.2)):
        limit = float(np.float32(bound))
        assert -limit <= p[name].min() < -0.98 * limit
        assert 0.98 * limit < p[name].max() < limit
        assert abs(p[name].std() * np.sqrt(3) / limit - 1) < 0.05
    again = nn.PeriodicEmbedding(400, num_frequencies=25, generator=cr.random.Generator(seed=6))
    for name, a in parameters(again).items():
        assert np.array_equal(a, p[name])
    cr.manual_seed(6)
    assert np.array_equal(parameters(nn.PeriodicEmbedding(400, num_frequencies=25))["weight"], p["weight"])
    assert not parameters(layer(frequency_scale=0))["frequency"].any()


def test_inputs_of_any_axes() -> None:
    module = layer(dtype=np.float64)
    rows = module(cr.tensor(X)).numpy()
    assert_same_bits(module(cr.tensor(X.reshape(4, 2, 5, 3))).numpy(), rows.reshape(4, 2, 5, 12))
    assert_same_bits(module(cr.tensor(X[7])).numpy(), rows[7])
    assert module(cr.tensor(X[:0])).shape == (0, 12)


def test_nan_stays_in_the_columns_of_its_feature() -> None:
    x = X.copy()
    x[3, 1] = np.nan
    y = layer(dtype=np.float64)(cr.tensor(x)).numpy().reshape(40, 3, 4)
    assert np.isnan(y[3, 1]).all()
    assert np.isnan(y).sum() == 4


def net(seed: int) -> nn.Sequential:
    source = cr.random.Generator(seed)
    first = nn.PeriodicEmbedding(3, frequency_scale=0.5, generator=source)
    return nn.Sequential(first, nn.Linear(12, 16, generator=source), nn.Tanh(), nn.Linear(16, 1, generator=source))


def test_it_trains_in_fit_in_a_group_of_its_own() -> None:
    x = X.astype(np.float32)
    y = np.sin(6 * x[:, :1])
    weights = []
    for compile in (True, False):
        model = net(7)
        groups = [
            {"params": [*model[0].parameters()], "lr": 1e-3},
            {"params": [p for part in list(model)[1:] for p in part.parameters()]},
        ]
        optimizer = cr.optim.Adam(groups, lr=1e-2)
        start = model[0].frequency.numpy().copy()
        history = cr.fit(model, x, y, loss=nn.MSELoss(), optimizer=optimizer, epochs=30, batch_size=16, seed=1,
                         compile=compile)  # fmt: skip
        assert history.loss[-1] < 0.6 * history.loss[0]
        assert 0 < np.abs(model[0].frequency.numpy() - start).max() < 0.1
        weights.append(b"".join(a.tobytes() for a in model.state_dict().values()))
    assert weights[0] == weights[1]


def test_in_predict_model_files_and_copies(tmp_path: Path) -> None:
    model, x = net(8), np.tile(X, (30, 1)).astype(np.float32)
    expected = model(cr.tensor(x)).numpy()
    assert_same_bits(model.predict(x), expected)
    assert_same_bits(model.predict(x[5]), expected[5])
    assert_same_bits(cr.Predictor(model)(x[:9]), expected[:9])
    assert_same_bits(copy.deepcopy(model).predict(x), expected)
    cr.save(model, tmp_path / "model.safetensors")
    loaded = cr.load(tmp_path / "model.safetensors")
    assert loaded[0].config() == model[0].config()
    assert_same_bits(loaded.predict(x), expected)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.PeriodicEmbedding(0), ValueError, "PeriodicEmbedding: in_features must be an integer of at least"),
        (lambda: layer(embedding_dim=1), ValueError, "PeriodicEmbedding: embedding_dim must be at least 2, got 1"),
        (lambda: layer(num_frequencies=0), ValueError, "PeriodicEmbedding: num_frequencies must be an integer of at"),
        (lambda: layer(frequency_scale=-1), ValueError, "PeriodicEmbedding: frequency_scale must be a finite number"),
        (lambda: layer(dtype=np.int64), TypeError, "PeriodicEmbedding: dtype must be float32 or float64, got int64"),
        (lambda: layer()(cr.tensor(np.ones((2, 4), np.float32))), ValueError,
         "PeriodicEmbedding: x has 4 features, the layer 3 (x: (2, 4))"),
        (lambda: layer()(cr.tensor(1.0)), ValueError, "PeriodicEmbedding: x has no features, the layer 3 (x: ())"),
    ],
)  # fmt: skip
def test_refusals(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call()

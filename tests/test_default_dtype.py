"""cr.set_default_dtype: what is made without a dtype, eager and compiled."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn


@pytest.fixture(autouse=True)
def single() -> Iterator[None]:
    yield
    cr.set_default_dtype(np.float32)


MADE: dict[str, Callable[[], Any]] = {
    "tensor": lambda: cr.tensor([0.1, 2]),
    "number": lambda: cr.tensor(0.1),
    "op of a list": lambda: cr.exp([0.1, 0.2]),
    "op of a number": lambda: cr.exp(0.1),
    "beside integers": lambda: cr.tensor([1, 2]) * 0.1,
    "zeros": lambda: cr.zeros(2),
    "ones": lambda: cr.ones(2),
    "empty": lambda: cr.empty(2),
    "full": lambda: cr.full(2, 0.1),
    "eye": lambda: cr.eye(2),
    "arange": lambda: cr.arange(0, 1, 0.1),
    "linspace": lambda: cr.linspace(0, 1, 4),
    "rand": lambda: cr.rand(2, generator=cr.random.Generator(1)),
    "randn": lambda: cr.randn(2, generator=cr.random.Generator(1)),
    "zeros_like": lambda: cr.zeros_like([0.1]),
}
KEPT: dict[str, Callable[[], Any]] = {
    "array": lambda: cr.tensor(np.ones(2, np.float32)),
    "beside a tensor": lambda: cr.tensor(np.ones(2, np.float32)) * 0.1 + [0.1, 0.2],
    "dtype": lambda: cr.zeros(2, dtype="float32"),
    "integers": lambda: cr.tensor([1, 2]) / cr.tensor([3, 4]),
}


@pytest.mark.parametrize("name", [*MADE, *KEPT])
def test_what_is_made_without_a_dtype(name: str) -> None:
    function = {**MADE, **KEPT}[name]
    compiled = cr.compile(function)
    for dtype in (cr.float32, "float64", np.float32, cr.float64):
        cr.set_default_dtype(dtype)
        assert cr.get_default_dtype() == np.dtype(dtype)
        expected = cr.get_default_dtype() if name in MADE else np.float32
        for made in (function(), compiled(), compiled()):
            assert made.dtype == expected
            assert made.numpy().tobytes() == function().numpy().tobytes()
    assert compiled._traced == 2 or name in KEPT


LAYERS: tuple[Callable[[], nn.Module], ...] = (
    lambda: nn.Linear(3, 2),
    lambda: nn.Conv2d(1, 2, 3),
    lambda: nn.ConvTranspose2d(1, 2, 3),
    lambda: nn.Embedding(3, 2),
    lambda: nn.EmbeddingBag(3, 2),
    lambda: nn.BatchNorm1d(3),
    lambda: nn.LayerNorm(3),
    lambda: nn.GroupNorm(1, 3),
    lambda: nn.RMSNorm(3),
    lambda: nn.InstanceNorm1d(3, affine=True),
    lambda: nn.LSTM(2, 3),
    lambda: nn.GRUCell(2, 3),
    lambda: nn.MultiheadAttention(4, 2),
    lambda: nn.TransformerEncoderLayer(4, 2, 8),
    lambda: nn.PReLU(),
    lambda: nn.Maxout(2, 3, 2),
    lambda: nn.Bilinear(2, 3, 2),
    lambda: nn.Scale(3),
    lambda: nn.PeriodicEmbedding(2),
    lambda: nn.Output("continuous", 3),
)


@pytest.mark.parametrize("make", LAYERS)
def test_layers(make: Callable[[], nn.Module]) -> None:
    cr.manual_seed(0)
    before = [(t.dtype, t.numpy().tobytes()) for t in make().parameters()]
    cr.set_default_dtype(cr.float64)
    made = make()
    assert {t.dtype for t in made.parameters()} == {np.dtype(np.float64)}
    assert made.config() == {**make().config(), **({"dtype": "float64"} if "dtype" in made.config() else {})}
    cr.set_default_dtype(cr.float32)
    cr.manual_seed(0)
    assert [(t.dtype, t.numpy().tobytes()) for t in make().parameters()] == before


def test_a_net_of_the_default_dtype() -> None:
    cr.set_default_dtype(cr.float64)
    x = cr.randn(20, 3, generator=cr.random.Generator(1))
    model = nn.Sequential(nn.Standardize(3), nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    nn.fit_preprocessing(model, x.numpy())
    history = cr.fit(model, x, x[:, :1], loss="mse", epochs=2, verbose=0)
    assert history.loss[1] < history.loss[0]
    assert model.predict([[0.1, 0.2, 0.3]]).dtype == np.float64
    assert nn.PCA(3, 2).fit(x)(x).dtype == np.float64


def test_predictions_follow() -> None:
    class Made(nn.Module):
        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return cr.astype(x, cr.zeros(1).dtype) + 0.1

    model, x = Made(), np.ones((2, 3), np.float32)
    predict = cr.Predictor(model, (3,))
    for dtype in (cr.float32, cr.float64, cr.float32):
        cr.set_default_dtype(dtype)
        for _ in range(3):
            assert model.predict(x).dtype == predict(x).dtype == dtype


def test_refused() -> None:
    for wrong in (np.int64, None, "float16"):
        with pytest.raises(TypeError, match=r"^set_default_dtype: expected float32 or float64"):
            cr.set_default_dtype(wrong)
    with pytest.raises(cr.CompileError, match=r"^set_default_dtype: the default is changed inside a compiled"):
        cr.compile(lambda: cr.set_default_dtype("float64"))()
    assert cr.get_default_dtype() == np.float32

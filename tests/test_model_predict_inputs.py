"""model.predict: inputs of all types and layouts, copies, threads, memory, layers."""

from __future__ import annotations

import copy
import gc
import pickle
import warnings
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.nn._evaluate import predict_eagerly
from support.predictions import assert_right, linear, net, rows
from support.variants import every_setting

# Inputs.


def test_ragged_batches_are_right_and_quiet() -> None:
    model = net()
    x = rows(1100)
    whole = model.predict(x)
    assert whole.tobytes() == predict_eagerly(model, x).tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in [*range(0, 120), 255, 256, 257, 511, 513, 1023, 1025, 1099]:
            assert model.predict(x[:n]).tobytes() == whole[:n].tobytes(), n


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("given", [np.float32, np.float64, np.float16, np.uint8, np.int32, np.int64, np.bool_, ">f4"])
def test_inputs_of_all_dtypes(given: Any, dtype: Any) -> None:
    model = nn.Sequential(linear(dtype=dtype), nn.Tanh())
    x = (rows(9, dtype=np.float64) * 3).astype(np.int64).astype(given)
    if np.dtype(given).kind == "f" and np.dtype(given).itemsize > 2:
        x = rows(9, dtype=np.float64).astype(given)
    assert_right(model, x)
    for shaped in (x.tolist(), np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2], cr.tensor(np.ascontiguousarray(x))):
        assert model.predict(shaped).tobytes() == predict_eagerly(model, np.asarray(shaped)).tobytes()


def test_float64_is_rounded_once() -> None:
    model = nn.Sequential(linear(5, 5), nn.Tanh())
    x = np.array([[1 + 2.0**-24, 1e-46, 3e38, 1e39, np.nan]])
    assert_right(model, x)


def test_an_array_of_features_is_a_row() -> None:
    model = net()
    x = rows(1)
    for given in (x[0], x[0].astype(np.float64), x[0].tolist()):
        for _ in range(3):
            found = model.predict(given)
            assert found.shape == (4,)
            assert found.tobytes() == predict_eagerly(model, np.asarray(given)[None]).tobytes()
    assert nn.Tanh().predict(x[0]).shape == (5,)  # no layer says how many there are: numbers are rows
    with pytest.raises(ValueError, match="linear"):
        model.predict(np.zeros(4))


def test_rows_of_any_shape() -> None:
    model = nn.Sequential(linear(5, 4), nn.Tanh())
    for shape in ((3, 2, 5), (6, 5), (0, 5), (4, 1, 7, 5), (3, 2, 5)):
        assert_right(model, cr.random.Generator(seed=44).normal(shape))
    images = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.GlobalAvgPool2d())
    for shape in ((3, 2, 5, 6), (2, 2, 8, 4), (300, 2, 5, 6)):
        assert_right(images, cr.random.Generator(seed=45).normal(shape))


def test_errors_are_those_of_the_layers() -> None:
    model = net()
    for _ in range(3):
        with pytest.raises(ValueError, match=r"linear: x has 4 features, weight expects 5 \(x: \(3, 4\)"):
            model.predict(np.zeros((3, 4), np.float32))
        with pytest.raises(ValueError, match="X must have at least one dimension"):
            model.predict(3.0)
        with pytest.raises(TypeError, match="predict: X must be real numbers"):
            model.predict([["a"] * 5])
    assert_right(model)


def test_preprocessing() -> None:
    X = np.column_stack([rows(400, 3, np.float64), np.arange(400) % 3])
    model = nn.Sequential(nn.OneHot(4, {3: 3}), nn.Standardize(6), linear(6, 2))
    with pytest.raises(ValueError, match="not fitted"):
        model.predict(X)
    nn.fit_preprocessing(model, X)
    for n in (1, 6, 400):
        assert_right(model, X[:n])
    wrong = X.copy()
    wrong[301, 3] = 7
    with pytest.raises(ValueError, match=r"OneHot: x\[301, 3\] of this batch"):
        model.predict(wrong)
    nn.fit_preprocessing(model, X * np.array([2.0, 3.0, 4.0, 1.0]))
    assert_right(model, X)
    model[1].mean.copy_(np.full(6, np.nan))  # type: ignore[attr-defined]
    for _ in range(3):
        with pytest.raises(ValueError, match="not fitted"):
            model.predict(X)


# Copies, threads, memory.


@pytest.mark.parametrize("duplicate", [copy.deepcopy, copy.copy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_begin_without_programs(duplicate: Callable[[Any], Any]) -> None:
    model = net()
    assert_right(model)
    other = duplicate(model)
    if duplicate is not copy.copy:
        assert other._predictions is None
        other[0].weight.copy_(np.zeros((5, 8)))
    else:
        other.extra = 1
    assert_right(other)
    assert_right(model)
    assert b"PredictCache" not in pickle.dumps(model)
    assert list(model.state_dict()) == list(other.state_dict())


def test_a_model_is_freed_when_it_is_dropped() -> None:
    for make in (net, lambda: nn.Sequential(nn.Standardize(5).fit(rows(9)), linear())):
        model = make()
        assert_right(model)
        alive = weakref.ref(model)
        gc.disable()
        try:
            del model
            assert alive() is None
        finally:
            gc.enable()


def test_a_model_that_watches_its_own_mode_is_freed_by_the_collector() -> None:
    class Modal(nn.Module):
        def __init__(self) -> None:
            self.inner, self.me = linear(), self

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return x * 2.0 if self.training else self.inner(x)

    model = Modal()
    assert_right(model)
    alive = weakref.ref(model)
    del model
    gc.collect()
    assert alive() is None


def test_threads() -> None:
    model = net()
    x = rows(900)
    expected = predict_eagerly(model, x)
    with ThreadPoolExecutor(8) as pool:
        sizes = [n % 40 + 1 if n % 3 else 300 + n for n in range(400)]
        found = list(pool.map(lambda n: model.predict(x[:n]), sizes))
    for n, result in zip(sizes, found, strict=True):
        assert result.tobytes() == expected[:n].tobytes()
    assert all(module.training for module in model.modules())


def test_another_level_of_instructions() -> None:
    model = net()
    assert_right(model)
    for _ in every_setting():
        assert_right(model)


class Images(nn.Module):
    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return cr.reshape(cr.concatenate([x, x], 1)[:, :10], (-1, 1, 2, 5))


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "linear": linear,
    "activations": lambda: nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid(), nn.LeakyReLU(), nn.GELU(), nn.SiLU()),
    "more activations": lambda: nn.Sequential(nn.ELU(), nn.SELU(), nn.Softplus(), nn.Softsign(), nn.Hardtanh()),
    "maxout": lambda: nn.Maxout(5, 3, 2),
    "prelu": lambda: nn.PReLU(),
    "polynomials": lambda: nn.PolynomialFeatures(2, 5),
    "whiten": lambda: nn.Whiten(5).fit(rows(20)),
    "flatten": lambda: nn.Sequential(nn.Flatten(), linear()),
    "images": lambda: nn.Sequential(Images(), nn.Conv2d(1, 2, 2), nn.MaxPool2d(1), nn.Flatten(), linear(8, 3)),
    "softmax": lambda: nn.Sequential(linear(), nn.Softmax()),
    "dropout": lambda: nn.Sequential(nn.Dropout(0.5), linear()),
    "standardize": lambda: nn.Standardize(5).fit(rows(20)),
    "pca": lambda: nn.PCA(5, 2).fit(rows(20)),
    "one-hot": lambda: nn.OneHot(5, {1: 2}, unknown="zeros"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_of_the_package_are_compiled(name: str) -> None:
    """Also where a module of a user is around them: their rows are seen to be independent.

    Not the rows of polynomials: their constant column is written ahead of the loop over rows, so the rest of it after.
    """
    layer = LAYERS[name]()

    class Around(nn.Module):
        def __init__(self) -> None:
            self.inner = layer

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return self.inner(x) * 2.0

    assert_right(layer)
    assert_right(Around(), program=name != "polynomials")

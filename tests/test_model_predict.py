"""model.predict: compiled where the model allows it, the bits of model(x) always, whatever was done to the model."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import types
import warnings
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.inspect import saturation
from chainrule.nn._evaluate import predict_eagerly
from chainrule.nn._predictor import PredictCache
from support.variants import every_setting

SLOPE = 0.5
SETTINGS = types.SimpleNamespace(slope=0.25)


def rows(n: int, features: int = 5, dtype: Any = np.float32) -> np.ndarray:
    return cr.random.Generator(seed=31).normal((n, features), dtype=dtype)


def linear(inputs: int = 5, outputs: int = 4, seed: int = 32, **options: Any) -> nn.Linear:
    return nn.Linear(inputs, outputs, generator=cr.random.Generator(seed), **options)


def net() -> nn.Sequential:
    return nn.Sequential(linear(5, 8), nn.LeakyReLU(0.25), nn.Dropout(0.5), linear(8, 4, 33))


def cache(model: nn.Module) -> PredictCache:
    assert model._predictions is not None
    return model._predictions


def compiled(model: nn.Module) -> bool:
    """Whether the latest call left a program."""
    return bool(cache(model)._runs)


def assert_right(model: nn.Module, x: np.ndarray | None = None, program: bool = True) -> None:
    """Three calls, so that the model is compiled where it can be, give the bits of the ops one by one."""
    x = rows(6) if x is None else x
    expected = predict_eagerly(model, x)
    for _ in range(3):
        found = model.predict(x)
        assert found.tobytes() == expected.tobytes()
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    assert compiled(model) == program


class Own(nn.Module):
    """A module of a user, with all kinds of attributes."""

    rate = 0.5

    def __init__(self) -> None:
        self.first, self.blocks = linear(5, 4), [linear(4, 4, 34)]
        self.first.bias.copy_(np.ones(4))  # type: ignore[union-attr]
        self.table = {"scale": 2.0, "extra": linear(4, 4, 35)}
        self.shift = np.array([1.0, 2.0, 3.0, 4.0], np.float32)
        self.options = types.SimpleNamespace(slope=0.5, names=["a"])
        self.plain = cr.tensor([1.0, 2.0, 3.0, 4.0])

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        x = self.squash(self.first(x)) * self.table["scale"] + self.shift
        for block in self.blocks:
            x = block(x)
        x = x + self.table["extra"](x) * self.options.slope * len(self.options.names) + self.plain
        return cr.leaky_relu(x, self.rate * SLOPE * SETTINGS.slope)

    def squash(self, x: cr.Tensor) -> cr.Tensor:
        return cr.tanh(x)


# Changes of the model.


def replace_data(model: Own) -> None:
    model.first.weight._data = model.first.weight._data * np.float32(2)


CHANGES: dict[str, Callable[[Own], object]] = {
    "values": lambda m: m.first.weight.copy_(m.first.weight.numpy() * 2),
    "state dict": lambda m: m.load_state_dict({name: value * 2 for name, value in m.state_dict().items()}),
    "memory of a parameter": replace_data,
    "parameter": lambda m: setattr(m.first, "weight", nn.Parameter(np.ones((5, 4), np.float32))),
    "no bias": lambda m: setattr(m.first, "bias", None),
    "layer": lambda m: setattr(m, "first", linear(5, 4, 36)),
    "layer of a list": lambda m: m.blocks.__setitem__(0, linear(4, 4, 37)),
    "appended layer": lambda m: m.blocks.append(linear(4, 4, 38)),
    "removed layer": lambda m: m.blocks.pop(),
    "another list": lambda m: setattr(m, "blocks", [linear(4, 4, 39), nn.Tanh()]),
    "number in a dict": lambda m: m.table.update(scale=3.0),
    "layer in a dict": lambda m: m.table.update(extra=linear(4, 4, 40)),
    "array": lambda m: m.shift.__setitem__(2, 9.0),
    "array of a new name": lambda m: setattr(m, "shift", np.zeros(4, np.float32)),
    "tensor": lambda m: m.plain.copy_([4.0, 3.0, 2.0, 1.0]),
    "attribute of an object": lambda m: setattr(m.options, "slope", -1.0),
    "list of an object": lambda m: m.options.names.append("b"),
    "attribute of the instance": lambda m: setattr(m, "rate", 0.125),
    "forward": lambda m: setattr(m, "forward", lambda x: cr.exp(m.first(x))),
    "method": lambda m: setattr(m, "squash", cr.sigmoid),
    "dict of the instance": lambda m: setattr(m, "__dict__", {**vars(m), "rate": 0.0625}),
    "class": lambda m: setattr(m, "__class__", Other),
}


class Other(Own):
    def squash(self, x: cr.Tensor) -> cr.Tensor:
        return cr.relu(x)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changes_are_seen(change: Callable[[Own], object]) -> None:
    model = Own()
    assert_right(model)
    before = model.predict(rows(6))
    change(model)
    after = model.predict(rows(6))
    assert after.tobytes() == predict_eagerly(model, rows(6)).tobytes() != before.tobytes()
    assert_right(model)


@pytest.mark.parametrize("name", ["SLOPE", "SETTINGS", "SETTINGS.slope", "rate", "squash", "code"])
def test_changes_of_code_around_the_model_are_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Own()
    assert_right(model)
    before = model.predict(rows(6))
    if name == "SLOPE":
        monkeypatch.setitem(globals(), "SLOPE", 0.75)
    elif name == "SETTINGS":
        monkeypatch.setitem(globals(), "SETTINGS", types.SimpleNamespace(slope=0.75))
    elif name == "SETTINGS.slope":
        monkeypatch.setattr(SETTINGS, "slope", 0.75)
    elif name == "rate":
        monkeypatch.setattr(Own, "rate", 0.75)
    elif name == "squash":
        monkeypatch.setattr(Own, "squash", lambda self, x: cr.sigmoid(x))
    else:
        monkeypatch.setattr(Own.squash, "__code__", Other.squash.__code__)
    after = model.predict(rows(6))
    assert after.tobytes() == predict_eagerly(model, rows(6)).tobytes() != before.tobytes()


def test_a_closure_is_seen() -> None:
    slope = 0.5

    class Closed(nn.Module):
        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return cr.leaky_relu(x, slope)

    model = Closed()
    assert_right(model)
    slope = 0.25
    assert_right(model)


def test_layers_of_a_sequential() -> None:
    model = net()
    assert_right(model)
    model.append(nn.Softmax())
    assert_right(model)
    model._layers[0] = linear(5, 8, 41)
    assert_right(model)
    model[1].negative_slope = 0.5  # type: ignore[attr-defined]
    assert_right(model)
    del model._layers[-1]
    assert_right(model)


def test_it_is_evaluation_whatever_the_mode() -> None:
    model = net()
    expected = model.predict(rows(6)).tobytes()
    for change in (model.train, model.eval, model[2].train, model[2].eval, model.train):
        runs = cache(model)._runs
        change()
        modes = [module.training for module in model.modules()]
        assert model.predict(rows(6)).tobytes() == expected
        assert [module.training for module in model.modules()] == modes
        assert cache(model)._runs is runs  # nothing was compiled again
    with cr.no_grad():
        assert model.predict(rows(6)).tobytes() == expected


def test_the_mode_of_a_module_beside_the_model() -> None:
    class Beside(nn.Module):
        def __init__(self) -> None:
            self.inside = {"drop": nn.Dropout(0.5, generator=cr.random.Generator(seed=42)).eval()}

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return self.inside["drop"](x)

    model = Beside()
    assert_right(model)
    model.inside["drop"].train()
    state = cr.random.Generator(seed=42)
    expected = cr.dropout(cr.tensor(rows(6)), 0.5, generator=state).numpy()
    assert model.predict(rows(6)).tobytes() == expected.tobytes()


def test_training_between_predictions() -> None:
    model = net()
    optimizer = cr.optim.SGD(model.parameters(), lr=0.1)
    assert_right(model)
    runs = cache(model)._runs
    seen = set()
    for _ in range(3):
        labels = np.arange(6) % 4
        cr.fit(model, rows(6), labels, loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=1, progress=False)
        found = model.predict(rows(6))
        assert found.tobytes() == predict_eagerly(model, rows(6)).tobytes()
        seen.add(found.tobytes())
    assert len(seen) == 3
    assert cache(model)._runs is runs


# Models that cannot be compiled.


class Branching(nn.Module):
    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return x * 2.0 if cr.sum(x).item() > 0 else x


class Counting(nn.Module):
    calls = 0

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        self.calls += 1
        return x * float(self.calls)


class CountingInTheClass(nn.Module):
    calls = 0

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        type(self).calls += 1
        return x * float(self.calls)


class Logging(nn.Module):
    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        self.shapes.append(x.shape)
        return x * float(len(self.shapes))


class Averaging(nn.Module):
    """State that forward overwrites."""

    def __init__(self) -> None:
        self.mean = nn.Buffer(np.zeros(5, np.float32))

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        self.mean.copy_(self.mean + 1.0)
        return x + self.mean


class Noisy(nn.Module):
    def __init__(self) -> None:
        self.generator = cr.random.Generator(seed=43)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return cr.dropout(x, 0.5, generator=self.generator)


class NumpyNoise(nn.Module):
    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return x + np.random.normal(size=5).astype(np.float32)


class Centred(nn.Module):
    """Rows that depend on each other."""

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return x - cr.mean(x, axis=0)


class Nested(nn.Module):
    def __init__(self) -> None:
        self.inner = net()

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return cr.tensor(self.inner.predict(x.numpy())) * 2.0


class Lazy(nn.Module):
    weight: nn.Parameter

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        if not hasattr(self, "weight"):
            self.weight = nn.Parameter(np.full((x.shape[1], 2), 0.5, np.float32))
        return cr.matmul(x, self.weight)


class Slotted(nn.Module):
    __slots__ = ("scale",)

    def __init__(self) -> None:
        self.scale = 2.0

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return x * self.scale


class Locked(nn.Module):
    def __init__(self) -> None:
        self.lock = threading.Lock()

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        with self.lock:
            return cr.exp(x)


@pytest.mark.parametrize("make", [Branching, Centred, Nested, Slotted, Locked])
def test_models_that_run_op_by_op(make: type[nn.Module]) -> None:
    model = make()
    assert_right(model, rows(40), program=False)
    assert_right(model, rows(6), program=False)
    assert_right(model, rows(300), program=False)


@pytest.mark.parametrize("make", [Counting, CountingInTheClass, Logging, Averaging, Noisy, NumpyNoise])
def test_forwards_with_effects(make: type[nn.Module]) -> None:
    """Every call is one run of forward, as if nothing was ever traced."""
    results = []
    for predict in (lambda model, x: model.predict(x), predict_eagerly):
        np.random.seed(1)
        if make is CountingInTheClass:
            CountingInTheClass.calls = 0
        model = make()
        results.append([predict(model, rows(n)).tobytes() for n in (4, 4, 4, 300, 4, 4)])
    assert results[0] == results[1]


def test_slots_are_read() -> None:
    model = Slotted()
    assert_right(model, program=False)
    model.scale = 3.0
    assert_right(model, program=False)


def test_a_lazy_layer_is_compiled_when_it_is_made() -> None:
    model = Lazy()
    first = model.predict(rows(6))
    assert list(dict(model.named_parameters())) == ["weight"]
    assert_right(model)
    assert model.predict(rows(6)).tobytes() == first.tobytes()


def test_a_model_that_changes_at_every_call_is_not_traced_again_and_again() -> None:
    model = net()
    for i in range(1, 9):
        model[1].negative_slope = i / 16  # type: ignore[attr-defined]
        assert model.predict(rows(6)).tobytes() == predict_eagerly(model, rows(6)).tobytes()
        assert not compiled(model)


def test_inside_of_a_compiled_function() -> None:
    model = net()
    model.predict(rows(6))
    with pytest.raises(cr.CompileError):
        cr.compile(lambda x: cr.tensor(model.predict(x)) * 2.0)(rows(6))
    assert_right(model)


def test_calls_of_layers_are_recorded() -> None:
    model = nn.Sequential(linear(), nn.Tanh())
    assert_right(model)
    assert "Tanh" in str(saturation(model, rows(6)))


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
    assert Branching().predict(x[0]).shape == (5,)  # no layer says how many there are: numbers are rows
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
    for make in (net, Own, lambda: nn.Sequential(nn.Standardize(5).fit(rows(9)), linear())):
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


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_layers_of_the_package_are_compiled(make: Callable[[], nn.Module]) -> None:
    """Also where a module of a user is around them: their rows are seen to be independent."""
    layer = make()

    class Around(nn.Module):
        def __init__(self) -> None:
            self.inner = layer

        def forward(self, x: cr.Tensor) -> cr.Tensor:
            return self.inner(x) * 2.0

    assert_right(layer)
    assert_right(Around())

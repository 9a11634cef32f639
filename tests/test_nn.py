"""Layers, losses and Module's registration of parameters, buffers and submodules."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from cases.layers import CALLABLE, example
from chainrule import nn
from reference import assert_same_bits


def net(dtype: type = np.float32) -> nn.Sequential:
    generator = cr.random.Generator(seed=5)
    return nn.Sequential(
        nn.Linear(4, 3, generator=generator, dtype=dtype), nn.Tanh(), nn.Linear(3, 2, generator=generator, dtype=dtype)
    )


class Branches(nn.Module):
    """Attributes, a list, a shared layer, a bare parameter and things that are none of these."""

    def __init__(self) -> None:
        self.scale = nn.Parameter([2.0])
        self.size = 7
        self.layers = [nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 1, bias=False))]
        self.again = self.layers[0]

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return self.layers[1](self.again(x)) * self.scale


def test_members_have_names_and_come_once() -> None:
    model = Branches()
    names = [name for name, _ in model.named_parameters()]
    assert names == ["scale", "layers.0.weight", "layers.0.bias", "layers.1.0.weight"]
    assert [name for name, _ in model.named_modules()] == ["", "layers.0", "layers.1", "layers.1.0"]
    assert [name for name, _ in model.named_children()] == ["layers.0", "layers.1", "again"]
    assert next(iter(model.parameters())) is model.scale
    assert len(list(model.modules())) == 4
    assert len(list(model.children())) == 3
    assert [name for name, _ in net().named_parameters("net")][:1] == ["net.0.weight"]


def test_deep_nesting_needs_no_recursion() -> None:
    model = nn.Sequential(nn.Linear(1, 1))
    for _ in range(20_000):
        model = nn.Sequential(model)
    assert len(list(model.parameters())) == 2
    assert model.eval().training is False


def test_train_and_eval_reach_every_module() -> None:
    model = Branches()
    assert model.training
    assert model.eval() is model
    assert [module.training for module in model.modules()] == [False] * 4
    assert [module.training for module in model.train().modules()] == [True] * 4


def test_state_dict_copies_and_loads() -> None:
    a, b = net(), net()
    state = a.state_dict()
    for value in state.values():
        value += 1
    assert not np.array_equal(state["0.weight"], a[0].weight.numpy())
    b.load_state_dict(state)
    state["0.weight"][:] = 9
    np.testing.assert_array_equal(b[0].weight.numpy(), a[0].weight.numpy() + np.float32(1))
    np.testing.assert_array_equal(b[2].bias.numpy(), np.ones(2, np.float32))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"2.bias": None}, ValueError, "missing 2.bias"),
        ({"new": np.zeros(1)}, ValueError, "unknown new"),
        ({"2.bias": np.zeros(3, np.float32)}, ValueError, r"2.bias has shape \(2,\), the value \(3,\)"),
        ({"2.bias": cr.zeros(2, dtype=float)}, TypeError, "2.bias is float32, the value float64; convert with astype"),
        ({"2.bias": np.zeros(2, complex)}, TypeError, "2.bias is float32, the value complex128"),
        (
            {"2.bias": np.array([1.0, -1e39])},
            ValueError,
            r"2.bias is float32, .* not reach to .* -1e\+39",
        ),
    ],
)
def test_load_state_dict_changes_nothing_on_error(
    change: dict[str, np.ndarray | None], error: type[Exception], message: str
) -> None:
    model = net()
    before = model.state_dict()
    state = {name: value + 1 for name, value in before.items()} | change
    with pytest.raises(error, match=message):
        model.load_state_dict({name: value for name, value in state.items() if value is not None})
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_load_state_dict_not_strict() -> None:
    model = net()
    model.load_state_dict({"2.bias": np.full(2, 5, np.float32), "new": np.zeros(1)}, strict=False)
    assert model[2].bias.numpy().tolist() == [5, 5]


def test_zero_grad() -> None:
    model = net()
    cr.sum(model(np.ones((1, 4), np.float32))).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    model.zero_grad()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_repr_is_a_tree() -> None:
    assert repr(nn.Sequential(nn.LeakyReLU(0.5), nn.Sequential(nn.Flatten()))) == (
        "Sequential(\n  0: LeakyReLU(negative_slope=0.5)\n  1: Sequential(\n    0: Flatten()\n  )\n)"
    )
    assert "in_features=4" in repr(net())


def test_sequential_is_a_list_of_modules() -> None:
    model = net()
    assert len(model) == 3
    assert isinstance(model[-1], nn.Linear)
    assert list(model) == [model[0], model[1], model[2]]
    part = model[:2]
    assert isinstance(part, nn.Sequential)
    assert part[0] is model[0]
    assert len(part) == 2
    assert model.append(nn.ReLU()) is model
    assert len(model) == 4
    with pytest.raises(TypeError, match="layer 1 is not a Module but int"):
        nn.Sequential(nn.ReLU(), 3)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError, match="Module: forward is not implemented"):
        nn.Module()(1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("init", "square"), [("glorot", 6 / (300 + 200)), ("he", 6 / 300)])
def test_linear_initialisation(dtype: type, init: str, square: float) -> None:
    layer = nn.Linear(300, 200, dtype=dtype, init=init, generator=cr.random.Generator(seed=2))
    weight = layer.weight.numpy()
    bound = dtype(np.sqrt(dtype(square)))
    assert weight.dtype == dtype
    assert weight.shape == (300, 200)
    assert np.abs(weight).max() <= bound * (1 + 1e-6)
    assert np.abs(weight).max() > 0.999 * bound
    np.testing.assert_allclose(weight.var(dtype=np.float64), square / 3, rtol=0.02)
    assert abs(weight.mean(dtype=np.float64)) < 0.01 * bound
    assert layer.bias is not None
    assert (layer.bias.numpy() == 0).all()
    assert layer.bias.dtype == dtype
    again = nn.Linear(300, 200, dtype=dtype, init=init, generator=cr.random.Generator(seed=2))
    assert again.weight.numpy().tobytes() == weight.tobytes()


def test_linear_draws_from_the_seeded_generator() -> None:
    cr.manual_seed(11)
    a, b = nn.Linear(5, 5), nn.Linear(5, 5)
    cr.manual_seed(11)
    c = nn.Linear(5, 5)
    assert a.weight.numpy().tobytes() == c.weight.numpy().tobytes() != b.weight.numpy().tobytes()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"in_features": 0}, ValueError, "in_features must be an integer of at least 1, got 0"),
        ({"out_features": 2.0}, ValueError, "out_features must be an integer"),
        ({"out_features": True}, ValueError, "out_features must be an integer"),
        ({"init": "xavier"}, ValueError, "init must be one of glorot, he, torch, got 'xavier'"),
        ({"dtype": np.int64}, TypeError, "dtype must be float32 or float64, got int64"),
    ],
)
def test_linear_rejects(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        nn.Linear(**{"in_features": 3, "out_features": 2, **arguments})  # type: ignore[arg-type]


def test_linear_formula_and_shape_error() -> None:
    layer = nn.Linear(3, 2)
    layer.load_state_dict({"weight": np.arange(6, dtype=np.float32).reshape(3, 2), "bias": np.float32([10, 20])})
    assert layer(np.float32([[1, 2, 3]])).numpy().tolist() == [[16 + 10, 22 + 20]]
    assert nn.Linear(3, 2, bias=False).bias is None
    with pytest.raises(ValueError, match="linear: x has 4 features, weight expects 3"):
        layer(np.ones((5, 4), np.float32))


X = np.array([[-2.0, -0.0, 0.5], [3.0, -0.25, 100.0]])


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.ReLU(), np.maximum(X, 0)),
        (nn.LeakyReLU(), np.where(X > 0, X, 0.01 * X)),
        (nn.LeakyReLU(0.3), np.where(X > 0, X, 0.3 * X)),
        (nn.Sigmoid(), 1 / (1 + np.exp(-X))),
        (nn.Tanh(), np.tanh(X)),
        (nn.Softplus(), np.logaddexp(0, X)),
        (nn.Softmax(), np.exp(X - 100) / np.exp(X - 100).sum(axis=1, keepdims=True)),
        (nn.Softmax(axis=0), np.exp(X) / np.exp(X).sum(axis=0)),
        (nn.Flatten(), X),
    ],
    ids=lambda value: repr(value) if isinstance(value, nn.Module) else "",
)
def test_activations(layer: nn.Module, expected: np.ndarray) -> None:
    np.testing.assert_allclose(layer(X).numpy(), expected, rtol=1e-14, atol=1e-300)
    rebuilt = type(layer)(**layer.config())
    assert rebuilt(X).numpy().tobytes() == layer(X).numpy().tobytes()


def test_flatten_joins_all_axes_but_the_first() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(nn.Flatten()(x).numpy(), x.reshape(2, 12))
    assert nn.Flatten()(np.zeros((0, 3, 4))).shape == (0, 12)
    assert nn.Flatten()(np.zeros(5)).shape == (5, 1)


LOGITS = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]])
LOG_SOFTMAX = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))
TARGET = np.array([[0.0, 1.0, 0.25], [0.5, 0.0, 1.0]])
LABELS = np.array([2, 0])
LOSSES = {
    nn.MSELoss: ((LOGITS, TARGET), (LOGITS - TARGET) ** 2),
    nn.CrossEntropyLoss: ((LOGITS, LABELS), -LOG_SOFTMAX[[0, 1], LABELS]),
    nn.BCEWithLogitsLoss: (
        (LOGITS, TARGET),
        TARGET * np.log1p(np.exp(-LOGITS)) + (1 - TARGET) * np.log1p(np.exp(LOGITS)),
    ),
}


@pytest.mark.parametrize("kind", LOSSES, ids=lambda kind: kind.__name__)
def test_losses(kind: type[nn.Module]) -> None:
    (prediction, target), each = LOSSES[kind]
    arguments = cr.tensor(prediction), cr.tensor(target)
    np.testing.assert_allclose(kind(reduction="none")(*arguments).numpy(), each, rtol=1e-14)
    np.testing.assert_allclose(kind(reduction="sum")(*arguments).item(), each.sum(), rtol=1e-14)
    np.testing.assert_allclose(kind()(*arguments).item(), each.mean(), rtol=1e-14)
    assert kind(reduction="sum").config()["reduction"] == "sum"
    with pytest.raises(ValueError, match="reduction must be mean, sum or none, got 'max'"):
        kind(reduction="max")


@pytest.mark.parametrize("kind", [nn.MSELoss, nn.BCEWithLogitsLoss])
def test_losses_never_broadcast(kind: type[nn.Module]) -> None:
    with pytest.raises(ValueError, match=r"\(4, 1\)"):
        kind()(cr.tensor(np.zeros((4, 1))), cr.tensor(np.zeros(4)))


def test_predict_does_not_depend_on_the_batch() -> None:
    model = net()
    x = cr.random.Generator(seed=8).normal((37, 4))
    whole = model.predict(x)
    assert whole.shape == (37, 2)
    assert whole.dtype == np.float32
    for batch_size in (1, 2, 36, 37, 1000):
        assert model.predict(x, batch_size=batch_size).tobytes() == whole.tobytes()
    whole[:] = 0  # the caller's own array
    np.testing.assert_array_equal(model.predict(x[:1]), model(x[:1]).numpy())


@pytest.mark.parametrize("given", [np.float64, np.float16, np.uint8, np.int32, np.int64, np.bool_, ">f4", "f4"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_predict_converts_numbers(given: str | type, dtype: type) -> None:
    x = np.array([[0, 1, 1, 0], [1, 1, 0, 1]]).astype(given)
    model = net(dtype)
    np.testing.assert_array_equal(model.predict(x), model(x.astype(dtype)).numpy())
    assert model.predict(x).dtype == dtype


def test_predict_edges() -> None:
    model = net()
    assert model.predict(np.zeros((0, 4))).shape == (0, 2)
    assert model.predict([[1, 2, 3, 4]]).shape == (1, 2)
    with pytest.raises(TypeError, match="predict: X must be real numbers, got dtype complex128"):
        model.predict(np.zeros((1, 4), complex))
    with pytest.raises(TypeError, match="got dtype <U1"):
        model.predict([["a"] * 4])
    with pytest.raises(ValueError, match="X must have at least one dimension"):
        model.predict(3.0)
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        model.predict(np.zeros((1, 4)), batch_size=0)
    mixed = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4, dtype=np.float64))
    with pytest.raises(TypeError, match="the parameters mix float32 and float64"):
        mixed.predict(np.zeros((1, 4)))


def test_predict_runs_in_evaluation_mode_without_gradients() -> None:
    seen = []

    class Spy(nn.Module):
        def forward(self, x: cr.Tensor) -> cr.Tensor:
            seen.append((self.training, cr.is_grad_enabled()))
            if len(seen) == 2:
                raise RuntimeError("stop")
            return x

    model = nn.Sequential(nn.Linear(2, 2).eval(), Spy())
    model.predict(np.zeros((1, 2)))
    with pytest.raises(RuntimeError):
        model.predict(np.zeros((1, 2)))
    assert seen == [(False, False)] * 2
    assert cr.is_grad_enabled()
    assert [module.training for module in model.modules()] == [True, False, True]


def test_every_layer_is_in_the_registry() -> None:
    public = [getattr(nn, name) for name in nn.__all__]
    layers = {kind for kind in public if isinstance(kind, type) and issubclass(kind, nn.Module)} - {nn.Module}
    assert layers == set(nn.LAYERS.values())
    assert all(name == kind.__name__ for name, kind in nn.LAYERS.items())


@pytest.mark.parametrize("name", CALLABLE)
def test_compiled_layers_are_the_eager_ones(name: str) -> None:
    """Value and gradient of the example in the docstring, bit by bit; of several results the first."""
    found = example(nn.LAYERS[name])
    module, inputs = found.layer.eval(), [cr.tensor(x) for x in found.inputs]

    def layer(*x: cr.Tensor) -> cr.Tensor:
        y = module(*x)
        return y[0] if isinstance(y, tuple) else y

    def step(*x: cr.Tensor) -> tuple[cr.Tensor, ...]:
        y = layer(*x)
        module.zero_grad()
        categories = x[0].dtype.kind == "i"
        gradients = [] if categories else [cr.grad(lambda v: cr.sum(cr.square(layer(v, *x[1:]))))(x[0])]
        cr.backward(cr.sum(cr.square(y))) if y.requires_grad else None
        gradients += [p.grad for p in module.parameters() if p.grad is not None]
        return y, *[g * 1.0 for g in gradients]

    expected, got = step(*inputs), cr.compile(step)(*inputs)
    for a, b in zip(got, expected, strict=True):
        assert_same_bits(a.numpy(), b.numpy(), name)


SIMPLE = {
    "ReLU6": lambda x: np.clip(x, 0, 6),
    "Hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "CELU": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "Softplus": lambda x: np.logaddexp(x, 0),
    "Softshrink": lambda x: np.where(abs(x) <= 0.5, 0, x - 0.5 * np.sign(x)),
    "Hardshrink": lambda x: np.where(abs(x) <= 0.5, 0, x),
    "Tanhshrink": lambda x: x - np.tanh(x),
    "Identity": lambda x: x,
}


def test_identity_of_an_array_is_a_tensor() -> None:
    assert isinstance(nn.Identity()(np.ones(2)), cr.Tensor)


@pytest.mark.parametrize("name", SIMPLE)
def test_activations_of_several_ops(name: str) -> None:
    x = np.concatenate([np.linspace(-8, 8, 65), [-np.inf, np.inf, np.nan, 0.0, -0.0]])
    layer = getattr(nn, name)()
    with np.errstate(invalid="ignore"):
        expected = SIMPLE[name](x)
    if name == "Hardswish":
        expected[np.isneginf(x)] = np.nan  # inf times 0, as PyTorch
    np.testing.assert_allclose(layer(cr.tensor(x)).numpy(), expected, rtol=1e-14)


def test_arguments_of_activations() -> None:
    x = np.random.default_rng(0).standard_normal((4, 6))
    np.testing.assert_allclose(
        nn.CELU(0.5)(cr.tensor(x)).numpy(), np.maximum(x, 0) + 0.5 * np.expm1(np.minimum(x, 0) / 0.5)
    )
    gates = 1 / (1 + np.exp(-x[2:]))
    np.testing.assert_allclose(nn.GLU(dim=0)(cr.tensor(x)).numpy(), x[:2] * gates)
    assert nn.Threshold(0.25, -1.0)(cr.tensor(x)).tolist() == np.where(x > 0.25, x, -1.0).tolist()
    assert np.isnan(nn.Threshold(0.25, -1.0)(cr.tensor([np.nan])).numpy()).all()
    assert nn.Softmin(dim=0)(cr.tensor(x)).tolist() == cr.softmax(-x, 0).tolist()
    assert nn.Softshrink(0.25)(cr.tensor(x)).tolist() == cr.softshrink(x, 0.25).tolist()
    assert nn.Hardshrink(0.25)(cr.tensor(x)).tolist() == cr.hardshrink(x, 0.25).tolist()
    smooth = np.log1p(np.exp(0.5 * x)) / 0.5
    np.testing.assert_allclose(nn.Softplus(0.5)(cr.tensor(x)).numpy(), smooth)
    np.testing.assert_allclose(nn.Softplus(0.5, 0.25)(cr.tensor(x)).numpy(), np.where(0.5 * x > 0.25, x, smooth))
    assert nn.Softplus().config() == {}
    assert nn.LogSoftmax(dim=0)(cr.tensor(x)).tolist() == cr.log_softmax(x, 0).tolist()
    assert nn.Softmax(dim=0)(cr.tensor(x)).tolist() == cr.softmax(x, 0).tolist()
    for call, error in (
        (lambda: nn.CELU(0.0), "CELU: alpha"),
        (lambda: nn.Softplus(0.0), "Softplus: beta"),
        (lambda: nn.Softshrink(-1.0), "Softshrink: lambd"),
        (lambda: nn.Hardsigmoid(True), "Hardsigmoid: slope must be a number"),
        (lambda: nn.Dropout(0.5, True), "write inplace=True"),  # type: ignore[arg-type]
        (lambda: nn.GLU()(cr.tensor(x[:, :3])), "glu: axis -1"),
        (lambda: nn.Softmax(1, dim=0), "Softmax: axis and dim"),
        (lambda: nn.LogSoftmax(keepdim=True), "LogSoftmax: there is no argument"),
    ):
        with pytest.raises((TypeError, ValueError), match=error):
            call()

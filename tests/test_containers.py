"""Containers of modules, hooks, and methods that change a whole model."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.nn._registry import REGISTERED
from reference import assert_same_bits
from reference.bits import Array

X = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)


def linear(seed: int, outputs: int = 3) -> nn.Linear:
    return nn.Linear(3, outputs, generator=cr.random.Generator(seed))


def nested() -> nn.Sequential:
    return nn.Sequential(nn.Residual(linear(1), nn.Tanh()), linear(2))


def test_containers_are_saved_with_what_is_inside(tmp_path: Path) -> None:
    shared = linear(3)
    parts = nn.ModuleDict({"body": nested(), "heads": nn.ModuleList([linear(4, 2), nn.ModuleDict(), shared])})
    parts["again"] = shared
    cr.save(parts, tmp_path / "m")
    loaded = cr.load(tmp_path / "m")
    assert repr(loaded) == repr(parts)
    assert {k: v.tobytes() for k, v in loaded.state_dict().items()} == {
        k: v.tobytes() for k, v in parts.state_dict().items()
    }
    assert loaded["again"] is loaded["heads"][2]
    assert_same_bits(loaded["body"].predict(X), parts["body"].predict(X), "body")  # type: ignore[attr-defined]


def test_a_list_of_modules() -> None:
    a, b, c = linear(1), nn.Tanh(), linear(2)
    layers = nn.ModuleList([a]).append(c)
    layers.insert(1, b)
    assert list(layers) == [a, b, c]
    assert layers[-1] is c
    assert isinstance(layers[1:], nn.ModuleList)
    assert [name for name, _ in layers.named_parameters()] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    layers[1] = linear(5)
    del layers[0]
    layers.extend([b])
    assert len(layers) == 3
    with pytest.raises(NotImplementedError, match="ModuleList: a list of modules cannot be called"):
        layers(X)
    with pytest.raises(TypeError, match="ModuleList: layer 3 is not a Module but int"):
        layers.append(3)  # type: ignore[arg-type]


def test_a_dict_of_modules() -> None:
    parts = nn.ModuleDict([("a", linear(1)), ("b", nn.Tanh())])
    assert ("a" in parts, len(parts), list(parts.keys())) == (True, 2, ["a", "b"])
    tanh = parts.pop("b")
    parts.update({"c": tanh})
    assert [*parts.values()][1] is tanh
    assert [name for name, _ in parts.items()] == ["a", "c"]
    del parts["c"]
    assert "c" not in parts
    for name in ("", "a.b", 3):
        with pytest.raises(TypeError, match="names must be strings without dots"):
            parts[name] = tanh  # type: ignore[index]
    with pytest.raises(TypeError, match="ModuleDict: d is not a Module but int"):
        parts["d"] = 3  # type: ignore[assignment]
    with pytest.raises(NotImplementedError, match="ModuleDict: a dict of modules cannot be called"):
        parts(X)


class Weighted(nn.Module):
    """Parameters in containers, one of them twice."""

    def __init__(self) -> None:
        self.parts = nn.ParameterList([np.float32([1.0, 2.0, 3.0]), nn.Parameter([[0.5]])])
        self.named = nn.ParameterDict({"left": cr.ones(3), "again": self.parts[0]})

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        return x * self.parts[0] * self.named["left"] + self.parts[1]


def test_containers_of_parameters(tmp_path: Path) -> None:
    model = Weighted()
    assert [name for name, _ in model.named_parameters()] == ["parts.0", "parts.1", "named.left"]
    assert all(isinstance(p, nn.Parameter) for p in model.parameters())
    loss = cr.compile(lambda x: cr.sum(cr.square(model(x))))
    optimizer = cr.optim.SGD(model.parameters(), lr=0.01)
    before = loss(X).item()
    cr.sum(cr.square(model(cr.tensor(X)))).backward()
    optimizer.step()
    assert loss(X).item() < before
    model.double()
    assert model.parts[0].dtype == np.float64
    for part in (model.parts, model.named, nn.Sequential(nn.Linear(3, 3)), nn.ModuleDict({"a": model.parts})):
        cr.save(part, tmp_path / "m")
        loaded = cr.load(tmp_path / "m")
        assert repr(loaded) == repr(part)
        assert {k: v.tolist() for k, v in loaded.state_dict().items()} == {
            k: v.tolist() for k, v in part.state_dict().items()
        }
    both = nn.ModuleDict({"a": model.parts, "b": nn.ParameterList([model.parts[1]])})
    cr.save(both, tmp_path / "m")
    again: Any = cr.load(tmp_path / "m")
    assert again["b"][0] is again["a"][1]


def test_a_list_and_a_dict_of_parameters() -> None:
    values = nn.ParameterList().append(np.float32([1.0])).extend([cr.ones(2), cr.zeros(1)])
    assert len(values) == len([*values]) == 3
    assert [p.shape for p in values[1:]] == [(2,), (1,)]
    values[-1] = cr.ones(4)
    assert values[2].shape == (4,)
    named = nn.ParameterDict([("a", cr.ones(1))])
    named.update({"b": cr.ones(2)})
    assert list(named) == list(named.keys()) == ["a", "b"]
    assert "b" in named
    assert [p.shape for p in named.values()] == [p.shape for _, p in named.items()] == [(1,), (2,)]
    assert named.pop("b").shape == (2,)
    del named["a"]
    assert len(named) == 0
    for call, error in (
        (lambda: named.update({"a.b": cr.ones(1)}), "names must be strings without dots"),
        (lambda: values.append(cr.ones(2, requires_grad=True) * 2), "computed by an op"),
        (lambda: values.__setitem__(5, cr.ones(1)), "range"),
    ):
        with pytest.raises((TypeError, ValueError, IndexError), match=error):
            call()
    for container in (values, named):
        with pytest.raises(NotImplementedError, match="cannot be called"):
            container(X)


def test_residual() -> None:
    inside = linear(1)
    assert_same_bits(nn.Residual(inside, nn.Tanh())(X).numpy(), (X + cr.tanh(inside(X))).numpy(), "")
    with pytest.raises(ValueError, match=r"Residual: the layers change the shape from \(5, 3\) to \(5, 2\)"):
        nn.Residual(linear(1, 2))(X)


class Own(nn.Module):
    """Dicts and lists in each other, one module twice."""

    def __init__(self, width: int) -> None:
        self.width = width
        shared = nn.Linear(width, width)
        self.parts = {"a": [shared, {"deep": nn.Linear(width, width)}], 3: nn.Tanh()}
        self.again = ({"same": shared},)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        first, second = self.parts["a"]  # type: ignore[misc]
        return self.again[0]["same"](second["deep"](first(x)))  # type: ignore[index]

    def config(self) -> dict[str, Any]:
        return {"width": self.width}


def test_nested_members_are_found_and_saved(tmp_path: Path) -> None:
    nn.register_serializable(Own)
    try:
        model = nn.Sequential(Own(3), linear(2))
        assert [name for name, _ in model[0].named_modules()] == ["", "parts.a.0", "parts.a.1.deep", "parts.3"]
        cr.save(model, tmp_path / "m")
        loaded = cr.load(tmp_path / "m")
        assert_same_bits(loaded.predict(X), model.predict(X), "")
        inner = loaded[0]
        assert inner.again[0]["same"] is inner.parts["a"][0]
    finally:
        del REGISTERED["Own"]


# Hooks.


def test_hooks_change_arguments_and_output() -> None:
    layer, seen = linear(1), list[str]()
    expected = (2 * layer(cr.tensor(X) + 1)).numpy()

    def before(module: nn.Module, args: tuple[Any, ...]) -> Any:
        assert module is layer
        seen.append("before")
        return args[0] + 1

    def after(module: nn.Module, args: tuple[Any, ...], output: cr.Tensor) -> Any:
        seen.append("after")
        assert_same_bits(args[0].numpy(), X + 1, "the arguments are the changed ones")
        return 2 * output

    handles = [layer.register_forward_hook(after), layer.register_forward_pre_hook(before)]
    assert_same_bits(layer(cr.tensor(X)).numpy(), expected, "")
    assert seen == ["before", "after"]
    for handle in handles * 2:
        handle.remove()
    assert "_hooks" not in vars(layer)
    assert_same_bits(layer(X).numpy(), linear(1)(X).numpy(), "")


def test_hooks_run_in_order_and_see_keywords() -> None:
    class Twice(nn.Module):
        def forward(self, x: Any, *, by: float = 1.0) -> cr.Tensor:
            return cr.mul(x, by)

    model, seen = Twice(), list[Any]()
    model.register_forward_hook(lambda m, a, y: seen.append("second"))
    model.register_forward_hook(lambda m, a, kwargs, y: seen.append(kwargs), with_kwargs=True)
    model.register_forward_hook(lambda m, a, y: seen.append("first"), prepend=True)
    model.register_forward_pre_hook(lambda m, a, kwargs: (a, {"by": kwargs["by"] * 2}), with_kwargs=True)
    assert model(cr.tensor([1.5]), by=2.0).item() == 6.0
    assert seen == ["first", "second", {"by": 4.0}]
    with (
        model.register_forward_pre_hook(lambda m, a, kwargs: 3, with_kwargs=True),
        pytest.raises(TypeError, match=r"must return None or \(args, kwargs\), got int"),
    ):
        model(cr.tensor([1.5]), by=2.0)
    with pytest.raises(TypeError, match="register_forward_hook: expected a function, got int"):
        model.register_forward_hook(3)  # type: ignore[arg-type]


def doubled(module: nn.Module, args: tuple[Any, ...], output: cr.Tensor) -> cr.Tensor:
    return 2 * output


@pytest.mark.parametrize("make", [nested, lambda: Own(3)])
def test_compiled_functions_and_predictions_follow_hooks(make: Callable[[], nn.Module]) -> None:
    model = make()
    step = cr.compile(lambda x: cr.sum(model(x)))
    plain, predicted = step(X).item(), model.predict(X)
    with model.register_forward_hook(doubled):
        assert step(X).item() == 2 * plain
        assert_same_bits(model.predict(X), 2 * predicted, "")
    assert step(X).item() == plain
    assert_same_bits(model.predict(X), predicted, "")
    inner = next(m for m in model.modules() if isinstance(m, nn.Linear))
    with inner.register_forward_hook(doubled):
        assert step(X).item() == cr.sum(model(X)).item() != plain


def test_hooks_are_not_changed_inside_compiled_functions() -> None:
    model = nested()

    @cr.compile
    def f(x: cr.Tensor) -> cr.Tensor:
        model.register_forward_hook(doubled)
        return model(x)

    with pytest.raises(cr.CompileError, match="register_forward_hook: hooks are changed inside a compiled function"):
        f(X)


def test_a_hook_that_is_a_module_is_no_member() -> None:
    model = nested()
    names = [name for name, _ in model.named_parameters()]
    model.register_forward_pre_hook(linear(7))
    assert [name for name, _ in model.named_parameters()] == names


def test_copies_have_the_hooks() -> None:
    model = nested()
    model.register_forward_hook(doubled)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_same_bits(other(X).numpy(), model(X).numpy(), "")


# A whole model.


def test_the_dtype_of_a_model() -> None:
    model = nn.Sequential(nn.Standardize(3).fit(X), linear(1, 4), nn.BatchNorm1d(4), linear_to(4, 2))
    values = {name: value.astype(np.float64) for name, value in model.state_dict().items()}
    weight = model[1].weight  # type: ignore[attr-defined]
    before = model.predict(X)
    cr.sum(model(X)).backward()
    assert model.double() is model
    assert model[1].weight is weight  # type: ignore[attr-defined]
    assert weight.grad is not None and weight.grad.dtype == np.float64
    assert {p.dtype for p in model.parameters()} == {np.dtype(np.float64)}
    assert model[2].running_mean.dtype == np.float64  # type: ignore[attr-defined]
    assert model[2].num_batches_tracked.dtype == np.int64  # type: ignore[attr-defined]
    assert model[2].config()["dtype"] == "float64"
    assert model.predict(X).dtype == np.float64
    np.testing.assert_allclose(model(X).numpy().mean(), model(X.astype(np.float64)).numpy().mean())
    assert all((model.state_dict()[name] == v).all() for name, v in values.items() if "weight" in name)
    assert model.to("float32").to("cpu").cpu().to(cr.tensor(X)).float() is model
    assert model.predict(X).dtype == np.float32
    model.train()
    assert before.shape == model.predict(X).shape


def linear_to(inputs: int, outputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, generator=cr.random.Generator(9))


def test_compiled_steps_and_optimizers_after_a_conversion() -> None:
    model = nested()
    plain, adam = cr.optim.SGD(model.parameters(), lr=0.1), cr.optim.Adam(model.parameters(), lr=0.1)

    def stepping(optimizer: Any) -> Callable[[Array], cr.Tensor]:
        @cr.compile
        def step(x: cr.Tensor) -> cr.Tensor:
            loss = cr.sum(cr.square(model(x)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return step

    by_sgd, by_adam = stepping(plain), stepping(adam)
    by_sgd(X)
    by_adam(X)
    model.double()
    assert by_sgd(X.astype(np.float64)).dtype == np.float64
    with pytest.raises(ValueError, match=r"Adam: parameter 0 is float64 \(3, 3\) now, .* after model.to\(dtype\)"):
        by_adam(X.astype(np.float64))
    stepping(cr.optim.Adam(model.parameters(), lr=0.1))(X.astype(np.float64))


def test_conversions_that_are_refused() -> None:
    model = nested()
    with pytest.raises(TypeError, match="to: the dtype of a model must be float32 or float64, got int64"):
        model.to(np.int64)
    for call in (model.cuda, lambda: model.to("cuda:0"), lambda: model.to(device="mps")):
        with pytest.raises(ValueError, match="chainrule computes on the CPU"):
            call()
    with pytest.raises(cr.CompileError, match="to: the dtype of a model is changed inside a compiled function"):
        cr.compile(lambda x: model.double()(x))(X)


def test_freezing_and_applying() -> None:
    model, seen = nested(), list[str]()
    assert model.requires_grad_(False) is model
    assert not any(p.requires_grad for p in model.parameters())
    model[1].requires_grad_()
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True]
    assert model.apply(lambda m: seen.append(type(m).__name__)) is model
    assert seen == ["Linear", "Tanh", "Residual", "Linear", "Sequential"]
    model.eval()[0].train()
    assert [m.training for m in model.modules()] == [False, True, True, True, False]


def test_registered_buffers() -> None:
    model = nn.Module()
    model.register_buffer("mean", X)
    model.register_buffer("scratch", [1.0], persistent=False)
    model.register_buffer("none", None)
    assert [name for name, _ in model.named_buffers()] == ["mean", "scratch"]
    assert list(model.state_dict()) == ["mean"]
    model.load_state_dict({"mean": 2 * X})
    assert model.mean.numpy()[0, 0] == 2 * X[0, 0]  # type: ignore[attr-defined]
    model.register_buffer("mean", [0.5])
    assert model.none is None  # type: ignore[attr-defined]
    for name, why in (("forward", "an attribute of the module"), ("a.b", "not the name"), (3, "not the name")):
        with pytest.raises(ValueError, match=f"register_buffer: .* is {why}"):
            model.register_buffer(name, [1.0])  # type: ignore[arg-type]

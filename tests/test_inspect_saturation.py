"""cr.saturation: vanishing derivatives, dead units and gradient norms against NumPy and `backward`.

Rows 39 and 79 of the notes: derivatives near 0 slow down learning; the derivative of ReLU is 0 for about half of the
inputs; the output of a sigmoid is not centred, and it saturates.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.inspect._saturation import LayerReport, Saturation

X = np.random.default_rng(0).normal(0.0, 1.0, (200, 6)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)


def net(unit: Callable[[], cr.nn.Module], scale: float = 1.0) -> cr.nn.Sequential:
    first = cr.nn.Linear(6, 16, generator=cr.random.Generator(seed=1))
    first.weight.copy_(first.weight.numpy() * np.float32(scale))
    return cr.nn.Sequential(first, unit(), cr.nn.Linear(16, 2, generator=cr.random.Generator(seed=2)))


def derivative(unit: type[cr.nn.Module], z: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    s = 1 / (1 + np.exp(-z))
    known: dict[Any, Callable[[], Any]] = {
        cr.nn.Sigmoid: lambda: s * (1 - s),
        cr.nn.Tanh: lambda: 1 - np.tanh(z) ** 2,
        cr.nn.ReLU: lambda: (z > 0) * 1.0,
        cr.nn.LeakyReLU: lambda: np.where(z > 0, 1, 0.01),
        cr.nn.Softplus: lambda: s,
    }
    return np.asarray(known[unit]())


class TestNumbers:
    @pytest.mark.parametrize("unit", [cr.nn.Sigmoid, cr.nn.Tanh, cr.nn.ReLU, cr.nn.LeakyReLU, cr.nn.Softplus])
    def test_shares_are_those_of_the_derivative(self, unit: type[cr.nn.Module]) -> None:
        model = net(unit, 4.0)
        z = model[0](cr.tensor(X)).numpy().astype(np.float64)
        slope = derivative(unit, z)
        layer = cr.saturation(model, X, threshold=0.05)["1"]
        assert (layer.kind, layer.shape, layer.units) == (unit.__name__, (200, 16), 16)
        assert layer.vanishing == (abs(slope) < 0.05).mean()
        assert layer.dead == (slope == 0).all(axis=0).sum()
        a = model[1](model[0](cr.tensor(X))).numpy().astype(np.float64)
        assert layer.mean == pytest.approx(a.mean(), rel=1e-5)
        assert layer.mean_abs == pytest.approx(abs(a).mean(), rel=1e-5)

    def test_dead_units_are_counted(self) -> None:
        model = net(cr.nn.ReLU)
        first = model[0]
        assert isinstance(first, cr.nn.Linear)
        assert first.bias is not None
        bias = np.zeros(16, np.float32)
        bias[[3, 7, 11]] = -100
        first.bias.copy_(bias)
        before = cr.saturation(net(cr.nn.ReLU), X)["1"].dead
        assert cr.saturation(model, X)["1"].dead == 3 + (before or 0) == 3

    def test_gradient_norms_are_those_of_backward(self) -> None:
        model, loss = net(cr.nn.Tanh), cr.nn.CrossEntropyLoss()
        report = cr.saturation(model, X, Y, loss=loss)
        assert [p.grad for p in model.parameters()] == [None] * 4
        hidden = model[0](cr.tensor(X))
        inner = cr.tensor(model[1](hidden).numpy(), requires_grad=True)
        loss(model[2](inner), Y).backward()
        loss(model(cr.tensor(X)), Y).backward()
        for path, layer in (("0", model[0]), ("2", model[2])):
            grads = {name: p.grad for name, p in layer.named_parameters()}
            times = 2 if path == "2" else 1  # the last layer took part in both
            expected = {name: np.linalg.norm(g.numpy()) / times for name, g in grads.items() if g is not None}
            assert report[path].parameters == pytest.approx(expected, rel=1e-5)
        assert inner.grad is not None
        assert report["1"].gradient == pytest.approx(np.linalg.norm(inner.grad.numpy()), rel=1e-5)

    def test_layers_that_mix_elements_have_no_derivative_to_show(self) -> None:
        model = cr.nn.Sequential(cr.nn.Flatten(), cr.nn.Linear(6, 3), cr.nn.Softmax())
        report = cr.saturation(model, X.reshape(200, 2, 3))
        assert [(layer.name, layer.vanishing, layer.dead) for layer in report.layers] == [
            ("0 Flatten", None, None), ("1 Linear", None, None), ("2 Softmax", None, None),
        ]  # fmt: skip


class TestClaims:
    """Rows 79 and 39: statements of the notes about activation functions, measured."""

    def layer(self, unit: type[cr.nn.Module], scale: float) -> LayerReport:
        return cr.saturation(net(unit, scale), X)["1"]

    def test_a_relu_is_off_for_about_half_of_the_inputs(self) -> None:
        assert self.layer(cr.nn.ReLU, 1.0).vanishing == pytest.approx(0.5, abs=0.05)

    def test_a_sigmoid_is_not_centred_and_tanh_is(self) -> None:
        assert self.layer(cr.nn.Sigmoid, 1.0).mean == pytest.approx(0.5, abs=0.05)
        assert self.layer(cr.nn.Tanh, 1.0).mean == pytest.approx(0.0, abs=0.05)

    def test_sigmoid_and_tanh_saturate_and_relu_does_not(self) -> None:
        units = (cr.nn.Sigmoid, cr.nn.Tanh, cr.nn.ReLU)
        small, large = ({unit: self.layer(unit, scale).vanishing for unit in units} for scale in (1, 50))
        assert small[cr.nn.Sigmoid] == 0
        assert (large[cr.nn.Sigmoid] or 0) > 0.8
        assert (large[cr.nn.Tanh] or 0) > 0.8
        assert large[cr.nn.ReLU] == small[cr.nn.ReLU]

    def test_gradients_vanish_from_layer_to_layer_behind_sigmoids(self) -> None:
        parts: list[cr.nn.Module] = []
        for i in range(6):
            parts += [cr.nn.Linear(6, 6, generator=cr.random.Generator(seed=i)), cr.nn.Sigmoid()]
        report = cr.saturation(cr.nn.Sequential(*parts), X, Y % 2, loss=cr.nn.CrossEntropyLoss())
        norms = [layer.gradient or 0.0 for layer in report.layers if layer.kind == "Sigmoid"]
        assert norms == sorted(norms)
        assert norms[0] < norms[-1] / 300


class TestModels:
    def test_functions_used_as_units_are_layers_too(self) -> None:
        class Block(cr.nn.Module):
            def __init__(self) -> None:
                self.inside = cr.nn.Linear(6, 6)

            def forward(self, x: cr.Tensor) -> cr.Tensor:
                return cr.relu(self.inside(x)) + cr.exp(x * 0.1)

        class Net(cr.nn.Module):
            def __init__(self) -> None:
                self.block, self.out = Block(), cr.nn.Linear(6, 2)

            def forward(self, x: cr.Tensor) -> cr.Tensor:
                return self.out(cr.tanh(self.block(x) * 3.0))

        model = Net()
        report = cr.saturation(model, X)
        assert [layer.name for layer in report.layers] == ["block.inside Linear", "block relu", "tanh", "out Linear"]
        z = model.block.inside(cr.tensor(X)).numpy()
        assert report["block"].vanishing == (z <= 0).mean()

    def test_modes_are_put_back_and_no_dropout_or_the_like_runs(self) -> None:
        seen = []

        class Noting(cr.nn.Module):
            def forward(self, x: cr.Tensor) -> cr.Tensor:
                seen.append(self.training)
                return x

        model = cr.nn.Sequential(Noting(), cr.nn.Linear(6, 2))
        model[1].eval()
        cr.saturation(model, X)
        assert seen and not any(seen)
        assert [module.training for module in model.modules()] == [True, True, False]

    def test_a_model_without_parameters(self) -> None:
        report = cr.saturation(cr.nn.Tanh(), X * 10)
        assert [layer.name for layer in report.layers] == ["Tanh"]
        assert report[""].vanishing == (1 - np.tanh(X.astype(np.float64) * 10) ** 2 < 0.01).mean()


class TestText:
    def report(self) -> Saturation:
        return cr.saturation(net(cr.nn.ReLU), X, Y, loss=cr.nn.CrossEntropyLoss())

    def test_as_a_table(self) -> None:
        lines = str(self.report()).splitlines()
        assert lines[0].split("  ")[0] == "layer"
        assert [line.split("  ")[0] for line in lines[2:]] == ["0 Linear", "1 ReLU", "2 Linear"]
        assert " of 16" in lines[3]
        assert ", bias " in lines[2]
        assert "gradient" not in str(cr.saturation(net(cr.nn.ReLU), X))

    def test_a_layer_that_is_not_there(self) -> None:
        with pytest.raises(KeyError, match=r"saturation: no layer '7'; available layers: '0', '1', '2'"):
            self.report()["7"]

    @pytest.mark.parametrize("end", ["png", "svg"])
    def test_as_a_plot(self, tmp_path: Path, end: str) -> None:
        path = tmp_path / f"saturation.{end}"
        self.report().plot(path)
        content = path.read_bytes()
        assert content.startswith(b"\x89PNG") if end == "png" else b"</svg>" in content
        cr.saturation(net(cr.nn.ReLU), X).plot(path)
        assert path.read_bytes() != content

    def test_without_matplotlib(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(ImportError, match=r"^plot: matplotlib is not installed; run `pip install matplotlib`"):
            self.report().plot(tmp_path / "saturation.png")


class TestErrors:
    def test_arguments(self) -> None:
        model, loss = net(cr.nn.ReLU), cr.nn.CrossEntropyLoss()
        other: Any = len
        with pytest.raises(TypeError, match=r"^saturation: model must be a Module"):
            cr.saturation(other, X)
        with pytest.raises(ValueError, match=r"^saturation: gradients need both y and loss="):
            cr.saturation(model, X, Y)
        with pytest.raises(ValueError, match=r"^saturation: gradients need both y and loss="):
            cr.saturation(model, X, loss=loss)
        with pytest.raises(ValueError, match=r"^saturation: X needs at least one row, its shape is \(0, 6\)"):
            cr.saturation(model, X[:0])
        with pytest.raises(ValueError, match=r"^saturation: X has 200 rows, y has 3"):
            cr.saturation(model, X, Y[:3], loss=loss)
        with pytest.raises(TypeError, match=r"^saturation: X must be real numbers"):
            cr.saturation(model, [["a"]])
        with pytest.raises(ValueError, match=r"^saturation: the loss must return a tensor of one element, got shape"):
            cr.saturation(model, X, Y, loss=cr.nn.CrossEntropyLoss(reduction="none"))

    def test_inside_of_a_compiled_function(self) -> None:
        model = net(cr.nn.ReLU)

        def function(x: cr.Tensor) -> cr.Tensor:
            cr.saturation(model, X)
            return x

        with pytest.raises(cr.CompileError, match=r"^saturation: values are not known inside a compiled function"):
            cr.compile(function)(cr.tensor([1.0]))

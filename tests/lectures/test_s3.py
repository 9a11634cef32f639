"""CSC413, lecture 2: multilayer perceptrons and backpropagation. A test is named by its row."""

import math
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.examples import (
    Circuit,
    Perceptron,
    and_gate,
    collapse,
    experiments,
    from_printed,
    not_gate,
    or_gate,
    patterns,
    perceptron_rule,
    threshold_unit,
    translations,
    truth_table,
    truth_table_net,
    xor_net,
)

F64 = np.float64
XOR = [0, 1, 1, 0]


def leaf(values: Any) -> cr.Tensor:
    return cr.tensor(values, F64, requires_grad=True)


def sum_times(x: float, y: float, z: float) -> list[float]:
    a, b, c = leaf(x), leaf(y), leaf(z)
    q = a + b
    f = q * c
    f.backward()
    return [q.item(), f.item(), c.grad.item(), a.grad.item(), b.grad.item()]


def test_row_02_sum_times_z_again() -> None:
    assert sum_times(-1.0, 2.0, -3.0) == [1.0, -3.0, 1.0, -3.0, -3.0]
    assert cr.grad(lambda q: q * -3.0)(cr.tensor(1.0, F64)).item() == -3.0, "df/dq"
    assert cr.grad(lambda f: f * 1.0)(cr.tensor(-3.0, F64)).item() == 1.0, "df/df"


def test_erratum_1_z_is_minus_three() -> None:
    assert sum_times(-1.0, 2.0, 3.0) == [1.0, 3.0, 1.0, 3.0, 3.0], "what z = 3 as printed gives"
    assert sum_times(-1.0, 2.0, -3.0)[1] == -3.0, "what all later numbers use"


def test_row_13_vjp_rules() -> None:
    r = np.random.default_rng(13)
    W, x, upstream = r.normal(size=(5, 3)), r.normal(size=3), r.normal(size=5)
    z, pull = cr.vjp(lambda x: cr.matmul(W, x), x)
    assert pull(upstream)[0].numpy() == pytest.approx(W.T @ upstream, rel=1e-13)
    y, pull = cr.vjp(cr.exp, z)
    assert pull(upstream)[0].numpy() == pytest.approx(np.exp(W @ x) * upstream, rel=1e-13)
    assert y.numpy() == pytest.approx(np.exp(W @ x), rel=1e-13)


def test_row_14_hessian_times_vector_without_the_hessian() -> None:
    r = np.random.default_rng(14)
    M, x, v = r.normal(size=(6, 6)), r.normal(size=6), r.normal(size=6)
    A = M + M.T

    def f(x: cr.Tensor) -> cr.Tensor:
        return 0.5 * cr.sum(x * cr.matmul(A, x))

    assert cr.hvp(f, (x,), (v,)).numpy() == pytest.approx(A @ v, rel=1e-12)
    assert cr.grad(lambda x: cr.sum(cr.grad(f)(x) * v))(cr.tensor(x)).numpy() == pytest.approx(A @ v, rel=1e-12)
    assert cr.hessian(f)(x).numpy() == pytest.approx(A, rel=1e-12)


def test_row_15_multivariate_chain_rule() -> None:
    def f(t: cr.Tensor) -> cr.Tensor:
        x, y = cr.cos(t), cr.square(t)
        return y + cr.exp(x * y)

    t = cr.tensor(1.0, F64)
    assert f(t).item() == pytest.approx(2.716525700, abs=5e-10)
    assert cr.grad(f)(t).item() == pytest.approx(2.410479016, abs=5e-10)
    assert cr.jvp(f, (t,), (cr.tensor(1.0, F64),))[1].item() == pytest.approx(2.410479016, abs=5e-10)
    x, y = math.cos(1.0), 1.0
    by_formula = y * math.exp(x * y) * -math.sin(1.0) + (1.0 + x * math.exp(x * y)) * 2.0
    assert cr.grad(f)(t).item() == pytest.approx(by_formula, rel=1e-14)


def test_row_16_one_unit_and_a_squared_error() -> None:
    x, t = 1.7, 0.9
    w, b = leaf(0.6), leaf(-0.4)
    z = w * x + b
    y = cr.sigmoid(z)
    loss = cr.mse_loss(y, cr.tensor(t, F64), half=True)
    loss.backward()
    s = 1.0 / (1.0 + math.exp(-(0.6 * x - 0.4)))
    y_bar = s - t
    z_bar = y_bar * s * (1.0 - s)
    assert loss.item() == pytest.approx(0.5 * (s - t) ** 2, rel=1e-13)
    assert (w.grad.item(), b.grad.item()) == pytest.approx((z_bar * x, z_bar), rel=1e-13)


def test_row_17_graphs_whose_nodes_are_used_twice() -> None:
    """L2-regularised regression and multiclass logistic regression: paths through w and through z add up."""
    x, t, lam = 1.5, 0.3, 0.7
    w, b = leaf(0.8), leaf(-0.2)
    y = cr.sigmoid(w * x + b)
    regularised = 0.5 * cr.square(y - t) + lam * (0.5 * cr.square(w))
    regularised.backward()
    s = y.item()
    assert w.grad.item() == pytest.approx((s - t) * s * (1.0 - s) * x + lam * 0.8, rel=1e-13)
    r = np.random.default_rng(17)
    W, bias, features = leaf(r.normal(size=(2, 3))), leaf(r.normal(size=2)), r.normal(size=3)
    z = cr.matmul(W, features) + bias
    e = cr.exp(z)
    p = e / cr.sum(e)
    cr.neg(cr.log(p[1])).backward()
    error = p.numpy() - [0.0, 1.0]
    assert W.grad.numpy() == pytest.approx(np.outer(error, features), rel=1e-12)
    assert bias.grad.numpy() == pytest.approx(error, rel=1e-12)


class TestBackprop:
    def test_row_18_scalar_form_by_hand(self) -> None:
        """v_N̄ = 1; for i = N-1 .. 1: v̄_i is the sum over the nodes j that read i of v̄_j ∂v_j/∂v_i."""
        v1 = 0.7
        values = [v1, math.exp(v1), v1 * math.exp(v1)]
        values.append(values[2] + values[1])
        bar = [0.0, 0.0, 0.0, 1.0]
        bar[2] += bar[3]
        bar[1] += bar[3] + bar[2] * values[0]
        bar[0] += bar[2] * values[1] + bar[1] * values[1]
        x = leaf(v1)
        e = cr.exp(x)
        (x * e + e).backward()
        assert x.grad.item() == pytest.approx(bar[0], rel=1e-14)

    def test_row_18_order_of_the_nodes(self) -> None:
        x = leaf([0.7, -0.2])
        e = cr.exp(x)
        graph = cr.graph(cr.sum(x * e + e))
        places = {node.number: i for i, node in enumerate(graph)}
        for node in graph:
            assert all(places[i.number] < places[node.number] for i in node.inputs if i.number in places)

    def test_row_19_mlp_scalar_and_vector_form(self) -> None:
        r = np.random.default_rng(19)
        x, t = r.normal(size=3), r.normal(size=2)
        shapes = {"W1": (4, 3), "b1": (4,), "W2": (2, 4), "b2": (2,)}
        p = {name: r.normal(size=shape) for name, shape in shapes.items()}
        leaves = {name: leaf(value) for name, value in p.items()}
        h = cr.sigmoid(cr.matmul(leaves["W1"], x) + leaves["b1"])
        y = cr.matmul(leaves["W2"], h) + leaves["b2"]
        cr.mse_loss(y, t, reduction="sum", half=True).backward()
        hidden = 1.0 / (1.0 + np.exp(-(p["W1"] @ x + p["b1"])))
        y_bar = p["W2"] @ hidden + p["b2"] - t
        h_bar = p["W2"].T @ y_bar
        z_bar = h_bar * hidden * (1.0 - hidden)
        expected = {"W2": np.outer(y_bar, hidden), "b2": y_bar, "W1": np.outer(z_bar, x), "b1": z_bar}
        for name, value in expected.items():
            assert leaves[name].grad.numpy() == pytest.approx(value, rel=1e-12), name
        for k, i in product(range(2), range(4)):
            assert leaves["W2"].grad.numpy()[k, i] == pytest.approx(y_bar[k] * hidden[i], rel=1e-12), "W̄2 = ȳ_k h_i"

    def test_row_20_backward_costs_two_forwards(self) -> None:
        def costs(widths: list[int], rows: int = 64, inputs_too: bool = True) -> Any:
            layers = [cr.nn.Linear(i, o, bias=False) for i, o in pairwise(widths)]
            x = cr.tensor(np.ones((rows, widths[0]), np.float32), requires_grad=inputs_too)
            return cr.graph(cr.sum(cr.nn.Sequential(*layers)(x))).flops()

        weights = 20 * 40 + 40 * 40 + 40 * 10
        net = costs([20, 40, 40, 10])
        assert net.forward == pytest.approx(2 * 64 * weights, rel=0.01), "a multiply-add for each weight and row"
        assert net.backward / net.forward == pytest.approx(2.0, rel=0.01)
        deeper = costs([40] * 9).forward / costs([40] * 5).forward
        assert deeper == pytest.approx(2.0, rel=0.01), "linear in the number of layers"
        wider = costs([80] * 5).forward / costs([40] * 5).forward
        assert wider == pytest.approx(4.0, rel=0.02), "quadratic in the number of units"
        # The twenty lines of S0 need no gradient of x: their backward pass is as cheap as the forward pass.
        s0 = costs([1000, 100, 10], inputs_too=False)
        assert s0.backward / s0.forward == pytest.approx(13.06 / 12.93, rel=0.01)


def test_row_26_drawing_of_a_graph() -> None:
    x, y = leaf(1.5), leaf(-0.5)
    b = leaf(3.0)
    graph = cr.graph((x + y) * b, {"x": x, "y": y, "b": b})
    dot, svg, text = graph.to_dot(), graph.to_svg(), str(graph.trace())
    assert dot.startswith("digraph {") and dot.count("->") >= 4
    assert svg.startswith("<svg") and all(f">{name}<" in svg for name in "xyb")
    assert "x + y" in text
    assert (graph.gradient("x").item(), graph.gradient("b").item()) == (3.0, 1.0)
    small = cr.graph(x + y, {"x": x, "y": y})
    assert len(small) == 3


def test_row_37_hard_threshold_is_zero_at_zero() -> None:
    assert cr.heaviside([-2.0, 0.0, 3.0], 0.0).tolist() == [0.0, 0.0, 1.0]
    assert threshold_unit([1.0], 0.0)([[-2.0], [0.0], [3.0]]).tolist() == [[0.0], [0.0], [1.0]]


def test_row_40_a_steep_logistic_is_a_threshold() -> None:
    found = experiments.steep_logistic()
    assert found.distance == sorted(found.distance, reverse=True)
    assert found.distance[0] > 0.4 and found.distance[-1] < 1e-5
    gate = [cr.sigmoid(100.0 * (patterns(2) @ w + b)).numpy() for w, b in (([1, 1], -0.5), ([1, 1], -1.5))]
    y = cr.sigmoid(100.0 * (gate[0] - gate[1] - 0.5)).numpy()
    assert y == pytest.approx(XOR, abs=1e-9), "the threshold net for XOR, with steep sigmoids"


def test_row_43_half_the_squared_error() -> None:
    y, t = np.array([[0.5, -1.0], [2.0, 0.25]]), np.array([[1.0, 1.0], [-1.0, 0.75]])
    half = cr.mse_loss(y, t, reduction="none", half=True).numpy()
    assert half == pytest.approx(0.5 * (y - t) ** 2, rel=1e-15)
    assert cr.mse_loss(y, t, reduction="sum", half=True).item() == pytest.approx(0.5 * np.linalg.norm(t - y) ** 2)
    slope = cr.grad(lambda y: cr.mse_loss(y, t, reduction="sum", half=True))(y).numpy()
    assert slope == pytest.approx(y - t, rel=1e-15)


class TestXor:
    def test_row_53_not_linearly_separable(self) -> None:
        inputs = patterns(2)
        middle = (inputs[0] + inputs[3]) / 2.0
        assert np.array_equal(middle, (inputs[1] + inputs[2]) / 2.0), "the two half-spaces would meet here"
        learning = perceptron_rule(Perceptron(2), inputs, XOR, epochs=10_000)
        assert not learning.converged and learning.cycle is not None
        start, length = learning.cycle
        assert learning.epochs == start + length <= 10
        assert min(learning.mistakes) > 0

    def test_row_54_features_make_it_separable(self) -> None:
        inputs = patterns(2)
        psi = np.column_stack([inputs, inputs[:, 0] * inputs[:, 1]])
        assert psi.tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 0], [1, 1, 1]]
        unit = Perceptron(3)
        learning = perceptron_rule(unit, psi, XOR)
        assert learning.converged and learning.cycle is None
        assert unit(psi).tolist() == XOR

    def test_row_55_net_of_thresholds(self) -> None:
        net = xor_net()
        assert truth_table(net, 2).tolist() == XOR
        hidden = net[:2]
        assert truth_table(hidden, 2).tolist() == [0, 1, 1, 1]
        assert hidden(patterns(2)).numpy()[:, 1].tolist() == [0, 0, 0, 1]


def test_row_56_gates_and_circuits() -> None:
    for n in (1, 2, 5):
        bits = patterns(n)
        assert truth_table(and_gate(n), n).tolist() == bits.all(1).tolist()
        assert truth_table(or_gate(n), n).tolist() == bits.any(1).tolist()
    assert truth_table(not_gate(), 1).tolist() == [1, 0]
    xor = Circuit(2, (or_gate(), [0, 1]), (and_gate(), [0, 1]), (not_gate(), [3]), (and_gate(), [2, 4]))
    assert truth_table(xor, 2).tolist() == XOR
    majority = Circuit(3, (and_gate(), [0, 1]), (and_gate(), [0, 2]), (and_gate(), [1, 2]), (or_gate(3), [3, 4, 5]))
    assert truth_table(majority, 3).tolist() == (patterns(3).sum(1) >= 2).tolist()
    with pytest.raises(ValueError, match=r"^Circuit: gate 0 reads wire 2, expected wires between 0 and 1"):
        Circuit(2, (or_gate(), [0, 2]))


@pytest.mark.parametrize("inputs", [1, 2, 3, 5])
def test_row_57_any_truth_table(inputs: int) -> None:
    r = np.random.default_rng(57)
    for _ in range(5):
        table = r.integers(0, 2, 2**inputs).astype(np.float32)
        net = truth_table_net(table.tolist())
        assert truth_table(net, inputs, low=-1.0).tolist() == table.tolist()
        pre = net[0](patterns(inputs, -1.0)).numpy()
        assert pre.shape == (2**inputs, 2**inputs)
        assert np.diag(pre).tolist() == [0.5] * 2**inputs
        assert pre[~np.eye(2**inputs, dtype=bool)].max() == -1.5


def test_row_57_the_unit_of_the_notes() -> None:
    net = truth_table_net([0.0] * 8)
    unit = patterns(3, -1.0).tolist().index([-1.0, 1.0, -1.0])
    assert net[0].weight.numpy()[:, unit].tolist() == [-1.0, 1.0, -1.0]
    assert net[0].bias.numpy()[unit] == -2.5


def test_row_58_translated_patterns_have_one_mean() -> None:
    A = np.array([1, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], np.float32)
    B = np.array([1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], np.float32)
    assert A.sum() == B.sum() == 4
    of_a, of_b = translations(A), translations(B)
    assert of_a.shape == (16, 16) and not any((of_b == row).all(1).any() for row in of_a)
    for found in (of_a, of_b):
        assert found.mean(0).tolist() == [0.25] * 16
    learning = perceptron_rule(Perceptron(16), np.vstack([of_a, of_b]), [0] * 16 + [1] * 16, epochs=300)
    assert not learning.converged and learning.cycle is not None


def test_row_59_polynomial_regression_is_linear_in_its_features() -> None:
    x = np.linspace(-1.0, 1.0, 40)[:, None]
    t = 0.5 - 2.0 * x + 3.0 * x**3
    features = cr.nn.PolynomialFeatures(3)(x)
    assert features.numpy() == pytest.approx(np.hstack([x**d for d in range(4)]), rel=1e-14)
    fitted = cr.linear_regression(features, t, bias=False, dtype=F64)
    assert fitted.weight.numpy()[:, 0] == pytest.approx([0.5, -2.0, 0.0, 3.0], abs=1e-9), "the bias is the weight of 1"
    apart = cr.linear_regression(cr.nn.PolynomialFeatures(3, include_bias=False)(x), t, dtype=F64)
    assert apart.bias.item() == pytest.approx(0.5, abs=1e-9)


def test_row_60_a_deep_linear_net_is_one_layer() -> None:
    r = np.random.default_rng(60)
    sizes = [(6, 4), (5, 6), (3, 5)]
    whole = [r.integers(-4, 5, size).astype(F64) for size in sizes]
    net = cr.nn.Sequential(*[from_printed(W, r.integers(-4, 5, len(W)), dtype=F64) for W in whole])
    x = r.integers(-9, 10, (20, 4)).astype(F64)
    one = collapse(net)
    assert np.array_equal(one.weight.numpy().T, whole[2] @ whole[1] @ whole[0]), "integers: no rounding"
    assert np.array_equal(one(x).numpy(), net(x).numpy())
    ragged = cr.nn.Sequential(*[from_printed(r.normal(size=s), r.normal(size=s[0]), dtype=F64) for s in sizes])
    z = r.normal(size=(20, 4))
    assert collapse(ragged)(z).numpy() == pytest.approx(ragged(z).numpy(), rel=1e-12, abs=1e-12)
    with pytest.raises(TypeError, match=r"^collapse: layer 1 is ReLU"):
        collapse(cr.nn.Sequential(cr.nn.Linear(2, 2), cr.nn.ReLU()))


def test_row_61_layers_compose() -> None:
    r = np.random.default_rng(61)
    layers = [cr.nn.Linear(4, 5), cr.nn.Tanh(), cr.nn.Linear(5, 2)]
    net, x = cr.nn.Sequential(*layers), r.normal(size=(7, 4)).astype(np.float32)
    h = x
    for layer in layers:
        h = layer(h)
    assert np.array_equal(net(x).numpy(), h.numpy())
    inner = cr.nn.Sequential(cr.nn.Sequential(*layers[:2]), layers[2])
    assert np.array_equal(inner(x).numpy(), h.numpy()), "a net is a layer"


def test_row_76_hyperparameters_on_validation_data() -> None:
    found = experiments.validation_curve()
    assert found.train_loss == sorted(found.train_loss, reverse=True), "more features never fit worse"
    best = int(np.argmin(found.validation_loss))
    assert 0 < best < len(found.degrees) - 1
    assert found.validation_loss[0] > 2 * found.validation_loss[best], "underfitting"
    assert found.validation_loss[-1] > 3 * found.validation_loss[best], "overfitting"


def test_erratum_of_printing_softplus_is_the_logarithm_of_a_sum() -> None:
    z = cr.tensor(1.3, F64)
    assert cr.softplus(z).item() == pytest.approx(math.log(1.0 + math.exp(1.3)), rel=1e-15)
    assert cr.softplus(z).item() != pytest.approx(math.log(1.0) + math.exp(1.3)), "log 1 + e^z as printed"

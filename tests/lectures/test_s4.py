"""COMP 761, lecture 38. A test is named by its row. The notes subtract biases: W x - b."""

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.examples import (
    Perceptron,
    as_printed,
    delta_rule,
    experiments,
    from_printed,
    patterns,
    perceptron_rule,
    sawtooth,
)

F64 = np.float64


def leaf(values: Any) -> cr.Tensor:
    return cr.tensor(values, F64, requires_grad=True)


def test_row_38_units_that_subtract_the_bias() -> None:
    r = np.random.default_rng(38)
    W, b, x = r.normal(size=(3, 4)), r.normal(size=3), r.normal(size=(10, 4))
    layer = from_printed(W, b, minus_bias=True, dtype=F64)
    assert layer(x).numpy() == pytest.approx(x @ W.T - b, rel=1e-13)
    sigma = cr.sigmoid(layer(x)).numpy()
    assert sigma == pytest.approx(1.0 / (1.0 + np.exp(-(x @ W.T - b))), rel=1e-13)
    back = as_printed(layer, minus_bias=True)
    assert np.array_equal(back[0], W) and np.array_equal(back[1], b)
    unit = Perceptron(4, minus_bias=True, dtype=F64)
    unit.weight.copy_(W[0]), unit.bias.copy_(b[0])
    assert unit(x).tolist() == (x @ W[0] - b[0] > 0).tolist()


def test_row_39_saturation() -> None:
    found = experiments.saturation()
    assert found.gradients["sigmoid"][0] < 1e-4 * found.gradients["sigmoid"][-1], "first layers of a sigmoid net"
    assert found.gradients["relu"][0] > 1e-2 * found.gradients["relu"][-1]
    assert found.flat["relu"] == pytest.approx([0.5] * len(found.flat["relu"]), abs=0.1)


def test_row_44_squared_error_of_a_unit_that_subtracts_its_bias() -> None:
    r = np.random.default_rng(44)
    w, b, x, y = r.normal(size=3), 0.4, r.normal(size=3), 0.8
    by_w, by_b = cr.grad(
        lambda w, b: cr.mse_loss(cr.sigmoid(cr.sum(w * x) - b), cr.tensor(y, F64), reduction="sum"), (0, 1)
    )(w, cr.tensor(b, F64))
    s = 1.0 / (1.0 + np.exp(-(w @ x - b)))
    assert by_b.item() == pytest.approx(-2.0 * (s - y) * s * (1.0 - s), rel=1e-12)
    assert by_w.numpy() == pytest.approx(2.0 * (s - y) * s * (1.0 - s) * x, rel=1e-12)
    assert cr.mse_loss([0.5, 2.0], [0.5, 2.0], reduction="sum").item() == 0.0
    assert cr.mse_loss([0.5, 2.0], [0.5, 2.5], reduction="sum").item() == 0.25


def example() -> tuple[cr.nn.Sequential, np.ndarray]:
    W1 = np.vstack([2.0 * np.eye(3), np.zeros((1, 3))])
    W2 = np.array([[-1.0] * 4, [0.0] * 4])
    relu = cr.nn.ReLU()
    first = from_printed(W1, np.ones(4), minus_bias=True)
    second = from_printed(W2, [-1.0, -1.0], minus_bias=True)
    return cr.nn.Sequential(first, relu, second, relu), np.array([[1.0, 0.0, 0.0]], np.float32)


def test_row_52_worked_example() -> None:
    net, x = example()
    assert net[:2](x).tolist() == [[1.0, 0.0, 0.0, 0.0]]
    assert net(x).tolist() == [[0.0, 1.0]]


def clouds(gap: float) -> tuple[np.ndarray, np.ndarray]:
    r = np.random.default_rng(62)
    y = np.repeat([-1, 1], 40)
    return (r.normal(size=(80, 2)) + y[:, None] * gap).astype(np.float32), y


class TestPerceptron:
    @pytest.mark.parametrize("labels", [(-1, 1), (0, 1)])
    @pytest.mark.parametrize("minus_bias", [False, True])
    def test_row_62_the_rule_converges_where_it_can(self, labels: tuple[int, int], minus_bias: bool) -> None:
        X, y = clouds(gap=3.0)
        y = np.where(y > 0, labels[1], labels[0])
        unit = Perceptron(2, labels, minus_bias)
        learning = perceptron_rule(unit, X, y)
        assert learning.converged and learning.mistakes[-1] == 0 < learning.mistakes[0]
        assert unit(X).tolist() == y.tolist()

    def test_row_62_gradient_descent_is_better_where_it_cannot(self) -> None:
        X, y = clouds(gap=0.7)
        ruled, descended = Perceptron(2, (-1, 1)), Perceptron(2, (-1, 1))

        def wrong(unit: Perceptron) -> int:
            return int((unit(X).numpy() != y).sum())

        after_each_epoch = []
        for _ in range(50):
            assert not perceptron_rule(ruled, X, y, epochs=1).converged
            after_each_epoch.append(wrong(ruled))
        losses = delta_rule(descended, X, y)
        assert losses[:20] == sorted(losses[:20], reverse=True)
        assert 0 < wrong(descended) < 0.8 * np.mean(after_each_epoch)

    def test_row_62_wrong_rows_are_rejected(self) -> None:
        with pytest.raises(ValueError, match=r"^perceptron: y contains 2, expected 0 or 1"):
            perceptron_rule(Perceptron(2), patterns(2), [0, 1, 1, 2])
        with pytest.raises(ValueError, match=r"^perceptron: X has shape \(4, 2\), y \(3,\)"):
            delta_rule(Perceptron(2), patterns(2), [0, 1, 1])


def test_row_63_parameters_as_one_vector() -> None:
    net, _ = example()
    theta = cr.nn.utils.parameters_to_vector(net.parameters())
    assert theta.shape == (4 * 3 + 4 + 4 * 2 + 2,)
    assert theta.tolist()[:3] == [2.0, 0.0, 0.0] and theta.tolist()[-2:] == [1.0, 1.0]
    cr.nn.utils.vector_to_parameters(theta * 2.0, net.parameters())
    assert net[0].bias.tolist() == [-2.0] * 4
    again = cr.nn.utils.parameters_to_vector(net.parameters())
    assert again.tolist() == (2.0 * theta).tolist()
    cr.sum(cr.square(again)).backward()
    assert net[2].weight.grad.tolist() == (2.0 * net[2].weight).tolist()
    with pytest.raises(ValueError, match=r"^vector_to_parameters: the vector has shape \(3,\), the parameters take"):
        cr.nn.utils.vector_to_parameters([1.0, 2.0, 3.0], net.parameters())
    assert net[0].bias.tolist() == [-2.0] * 4


def test_row_63_one_vector_in_a_compiled_function() -> None:
    layer = from_printed([[1.0, -2.0]], [0.5])
    rate = cr.tensor(0.25)

    @cr.compile
    def descend(slope: cr.Tensor) -> cr.Tensor:
        theta = cr.nn.utils.parameters_to_vector(layer.parameters())
        cr.nn.utils.vector_to_parameters(theta.detach() - rate * slope, layer.parameters())
        return theta

    before = descend([1.0, 2.0, 4.0])
    assert before.tolist() == [1.0, -2.0, 0.5]
    assert (layer.weight.tolist(), layer.bias.tolist()) == ([[0.75], [-2.5]], [-0.5])


def test_erratum_5_more_bias_means_less() -> None:
    net, x = example()
    before = net[:3](x).numpy().copy()
    W2, b2 = as_printed(net[2], minus_bias=True)
    more = cr.nn.Sequential(*net[:2], from_printed(W2, b2 + 0.25, minus_bias=True))
    assert (more(x).numpy() - before).tolist() == [[-0.25, -0.25]], "of every output, before relu"
    assert as_printed(net[2])[1].tolist() == (-b2).tolist()


class TestSawtooth:
    @pytest.mark.parametrize("depth", [1, 2, 3, 6])
    def test_row_64_teeth_double_with_depth(self, depth: int) -> None:
        net = sawtooth(depth, dtype=F64)
        n = 2**depth
        corners = net((np.arange(n + 1) / n)[:, None]).numpy()[:, 0]
        assert corners.tolist() == [float(i % 2) for i in range(n + 1)]
        assert sum(layer.out_features for layer in net if isinstance(layer, cr.nn.Linear)) == 4 * depth

    def test_row_64_slopes_and_flat_regions(self) -> None:
        net = sawtooth(5, dtype=F64)
        x = np.concatenate([(np.arange(32) + 0.5) / 32, [-0.5, 1.25, 7.0]])[:, None]
        slope = cr.grad(lambda x: cr.sum(net(x)))(x).numpy()[:, 0]
        assert slope.tolist() == [32.0, -32.0] * 16 + [0.0, 0.0, 0.0]

    def test_row_64_gradient_norm(self) -> None:
        found = experiments.sawtooth_gradients()
        assert found.slope == [2.0**d for d in found.depths]
        assert found.flat_share == pytest.approx([0.5] * len(found.depths), abs=0.02)


def test_row_77_random_start_iterate_until_it_fits() -> None:
    X = patterns(2)
    y = np.array([[0.0], [1.0], [1.0], [0.0]], np.float32)
    first = cr.nn.Linear(2, 4, generator=cr.random.Generator(seed=1))
    net = cr.nn.Sequential(first, cr.nn.Tanh(), cr.nn.Linear(4, 1, generator=cr.random.Generator(seed=2)))
    optimizer = cr.optim.SGD(net.parameters(), lr=0.2, momentum=0.9)

    def fits(history: cr.History) -> bool:
        return history.loss[-1] < 1e-4

    history = cr.fit(
        net, X, y, loss=cr.nn.MSELoss(), optimizer=optimizer, epochs=2000, batch_size=4, callbacks=[fits], seed=1
    )
    assert history.epochs < 2000
    assert net.predict(X) == pytest.approx(y, abs=0.05)


def test_row_77_backprop_is_dynamic_programming() -> None:
    """2**40 paths lead from x to the end of this graph; backward walks each of its 80 edges once."""
    x = leaf(1.0)
    y = x
    for _ in range(40):
        y = y * 0.5 + y * 0.5
    y.backward()
    assert x.grad.item() == 1.0

"""CS109B, lecture 5: review of neural networks. A test is named by its row."""

import math
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.examples import Perceptron, experiments, gan, patterns, perceptron_rule

F64 = np.float64
HEART = Path(__file__).parent.parent / "data" / "heart.csv"


def leaf(values: Any) -> cr.Tensor:
    return cr.tensor(values, F64, requires_grad=True)


# The graph of -log p, p = 1/(1 + e^-WX), as the notes take it apart.
XI = [lambda w: -3.0 * w, cr.exp, lambda v: 1.0 + v, lambda v: 1.0 / v, cr.log, lambda v: -1.0 * v]


def forward(w: float) -> list[cr.Tensor]:
    found = [cr.tensor(w, F64, requires_grad=True)]
    for f in XI:
        found.append(f(found[-1]))
    return found


@pytest.mark.parametrize("part", ["A", "B"])
@pytest.mark.parametrize(("X", "W", "y"), [(1.7, 0.6, 1.0), (-0.8, 1.3, 0.0), (2.5, -0.4, 0.35)])
def test_row_21_logistic_loss_in_steps(part: str, X: float, W: float, y: float) -> None:
    """L^A = -y log p and L^B = -(1-y) log(1-p): local partials and derivatives by W, node by node."""
    first = [lambda w: -X * w, cr.exp, lambda v: 1.0 + v, lambda v: 1.0 / v]
    e = math.exp(-W * X)
    p = 1.0 / (1.0 + e)
    local = [-X, e, 1.0, -1.0 / (1.0 + e) ** 2]
    if part == "A":
        nodes = [*first, cr.log, lambda v: -y * v]
        local += [1.0 / p, -y]
        total = -y * X * e / (1.0 + e)
    else:
        nodes = [*first, lambda v: 1.0 - v, cr.log, lambda v: -(1.0 - y) * v]
        local += [-1.0, 1.0 / (1.0 - p), -(1.0 - y)]
        total = (1.0 - y) * X * p
    w = cr.tensor(W, F64)
    value, by_w = w, 1.0
    for i, (node, partial) in enumerate(zip(nodes, local, strict=True), 1):
        assert cr.grad(node)(value).item() == pytest.approx(partial, rel=1e-13)
        by_w *= partial
        value, forward = cr.jvp(lambda w, i=i: reduce(lambda v, f: f(v), nodes[:i], w), (w,), (cr.tensor(1.0, F64),))
        assert forward.item() == pytest.approx(by_w, rel=1e-12)
    assert by_w == pytest.approx(total, rel=1e-12, abs=1e-300)


class TestNumericTrace:
    """X = 3, W = 3, y = 1."""

    def test_row_22_values(self) -> None:
        xi = [node.item() for node in forward(3.0)][1:]
        given = [-9.0, 1.2340980409e-4, 1.0001234098, 0.9998766054, -1.2340218972e-4, 1.2340218972e-4]
        assert xi == pytest.approx(given, rel=1e-10)

    def test_row_22_local_partials(self) -> None:
        nodes = forward(3.0)
        e, p = math.exp(-9.0), 0.9998766054
        local = [cr.grad(f)(before.detach()).item() for f, before in zip(XI, nodes[:-1], strict=True)]
        assert local == pytest.approx([-3.0, e, 1.0, -(p**2), 1.0 + e, -1.0], rel=1e-9)

    def test_row_22_derivatives_by_w(self) -> None:
        e, p = math.exp(-9.0), 1.0 / (1.0 + math.exp(-9.0))
        found = [cr.jvp(lambda w, i=i: forward_to(w, i), (3.0,), (1.0,))[1].item() for i in range(1, 7)]
        q = 3.0 * e * p**2
        assert found == pytest.approx([-3.0, -3.0 * e, -3.0 * e, q, q / p, -q / p], rel=1e-6)
        assert found[-1] == pytest.approx(-0.00037018372, rel=1e-7)

    def test_row_22_printed_as_a_table(self) -> None:
        w = cr.tensor(3.0, F64, requires_grad=True)
        text = str(cr.graph(forward_to(w, 6), {"W": w}).trace(wrt=w))
        for number in ("0.0001234098", "1.00012341", "0.9998766054", "-0.0003701837"):
            assert number in text, text

    def test_row_23_both_modes_agree(self) -> None:
        backward = cr.grad(lambda w: forward_to(w, 6))(cr.tensor(3.0, F64)).item()
        value, onward = cr.jvp(lambda w: forward_to(w, 6), (cr.tensor(3.0, F64),), (cr.tensor(1.0, F64),))
        assert onward.item() == pytest.approx(backward, rel=1e-15)
        assert value.item() == pytest.approx(1.2340218972e-4, rel=1e-10)
        stored = forward(3.0)
        stored[-1].backward()
        assert stored[0].grad.item() == backward, "reverse mode reads the values that forward has stored"
        stored = forward(3.0)
        stored[0].copy_(2.0)
        with pytest.raises(RuntimeError, match="was overwritten"):
            stored[-1].backward()

    def test_erratum_2_the_sign_is_minus(self) -> None:
        slope = cr.grad(lambda w: forward_to(w, 6))(cr.tensor(3.0, F64)).item()
        assert slope == pytest.approx(-0.000370183728, abs=5e-13)
        sigma = cr.sigmoid(cr.tensor(9.0, F64)).item()
        assert slope == pytest.approx(-3.0 * (1.0 - sigma), rel=1e-9)


def forward_to(w: Any, i: int) -> cr.Tensor:
    for f in XI[:i]:
        w = f(w)
    return w


def test_row_24_pairs_of_value_and_derivative() -> None:
    pairs = {
        "minus_xw": (lambda w: -3.0 * w, lambda w: -3.0 + 0.0 * w),
        "exponential": (cr.exp, cr.exp),
        "one_plus": (lambda v: 1.0 + v, lambda v: 1.0 + 0.0 * v),
        "reciprocal": (lambda v: 1.0 / v, lambda v: -1.0 / cr.square(v)),
        "logarithm": (cr.log, lambda v: 1.0 / v),
        "minus": (lambda v: -1.0 * v, lambda v: -1.0 + 0.0 * v),
    }
    ops = [
        cr.custom_op(name, value, lambda g, out, inputs, derivative=derivative: g * derivative(inputs[0]))
        for name, (value, derivative) in pairs.items()
    ]

    def loss(w: cr.Tensor) -> cr.Tensor:
        return reduce(lambda v, op: op(v), ops, w)

    w = cr.tensor(3.0, F64)
    assert cr.grad(loss)(w).item() == cr.grad(lambda w: forward_to(w, 6))(w).item()
    assert cr.jvp(loss, (w,), (cr.tensor(1.0, F64),))[1].item() == pytest.approx(-0.000370183728, abs=5e-13)


def test_row_32_generalised_relu_softplus_swish() -> None:
    z = np.array([-30.0, -2.0, -0.5, 0.75, 3.0, 800.0])
    for alpha in (0.0, 0.1, -1.0, 1.0):
        expected = np.maximum(0.0, z) + alpha * np.minimum(0.0, z)
        assert cr.prelu(z, np.array(alpha)).numpy() == pytest.approx(expected, rel=1e-14)
        assert cr.leaky_relu(z, negative_slope=alpha).numpy() == pytest.approx(expected, rel=1e-14)
    assert cr.softplus(cr.tensor(0.0, F64)).item() == pytest.approx(0.693147, abs=5e-7)
    assert cr.softplus(z).numpy() == pytest.approx(np.logaddexp(0.0, z), rel=1e-14), "no overflow"
    assert cr.swish(z).numpy() == pytest.approx(z / (1.0 + np.exp(-z)), rel=1e-14)


def test_row_33_unit_step_with_a_half_at_zero() -> None:
    assert cr.heaviside([-2.0, 0.0, 3.0], 0.5).tolist() == [0.0, 0.5, 1.0]


def test_row_34_sign() -> None:
    assert cr.sign([-2.0, 0.0, 3.0]).tolist() == [-1.0, 0.0, 1.0]


def test_row_35_a_linear_unit_is_linear_regression() -> None:
    unit = cr.nn.Linear(2, 1, dtype=F64)
    X = np.random.default_rng(35).normal(size=(20, 2))
    y = X @ [[2.0], [-1.0]] + 0.5
    optimizer = cr.optim.SGD(unit.parameters(), lr=0.1)
    cr.fit(unit, X, y, loss=cr.nn.MSELoss(), optimizer=optimizer, epochs=500, batch_size=20, seed=0)
    assert unit.weight.numpy()[:, 0] == pytest.approx([2.0, -1.0], abs=1e-9)
    assert unit.bias.item() == pytest.approx(0.5, abs=1e-9)


def test_row_36_piecewise_linear() -> None:
    z = np.array([-3.0, -0.5, -0.25, 0.0, 0.125, 0.5, 2.0])
    assert cr.hardsigmoid(z, slope=1.0).tolist() == [0.0, 0.0, 0.25, 0.5, 0.625, 1.0, 1.0]
    slopes = cr.grad(lambda v: cr.sum(cr.hardsigmoid(v, slope=1.0)))(z).tolist()
    assert slopes == [0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0]


def test_row_42_cross_entropy_as_sum_and_as_mean() -> None:
    r = np.random.default_rng(42)
    logits, labels = r.normal(size=(6, 4)), np.array([0, 3, 1, 1, 2, 0])
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    each = -log_p[np.arange(6), labels]
    assert cr.cross_entropy(logits, labels, reduction="sum").item() == pytest.approx(each.sum(), rel=1e-13)
    assert cr.cross_entropy(logits, labels).item() == pytest.approx(each.mean(), rel=1e-13)
    assert cr.nll_loss(cr.log_softmax(logits), labels, reduction="sum").item() == pytest.approx(each.sum(), rel=1e-13)
    p, y = r.uniform(0.1, 0.9, 8), (r.uniform(size=8) > 0.5).astype(F64)
    bce = -(y * np.log(p) + (1.0 - y) * np.log(1.0 - p))
    assert cr.binary_cross_entropy(p, y, reduction="sum").item() == pytest.approx(bce.sum(), rel=1e-13)
    assert cr.binary_cross_entropy(p, y).item() == pytest.approx(bce.mean(), rel=1e-13)


@pytest.mark.parametrize(
    ("kind", "y", "loss", "link"),
    [
        ("binary", [0, 1, 1, 0], "BCEWithLogitsLoss", lambda s: 1.0 / (1.0 + np.exp(-s))),
        ("multiclass", [2, 0, 1, 2], "CrossEntropyLoss", lambda s: np.exp(s) / np.exp(s).sum(1, keepdims=True)),
        ("continuous", [0.25, -1.5, 3.0, 2.0], "MSELoss", lambda s: s),
    ],
)
def test_row_45_output_units(kind: str, y: list[float], loss: str, link: Callable[[Any], Any]) -> None:
    assert cr.infer_kind(y) == kind
    head = cr.nn.Output(kind, 5, 3 if kind == "multiclass" else 1, dtype=F64)
    assert type(head.loss()).__name__ == loss
    scores = head(np.random.default_rng(45).normal(size=(4, 5)))
    assert head.link(scores).numpy() == pytest.approx(link(scores.numpy()), rel=1e-12)
    # Each loss is the negative log likelihood of its distribution: its gradient by the score is mean minus target.
    target = head.targets(np.asarray(y) if kind == "multiclass" else np.asarray(y, F64))
    slope = cr.grad(lambda s: head.loss(reduction="sum")(s, target))(scores).numpy()
    wanted = np.eye(3)[y] if kind == "multiclass" else target
    factor = 2.0 if kind == "continuous" else 1.0
    assert slope == pytest.approx(factor * (link(scores.numpy()) - wanted), rel=1e-11, abs=1e-14)


def test_row_45_an_arbitrary_distribution_by_two_nets() -> None:
    samples = gan().samples
    left, right = samples[samples < 0], samples[samples > 0]
    quarters = np.array([0.25, 0.5, 0.75])
    expected = [1.798, 2.0, 2.202]
    assert np.quantile(right, quarters) == pytest.approx(expected, abs=0.2)
    assert np.quantile(-left, quarters) == pytest.approx(expected, abs=0.2)
    assert 0.4 < len(left) / len(samples) < 0.6
    assert (np.abs(samples) < 1.0).mean() < 0.02


def test_row_46_link_functions() -> None:
    phi = np.random.default_rng(46).normal(size=20) * 3.0
    assert cr.sigmoid(-phi).numpy() == pytest.approx(1.0 / (1.0 + np.exp(phi)), rel=1e-13), "P(y=0)"
    assert (cr.sigmoid(phi) + cr.sigmoid(-phi)).numpy() == pytest.approx(np.ones(20), rel=1e-15)
    two = cr.softmax(np.stack([np.zeros(20), phi], 1)).numpy()
    assert two[:, 1] == pytest.approx(cr.sigmoid(phi).numpy(), rel=1e-13), "softmax of two classes"


def test_row_65_width_against_depth() -> None:
    found = experiments.width()
    assert found.wave_error[-1] < 1e-4 * found.wave_error[2], "as near as one likes"
    exact = [width for width, error in zip(found.widths, found.sawtooth_error, strict=True) if error < 1e-20]
    assert min(exact) == 32 > found.deep_units == 15


def test_row_65_a_large_shallow_net_overfits() -> None:
    found = experiments.overfitting()
    assert found.train_loss == sorted(found.train_loss, reverse=True)
    assert found.train_loss[2] < 0.01 < 0.1 < found.test_loss[2]
    assert found.test_loss[1] < 0.2 * min(found.test_loss[0], found.test_loss[2])


def test_row_66_radial_basis_functions() -> None:
    r = np.random.default_rng(66)
    X, centers, gamma = r.normal(size=(30, 2)), r.normal(size=(5, 2)), 0.7
    phi = cr.nn.RBFFeatures(centers, gamma)
    expected = np.exp(-gamma * ((X[:, None] - centers) ** 2).sum(-1))
    assert phi(X).numpy() == pytest.approx(expected, rel=1e-12)
    w = r.normal(size=(5, 1))
    found = cr.linear_regression(phi(X), expected @ w, bias=False, dtype=F64)
    assert found.weight.numpy() == pytest.approx(w, rel=1e-6), "f(x) = w · φ(x)"
    # On XOR an engineered map makes the classes separable; a learned one is a hidden layer.
    corners = cr.nn.RBFFeatures(patterns(2)[1:3], 1.0)(patterns(2))
    assert perceptron_rule(Perceptron(2), corners, [0, 1, 1, 0]).converged


def test_row_68_heart_data() -> None:
    printed = """63,1,typical,145,233,1,2,150,0,2.3,3,0,fixed,No
67,1,asymptomatic,160,286,0,2,108,1,1.5,2,3,normal,Yes
67,1,asymptomatic,120,229,0,2,129,1,2.6,2,2,reversable,Yes
37,1,nonanginal,130,250,0,0,187,0,3.5,3,0,normal,No
41,0,nontypical,130,204,0,2,172,0,1.4,1,0,normal,No"""
    table = cr.data.read_csv(HEART, target="AHD", missing="nan")
    assert table.features.shape == (303, 13) and table.columns[0] == "Age" and table.columns[-1] == "Thal"
    assert table.target.count("Yes") == 139
    assert int(np.isnan(table.features).sum()) == 6
    for i, line in enumerate(printed.splitlines()):
        *values, answer = line.split(",")
        assert table.target[i] == answer
        for name, value, found in zip(table.columns, values, table.features[i], strict=True):
            known = table.categories[name][int(found)] if name in table.categories else float(found)
            assert known == (value if name in table.categories else float(value)), name


def test_row_69_closed_form_regression() -> None:
    r = np.random.default_rng(69)
    x = r.uniform(0.0, 4.0, (60, 1))
    y = 1.5 * x - 0.75 + 0.2 * r.normal(size=(60, 1))
    b1 = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    b0 = y.mean() - b1 * x.mean()
    line = cr.linear_regression(x, y, dtype=F64)
    assert (line.weight.item(), line.bias.item()) == pytest.approx((b1, b0), rel=1e-12)
    with_ones = np.hstack([np.ones((60, 1)), x])
    assert np.linalg.solve(with_ones.T @ with_ones, with_ones.T @ y)[:, 0] == pytest.approx([b0, b1], rel=1e-10)
    model = cr.nn.Linear(1, 1, dtype=F64, generator=cr.random.Generator(seed=1))
    optimizer = cr.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    cr.fit(model, x, y, loss=cr.nn.MSELoss(), optimizer=optimizer, epochs=500, batch_size=60, seed=0)
    assert (model.weight.item(), model.bias.item()) == pytest.approx((b1, b0), abs=1e-8), "where SGD converges to"


def test_row_73_the_loss_of_a_batch_approximates_the_loss() -> None:
    r = np.random.default_rng(73)
    X, y, w = r.normal(size=(640, 3)), r.normal(size=(640, 1)), r.normal(size=(3, 1))

    def gradient(rows: np.ndarray) -> np.ndarray:
        return cr.grad(lambda w: cr.mse_loss(cr.matmul(X[rows], w), y[rows]))(w).numpy()

    order = cr.random.Generator(seed=1).permutation(640)
    whole = gradient(np.arange(640))
    errors = []
    for size in (10, 40, 160):
        parts = [gradient(part) for part in order.reshape(-1, size)]
        assert np.mean(parts, axis=0) == pytest.approx(whole, rel=1e-10), "right on average"
        errors.append(np.mean([np.linalg.norm(part - whole) for part in parts]))
    assert errors[0] > 1.7 * errors[1] > 1.7**2 * errors[2], "four times the rows, half the noise"


def test_row_74_restarts() -> None:
    found = experiments.restarts()
    assert 0 < found.solved < len(found.losses), "some starts end in a local minimum"
    assert min(found.losses) < 1e-6 < 0.1 < max(found.losses)


def test_row_47_gradient_of_logistic_regression() -> None:
    r = np.random.default_rng(47)
    X, y, beta, beta0 = r.normal(size=12), (r.uniform(size=12) > 0.4).astype(F64), 0.7, -0.3
    p = 1.0 / (1.0 + np.exp(-(X * beta + beta0)))

    def loss(beta: cr.Tensor, beta0: cr.Tensor) -> cr.Tensor:
        return cr.binary_cross_entropy(cr.sigmoid(X * beta + beta0), y, reduction="sum")

    by_beta, by_beta0 = cr.grad(loss, (0, 1))(cr.tensor(beta, F64), cr.tensor(beta0, F64))
    assert by_beta.item() == pytest.approx((X * (p - y)).sum(), rel=1e-12)
    assert by_beta0.item() == pytest.approx((p - y).sum(), rel=1e-12)


def test_erratum_3_derivative_of_the_loss_by_p() -> None:
    for y, p in ((1.0, 0.8), (0.0, 0.8), (0.25, 0.3)):
        slope = cr.grad(lambda p, y=y: cr.binary_cross_entropy(p, cr.tensor([y], F64)))(cr.tensor([p], F64)).item()
        assert slope == pytest.approx(-y / p + (1.0 - y) / (1.0 - p), rel=1e-13)
        assert slope != pytest.approx(-y / p - (1.0 - y) / (1.0 - p)) or y == 1.0, "as printed"
    h = cr.grad(lambda b0, b1: 2.5 * b1 + b0, (0, 1))(cr.tensor(0.4, F64), cr.tensor(-1.2, F64))
    assert [g.item() for g in h] == [1.0, 2.5], "∂h/∂β0 is 1; dL/dβ0 is p - y"

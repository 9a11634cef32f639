"""CS231n, lecture 4: backpropagation and neural networks. A test is named by its row."""

import math
import time
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import pytest
from bench.listing import D_IN, D_OUT, DATA_SEED, FLOPS, Data, H, N, compact, draw

import chainrule as cr
from cases import op_cases
from chainrule.examples import Neuron, from_printed
from support import fresh_interpreter as fresh

F64 = np.float64


def leaf(values: Any) -> cr.Tensor:
    return cr.tensor(values, F64, requires_grad=True)


def stages(functions: list[Callable[[cr.Tensor], cr.Tensor]], x: float) -> tuple[list[float], list[float]]:
    """The output of each gate of a chain, and the gradient of the last one with respect to each gate's input."""
    values = [cr.tensor(x, F64)]
    for f in functions:
        values.append(f(values[-1]))
    slopes = []
    for i in range(len(functions)):
        rest = functions[i:]
        slopes.append(cr.grad(lambda v, rest=rest: reduce(lambda t, f: f(t), rest, v))(values[i]).item())
    return [v.item() for v in values], slopes


def test_row_01_graph_of_a_sum_times_z() -> None:
    x, y, z = leaf(-2.0), leaf(5.0), leaf(-4.0)
    q = x + y
    f = q * z
    f.backward()
    assert (q.item(), f.item()) == (3.0, -12.0)
    assert (z.grad.item(), x.grad.item(), y.grad.item()) == (3.0, -4.0, -4.0)
    assert cr.grad(lambda q: q * z.detach())(q.detach()).item() == -4.0


def test_row_03_sigmoid_neuron_gate_by_gate() -> None:
    w, x = leaf([2.0, -3.0, -3.0]), leaf([-1.0, -2.0])
    dot = w[0] * x[0] + w[1] * x[1] + w[2]
    assert dot.item() == 1.0
    gates = [lambda v: v * -1.0, cr.exp, lambda v: 1.0 + v, lambda v: 1.0 / v]
    values, slopes = stages(gates, dot.item())
    assert values == pytest.approx([1.0, -1.0, 0.367879, 1.367879, 0.731059], abs=5e-7)
    assert slopes == pytest.approx([0.196612, -0.196612, -0.534447, -0.534447], abs=5e-7)
    reduce(lambda v, gate: gate(v), gates, dot).backward()
    assert w.grad.numpy() == pytest.approx([-0.196612, -0.393224, 0.196612], abs=5e-7)
    assert x.grad.numpy() == pytest.approx([0.393224, -0.589836], abs=5e-7)
    # The notes round the upstream gradient of the sum to 0.2, and pass it to both inputs unchanged.
    a, b = leaf(4.0), leaf(-3.0)
    (a + b).backward(cr.tensor(0.2, F64))
    assert (a.grad.item(), b.grad.item()) == (0.2, 0.2)


@pytest.mark.parametrize(
    ("f", "slope"),
    [
        (cr.exp, math.exp),
        (lambda x: 1.0 / x, lambda x: -1.0 / x**2),
        (lambda x: -3.5 * x, lambda x: -3.5),
        (lambda x: 7.25 + x, lambda x: 1.0),
    ],
    ids=["e^x", "1/x", "ax", "c+x"],
)
def test_row_04_elementary_rules(f: Callable[[Any], cr.Tensor], slope: Callable[[float], float]) -> None:
    for x in np.random.default_rng(4).uniform(-3.0, 3.0, 50):
        assert cr.grad(f)(cr.tensor(x, F64)).item() == pytest.approx(slope(x), rel=1e-14)


def test_row_05_sigmoid_gate_equals_its_four_gates() -> None:
    four = [lambda v: v * -1.0, cr.exp, lambda v: 1.0 + v, lambda v: 1.0 / v]
    for x in np.random.default_rng(5).uniform(-6.0, 6.0, 50):
        s = cr.sigmoid(cr.tensor(x, F64)).item()
        values, slopes = stages(four, x)
        fused = cr.grad(cr.sigmoid)(cr.tensor(x, F64)).item()
        assert s == pytest.approx(values[-1], rel=1e-14)
        assert fused == pytest.approx(slopes[0], rel=1e-13)
        assert fused == pytest.approx((1.0 - s) * s, rel=1e-13)
        assert fused == pytest.approx(math.exp(-x) / (1.0 + math.exp(-x)) ** 2, rel=1e-13)
    assert cr.grad(cr.sigmoid)(cr.tensor(1.0, F64)).item() == pytest.approx(0.196612, abs=5e-7)


def test_row_06_add_distributes_max_routes_mul_switches() -> None:
    def slopes(gate: Callable[..., cr.Tensor], x: float, y: float) -> tuple[float, float]:
        a, b = leaf(x), leaf(y)
        gate(a, b).backward(cr.tensor(2.0, F64))
        return a.grad.item(), b.grad.item()

    assert slopes(cr.add, 3.0, -4.0) == (2.0, 2.0)
    assert slopes(cr.mul, 3.0, -4.0) == (-8.0, 6.0)
    assert slopes(cr.maximum, 3.0, -4.0) == (2.0, 0.0)
    assert slopes(cr.maximum, 3.0, 5.0) == (0.0, 2.0)
    assert slopes(cr.maximum, 5.0, 5.0) == (2.0, 0.0), "a tie goes to the first"
    row = leaf([1.0, 5.0, 5.0])
    cr.max(row).backward()
    assert row.grad.tolist() == [0.0, 1.0, 0.0]


def test_row_07_gradients_add_at_branches() -> None:
    x = leaf(3.0)
    (x * x).backward()
    assert x.grad.item() == 6.0
    y = leaf(2.0)
    (cr.exp(y) + y * 5.0 + y).backward()
    assert y.grad.item() == pytest.approx(math.exp(2.0) + 6.0, rel=1e-15)


def tensor_functions() -> list[tuple[str, Callable[..., cr.Tensor], list[np.ndarray]]]:
    """Every case of tests/cases/op_cases.py that has a gradient: all ops, in many shapes, broadcasting included."""
    found = []
    for name, cases in op_cases.CASES.items():
        for case in cases:
            inputs = case.inputs(F64)
            if case.small and any(x.dtype.kind == "f" for x in inputs):
                found.append((name, case.function, inputs))
    return found


def test_row_08_a_gradient_has_the_shape_of_its_variable() -> None:
    checked = set()
    for name, function, inputs in tensor_functions():
        leaves = [cr.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
        out = function(*leaves)
        if not out.requires_grad:
            continue
        out.backward(cr.tensor(np.ones(out.shape), out.dtype))
        for x in leaves:
            if x.grad is not None:
                assert x.grad.shape == x.shape, name
                checked.add(name)
    assert len(checked) > 40


def test_row_09_squared_norm_of_wx() -> None:
    W, x = leaf([[0.1, 0.5], [-0.3, 0.8]]), leaf([0.2, 0.4])
    q = cr.matmul(W, x)
    f = cr.sum(cr.square(q))
    assert q.numpy() == pytest.approx([0.22, 0.26], rel=1e-14)
    assert f.item() == pytest.approx(0.116, rel=1e-14)
    assert cr.grad(lambda q: cr.sum(cr.square(q)))(q.detach()).numpy() == pytest.approx([0.44, 0.52], rel=1e-14)
    f.backward()
    assert W.grad.numpy() == pytest.approx(np.array([[0.088, 0.176], [0.104, 0.208]]), rel=1e-14)
    assert x.grad.numpy() == pytest.approx([-0.112, 0.636], rel=1e-14)


def test_row_11_the_jacobian_of_relu_is_never_formed() -> None:
    x = cr.random.Generator(seed=11).normal(4096)
    y, pull = cr.vjp(cr.relu, x)
    upstream = cr.random.Generator(seed=12).normal(4096)
    (gradient,) = pull(upstream)
    assert np.array_equal(gradient.numpy(), np.where(x > 0.0, upstream, 0.0)), "4096 numbers, not 4096 x 4096"
    assert (y.shape, gradient.shape) == ((4096,), (4096,))
    some = x[:64]
    J = cr.jacobian(cr.relu)(some).numpy()
    assert np.array_equal(J, np.diag((some > 0.0).astype(np.float32)))
    J = cr.jacobian(cr.relu)(x)
    assert J.shape == (4096, 4096)
    assert np.array_equal(np.diag(J.numpy()), (x > 0.0).astype(np.float32))
    assert np.count_nonzero(J.numpy()) == np.count_nonzero(x > 0.0)


def test_row_25_numerical_against_analytic_gradient() -> None:
    def f(x: cr.Tensor) -> cr.Tensor:
        return cr.sum(cr.sigmoid(x) * cr.exp(-0.5 * cr.square(x)))

    x, h = np.array([0.3, -1.2, 2.1]), 1e-6
    forward = [(f(cr.tensor(x + h * e)).item() - f(cr.tensor(x)).item()) / h for e in np.eye(3)]
    analytic = cr.grad(f)(cr.tensor(x)).numpy()
    assert analytic == pytest.approx(forward, rel=1e-4)
    assert analytic != pytest.approx(forward, rel=1e-9), "a difference quotient is not the gradient"
    assert cr.gradcheck(f, [x])


def test_row_27_forward_saves_what_backward_needs() -> None:
    x, y = leaf([2.0, 3.0]), leaf([5.0, -7.0])
    product = x * y
    product.backward(cr.tensor([1.0, 10.0], F64))
    assert (x.grad.tolist(), y.grad.tolist()) == ([5.0, -70.0], [2.0, 30.0])
    product = x * y
    y.copy_([0.0, 0.0])
    with pytest.raises(RuntimeError, match=r"argument 1 of mul .* was overwritten"):
        product.backward(cr.tensor([1.0, 1.0], F64))


def test_row_28_sigmoid_tanh_relu() -> None:
    z = np.random.default_rng(28).uniform(-8.0, 8.0, 200)
    assert cr.sigmoid(z).numpy() == pytest.approx(1.0 / (1.0 + np.exp(-z)), rel=1e-14)
    assert cr.tanh(z).numpy() == pytest.approx((np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)), rel=1e-12)
    assert cr.tanh(z).numpy() == pytest.approx((2.0 * cr.sigmoid(2.0 * z) - 1.0).numpy(), rel=1e-11, abs=1e-14)
    assert np.array_equal(cr.tanh(-z).numpy(), -cr.tanh(z).numpy())
    assert np.array_equal(cr.relu(z).numpy(), np.where(z > 0.0, z, 0.0))


def test_row_29_leaky_relu_with_the_slope_of_the_notes() -> None:
    x = np.array([-3.0, -0.5, 0.25, 4.0])
    assert cr.leaky_relu(x, negative_slope=0.1).numpy() == pytest.approx(np.maximum(0.1 * x, x), rel=1e-15)
    assert cr.leaky_relu(x).numpy() == pytest.approx(np.maximum(0.01 * x, x), rel=1e-15)
    slope = cr.grad(lambda v: cr.sum(cr.leaky_relu(v, negative_slope=0.1)))(x).numpy()
    assert slope.tolist() == [0.1, 0.1, 1.0, 1.0]


def test_row_30_maxout() -> None:
    r = np.random.default_rng(30)
    w1, w2, b1, b2, x = r.normal(size=4), r.normal(size=4), 0.3, -0.7, r.normal(size=(9, 4))
    unit = cr.nn.Maxout(4, 1, pieces=2, dtype=F64)
    unit.load_state_dict({"weight": np.stack([w1, w2], 1), "bias": np.array([b1, b2])})
    first, second = x @ w1 + b1, x @ w2 + b2
    assert unit(x).numpy()[:, 0] == pytest.approx(np.maximum(first, second), rel=1e-13)
    assert 0 < (first > second).sum() < 9
    slope = cr.grad(lambda x: cr.sum(unit(x)))(x).numpy()
    assert slope == pytest.approx(np.where((first > second)[:, None], w1, w2), rel=1e-13)


def test_row_31_elu() -> None:
    x = np.array([-30.0, -2.0, -0.5, 0.0, 0.75, 4.0])
    for alpha in (1.0, 0.3):
        expected = np.where(x >= 0.0, x, alpha * np.expm1(x))
        assert cr.elu(x, alpha).numpy() == pytest.approx(expected, rel=1e-14)
        slope = cr.grad(lambda v, alpha=alpha: cr.sum(cr.elu(v, alpha)))(x[[0, 1, 2, 4, 5]]).numpy()
        assert slope == pytest.approx([*(alpha * np.exp(x[:3])), 1.0, 1.0], rel=1e-14)


def test_row_48_nets_of_two_and_three_layers() -> None:
    r = np.random.default_rng(48)
    x, W1, W2, W3 = r.normal(size=5), r.normal(size=(7, 5)), r.normal(size=(6, 7)), r.normal(size=(3, 6))
    printed = [from_printed(W, dtype=F64) for W in (W1, W2, W3)]
    relu = cr.nn.ReLU()
    one = cr.nn.Sequential(printed[0])
    two = cr.nn.Sequential(printed[0], relu, printed[1])
    three = cr.nn.Sequential(printed[0], relu, printed[1], relu, printed[2])
    h1 = np.maximum(0.0, W1 @ x)
    h2 = np.maximum(0.0, W2 @ h1)
    for net, expected in ((one, W1 @ x), (two, W2 @ h1), (three, W3 @ h2)):
        assert net(x[None]).numpy()[0] == pytest.approx(expected, rel=1e-13)


class TestTwentyLines:
    """A two-layer net, 64 rows, 1000-100-10, sigmoid, summed squares, 2000 steps at 1e-4."""

    DATA: Data = draw(DATA_SEED)

    def test_row_49_gives_the_losses_of_the_listing(self) -> None:
        code = (
            "from bench.listing import *\ndata = draw(DATA_SEED)\nexpected = np.array(listing(data, 2000))\n"
            "for dtype in (np.float64, np.float32):\n"
            "    found = np.array(compact(data, 2000, dtype, compiled=True))\n"
            "    print(expected[-1] < 0.01 * expected[0], np.abs(found / expected - 1).max())"
        )
        lines = fresh.output(code, OPENBLAS_NUM_THREADS="1").splitlines()  # more threads would compete for the CPUs
        for line, bound in zip(lines, (1e-10, 1e-4), strict=True):
            learned, error = line.split()
            assert learned == "True" and float(error) < bound

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_row_49_op_by_op_the_same_bits(self, dtype: type) -> None:
        assert compact(self.DATA, 20, dtype, compiled=False) == compact(self.DATA, 20, dtype, compiled=True)

    def test_row_49_operations_of_a_step(self) -> None:
        forward = 2 * N * D_IN * H + 2 * N * H * D_OUT
        assert (round(forward / 1e6, 2), round((FLOPS - forward) / 1e6, 2)) == (12.93, 13.06)


def test_row_50_a_neuron_ticks() -> None:
    weights, inputs, bias = [2.0, -3.0, 0.5], [-1.0, -2.0, 3.0], -3.0
    rate = Neuron(weights, bias).neuron_tick(inputs).item()
    assert rate == pytest.approx(1.0 / (1.0 + math.exp(-(np.dot(weights, inputs) + bias))), rel=1e-6)


def test_row_51_three_layers_of_sigmoids() -> None:
    r = np.random.default_rng(51)
    shapes = [(4, 3), (4, 4), (1, 4)]
    W, b = [r.normal(size=s) for s in shapes], [r.normal(size=s[0]) for s in shapes]
    layers = [from_printed(w, v, dtype=F64) for w, v in zip(W, b, strict=True)]
    net = cr.nn.Sequential(layers[0], cr.nn.Sigmoid(), layers[1], cr.nn.Sigmoid(), layers[2])
    x = r.normal(size=(3, 1))
    h1 = 1.0 / (1.0 + np.exp(-(W[0] @ x + b[0][:, None])))
    h2 = 1.0 / (1.0 + np.exp(-(W[1] @ h1 + b[1][:, None])))
    out = W[2] @ h2 + b[2][:, None]
    assert (h1.shape, h2.shape, out.shape) == ((4, 1), (4, 1), (1, 1))
    assert net(x.T).item() == pytest.approx(out.item(), rel=1e-13)
    sizes = [p.size for p in net.parameters()]
    assert (sum(sizes), sum(sizes[::2]), sum(sizes[1::2])) == (41, 32, 9)


def test_row_70_vanilla_gradient_descent() -> None:
    target = np.array([1.5, -2.0, 0.25])
    weights, step_size = cr.nn.Parameter(np.array([4.0, 1.0, -3.0])), 0.1
    optimizer = cr.optim.SGD([weights], lr=step_size)
    by_hand = weights.numpy().copy()
    for _ in range(100):
        by_hand += -step_size * 2.0 * (by_hand - target)
        optimizer.zero_grad()
        cr.sum(cr.square(weights - target)).backward()
        optimizer.step()
        assert weights.numpy() == pytest.approx(by_hand, rel=1e-12)
    assert weights.numpy() == pytest.approx(target, abs=1e-8)


@pytest.mark.alone
def test_row_79_what_is_said_against_the_sigmoid() -> None:
    x = np.random.default_rng(79).normal(size=100_000).astype(np.float32)
    sigmoid, tanh = cr.sigmoid(x).numpy(), cr.tanh(x).numpy()
    assert sigmoid.min() > 0.0 and abs(sigmoid.mean() - 0.5) < 0.01, "it is not centred"
    assert abs(tanh.mean()) < 0.01
    assert cr.grad(lambda v: cr.sum(cr.sigmoid(v)))([10.0, -10.0]).numpy().max() < 5e-5, "it saturates"

    def seconds(f: Callable[[Any], cr.Tensor]) -> float:
        def once() -> float:
            begun = time.thread_time()
            f(x)
            return time.thread_time() - begun

        return min(once() for _ in range(20))

    cr.set_num_threads(1)
    assert seconds(cr.sigmoid) > seconds(cr.relu), "it costs more than relu"


def test_row_79_positive_inputs_give_weight_gradients_of_one_sign() -> None:
    layer, x = cr.nn.Linear(6, 1), cr.random.Generator(seed=3).uniform((1, 6), 0.1, 1.0)
    cr.sum(cr.square(layer(x) - 5.0)).backward()
    signs = np.sign(layer.weight.grad.numpy())
    assert abs(signs.sum()) == 6

"""Gradients against central differences in float64: every public function, first and second order; gradcheck itself."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from cases.op_cases import ALL, Case
from chainrule.ops._op import Op

CASES = [case for case in ALL if case.small and case.note != "float32"]  # rounding to float32 has steps


def floats_of(case: Case) -> tuple[Callable[..., cr.Tensor], list[np.ndarray]]:
    """The function of the float arguments alone, and these."""
    inputs = case.inputs(np.float64, seed=11)
    places = [i for i, d in enumerate(case.domains) if d is not None]

    def function(*floats: Any) -> cr.Tensor:
        arguments: list[Any] = list(inputs)
        for place, value in zip(places, floats, strict=True):
            arguments[place] = value
        return case.function(*arguments)

    return function, [inputs[i] for i in places]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient(case: Case) -> None:
    function, floats = floats_of(case)
    assert cr.gradcheck(function, floats)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_of_the_gradient(case: Case) -> None:
    function, floats = floats_of(case)
    # The square makes linear functions curved, too: their second derivative is then not 0.
    for i in range(len(floats)):
        gradient = cr.grad(lambda *x: cr.sum(cr.square(function(*x))), argnums=i)
        assert cr.gradcheck(gradient, floats, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus", "exp", "log", "sqrt", "softmax", "log_softmax"])
def test_third_order(name: str) -> None:
    x = np.random.default_rng(1).uniform(0.3, 2.0, 4)
    function = getattr(cr, name)
    second = cr.grad(lambda v: cr.sum(cr.square(cr.grad(lambda u: cr.sum(cr.square(function(u))))(v))))
    assert cr.gradcheck(second, [x], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses_of_a_net_by_its_weights(reduction: str) -> None:
    rng = np.random.default_rng(2)
    X, w, b, v = (rng.standard_normal(s) for s in ((6, 3), (3, 5), (5,), (5, 4)))

    def loss(w: cr.Tensor, b: cr.Tensor, v: cr.Tensor) -> cr.Tensor:
        scores = cr.matmul(cr.tanh(cr.linear(X, w, b)), v)
        return cr.cross_entropy(scores, [0, 3, 1, 1, 2, 0], reduction=reduction)

    assert cr.gradcheck(loss, [w, b, v])


def test_one_tensor_used_often() -> None:
    x = np.random.default_rng(3).uniform(0.5, 2.0, (3, 3))

    def function(x: cr.Tensor) -> cr.Tensor:
        y = x * x.T
        return cr.matmul(y, x) + y / (x + y.sum(0)) + cr.concatenate([y, x])[2:5] + cr.take(x, [2, 2, 0])

    assert cr.gradcheck(function, [x])
    assert cr.gradcheck(cr.grad(lambda x: cr.sum(cr.square(function(x)))), [x], rtol=1e-4)


def test_a_wrong_gradient_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Op.gradient

    def wrong(self: Op, i: int, g: cr.Tensor, *rest: Any) -> Any:
        return right(self, i, g * 1.001 if self.name == "tanh" else g, *rest)

    monkeypatch.setattr(Op, "gradient", wrong)
    with pytest.raises(AssertionError, match=r"^gradcheck: input 1 at \((0|1),\): analytic .* numeric"):
        cr.gradcheck(lambda a, b: a * cr.tanh(b), [np.asarray([1e-9, 2e-9]) + 1, np.asarray([0.3, 0.5])])


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_a_wrong_rule_of_either_mode_is_found(mode: str) -> None:
    factor = {"reverse": 3.0, "forward": 3.0, mode: 3.001}
    cube = cr.custom_op(
        "cube",
        lambda x: x * x * x,
        lambda g, out, x: g * x[0] * x[0] * factor["reverse"],
        lambda t, out, x: t[0] * x[0] * x[0] * factor["forward"],
    )
    inputs = [{"a": (np.asarray([0.1, 2.0]), None), "b": np.asarray(0.5)}, np.asarray(7)]
    function = lambda p, n: {"y": cube(p["a"][0]) * p["b"] * float(n)}  # noqa: E731
    message = rf"^gradcheck: input 0\['a'\]\[0\] at \(1,\): analytic .* \({mode} mode\), numeric"
    with pytest.raises(AssertionError, match=message):
        cr.gradcheck(function, inputs)
    factor[mode] = 3.0
    assert cr.gradcheck(function, inputs, order=2)


def test_a_wrong_second_order_is_found() -> None:
    """The first derivative is right, the derivative of the rule is not."""
    cube = cr.custom_op("cube", lambda x: x * x * x, lambda g, out, x: g * 3.0 * x[0] * x[0].detach())
    x = [np.asarray([0.5, 2.0])]
    assert cr.gradcheck(cube, x)
    with pytest.raises(AssertionError, match=r"^gradcheck: gradient, input 0 at \(1,\): analytic"):
        cr.gradcheck(cube, x, order=2)
    with pytest.raises(ValueError, match=r"^gradcheck: order must be an integer of at least 1, got 0"):
        cr.gradcheck(cube, x, order=0)


def test_modules_by_the_names_of_their_parameters() -> None:
    draw = cr.random.Generator(seed=5)
    net = cr.nn.Sequential(cr.nn.Linear(3, 2, dtype=np.float64, generator=draw), cr.nn.Tanh())
    x, before = np.random.default_rng(6).standard_normal((4, 3)), net.state_dict()
    assert cr.gradcheck(lambda m, x: m(x), [net, x], order=2, rtol=1e-4)
    wrong = cr.custom_op("same", lambda x: x * 1.0, lambda g, out, x: g * 1.01)
    with pytest.raises(AssertionError, match=r"^gradcheck: input 0\['0.(weight|bias)'\] at"):
        cr.gradcheck(lambda m: wrong(m(x)), [net])
    with pytest.raises(TypeError, match=r"^gradcheck: input 0\['weight'\] is float32"):
        cr.gradcheck(lambda m: m(np.ones((1, 3), np.float32)), [cr.nn.Linear(3, 2)])
    for name, value in net.state_dict().items():
        assert np.array_equal(value, before[name])


def test_the_arguments_of_the_caller_stay_as_they_are() -> None:
    x = np.asarray([0.5, 2.0])

    def function(x: cr.Tensor) -> cr.Tensor:
        if x.detach().numpy()[0] > 0.5:
            raise ZeroDivisionError
        return x * x

    t = cr.tensor(x)
    with pytest.raises(ZeroDivisionError):
        cr.gradcheck(function, [t])
    assert t.numpy().tolist() == x.tolist() == [0.5, 2.0]


def test_a_gradient_that_is_nan_is_found() -> None:
    with pytest.raises(AssertionError, match=r"^gradcheck: input 0 at \(1,\)"):
        cr.gradcheck(cr.sqrt, [np.asarray([1.0, 0.0])])


def test_gradcheck_wants_float64() -> None:
    with pytest.raises(TypeError, match=r"^gradcheck: input 1 is float32"):
        cr.gradcheck(cr.add, [np.ones(2), np.ones(2, np.float32)])
    with pytest.raises(ValueError, match=r"^gradcheck: no input is float64"):
        cr.gradcheck(lambda i: cr.take(np.ones(2), i), [np.asarray([0])])


def test_integers_are_passed_on() -> None:
    assert cr.gradcheck(cr.take, [np.random.default_rng(4).standard_normal((3, 2)), np.asarray([2, 0, 2])])

"""Reverse mode: the bits of every gradient, all forms of graphs, nested transformations."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from cases.gradient_references import COMPOSED, REFERENCES, gradients
from cases.op_cases import CASES
from reference import assert_same_bits
from reference.bits import Array
from support.variants import every_setting


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(set(REFERENCES)))
def test_the_bits_of_the_gradient(name: str, dtype: type[np.floating[Any]]) -> None:
    rng = np.random.default_rng(6)
    for case in CASES[name]:
        inputs = case.inputs(dtype, seed=7)
        y = case.function(*inputs).numpy()
        g = np.asarray(rng.uniform(0.5, 1.5, y.shape), y.dtype)
        expected = gradients(case, inputs, y, g)
        for setting in every_setting(threads=(1, 3)):
            tensors = [cr.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
            out = case.function(*tensors)
            if out.is_leaf and not any(out is t for t in tensors):
                assert out.size == 0
                continue
            out.backward(g)
            for i, (t, gradient) in enumerate(zip(tensors, expected, strict=True)):
                if gradient is None:
                    assert t.grad is None
                else:
                    assert t.grad is not None
                    assert_same_bits(t.grad.numpy(), gradient, f"{case}, argument {i}, {setting}")


def test_every_differentiable_function_has_a_formula() -> None:
    differentiable = {name for name, cases in CASES.items() if any(case.differentiable for case in cases)}
    assert differentiable == set(REFERENCES) | set(COMPOSED)


def test_gradients_meet_newest_use_first() -> None:
    x = cr.tensor(np.asarray([0.1, 0.7], np.float32), requires_grad=True)
    parts = [
        np.asarray([1e8, 3.0], np.float32),
        np.asarray([1.0, 0.1], np.float32),
        np.asarray([-1e8, 0.7], np.float32),
    ]
    total = x * parts[0] + x * parts[1] + x * parts[2]
    total.backward(np.ones(2, np.float32))
    assert x.grad is not None
    assert_same_bits(x.grad.numpy(), (parts[2] + parts[1]) + parts[0])


class TestBackward:
    def test_grad_adds_up(self) -> None:
        x = cr.tensor([1.0, 2.0], requires_grad=True)
        for k in (1, 2, 3):
            (x * x).sum().backward()
            assert x.grad is not None
            assert x.grad.numpy().tolist() == [2.0 * k, 4.0 * k]

    def test_only_leaves_that_want_it(self) -> None:
        x, y = cr.tensor([1.0], requires_grad=True), cr.tensor([2.0])
        between = x * y
        between.sum().backward()
        assert (x.grad is not None, y.grad, between.grad) == (True, None, None)

    def test_a_leaf_itself(self) -> None:
        x = cr.tensor(2.0, requires_grad=True)
        x.backward()
        assert x.grad is not None
        assert x.grad.item() == 1.0

    def test_needs_a_gradient_for_more_than_one_element(self) -> None:
        y = cr.tensor([1.0, 2.0], requires_grad=True) * 2.0
        with pytest.raises(ValueError, match=r"^backward: the output has shape \(2,\)"):
            y.backward()
        with pytest.raises(ValueError, match=r"^backward: the gradient is float32 \(3,\), the output float32 \(2,\)"):
            y.backward(np.ones(3, np.float32))
        with pytest.raises(ValueError, match=r"^backward: the gradient is float64 \(2,\), the output float32 \(2,\)"):
            y.backward(np.ones(2))

    def test_needs_a_history(self) -> None:
        with pytest.raises(
            ValueError, match=r"^backward: the output does not depend on a tensor that requires a gradient"
        ):
            (cr.tensor(1.0) * 2.0).backward()

    def test_leaves_never_share_their_grad(self) -> None:
        a, b = cr.tensor([1.0, 2.0], requires_grad=True), cr.tensor([3.0, 4.0], requires_grad=True)
        g = cr.tensor([5.0, 6.0])
        (a + b.reshape(2)).backward(g)
        assert a.grad is not None
        assert b.grad is not None
        a.grad.copy_([0.0, 0.0])
        assert b.grad.numpy().tolist() == g.numpy().tolist() == [5.0, 6.0]

    def test_create_graph(self) -> None:
        x = cr.tensor(3.0, requires_grad=True)
        cr.backward(x * x * x, create_graph=True)
        first = x.grad
        assert first is not None
        x.grad = None
        first.backward()
        assert x.grad is not None
        assert (first.item(), x.grad.item()) == (27.0, 18.0)

    def test_a_diamond_of_many_levels_is_walked_once(self) -> None:
        x = y = cr.tensor(1.0, requires_grad=True)
        for _ in range(200):
            y = (y + y) * 0.5
        y.backward()
        assert x.grad is not None
        assert x.grad.item() == 1.0


class TestOverwritten:
    """Values saved by the graph must not be overwritten."""

    @pytest.mark.parametrize("position", [0, 1])
    def test_an_argument(self, position: int) -> None:
        leaves = [cr.tensor([1.0, 2.0], requires_grad=True), cr.tensor([3.0, 4.0], requires_grad=True)]
        y = (leaves[0] * leaves[1]).sum()
        leaves[position].copy_([5.0, 5.0])
        with pytest.raises(
            RuntimeError,
            match=rf"^backward: argument {position} of mul \(shape \(2,\)\) was overwritten after the forward pass",
        ):
            y.backward()

    def test_a_result_through_detach(self) -> None:
        x = cr.tensor([1.0], requires_grad=True)
        y = cr.exp(x)
        y.detach().copy_([7.0])
        with pytest.raises(RuntimeError, match=r"^backward: the result of exp .* was overwritten"):
            y.backward()

    def test_through_a_reshape(self) -> None:
        weights = cr.tensor([1.0, 2.0])
        x = cr.tensor([[1.0, 2.0]], requires_grad=True)
        y = (x * weights.reshape(1, 2)).sum()
        weights.copy_([3.0, 4.0])
        with pytest.raises(RuntimeError, match="overwritten"):
            y.backward()

    def test_an_array_of_the_caller_may_change(self) -> None:
        a = np.asarray([3.0, 4.0], np.float32)
        x = cr.tensor([1.0, 2.0], requires_grad=True)
        y = (x * a).sum()
        a[:] = 100.0
        y.backward()
        assert x.grad is not None
        assert x.grad.numpy().tolist() == [3.0, 4.0]

    def test_a_new_forward_pass_is_fine(self) -> None:
        x = cr.tensor([1.0], requires_grad=True)
        (x * x).sum().backward()
        x.copy_([5.0])
        x.grad = None
        (x * x).sum().backward()
        assert x.grad is not None
        assert x.grad.item() == 10.0


class TestNoGrad:
    def test_context_and_decorator(self) -> None:
        x = cr.tensor(1.0, requires_grad=True)
        with cr.no_grad():
            assert not cr.is_grad_enabled()
            assert not (x * 2.0).requires_grad
            with cr.no_grad():
                pass
            assert not cr.is_grad_enabled()
        assert cr.is_grad_enabled()

        @cr.no_grad()
        def function(x: cr.Tensor) -> cr.Tensor:
            return x * 2.0

        assert not function(x).requires_grad
        assert (x * 2.0).requires_grad

    def test_the_mode_comes_back_after_an_error(self) -> None:
        with pytest.raises(ZeroDivisionError), cr.no_grad():
            raise ZeroDivisionError
        assert cr.is_grad_enabled()

    def test_grad_works_inside(self) -> None:
        with cr.no_grad():
            g = cr.grad(lambda x: x * x)(3.0)
            assert not cr.is_grad_enabled()
        assert g.item() == 6.0
        assert not g.requires_grad


Scalar = Callable[[cr.Tensor], cr.Tensor]


class TestGrad:
    @pytest.mark.parametrize(
        ("function", "at", "expected"),
        [
            (lambda x: cr.grad(lambda y: x * y * y)(3.0), 2.0, 6.0),
            (lambda x: cr.grad(lambda y: y * y * x)(x), 3.0, 12.0),
            (lambda x: x * cr.grad(lambda y: x + y)(2.0), 1.0, 1.0),
            (lambda x: cr.grad(lambda y: x * x * x)(1.0) + x, 5.0, 1.0),
            (cr.grad(lambda x: 3.0 * x), 2.0, 0.0),
            (cr.grad(cr.grad(lambda x: x * x * x * x)), 2.0, 48.0),
            (lambda x: cr.grad(lambda y: cr.grad(lambda z: x * y * z * z)(y))(x), 3.0, 24.0),
        ],
        ids=["closure", "both", "confusion", "outside", "linear", "third", "three-levels"],
    )
    def test_nested(self, function: Scalar, at: float, expected: float) -> None:
        assert cr.grad(function)(at).item() == expected

    def test_a_hessian_row_by_row(self) -> None:
        rng = np.random.default_rng(8)
        a = rng.standard_normal((4, 4))
        x = rng.standard_normal(4)
        rows = [cr.grad(lambda v, i=i: cr.grad(lambda u: cr.matmul(cr.matmul(u, a), u))(v)[i])(x) for i in range(4)]
        assert np.allclose(np.stack([r.numpy() for r in rows]), a + a.T, rtol=1e-12)

    def test_argnums(self) -> None:
        def function(x: cr.Tensor, y: cr.Tensor, z: cr.Tensor) -> cr.Tensor:
            return x * y * y + z * z * z

        point = (2.0, 3.0, 4.0)
        assert cr.grad(function, 1)(*point).item() == 12.0
        assert cr.grad(function, -1)(*point).item() == 48.0
        assert [g.item() for g in cr.grad(function, (2, 0))(*point)] == [48.0, 9.0]
        assert isinstance(cr.grad(function, (0,))(*point), tuple)
        for wrong in (3, -4):
            with pytest.raises(ValueError, match=rf"^grad: argument {wrong} of 3 does not exist"):
                cr.grad(function, wrong)(*point)

    def test_has_aux(self) -> None:
        def function(x: cr.Tensor) -> tuple[cr.Tensor, dict[str, float]]:
            return x * x, {"seen": x.detach().item()}

        assert cr.grad(function, has_aux=True)(3.0)[1] == {"seen": 3.0}
        (value, extra), gradient = cr.value_and_grad(function, has_aux=True)(3.0)
        assert (value.item(), extra, gradient.item()) == (9.0, {"seen": 3.0}, 6.0)

    def test_other_arguments_are_passed_on(self) -> None:
        def function(x: cr.Tensor, mode: str, scale: float = 1.0) -> cr.Tensor:
            return x * x * scale if mode == "square" else x

        assert cr.grad(function)(3.0, "square", scale=2.0).item() == 12.0

    @pytest.mark.parametrize("argument", [2.0, 2, np.float32(2), [2.0], np.asarray(2, np.float32)], ids=repr)
    def test_points_of_every_kind(self, argument: Any) -> None:
        g = cr.grad(lambda x: cr.sum(x * x))(argument)
        assert (g.dtype, g.numpy().ravel().tolist()) == (np.float32, [4.0])

    def test_numpy_floats_keep_their_dtype(self) -> None:
        for argument in (np.float64(2), np.asarray(2.0), np.asarray([2.0])):
            assert cr.grad(lambda x: cr.sum(x * x))(argument).dtype == np.float64

    def test_the_argument_stays_as_it_is(self) -> None:
        x = cr.tensor([1.0, 2.0], requires_grad=True)
        g = cr.grad(lambda v: (v * v).sum())(x)
        assert x.grad is None
        assert g.numpy().tolist() == [2.0, 4.0]

    def test_an_argument_that_does_not_matter(self) -> None:
        gradients = cr.grad(lambda x, y: cr.sum(x), (0, 1))(np.ones((2, 3)), np.ones(4, np.float32))
        assert [(g.shape, g.dtype, g.numpy().sum()) for g in gradients] == [
            ((2, 3), np.float64, 6),
            ((4,), np.float32, 0),
        ]

    def test_with_respect_to_parameters_outside(self) -> None:
        """The gradient by x is itself a function of the parameters: the penalty of a WGAN."""
        w = cr.nn.Parameter([1.5, -2.0])
        penalty = cr.sum(cr.square(cr.grad(lambda x: cr.sum(x * x * w))([1.0, 3.0])))
        penalty.backward()
        assert w.grad is not None
        assert w.grad.numpy().tolist() == [2 * 4 * 1.5, 2 * 36 * -2.0]

    def test_the_value_is_that_of_the_function(self) -> None:
        x = np.random.default_rng(9).standard_normal((3, 3)).astype(np.float32)

        def function(x: Any) -> cr.Tensor:
            return cr.sum(cr.tanh(cr.matmul(x, x)))

        value, _ = cr.value_and_grad(function)(x)
        assert_same_bits(value.numpy(), function(x).numpy())

    @pytest.mark.parametrize("argument", [[1, 2], [True], np.asarray([1, 2])], ids=str)
    def test_only_by_floats(self, argument: Any) -> None:
        with pytest.raises(
            TypeError, match=r"^grad: can differentiate with respect to float32 and float64 only, got (int64|bool)"
        ):
            cr.grad(cr.sum)(argument)

    @pytest.mark.parametrize(
        ("function", "error", "message"),
        [
            (lambda x: x * x, ValueError, r"^grad: the output has shape \(2,\)"),
            (lambda x: 1.0, TypeError, r"^grad: the function must return a tensor, got float"),
            (cr.argmax, TypeError, r"^grad: the function must return float32 or float64, got int64"),
        ],
    )
    def test_what_the_function_returns(self, function: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            cr.grad(function)([1.0, 2.0])


def test_accumulating_over_use_in_a_loop_equals_the_sum() -> None:
    """The same weight in a recurrent net, against the derivative written out."""
    w, x = 0.9, np.asarray([0.3, -0.2, 0.5])

    def run(w: Any) -> cr.Tensor:
        h = cr.tensor(np.asarray(0.1))
        for value in x:
            h = cr.tanh(h * w + value)
        return h

    h, dh = 0.1, 0.0
    for value in x:
        new = np.tanh(h * w + value)
        h, dh = new, (1 - new**2) * (h + w * dh)
    assert abs(cr.grad(run)(np.float64(w)).item() - dh) < 1e-14


def test_gradients_by_an_int_condition_do_not_exist() -> None:
    x: Array = np.asarray([1.0, -2.0])
    condition = cr.tensor(x) > 0
    t = cr.tensor(x, requires_grad=True)
    cr.where(condition, t, t * 3.0).sum().backward()
    assert t.grad is not None
    assert t.grad.numpy().tolist() == [1.0, 3.0]
    assert not condition.requires_grad

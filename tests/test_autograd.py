"""`cr.autograd.grad`, `retain_grad`, and errors of the transformations that show the way to them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr

T = cr.Tensor
FLOATS = [np.float32, np.float64]


def leaf(*values: float, dtype: type = np.float64) -> T:
    return cr.tensor(np.asarray(values, dtype), requires_grad=True)


FUNCTIONS: dict[str, Callable[[T, T], T]] = {
    "product": lambda x, w: cr.sum(x * w),
    "tanh": lambda x, w: cr.sum(cr.tanh(x * w)),
    "quotient": lambda x, w: cr.sum(x / w),
    "exponential": lambda x, w: cr.mean(cr.exp(x) * cr.square(w)),
    "softmax": lambda x, w: cr.sum(cr.softmax(x) * w),
    "dot": lambda x, w: cr.sum(cr.matmul(x, w) * x),
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_equals_the_transformation(name: str, dtype: type) -> None:
    """To the bit, in eager and compiled execution; also the second derivatives."""
    f = FUNCTIONS[name]
    x, w = leaf(0.5, -1.25, 2.0, dtype=dtype), leaf(1.5, 0.75, -2.0, dtype=dtype)
    wanted = cr.grad(f, (0, 1))(x.detach(), w.detach())
    found = cr.autograd.grad(f(x, w), (x, w))
    for a, b in zip(found, wanted, strict=True):
        assert a is not None
        assert a.numpy().tobytes() == b.numpy().tobytes()
        assert not a.requires_grad
    assert x.grad is None
    assert w.grad is None

    def second(x: T, w: T) -> Any:
        (slope,) = cr.autograd.grad(f(x, w), x, create_graph=True)
        assert slope is not None
        return cr.autograd.grad(slope, (x, w), cr.tensor(np.ones(3, dtype)), allow_unused=True, materialize_grads=True)

    again = cr.grad(lambda x, w: cr.sum(cr.grad(f)(x, w)), (0, 1))(x.detach(), w.detach())
    for run in (second, cr.compile(second)):
        for a, b in zip(run(x, w), again, strict=True):
            assert a.numpy().tobytes() == b.numpy().tobytes()


class TestGrad:
    def test_of_nodes(self) -> None:
        x = leaf(2.0)
        y = x * x
        z = y * y * y
        by_y, by_x = cr.autograd.grad(z, (y, x))
        assert by_y is not None
        assert by_x is not None
        assert by_y.item() == 3 * 16
        assert by_x.item() == 6 * 32  # also through y
        (own,) = cr.autograd.grad(z, [z])
        assert own is not None
        assert own.item() == 1

    def test_several_outputs_and_gradients(self) -> None:
        x = leaf(1.0, 2.0)
        found = cr.autograd.grad([x * x, cr.exp(x)], x, [np.asarray([1.0, 10.0]), np.ones(2)])[0]
        assert found is not None
        assert np.allclose(found.numpy(), [2 + np.e, 40 + np.e**2])
        with pytest.raises(ValueError, match=r"^autograd.grad: the output has shape \(2,\); expected one element"):
            cr.autograd.grad(x * x, x)
        with pytest.raises(ValueError, match=r"^autograd.grad: 1 grad_outputs for 2 outputs"):
            cr.autograd.grad([x * x, x], x, [np.ones(2)])
        with pytest.raises(ValueError, match=r"^autograd.grad: the gradient is float64 \(3,\), the output .* \(2,\)"):
            cr.autograd.grad(x * x, x, np.ones(3))

    def test_a_model_and_gradient_penalty(self) -> None:
        """As programs of PyTorch write it: the norm of the slope by the input, differentiated by the weights."""
        net = cr.nn.Sequential(cr.nn.Linear(2, 3, dtype=np.float64), cr.nn.Tanh(), cr.nn.Linear(3, 1, dtype=np.float64))
        rows = np.random.default_rng(0).normal(size=(4, 2))

        def penalty(model: Any, x: Any) -> T:
            slope = cr.grad(lambda x: cr.sum(model(x)))(x)
            return cr.sum(cr.square(slope))

        x = cr.tensor(rows, requires_grad=True)
        (slope,) = cr.autograd.grad(cr.sum(net(x)), x, create_graph=True, retain_graph=True)
        assert slope is not None
        cr.sum(cr.square(slope)).backward()
        wanted = cr.grad(penalty)(net, rows)
        for name, p in net.named_parameters():
            if name != "2.bias":
                assert p.grad is not None
                assert np.array_equal(p.grad.numpy(), wanted[name].numpy()), name

    def test_unused_inputs(self) -> None:
        x, w = leaf(2.0), leaf(3.0)
        with pytest.raises(ValueError, match=r"^autograd.grad: input 1 was not used .*allow_unused=True"):
            cr.autograd.grad(x * x, (x, w))
        assert cr.autograd.grad(x * x, (x, w), allow_unused=True)[1] is None
        zeros = cr.autograd.grad(x * x, (x, w), materialize_grads=True)[1]
        assert zeros is not None
        assert zeros.numpy().tolist() == [0.0]

    @pytest.mark.parametrize(
        ("outputs", "inputs", "error", "message"),
        [
            (lambda x: cr.exp, None, TypeError, r"outputs must be tensors, got a function; .*cr.grad"),
            (lambda x: x * x, 3.0, TypeError, "inputs must be a tensor or a list .*, got float"),
            (lambda x: [x, None], None, TypeError, "outputs must be .*, got a list with NoneType"),
            (lambda x: [], None, ValueError, "there are no outputs"),
            (lambda x: x * x, cr.tensor([1.0]), ValueError, "input 0 does not require a gradient"),
            (lambda x: cr.tensor([1.0]), None, ValueError, "output 0 does not require a gradient"),
            (lambda x: x.detach(), None, ValueError, "output 0 does not require a gradient"),
        ],
    )
    def test_errors(self, outputs: Any, inputs: Any, error: type[Exception], message: str) -> None:
        x = leaf(2.0)
        with pytest.raises(error, match="^autograd.grad: " + message):
            cr.autograd.grad(outputs(x), x if inputs is None else inputs)

    def test_inside_a_transformation_it_is_differentiated(self) -> None:
        """Without create_graph its results would be constants of the outer function."""

        def slope(x: T) -> T:
            found = cr.autograd.grad(x * x * x, x)[0]
            assert found is not None
            return found * 1.0

        x = np.asarray(2.0)
        assert cr.grad(slope)(x).item() == 12.0
        assert cr.jvp(slope, (x,), (np.asarray(1.0),))[1].item() == 12.0
        assert cr.hessian(slope)(x).item() == 6.0
        assert cr.compile(cr.grad(slope))(x).item() == 12.0

    def test_an_overwritten_value(self) -> None:
        x = leaf(2.0)
        y = x * x
        x.copy_([5.0])
        with pytest.raises(RuntimeError, match=r"^autograd.grad: argument 0 of mul .* was overwritten"):
            cr.autograd.grad(y, x)


class TestRetainGrad:
    @pytest.mark.parametrize("dtype", FLOATS)
    @pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
    def test_of_an_intermediate_tensor(self, compiled: bool, dtype: type) -> None:
        x = leaf(0.5, 2.0, dtype=dtype)

        def run(x: T) -> Any:
            h = cr.exp(x)
            h.retain_grad()
            (h * h * x).sum().backward()
            assert h.retains_grad
            assert h.grad is not None
            return h.grad

        got = (cr.compile(run) if compiled else run)(x)
        assert np.allclose(got.numpy(), 2 * np.exp(x.numpy()) * x.numpy())
        assert x.grad is not None
        assert np.allclose(x.grad.numpy(), np.exp(2 * x.numpy()) * (1 + 2 * x.numpy()))

    def test_leaves_and_other_nodes(self) -> None:
        x = leaf(3.0)
        y = x * x
        z = y * 2.0
        x.retain_grad()
        assert not x.retains_grad
        assert not y.retains_grad
        y.retain_grad()
        z.backward()
        assert (y.grad and y.grad.item(), z.grad) == (2.0, None)
        z.retain_grad()
        z.backward()
        assert (y.grad and y.grad.item(), z.grad and z.grad.item()) == (4.0, 1.0)  # accumulated, as in leaves
        y.grad = None
        assert y.grad is None
        with pytest.raises(ValueError, match=r"^retain_grad: the tensor does not require a gradient"):
            cr.tensor([1.0]).retain_grad()

    def test_gradients_do_not_share_memory(self) -> None:
        x = leaf(3.0)
        y = x + 0.0
        y.retain_grad()
        y.backward()
        assert y.grad is not None
        assert x.grad is not None
        x.grad.copy_([7.0])
        assert y.grad.item() == 1.0

    def test_a_dead_tensor_is_forgotten(self) -> None:
        from chainrule.autodiff._sweeps import retained

        before = len(retained)
        y = leaf(1.0) * 2.0
        y.retain_grad()
        assert len(retained) == before + 1
        del y
        assert len(retained) == before

    def test_higher_orders(self) -> None:
        x = leaf(3.0)
        y = x * x
        y.retain_grad()
        (y * y).backward(create_graph=True)
        assert y.grad is not None
        y.grad.backward()
        assert x.grad is not None
        assert x.grad.item() == 4 * 27 + 2 * 6


TENSORS: dict[str, Callable[[T, T], Any]] = {
    "grad": lambda u, x: cr.grad(u, x),  # type: ignore[arg-type]
    "grad, alone": lambda u, x: cr.grad(u),  # type: ignore[arg-type]
    "value_and_grad": lambda u, x: cr.value_and_grad(u, x),  # type: ignore[arg-type]
    "vjp": lambda u, x: cr.vjp(u, x),  # type: ignore[arg-type]
    "jvp": lambda u, x: cr.jvp(u, (x,), (x,)),  # type: ignore[arg-type]
    "hvp": lambda u, x: cr.hvp(u, (x,), (x,)),  # type: ignore[arg-type]
    "jacobian": lambda u, x: cr.jacobian(u, x),  # type: ignore[arg-type]
    "hessian": lambda u, x: cr.hessian(u, x),  # type: ignore[arg-type]
    "gradcheck": lambda u, x: cr.gradcheck(u, [x]),  # type: ignore[arg-type]
    "grad of a list": lambda u, x: cr.grad([u], [x]),  # type: ignore[arg-type, list-item]
}


@pytest.mark.parametrize("what", TENSORS)
def test_transformations_of_tensors_show_the_way(what: str) -> None:
    x = leaf(1.0, 2.0)
    message = r": expected a function, got (Tensor|list); for derivatives of tensors write cr.autograd.grad\("
    with pytest.raises(TypeError, match="^" + what.split(" ")[0].rstrip(",") + message):
        TENSORS[what](cr.sum(x * x), x)


@pytest.mark.parametrize("name", ["grad", "value_and_grad", "jacobian", "hessian"])
@pytest.mark.parametrize("given", [leaf(1.0), np.ones(2), 1.5, "x", None], ids=["tensor", "array", "1.5", "x", "None"])
def test_arguments_in_place_of_positions(name: str, given: Any) -> None:
    with pytest.raises(TypeError, match=rf"^{name}: argnums must be an integer .* second call, cr.{name}\(f\)\(x\)"):
        getattr(cr, name)(cr.sum, given)


def test_threads_have_their_own_transformations() -> None:
    """A transformation in one thread does not restrict what another one may do."""
    inside, done = threading.Event(), threading.Event()

    def f(x: T) -> T:
        inside.set()
        assert done.wait(60)
        return cr.sum(x * x)

    worker = threading.Thread(target=lambda: cr.grad(f)(np.ones(2)))
    worker.start()
    assert inside.wait(60)
    try:
        x = leaf(2.0)
        (x * x).backward()
        x.copy_(x * 2.0)
    finally:
        done.set()
        worker.join()

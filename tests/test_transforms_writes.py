"""Functions that write into tensors while they are differentiated: the derivative is right, or there is an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.nn.utils import vector_to_parameters

T = cr.Tensor
X, Y = np.random.default_rng(0).normal(size=(5, 2)), np.ones((5, 1))


class State:
    """A model with 13 parameters, an optimizer, and other tensors to write into."""

    def __init__(self) -> None:
        self.net = cr.nn.Sequential(
            cr.nn.Linear(2, 3, dtype=np.float64), cr.nn.Tanh(), cr.nn.Linear(3, 1, dtype=np.float64)
        )
        self.optimizer = cr.optim.SGD(self.net.parameters(), lr=0.1, momentum=0.5)
        self.buffer = cr.nn.Buffer(np.zeros(13))
        self.weight = self.net[0].weight  # type: ignore[attr-defined]

    def loss(self) -> T:
        return cr.mse_loss(self.net(cr.tensor(X)), cr.tensor(Y))

    def by_vector(self, theta: T) -> T:
        vector_to_parameters(theta, self.net.parameters())
        return self.loss()

    def by_copy(self, theta: T) -> T:
        self.weight.copy_(theta[:6].reshape(2, 3))
        return self.loss()

    def by_buffer(self, theta: T) -> T:
        self.buffer.copy_(theta * 2.0)
        return cr.sum(self.buffer * self.buffer)

    def by_state_dict(self, theta: T) -> T:
        self.net.load_state_dict({"0.weight": theta[:6].reshape(2, 3)}, strict=False)
        return self.loss()

    def by_step(self, theta: T) -> T:
        self.weight.grad = theta[:6].reshape(2, 3)
        self.optimizer.step()
        return self.loss()

    def by_backward(self, theta: T) -> T:
        cr.sum(cr.square(theta)).backward()
        assert theta.grad is not None
        return cr.sum(theta.grad * theta)

    def by_inner_training(self, theta: T) -> T:
        self.optimizer.zero_grad()
        (self.loss() * cr.sum(theta)).backward()
        self.optimizer.step()
        return self.loss()

    def by_inner_graph(self, theta: T) -> T:
        self.optimizer.zero_grad()
        cr.backward(self.loss() * cr.sum(theta), create_graph=True)
        self.optimizer.step()
        return self.loss()

    def freeze(self) -> None:
        self.weight.requires_grad = False

    def by_freezing(self, theta: T) -> T:
        theta.requires_grad = False
        return cr.sum(theta * theta)


WRITES = [name for name in vars(State) if name.startswith("by_")]
TRANSFORMATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "grad": lambda f, x: cr.grad(f)(x),
    "value_and_grad": lambda f, x: cr.value_and_grad(f)(x),
    "vjp": lambda f, x: cr.vjp(f, x)[1](),
    "jvp": lambda f, x: cr.jvp(f, (x,), (np.ones(13),)),
    "jacobian": lambda f, x: cr.jacobian(f)(x),
    "forward jacobian": lambda f, x: cr.jacobian(f, mode="forward")(x),
    "hessian": lambda f, x: cr.hessian(f)(x),
    "hvp": lambda f, x: cr.hvp(f, (x,), (np.ones(13),)),
    "gradcheck": lambda f, x: cr.gradcheck(f, [x]),
    "grad of a compiled function": lambda f, x: cr.grad(cr.compile(f))(x),
    "jvp of a compiled function": lambda f, x: cr.jvp(cr.compile(f), (x,), (np.ones(13),)),
    "hessian of a compiled function": lambda f, x: cr.hessian(cr.compile(f))(x),
    "compiled grad": lambda f, x: cr.compile(cr.grad(f))(x),
    "compiled hessian": lambda f, x: cr.compile(cr.hessian(f))(x),
}


@pytest.mark.parametrize("how", TRANSFORMATIONS)
@pytest.mark.parametrize("write", WRITES)
def test_an_error(write: str, how: str) -> None:
    state = State()
    before = state.net.state_dict()
    theta = np.linspace(-1.0, 1.0, 13)
    with pytest.raises((RuntimeError, ValueError, TypeError, cr.CompileError)):
        TRANSFORMATIONS[how](getattr(state, write), theta)
    after = state.net.state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before), "nothing has changed then"


@pytest.mark.parametrize("write", ["by_vector", "by_copy", "by_buffer", "by_state_dict"])
def test_outside_of_transformations_nothing_is_refused(write: str) -> None:
    state = State()
    theta = np.linspace(-1.0, 1.0, 13)
    eager = getattr(state, write)(cr.tensor(theta))
    assert np.allclose(cr.compile(getattr(state, write))(cr.tensor(theta)).numpy(), eager.numpy())
    getattr(state, write)(cr.tensor(theta, requires_grad=True))
    with cr.no_grad():
        getattr(state, write)(cr.tensor(theta, requires_grad=True))


MODEL_WRITES: dict[str, Callable[[Any, Any], T]] = {
    "a constant": lambda s, model: s.weight.copy_(np.ones((2, 3))) and s.loss(),
    "its own values": lambda s, model: s.weight.copy_(s.weight * 0.5).sum() + s.loss(),
    "a vector": lambda s, model: s.by_vector(cr.tensor(np.ones(13))),
    "a state": lambda s, model: model.load_state_dict(model.state_dict()) or s.loss(),
    "a step": lambda s, model: s.optimizer.step() or s.loss(),
    "training": lambda s, model: s.by_inner_training(cr.tensor(np.ones(13))),
    "freezing": lambda s, model: s.freeze() or s.loss(),
}


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("write", MODEL_WRITES)
def test_parameters_that_are_differentiated(write: str, compiled: bool) -> None:
    """The gradient by a model's parameters, in a function that overwrites them."""
    state = State()
    for p in state.net.parameters():
        p.grad = cr.tensor(np.ones(p.shape))
    gradient = cr.grad(lambda model: MODEL_WRITES[write](state, model))
    with pytest.raises((RuntimeError, ValueError, TypeError, cr.CompileError)):
        (cr.compile(lambda: gradient(state.net)) if compiled else gradient)(*[] if compiled else [state.net])


class TestAllowed:
    """Writes that lose no derivative."""

    def test_statistics_of_constants(self) -> None:
        mean = cr.nn.Buffer(np.zeros(2))

        def f(w: T) -> T:
            mean.copy_(mean * 0.5 + cr.tensor(X[0]) * 0.5)
            return cr.sum(w * mean)

        assert np.allclose(cr.grad(f)(np.ones(2)).numpy(), X[0] * 0.5)
        assert np.allclose(mean.numpy(), X[0] * 0.5)

    def test_detached_statistics_of_activations(self) -> None:
        mean = cr.nn.Buffer(np.zeros(2))

        def f(w: T) -> T:
            h = cr.tensor(X) * w
            mean.copy_(cr.mean(h, 0).detach())
            with cr.no_grad():
                mean.copy_(mean * 0.5 + cr.mean(h, 0) * 0.5)
            return cr.sum(h * h)

        assert np.allclose(cr.grad(f)(np.ones(2)).numpy(), 2 * (X * X).sum(0))
        assert np.allclose(mean.numpy(), X.mean(0))
        assert np.allclose(cr.compile(cr.grad(f))(np.ones(2)).numpy(), 2 * (X * X).sum(0))

    def test_gradients_with_a_graph(self) -> None:
        """`backward(create_graph=True)` and an assigned `grad` are differentiated when they are read."""

        def f(x: T) -> T:
            w = cr.nn.Parameter(np.asarray(3.0))
            cr.backward(w * w * x * x, create_graph=True)
            assert w.grad is not None
            return w.grad * 1.0

        def g(x: T) -> T:
            w = cr.nn.Parameter(np.asarray(3.0))
            w.grad = x * x
            assert w.grad is not None
            return w.grad * w

        x = np.asarray(2.0)
        assert cr.grad(f)(x).item() == 6 * 2 * 2
        assert cr.jvp(g, (x,), (np.asarray(1.0),))[1].item() == 12.0
        assert cr.hessian(f)(x).item() == 12.0

    def test_training_of_something_else(self) -> None:
        """An inner training that does not depend on the argument."""
        state = State()

        def f(scale: T) -> T:
            state.optimizer.zero_grad()
            state.loss().backward()
            state.optimizer.step()
            return state.loss() * scale

        assert np.isclose(cr.grad(f)(np.asarray(2.0)).item(), state.loss().item())

    def test_a_training_step_beside_a_transformation(self) -> None:
        """The compiled step of another model, in a function that is differentiated by something else."""
        state = State()

        @cr.compile
        def step() -> T:
            state.optimizer.zero_grad()
            loss = state.loss()
            loss.backward()
            state.optimizer.step()
            return loss

        f = lambda x: x * step()  # noqa: E731
        first = step().item()
        assert 0 < cr.grad(f)(np.asarray(1.0)).item() < first
        assert 0 < cr.grad(f)(np.asarray(1.0)).item() < first

    def test_compiled_statistics(self) -> None:
        """A compiled function that overwrites a buffer is an error only where a derivative is asked for."""
        count = cr.nn.Buffer(np.zeros(()))

        @cr.compile
        def f(x: T) -> T:
            count.copy_(count + 1.0)
            return x * x

        assert f(np.asarray(3.0)).item() == 9.0
        assert cr.grad(lambda y: y * f(np.asarray(2.0)))(np.asarray(3.0)).item() == 4.0
        with pytest.raises(RuntimeError, match=r"^compile: f overwrites tensors"):
            cr.grad(f)(np.asarray(3.0))
        assert count.item() == 2.0

    def test_compiled_dropout(self) -> None:
        generator = cr.random.Generator(0)
        f = cr.compile(lambda x: cr.sum(cr.dropout(x, 0.5, generator=generator)))
        with pytest.raises(RuntimeError, match="draws random numbers"):
            cr.grad(f)(np.ones(8))
        inside = cr.compile(cr.grad(lambda x: cr.sum(cr.dropout(x, 0.5, generator=generator))))
        assert set(inside(np.ones(64)).numpy()) == {0.0, 2.0}

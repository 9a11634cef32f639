"""`functional_call`: other tensors in place of a model's parameters, with derivatives, and the model unchanged."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.nn.utils import functional_call, parameters_to_vector, vector_to_parameters

T = cr.Tensor
X = np.random.default_rng(0).normal(size=(5, 2))


class Own(cr.nn.Module):
    """What forward functions do with parameters: ops, shapes, penalties, helpers that are bound or compiled."""

    def __init__(self) -> None:
        g = cr.random.Generator(3)
        self.first = cr.nn.Linear(2, 3, dtype=np.float64, generator=g)
        self.heads = {"a": cr.nn.Linear(3, 1, dtype=np.float64, generator=g)}
        self.scale = cr.nn.Parameter(np.asarray([0.5, -1.5, 2.0]))
        self.offset = cr.nn.Buffer(np.asarray([0.25]))
        self.helper = self._scaled
        self.compiled = cr.compile(lambda h: cr.tanh(h * self.scale))

    def _scaled(self, h: T) -> T:
        return h * self.scale.reshape(1, -1)

    def forward(self, x: T, shift: float = 0.0) -> T:
        h = self.compiled(self.helper(self.first(x)))
        penalty = cr.l2_penalty(list(self.parameters()))
        return self.heads["a"](h) + self.offset + penalty * 0.1 + shift + parameters_to_vector(self.parameters())[0]


def models() -> dict[str, cr.nn.Module]:
    g = cr.random.Generator(1)
    return {
        "linear": cr.nn.Linear(2, 3, dtype=np.float64, generator=g),
        "net": cr.nn.Sequential(
            cr.nn.Linear(2, 3, dtype=np.float64, generator=g), cr.nn.Tanh(), cr.nn.Linear(3, 1, dtype=np.float64)
        ),
        "prelu": cr.nn.Sequential(cr.nn.Linear(2, 2, dtype=np.float64, generator=g), cr.nn.PReLU(dtype=np.float64)),
        "own": Own(),
    }


MODELS = list(models())


def other(model: cr.nn.Module, seed: int = 5) -> dict[str, T]:
    rng = np.random.default_rng(seed)
    return {name: cr.tensor(rng.normal(size=p.shape), dtype=p.dtype) for name, p in model.named_parameters()}


def loaded(name: str, parameters: dict[str, T]) -> cr.nn.Module:
    """The model that really has these parameters."""
    model = models()[name]
    model.load_state_dict({key: value.numpy() for key, value in parameters.items()}, strict=False)
    return model


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("name", MODELS)
def test_it_is_the_model_with_these_parameters(name: str, compiled: bool) -> None:
    """Values and gradients to the bit; the model keeps its values and gets no gradient."""
    model = models()[name]
    parameters = other(model)
    before = model.state_dict()

    def run(p: dict[str, T], x: Any) -> T:
        result: T = functional_call(model, p, x)
        return result

    call = cr.compile(run) if compiled else run
    there = loaded(name, parameters)
    assert call(parameters, cr.tensor(X)).numpy().tobytes() == there(cr.tensor(X)).numpy().tobytes()
    found = cr.grad(lambda p: cr.sum(cr.square(call(p, X))))(parameters)
    wanted = cr.grad(lambda m: cr.sum(cr.square(m(cr.tensor(X)))))(there)
    assert {key: g.numpy().tobytes() for key, g in found.items()} == {
        key: g.numpy().tobytes() for key, g in wanted.items()
    }
    leaves = {key: cr.tensor(p.numpy(), requires_grad=True) for key, p in parameters.items()}
    cr.sum(cr.square(call(leaves, X))).backward()
    for key, t in leaves.items():
        assert t.grad is not None
        assert t.grad.numpy().tobytes() == wanted[key].numpy().tobytes(), key
    after = model.state_dict()
    assert all(np.array_equal(after[key], before[key]) for key in before)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_all_derivatives(name: str) -> None:
    model = models()[name]
    parameters = {key: 0.5 * value for key, value in other(model).items()}

    def loss(p: dict[str, T]) -> T:
        return cr.mean(cr.square(functional_call(model, p, cr.tensor(X))))

    assert cr.gradcheck(loss, [parameters], order=2, rtol=1e-4, atol=1e-5)
    ones = {key: cr.tensor(np.ones(p.shape)) for key, p in parameters.items()}
    gradient, hessian = cr.grad(loss)(parameters), cr.hessian(loss)(parameters)
    along = sum(g.numpy().sum() for g in gradient.values())
    assert np.isclose(cr.jvp(loss, (parameters,), (ones,))[1].item(), along)
    product = cr.hvp(loss, (parameters,), (ones,))
    for a, row in hessian.items():
        rows = sum(block.numpy().reshape(parameters[a].size, -1).sum(1) for block in row.values())
        assert np.allclose(rows, product[a].numpy().ravel()), a
    compiled = cr.compile(cr.grad(loss))(parameters)
    assert all(np.array_equal(compiled[key].numpy(), gradient[key].numpy()) for key in gradient)


def test_some_parameters_and_buffers() -> None:
    model = Own()
    parameters = dict(list(other(model).items())[:1])
    changed = functional_call(model, parameters, X)
    assert not np.array_equal(changed.numpy(), model(X).numpy())
    moved = functional_call(model, {"offset": np.asarray([1.25])}, (X,), {"shift": 0.5})
    assert np.allclose(moved.numpy(), model(X).numpy() + 1.5)
    assert model.offset.item() == 0.25
    slope = cr.grad(lambda b: cr.sum(functional_call(model, [parameters, {"offset": b}], X)))(np.asarray([1.0]))
    assert slope.item() == 5.0
    with pytest.raises(
        ValueError, match=r"^functional_call: missing offset, first.weight, first.bias, heads.a.weight, heads.a.bias"
    ):
        functional_call(model, parameters, X, strict=True)
    functional_call(model, {**other(model), "offset": np.asarray([1.0])}, X, strict=True)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"0.weigh_t": np.ones((2, 3))}, ValueError, r"Sequential has no .* or buffer 0.weigh_t; it has 0.weight"),
        ({"0.weight": np.ones((3, 2))}, ValueError, r"0.weight has shape \(2, 3\), the given tensor \(3, 2\)"),
        ({"0.weight": np.ones((2, 3), np.float32)}, TypeError, "0.weight is float64, the given tensor float32"),
        ([{"0.bias": np.ones(3)}, {"0.bias": np.ones(3)}], ValueError, "0.bias is given twice"),
        ({"1": 1.0}, ValueError, "Sequential has no parameter or buffer 1;"),
        (
            models()["net"].parameters(),
            TypeError,
            r"parameters must be a dict .* dict\(model.named_parameters\(\)\) is",
        ),
        (list(models()["net"].named_parameters()), TypeError, "parameters must be a dict"),
    ],
)
def test_errors(parameters: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match="^functional_call: " + message):
        functional_call(models()["net"], parameters, X)


def test_of_something_else() -> None:
    with pytest.raises(TypeError, match=r"^functional_call: module must be a Module, got function"):
        functional_call(models, {}, X)  # type: ignore[arg-type]


def test_tied_parameters() -> None:
    shared = cr.nn.Linear(2, 2, dtype=np.float64, generator=cr.random.Generator(0))
    model = cr.nn.Sequential(shared, cr.nn.Tanh(), shared)
    w, bias = cr.tensor(np.asarray([[1.0, 2.0], [3.0, 4.0]])), shared.state_dict()["bias"]
    for given in ({"0.weight": w}, {"2.weight": w}, {"0.weight": w, "2.weight": w}):
        y = functional_call(model, given, X)
        assert np.allclose(y.numpy(), np.tanh(X @ w.numpy() + bias) @ w.numpy() + bias)
    functional_call(model, {"0.weight": w, "0.bias": np.ones(2)}, X, strict=True)
    with pytest.raises(ValueError, match=r"^functional_call: 0.weight and 2.weight are tied"):
        functional_call(model, {"0.weight": w, "2.weight": w + 1.0}, X)


def test_an_error_inside_leaves_nothing_behind() -> None:
    model = models()["net"]
    before = model(X).numpy()
    for parameters, x in ((other(model), np.ones((5, 3))), (other(model), "no array")):
        with pytest.raises((ValueError, TypeError)):
            functional_call(model, parameters, x)
        assert np.array_equal(model(X).numpy(), before)
    assert np.array_equal(model.predict(X), before)


def test_calls_inside_calls() -> None:
    """The inner call's parameters hold inside; the names of two parameters may be exchanged."""
    model = cr.nn.Sequential(cr.nn.Linear(2, 2, dtype=np.float64), cr.nn.Linear(2, 2, dtype=np.float64))
    a, b = (dict(model.named_parameters()) for _ in range(2))
    swapped = {"0.weight": a["1.weight"], "1.weight": b["0.weight"]}
    y = functional_call(model, swapped, X)
    w0, w1 = a["0.weight"].numpy(), a["1.weight"].numpy()
    assert np.allclose(y.numpy(), X @ w1 @ w0)

    class Outer(cr.nn.Module):
        def __init__(self) -> None:
            self.inner = model

        def forward(self, x: T) -> T:
            doubled = {"0.weight": 2.0 * model[0].weight}  # type: ignore[attr-defined]
            result: T = functional_call(self.inner, doubled, x) + self.inner(x)
            return result

    w = np.asarray([[1.0, 2.0], [3.0, 4.0]])
    y = functional_call(Outer(), {"inner.0.weight": w}, X)
    assert np.allclose(y.numpy(), 3 * X @ w @ w1)
    slope = cr.grad(lambda w: cr.sum(functional_call(Outer(), {"inner.0.weight": w}, X)))(w)
    assert np.allclose(slope.numpy(), 3 * X.T @ np.ones((5, 2)) @ w1.T)


class Reads(cr.nn.Module):
    def __init__(self, how: str) -> None:
        self.weight, self.how = cr.nn.Parameter(np.asarray([2.0, 3.0])), how

    def forward(self, x: T) -> T:
        if self.how == "numpy":
            return x * self.weight.numpy()
        if self.how == "item":
            return x * self.weight[0].item() if self.weight.tolist() else x
        if self.how == "detach":
            return x * self.weight.detach()
        self.weight.copy_(self.weight * 0.5)
        return x * self.weight


def test_values_read_in_python() -> None:
    """They would be the model's own: an error, or those of the given tensor."""
    for how in ("numpy", "item"):
        with pytest.raises((RuntimeError, TypeError)):
            functional_call(Reads(how), {"weight": np.asarray([5.0, 7.0])}, np.ones(2))
    assert functional_call(Reads("detach"), {"weight": np.asarray([5.0, 7.0])}, np.ones(2)).numpy().tolist() == [5, 7]


def test_predictions_inside() -> None:
    """`predict` in a forward function predicts with the tensors that stand for the parameters, also once compiled."""

    class Outer(cr.nn.Module):
        def __init__(self) -> None:
            self.inner = models()["net"]

        def forward(self, x: T) -> T:
            return cr.tensor(self.inner.predict(x.numpy())) + x[:, :1] * 0.0

    outer = Outer()
    outer.inner.predict(X)
    parameters = other(outer)
    y = functional_call(outer, parameters, cr.tensor(X))
    there = loaded("net", {name.removeprefix("inner."): p for name, p in parameters.items()})
    assert np.array_equal(y.numpy(), there.predict(X))
    assert not np.array_equal(y.numpy(), outer.inner.predict(X))
    with pytest.raises(TypeError, match=r"^predict: .* 0.weight is differentiated here; call model\(x\)"):
        cr.grad(lambda p: cr.sum(functional_call(outer, p, cr.tensor(X))))(parameters)


def test_writes_go_to_the_given_tensor() -> None:
    model, given = Reads("copy_"), cr.tensor(np.asarray([4.0, 8.0]))
    assert functional_call(model, {"weight": given}, np.ones(2)).numpy().tolist() == [2.0, 4.0]
    assert given.tolist() == [2.0, 4.0]
    assert model.weight.tolist() == [2.0, 3.0]
    with pytest.raises((RuntimeError, ValueError), match="overwritten"):
        cr.grad(lambda w: cr.sum(functional_call(model, {"weight": w}, np.ones(2))))(np.ones(2))


def test_inner_steps_are_differentiated() -> None:
    """Meta-learning: the gradient after a step of gradient descent, by the weights before it."""
    model = models()["net"]
    parameters = {key: 0.5 * value for key, value in other(model).items()}

    def loss(p: dict[str, T]) -> T:
        return cr.mean(cr.square(functional_call(model, p, X)))

    def adapted(p: dict[str, T]) -> T:
        return loss({key: p[key] - 0.1 * g for key, g in cr.grad(loss)(p).items()})

    assert cr.gradcheck(adapted, [parameters], rtol=1e-4)


def test_a_vector_of_parameters() -> None:
    """What `vector_to_parameters` cannot do in a transformation."""
    model = models()["net"]
    shapes = {name: p.shape for name, p in model.named_parameters()}

    def loss(theta: T) -> T:
        parts, start = {}, 0
        for name, shape in shapes.items():
            size = int(np.prod(shape))
            parts[name], start = theta[start : start + size].reshape(shape), start + size
        return cr.mean(cr.square(functional_call(model, parts, X)))

    theta = parameters_to_vector(model.parameters()).detach()
    direct = cr.grad(lambda m: cr.mean(cr.square(m(X))))(model)
    assert np.allclose(cr.grad(loss)(theta).numpy(), np.concatenate([g.numpy().ravel() for g in direct.values()]))
    assert cr.hessian(loss)(theta).shape == (13, 13)
    with pytest.raises(RuntimeError, match="functional_call"):
        cr.grad(lambda t: vector_to_parameters(t, model.parameters()) or cr.sum(model(X)))(theta)  # type: ignore[func-returns-value]


def test_threads() -> None:
    """Each thread sees its own parameters, the model itself meanwhile the model's."""
    model = models()["own"]
    own, wrong = model(X).numpy().tobytes(), []
    given = [other(model, seed) for seed in range(3)]
    expected = [functional_call(model, p, X).numpy().tobytes() for p in given]

    def work(i: int) -> None:
        for _ in range(30):
            if functional_call(model, given[i], X).numpy().tobytes() != expected[i]:
                wrong.append(i)
            if model(X).numpy().tobytes() != own:
                wrong.append(-1)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []

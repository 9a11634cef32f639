"""Plain arrays, lists and numbers take the dtype of the tensor or the layer beside them; two tensors do not mix."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn

VALUES = [[0.1, -2.5, 3.0], [1e-3, 7.0, 0.25]]
ARRAYS: dict[str, Any] = {
    "float64": np.array(VALUES),
    "float32": np.array(VALUES, np.float32),
    "list": VALUES,
    "int64": np.array([[1, 2, 3], [4, 5, 2**53 + 1]]),
    "int8": np.array([[1, 2, 3], [4, 5, 6]], np.int8),
    "bool": np.array([[True, False, True], [False, True, True]]),
    "swapped": np.array(VALUES).astype(">f8"),
    "fortran": np.array(VALUES, order="F"),
    "numbers": [[1, 2, 3], [4, 5, 6]],
}
CALLS: dict[str, Callable[[cr.Tensor, Any], cr.Tensor]] = {
    "add": lambda t, a: t + a,
    "right": lambda t, a: a + t,
    "sub": lambda t, a: cr.sub(a, t),
    "mul": lambda t, a: t * a,
    "div": lambda t, a: t / (cr.square(t) + a + 40),
    "maximum": lambda t, a: cr.maximum(t, a),
    "where": lambda t, a: cr.where(t > 0, t, a),
    "compare": lambda t, a: cr.where(t > a, t, 0.0),
    "matmul": lambda t, a: t.swapaxes(0, 1) @ a,
    "left": lambda t, a: cr.matmul(a, t.swapaxes(0, 1)),
    "linear": lambda t, a: cr.linear(a, t.swapaxes(0, 1), [0.5, 1.0]),
    "mse_loss": lambda t, a: cr.mse_loss(t, a),
    "huber_loss": lambda t, a: cr.huber_loss(t, a),
    "outer": lambda t, a: cr.outer(t, a),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("name", CALLS)
def test_an_array_takes_the_dtype_of_the_tensor(name: str, kind: str, dtype: str) -> None:
    given, function = ARRAYS[kind], CALLS[name]
    values = [[0.5, -1.0, 2.0], [0.0, 3.0, -0.125]]
    t = cr.tensor(values, dtype=dtype, requires_grad=True)
    y = function(t, given)
    rounded = np.asarray(given).astype(dtype)
    expected = function(cr.tensor(values, dtype=dtype, requires_grad=True), cr.tensor(rounded))
    assert y.dtype == np.dtype(dtype)
    assert y.tolist() == expected.tolist()
    if isinstance(given, np.ndarray):
        compiled = cr.compile(lambda a: function(t, a))
        for _ in range(3):
            assert compiled(given).tolist() == y.tolist()
    y.sum().backward()
    assert t.grad is not None
    assert t.grad.dtype == np.dtype(dtype)


def test_layers_and_losses() -> None:
    rng = np.random.default_rng(0)
    x, target = rng.standard_normal((5, 3)), np.ones((5, 1))
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    loss = cr.mse_loss(model(x), target)
    same = cr.mse_loss(model(x.astype(np.float32)), target.astype(np.float32))
    assert (loss.dtype, loss.item()) == (np.float32, same.item())
    assert nn.Linear(3, 4, dtype="float64")(x.astype(np.float32)).dtype == np.float64
    assert nn.Conv2d(1, 2, 3)(rng.standard_normal((2, 1, 5, 5))).dtype == np.float32
    optimizer = cr.optim.SGD(model.parameters(), lr=0.1)

    def step(x: Any, target: Any) -> cr.Tensor:
        optimizer.zero_grad()
        loss = cr.mse_loss(model(x), target)
        loss.backward()
        optimizer.step()
        return loss

    state = model.state_dict()
    eager = [step(x, target).item() for _ in range(4)]
    model.load_state_dict(state)
    compiled = cr.compile(step)
    assert [compiled(x, target).item() for _ in range(4)] == eager


def test_two_tensors_do_not_mix() -> None:
    a, b = cr.tensor([1.0], dtype="float32"), cr.tensor([1.0], dtype="float64")
    for call in (lambda: a + b, lambda: cr.matmul(b, a), lambda: cr.mse_loss(a, b), lambda: cr.where(a > 0, b, a)):
        with pytest.raises(TypeError, match=r"float32 and float64|float64 and float32"):
            call()
    with pytest.raises(TypeError, match="expected one dtype"):
        cr.add(np.ones(2), np.ones(2, np.float32))
    assert (a + cr.tensor([1])).dtype == np.float32


def test_a_compiled_function_tells_arrays_from_tensors() -> None:
    weight = cr.nn.Parameter([1.0, 2.0])
    f = cr.compile(lambda x: weight * x)
    x = np.array([0.1, 0.2])
    for _ in range(3):  # also by the fast call
        assert f(x).dtype == np.float32
        with pytest.raises(TypeError, match="float32 and float64"):
            f(cr.tensor(x))
    g = cr.compile(lambda x, n, y: (weight * x) * n + y)
    y = cr.tensor([1.0, 1.0])
    for _ in range(3):
        assert g(x, 2, y).tolist() == ((weight * x) * 2 + y).tolist()
        assert g(x.astype(np.float32), 2, y.numpy()).dtype == np.float32
        with pytest.raises(TypeError, match="float32 and float64"):
            g(cr.tensor(x), 2, y)


def test_differentiated_arrays_keep_their_dtype() -> None:
    x = np.array([0.1, 0.2])
    assert cr.grad(lambda x: cr.sum(x * x))(x).dtype == np.float64
    with pytest.raises(TypeError, match=r"float32 and float64|float64 and float32"):
        cr.grad(lambda x: cr.sum(x * cr.tensor([1.0, 2.0])))(x)

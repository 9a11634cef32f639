"""L-BFGS: it reaches minima in few evaluations, in both dtypes, and goes on from a saved state with the same bits."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

import chainrule as cr

Closure = Callable[[], Any]
Array = np.ndarray[Any, np.dtype[Any]]


def rosenbrock(n: int, dtype: type, **options: Any) -> tuple[cr.nn.Parameter, cr.optim.LBFGS, Closure]:
    point = cr.nn.Parameter(np.linspace(-1.2, 1.0, n).astype(dtype))
    optimizer = cr.optim.LBFGS([point], **{"max_iter": 300, "history_size": 10, **options})

    def closure() -> Any:
        optimizer.zero_grad()
        a = point[1:] - cr.square(point[:-1])
        loss = cr.sum(100 * a * a) + cr.sum(cr.square(1 - point[:-1]))
        loss.backward()
        return loss

    return point, optimizer, closure


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "evaluations"), [(2, 60), (20, 220)])
def test_reaches_the_minimum_of_rosenbrock(n: int, evaluations: int, dtype: type) -> None:
    point, optimizer, closure = rosenbrock(n, dtype, line_search_fn="strong_wolfe")
    first = optimizer.step(closure)
    assert first.item() > 20
    np.testing.assert_allclose(point.numpy(), np.ones(n), atol=1e-4)
    assert optimizer.func_evals < evaluations
    assert point.dtype == dtype


@pytest.mark.parametrize("case", ["rosenbrock", "net"])
def test_evaluates_where_scipy_does(case: str) -> None:
    """Its L-BFGS-B: first step, line search and history; the losses of the evaluations, one after the other."""
    points, optimizer, closure = searches(case)
    seen: list[float] = []

    def recorded() -> Any:
        loss = closure()
        seen.append(loss.item())
        return loss

    start = [point.numpy().copy() for point in points]
    optimizer.step(recorded)
    own, seen = seen, []

    def function(flat: Array) -> tuple[float, Array]:
        ends = np.cumsum([point.size for point in points])
        for point, end in zip(points, ends, strict=True):
            point.copy_(flat[end - point.size : end].reshape(point.shape))
        return recorded().item(), np.concatenate([point.grad.numpy().reshape(-1) for point in points])

    x0 = np.concatenate([array.reshape(-1) for array in start])
    options = {"maxiter": 25, "maxfun": 1000, "gtol": 0.0, "ftol": 0.0}
    minimize(function, x0, method="L-BFGS-B", jac=True, options=options)
    assert min(len(own), len(seen)) > 25
    np.testing.assert_allclose(own[:26], seen[:26], rtol=1e-6)


def searches(case: str) -> tuple[list[cr.nn.Parameter], cr.optim.LBFGS, Closure]:
    if case == "rosenbrock":
        point, optimizer, closure = rosenbrock(8, np.float64, max_iter=25, max_eval=500, line_search_fn="strong_wolfe")
        return [point], optimizer, closure
    source = cr.random.Generator(seed=3)
    x, labels = source.normal((60, 4), dtype=np.float64), np.arange(60) % 3
    layers = [cr.nn.Linear(4, 10, dtype=np.float64, generator=source), cr.nn.Tanh()]
    model = cr.nn.Sequential(*layers, cr.nn.Linear(10, 3, dtype=np.float64, generator=source))
    parameters = list(model.parameters())
    optimizer = cr.optim.LBFGS(parameters, max_iter=25, max_eval=500, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> Any:
        optimizer.zero_grad()
        loss = cr.cross_entropy(model(cr.tensor(x)), labels)
        loss.backward()
        return loss

    return parameters, optimizer, closure


def test_fixed_steps_without_a_search() -> None:
    weight = cr.nn.Parameter(np.array([3.0, -2.0]))
    optimizer = cr.optim.LBFGS([weight], lr=0.5, max_iter=60)
    scale = np.array([1.0, 4.0])

    def closure() -> Any:
        optimizer.zero_grad()
        loss = cr.sum(cr.square(weight - 1.0) * scale)
        loss.backward()
        return loss

    optimizer.step(closure)
    np.testing.assert_allclose(weight.numpy(), [1.0, 1.0], atol=1e-4)
    assert optimizer.func_evals == optimizer.n_iter + 1


def test_goes_on_from_a_saved_state_with_the_same_bits() -> None:
    whole, optimizer, closure = rosenbrock(6, np.float64, max_iter=5, line_search_fn="strong_wolfe")
    optimizer.step(closure)
    part, other, again = rosenbrock(6, np.float64, max_iter=5, line_search_fn="strong_wolfe")
    other.step(again)
    third, resumed, last = rosenbrock(6, np.float64, max_iter=1)
    third.copy_(part.numpy())
    resumed.load_state_dict(other.state_dict())
    resumed.step(last)
    optimizer.step(closure)
    assert third.numpy().tobytes() == whole.numpy().tobytes()
    assert resumed.max_iter == 5


def test_limits_of_one_step() -> None:
    _, optimizer, closure = rosenbrock(8, np.float64, max_iter=3, max_eval=20, line_search_fn="strong_wolfe")
    optimizer.step(closure)
    assert optimizer.n_iter == 3
    _, optimizer, closure = rosenbrock(8, np.float64, max_eval=7, line_search_fn="strong_wolfe")
    optimizer.step(closure)
    assert optimizer.func_evals <= 7


def test_a_loss_that_overflows_on_the_way_is_searched_around() -> None:
    weight = cr.nn.Parameter(np.array([1.0]))
    optimizer = cr.optim.LBFGS([weight], lr=1000.0, max_iter=50, max_eval=500, line_search_fn="strong_wolfe")

    def closure() -> Any:
        optimizer.zero_grad()
        loss = cr.sum(cr.exp(weight * weight) + weight)
        loss.backward()
        return loss

    optimizer.step(closure)
    slope = 2 * weight.numpy() * np.exp(weight.numpy() ** 2) + 1
    assert abs(slope[0]) < 1e-5


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"lr": 0.0}, ValueError, "LBFGS: lr"),
        ({"max_iter": 0}, ValueError, "LBFGS: max_iter"),
        ({"line_search_fn": "wolfe"}, ValueError, "line_search_fn must be 'strong_wolfe' or None"),
        ({"tolerance_grad": -1.0}, ValueError, "LBFGS: tolerance_grad"),
    ],
)
def test_refuses_options_out_of_range(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        cr.optim.LBFGS([cr.nn.Parameter([1.0])], **options)


def test_refuses_groups_and_mixed_dtypes() -> None:
    group = {"params": [cr.nn.Parameter([1.0])]}
    with pytest.raises(TypeError, match="all parameters have the same options"):
        cr.optim.LBFGS([group])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="mix float32 and float64"):
        cr.optim.LBFGS([cr.nn.Parameter(np.ones(1, np.float32)), cr.nn.Parameter(np.ones(1))])

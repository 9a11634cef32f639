"""Compiled functions in wrappers, transformations and compiled functions again: the results of the plain function."""

import copy
import functools
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiler.jit import Compiled

Function = Callable[..., Any]
X = cr.tensor([1.0, 2.0], dtype=np.float64)


def cubes(x: Any) -> Any:
    return (x * x * x).sum()


def wrapped(function: Function) -> Function:
    @functools.wraps(function)
    def inside(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inside


WRAPPERS: dict[str, Function] = {
    "compile": cr.compile,
    "wraps": wrapped,
    "lambda": lambda function: lambda x: function(x),
    "partial": functools.partial,
    "enable_grad": cr.enable_grad(),
}
TRANSFORMATIONS: dict[str, Function] = {
    "none": lambda function: function,
    "grad": cr.grad,
    "value_and_grad": cr.value_and_grad,
    "hessian": cr.hessian,
    "jacobian": cr.jacobian,
    "jvp": lambda function: functools.wraps(function)(lambda x: cr.jvp(function, (x,), (np.ones(2),))),
    "vjp": lambda function: functools.wraps(function)(lambda x: cr.vjp(function, x)[1](1.0)),
}


def values(result: Any) -> Any:
    return [values(part) for part in result] if isinstance(result, tuple) else result.detach().tolist()


@pytest.mark.parametrize("inner", WRAPPERS)
@pytest.mark.parametrize("transformation", TRANSFORMATIONS)
def test_wrapped_and_compiled_again(transformation: str, inner: str) -> None:
    transform = TRANSFORMATIONS[transformation]
    expected = values(transform(cubes)(X))
    outers: list[Function] = [*WRAPPERS.values(), cr.no_grad()]
    for outer in outers:
        whole = outer(transform(WRAPPERS[inner](cubes)))
        assert values(whole(X)) == expected
        assert values(cr.compile(whole)(X)) == expected


def test_attributes_of_the_function_are_those_of_the_compiled_one() -> None:
    def scaled(x: Any) -> Any:
        """Twice x."""
        return 2 * x

    scaled.unit = "m"  # type: ignore[attr-defined]
    compiled: Any = cr.compile(scaled)
    assert (compiled.unit, compiled.__name__, compiled.__doc__) == ("m", "scaled", "Twice x.")
    assert compiled.__wrapped__ is scaled


class Squares(cr.nn.Module):
    """A module with a compiled function of itself."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = cr.nn.Linear(2, 2)
        self.fast = cr.compile(self.run)

    def run(self, x: Any) -> Any:
        return cr.square(self.linear(x))

    def forward(self, x: Any) -> Any:
        return self.fast(x)


@cr.compile
def doubled(x: Any) -> Any:
    return 2 * x


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda f: pickle.loads(pickle.dumps(f))])
@pytest.mark.parametrize("called", [False, True])
def test_copies_of_compiled_functions(copied: Function, called: bool) -> None:
    if called:
        doubled(X)
    assert copied(doubled) is doubled  # as of a function
    compiled = cr.compile(cubes)
    if called:
        compiled(X)
    assert copied(compiled)(X).item() == 9.0


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda f: pickle.loads(pickle.dumps(f))])
def test_a_copied_module_has_compiled_functions_of_its_own(copied: Function) -> None:
    x = np.ones((1, 2), np.float32)
    module = Squares()
    expected = module(x).tolist()
    other = copied(module)
    assert other(x).tolist() == expected
    other.linear.weight.copy_(np.zeros((2, 2)))
    assert other(x).tolist() == [[0.0, 0.0]]
    assert module(x).tolist() == expected


def test_a_copy_watches_what_the_original_does() -> None:
    state = {"k": 2.0}
    compiled: Any = Compiled(lambda x: x * state["k"], watched=())
    assert copy.deepcopy(compiled)._roots == ()

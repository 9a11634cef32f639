"""Compiled functions in wrappers, transformations and compiled functions again: the results of the plain function."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr

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

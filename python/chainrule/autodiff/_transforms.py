"""Function transformations: gradients, and products with the Jacobian and the Hessian.

Each records one run of the function (`_recording.py`) and sweeps through its graph (`_sweeps.py`), so they can be
nested arbitrarily and work inside `cr.compile`. docs/autodiff.md describes the supported arguments and results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from .._tensor import Tensor
from .._util.checks import is_integer
from ._recording import Recording
from ._sweeps import seed

__all__ = [
    "ArgNums",
    "check_function",
    "grad",
    "hvp",
    "jvp",
    "positions_of",
    "select_by_argnums",
    "value_and_grad",
    "vjp",
]

ArgNums = int | Sequence[int]


def check_function(what: str, f: Any, argnums: Any = 0) -> None:
    """Raise TypeError unless a transformation was given a function and positions of its arguments."""
    if not callable(f):
        of_tensors = isinstance(f, Tensor) or (isinstance(f, (tuple, list)) and any(isinstance(t, Tensor) for t in f))
        advice = "; for derivatives of tensors write cr.autograd.grad(outputs, inputs)" if of_tensors else ""
        raise TypeError(f"{what}: expected a function, got {type(f).__name__}{advice}")
    if not isinstance(argnums, (tuple, list)) and not is_integer(argnums):
        raise TypeError(
            f"{what}: argnums must be an integer or a tuple of integers, got {type(argnums).__name__}; the arguments "
            f"of the function follow in a second call, cr.{what}(f)(x)"
        )


def positions_of(what: str, argnums: ArgNums, args: Sequence[Any]) -> list[int]:
    """Resolve `argnums` to non-negative positions in the arguments of a call."""
    given: list[Any] = list(argnums) if isinstance(argnums, (tuple, list)) else [argnums]
    for n in given:
        if not is_integer(n):
            raise TypeError(f"{what}: argnums must be an integer or a tuple of integers, got {argnums!r}")
        if not -len(args) <= n < len(args):
            raise ValueError(f"{what}: argument {n} of {len(args)} does not exist")
    return [int(n) % len(args) for n in given]


def select_by_argnums(argnums: ArgNums, positions: Sequence[int], trees: dict[int, Any]) -> Any:
    """Arrange one result per argument like `argnums`: a single value for an integer, else a tuple."""
    return tuple(trees[n] for n in positions) if isinstance(argnums, (tuple, list)) else trees[positions[0]]


def value_and_grad(f: Callable[..., Any], argnums: ArgNums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Return a function that computes f and its gradient with respect to some arguments, in reverse mode.

    Arguments: `f`, from tensors (and anything else) to a tensor of one element, or (value, extra) with `has_aux`;
    `argnums`, position(s) of the arguments to differentiate with respect to: float tensors, arrays or numbers, trees
    of them (tuples, lists, dicts; None may be among the leaves), or modules.
    Returns: a function of f's arguments that returns (value, gradient), or ((value, extra), gradient); a tuple of
    gradients for a tuple of positions. The gradient of a tree is a tree of the same structure, that of a module a dict
    by the names of its parameters that require a gradient. Nesting gives higher derivatives.
    Errors: ValueError for a value of several elements; TypeError for an argument, naming the path in it, or a value
    that is not a float array.

    >>> import chainrule as cr
    >>> value, gradient = cr.value_and_grad(lambda x: (x * x).sum())(cr.tensor([1.0, 2.0]))
    >>> value.item(), gradient.numpy()
    (5.0, array([2., 4.], dtype=float32))
    >>> cr.grad(lambda p: p["w"] * p["w"] * p["b"])({"w": 2.0, "b": 3.0})["w"].item()
    12.0
    """
    check_function("value_and_grad", f, argnums)

    @wraps(f)
    def computed(*args: Any, **kwargs: Any) -> Any:
        positions = positions_of("grad", argnums, args)
        run = Recording("grad", f, args, kwargs, positions, has_aux, single=True)
        gradients = run.pull([seed(run.outputs[0], None, "grad")])
        result = (run.value(), run.extra()) if has_aux else run.value()
        return result, select_by_argnums(argnums, positions, run.inputs.by_argument(gradients))

    return computed


def grad(f: Callable[..., Any], argnums: ArgNums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Return a function that computes the gradient of f; arguments as `cr.value_and_grad`.

    Returns: a function that returns the gradient, or (gradient, extra) with `has_aux`.

    >>> import chainrule as cr
    >>> cr.grad(cr.grad(lambda x: x * x * x))(cr.tensor(2.0)).item()
    12.0
    """
    check_function("grad", f, argnums)
    both = value_and_grad(f, argnums, has_aux)

    @wraps(f)
    def computed(*args: Any, **kwargs: Any) -> Any:
        result, gradients = both(*args, **kwargs)
        return (gradients, result[1]) if has_aux else gradients

    return computed


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """Compute f and a function that pulls gradients back through it, g -> J^T g, in reverse mode.

    Arguments: `f`, from `primals` to a tensor or a tree of them, or (results, extra) with `has_aux`; `primals`, as
    arguments of `cr.grad`; those that are not floats are passed on, and their gradient is None.
    Returns: (results, pullback), or (results, pullback, extra). `pullback(g)` takes a tree like the results (None in
    place of a subtree means 0; the default is 1, for one element) and returns a tuple with one gradient per primal; it
    can be called any number of times.
    Errors: TypeError and ValueError naming the path of a primal, a result or a part of g that does not fit.

    >>> import chainrule as cr
    >>> y, pullback = cr.vjp(cr.exp, cr.tensor([0.0, 1.0]))
    >>> pullback(cr.tensor([1.0, 2.0]))[0].numpy()
    array([1.       , 5.4365635], dtype=float32)
    """
    check_function("vjp", f)
    run = Recording("vjp", f, primals, {}, range(len(primals)), has_aux, others=True)

    def pullback(gradient: Any = None) -> tuple[Any, ...]:
        alone = gradient is None and run.structure == (None,)
        gradients = [seed(run.outputs[0], None, "vjp")] if alone else run.seeds(gradient)
        trees = run.inputs.by_argument(run.pull(gradients))
        return tuple(trees[n] for n in range(len(primals)))

    return (run.value(), pullback, run.extra()) if has_aux else (run.value(), pullback)


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> Any:
    """Compute f and its derivative along a direction, J t, in forward mode.

    Arguments: `f`, from `primals` to a tensor or a tree of them, or (results, extra) with `has_aux`; `primals`, a tuple
    of its arguments, as those of `cr.grad`; `tangents`, a tuple of trees like them (None in place of a subtree
    means 0), for a module a dict by parameter name.
    Returns: (results, tangents of the results), or (results, tangents, extra).
    Errors: TypeError and ValueError naming the path of a primal, a tangent or a result that does not fit.

    >>> import chainrule as cr
    >>> y, slope = cr.jvp(lambda x: x * x * x, (cr.tensor(2.0),), (cr.tensor(1.0),))
    >>> y.item(), slope.item()
    (8.0, 12.0)
    """
    check_function("jvp", f)
    _check_tuples("jvp", primals, tangents)
    run = Recording("jvp", f, primals, {}, range(len(primals)), has_aux, others=True)
    pushed = run.result(run.push(run.inputs.tangents(tangents)))
    return (run.value(), pushed, run.extra()) if has_aux else (run.value(), pushed)


def _check_tuples(what: str, primals: Any, tangents: Any) -> None:
    """Raise unless both are tuples with one item per argument."""
    for name, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, (tuple, list)):
            raise TypeError(f"{what}: {name} must be a tuple with one for each argument, got {type(given).__name__}")
    if len(primals) != len(tangents):
        raise ValueError(f"{what}: expected a tangent for each of {len(primals)} arguments, got {len(tangents)}")


def hvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Multiply the Hessian of f by a vector, H v, without forming it: the gradient's derivative along v.

    Forward mode over reverse mode, at the cost of a few gradients (docs/autodiff.md).

    Arguments: `f`, from `primals` to a tensor of one element; `primals`, `tangents`: tuples as those of `cr.jvp`.
    Returns: a tree like the primal; for several primals, a tuple of trees.
    Errors: as `cr.jvp` and `cr.grad`.

    >>> import chainrule as cr
    >>> A = cr.tensor([[2.0, 1.0], [1.0, 3.0]])
    >>> cr.hvp(lambda x: 0.5 * (x @ A @ x), ([1.0, 1.0],), ([1.0, 0.0],)).numpy()
    array([2., 1.], dtype=float32)
    """
    check_function("hvp", f)
    _check_tuples("hvp", primals, tangents)
    argnums = 0 if len(primals) == 1 else tuple(range(len(primals)))
    return jvp(grad(f, argnums), primals, tangents)[1]

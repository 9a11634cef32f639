"""Function transformations: gradients, and products with the Jacobian and the Hessian.

Each records one run of the function (`_recording.py`) and sweeps through its graph (`_sweeps.py`), so each can be
nested in each, and all work inside `cr.compile`. docs/autodiff.md tells what may be an argument and a result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from .._util.checks import is_integer
from ._recording import Recording
from ._sweeps import seed

__all__ = ["ArgNums", "chosen", "grad", "hvp", "jvp", "positions_of", "value_and_grad", "vjp"]

ArgNums = int | Sequence[int]


def positions_of(what: str, argnums: ArgNums, args: Sequence[Any]) -> list[int]:
    """The arguments of a call that `argnums` names, counted from 0."""
    given: list[Any] = list(argnums) if isinstance(argnums, (tuple, list)) else [argnums]
    for n in given:
        if not is_integer(n):
            raise TypeError(f"{what}: argnums must be an integer or a tuple of integers, got {argnums!r}")
        if not -len(args) <= n < len(args):
            raise ValueError(f"{what}: argument {n} of {len(args)} does not exist")
    return [int(n) % len(args) for n in given]


def chosen(argnums: ArgNums, positions: Sequence[int], trees: dict[int, Any]) -> Any:
    """What was found for each argument: alone for one position, else a tuple."""
    return tuple(trees[n] for n in positions) if isinstance(argnums, (tuple, list)) else trees[positions[0]]


def value_and_grad(f: Callable[..., Any], argnums: ArgNums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Return a function that computes f and its gradient by some arguments, in reverse mode.

    Arguments: `f`, from tensors (and anything else) to a tensor of one element, or (value, extra) with `has_aux`;
    `argnums`, the position, or positions, of the arguments to differentiate by: float tensors, arrays or numbers, trees
    of them (tuples, lists, dicts; None may be among the leaves), or modules.
    Returns: a function of f's arguments that returns (value, gradient), or ((value, extra), gradient); a tuple of
    gradients for a tuple of positions. A tree's gradient is a tree like it, a module's a dict by the names of its
    parameters that require a gradient. Nested, it gives higher derivatives.
    Errors: ValueError for a value of more elements; TypeError for an argument, naming the place in it, or a value that
    is no float array.

    >>> import chainrule as cr
    >>> value, gradient = cr.value_and_grad(lambda x: (x * x).sum())(cr.tensor([1.0, 2.0]))
    >>> value.item(), gradient.numpy()
    (5.0, array([2., 4.], dtype=float32))
    >>> cr.grad(lambda p: p["w"] * p["w"] * p["b"])({"w": 2.0, "b": 3.0})["w"].item()
    12.0
    """

    @wraps(f)
    def computed(*args: Any, **kwargs: Any) -> Any:
        positions = positions_of("grad", argnums, args)
        run = Recording("grad", f, args, kwargs, positions, has_aux, single=True)
        gradients = run.pull([seed(run.outputs[0], None, "grad")])
        result = (run.value(), run.extra()) if has_aux else run.value()
        return result, chosen(argnums, positions, run.inputs.by_argument(gradients))

    return computed


def grad(f: Callable[..., Any], argnums: ArgNums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Return a function that computes the gradient of f; arguments as `cr.value_and_grad`.

    Returns: a function that returns the gradient, or (gradient, extra) with `has_aux`.

    >>> import chainrule as cr
    >>> cr.grad(cr.grad(lambda x: x * x * x))(cr.tensor(2.0)).item()
    12.0
    """
    both = value_and_grad(f, argnums, has_aux)

    @wraps(f)
    def computed(*args: Any, **kwargs: Any) -> Any:
        result, gradients = both(*args, **kwargs)
        return (gradients, result[1]) if has_aux else gradients

    return computed


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """Compute f and a function that pulls gradients back through it, g -> J^T g, in reverse mode.

    Arguments: `f`, from `primals` to a tensor or a tree of them, or (results, extra) with `has_aux`; `primals`, as
    arguments of `cr.grad`; those that are no floats are passed on, and their gradient is None.
    Returns: (results, pullback), or (results, pullback, extra). `pullback(g)` takes a tree like the results (None for
    parts of it: 0; without an argument 1, for one element) and returns a tuple with a gradient for each primal; it can
    be called as often as one likes.
    Errors: TypeError and ValueError naming the place where a primal, a result or g does not fit.

    >>> import chainrule as cr
    >>> y, pullback = cr.vjp(cr.exp, cr.tensor([0.0, 1.0]))
    >>> pullback(cr.tensor([1.0, 2.0]))[0].numpy()
    array([1.       , 5.4365635], dtype=float32)
    """
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
    of its arguments, as those of `cr.grad`; `tangents`, a tuple of trees like them (None for parts of them: 0), for a
    module a dict by parameter name.
    Returns: (results, tangents of the results), or (results, tangents, extra).
    Errors: TypeError and ValueError naming the place where a primal, a tangent or a result does not fit.

    >>> import chainrule as cr
    >>> y, slope = cr.jvp(lambda x: x * x * x, (cr.tensor(2.0),), (cr.tensor(1.0),))
    >>> y.item(), slope.item()
    (8.0, 12.0)
    """
    _check_tuples("jvp", primals, tangents)
    run = Recording("jvp", f, primals, {}, range(len(primals)), has_aux, others=True)
    pushed = run.result(run.push(run.inputs.tangents(tangents)))
    return (run.value(), pushed, run.extra()) if has_aux else (run.value(), pushed)


def _check_tuples(what: str, primals: Any, tangents: Any) -> None:
    """Refuse what is no tuple with one part for each argument."""
    for name, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, (tuple, list)):
            raise TypeError(f"{what}: {name} must be a tuple with one for each argument, got {type(given).__name__}")
    if len(primals) != len(tangents):
        raise ValueError(f"{what}: expected a tangent for each of {len(primals)} arguments, got {len(tangents)}")


def hvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Multiply the Hessian of f with a vector, H v, without forming it: the gradient's derivative along v.

    Forward mode over reverse mode; it costs a few gradients (docs/autodiff.md).

    Arguments: `f`, from `primals` to a tensor of one element; `primals`, `tangents`: tuples as those of `cr.jvp`.
    Returns: a tree like the primal, for several primals a tuple of them.
    Errors: as `cr.jvp` and `cr.grad`.

    >>> import chainrule as cr
    >>> A = cr.tensor([[2.0, 1.0], [1.0, 3.0]])
    >>> cr.hvp(lambda x: 0.5 * (x @ A @ x), ([1.0, 1.0],), ([1.0, 0.0],)).numpy()
    array([2., 1.], dtype=float32)
    """
    _check_tuples("hvp", primals, tangents)
    argnums = 0 if len(primals) == 1 else tuple(range(len(primals)))
    return jvp(grad(f, argnums), primals, tangents)[1]

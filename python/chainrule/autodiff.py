"""Reverse mode: one loop over the nodes, newest first; no recursion, so depth is bounded by memory only.

Every op's gradient rule is written in ops. With `create_graph` the rules record nodes themselves, and gradients can be
differentiated again; without, they only compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np

from . import ops
from .tensor import Tensor, as_tensor, grad_mode

__all__ = ["backward", "grad", "is_grad_enabled", "no_grad", "value_and_grad"]

F = TypeVar("F", bound=Callable[..., Any])


class no_grad:  # noqa: N801 (PyTorch's name)
    """Context and decorator in which ops record no graph.

    >>> import chainrule as cr
    >>> x = cr.tensor([1.0], requires_grad=True)
    >>> with cr.no_grad():
    ...     y = x * 2.0
    >>> y.requires_grad
    False
    """

    _wanted = False

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(grad_mode.enabled)
        grad_mode.set(self._wanted, grad_mode.trace)

    def __exit__(self, *exception: object) -> None:
        grad_mode.set(self._before.pop(), grad_mode.trace)

    def __call__(self, function: F) -> F:
        """Decorate a function."""

        @wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with type(self)():
                return function(*args, **kwargs)

        return cast(F, inside)


class enable_grad(no_grad):  # noqa: N801 (PyTorch's name)
    """The opposite, for functions that differentiate whatever the caller's mode is."""

    _wanted = True


def is_grad_enabled() -> bool:
    """Return whether ops record the graph in this thread.

    >>> import chainrule as cr
    >>> cr.is_grad_enabled()
    True
    """
    return grad_mode.enabled


def _sum_to(g: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Undo broadcasting: sum the gradient over the axes along which the argument was repeated."""
    if g.shape == shape:
        return g
    extra = g.ndim - len(shape)
    axes = (*range(extra), *(extra + i for i, n in enumerate(shape) if n == 1 and g.shape[extra + i] != 1))
    return ops.reshape(ops.sum(g, axes), shape)


def _reachable(outputs: Iterable[Tensor]) -> list[Tensor]:
    """Every tensor behind the outputs that requires a gradient, newest first."""
    seen: dict[int, Tensor] = {}
    waiting = [t for t in outputs if t._requires_grad]
    while waiting:
        t = waiting.pop()
        if t._number not in seen:
            seen[t._number] = t
            waiting.extend([x for x in t._inputs if x._requires_grad and x._number not in seen])
    return [seen[number] for number in sorted(seen, reverse=True)]


def _check_unchanged(t: Tensor) -> None:
    assert t._op is not None
    for i, (x, version) in enumerate(zip((*t._inputs, t), t._saved, strict=True)):
        if x._version[0] != version:
            what = "the result" if x is t else f"argument {i}"
            raise RuntimeError(
                f"backward: {what} of {t._op.name} (shape {x.shape}) was overwritten after the forward pass; "
                "compute the forward pass again before backward"
            )


def pull_back(outputs: Sequence[Tensor], gradients: Sequence[Tensor], wanted: set[int] | None) -> dict[int, Tensor]:
    """Gradients of sum(outputs * gradients) by tensor number: of the leaves, or of the tensors in `wanted`."""
    pending: dict[int, Tensor] = {}
    for out, g in zip(outputs, gradients, strict=True):
        pending[out._number] = ops.add(pending[out._number], g) if out._number in pending else g
    found: dict[int, Tensor] = {}
    for t in _reachable(outputs):
        if t._number not in pending:
            continue
        g = pending.pop(t._number)
        if t._op is None if wanted is None else t._number in wanted:
            found[t._number] = g
        if t._op is None:
            continue
        _check_unchanged(t)
        for i, x in enumerate(t._inputs):
            if not x._requires_grad:
                continue
            part = t._op.gradient(i, g, t, t._inputs, t._attrs)
            if part is None:
                continue
            part = _sum_to(part, x.shape)
            before = pending.get(x._number)
            pending[x._number] = part if before is None else ops.add(before, part)
    return found


def _seed(output: Tensor, gradient: Any, what: str) -> Tensor:
    """The gradient that arrives at an output: 1 for one element, else what the caller gives."""
    if gradient is None:
        if output.size != 1:
            raise ValueError(f"{what}: the output has shape {output.shape}; expected one element, or pass a gradient")
        return Tensor._wrap(np.ones(output.shape, output.dtype))
    g = as_tensor(gradient, output.dtype)
    if g.shape != output.shape or g.dtype != output.dtype:
        raise ValueError(f"{what}: the gradient is {g.dtype} {g.shape}, the output {output.dtype} {output.shape}")
    return g


def backward(output: Tensor, gradient: Any = None, create_graph: bool = False) -> None:
    """Add the gradient of `output` to the `grad` of every leaf that requires one.

    Arguments: `output`, a tensor made from such leaves; `gradient`, of its shape (default 1 for one element);
    `create_graph`, whether the gradients can be differentiated again.
    Errors: ValueError without a gradient for more than one element or for an output without history; RuntimeError when
    a value that the graph needs was overwritten.

    >>> import chainrule as cr
    >>> x = cr.tensor(3.0, requires_grad=True)
    >>> cr.backward(x * x)
    >>> x.grad.item()
    6.0
    """
    if not output._requires_grad:
        raise ValueError("backward: no tensor behind the output requires a gradient")
    leaves = {t._number: t for t in _reachable([output]) if t._op is None}
    with enable_grad() if create_graph else no_grad():
        seed = _seed(output, gradient, "backward")
        found = pull_back([output], [seed], None)
        new, taken = {}, {id(seed._version)}
        for number, g in found.items():
            before = leaves[number].grad
            if before is not None:
                g = ops.add(before, g)
            elif id(g._version) in taken and grad_mode.trace is None:  # memory of the seed or of another leaf's grad
                g = ops.add(g, 0) if create_graph else Tensor._wrap(g._data.copy())
            taken.add(id(g._version))
            new[number] = g
    for number, g in new.items():
        leaves[number].grad = g


def _as_argnums(argnums: int | Sequence[int]) -> tuple[int, ...]:
    return (argnums,) if isinstance(argnums, int) else tuple(argnums)


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Return a function that computes f and its gradient by some arguments.

    Arguments: `f`, from tensors (and anything else) to a tensor of one element, or (value, extra) with `has_aux`;
    `argnums`, the position, or positions, of the float arguments to differentiate by.
    Returns: a function of f's arguments that returns (value, gradient), or ((value, extra), gradient); a tuple of
    gradients for a tuple of positions. Nested, it gives higher derivatives.
    Errors: ValueError for a value of more elements; TypeError for an argument or a value that is no float array.

    >>> import chainrule as cr
    >>> value, gradient = cr.value_and_grad(lambda x: (x * x).sum())(cr.tensor([1.0, 2.0]))
    >>> value.item(), gradient.numpy()
    (5.0, array([2., 4.], dtype=float32))
    """
    positions = _as_argnums(argnums)

    @wraps(f)
    def computed(*args: Any, **kwargs: Any) -> Any:
        for n in positions:
            if not -len(args) <= n < len(args):
                raise ValueError(f"grad: argument {n} of {len(args)} does not exist")
        recording = grad_mode.enabled
        with enable_grad():
            points = {n % len(args): _point(args[n]) for n in positions}
            private = [t for t in points.values() if t._op is None]
            result = f(*[points.get(i, a) for i, a in enumerate(args)], **kwargs)
            value = result[0] if has_aux else result
            if not isinstance(value, Tensor):
                raise TypeError(f"grad: the function must return a tensor, got {type(value).__name__}")
            if value.dtype.kind != "f":
                raise TypeError(f"grad: the function must return float32 or float64, got {value.dtype}")
            targets = [points[n % len(args)] for n in positions]
            seed = _seed(value, None, "grad")
        # A value that depends on other leaves (an outer grad's point, parameters) has a gradient that does, too.
        own = {t._number for t in points.values()}
        nested = recording and any(t._op is None and t._number not in own for t in _reachable([value]))
        with enable_grad() if nested else no_grad():
            found = pull_back([value], [seed], {t._number for t in targets}) if value._requires_grad else {}
            zeros = [Tensor._wrap(np.zeros(t.shape, t.dtype)) for t in targets]
        for t in private:
            t._requires_grad = False  # nobody differentiates by it any more: an outer grad must not count it
        gradients = tuple(found.get(t._number, zero) for t, zero in zip(targets, zeros, strict=True))
        if not nested:
            result = (value.detach(), result[1]) if has_aux else value.detach()
        return result, (gradients[0] if isinstance(argnums, int) else gradients)

    return computed


def _point(argument: Any) -> Tensor:
    """A tensor to differentiate by: a leaf of its own, or for nesting a node that leads to the argument."""
    number = isinstance(argument, (int, float)) and not isinstance(argument, (bool, np.generic))
    source = argument if isinstance(argument, Tensor) else Tensor(float(argument) if number else argument)
    if source.dtype.kind != "f":
        raise TypeError(f"grad: can differentiate by float32 and float64 only, got {source.dtype}")
    if source._requires_grad:
        return ops.reshape(source, source.shape)  # a node of its own: f may use the argument elsewhere, too
    leaf = source.detach()
    leaf.requires_grad = True
    return leaf


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
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

"""The two sweeps over the graph: gradients newest first (reverse mode), tangents oldest first (forward mode).

Both are loops, not recursion, so depth is bounded by memory only. Every op's rules are written in ops: while recording
is enabled they create nodes, so that their results can be differentiated again. `_transforms.py` defines the function
transformations based on these sweeps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar, cast
from weakref import WeakValueDictionary

import numpy as np

from .. import ops
from .._tensor import Tensor
from .._util.array_protocol import depends_on, has_graph
from .._util.mode import grad_mode
from ..ops._operands import as_tensor

__all__ = ["backward", "enable_grad", "is_grad_enabled", "no_grad", "set_grad_enabled"]

F = TypeVar("F", bound=Callable[..., Any])
Visit = Callable[[Tensor, int, Tensor, Tensor], None]


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
        before = grad_mode.enabled
        self._before.append(before)
        try:
            grad_mode.set(self._wanted, grad_mode.executor)
        except BaseException:  # a signal's handler may raise when the mode is set, and nobody calls __exit__ then
            grad_mode.set(before, grad_mode.executor)
            self._before.pop()
            raise

    def __exit__(self, *exception: object) -> None:
        for attempt in range(3):  # where memory is short for a moment, the mode must not stay
            try:
                grad_mode.set(self._before[-1], grad_mode.executor)
                self._before.pop()
                return
            except MemoryError:
                if attempt == 2:
                    raise

    def __call__(self, function: F) -> F:
        """Decorate a function."""

        @wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with type(self)():
                return function(*args, **kwargs)

        return cast(F, inside)


class enable_grad(no_grad):  # noqa: N801 (PyTorch's name)
    """Context and decorator in which ops record a graph, also inside of `cr.no_grad()`.

    >>> import chainrule as cr
    >>> x = cr.tensor([1.0], requires_grad=True)
    >>> with cr.no_grad(), cr.enable_grad():
    ...     y = x * 2.0
    >>> y.requires_grad
    True
    """

    _wanted = True


class set_grad_enabled(no_grad):  # noqa: N801 (PyTorch's name)
    """Let ops record a graph, or not, from now on; as a context and a decorator until its end.

    Arguments: `mode`, a bool.
    Errors: `cr.CompileError` in a compiled function, where `cr.no_grad()` and `cr.enable_grad()` are contexts.

    >>> import chainrule as cr
    >>> with cr.set_grad_enabled(False):
    ...     cr.is_grad_enabled()
    False
    """

    def __init__(self, mode: bool) -> None:
        grad_mode.executor.forbid("set_grad_enabled: in a compiled function write cr.no_grad() or cr.enable_grad()")
        self._wanted = bool(mode)
        self._before = [grad_mode.enabled]
        grad_mode.set(self._wanted, grad_mode.executor)

    def __enter__(self) -> None:
        pass

    def __call__(self, function: F) -> F:
        """Decorate a function; the mode of the caller returns at once."""
        self.__exit__()
        wanted = self._wanted

        @wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with set_grad_enabled(wanted):
                return function(*args, **kwargs)

        return cast(F, inside)


@contextmanager
def differentiating_by(parameters: Iterable[int], inputs: Iterable[int] = ()) -> Iterator[None]:
    """Context of a transformation's function; all tensors by number.

    Tensors that depend on `parameters` keep their graph for the caller. Values that depend on `inputs`, which include
    the parameters, cannot be read by Python: the derivative would miss them.
    """
    before = grad_mode.sources, grad_mode.differentiated
    grad_mode.set_sources(before[0].union(parameters))
    grad_mode.differentiated = before[1].union(inputs)
    try:
        yield
    finally:
        grad_mode.set_sources(before[0])
        grad_mode.differentiated = before[1]


def is_differentiated(t: Tensor) -> bool:
    """Whether an enclosing transformation differentiates what is computed here from the tensor."""
    return bool(grad_mode.differentiated) and has_graph(t) and depends_on(t, grad_mode.differentiated)


def check_copy(t: Tensor) -> None:
    """Raise RuntimeError if a derivative would be lost because the tensor is copied as a Python object."""
    if is_differentiated(t):
        raise RuntimeError(
            f"copy: a tensor {t.shape} is differentiated here, and the derivative would miss its copy; use the tensor "
            "itself, or detach() for a constant"
        )


def check_overwrite(what: str, target: Tensor, values: Any) -> None:
    """Raise RuntimeError if a derivative would be lost because a tensor is overwritten with these values."""
    if target._number in grad_mode.replaced:
        raise RuntimeError(
            f"{what}: the tensor {target.shape} is replaced by functional_call and cannot be overwritten"
        )
    if not grad_mode.enabled or not grad_mode.differentiated:
        return
    advice = (
        "compute with new tensors: cr.nn.utils.functional_call(model, parameters, x) calls a model with other "
        "parameters; cr.no_grad() allows writes that are not to be differentiated"
    )
    if target._number in grad_mode.differentiated:
        raise RuntimeError(
            f"{what}: a tensor {target.shape} would be overwritten while the function is differentiated by it; {advice}"
        )
    if isinstance(values, Tensor) and is_differentiated(values):
        raise RuntimeError(
            f"{what}: the values for a tensor {target.shape} depend on what is differentiated here, and the derivative "
            f"would be lost; {advice}"
        )


def is_grad_enabled() -> bool:
    """Return whether ops record the graph in this thread.

    >>> import chainrule as cr
    >>> cr.is_grad_enabled()
    True
    """
    return grad_mode.enabled


# The subgraph between sources (tensors to differentiate with respect to) and outputs. Sources are identified by number
# and treated as independent: no sweep continues to their inputs, even if one was computed from another.


def ancestors(outputs: Iterable[Tensor], sources: Collection[int] = ()) -> list[Tensor]:
    """All ancestors of the outputs that require a gradient or are sources, newest first; outputs included."""
    seen: dict[int, Tensor] = {}
    waiting = [t for t in outputs if t._requires_grad or t._number in sources]
    while waiting:
        t = waiting.pop()
        if t._number in seen:
            continue
        seen[t._number] = t
        if t._number not in sources:
            waiting.extend([x for x in t._inputs if x._requires_grad or x._number in sources])
    return [seen[number] for number in sorted(seen, reverse=True)]


def subgraph(reached: Sequence[Tensor], sources: Collection[int]) -> list[Tensor]:
    """The ancestors that depend on a source, newest first."""
    leads = set(sources)
    found = []
    for t in reversed(reached):
        if t._number in leads or any(x._number in leads for x in t._inputs):
            leads.add(t._number)
            found.append(t)
    return found[::-1]


def check_not_overwritten(t: Tensor, what: str) -> None:
    """Raise RuntimeError if a value that the node's rules need was overwritten since the forward pass."""
    operands = (*t._inputs, t)
    if [x._version[0] for x in operands] == t._saved:
        return
    assert t._op is not None
    for i, (x, version) in enumerate(zip(operands, t._saved, strict=True)):
        if x._version[0] != version:
            value = "the result" if x is t else f"argument {i}"
            raise RuntimeError(
                f"{what}: {value} of {t._op.name} (shape {x.shape}) was overwritten after the forward pass; "
                f"compute the forward pass again before {what}"
            )


def sum_to(g: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Undo broadcasting: sum the gradient over the axes along which the argument was broadcast."""
    extra = g.ndim - len(shape)
    axes = (*range(extra), *(extra + i for i, n in enumerate(shape) if n == 1 and g.shape[extra + i] != 1))
    return ops.reshape(ops.sum(g, axes), shape)


def reverse_sweep(
    outputs: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    sources: Collection[int],
    nodes: Sequence[Tensor] | None = None,
    what: str = "backward",
    visit: Visit | None = None,
    independent: bool = True,
) -> dict[int, Tensor]:
    """Gradients of sum(outputs * gradients) by source number; sources without influence are omitted.

    `nodes` is the subgraph between them, for callers that sweep it often; `what` begins errors. For inspection,
    `visit(node, i, part, total)` is called for each edge, with the gradient that the node passes to its input i and the
    gradient accumulated there so far. Without `independent`, a source that was computed from another one contributes to
    that one's gradient; `nodes` must then contain what lies between them.
    """
    pending: dict[int, Tensor] = {}
    for out, g in zip(outputs, gradients, strict=True):
        if g is not None:
            pending[out._number] = ops.add(pending[out._number], g) if out._number in pending else g
    found: dict[int, Tensor] = {}
    nodes = subgraph(ancestors(outputs, sources), sources) if nodes is None else nodes
    matter = {t._number for t in nodes}
    for t in nodes:
        if t._number not in pending:
            continue
        g = pending.pop(t._number)
        if t._number in sources:
            found[t._number] = g
            if independent or t._op is None:
                continue
        check_not_overwritten(t, what)
        assert t._op is not None
        wanted = [x._number in matter for x in t._inputs]
        joint = t._op.joint_vjp
        parts = None if joint is None else joint(wanted, g, t, t._inputs, t._attrs)
        for i, x in enumerate(t._inputs):
            if not wanted[i]:
                continue
            part = t._op.gradient(i, g, t, t._inputs, t._attrs) if parts is None else parts[i]
            if part is None:
                continue
            if part._data.shape != x._data.shape:
                part = sum_to(part, x._data.shape)
            before = pending.get(x._number)
            total = part if before is None else ops.add(before, part)
            pending[x._number] = total
            if visit is not None:
                visit(t, i, part, total)
    return found


def forward_sweep(
    outputs: Sequence[Tensor],
    tangents: Mapping[int, Tensor],
    sources: Collection[int],
    nodes: Sequence[Tensor] | None = None,
    what: str = "jvp",
) -> dict[int, Tensor]:
    """The directional derivative of each node by number, for tangents by source number; zero ones are omitted.

    `nodes` and `what` as for the reverse sweep.
    """
    found = dict(tangents)
    nodes = subgraph(ancestors(outputs, sources), sources) if nodes is None else nodes
    for t in reversed(nodes):
        if t._number in sources:
            continue
        given = [found.get(x._number) for x in t._inputs]
        if all(g is None for g in given):
            continue
        check_not_overwritten(t, what)
        assert t._op is not None
        tangent = t._op.tangent(given, t, t._inputs, t._attrs)
        if tangent is not None:
            found[t._number] = ops.broadcast_to(tangent, t.shape)
    return found


def seed(output: Tensor, gradient: Any, what: str) -> Tensor:
    """The upstream gradient of an output: the caller's, or by default 1 for an output of one element."""
    if gradient is None:
        if output.size != 1:
            raise ValueError(f"{what}: the output has shape {output.shape}; expected one element, or pass a gradient")
        return Tensor._wrap(np.ones(output.shape, output.dtype))
    g = as_tensor(gradient, output.dtype)
    if g.shape != output.shape or g.dtype != output.dtype:
        raise ValueError(f"{what}: the gradient is {g.dtype} {g.shape}, the output {output.dtype} {output.shape}")
    return g


retained: WeakValueDictionary[int, Tensor] = WeakValueDictionary()  # nodes whose `grad` is kept, by number


def backward(
    output: Tensor, gradient: Any = None, create_graph: bool = False, retain_graph: bool | None = None
) -> None:
    """Add the gradient of `output` to the `grad` of every leaf that requires one.

    Also to that of the other tensors on which `retain_grad()` was called.

    Arguments: `output`, a tensor computed from such leaves; `gradient`, of its shape (default 1 for one element);
    `create_graph`, whether the gradients can be differentiated again; `retain_graph` has no effect: a graph exists as
    long as its tensors.
    Errors: ValueError without a gradient for more than one element or for an output without a graph; RuntimeError when
    a value that the graph needs was overwritten, and inside `cr.grad` and other transformations without
    `create_graph`, where the stored gradients would be constants.

    >>> import chainrule as cr
    >>> x = cr.tensor(3.0, requires_grad=True)
    >>> cr.backward(x * x)
    >>> x.grad.item()
    6.0
    """
    if not output._requires_grad:
        raise ValueError("backward: the output does not depend on a tensor that requires a gradient")
    if not create_graph and is_differentiated(output):
        raise RuntimeError(
            "backward: the output depends on what is differentiated here, and the gradients in `grad` would be "
            "constants; pass create_graph=True, or use cr.grad or cr.autograd.grad"
        )
    nodes = ancestors([output])
    kept: Collection[int] = retained if retained else ()  # each lookup in it takes 0.4 us
    targets = {t._number: t for t in nodes if t._op is None or t._number in kept}
    with enable_grad() if create_graph else no_grad():
        first = seed(output, gradient, "backward")
        found = reverse_sweep([output], [first], targets, nodes, independent=False)
        new, taken = {}, {id(first._version)}
        for number, g in found.items():
            before = targets[number].grad
            if before is not None:
                g = ops.add(before, g)
            elif id(g._version) in taken and grad_mode.executor.has_values:
                # It shares the memory of the seed or of another tensor's grad.
                g = ops.add(g, 0) if create_graph else Tensor._wrap(g._data.copy())
            taken.add(id(g._version))
            new[number] = g
    for number, g in new.items():
        targets[number].grad = g

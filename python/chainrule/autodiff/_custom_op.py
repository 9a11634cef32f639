"""Custom ops: Python functions with user-defined derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from .._tensor import Tensor
from .._util.mode import grad_mode
from ..ops._op import OPS, Attrs, Op, Plan, Spec, Tangents
from ..ops._operands import one
from ._inputs import make_input_leaf, zeros_like
from ._sweeps import enable_grad, no_grad, reverse_sweep
from ._value_reads import ValueReads, watching

__all__ = ["custom_op"]

Inputs = tuple[Tensor, ...]


def custom_op(
    name: str,
    forward: Callable[..., Tensor] | None = None,
    vjp: Callable[..., Any] | None = None,
    jvp: Callable[..., Any] | None = None,
) -> Callable[..., Any]:
    """Turn a function of tensors into an op with its own derivative rules; without `forward`, a decorator.

    Written in ops, it works inside `cr.compile` and can be differentiated as often as its rules can. Code that uses
    `.numpy()` works, too, but cannot be compiled, and a rule that reads values cannot be differentiated again.

    Arguments: `name`, for errors and graphs, different from every other op; `forward(*tensors)`, which returns a tensor
    and records no graph itself; `vjp(g, out, inputs)`, from the upstream gradient to the gradients of the arguments, a
    tuple in their order (None for no gradient; for one argument it may be a tensor); `jvp(tangents, out, inputs)`,
    from the tangents of the arguments (zeros for those without) to the tangent of the result. Without `jvp`, forward
    mode transposes `vjp`, which is linear in g.
    Returns: a function of tensors, arrays or numbers.
    Errors: TypeError and ValueError naming the op and the argument when a rule returns a wrong type, shape or dtype.

    >>> import chainrule as cr
    >>> cube = cr.custom_op("cube", lambda x: x * x * x, lambda g, out, x: g * 3.0 * x[0] * x[0])
    >>> cr.grad(cube)(2.0).item(), cr.jvp(cube, (2.0,), (1.0,))[1].item()
    (12.0, 12.0)
    """
    if not isinstance(name, str) or not name or name in OPS:
        raise ValueError(f"custom_op: name must be a non-empty string that no other op has, got {name!r}")
    if vjp is None:
        raise TypeError(f"{name}: expected a vjp rule; it may return None for arguments without a gradient")
    if forward is None:
        return lambda function: custom_op(name, function, vjp, jvp)
    compute = forward

    @wraps(forward)
    def call(*arguments: Any) -> Tensor:
        inputs = tuple(one(x) for x in arguments)
        with no_grad(), watching(ValueReads(inputs)) as reads:
            result = compute(*inputs)
        if not isinstance(result, Tensor):
            raise TypeError(f"{name}: forward must return a tensor, got {type(result).__name__}")
        out = result.detach()
        if grad_mode.enabled and out.dtype.kind == "f" and any(x._requires_grad for x in inputs):
            rules = _Rules(name, vjp, jvp, reads)
            out._record(Op(name, _no_plan, variadic_vjp=rules.gradient, variadic_jvp=rules.tangent), inputs, ())
        grad_mode.executor.note_result(out, inputs)
        return out

    return call


def _no_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    raise TypeError(f"{name}: a custom op has no instructions")


class _Rules:
    """The derivative rules of one call; checks the results of the user's functions."""

    def __init__(self, name: str, vjp: Callable[..., Any], jvp: Callable[..., Any] | None, forward: ValueReads) -> None:
        self.name, self._vjp, self._jvp, self._forward = name, vjp, jvp, forward
        self._cached: tuple[Tensor, list[Tensor | None]] | None = None

    def gradient(self, i: int, g: Tensor, out: Tensor, inputs: Inputs, attrs: Attrs) -> Tensor | None:
        """The gradient with respect to argument i; the first request computes those of all arguments."""
        if self._cached is None or self._cached[0] is not g:
            self._cached = (g, self._gradients(g, out, inputs))
        return self._cached[1][i]

    def _gradients(self, g: Tensor, out: Tensor, inputs: Inputs) -> list[Tensor | None]:
        upstream = make_input_leaf(g) if grad_mode.enabled else g  # a new leaf, to detect results that depend on it
        reads = ValueReads((*inputs, out), [upstream], self._forward)
        with watching(reads):
            result = self._vjp(upstream, out, inputs)
        parts = [result] if isinstance(result, Tensor) and len(inputs) == 1 else result
        if not isinstance(parts, (tuple, list)) or len(parts) != len(inputs):
            got = f"{len(parts)}" if isinstance(parts, (tuple, list)) else type(parts).__name__
            raise TypeError(f"{self.name}: vjp must return a gradient for each of {len(inputs)} arguments, got {got}")
        for i, (part, x) in enumerate(zip(parts, inputs, strict=True)):
            if part is not None:
                self._check(part, x, f"vjp's gradient of argument {i}")
        return [
            part if part is None else self._attach_node(part, [upstream], reads, f"vjp's gradient of argument {i}")
            for i, part in enumerate(parts)
        ]

    def tangent(self, tangents: Tangents, out: Tensor, inputs: Inputs, attrs: Attrs) -> Tensor | None:
        """The tangent of the result."""
        if self._jvp is None:
            return self._transposed(tangents, out, inputs)
        given = [
            zeros_like(x) if t is None and x.dtype.kind == "f" else t for t, x in zip(tangents, inputs, strict=True)
        ]
        leaves = [make_input_leaf(t) if t is not None and grad_mode.enabled else t for t in given]
        present = [t for t in leaves if t is not None]
        reads = ValueReads((*inputs, out), present, self._forward)
        with watching(reads):
            result = self._jvp(tuple(leaves), out, inputs)
        self._check(result, out, "jvp's tangent")
        return self._attach_node(result, present, reads, "jvp's tangent")

    def _transposed(self, tangents: Tangents, out: Tensor, inputs: Inputs) -> Tensor | None:
        """J t, as the gradient of <vjp(g), t> with respect to g, because vjp is linear in g: g -> J^T g."""
        with enable_grad():
            g = make_input_leaf(zeros_like(out))
            gradients = self._gradients(g, out, inputs)
        pairs = [(d, t) for d, t in zip(gradients, tangents, strict=True) if d is not None and t is not None]
        found = reverse_sweep([d for d, _ in pairs], [t for _, t in pairs], {g._number})
        g._requires_grad = False
        return found.get(g._number)

    def _check(self, result: Any, like: Tensor, what: str) -> None:
        if not isinstance(result, Tensor):
            raise TypeError(f"{self.name}: {what} must be a tensor, got {type(result).__name__}")
        if result.shape != like.shape or result.dtype != like.dtype:
            raise ValueError(
                f"{self.name}: {what} is {result.dtype} {result.shape}, expected {like.dtype} {like.shape} like its "
                "value"
            )

    def _attach_node(self, result: Tensor, given: Sequence[Tensor], reads: ValueReads, what: str) -> Tensor:
        """The result of a rule; if it was not computed by ops alone, with a node that raises when differentiated."""
        if not grad_mode.enabled:
            return result
        advice = (
            "so it cannot be differentiated again; write the rule in ops, and return None for arguments without a "
            "gradient"
        )
        if reads.of_given or not any(_depends(result, t) for t in given):
            rule = _NotDifferentiable(f"{self.name}: {what} was not computed by ops from its arguments, {advice}")
            result = result.detach()
            sources = (*given, *reads.arguments)
            result._record(Op(self.name, _no_plan, variadic_vjp=rule, variadic_jvp=rule), sources, ())
            return result
        if reads.of_arguments:
            message = f"{self.name}: {what} used values of the arguments that were not computed by ops, {advice}"
            return _OnlyLinear(self.name, message).attach(result, tuple(reads.arguments))
        return result


class _NotDifferentiable:
    """The derivative rule, in both modes, of a result that was not computed by ops: it raises."""

    def __init__(self, message: str) -> None:
        self.message = message

    def __call__(self, *_: Any) -> None:
        raise TypeError(self.message)


class _OnlyLinear:
    """The rules of a result that ops computed from what it is linear in, and from values of the arguments.

    Its node is the identity of the first input. The others are the arguments: a derivative by them raises.
    """

    def __init__(self, name: str, message: str) -> None:
        self.name, self.message = name, message

    def attach(self, result: Tensor, arguments: Inputs) -> Tensor:
        """The result with such a node; its derivatives, which contain the values, too, get one as well."""
        if not grad_mode.enabled or not any(x._requires_grad for x in (result, *arguments)):
            return result
        out = result.detach()
        out._record(Op(self.name, _no_plan, variadic_vjp=self._vjp, variadic_jvp=self._jvp), (result, *arguments), ())
        return out

    def _vjp(self, i: int, g: Tensor, out: Tensor, inputs: Inputs, attrs: Attrs) -> Tensor:
        if i > 0:
            raise TypeError(self.message)
        return self.attach(g, inputs[1:])

    def _jvp(self, tangents: Tangents, out: Tensor, inputs: Inputs, attrs: Attrs) -> Tensor | None:
        if any(t is not None for t in tangents[1:]):
            raise TypeError(self.message)
        return None if tangents[0] is None else self.attach(tangents[0], inputs[1:])


def _depends(result: Tensor, given: Tensor) -> bool:
    """Whether one tensor was computed from another; tensors older than `given` are not searched."""
    seen, waiting = set(), [result]
    while waiting:
        t = waiting.pop()
        if t is given:
            return True
        if t._number not in seen:
            seen.add(t._number)
            waiting.extend([x for x in t._inputs if x._number >= given._number])
    return False

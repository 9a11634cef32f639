"""Softmax and its logarithm, along an axis.

Each is an instruction on rows: a kernel in cpp/kernels/softmax.cpp. docs/adding.md adds another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._ir.instruction import Instr
from .._ir.records import Rowwise
from .._ir.shapes import product
from .._ir.table import Entry, add_instruction
from .._tensor import Tensor
from .._util.exports import own_names
from ._arithmetic import _float_dtype, mul, neg, sub
from ._math import exp
from ._names import Dim, by_dim
from ._op import LINEAR, SYMMETRIC, Attrs, Forward, Op, Plan, Rule, Spec, apply, register
from ._operands import one
from ._reduce import sum
from ._shape import transpose
from ._strides import axes_of

if TYPE_CHECKING:
    from typing_extensions import Unpack


def _rows_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    """The plan of a rowwise op along the last axis."""
    dtype = _float_dtype(name, specs)
    shape = specs[0].shape
    record = Rowwise(rows=product(shape[:-1]), cols=shape[-1])
    return Plan(Spec(shape, dtype), [Instr(name, specs[0].code, [len(specs)], list(range(len(specs))), record)])


def _rowwise(name: str, vjp: tuple[Rule | None, ...], jvp: tuple[Forward | None, ...], flops: int = 4) -> Op:
    """Register a rowwise op and its instruction; `flops` are operations per element."""
    add_instruction(name, Entry(Rowwise, flops))
    return register(Op(name, _rows_plan, vjp, jvp))


# softmax_grad(y, g) = y * (g - s), s = sum(y * g): linear in g, with a symmetric Jacobian.
def _softmax_second(gg: Tensor, d: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    y, g = x
    return sub(mul(gg, sub(g, sum(mul(y, g), -1, True))), mul(g, sum(mul(y, gg), -1, True)))


def _softmax_second_forward(t: Tensor, d: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    y, g = x
    return sub(mul(t, sub(g, sum(mul(y, g), -1, True))), mul(y, sum(mul(t, g), -1, True)))


# log_softmax_grad(y, g) = g - exp(y) * s, s = sum(g).
def _log_softmax_by_y(gg: Tensor, d: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    y, g = x
    return neg(mul(mul(exp(y), sum(g, -1, True)), gg))


def _log_softmax_by_g(gg: Tensor, d: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    return sub(gg, sum(mul(exp(x[0]), gg), -1, True))


_SOFTMAX_GRAD: Op = _rowwise(
    "softmax_grad",
    (_softmax_second, lambda gg, d, x, a: apply(_SOFTMAX_GRAD, (x[0], gg))),
    (_softmax_second_forward, LINEAR),
)
_LOG_SOFTMAX_GRAD: Op = _rowwise("log_softmax_grad", (_log_softmax_by_y, _log_softmax_by_g), (SYMMETRIC, LINEAR))
_SOFTMAX = _rowwise("softmax", (lambda g, y, x, a: apply(_SOFTMAX_GRAD, (y, g)),), (SYMMETRIC,))
_LOG_SOFTMAX = _rowwise(
    "log_softmax",
    (lambda g, y, x, a: apply(_LOG_SOFTMAX_GRAD, (y, g)),),
    (lambda t, y, x, a: _log_softmax_by_g(t, y, (y,), a),),
)


def _along(op: Op, x: Any, axis: int) -> Tensor:
    source = one(x)
    if source.ndim == 0:
        raise ValueError(f"{op.name}: x has no axes: it is 0-d")
    (at,) = axes_of(op.name, axis, source.ndim)
    if at == source.ndim - 1:
        return apply(op, (source,))
    order = [i for i in range(source.ndim) if i != at] + [at]
    return transpose(apply(op, (transpose(source, order),)), [order.index(i) for i in range(source.ndim)])


def softmax(x: Any, axis: int = -1, **names: Unpack[Dim]) -> Tensor:
    """Softmax along an axis, e**(x - max) / sum of e**(x - max).

    Arguments: `x`, a float tensor; `axis`, also named `dim`. Returns: a tensor of its shape. Errors: ValueError for the
    axis.

    >>> import chainrule as cr
    >>> cr.softmax([[0.0, 0.0]]).numpy()
    array([[0.5, 0.5]], dtype=float32)
    """
    if names:
        axis, _ = by_dim("softmax", names, axis, default=-1)
    return _along(_SOFTMAX, x, axis)


def log_softmax(x: Any, axis: int = -1, **names: Unpack[Dim]) -> Tensor:
    """Logarithm of softmax along an axis, (x - max) - log(sum of e**(x - max)).

    >>> import chainrule as cr
    >>> cr.log_softmax([[0.0, 0.0]]).numpy()
    array([[-0.6931472, -0.6931472]], dtype=float32)
    """
    if names:
        axis, _ = by_dim("log_softmax", names, axis, default=-1)
    return _along(_LOG_SOFTMAX, x, axis)


if not TYPE_CHECKING:
    __all__ = own_names(globals())

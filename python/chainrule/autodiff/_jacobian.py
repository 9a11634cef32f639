"""The matrices of derivatives: Jacobian and Hessian, a row or a column for each sweep through the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Any

import numpy as np

from .. import ops
from .._tensor import Tensor
from .._util.mode import grad_mode
from ._recording import Recording
from ._transforms import ArgNums, chosen, grad, positions_of

__all__ = ["Sweep", "hessian", "jacobian", "set_sweep_compiler"]

_MODES = ("auto", "forward", "reverse")

Sweep = Callable[[Tensor], list[Tensor]]

# What makes a program of a sweep that runs often, for arguments like a tensor: the compiler, which stands above this
# package and enters itself. Without it sweeps run as they are.
_compiled: list[Callable[[Sweep, Tensor], Sweep]] = [lambda sweep, like: sweep]


def set_sweep_compiler(compiler: Callable[[Sweep, Tensor], Sweep]) -> None:
    """Let sweeps that run often become programs."""
    _compiled[0] = compiler


def jacobian(
    f: Callable[..., Any], argnums: ArgNums = 0, has_aux: bool = False, mode: str = "auto"
) -> Callable[..., Any]:
    """Return a function that computes the Jacobian of f, J[i, j] = d result[i] / d argument[j].

    Rows belong to results, columns to arguments. The transpose (gradients side by side) is the other layout in use.

    Arguments: `f`, `argnums`, `has_aux` as `cr.grad`, but f may return a tensor of any shape, or a tree; `mode`,
    "reverse" (a row at a time), "forward" (a column at a time) or "auto", whichever are fewer.
    Returns: a function that returns a tensor of shape result.shape + argument.shape: for each tensor of the results a
    tree like the argument; or (that, extra) with `has_aux`.
    Errors: as `cr.grad`; ValueError for another mode.

    >>> import chainrule as cr
    >>> cr.jacobian(cr.relu)([-1.0, 2.0]).numpy()
    array([[0., 0.],
           [0., 1.]], dtype=float32)
    """
    if mode not in _MODES:
        raise ValueError(f"jacobian: mode must be {', '.join(_MODES)}, got {mode!r}")

    @wraps(f)
    def computed(*args: Any, **kwargs: Any) -> Any:
        positions = positions_of("jacobian", argnums, args)
        run = Recording("jacobian", f, args, kwargs, positions, has_aux)
        columns, rows = (sum(t.size for t in part) for part in (run.inputs.sources, run.outputs))
        forward = columns < rows if mode == "auto" else mode == "forward"
        blocks = _by_columns(run) if forward else _by_rows(run)
        found = run.result([chosen(argnums, positions, run.inputs.by_argument(row)) for row in blocks])
        return (found, run.extra()) if has_aux else found

    return computed


def _by_rows(run: Recording) -> list[list[Tensor]]:
    """The Jacobian of each output by each source: one reverse sweep for each element of an output."""
    blocks = []
    for i, out in enumerate(run.outputs):
        rows = _swept(run, partial(_row, run, i), out, run.inputs.sources)
        blocks.append([ops.reshape(t, out.shape + x.shape) for t, x in zip(rows, run.inputs.sources, strict=True)])
    return blocks


def _row(run: Recording, i: int, e: Tensor) -> list[Tensor]:
    """What gradient e of output i gives, for each source."""
    return run.pull([e if k == i else None for k in range(len(run.outputs))])


def _column(run: Recording, x: Tensor, e: Tensor) -> list[Tensor]:
    """What tangent e of a source gives, for each output."""
    return run.push({x._number: e})


def _by_columns(run: Recording) -> list[list[Tensor]]:
    """The same: one forward sweep for each element of a source."""
    turned = []
    for x in run.inputs.sources:
        columns = _swept(run, partial(_column, run, x), x, run.outputs)
        flat = [ops.reshape(t, (x.size, out.size)) for t, out in zip(columns, run.outputs, strict=True)]
        turned.append([ops.reshape(t.T, out.shape + x.shape) for t, out in zip(flat, run.outputs, strict=True)])
    return [[blocks[i] for blocks in turned] for i in range(len(run.outputs))]


_MANY_SWEEPS = 32  # from where on a program is worth its making: then a sweep takes a third of the time, on small nets


def _swept(run: Recording, sweep: Sweep, t: Tensor, like: list[Tensor]) -> list[Tensor]:
    """What the sweeps from 1 in each element of t give, stacked: (t.size, *shape) for each tensor in `like`."""
    if t.size and (run.keeps_graph or not grad_mode.executor.has_values):
        return [ops.stack(found) for found in zip(*[sweep(e) for e in _basis(t)], strict=True)]
    if t.size >= _MANY_SWEEPS:
        sweep = _compiled[0](sweep, t)
    whole = [np.empty((t.size, *x.shape), x.dtype) for x in like]
    for i, e in enumerate(_basis(t)):
        for array, found in zip(whole, sweep(e), strict=True):
            array[i] = found._data
    return [Tensor._wrap(array) for array in whole]


def _basis(t: Tensor) -> Iterator[Tensor]:
    """1 in one element after the other, 0 in the rest."""
    for i in range(t.size):
        e = np.zeros(t.size, t.dtype)
        e[i] = 1
        yield Tensor._wrap(e.reshape(t.shape))


def hessian(f: Callable[..., Any], argnums: ArgNums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Return a function that computes the Hessian of f, H[i, j] = d^2 f / d argument[i] d argument[j].

    Forward mode over reverse mode: the gradient's Jacobian, a column at a time. Where only its product with a vector
    is wanted, `cr.hvp` is made for that.

    Arguments: as `cr.grad`.
    Returns: a function that returns a tensor of shape argument.shape + argument.shape; for a tree a tree of trees, for
    several positions a tuple of tuples; or (that, extra) with `has_aux`.
    Errors: as `cr.grad`.

    >>> import chainrule as cr
    >>> cr.hessian(lambda x: x[0] * x[0] * x[1])([3.0, 5.0]).numpy()
    array([[10.,  6.],
           [ 6.,  0.]], dtype=float32)
    """
    return jacobian(grad(f, argnums, has_aux), argnums, has_aux, mode="forward")

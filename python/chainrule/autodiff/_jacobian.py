"""Jacobian and Hessian matrices, computed one row or column per sweep through the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Any

import numpy as np

from .. import ops
from .._tensor import Tensor
from .._util.mode import grad_mode
from ._recording import Recording
from ._transforms import ArgNums, check_function, grad, positions_of, select_by_argnums

__all__ = ["Sweep", "hessian", "jacobian", "set_sweep_compiler"]

_MODES = ("auto", "forward", "reverse")

Sweep = Callable[[Tensor], list[Tensor]]

# Compiles a sweep that runs often, for arguments like a given tensor. The compiler is in a layer above this package:
# chainrule/__init__.py registers it here. By default sweeps are not compiled.
_compiled: list[Callable[[Sweep, Tensor], Sweep]] = [lambda sweep, like: sweep]


def set_sweep_compiler(compiler: Callable[[Sweep, Tensor], Sweep]) -> None:
    """Register the function that compiles sweeps that run often."""
    _compiled[0] = compiler


def jacobian(
    f: Callable[..., Any], argnums: ArgNums = 0, has_aux: bool = False, mode: str = "auto"
) -> Callable[..., Any]:
    """Return a function that computes the Jacobian of f, J[i, j] = d result[i] / d argument[j].

    Rows belong to results, columns to arguments (numerator layout).

    Arguments: `f`, `argnums`, `has_aux` as `cr.grad`, but f may return a tensor of any shape, or a tree; `mode`,
    "reverse" (one row at a time), "forward" (one column at a time) or "auto", whichever needs fewer sweeps.
    Returns: a function that returns a tensor of shape result.shape + argument.shape: for each tensor of the results a
    tree like the argument; or (that, extra) with `has_aux`.
    Errors: as `cr.grad`; ValueError for another mode.

    >>> import chainrule as cr
    >>> cr.jacobian(cr.relu)([-1.0, 2.0]).numpy()
    array([[0., 0.],
           [0., 1.]], dtype=float32)
    """
    check_function("jacobian", f, argnums)
    if mode not in _MODES:
        raise ValueError(f"jacobian: mode must be {', '.join(_MODES)}, got {mode!r}")

    @wraps(f)
    def computed(*args: Any, **kwargs: Any) -> Any:
        positions = positions_of("jacobian", argnums, args)
        run = Recording("jacobian", f, args, kwargs, positions, has_aux)
        columns, rows = (sum(t.size for t in part) for part in (run.inputs.sources, run.outputs))
        forward = columns < rows if mode == "auto" else mode == "forward"
        with run.sweeping():
            blocks = _by_columns(run) if forward else _by_rows(run)
        found = run.result([select_by_argnums(argnums, positions, run.inputs.by_argument(row)) for row in blocks])
        return (found, run.extra()) if has_aux else found

    return computed


def _by_rows(run: Recording) -> list[list[Tensor]]:
    """The Jacobian blocks, for each output a list over sources: one reverse sweep per element of an output."""
    blocks = []
    for i, out in enumerate(run.outputs):
        rows = _run_sweeps(run, partial(_row, run, i), out, run.inputs.sources)
        blocks.append([ops.reshape(t, out.shape + x.shape) for t, x in zip(rows, run.inputs.sources, strict=True)])
    return blocks


def _row(run: Recording, i: int, e: Tensor) -> list[Tensor]:
    """The gradient with respect to each source, for the upstream gradient e of output i."""
    return run.pull([e if k == i else None for k in range(len(run.outputs))])


def _column(run: Recording, x: Tensor, e: Tensor) -> list[Tensor]:
    """The tangent of each output, for the tangent e of a source."""
    return run.push({x._number: e})


def _by_columns(run: Recording) -> list[list[Tensor]]:
    """The same blocks as `_by_rows`: one forward sweep per element of a source."""
    transposed = []
    for x in run.inputs.sources:
        columns = _run_sweeps(run, partial(_column, run, x), x, run.outputs)
        flat = [ops.reshape(t, (x.size, out.size)) for t, out in zip(columns, run.outputs, strict=True)]
        transposed.append([ops.reshape(t.T, out.shape + x.shape) for t, out in zip(flat, run.outputs, strict=True)])
    return [[blocks[i] for blocks in transposed] for i in range(len(run.outputs))]


_COMPILE_FROM = 32  # sweeps that repay compilation: on small nets a compiled sweep takes a third of the time


def _run_sweeps(run: Recording, sweep: Sweep, t: Tensor, like: list[Tensor]) -> list[Tensor]:
    """Run a sweep from each unit vector of t and stack the results: (t.size, *shape) for each tensor in `like`."""
    if t.size and (run.keeps_graph or not grad_mode.executor.has_values):
        return [ops.stack(found) for found in zip(*[sweep(e) for e in _basis(t)], strict=True)]
    if t.size >= _COMPILE_FROM:
        sweep = _compiled[0](sweep, t)
    whole = [np.empty((t.size, *x.shape), x.dtype) for x in like]
    for i, e in enumerate(_basis(t)):
        for array, found in zip(whole, sweep(e), strict=True):
            array[i] = found._data
    return [Tensor._wrap(array) for array in whole]


def _basis(t: Tensor) -> Iterator[Tensor]:
    """The unit vectors of t's shape, in order."""
    for i in range(t.size):
        e = np.zeros(t.size, t.dtype)
        e[i] = 1
        yield Tensor._wrap(e.reshape(t.shape))


def hessian(f: Callable[..., Any], argnums: ArgNums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Return a function that computes the Hessian of f, H[i, j] = d^2 f / d argument[i] d argument[j].

    Forward mode over reverse mode: the Jacobian of the gradient, one column at a time. `cr.hvp` computes the product
    with a vector without forming the matrix.

    Arguments: as `cr.grad`.
    Returns: a function that returns a tensor of shape argument.shape + argument.shape; for a tree a tree of trees, for
    several positions a tuple of tuples; or (that, extra) with `has_aux`.
    Errors: as `cr.grad`.

    >>> import chainrule as cr
    >>> cr.hessian(lambda x: x[0] * x[0] * x[1])([3.0, 5.0]).numpy()
    array([[10.,  6.],
           [ 6.,  0.]], dtype=float32)
    """
    check_function("hessian", f, argnums)
    return jacobian(grad(f, argnums, has_aux), argnums, has_aux, mode="forward")

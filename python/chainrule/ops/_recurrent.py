"""Recurrences over time: RNN, GRU and LSTM of inputs that are projected already.

A run over all steps is one instruction, and so are its gradients (cpp/kernels/recurrent.cpp). `_cells.py` has the same
steps written in ops, rounding for rounding: derivatives of derivatives are those of these steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._ir.instruction import Instr
from .._ir.records import Recurrent
from .._ir.table import Entry, add_instruction
from .._tensor import Tensor
from .._util.exports import own_names
from .._util.mode import grad_mode
from ._arithmetic import _float_dtype
from ._cells import CELLS, Cell, Run, swept_back, tangent_of
from ._matmul import _product
from ._op import Attrs, Gradients, Op, Plan, Spec, Tangents, apply, register
from ._operands import pair
from ._reduce import sum
from ._shape import reshape
from ._strides import copy_code, transpose_code

# Attributes of all ops here: batch_first, reverse. x is (steps, rows, gates * units), or (rows, steps, gates * units).
# Inputs: x, the state h before the first step (rows, units), the weight of the recurrence (units, gates * units);
# of a GRU the bias of the new state's recurrent part, of an LSTM the cell state c before the first step; then, but for
# a plain RNN, the planes that the run has left: h, the gates, and what else the gradients need.
_X, _H, _WEIGHT, _MORE = range(4)


def _record(x: Spec, units: int, attrs: Attrs) -> Recurrent:
    batch_first, reverse = attrs[:2]
    rows, steps = x.shape[:2] if batch_first else (x.shape[1], x.shape[0])
    return Recurrent(steps=steps, rows=rows, units=units, batch_first=batch_first, reverse=reverse)


def _run_plan(cell: Cell, name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    """All steps; the output are the planes."""
    dtype = _float_dtype(cell.name, specs)
    record = _record(specs[_X], specs[_WEIGHT].shape[0], attrs)
    shape = (*specs[_X].shape[:2], record.units)
    out = Spec(shape if cell.planes == 1 else (cell.planes * shape[0] * shape[1] * shape[2],), dtype)
    return Plan(out, [Instr(cell.name, out.code, [len(specs)], list(range(len(specs))), record)])


def _states_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    """A copy of the plane h."""
    shape = (*specs[_X].shape[:2], specs[_WEIGHT].shape[0])
    n = shape[0] * shape[1] * shape[2]
    code = copy_code(specs[_X].code, len(specs), len(specs) - 1, (n,), (1,), (1,))
    return Plan(Spec(shape, specs[_X].dtype), [code])


def _last_cell_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    """A copy of the last step's c."""
    record = _record(specs[_X], specs[_WEIGHT].shape[0], attrs)
    rows, units, last = record.rows, record.units, 0 if record.reverse else record.steps - 1
    plane = record.steps * rows * units
    first, stride = (last, record.steps) if record.batch_first else (last * rows, 1)
    offset = (1 + CELLS["lstm"].gates) * plane + first * units
    out = Spec((rows, units), specs[_X].dtype)
    code = copy_code(out.code, len(specs), len(specs) - 1, out.shape, (units, 1), (stride * units, 1), 0, offset)
    return Plan(out, [code])


def _grad_plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
    """The gradients of x and, if that is another one, of the product, flat; then `parts` of those of the first states.

    Inputs: the planes, the gradient of h, the weight, the state before the first step, the gradient of the last c.
    """
    parts = attrs[2]
    g, weight, k = specs[1], specs[2], len(specs)
    cell = CELLS[name.removesuffix("_grad")]
    record = _record(g, weight.shape[0], attrs)
    columns = g.shape[0] * g.shape[1] * weight.shape[1] * (2 if cell.two_gradients else 1)
    state = Spec((record.rows, record.units), g.dtype)
    turn, turned = transpose_code(weight, (1, 0), k + 1, 2)
    code = [turn, Instr(name, g.code, [k, k + 2, k + 3], [0, 1, k + 1, *range(3, k)], record)]
    size = record.rows * record.units
    code += [copy_code(g.code, k, k + 2 + i, (size,), (1,), (1,), columns + i * size) for i in range(parts)]
    return Plan(Spec((columns + parts * size,), g.dtype), code, [turned, state, state])


def _flat_slice(flat: Tensor, begin: int, shape: Sequence[int]) -> Tensor:
    n = int(np.prod(shape, dtype=np.int64))
    return reshape(flat if n == flat.size else flat[begin : begin + n], shape)


def _gradients(
    cell: Cell, wanted: Sequence[bool], g: Tensor, g_c: Tensor | None, x: tuple[Tensor, ...], attrs: Attrs, y: Tensor
) -> Gradients:
    """The gradients of all inputs, for those of h and of the last c."""
    run = Run(cell, x, attrs)
    if grad_mode.enabled and any(t._requires_grad for t in (*x, g, *([] if g_c is None else [g_c]))):
        dx, dp, before, first = swept_back(run, g, g_c)
    else:
        parts = 2 if (cell.carries and wanted[_H]) or (cell.has_cell and wanted[_MORE]) else int(wanted[_H])
        planes, more = (x[-1], [x[_MORE if cell.has_cell else _H]]) if cell.planes > 1 else (y, [])
        if cell.has_cell:
            more.append(g_c if g_c is not None else run.zeros())
        flat = apply(_GRADS[cell.name], (planes, g, x[_WEIGHT], *more), (*attrs, parts))
        columns, states = x[_X].size, run.zeros_shape
        dx = _flat_slice(flat, 0, x[_X].shape)
        dp = _flat_slice(flat, columns, x[_X].shape) if cell.two_gradients else dx
        end = columns * (2 if cell.two_gradients else 1)
        first = [_flat_slice(flat, end + i * states[0] * states[1], states) for i in range(parts)]
        before = run.before(y)
    found: list[Tensor | None] = [dx, None, None, None, None][: len(x)]
    if wanted[_H]:
        found[_H] = first[1] + first[0] if cell.carries else first[0]
    rows = reshape(dp, (-1, dp.shape[-1]))
    if wanted[_WEIGHT]:
        found[_WEIGHT] = _product(reshape(before, (-1, before.shape[-1])), rows, True, False)
    if cell.has_cell and wanted[_MORE]:
        found[_MORE] = first[1]
    if cell.has_bias and wanted[_MORE]:
        found[_MORE] = sum(rows[:, -x[_MORE].size :], 0)
    return found


def _register(cell: Cell) -> Op:
    add_instruction(cell.name, Entry(Recurrent, 2 * cell.gates))
    add_instruction(f"{cell.name}_grad", Entry(Recurrent, 2 * cell.gates))
    _GRADS[cell.name] = register(Op(f"{cell.name}_grad", _grad_plan))

    def plan(name: str, specs: Sequence[Spec], attrs: Attrs) -> Plan:
        return _run_plan(cell, name, specs, attrs)

    def of_states(wanted: Sequence[bool], g: Tensor, y: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Gradients:
        return _gradients(cell, wanted, g, None, x, attrs, y)

    def tangent(tangents: Tangents, y: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
        return tangent_of(Run(cell, x, attrs), tangents)[0]

    if cell.planes == 1:
        return register(Op(cell.name, plan, joint_vjp=of_states, variadic_jvp=tangent))
    _RUNS[cell.name] = register(Op(f"{cell.name}_run", plan))
    return register(Op(cell.name, _states_plan, joint_vjp=of_states, variadic_jvp=tangent))


def _of_last_cell(wanted: Sequence[bool], g: Tensor, c: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Gradients:
    cell, y = CELLS["lstm"], (*x[_X].shape[:2], x[_WEIGHT].shape[0])
    nothing = Tensor._wrap(np.zeros(y, g.dtype))
    return _gradients(cell, wanted, nothing, g, x, attrs, _flat_slice(x[-1], 0, y))


def _last_cell_tangent(tangents: Tangents, c: Tensor, x: tuple[Tensor, ...], attrs: Attrs) -> Tensor:
    return tangent_of(Run(CELLS["lstm"], x, attrs), tangents)[1]


_GRADS: dict[str, Op] = {}
_RUNS: dict[str, Op] = {}
_OPS = {name: _register(cell) for name, cell in CELLS.items()}
_LAST_CELL = register(Op("lstm_cell", _last_cell_plan, joint_vjp=_of_last_cell, variadic_jvp=_last_cell_tangent))


def _operands(cell: Cell, name: str, x: Any, h: Any, weight: Any, batch_first: bool, **more: Any) -> list[Tensor]:
    """The checked inputs of a run; a state that is None is 0."""
    x, w = pair(x, weight)
    if w.ndim != 2 or w.shape[1] != cell.gates * w.shape[0] or 0 in w.shape:
        raise ValueError(f"{name}: weight must be (units, {cell.gates} * units), got {w.shape}")
    wide = w.shape[1]
    if x.ndim != 3 or x.shape[2] != wide:
        first = "rows, steps" if batch_first else "steps, rows"
        raise ValueError(f"{name}: x must be ({first}, {wide}) for a weight {w.shape}, got {x.shape}")
    if x.shape[int(batch_first)] == 0:
        raise ValueError(f"{name}: x has no steps (x: {x.shape})")
    state = (x.shape[1 - int(batch_first)], w.shape[0])
    found = [x, w]
    for argument, value in {"h": h, **more}.items():
        wanted = (w.shape[0],) if argument == "bias" else state
        t = Tensor._wrap(np.zeros(wanted, w.dtype)) if value is None else pair(w, value)[1]
        if t.shape != wanted:
            raise ValueError(f"{name}: {argument} must be {wanted} for x {x.shape}, got {t.shape}")
        found.insert(-1 if argument == "h" else len(found), t)
    _float_dtype(name, found)
    return found


def _run(cell: Cell, inputs: list[Tensor], batch_first: bool, reverse: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
    attrs = (bool(batch_first), bool(reverse))
    operands = tuple(inputs)
    if cell.planes > 1:
        operands = (*operands, apply(_RUNS[cell.name], operands, attrs))
    return apply(_OPS[cell.name], operands, attrs), operands


def rnn(
    x: Any, h: Any, weight: Any, nonlinearity: str = "tanh", batch_first: bool = False, reverse: bool = False
) -> Tensor:
    """States of a recurrent net over time, h_t = tanh(x_t + h_(t-1) @ weight), or relu in place of tanh.

    Arguments: `x`, the projected inputs (steps, rows, units), or (rows, steps, units) with `batch_first`; `h`, the
    state before the first step (rows, units), None for 0; `weight` (units, units); `nonlinearity`, "tanh" or "relu";
    `reverse`, from the last step to the first.
    Returns: a tensor of x's shape, the states. Errors: ValueError for shapes and no steps, TypeError for dtypes.
    `cr.nn.RNN` is the layer.

    >>> import chainrule as cr
    >>> cr.rnn([[[1.0]], [[2.0]]], None, [[0.5]], "relu").numpy().ravel()
    array([1. , 2.5], dtype=float32)
    """
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"rnn: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
    cell = CELLS[f"rnn_{nonlinearity}"]
    return _run(cell, _operands(cell, "rnn", x, h, weight, batch_first), batch_first, reverse)[0]


def gru(x: Any, h: Any, weight: Any, bias: Any = None, batch_first: bool = False, reverse: bool = False) -> Tensor:
    """States of gated recurrent units over time.

    With p = h_(t-1) @ weight: r = sigmoid(x_r + p_r), z = sigmoid(x_z + p_z), n = tanh(x_n + r * (p_n + bias)),
    h_t = n + z * (h_(t-1) - n).

    Arguments: `x`, the projected inputs (steps, rows, 3 * units) in the order r, z, n, or (rows, steps, 3 * units) with
    `batch_first`; `h`, the state before the first step (rows, units), None for 0; `weight` (units, 3 * units); `bias`
    (units,), None for 0; `reverse`, from the last step to the first.
    Returns: the states (steps, rows, units), or rows first. Errors: as `cr.rnn`. `cr.nn.GRU` is the layer.
    Source: Cho et al., Learning phrase representations using RNN encoder-decoder, 2014, with cuDNN's place of r.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.gru(np.zeros((2, 1, 3), np.float32), [[1.0]], np.zeros((1, 3), np.float32)).numpy().ravel()
    array([0.5 , 0.25], dtype=float32)
    """
    cell = CELLS["gru"]
    return _run(cell, _operands(cell, "gru", x, h, weight, batch_first, bias=bias), batch_first, reverse)[0]


def lstm(
    x: Any, h: Any, c: Any, weight: Any, batch_first: bool = False, reverse: bool = False
) -> tuple[Tensor, Tensor]:
    """States of a long short-term memory over time, and its last cell state.

    With a = x_t + h_(t-1) @ weight: i, f, o = sigmoid of a_i, a_f, a_o, g = tanh(a_g), c_t = f * c_(t-1) + i * g,
    h_t = o * tanh(c_t).

    Arguments: `x`, the projected inputs (steps, rows, 4 * units) in the order i, f, g, o, or (rows, steps, 4 * units)
    with `batch_first`; `h` and `c`, the states before the first step (rows, units), None for 0; `weight` (units,
    4 * units); `reverse`, from the last step to the first.
    Returns: (states (steps, rows, units) or rows first, the last c (rows, units)). Errors: as `cr.rnn`. `cr.nn.LSTM` is
    the layer.
    Source: Hochreiter and Schmidhuber, Long short-term memory, 1997; Gers et al., Learning to forget, 2000.

    >>> import numpy as np
    >>> import chainrule as cr
    >>> cr.lstm(np.zeros((2, 1, 4), np.float32), None, [[1.0]], np.zeros((1, 4), np.float32))[1].item()
    0.25
    """
    cell = CELLS["lstm"]
    y, operands = _run(cell, _operands(cell, "lstm", x, h, weight, batch_first, c=c), batch_first, reverse)
    return y, apply(_LAST_CELL, operands, (bool(batch_first), bool(reverse)))


if not TYPE_CHECKING:
    __all__ = own_names(globals())

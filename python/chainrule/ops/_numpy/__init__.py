"""NumPy's functions on tensors: those that have an op are the op, all others must not lose a gradient.

NumPy asks an operand of another type (`__array_ufunc__`, `__array_function__`) before it computes. A function with a
row in the tables of `_arithmetic.py` and `_shapes.py` runs its op: the result is a tensor, recorded and traced like any
other. Every other function computes on the arrays of tensors that have no graph, and returns arrays; if a tensor has a
graph or is traced, it raises TypeError. This does not depend on its name, so new functions of NumPy obey it, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..._tensor import Tensor
from ..._util.array_protocol import has_graph
from ..._util.dtypes import FLOATS
from ..._util.errors import CompileError
from . import _composed as _composed  # its adapters
from . import _statistics as _statistics
from ._arithmetic import REDUCTIONS, UFUNCS
from ._hints import HINTS
from ._rows import NoOpError, Row
from ._shapes import FUNCTIONS

__all__ = ["FUNCTIONS", "REDUCTIONS", "UFUNCS", "call_function", "call_ufunc"]

_DEFAULTS = {"where": True, "dtype": None, "casting": "same_kind", "order": "K", "subok": True}  # of a ufunc's options


def call_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """`Tensor.__array_ufunc__`: a call of a ufunc, or of a method such as `reduce`, with a tensor as operand."""
    outputs = options.get("out", ())
    if not all(_is_known(x) for x in (*inputs, *outputs)):
        return NotImplemented
    name = f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
    run = getattr(ufunc, method if method != "__call__" else "__call__")
    if outputs:
        _check_outputs(name, outputs)
        reason = "the result would be written into an array (also by A += x)"
        return _on_arrays(name, run, inputs, options, reason, "A = A + x, a new tensor")
    rows: dict[Any, Row] = UFUNCS if method == "__call__" else REDUCTIONS if method == "reduce" else {}
    given = {key: value for key, value in options.items() if value is not _DEFAULTS.get(key, _DEFAULTS)}
    return _call(name, run, rows.get(ufunc), inputs, given)


def call_function(function: Callable[..., Any], types: Sequence[type], args: Sequence[Any], kwargs: Any) -> Any:
    """`Tensor.__array_function__`: a call of a NumPy function other than a ufunc, with a tensor among its arguments."""
    if not all(issubclass(kind, (Tensor, np.ndarray)) for kind in types):
        return NotImplemented
    name = f"{function.__module__}.{function.__name__}".replace("numpy", "np", 1)
    given = {key: value for key, value in kwargs.items() if value is not np._NoValue}
    if given.get("out") is not None:
        _check_outputs(name, given["out"])
    return _call(name, function, FUNCTIONS.get(function), args, given)


def _call(
    name: str, function: Callable[..., Any], row: Row | None, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Run the op of a row, or the function itself on arrays if there is no row or its op cannot take the arguments."""
    reason = "it has no op"
    if row is not None and (not row.floats or _any_for_ops((args, kwargs))):
        try:
            return row.bind(args, kwargs)
        except NoOpError as unsupported:
            reason = str(unsupported)
    return _on_arrays(name, function, args, kwargs, reason)


def _on_arrays(
    name: str,
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    reason: str,
    instead: str | None = None,
) -> Any:
    """The function of the arrays of tensors; TypeError if one has a graph or is traced."""
    for t in _tensors((args, kwargs)):
        traced = not isinstance(t._data, np.ndarray)
        if traced or has_graph(t):
            hint = instead or HINTS.get(name.removeprefix("np."))
            write = f"write {hint}" if hint else "write it in ops of chainrule, or as a cr.custom_op"
            if traced:
                try:
                    t.numpy()
                except CompileError as error:
                    raise CompileError(f"{error} ({name}: {reason}; {write})") from None
            raise TypeError(
                f"{name}: {reason}, and the gradient would be lost; {write}; x.detach() in place of x is a constant"
            )
    return function(*_with_arrays(args, name), **{key: _with_arrays(value, name) for key, value in kwargs.items()})


def _is_known(x: Any) -> bool:
    """Whether this module computes with it; other types with an `__array_ufunc__` do it themselves."""
    return isinstance(x, (Tensor, np.ndarray)) or not hasattr(type(x), "__array_ufunc__")


def _check_outputs(name: str, outputs: Any) -> None:
    if next(_tensors(outputs), None) is not None:
        raise TypeError(
            f"{name}: out= is a tensor, whose memory NumPy cannot write; use the result, or x.copy_(result)"
        )


def _any_for_ops(arguments: Any) -> bool:
    """Whether ops take a tensor among the arguments: ops compute with floats, NumPy also with integers and bools."""
    return any(t.dtype in FLOATS or not isinstance(t._data, np.ndarray) for t in _tensors(arguments))


def _tensors(x: Any) -> Iterator[Tensor]:
    """All tensors in nested arguments."""
    if isinstance(x, Tensor):
        yield x
    elif isinstance(x, (list, tuple)):
        for item in x:
            yield from _tensors(item)
    elif isinstance(x, dict):
        yield from _tensors(list(x.values()))


def _with_arrays(x: Any, name: str) -> Any:
    """The arguments with read-only arrays in place of tensors."""
    if isinstance(x, Tensor):
        return x.__array__()
    if type(x) in (list, tuple):
        return type(x)(_with_arrays(item, name) for item in x)
    return x

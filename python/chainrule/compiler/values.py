"""What goes into a compiled function and comes out of it, besides tensors and arrays.

Objects among the arguments are part of the kind of a call; what is not known to stay as it is, is refused. Results must
not hold traced tensors where `rebuild` does not replace them.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from .._tensor import Tensor
from .._util.errors import CompileError
from .._util.trees import containers_with_paths, flatten, is_array, leaves_with_paths, statics_with_paths
from .trace import Trace
from .tracer import TracerValue
from .watch import Watch

__all__ = [
    "argument_name",
    "check_arguments_unchanged",
    "check_random_states",
    "check_result",
    "random_states",
    "static_objects",
]

_HELD_BY_IDENTITY = (type, FunctionType, MethodType, ModuleType, np.ufunc, type(len))
_ADVICE = "make its class a dataclass or register it with cr.register_tree_node"


def argument_name(path: str) -> str:
    """The name of an argument from its path in (args, kwargs): `argument 0['x']`."""
    which, _, rest = path[1:].partition("]")
    head, _, inner = rest[1:].partition("]")
    return f"argument {head}{inner}" if which in "01" and head else "an argument"


def static_objects(structure: Any) -> list[Any]:
    """The objects among the arguments that are compared by identity; CompileError for those that may hold anything."""
    found = []
    for path, static in statics_with_paths(structure):
        for value in static.objects:
            if value is static.value or not is_array(value):
                _check_static(argument_name(path), value, static.value)
            else:
                held = "tensor" if isinstance(value, Tensor) else "array"
                raise CompileError(
                    f"compile: {argument_name(path)} is a {type(static.value).__name__} that holds a {held}; pass a "
                    "list or a tuple of them"
                )
            found.append(value)
    return found


def _check_static(name: str, value: Any, static: Any) -> None:
    cls = type(value)
    if hasattr(cls, "__next__") and not isinstance(value, io.IOBase):
        raise CompileError(
            f"compile: {name} is an iterator ({cls.__name__}), which would be read once, when the function is traced; "
            "pass what it yields"
        )
    drawn = cls.__module__.startswith("numpy.random.")  # not imported here: NumPy loads numpy.random and hashlib for it
    known = drawn or isinstance(value, _HELD_BY_IDENTITY) or hasattr(value, "__dict__")
    if not known and not any("__slots__" in vars(base) for base in cls.__mro__[:-1]):
        raise CompileError(
            f"compile: {name} is a {cls.__name__}, which compiled functions do not know; {_ADVICE}, or pass what is in "
            "it"
        )


def check_arguments_unchanged(before: Any, leaves: Sequence[Any], arguments: Any) -> None:
    """Raise if the function has changed a container among its arguments: later calls would not.

    `before`, `leaves`: structure and leaves of the arguments as passed. Attributes may have been added, as by caches.
    """
    after: list[Any] = []
    structure = flatten(arguments, after)
    if structure == before and all(a is b for a, b in zip(leaves, after, strict=True)):
        return
    old, new = _parts(before, leaves), _parts(structure, after)
    changed = [path for path, value in old if (path, value) not in new]
    if changed:
        name = argument_name(changed[0])
        raise CompileError(
            f"compile: {name} is changed inside the function, which later calls would not repeat; change a copy of the "
            "container"
        )


def _parts(structure: Any, leaves: Sequence[Any]) -> list[tuple[str, Any]]:
    """Leaves and containers with their paths."""
    arrays = [(path, id(leaf)) for (path, _), leaf in zip(leaves_with_paths(structure), leaves, strict=True)]
    return [*containers_with_paths(structure), *statics_with_paths(structure), *arrays]


def check_result(structure: Any, trace: Trace) -> None:
    """Raise for a result that later calls could not give: an iterator, or an object that holds a traced tensor."""
    for path, static in statics_with_paths(structure):
        for value in static.objects:
            what = f"the result{path and ' at ' + path}"
            if hasattr(type(value), "__next__") and not isinstance(value, io.IOBase):
                raise CompileError(
                    f"compile: {what} is an iterator ({type(value).__name__}), which can be read only once; return a "
                    "list or a tuple"
                )
            if _holds_traced(value, trace):
                raise CompileError(
                    f"compile: {what} is a {type(static.value).__name__} that holds a tensor; return a tuple, list or "
                    f"dict, or {_ADVICE}"
                )


def _holds_traced(value: Any, trace: Trace) -> bool:
    """Whether a traced tensor can be reached from an object."""
    pending, seen = [value], set[int]()
    while pending and len(seen) < 10_000:
        item = pending.pop()
        if isinstance(item, Tensor) and isinstance(item._data, TracerValue) and item._data.trace is trace:
            return True
        if id(item) in seen or isinstance(item, (str, bytes, int, float, type, ModuleType, np.ndarray)):
            continue
        seen.add(id(item))
        if isinstance(item, dict):
            pending += [*item, *item.values()]
        elif isinstance(item, (list, tuple, set, frozenset)):
            pending += item
        elif isinstance(item, FunctionType):
            pending += [*map(_content, item.__closure__ or ()), *(item.__defaults__ or ())]
        elif isinstance(item, MethodType):
            pending.append(item.__self__)
        else:
            slots = (name for base in type(item).__mro__ for name in vars(base).get("__slots__", ()))
            pending += [getattr(item, name, None) for name in ("__dict__", *slots)]
    return False


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def random_states(watch: Watch) -> list[Any]:
    """The states of the random generators of Python and NumPy that a function names."""
    states: list[Any] = [repr(generator.bit_generator.state) for generator in watch.generators]
    if watch.draws:
        kind, words, *rest = np.random.get_state(legacy=True)
        states += [
            sys.modules["random"].getstate() if "random" in sys.modules else None,
            (kind, np.asarray(words).tobytes(), *rest),
        ]
    return states


def check_random_states(before: Sequence[Any], watch: Watch) -> None:
    """Raise if the function has drawn from a generator of Python or NumPy: a program would repeat the numbers."""
    if random_states(watch) != before:
        raise CompileError(
            "compile: numbers of `random` or `numpy.random` that are drawn inside the function would be the same at "
            "every call; draw them outside and pass them as arguments, or use cr.dropout"
        )

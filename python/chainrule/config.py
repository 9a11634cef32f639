"""Configuration of this installation: instruction-set level, threads, versions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from . import _core
from ._util.checks import check_integer
from ._util.dtypes import DEFAULT, FLOATS
from ._util.mode import grad_mode
from ._util.programs import clear_programs

__all__ = [
    "active_isa",
    "available_isas",
    "built_isas",
    "config",
    "get_default_dtype",
    "get_num_threads",
    "numerics_version",
    "set_default_dtype",
    "set_num_threads",
    "show_config",
    "use_isa",
]

__version__ = "0.1.0"
numerics_version = 2  # incremented when a change of docs/arithmetic.md changes results


def built_isas() -> list[str]:
    """Return the instruction-set levels compiled in, best first.

    >>> import chainrule as cr
    >>> "scalar" in cr.built_isas()
    True
    """
    return _core.built_isas()


def available_isas() -> list[str]:
    """Return the instruction-set levels that this CPU and operating system can run, best first.

    >>> import chainrule as cr
    >>> set(cr.available_isas()) <= set(cr.built_isas())
    True
    """
    return _core.available_isas()


def active_isa() -> str:
    """Return the instruction-set level in use; the best available one unless CHAINRULE_ISA or `use_isa` chose.

    >>> import chainrule as cr
    >>> cr.active_isa() in cr.available_isas()
    True
    """
    return _core.active_isa()


def use_isa(name: str) -> None:
    """Use another available instruction-set level from now on; the results have the same bits.

    Errors: ValueError that lists the available levels.

    >>> import chainrule as cr
    >>> cr.use_isa(cr.active_isa())
    """
    _core.use_isa(name)
    clear_programs()


def get_num_threads() -> int:
    """Return the maximum number of threads, which large operations use.

    >>> import chainrule as cr
    >>> cr.get_num_threads() >= 1
    True
    """
    return _core.get_num_threads()


def set_num_threads(n: int) -> None:
    """Use at most n threads from now on; the results have the same bits. Errors: ValueError for n < 1.

    >>> import chainrule as cr
    >>> cr.set_num_threads(cr.get_num_threads())
    """
    _core.set_num_threads(min(check_integer("set_num_threads: n", n, 1), 2**31 - 1))


def get_default_dtype() -> np.dtype[Any]:
    """Return the float dtype of tensors and layers that are made without one: float32 at first.

    >>> import chainrule as cr
    >>> cr.get_default_dtype()
    dtype('float32')
    """
    return DEFAULT.dtype


def set_default_dtype(dtype: npt.DTypeLike) -> None:
    """Make tensors and layers without a dtype in this one from now on, in all threads, as PyTorch's.

    It is that of numbers and lists that become tensors (`cr.tensor([1.5])`), of `cr.zeros`, `ones`, `empty`, `full`,
    `eye`, `arange`, `linspace`, `rand` and `randn`, of the parameters of layers, and of a float beside integers. Arrays
    keep their dtype, numbers beside a float tensor take that tensor's, and ops of integers alone (`div`, `exp`, `mean`)
    give float32. Compiled functions that make tensors are traced again.

    Arguments: `dtype`, float32 or float64. Errors: TypeError for another one; `cr.CompileError` inside a compiled
    function.

    >>> import chainrule as cr
    >>> cr.set_default_dtype(cr.float64)
    >>> cr.zeros(2).dtype, cr.nn.Linear(2, 1).weight.dtype, cr.tensor([0.1]).item()
    (dtype('float64'), dtype('float64'), 0.1)
    >>> cr.set_default_dtype(cr.float32)
    """
    kind = np.dtype(dtype)
    if dtype is None or kind not in FLOATS:
        raise TypeError(f"set_default_dtype: expected float32 or float64, got {dtype!r}")
    grad_mode.executor.forbid("set_default_dtype: the default is changed inside a compiled function; set it outside")
    DEFAULT.dtype = np.dtype(kind.type)


def config() -> dict[str, Any]:
    """Return versions, instruction-set levels (built, available, active), threads, OpenMP runtime and compiler.

    >>> import chainrule as cr
    >>> cr.config.config()["numerics_version"]
    2
    """
    return {
        "version": __version__,
        "numerics_version": numerics_version,
        "isas_built": built_isas(),
        "isas_available": available_isas(),
        "isa": active_isa(),
        "threads": get_num_threads(),
        "openmp": _core.openmp_runtime(),
        "compiler": _core.compiler(),
    }


def show_config() -> None:
    """Print `cr.config.config()`, one line per entry, for bug reports.

    >>> import chainrule as cr
    >>> cr.show_config()  # doctest: +ELLIPSIS
    version           ...
    """
    for name, value in config().items():
        print(f"{name:<17} {', '.join(value) if isinstance(value, list) else value}")

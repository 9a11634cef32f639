"""Configuration of this installation: instruction-set level, threads, versions."""

from __future__ import annotations

from typing import Any

from . import _core
from ._util.checks import check_integer
from ._util.programs import clear_programs

__all__ = [
    "active_isa",
    "available_isas",
    "built_isas",
    "config",
    "get_num_threads",
    "numerics_version",
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

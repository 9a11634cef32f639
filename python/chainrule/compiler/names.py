"""The names that code reads, from its bytecode."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import lru_cache
from opcode import EXTENDED_ARG, opmap
from types import CodeType

__all__ = ["DYNAMIC", "attribute_names", "global_names"]

# Functions that read attributes whose names are not in the code.
DYNAMIC = frozenset({"getattr", "vars", "__dict__", "attrgetter", "eval", "exec", "dir", "__getattribute__", "globals"})

_GLOBALS = {opmap[name] for name in ("LOAD_GLOBAL", "LOAD_NAME") if name in opmap}
_SHIFTED = opmap["LOAD_GLOBAL"] if sys.version_info >= (3, 11) else -1  # its lowest bit is a flag


@lru_cache(maxsize=4096)
def attribute_names(code: CodeType) -> frozenset[str]:
    """The names of globals and attributes in code, including nested functions."""
    names = set(code.co_names)
    if "hasattr" in names:
        names |= {constant for constant in code.co_consts if isinstance(constant, str) and constant.isidentifier()}
    for inner in _inner(code):
        names |= attribute_names(inner)
    return frozenset(names)


@lru_cache(maxsize=4096)
def global_names(code: CodeType) -> frozenset[str]:
    """The names of the globals that code reads, including nested functions."""
    names, extended, raw = set(), 0, code.co_code
    for at in range(0, len(raw), 2):
        op, argument = raw[at], raw[at + 1] | extended
        extended = argument << 8 if op == EXTENDED_ARG else 0
        if op in _GLOBALS:
            names.add(code.co_names[argument >> 1 if op == _SHIFTED else argument])
    for inner in _inner(code):
        names |= global_names(inner)
    return frozenset(names)


def _inner(code: CodeType) -> Iterator[CodeType]:
    return (constant for constant in code.co_consts if isinstance(constant, CodeType))

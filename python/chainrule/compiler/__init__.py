"""The compiler: trace a function, fuse, plan memory, run it as one program (docs/compiling.md)."""

from __future__ import annotations

from .._util.errors import CompileError
from .jit import compile

__all__ = ["CompileError", "compile"]

"""Compiling: trace a function, fuse, plan memory, run it as one program (docs/compiling.md)."""

from __future__ import annotations

from .._util.errors import CompileError
from .jit import Compiled, compile
from .plan import Plan

__all__ = ["CompileError", "Compiled", "Plan", "compile"]

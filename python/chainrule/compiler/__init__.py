"""Compiling: trace a function, fuse, plan memory, run it as one program (docs/compiling.md)."""

from __future__ import annotations

from .compiled import Compiled, Plan, compile
from .phantom import CompileError

__all__ = ["CompileError", "Compiled", "Plan", "compile"]

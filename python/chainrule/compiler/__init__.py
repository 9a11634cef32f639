"""Compiling: trace a function, fuse, plan memory, run it as one program (docs/compiling.md)."""

from __future__ import annotations

from .._errors import CompileError
from .compiled import Compiled, Plan, compile

__all__ = ["CompileError", "Compiled", "Plan", "compile"]

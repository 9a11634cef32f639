"""Compiling: trace a function, fuse, plan memory, run it as one program."""

from __future__ import annotations

__all__: list[str] = []

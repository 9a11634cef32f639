"""Help that fits narrow terminals: descriptions stand below the options where they would not fit beside them."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

__all__ = ["Commands", "Examples"]

_NARROW = 60  # columns
# Typer brings its own copy of click in some versions: its classes are those of its commands.
_BaseContext: Any = TyperCommand.context_class
_BaseFormatter: Any = _BaseContext.formatter_class


class _Formatter(_BaseFormatter):  # type: ignore[misc]
    def write_dl(self, rows: Any, col_max: int = 30, col_spacing: int = 2) -> None:
        if self.width >= _NARROW:
            super().write_dl(rows, col_max, col_spacing)
            return
        for first, second in rows:
            self.write(f"{'':>{self.current_indent}}{first}\n")
            self.indent()
            self.write_text(second)
            self.dedent()


class _Context(_BaseContext):  # type: ignore[misc]
    formatter_class = _Formatter


class Examples(TyperCommand):
    """A command with this help."""

    context_class = _Context


class Commands(TyperGroup):
    """The commands, with this help."""

    context_class = _Context

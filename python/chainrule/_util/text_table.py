"""Plain-text tables for monospaced fonts."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

__all__ = ["cells", "text_table"]


def cells(text: str) -> int:
    """Return the display width of a text in character cells.

    >>> from chainrule._util.text_table import cells
    >>> cells("layer"), cells("層")
    (5, 2)
    """
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]], ruled: bool = True) -> str:
    """Format rows as columns two spaces apart; `ruled` adds a line under the header.

    >>> from chainrule._util.text_table import text_table
    >>> print(text_table(["op", "shape"], [["linear", "(32, 10)"]]))
    op      shape
    ------  --------
    linear  (32, 10)
    """
    widths = [max(map(cells, column)) for column in zip(head, *rows, strict=True)]

    def line(row: Sequence[str]) -> str:
        return "  ".join(text + " " * (width - cells(text)) for text, width in zip(row, widths, strict=True)).rstrip()

    rule = ["  ".join("-" * width for width in widths)] if ruled else []
    return "\n".join([line(head), *rule, *map(line, rows)])

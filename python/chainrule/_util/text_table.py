"""Tables as text in a monospaced font."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

__all__ = ["cells", "text_table"]


def cells(text: str) -> int:
    """How many character cells a text takes.

    >>> from chainrule._util.text_table import cells
    >>> cells("layer"), cells("層")
    (5, 2)
    """
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]], ruled: bool = True) -> str:
    """Columns two spaces apart; `ruled`, with a line under the head.

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

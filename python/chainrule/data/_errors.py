"""The exception for unreadable data, and hints for misspelled column names."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["DataError", "suggest"]


class DataError(ValueError):
    """Data that cannot be used; the message is one line and locates the fault."""

    __module__ = "chainrule.data"


def suggest(name: str, known: Sequence[str]) -> str:
    """Return a hint for an unknown column: `; did you mean 'x'?`, or `; available columns: ...` without a close match.

    Arguments: `name`, the column that was not found; `known`, the existing columns.
    Returns: the end of an error message.
    Errors: none.

    >>> from chainrule.data import suggest
    >>> suggest("pirce", ["price", "size"])
    "; did you mean 'price'?"
    """
    import difflib

    lowered = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), list(lowered), n=3)
    if matches:
        return "; did you mean " + " or ".join(repr(lowered[key]) for key in matches) + "?"
    shown = ", ".join(known[:20]) + (f", ... ({len(known)} in all)" if len(known) > 20 else "")
    return f"; available columns: {shown}"

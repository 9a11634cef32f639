"""The error of unreadable data, and the hint that names near spellings."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["DataError", "suggest"]


class DataError(ValueError):
    """Data that cannot be used; the message is one line and says where the fault is."""

    __module__ = "chainrule.data"


def suggest(name: str, known: Sequence[str]) -> str:
    """Return `; did you mean 'x'?` for the names near to `name`, else `; there is: ...` with the known names.

    Arguments: `name`, the name that was not found; `known`, the names there are.
    Returns: the end of an error message.
    Errors: none.

    >>> from chainrule.data import suggest
    >>> suggest("pirce", ["price", "size"])
    "; did you mean 'price'?"
    """
    import difflib

    lowered = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), list(lowered), n=3)
    if near:
        return "; did you mean " + " or ".join(repr(lowered[key]) for key in near) + "?"
    shown = ", ".join(known[:20]) + (f", ... ({len(known)} in all)" if len(known) > 20 else "")
    return f"; there is: {shown}"

"""Exceptions that several modules raise."""

from __future__ import annotations

__all__ = ["CompileError"]


class CompileError(TypeError):
    """A function does something that a compiled program cannot; the message says what to write instead.

    >>> import chainrule as cr
    >>> try:
    ...     cr.compile(lambda x: x if x.sum() > 0 else -x)(cr.tensor([1.0, 2.0]))
    ... except cr.CompileError as error:
    ...     print("cr.where" in str(error))
    True
    """

"""The command line of chainrule; `run(arguments)` is the command `chainrule`."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["run"]


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, as `chainrule.cli.main.run`; returns the exit code.

    >>> from chainrule.cli import run
    >>> run(["train", "--hidden", "many"])
    2
    """
    from .main import run as run_main

    return run_main(arguments)

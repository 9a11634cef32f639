"""Imported by the package first: on the command line, Ctrl-C during the imports is an exit code and one line.

KeyboardInterrupt would be raised anywhere in the imports of other packages, which do not all pass it on.
"""

from __future__ import annotations

import os
import sys

__all__ = ["exit_on_interrupt", "raise_on_interrupt"]


def exit_on_interrupt() -> None:
    """Let Ctrl-C end the process with exit code 130, while the command line imports its modules."""
    import signal  # here: it takes 0.5 ms to import

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _exit)


def raise_on_interrupt() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again, after `exit_on_interrupt`."""
    import signal

    if signal.getsignal(signal.SIGINT) is _exit:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _exit(signum: int, frame: object) -> None:
    try:
        os.write(2, b"chainrule: interrupted\n")
    finally:
        os._exit(130)


_arguments = getattr(sys, "argv", None) or [""]
# `python -m chainrule` imports the package before it sets the name of the program.
_as_module = _arguments[0] == "-m" and sys.orig_argv[-len(_arguments)].endswith("chainrule")
if _as_module or _arguments[0].endswith("/chainrule"):
    exit_on_interrupt()

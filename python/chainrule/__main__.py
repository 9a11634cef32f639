"""`python -m chainrule` and the command `chainrule`."""

from __future__ import annotations

import sys

from ._util.command import exit_on_interrupt, raise_on_interrupt


def main() -> None:
    """Run the command line; a missing typer is reported in one line."""
    exit_on_interrupt()
    try:
        from .cli.main import run
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        print("chainrule: error: the command line requires typer and rich: pip install typer rich", file=sys.stderr)
        sys.exit(2)
    try:
        raise_on_interrupt()
        code = run()
    except KeyboardInterrupt:  # before or after the commands, which handle it themselves
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()

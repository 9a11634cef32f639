"""`python -m chainrule` and the command `chainrule`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; a missing typer is reported in one line."""
    try:
        from .cli.main import run
    except ModuleNotFoundError as error:
        if error.name != "typer":
            raise
        print("chainrule: error: the command line requires typer: pip install typer tqdm", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(run())


if __name__ == "__main__":
    main()

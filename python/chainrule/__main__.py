"""`python -m chainrule` and the command `chainrule`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; say in one line when its extra is not installed."""
    try:
        from .cli.main import run
    except ModuleNotFoundError as error:
        if error.name != "typer":
            raise
        print("chainrule: error: the command line needs typer: pip install typer tqdm", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(run())


if __name__ == "__main__":
    main()

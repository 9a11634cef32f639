"""``python -m bench.tables``."""

from bench.tables.run import main

if __name__ == "__main__":
    raise SystemExit(main())

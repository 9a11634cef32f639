"""The command line: `main.py` parses arguments, `task.py` trains, `selftest.py` computes the digest."""

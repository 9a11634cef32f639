"""The command line: `main.py` reads the arguments, `task.py` trains, `selftest.py` compares machines."""

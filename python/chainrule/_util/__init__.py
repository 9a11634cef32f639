"""The lowest layer of the package: arrays, trees, errors and files. Imports nothing of chainrule but the core."""

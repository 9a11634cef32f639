"""The ground of the package: arrays, trees, errors and files. Imports nothing of chainrule above it."""

"""Compiling: trace a function, fuse, plan memory, run it as one program."""

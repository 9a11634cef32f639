"""Benchmarks of chainrule and its peers: ``python -m bench`` in the root of the repository.

How to extend, one place each:

* a case: one row in `cases.py` (a new kind of case also needs its data and truth in `problems.py` and a method of that
  name in each runner that can do it);
* a framework: one file in `runners/` and one row in `runners/__init__.py`;
* a way to run a framework (environment, instruction set, threads): one row in `contenders.py`;
* a goal: one row in `goals.py`.
"""

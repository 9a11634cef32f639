"""Benchmarks of chainrule and its peers: ``python -m bench`` in the root of the repository.

How to extend, one place each:

* a case: one row in `cases.py` (a new kind of case also needs its data and truth in `problems.py` and a method of that
  name in each runner that can do it);
* a net: one row in `nets.py`; it is then trained and asked by every runner (a new loss: its truth in `net_truth.py`);
* a framework: one file in `runners/` and one row in `runners/__init__.py`;
* a way in which a framework does the same thing: one more form in its runner, the fastest is timed;
* a way to run a framework (environment, instruction set, threads): one row in `contenders.py`;
* a goal: one row in `goals.py`;
* a training on real data (``python -m bench.runs``): one row of RUNS in `cases.py`, its data in `runs.py`.
"""

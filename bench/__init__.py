"""Benchmarks of chainrule and its peers: run ``python -m bench`` in the root of the repository.

Where to add:

* a case: one row in `cases.py` (a new kind of case also needs its data and expected answer in `problems.py` and a
  method of that name in each runner that supports it);
* a net: one row in `nets.py`; every runner then trains it and predicts with it (a new loss also needs its reference in
  `net_reference.py`);
* a framework: one file in `runners/` and one row in `runners/__init__.py`;
* another implementation of a case in a framework: one more variant in its runner; the fastest variant is timed;
* a configuration of a framework (environment, instruction set, threads): one row in `contenders.py`;
* a goal: one row in `goals.py`;
* a training run on real data (``python -m bench.runs``): one row of RUNS in `cases.py`, its data in `runs.py`.
"""

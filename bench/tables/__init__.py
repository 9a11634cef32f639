"""How well tabular estimators learn by default: run ``python -m bench.tables FOLDER`` in the root of the repository.

FOLDER holds tables as CSV files and `tables.json`: a mapping of each table's name to its target, "classification" or
"regression", and its number of rows. Every contender is trained at its defaults on the same splits of each table, one
thread each, in a process of its own.

Where to add: a contender is one row of `CONTENDERS` in `contenders.py`; a goal one row in `report.py`.
"""

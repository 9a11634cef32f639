"""One contender on the splits of one table: a process of its own with one thread, which prints a JSON line for each.

Seconds are those of the processor: with one thread they are the time of a machine that has nothing else to do.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from typing import Any

from bench.tables.contenders import CONTENDERS


def splits_of(frame: Any, target: str, classes: bool, numbers: list[int]) -> Any:
    """Yield (number, training rows, held-out rows): a quarter is held out, stratified by class."""
    import numpy as np
    from sklearn.model_selection import train_test_split

    for number in numbers:
        labels = frame[target] if classes else None
        train, test = train_test_split(np.arange(len(frame)), test_size=0.25, random_state=number, stratify=labels)
        yield number, train, test


def scores_of(classes: bool, model: Any, X: Any, y: Any) -> dict[str, float]:
    """Accuracy and log loss, or R2."""
    from sklearn.metrics import accuracy_score, log_loss, r2_score

    if not classes:
        return {"r2": float(r2_score(y, model.predict(X)))}
    probabilities = model.predict_proba(X)
    accuracy = float(accuracy_score(y, model.predict(X)))
    return {"accuracy": accuracy, "log_loss": float(log_loss(y, probabilities, labels=list(model.classes_)))}


def _warm_up(contender: str) -> None:
    """Train once on a few rows, so that imports are not in the first time."""
    import pandas as pd

    X = pd.DataFrame({"a": [i * 7 % 11 / 3 for i in range(40)], "b": [i * 5 % 13 / 3 for i in range(40)]})
    CONTENDERS[contender].make(True, X).fit(X, pd.Series([i % 2 for i in range(40)]))


def main(folder: str, table: str, contender: str, numbers: list[int]) -> None:
    """Train and score on each split."""
    import pandas as pd

    warnings.simplefilter("ignore")  # peers that stop at their iterations' limit say so each time
    with open(os.path.join(folder, "tables.json"), encoding="utf-8") as file:
        target, task, _ = json.load(file)[table]
    frame, classes = pd.read_csv(os.path.join(folder, f"{table}.csv")), task == "classification"
    X, y = frame.drop(columns=target), frame[target]
    for number, train, test in splits_of(frame, target, classes, numbers):
        if number == numbers[0]:
            _warm_up(contender)
        model = CONTENDERS[contender].make(classes, X.iloc[train])
        begun = time.process_time()
        model.fit(X.iloc[train], y.iloc[train])
        seconds = time.process_time() - begun
        scores = scores_of(classes, model, X.iloc[test], y.iloc[test])
        print(json.dumps({"split": number, "seconds": seconds, **scores}), file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], [int(text) for text in sys.argv[4].split(",")])

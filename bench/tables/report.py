"""The comparison as text: a row for each table, mean ranks, and which goals are met."""

from __future__ import annotations

from statistics import mean
from typing import Any

from bench.tables.contenders import CONTENDERS

Results = dict[str, dict[str, dict[str, Any]]]


def print_report(tasks: dict[str, str], contenders: list[str], results: Results, splits: int) -> None:
    """Print means over the splits that are there; a contender without results has a dash."""
    for task, scores in (("classification", ("accuracy", "log_loss")), ("regression", ("r2",))):
        for score in (*scores, "seconds"):
            print(f"\n{task}: {score}\n{'table':16s}" + "".join(f"{name:>14s}" for name in contenders))
            for table in (name for name, kind in tasks.items() if kind == task):
                found = [_mean(results, table, name, score, splits) for name in contenders]
                print(f"{table:16s}" + "".join(f"{'-' if v is None else format(v, '.4f'):>14s}" for v in found))
    ranks = {name: _mean_rank(tasks, contenders, results, splits, name) for name in contenders}
    print("\nmean rank: " + ", ".join(f"{name} {rank:.2f}" for name, rank in ranks.items() if rank is not None))
    for goal in _goals(tasks, results, splits, ranks):
        print(goal)


def _mean(results: Results, table: str, contender: str, score: str, splits: int) -> float | None:
    runs = results.get(table, {}).get(contender, {})
    values = [runs[str(i)][score] for i in range(splits) if score in runs.get(str(i), {})]
    return mean(values) if values else None


def _quality(results: Results, table: str, contender: str, tasks: dict[str, str], splits: int) -> float | None:
    return _mean(results, table, contender, "r2" if tasks[table] == "regression" else "accuracy", splits)


def _mean_rank(tasks: Any, contenders: list[str], results: Results, splits: int, name: str) -> float | None:
    """Over the tables on which all contenders have results; equal ones share their mean rank."""
    ranks = []
    for table in tasks:
        found = [_quality(results, table, other, tasks, splits) for other in contenders]
        own = _quality(results, table, name, tasks, splits)
        if own is None or any(value is None for value in found):
            continue
        better, equal = sum(v > own for v in found if v is not None), sum(v == own for v in found)
        ranks.append(better + (equal + 1) / 2)
    return mean(ranks) if ranks else None


def _goals(tasks: dict[str, str], results: Results, splits: int, ranks: dict[str, float | None]) -> list[str]:
    def ratio(peer: str, score: str, most: float) -> tuple[list[str], int]:
        worse, seen = [], 0
        for table in tasks:
            own, other = (_mean(results, table, name, score, splits) for name in ("chainrule", peer))
            if own is not None and other is not None:
                seen += 1
                worse += [f"{table} {own:.3g} / {other:.3g}"] if own > most * other else []
        return worse, seen

    def quality() -> tuple[list[str], int]:
        worse, seen = [], 0
        for table in tasks:
            own, other = (_quality(results, table, name, tasks, splits) for name in ("chainrule", "mlp"))
            if own is not None and other is not None:
                seen += 1
                worse += [f"{table} {own:.4f} / {other:.4f}"] if own < other - 0.005 else []
        return worse, seen

    checks = {
        "within 0.5 points of scikit-learn's MLP, or better": quality(),
        "log loss at most logistic regression's + 5 %": ratio("linear", "log_loss", 1.05),
        "at most the time of scikit-learn's MLP": ratio("mlp", "seconds", 1.0),
        "5 times faster than RealMLP-TD-S": ratio("realmlp-td-s", "seconds", 0.2),
    }
    lines = [
        f"{'met' if not worse else 'not met'}: {goal}, on {seen - len(worse)} of {seen} tables"
        + (f" (not on {'; '.join(worse)})" if worse else "")
        for goal, (worse, seen) in checks.items()
    ]
    own = ranks.get("chainrule")
    for name in ("boosting", "realmlp-td-s"):
        other = ranks.get(name)
        if own is not None and other is not None:
            lines.append(f"{'met' if own < other else 'not met'}: mean rank ahead of {CONTENDERS[name].name}")
    return lines

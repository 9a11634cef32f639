"""The comparison as text: a row for each table, mean ranks, and which goals are met."""

from __future__ import annotations

from statistics import mean
from typing import Any

from bench.tables.contenders import CONTENDERS

Results = dict[str, dict[str, dict[str, Any]]]


def print_report(tasks: dict[str, str], contenders: list[str], results: Results, splits: int) -> None:
    """Print means over the splits that are there; a contender without results has a dash.

    Ranks and goals compare contenders on the splits that all of them, or both, have.
    """
    for task, scores in (("classification", ("accuracy", "log_loss")), ("regression", ("r2",))):
        for score in (*scores, "seconds"):
            print(f"\n{task}: {score}\n{'table':16s}" + "".join(f"{name:>14s}" for name in contenders))
            for table in (name for name, kind in tasks.items() if kind == task):
                found = [_mean(results, table, [name], score, splits) for name in contenders]
                print(f"{table:16s}" + "".join(f"{format(v[0], '.4f') if v else '-':>14s}" for v in found))
    fewer = [
        f"{table} {name} {len(done)}"
        for table in tasks
        for name in contenders
        if 0 < len(done := _done(results, table, [name], splits)) < splits
    ]
    print(f"\nfewer than {splits} splits: {', '.join(fewer) or 'none'}")
    peers = [name for name in contenders if name != "chainrule"]
    for compared in [_ranked(contenders), *([peer, "chainrule"] for peer in peers if "chainrule" in contenders)]:
        ranks, tables = _mean_ranks(tasks, compared, results, splits)
        if tables:
            print(f"mean rank on {tables} tables: " + ", ".join(f"{name} {rank:.2f}" for name, rank in ranks.items()))
    for goal in _goals(tasks, contenders, results, splits):
        print(goal)


def _ranked(contenders: list[str]) -> list[str]:
    """Those of which few or no results would leave few tables to rank on are left out."""
    return [name for name in contenders if CONTENDERS[name].by_default]


def _done(results: Results, table: str, contenders: list[str], splits: int) -> list[str]:
    """The splits that all of these have results of."""
    runs = [results.get(table, {}).get(name, {}) for name in contenders]
    return [str(i) for i in range(splits) if all(str(i) in run for run in runs)]


def _mean(results: Results, table: str, contenders: list[str], score: str, splits: int) -> list[float]:
    """The mean of each over the splits that all of them have; nothing if there are none."""
    done = _done(results, table, contenders, splits)
    runs = [results[table][name] for name in contenders] if done else []
    return [mean(run[i][score] for i in done) for run in runs if all(score in run[i] for i in done)]


def _quality(results: Results, table: str, contenders: list[str], tasks: dict[str, str], splits: int) -> list[float]:
    return _mean(results, table, contenders, "r2" if tasks[table] == "regression" else "accuracy", splits)


def _mean_ranks(
    tasks: dict[str, str], contenders: list[str], results: Results, splits: int
) -> tuple[dict[str, float], int]:
    """Over the tables on which all have results, and the number of these; equal ones share their mean rank."""
    found = [_quality(results, table, contenders, tasks, splits) for table in tasks]
    found = [values for values in found if values]
    ranks = [
        [sum(v > own for v in values) + (sum(v == own for v in values) + 1) / 2 for own in values] for values in found
    ]
    return {name: mean(row[i] for row in ranks) for i, name in enumerate(contenders) if ranks}, len(ranks)


def _goals(tasks: dict[str, str], contenders: list[str], results: Results, splits: int) -> list[str]:
    def ratio(peer: str, score: str, most: float) -> tuple[list[str], int]:
        pairs = {table: _mean(results, table, ["chainrule", peer], score, splits) for table in tasks}
        pairs = {table: pair for table, pair in pairs.items() if pair}
        worse = [f"{table} {own:.3g} / {other:.3g}" for table, (own, other) in pairs.items() if own > most * other]
        return worse, len(pairs)

    def quality() -> tuple[list[str], int]:
        pairs = {table: _quality(results, table, ["chainrule", "mlp"], tasks, splits) for table in tasks}
        pairs = {table: pair for table, pair in pairs.items() if pair}
        worse = [f"{table} {own:.4f} / {other:.4f}" for table, (own, other) in pairs.items() if own < other - 0.005]
        return worse, len(pairs)

    checks = {
        "within 0.5 points of scikit-learn's MLP, or better": quality(),
        "log loss at most logistic regression's + 5 %": ratio("linear", "log_loss", 1.05),
        "at most the time of scikit-learn's MLP": ratio("mlp", "seconds", 1.0),
        "5 times faster than RealMLP-TD-S": ratio("realmlp-td-s", "seconds", 0.2),
        "5 times faster than RealMLP-TD": ratio("realmlp-td", "seconds", 0.2),
    }
    lines = [
        f"{'met' if not worse else 'not met'}: {goal}, on {seen - len(worse)} of {seen} tables"
        + (f" (not on {'; '.join(worse)})" if worse else "")
        for goal, (worse, seen) in checks.items()
        if seen
    ]
    for name in (name for name in ("boosting", "realmlp-td-s") if name in contenders and "chainrule" in contenders):
        ranks, found = _mean_ranks(tasks, _ranked(contenders), results, splits)
        if found:
            lines.append(f"{'met' if ranks['chainrule'] < ranks[name] else 'not met'}: mean rank ahead of {name}")
    return lines

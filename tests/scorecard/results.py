"""What a run of a bar's tests found, kept in docs/reliability.json: bar, tier, result."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from scorecard.bars import TIERS, Bar, Figure

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docs" / "reliability.json"


@dataclass(frozen=True)
class Result:
    """Tests by outcome, the numbers that they recorded, and where and when."""

    passed: int
    failed: int
    skipped: int
    seconds: float
    where: str
    figures: dict[str, float] = field(default_factory=dict)


Results = dict[int, dict[str, Result]]  # by bar and tier


def read() -> Results:
    found = json.loads(FILE.read_text())
    return {int(n): {tier: Result(**result) for tier, result in tiers.items()} for n, tiers in found.items()}


def write(results: Results) -> None:
    tables = {str(n): {tier: asdict(result) for tier, result in results[n].items()} for n in sorted(results)}
    FILE.write_text(json.dumps(tables, indent=1, sort_keys=False) + "\n")


def recorded(junit: str, bar: Bar, where: str) -> Result:
    """The result in a report of pytest; a figure is the sum or, where it has an upper bound, the largest number."""
    cases = list(ElementTree.fromstring(junit).iter("testcase"))
    bad = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    skipped = sum(case.find("skipped") is not None for case in cases)
    figures: dict[str, float] = {}
    for figure in bar.figures:
        properties = [p for case in cases for p in case.iter("property") if p.get("name") == figure.name]
        numbers = [float(p.get("value", "nan")) for p in properties]
        if numbers:
            figures[figure.name] = total(figure, numbers)
    seconds = sum(float(case.get("time", 0)) for case in cases)
    return Result(len(cases) - bad - skipped, bad, skipped, round(seconds, 1), where, figures)


def total(figure: Figure, numbers: list[float]) -> float:
    return max(numbers) if figure.most < math.inf else sum(numbers)


def merged(old: Result | None, new: Result, bar: Bar) -> Result:
    """The new result; cumulative figures go on from the old one."""
    if old is None or new.failed:
        return new
    figures = dict(new.figures)
    for figure in bar.figures:
        if figure.cumulative and figure.name in old.figures:
            figures[figure.name] = figures.get(figure.name, 0) + old.figures[figure.name]
    return Result(new.passed, new.failed, new.skipped, new.seconds, new.where, figures)


def value(figure: Figure, results: dict[str, Result]) -> float | None:
    """The figure over all tiers, or None if none recorded it."""
    numbers = [result.figures[figure.name] for result in results.values() if figure.name in result.figures]
    return total(figure, numbers) if numbers else None


def shortfalls(bar: Bar, results: dict[str, Result]) -> list[str]:
    """What keeps the bar from being met; empty if it is met."""
    if not bar.tests:
        return [bar.needs]
    missing = []
    for tier in (tier for tier in TIERS if tier in bar.tests):
        result = results.get(tier)
        if result is None or result.passed + result.failed + result.skipped == 0:
            missing.append(f"{tier} tests not run")
            continue
        if result.failed:
            missing.append(f"{result.failed} {tier} tests failed")
        if result.skipped:
            missing.append(f"{result.skipped} {tier} tests skipped")
    for figure in bar.figures:
        number = value(figure, results)
        if number is None:
            missing.append(f"{figure.name} not measured")
        elif not figure.least <= number <= figure.most:
            wanted = f"at least {figure.least:,.0f}" if number < figure.least else f"at most {figure.most:,.0f}"
            missing.append(f"{number:,.0f} {figure.name}, expected {wanted}")
    if bar.needs:
        missing.append(bar.needs)
    return missing

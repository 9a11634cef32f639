"""docs/reliability.md from the results."""

from scorecard.bars import BARS, TIERS, Bar
from scorecard.results import ROOT, Result, Results, shortfalls, value

FILE = ROOT / "docs" / "reliability.md"

HEAD = """# Reliability

Thirty bars, each with the tests that measure it. `tests/scorecard/run.py` runs them, keeps what it found in
[reliability.json](reliability.json) and writes this page; do not edit it by hand.

    python tests/scorecard/run.py                    # every bar's quick tests
    python tests/scorecard/run.py --tier full 1 2    # the full tests of bars 1 and 2
    python tests/scorecard/run.py --tier nightly 15  # hours in all, by hand

A bar is met when all of its tests have passed in their latest runs, none was skipped, and their counts reach the
numbers that the bar names. Counts are sums over the tests that ran.
"""


def render(results: Results) -> str:
    met = sum(not shortfalls(bar, results.get(bar.number, {})) for bar in BARS)
    lines = [HEAD, f"**{met} of {len(BARS)} are met.**", "", "| # | bar | measured | met |", "|---|---|---|---|"]
    for bar in BARS:
        found = results.get(bar.number, {})
        missing = shortfalls(bar, found)
        lines.append(f"| {bar.number} | {bar.claim} | {measured(bar, found)} | {'; '.join(missing) or 'yes'} |")
    lines += ["", "## Commands", "", "From the root of the repository, each in the tier that its marker names.", ""]
    for bar in BARS:
        for tier in (tier for tier in TIERS if tier in bar.tests):
            lines.append(f"    {command(bar, tier)}")
    lines += ["", "## Runs", "", "| # | tier | tests | seconds | where |", "|---|---|---|---|---|"]
    for bar in BARS:
        for tier, result in results.get(bar.number, {}).items():
            lines.append(f"| {bar.number} | {tier} | {outcome(result)} | {result.seconds:,.0f} | {result.where} |")
    return "\n".join(lines) + "\n"


def command(bar: Bar, tier: str) -> str:
    """What a user types to run the bar's tests of a tier."""
    marker = "" if tier == "quick" else f"-m {tier} "
    return f"pytest {marker}{' '.join(f'tests/{test}' for test in bar.tests[tier])}  # {bar.number}"


def measured(bar: Bar, results: dict[str, Result]) -> str:
    numbers = [(figure, value(figure, results)) for figure in bar.figures]
    parts = [f"{number:,.0f} {figure.name}" for figure, number in numbers if number is not None]
    tests = sum(result.passed for result in results.values())
    return ", ".join([*parts, f"{tests:,} tests passed"] if tests else parts) or "-"


def outcome(result: Result) -> str:
    parts = [("passed", result.passed), ("failed", result.failed), ("skipped", result.skipped)]
    return ", ".join(f"{n} {word}" for word, n in parts if n) or "none"

"""The scorecard: its page is what the results render, its commands name tests that exist, its judgement is strict."""

import ast
from pathlib import Path

import pytest

from scorecard import page, results
from scorecard.bars import BARS, TIERS, Bar, Figure

TESTS = results.ROOT / "tests"
EACH = pytest.mark.parametrize("bar", BARS, ids=lambda bar: str(bar.number))


def test_the_page_shows_the_results() -> None:
    """After a change of the bars: python tests/scorecard/run.py --render."""
    assert page.FILE.read_text() == page.render(results.read())


def test_there_are_thirty_bars() -> None:
    assert [bar.number for bar in BARS] == list(range(1, 31))


def names_in(path: Path) -> set[str]:
    """Functions and classes of a file."""
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}


@EACH
def test_its_tests_exist_and_record_its_figures(bar: Bar) -> None:
    assert bar.tests or bar.needs
    assert set(bar.tests) <= set(TIERS)
    sources = []
    for node in [node for nodes in bar.tests.values() for node in nodes]:
        file, *names = node.split("::")
        assert (TESTS / file).exists(), node
        assert set(names) <= names_in(TESTS / file), node
        sources.append((TESTS / file).read_text())
    for figure in bar.figures:
        assert any(f'"{figure.name}", ' in source for source in sources), figure.name


def test_results_are_of_bars_and_tiers() -> None:
    bars = {bar.number: bar for bar in BARS}
    for number, tiers in results.read().items():
        assert set(tiers) <= set(bars[number].tests)
        for result in tiers.values():
            assert set(result.figures) <= {figure.name for figure in bars[number].figures}


REPORT = """<testsuites><testsuite>
<testcase time="1.5"><property name="cases" value="70"/><property name="KiB" value="3"/></testcase>
<testcase time="2"><property name="cases" value="40"/><property name="KiB" value="9"/></testcase>
{more}</testsuite></testsuites>"""
BAR = Bar(1, "a claim", {"quick": ("a.py",)}, (Figure("cases", least=100), Figure("KiB", most=10)))


def judged(bar: Bar = BAR, more: str = "") -> list[str]:
    return results.shortfalls(bar, {"quick": results.recorded(REPORT.format(more=more), bar, "here")})


def test_figures_are_summed_or_the_largest_taken() -> None:
    result = results.recorded(REPORT.format(more=""), BAR, "here")
    assert (result.passed, result.failed, result.skipped, result.seconds) == (2, 0, 0, 3.5)
    assert result.figures == {"cases": 110, "KiB": 9}
    assert judged() == []


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ('<testcase time="0"><failure/></testcase>', ["1 quick tests failed"]),
        ('<testcase time="0"><error/></testcase>', ["1 quick tests failed"]),
        ('<testcase time="0"><skipped/></testcase>', ["1 quick tests skipped"]),
    ],
)
def test_a_test_that_did_not_pass_is_a_shortfall(more: str, expected: list[str]) -> None:
    assert judged(more=more) == expected


def test_a_figure_out_of_its_bounds_is_a_shortfall() -> None:
    bar = Bar(1, "", BAR.tests, (Figure("cases", least=111), Figure("KiB", most=8), Figure("other", least=1)))
    assert judged(bar) == ["110 cases, expected at least 111", "9 KiB, expected at most 8", "other not measured"]


def test_what_did_not_run_is_a_shortfall() -> None:
    bar = Bar(1, "", {"quick": ("a.py",), "full": ("b.py",)})
    assert results.shortfalls(bar, {}) == ["quick tests not run", "full tests not run"]
    empty = results.recorded("<testsuites/>", bar, "here")
    assert results.shortfalls(bar, {"quick": empty, "full": empty}) == ["quick tests not run", "full tests not run"]
    assert results.shortfalls(Bar(29, "", needs="an estimator"), {}) == ["an estimator"]


def test_cumulative_figures_add_up() -> None:
    bar = Bar(1, "", BAR.tests, (Figure("cases", cumulative=True),))
    first = results.recorded(REPORT.format(more=""), bar, "here")
    assert results.merged(first, first, bar).figures == {"cases": 220}
    assert results.merged(None, first, bar).figures == {"cases": 110}
    plain = Bar(1, "", BAR.tests, (Figure("cases"),))
    assert results.merged(first, first, plain).figures == {"cases": 110}

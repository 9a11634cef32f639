"""Tables for the terminal."""

from __future__ import annotations

from collections import Counter

from bench.cases import DEFAULT_GROUPS, Case
from bench.contenders import OURS, Contender
from bench.results import Row, lost

# The unit of each group's figures.
UNITS = {
    "matmul": "GFLOP/s",
    "narrow": "GFLOP/s",
    "elementwise": "1e9 elements/s",
    "eager": "microseconds a step",
    "epoch": "microseconds a step",
    "step": "microseconds a step",
}


def figure(case: Case, seconds: float) -> float:
    """The time of one call in the unit of the case's group: a rate, or microseconds."""
    if UNITS.get(case.group) == "GFLOP/s":
        return case.flops / seconds / 1e9
    if case.group == "elementwise":
        return case.elements / seconds / 1e9
    return seconds * 1e6


def table(rows: list[Row], contenders: list[Contender]) -> str:
    """One group: a line per case, a column per contender with its figure and, for peers, their time over ours."""
    group = rows[0].case.group
    columns = [c for c in contenders if any(row.seconds(c.name) for row in rows)]
    show_peak = any(row.of_peak(c.name) for row in rows for c in columns if c.is_ours)
    show_spread = group in DEFAULT_GROUPS
    lines = [["case"] + [c.name for c in columns]]
    for row in rows:
        cells = [row.case.name.removeprefix(group).strip()]
        cells += [_cell(row, c, show_peak, show_spread) for c in columns]
        lines.append(cells)
    title = f"{group}: {UNITS.get(group, 'microseconds')}"
    if show_spread:
        title += " +- half the range between the quartiles"
    if show_peak:
        title += "; per cent of the FMA peak"
    if any(c.is_ours for c in columns):
        title += "; in brackets a contender's time over ours (above 1: we are faster)"
    return "\n".join([title, aligned(lines), *_remarks(rows)])


def _cell(row: Row, contender: Contender, show_peak: bool, show_spread: bool) -> str:
    seconds = row.seconds(contender.name)
    if not seconds:
        return "-"
    text = f"{figure(row.case, seconds):.4g}"
    if show_spread:
        text += f" +-{50 * (row.timings[contender.name].spread or 0.0):.0f}%"
    share = row.of_peak(contender.name) if show_peak else None
    if share is not None:
        text += f" {100 * share:.0f}%"
    ratio = row.ratio(contender.name)
    if contender.name != OURS and ratio is not None:
        text += f" ({ratio:.2f})"
    return text


def _remarks(rows: list[Row]) -> list[str]:
    """The fastest variant of each contender with several variants; the reason if chainrule was not timed."""
    variants: dict[str, Counter[str]] = {}
    for row in rows:
        for name, timing in row.timings.items():
            if timing.variant:
                variants.setdefault(name, Counter())[timing.variant] += 1
    lines = [
        f"  {name}, fastest variant: " + ", ".join(f"{variant} ({n})" for variant, n in counts.most_common())
        for name, counts in variants.items()
    ]
    reasons = {row.timings[OURS].note for row in rows if OURS in row.timings and row.timings[OURS].note}
    return lines + [f"  {OURS} is not timed: {reason}" for reason in sorted(reasons)]


def aligned(lines: list[list[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    padded = [
        f"  {cells[0]:<{widths[0]}}" + "".join(f"  {c:>{w}}" for c, w in zip(cells[1:], widths[1:], strict=True))
        for cells in lines
    ]
    return "\n".join(padded)


def notes(rows: list[Row]) -> str:
    """Wrong answers and failures, which would otherwise look like cases that a contender does not support."""
    found = [
        f"  {row.case.name}: {name}: {problem}"
        for row in rows
        for name, timing in row.timings.items()
        for problem in timing.problems
    ]
    return "\n".join(["failed:", *found]) if found else ""


def losses(rows: list[Row], contenders: list[Contender]) -> str:
    """The cases in which a peer is faster than chainrule."""
    peers = [c.name for c in contenders if not c.is_ours]
    if not any(row.seconds(OURS) for row in rows):
        return ""
    found = lost(rows, peers)
    if not found:
        return "LOST cases: none"
    lines = [[case, peer, f"{ratio:.2f}"] for case, peer, ratio in found]
    return f"LOST cases ({len(found)}; the peer's time over ours):\n{aligned(lines)}"

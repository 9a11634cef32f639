"""Tables for the terminal."""

from __future__ import annotations

from bench.cases import Case
from bench.contenders import OURS, Contender
from bench.results import Row, lost

# What a group is read in: its unit and the figure of one call of `seconds`.
RATES = {"matmul": "GFLOP/s", "elementwise": "1e9 elements/s"}


def figure(case: Case, seconds: float) -> float:
    """Rate of the case in the unit of its group; microseconds where the group has none."""
    if case.group == "matmul":
        return case.flops / seconds / 1e9
    if case.group == "elementwise":
        return case.elements / seconds / 1e9
    return seconds * 1e6


def table(rows: list[Row], contenders: list[Contender]) -> str:
    """One group: a line per case, a column per contender with its figure and, for the others, their time over ours."""
    group = rows[0].case.group
    columns = [c for c in contenders if any(row.seconds(c.name) for row in rows)]
    show_peak = any(row.of_peak(c.name) for row in rows for c in columns if c.is_ours)
    lines = [["case"] + [c.name for c in columns]]
    for row in rows:
        cells = [row.case.name.removeprefix(group).strip()]
        cells += [_cell(row, c, show_peak) for c in columns]
        lines.append(cells)
    title = f"{group}: {RATES.get(group, 'microseconds')}"
    if any(c.name == OURS for c in columns):
        title += "; in brackets a contender's time over ours (above 1: we are faster)"
    if show_peak:
        title += "; per cent of the FMA peak"
    return f"{title}\n{_aligned(lines)}"


def _cell(row: Row, contender: Contender, show_peak: bool) -> str:
    seconds = row.seconds(contender.name)
    if not seconds:
        return "-"
    text = f"{figure(row.case, seconds):.4g}"
    share = row.of_peak(contender.name) if show_peak else None
    if share is not None:
        text += f" {100 * share:.0f}%"
    ratio = row.ratio(contender.name)
    if contender.name != OURS and ratio is not None:
        text += f" ({ratio:.2f})"
    return text


def _aligned(lines: list[list[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    form = [
        f"  {cells[0]:<{widths[0]}}" + "".join(f"  {c:>{w}}" for c, w in zip(cells[1:], widths[1:], strict=True))
        for cells in lines
    ]
    return "\n".join(form)


def notes(rows: list[Row]) -> str:
    """Wrong answers and failures: a contender that is not timed must not look as if it had not been asked."""
    found = [f"  {row.case.name}: {name}: {t.note}" for row in rows for name, t in row.timings.items() if t.failed]
    return "\n".join(["failed:", *found]) if found else ""


def losses(rows: list[Row], contenders: list[Contender]) -> str:
    """The cases in which a peer is faster than we are."""
    peers = [c.name for c in contenders if not c.is_ours]
    if not any(row.seconds(OURS) for row in rows):
        return ""
    found = lost(rows, peers)
    if not found:
        return "lost cases: none"
    lines = [[case, peer, f"{ratio:.2f}"] for case, peer, ratio in found]
    return f"lost cases ({len(found)}; the peer's time over ours):\n{_aligned(lines)}"

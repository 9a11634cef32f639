"""The goals that the figures of a run are held against: ``--goals`` prints each with what was reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.cases import PEER_SHAPES
from bench.contenders import OURS
from bench.results import Row

Rows = dict[str, Row]


@dataclass(frozen=True)
class Goal:
    """`measure` gives the figure reached (None: not measured in this run); it is to be at least `least`."""

    text: str
    least: float
    measure: Callable[[Rows], float | None]


def _peak(case: str, contender: str = OURS) -> Callable[[Rows], float | None]:
    return lambda rows: rows[case].of_peak(contender) if case in rows else None


def _time_over_ours(case: str, peer: str, own: str = OURS) -> Callable[[Rows], float | None]:
    return lambda rows: rows[case].ratio(peer, own) if case in rows else None


def _rate_over(case: str, other: str, peer: str, unit: str) -> Callable[[Rows], float | None]:
    """Our rate in `case` over the rate of `peer` in the case `other`; `unit` is a field of Case."""

    def measure(rows: Rows) -> float | None:
        own = rows[case].seconds(OURS) if case in rows else None
        theirs = rows[other].seconds(peer) if other in rows else None
        if not own or not theirs:
            return None
        ratio: float = getattr(rows[case].case, unit) / own / (getattr(rows[other].case, unit) / theirs)
        return ratio

    return measure


def _name(shape: tuple[int, int, int]) -> str:
    return "matmul " + "x".join(map(str, shape))


AT_90 = ((256, 256, 256), (512, 512, 512), (1024, 1024, 1024), (128, 784, 512), (4096, 256, 256))
AT_75 = ((64, 64, 64), (32, 64, 64))
AVX2 = f"{OURS}-avx2"
TWO = f"{OURS}-2threads"
GOALS = (
    *(Goal(f"{_name(s)}: share of the FMA peak", 0.90, _peak(_name(s))) for s in AT_90),
    *(Goal(f"{_name(s)}: share of the FMA peak", 0.75, _peak(_name(s))) for s in AT_75),
    *(Goal(f"{_name(s)}, {AVX2}: share of its FMA peak", 0.85, _peak(_name(s), AVX2)) for s in AT_90),
    *(
        Goal(f"{_name(s)}: time of {peer} over ours", 1.0, _time_over_ours(_name(s), peer))
        for s in PEER_SHAPES
        for peer in ("numpy", "numpy-skylakex", "numpy-haswell")
    ),
    Goal(
        "matmul 512x512x512: one thread's time over two threads'", 1.85, _time_over_ours(_name((512,) * 3), OURS, TWO)
    ),
    *(
        goal
        for size in (8192, 1 << 20)
        for goal in (
            Goal(f"exp {size}: time of numpy over ours", 1.0, _time_over_ours(f"elementwise exp {size}", "numpy")),
            *(
                Goal(
                    f"{op} {size}: our rate over torch's tanh",
                    3.0,
                    _rate_over(f"elementwise {op} {size}", f"elementwise tanh {size}", "torch", "elements"),
                )
                for op in ("tanh", "sigmoid")
            ),
            *(
                Goal(
                    f"{op} {size}: our bytes a second over those of numpy's copy",
                    0.95,
                    _rate_over(f"elementwise {op} {size}", f"elementwise copy {size}", "numpy", "bytes"),
                )
                for op in ("relu", "add")
            ),
        )
    ),
)


def report(rows: list[Row]) -> str:
    """A line per goal that this run has measured."""
    by_name = {row.case.name: row for row in rows}
    lines = []
    for goal in GOALS:
        reached = goal.measure(by_name)
        if reached is not None:
            lines.append(
                f"  {'met   ' if reached >= goal.least else 'MISSED'}  {reached:6.2f} of {goal.least:4.2f}  {goal.text}"
            )
    return "\n".join(["goals:", *(lines or ["  none measured in this run"])])

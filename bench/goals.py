"""The goals that the figures of a run are held against: ``--goals`` prints each with what was reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.cases import PEER_SHAPES
from bench.contenders import OURS
from bench.nets import MORE, PUBLISHED, Net
from bench.results import Row

Rows = dict[str, Row]
Figure = Callable[[Rows], float | None]


@dataclass(frozen=True)
class Goal:
    """`measure` gives the figure reached (None: not measured in this run); it is to be at least `least`.

    `bound` gives the most that could be reached, at the FMA peak of this machine.
    """

    text: str
    least: float
    measure: Figure
    bound: Figure = lambda rows: None


def _peak(case: str, contender: str = OURS) -> Figure:
    return lambda rows: rows[case].of_peak(contender) if case in rows else None


def _time_over_ours(case: str, peer: str, own: str = OURS) -> Figure:
    return lambda rows: rows[case].ratio(peer, own) if case in rows else None


def _rate_over(case: str, other: str, peer: str, unit: str) -> Figure:
    """Our rate in `case` over the rate of `peer` in the case `other`; `unit` is a field of Case."""

    def measure(rows: Rows) -> float | None:
        own = rows[case].seconds(OURS) if case in rows else None
        theirs = rows[other].seconds(peer) if other in rows else None
        if not own or not theirs:
            return None
        ratio: float = getattr(rows[case].case, unit) / own / (getattr(rows[other].case, unit) / theirs)
        return ratio

    return measure


def _at_peak(case: str, peer: str) -> Figure:
    """The time of `peer` over that of the case's operations at the FMA peak: nobody can be further ahead of it."""

    def measure(rows: Rows) -> float | None:
        share = rows[case].of_peak(peer) if case in rows else None
        return 1.0 / share if share else None

    return measure


def _budget(case: str, seconds: float) -> Figure:
    """How many times a call fits into so many seconds."""

    def measure(rows: Rows) -> float | None:
        taken = rows[case].seconds(OURS) if case in rows else None
        return seconds / taken if taken else None

    return measure


def _name(shape: tuple[int, int, int]) -> str:
    return "matmul " + "x".join(map(str, shape))


AT_90 = ((256, 256, 256), (512, 512, 512), (1024, 1024, 1024), (128, 784, 512), (4096, 256, 256))
AT_75 = ((64, 64, 64), (32, 64, 64))
AVX2 = f"{OURS}-avx2"
TWO = f"{OURS}-2threads"
KERNEL_GOALS = (
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


# By how much an epoch is to beat JAX's scan of one, and a compiled step torch's, net by net.
EPOCH_OVER_JAX = dict(zip(PUBLISHED, (5.0, 1.7, 1.8, 1.7, 1.5, 1.3, 1.3), strict=True)) | dict.fromkeys(MORE, 1.5)
STEP_OVER_TORCH = dict(zip(PUBLISHED, (100.0, 10.0, 15.0, 7.0, 4.0, 2.5, 2.3), strict=True))
PREDICT_OVER_ONNXRUNTIME = dict(zip(PUBLISHED[2:], (4.0, 4.0, 2.0, 1.0, 1.0), strict=True))  # at batch 1
LARGE = PUBLISHED[-2:]


def _ahead(kind: str, net: Net, batch: int, peer: str, least: float, own: str = OURS) -> Goal:
    case = f"{kind} {net.name} @{batch}"
    text = f"{case}: time of {peer} over ours"
    return Goal(text, least, _time_over_ours(case, peer, own), _at_peak(case, peer))


def _large(net: Net) -> tuple[Goal, ...]:
    """What arithmetic alone decides: the share of the peak, and two threads."""
    case, two_threads = f"epoch {net.name} @{net.batch}", TWO.removeprefix(OURS)
    return (
        Goal(f"{case}: share of the FMA peak", 0.85, _peak(case)),
        Goal(f"{case}: one thread's time over two threads'", 1.7, _time_over_ours(case, OURS, TWO)),
        *(_ahead("epoch", net, net.batch, f"{peer}{two_threads}", 1.0, TWO) for peer in ("jax", "torch")),
    )


SMALLEST = PUBLISHED[0]
NET_GOALS = (
    *(_ahead("epoch", net, net.batch, "jax", least) for net, least in EPOCH_OVER_JAX.items()),
    *(_ahead("step", net, net.batch, "torch", least) for net, least in STEP_OVER_TORCH.items()),
    Goal(
        f"step {SMALLEST.name} @32: times it fits into 3 us",
        1.0,
        _budget(f"step {SMALLEST.name} @{SMALLEST.batch}", 3e-6),
    ),
    *(goal for net in LARGE for goal in _large(net)),
    Goal(f"predict {SMALLEST.name} @1: times it fits into 1 us", 1.0, _budget(f"predict {SMALLEST.name} @1", 1e-6)),
    *(_ahead("predict", net, 1, "onnxruntime", least) for net, least in PREDICT_OVER_ONNXRUNTIME.items()),
    *(_ahead("predict", net, net.batch, "onnxruntime", 1.0) for net in PUBLISHED),
)
GOALS = KERNEL_GOALS + NET_GOALS


def report(rows: list[Row]) -> str:
    """A line per goal that this run has measured."""
    by_name = {row.case.name: row for row in rows}
    lines = []
    for goal in GOALS:
        reached = goal.measure(by_name)
        if reached is None:
            continue
        met = "met   " if reached >= goal.least else "MISSED"
        bound = goal.bound(by_name)
        beyond = f" (at the FMA peak of this machine: {bound:.2f})" if bound and bound < goal.least else ""
        lines.append(f"  {met}  {reached:6.2f} of {goal.least:4.2f}  {goal.text}{beyond}")
    return "\n".join(["goals:", *(lines or ["  none measured in this run"])])

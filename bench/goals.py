"""Performance goals: ``--goals`` prints each with the value measured in the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.cases import CASES, PEER_SHAPES
from bench.contenders import OURS
from bench.nets import MORE, PUBLISHED, Net
from bench.results import Row

Rows = dict[str, Row]
Measure = Callable[[Rows], float | None]


@dataclass(frozen=True)
class Goal:
    """`measure` returns the value of this run (None: not measured), which must be at least `target`.

    `bound` returns the upper bound of the value, at the FMA peak of this machine.
    """

    text: str
    target: float
    measure: Measure
    bound: Measure = lambda rows: None


def _peak(case: str, contender: str = OURS) -> Measure:
    return lambda rows: rows[case].of_peak(contender) if case in rows else None


def _time_ratio(case: str, peer: str, own: str = OURS) -> Measure:
    return lambda rows: rows[case].ratio(peer, own) if case in rows else None


def _rate_ratio(case: str, other: str, peer: str, unit: str) -> Measure:
    """Our rate in `case` divided by the rate of `peer` in the case `other`; `unit` is a field of Case."""

    def measure(rows: Rows) -> float | None:
        own = rows[case].seconds(OURS) if case in rows else None
        theirs = rows[other].seconds(peer) if other in rows else None
        if not own or not theirs:
            return None
        ratio: float = getattr(rows[case].case, unit) / own / (getattr(rows[other].case, unit) / theirs)
        return ratio

    return measure


def _ratio_at_peak(case: str, peer: str) -> Measure:
    """The time of `peer` divided by the time of the case's operations at the FMA peak: the largest possible ratio."""

    def measure(rows: Rows) -> float | None:
        share = rows[case].of_peak(peer) if case in rows else None
        return 1.0 / share if share else None

    return measure


def _calls_within(case: str, seconds: float) -> Measure:
    """The number of calls in so many seconds."""

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
        Goal(f"{_name(s)}: time of {peer} over ours", 1.0, _time_ratio(_name(s), peer))
        for s in PEER_SHAPES
        for peer in ("numpy", "numpy-skylakex", "numpy-haswell")
    ),
    Goal("matmul 512x512x512: one thread's time over two threads'", 1.85, _time_ratio(_name((512,) * 3), OURS, TWO)),
    *(
        goal
        for size in (8192, 1 << 20)
        for goal in (
            Goal(f"exp {size}: time of numpy over ours", 1.0, _time_ratio(f"elementwise exp {size}", "numpy")),
            *(
                Goal(
                    f"{op} {size}: our rate over torch's tanh",
                    3.0,
                    _rate_ratio(f"elementwise {op} {size}", f"elementwise tanh {size}", "torch", "elements"),
                )
                for op in ("tanh", "sigmoid")
            ),
            *(
                Goal(
                    f"{op} {size}: our bytes a second over those of numpy's copy",
                    0.95,
                    _rate_ratio(f"elementwise {op} {size}", f"elementwise copy {size}", "numpy", "bytes"),
                )
                for op in ("relu", "add")
            ),
        )
    ),
)


# Required speed-ups by net: of an epoch over JAX's scan, of a compiled step over torch's.
EPOCH_OVER_JAX = dict(zip(PUBLISHED, (5.0, 1.7, 1.8, 1.7, 1.5, 1.3, 1.3), strict=True)) | dict.fromkeys(MORE, 1.5)
STEP_OVER_TORCH = dict(zip(PUBLISHED, (100.0, 10.0, 15.0, 7.0, 4.0, 2.5, 2.3), strict=True))
PREDICT_OVER_ONNXRUNTIME = dict(zip(PUBLISHED[2:], (4.0, 4.0, 2.0, 1.0, 1.0), strict=True))  # at batch 1
LARGE = PUBLISHED[-2:]


def _faster_than(kind: str, net: Net, batch: int, peer: str, target: float, own: str = OURS) -> Goal:
    case = f"{kind} {net.name} @{batch}"
    text = f"{case}: time of {peer} over ours"
    return Goal(text, target, _time_ratio(case, peer, own), _ratio_at_peak(case, peer))


def _compute_bound(net: Net) -> tuple[Goal, ...]:
    """Goals of a compute-bound net: share of the peak and speed-up with two threads."""
    case, two_threads = f"epoch {net.name} @{net.batch}", TWO.removeprefix(OURS)
    return (
        Goal(f"{case}: share of the FMA peak", 0.85, _peak(case)),
        Goal(f"{case}: one thread's time over two threads'", 1.7, _time_ratio(case, OURS, TWO)),
        *(_faster_than("epoch", net, net.batch, f"{peer}{two_threads}", 1.0, TWO) for peer in ("jax", "torch")),
    )


LAYERED = ("normed", "adam", "recommender", "sequence")  # the groups of steps of models of layers
CONVOLUTIONS = {"lenet @64": 2.0, "3x3 32-32-64 @64": 1.5, "3x3 16-32 @32": 1.5}
CONVOLUTION_GOALS = tuple(
    Goal(f"conv {net}: time of torch over ours", target, _time_ratio(f"conv {net}", "torch"))
    for net, target in CONVOLUTIONS.items()
)
LAYERED_GOALS = tuple(
    Goal(f"{case.name}: time of {peer} over ours", 1.5, _time_ratio(case.name, peer))
    for case in CASES
    if case.group in LAYERED
    for peer in ("torch", "jax")
)

SMALLEST = PUBLISHED[0]
NET_GOALS = (
    *(_faster_than("epoch", net, net.batch, "jax", target) for net, target in EPOCH_OVER_JAX.items()),
    *(_faster_than("step", net, net.batch, "torch", target) for net, target in STEP_OVER_TORCH.items()),
    Goal(
        f"step {SMALLEST.name} @32: times it fits into 3 us",
        1.0,
        _calls_within(f"step {SMALLEST.name} @{SMALLEST.batch}", 3e-6),
    ),
    *(goal for net in LARGE for goal in _compute_bound(net)),
    Goal(
        f"predict {SMALLEST.name} @1: times it fits into 1 us", 1.0, _calls_within(f"predict {SMALLEST.name} @1", 1e-6)
    ),
    *(_faster_than("predict", net, 1, "onnxruntime", target) for net, target in PREDICT_OVER_ONNXRUNTIME.items()),
    *(_faster_than("predict", net, net.batch, "onnxruntime", 1.0) for net in PUBLISHED),
)
GOALS = KERNEL_GOALS + NET_GOALS + LAYERED_GOALS + CONVOLUTION_GOALS


def report(rows: list[Row]) -> str:
    """One line per goal measured in this run."""
    by_name = {row.case.name: row for row in rows}
    lines = []
    for goal in GOALS:
        value = goal.measure(by_name)
        if value is None:
            continue
        verdict = "met   " if value >= goal.target else "MISSED"
        bound = goal.bound(by_name)
        remark = f" (at the FMA peak of this machine: {bound:.2f})" if bound and bound < goal.target else ""
        lines.append(f"  {verdict}  {value:6.2f} of {goal.target:4.2f}  {goal.text}{remark}")
    return "\n".join(["goals:", *(lines or ["  none measured in this run"])])

"""Figures of a run: samples become a `Timing`, timings of a case a `Row`; JSON and what counts as lost."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from bench.cases import Case
from bench.contenders import OURS, base_of


@dataclass
class Timing:
    """One contender on one case; the times are seconds of one call, of one step where a call makes many.

    `form` is the way in which it was the fastest, `left_out` why other ways could not be timed. A `note` says why there
    is no time at all.
    """

    error: float | None = None
    median: float | None = None
    minimum: float | None = None
    spread: float | None = None  # between the quartiles, over the median
    samples: int = 0
    peak: float | None = None  # GFLOP/s of all its threads, by the FMA loop of its own instruction set (ours only)
    best_peak: float | None = None
    note: str = ""
    failed: bool = False  # a wrong answer or an exception, not a case that the contender does not offer
    form: str = ""
    left_out: dict[str, str] = field(default_factory=dict)

    def measured(self, samples: list[float], peaks: list[float]) -> Timing:
        """With the figures of these samples."""
        median = statistics.median(samples)
        quartiles = statistics.quantiles(samples, n=4) if len(samples) > 1 else [median] * 3
        spread = (quartiles[2] - quartiles[0]) / median
        peak, best = (statistics.median(peaks), max(peaks)) if peaks else (None, None)
        return replace(
            self,
            median=median,
            minimum=min(samples),
            spread=spread,
            samples=len(samples),
            peak=peak,
            best_peak=best,
        )

    @property
    def problems(self) -> list[str]:
        """What went wrong, also in a form that another has replaced."""
        found = [f"{form}: {why}" if form else why for form, why in self.left_out.items()]
        return found or ([self.note] if self.failed else [])

    @property
    def wrong(self) -> bool:
        return any("WRONG" in text for text in self.problems)


@dataclass
class Row:
    """One case and the timing of every contender by name.

    Compared are medians, or the best of each (`by_best`): for a machine that others use at the same time.
    """

    case: Case
    by_best: bool = False
    timings: dict[str, Timing] = field(default_factory=dict)

    def seconds(self, contender: str) -> float | None:
        """What a call of the contender takes; None if it was not timed."""
        timing = self.timings.get(contender)
        return (timing.minimum if self.by_best else timing.median) if timing else None

    def peak(self, contender: str) -> float | None:
        """GFLOP/s that the contender is measured against: its own peak, else ours on as many threads."""
        for name in (contender, base_of(contender)):
            timing = self.timings.get(name)
            if timing and timing.peak:
                return timing.best_peak if self.by_best else timing.peak
        return None

    def ratio(self, contender: str, base: str | None = None) -> float | None:
        """How many times longer `contender` takes than `base` (ours, on as many threads); None if one has no time."""
        other, own = self.seconds(contender), self.seconds(base or base_of(contender))
        return other / own if other and own else None

    def of_peak(self, contender: str = OURS) -> float | None:
        """Share of the FMA peak in float32."""
        peak, seconds = self.peak(contender), self.seconds(contender)
        if not peak or not seconds or not self.case.flops or self.case.dtype != "float32":
            return None
        return self.case.flops / seconds / (peak * 1e9)

    def as_json(self) -> dict[str, Any]:
        ratios = {name: self.ratio(name) for name in self.timings if name != OURS}
        timings = {name: {**asdict(t), "of_peak": self.of_peak(name)} for name, t in self.timings.items()}
        return {"case": asdict(self.case), "timings": timings, "ratios": ratios}


def lost(rows: list[Row], peers: list[str]) -> list[tuple[str, str, float]]:
    """(case, peer, peer's time over ours) wherever a peer is faster, the worst first."""
    found = []
    for row in rows:
        for peer in peers:
            ratio = row.ratio(peer)
            if ratio is not None and ratio < 1.0:
                found.append((row.case.name, peer, ratio))
    return sorted(found, key=lambda entry: entry[2])

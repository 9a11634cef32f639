"""Results of a run: `Timing` of one contender on one case, `Row` of all contenders on one case; JSON; lost cases."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from bench.cases import Case
from bench.contenders import OURS, baseline_of


@dataclass
class Timing:
    """One contender on one case; times are seconds per call, or per step for calls of many steps.

    `variant` is its fastest implementation; `failed_variants` maps the others that could not be timed to the reason. A
    `note` is the reason why the contender has no time at all.
    """

    error: float | None = None
    median: float | None = None
    minimum: float | None = None
    spread: float | None = None  # between the quartiles, over the median
    samples: int = 0
    peak: float | None = None  # GFLOP/s of all its threads, by the FMA loop of its own instruction set (ours only)
    best_peak: float | None = None
    note: str = ""
    failed: bool = False  # a wrong answer or an exception, as opposed to an unsupported case
    variant: str = ""
    failed_variants: dict[str, str] = field(default_factory=dict)

    def measured(self, samples: list[float], peaks: list[float]) -> Timing:
        """A copy with the statistics of these samples."""
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
        """Failures, including those of variants that were replaced by another."""
        found = [f"{variant}: {why}" if variant else why for variant, why in self.failed_variants.items()]
        return found or ([self.note] if self.failed else [])

    @property
    def wrong(self) -> bool:
        return any("WRONG" in text for text in self.problems)


@dataclass
class Row:
    """One case and the timing of every contender by name.

    Medians are compared, or minima (`by_best`), for a machine under load.
    """

    case: Case
    by_best: bool = False
    timings: dict[str, Timing] = field(default_factory=dict)

    def seconds(self, contender: str) -> float | None:
        """The compared time of the contender; None if it was not timed."""
        timing = self.timings.get(contender)
        return (timing.minimum if self.by_best else timing.median) if timing else None

    def peak(self, contender: str) -> float | None:
        """The FMA peak for the contender in GFLOP/s: its own, else ours with the same number of threads."""
        for name in (contender, baseline_of(contender)):
            timing = self.timings.get(name)
            if timing and timing.peak:
                return timing.best_peak if self.by_best else timing.peak
        return None

    def ratio(self, contender: str, base: str | None = None) -> float | None:
        """Time of `contender` over that of `base` (ours, with as many threads); None if one was not timed."""
        other, own = self.seconds(contender), self.seconds(base or baseline_of(contender))
        return other / own if other and own else None

    def of_peak(self, contender: str = OURS) -> float | None:
        """Fraction of the FMA peak in float32."""
        peak, seconds = self.peak(contender), self.seconds(contender)
        if not peak or not seconds or not self.case.flops or self.case.dtype != "float32":
            return None
        return self.case.flops / seconds / (peak * 1e9)

    def as_json(self) -> dict[str, Any]:
        ratios = {name: self.ratio(name) for name in self.timings if name != OURS}
        timings = {name: {**asdict(t), "of_peak": self.of_peak(name)} for name, t in self.timings.items()}
        return {"case": asdict(self.case), "timings": timings, "ratios": ratios}


def lost(rows: list[Row], peers: list[str]) -> list[tuple[str, str, float]]:
    """(case, peer, peer's time over ours) for each case in which a peer is faster, the worst first."""
    found = []
    for row in rows:
        for peer in peers:
            ratio = row.ratio(peer)
            if ratio is not None and ratio < 1.0:
                found.append((row.case.name, peer, ratio))
    return sorted(found, key=lambda entry: entry[2])

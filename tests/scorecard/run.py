"""Runs the tests of the reliability bars, keeps what they found, and writes docs/reliability.md.

    python tests/scorecard/run.py                     quick tests of every bar
    python tests/scorecard/run.py --tier full 1 2 3   full tests of some bars
    python tests/scorecard/run.py --render            only the page, from the kept results

Bars that do not run keep their results. The exit status is 1 if a test fails.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scorecard import page, results
from scorecard.bars import BARS, TIERS, Bar


def where() -> str:
    """Day, processor, versions."""
    import numpy as np

    import chainrule as cr

    machine = f"{os.cpu_count()} CPUs with {cr.available_isas()[0]}"
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}"
    return f"{time.strftime('%Y-%m-%d')}, {machine}, {versions}"


def measure(bar: Bar, tier: str, workers: str) -> results.Result:
    """Run the bar's tests of the tier."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["-q", "-n", workers, "-m", TIERS[tier], f"--junitxml={report}", "-p", "no:cacheprovider"]
        tests = [str(results.ROOT / "tests" / test) for test in bar.tests[tier]]
        done = subprocess.run([sys.executable, "-m", "pytest", *options, *tests], cwd=results.ROOT, check=False)
        if not report.exists():
            raise SystemExit(f"bar {bar.number}: pytest ended with {done.returncode} and no report")
        return results.recorded(report.read_text(), bar, where())


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the reliability bars.")
    parser.add_argument("bars", nargs="*", type=int, choices=[[], *(bar.number for bar in BARS)], help="default: all")
    parser.add_argument("--tier", choices=list(TIERS), default="quick")
    parser.add_argument("--workers", default="auto", help="of pytest-xdist")
    parser.add_argument("--render", action="store_true", help="write the page from the kept results")
    options = parser.parse_args()
    found = results.read()
    failed = 0
    for bar in BARS:
        if options.render or options.tier not in bar.tests or (options.bars and bar.number not in options.bars):
            continue
        print(f"== bar {bar.number}: {bar.claim}", flush=True)
        tiers = found.setdefault(bar.number, {})
        new = measure(bar, options.tier, options.workers)
        tiers[options.tier] = results.merged(tiers.get(options.tier), new, bar)
        failed += new.failed
        results.write(found)  # a later bar may be stopped
        page.FILE.write_text(page.render(found))
    page.FILE.write_text(page.render(found))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

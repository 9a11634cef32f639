"""Description of the machine of a measurement."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

FEATURES = ("fma", "avx2", "avx512f", "avx512dq", "avx512bw", "avx512vl", "asimd", "sve")


def describe() -> dict[str, Any]:
    """Processor, instruction set extensions, CPUs, memory, system, load at the start, commit, time."""
    text = _read("/proc/cpuinfo")
    pairs = (line.partition(":") for line in text.splitlines())
    fields = {key.strip(): value.strip() for key, colon, value in pairs if colon}
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": fields.get("model name") or platform.processor() or platform.machine(),
        "family": fields.get("cpu family"),
        "model": fields.get("model"),
        "features": [name for name in FEATURES if name in flags],
        "cpus": os.cpu_count(),
        "usable_cpus": usable,
        "memory": next((line.split(":")[1].strip() for line in _read("/proc/meminfo").splitlines()), None),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "commit": _commit(),
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def _commit() -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None

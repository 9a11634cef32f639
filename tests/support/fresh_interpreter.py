"""Python code in an interpreter of its own: a crash or a hang there is a failure of one test, not of the run."""

import os
import subprocess
import sys


def python(code: str, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `code`, with the same places for modules and these variables; killed after `timeout` seconds."""
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **environment}
    command = [sys.executable, "-W", "error", "-X", "faulthandler", "-c", code]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=timeout)


def output(code: str, timeout: float = 120, **environment: str) -> str:
    """What `code` prints; AssertionError with its errors when it fails (a signal is a negative status)."""
    done = python(code, timeout, **environment)
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()

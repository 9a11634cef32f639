"""Python code in a separate interpreter, where a crash or deadlock fails one test, not the whole run."""

import os
import subprocess
import sys


def python(code: str, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `code` with the same module search path and these environment variables; killed after `timeout` seconds."""
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **environment}
    command = [sys.executable, "-W", "error", "-X", "faulthandler", "-c", code]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=timeout)


def output(code: str, timeout: float = 120, **environment: str) -> str:
    """Return the output of `code`; AssertionError with its stderr on failure (a signal is a negative status)."""
    done = python(code, timeout, **environment)
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()

"""The package on emulated CPUs without AVX-512 or AVX: it is imported, chooses its level and gives the same bits."""

import os
import platform
import shutil
import subprocess
import sys

import pytest

import test_builds

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        platform.machine() not in ("x86_64", "AMD64") or shutil.which("qemu-x86_64") is None, reason="needs qemu-user"
    ),
]
CODE = "import chainrule as cr; from support.trainings import digest; print(cr.active_isa(), digest())"


@pytest.mark.parametrize(("cpu", "isa"), [("Nehalem", "scalar"), ("Haswell", "avx2")])
def test_python_on_an_older_cpu(cpu: str, isa: str) -> None:
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "OMP_NUM_THREADS": "2"}
    command = ["qemu-x86_64", "-cpu", cpu, os.path.realpath(sys.executable), "-c", CODE]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [isa, test_builds.EXPECTED]

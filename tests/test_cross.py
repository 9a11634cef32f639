"""One hash over the kernels, on this machine's levels and, if a cross compiler and qemu are available, on others."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CMAKE = shutil.which("cmake")

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]


def _build(folder: Path, *options: str) -> Path:
    assert CMAKE is not None
    source = ["-S", str(ROOT), "-B", str(folder), "-DCHAINRULE_DIGEST=ON", "-DCMAKE_BUILD_TYPE=Release"]
    configure = [CMAKE, *source, *options]
    for command in (configure, [CMAKE, "--build", str(folder), "-j2"]):
        subprocess.run(command, check=True, capture_output=True, text=True)
    return folder / "digest"


def _hash(*command: str) -> tuple[str, str]:
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "2"}, timeout=600
    )
    value, isa = done.stdout.split()
    return value, isa


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if CMAKE is None:
        pytest.skip("cmake is not installed")
    return _build(tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="module")
def expected(native: Path) -> str:
    return _hash(str(native), "scalar")[0]


def test_levels_of_this_machine(native: Path, expected: str) -> None:
    import chainrule as cr

    for isa in cr.available_isas():
        assert _hash(str(native), isa) == (expected, isa)


@pytest.mark.parametrize(("cpu", "isa"), [("Nehalem", "scalar"), ("Haswell", "avx2")])
def test_older_cpus(native: Path, expected: str, cpu: str, isa: str) -> None:
    emulator = shutil.which("qemu-x86_64")
    if emulator is None:
        pytest.skip("qemu-user is not installed")
    assert _hash(emulator, "-cpu", cpu, str(native)) == (expected, isa)


def test_aarch64(expected: str, tmp_path: Path) -> None:
    compiler, emulator = shutil.which("aarch64-linux-gnu-g++"), shutil.which("qemu-aarch64")
    if compiler is None or emulator is None:
        pytest.skip("g++-aarch64-linux-gnu or qemu-user is not installed")
    options = [
        "-DCMAKE_SYSTEM_NAME=Linux",
        "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
        f"-DCMAKE_CXX_COMPILER={compiler}",
    ]
    program = _build(tmp_path / "aarch64", *options)
    for isa in ("neon", "scalar"):
        assert _hash(emulator, "-L", "/usr/aarch64-linux-gnu", str(program), isa) == (expected, isa)

"""The compiled objects of the kernels: those of the existing build tree, or of one temporary build."""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
LEVELS = ("levels avx512 avx2 scalar", "levels avx2 scalar")  # what CMakeLists.txt builds on x86-64, what copies build
TARGETS = ("chainrule_core", "kernels_scalar", "kernels_avx2", "kernels_avx512")  # folders of objects, by target


@functools.cache
def objects() -> dict[str, list[Path]] | None:
    """Objects by target; None when there is neither an up-to-date build nor cmake to build one.

    The variable CHAINRULE_BUILD_DIR names a build tree; else it is build/, or one that `pip install .` leaves in there.
    """
    named = os.environ.get("CHAINRULE_BUILD_DIR")
    folders = [Path(named)] if named else [ROOT / "build", *sorted((ROOT / "build").glob("*/"))]
    for folder in folders:
        found = objects_in(folder)
        if found is not None:
            return found
    if shutil.which("cmake") is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="chainrule-objects-"))
    build(ROOT, folder, TARGETS)
    return objects_in(folder)


def objects_in(folder: Path) -> dict[str, list[Path]] | None:
    """Objects of a build tree, or None when one is missing or older than a source."""
    sources = [p for p in (ROOT / "cpp").rglob("*") if p.suffix in (".cpp", ".h")] + [ROOT / "CMakeLists.txt"]
    changed = max(p.stat().st_mtime for p in sources)
    found = {target: sorted((folder / f"CMakeFiles/{target}.dir").rglob("*.o")) for target in TARGETS}
    expected = {target: len(list((ROOT / "cpp/kernels").glob("*.cpp"))) for target in TARGETS[1:]}
    complete = all(len(found[target]) == count for target, count in expected.items()) and found["chainrule_core"]
    fresh = all(p.stat().st_mtime >= changed for paths in found.values() for p in paths)
    return found if complete and fresh else None


def build(
    source: Path, folder: Path, targets: tuple[str, ...] = (), flags: str = "", options: Sequence[str] = ()
) -> None:
    """Configure a source tree for this Python and build; RuntimeError with the tools' words."""
    configure = [
        "cmake",
        "-S",
        str(source),
        "-B",
        str(folder),
        f"-DPython_EXECUTABLE={sys.executable}",
        "-DCHAINRULE_DEV=ON",
    ]
    if shutil.which("ninja"):
        configure += ["-G", "Ninja"]
    configure += options
    if flags:
        configure += [f"-DCMAKE_CXX_FLAGS={flags}"]
    chosen = [word for target in targets for word in ("--target", target)]
    for command in (configure, ["cmake", "--build", str(folder), "--parallel", "2", *chosen]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{command} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")


@contextmanager
def copy_tree(into: Path, *names: str, levels: str = LEVELS[1]) -> Iterator[Path]:
    """A copy of these files and folders, to be built with these levels; removed at the end."""
    if shutil.which("cmake") is None:
        pytest.skip("needs cmake")
    into.mkdir(parents=True, exist_ok=True)
    for name in names:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, into / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        else:
            shutil.copy(ROOT / name, into / name)
    lists = (ROOT / "CMakeLists.txt").read_text()
    (into / "CMakeLists.txt").write_text(lists.replace(LEVELS[0], levels))
    shutil.copy(ROOT / "pyproject.toml", into)
    yield into
    shutil.rmtree(into)

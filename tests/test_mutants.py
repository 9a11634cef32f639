"""Mutation tests: each fault seeded into a temporary copy of the sources makes the tests named beside it fail.

The quick tier checks that every fault still finds its place; the full tier runs the tests, after a build where the
fault is in C++.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cases.mutants import Mutant
from cases.mutants_in_cpp import IN_CPP
from cases.mutants_in_python import IN_PYTHON
from chainrule import _core
from support.build_objects import LEVELS, ROOT, build, copy_tree

Record = Callable[[str, object], None]  # pytest's record_property
full = [pytest.mark.full, pytest.mark.timeout(1800)]


def name(mutant: Mutant) -> str:
    return mutant.name


def seeded(mutant: Mutant, text: str) -> str:
    """The text of the mutant's file with the fault in it."""
    found = text.count(mutant.old)
    assert found == mutant.times, f"{mutant.file} has {mutant.old!r} {found} times: seed {mutant.name!r} anew"
    changed = text.replace(mutant.old, mutant.new)
    assert changed != text
    return changed


@pytest.mark.parametrize("mutant", [*IN_CPP, *IN_PYTHON], ids=name)
def test_mutants_find_their_place(mutant: Mutant) -> None:
    seeded(mutant, (ROOT / mutant.file).read_text())
    for word in shlex.split(mutant.tests):
        assert not word.endswith(".py") or (ROOT / "tests" / word).exists(), word


def test_levels_find_their_place() -> None:
    assert (ROOT / "CMakeLists.txt").read_text().count(LEVELS[0]) == 1


def test_every_fault_is_another_one() -> None:
    faults = [*IN_CPP, *IN_PYTHON]
    assert len({mutant.name for mutant in faults}) == len({(m.file, m.old, m.new) for m in faults}) == len(faults)


@pytest.fixture(scope="module")
def built_tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the sources with two levels, built."""
    with copy_tree(tmp_path_factory.mktemp("mutants"), "cpp", "python") as copy:
        build(copy, copy / "build")
        yield copy


@pytest.fixture(scope="module")
def python_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the core that this process uses."""
    copy = tmp_path_factory.mktemp("mutants")
    shutil.copytree(ROOT / "python", copy / "python", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    shutil.copy(_core.__file__, copy / "python" / "chainrule")
    return copy


def run(tree: Path, tests: str) -> subprocess.CompletedProcess[str]:
    """The chosen quick tests against the package of the tree; stops at the first failure."""
    words = [str(ROOT / "tests" / word) if word.endswith(".py") else word for word in shlex.split(tests)]
    options = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-o", f"pythonpath={tree / 'python'} {ROOT / 'tests'}"]
    code = (
        f"import sys; sys.path.insert(0, {str(tree / 'python')!r}); import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-B", "-c", code, *options, *words]  # bytecode of the text before would look current
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False, timeout=900)


def catch(tree: Path, mutant: Mutant, record: Record) -> None:
    """Seed the fault, run its tests, take it out."""
    path = tree / mutant.file
    text = path.read_text()
    path.write_text(seeded(mutant, text))
    try:
        if mutant in IN_CPP:
            build(tree, tree / "build")
        done = run(tree, mutant.tests)
    finally:
        path.write_text(text)
    assert done.returncode == 1, f"survived {mutant.tests}: {done.stdout[-1500:]}"
    record("faults caught", 1)


class TestInPython:
    pytestmark = full

    def test_unchanged_sources_pass(self, python_tree: Path) -> None:
        done = run(python_tree, "test_compile_arguments.py test_serialize.py test_autodiff.py")
        assert done.returncode == 0, done.stdout[-3000:]

    @pytest.mark.parametrize("mutant", IN_PYTHON, ids=name)
    def test_mutants_are_caught(self, python_tree: Path, mutant: Mutant, record_property: Record) -> None:
        catch(python_tree, mutant, record_property)


class TestInCpp:
    pytestmark = full

    def test_unchanged_sources_pass(self, built_tree: Path) -> None:
        done = run(built_tree, " ".join(sorted({shlex.split(mutant.tests)[0] for mutant in IN_CPP})))
        assert done.returncode == 0, done.stdout[-3000:]

    @pytest.mark.parametrize("mutant", IN_CPP, ids=name)
    def test_mutants_are_caught(self, built_tree: Path, mutant: Mutant, record_property: Record) -> None:
        catch(built_tree, mutant, record_property)

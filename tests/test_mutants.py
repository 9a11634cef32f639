"""Mutation tests: each fault seeded into a temporary copy of the sources makes the tests named beside it fail.

The quick tier checks that every fault still finds its place; the full tier builds each one and runs its tests.
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.build_objects import LEVELS, ROOT, build, copy_tree


@dataclass(frozen=True)
class Mutant:
    """In `file`, `old`, which occurs `times` times, becomes `new`; `tests` have to fail."""

    name: str
    file: str
    old: str
    new: str
    tests: str
    times: int = 1


MUTANTS = [
    Mutant(
        "contraction", "CMakeLists.txt", "-ffp-contract=off)", "-ffp-contract=fast)", "test_softmax.py test_random.py"
    ),
    Mutant(
        "product rounded", "cpp/kernels/tile.h", "fma(ai, bv[j], acc[i][j])", "ai * bv[j] + acc[i][j]", "test_matmul.py"
    ),
    Mutant(
        "elementwise tail short",
        "cpp/kernels/loops.h",
        "store_n(out + i, f(in.part(i, n - i)...), n - i)",
        "store_n(out + i, f(in.part(i, n - i)...), n - i - 1)",
        "test_elementwise.py",
    ),
    Mutant(
        "elementwise tail overread",
        "cpp/kernels/loops.h",
        "Broadcast ? splatted : load_n(p + i, n)",
        "Broadcast ? splatted : load(p + i + 0 * n)",
        "test_guard_pages.py -k elementwise",
    ),
    Mutant(
        "sign of zero in maximum",
        "cpp/simd/vec.h",
        "select(eq(a, b), bits_and(a, b), larger)",
        "select(eq(a, b), a, larger)",
        "test_elementwise.py test_reductions.py -k max",
    ),
    Mutant(
        "relu_grad forgets NaN",
        "cpp/kernels/activations.h",
        "select(lt(zero, chainrule::abs(y)), g, y + zero)",
        "select(eq(y, zero), zero, g)",
        "test_special_values.py -k relu",
    ),
    Mutant(
        "chunk of sums",
        "cpp/kernels/lane_sum.h",
        "kSumChunk = 4096",
        "kSumChunk = 8192",
        "test_reductions.py",
    ),
    Mutant(
        "tree of sums",
        "cpp/kernels/lane_sum.h",
        "half[v] + half[v + n]",
        "half[2 * v] + half[2 * v + 1]",
        "test_reductions.py",
    ),
    Mutant(
        "last maximum", "cpp/kernels/reduce.cpp", "__builtin_ctz(hit)", "31 - __builtin_clz(hit)", "test_reductions.py"
    ),
    Mutant(
        "softmax multiplies",
        "cpp/kernels/softmax.cpp",
        "return e / s;",
        "return e * (splat(T(1)) / s);",
        "test_softmax.py",
    ),
    Mutant(
        "step rounded twice",
        "cpp/kernels/update.cpp",
        "fma(rate, d, p)",
        "rate * d + p",
        "test_update.py -k options",
        times=2,
    ),
    Mutant(
        "bias of the first tile",
        "cpp/kernels/write_back.h",
        "whole.bias + (out_.transposed ? i : j)",
        "whole.bias + (out_.transposed ? i : 0)",
        "test_chain.py",
    ),
    Mutant(
        "more rows than the epilogue's buffer has",
        "cpp/kernels/write_back.h",
        "i_end - i0_ + rows_ > most_",
        "i_end - i0_ > most_",
        "test_chain.py",
    ),
    Mutant(
        "body in the wrong row",
        "cpp/program/matmul.cpp",
        "e.row + row",
        "row",
        "test_chain.py",
    ),
    Mutant("nine rounds", "cpp/math/philox.h", "round < 10", "round < 9", "test_random.py"),
    Mutant(
        "caller's mode",
        "cpp/threads/fp_mode.h",
        "if ((saved_ & kControl) != kDefault) write(kDefault);",
        "",
        "test_fp_modes.py",
    ),
    Mutant(
        "shares leave a gap",
        "cpp/threads/threads.h",
        "units * (share.index + 1) / share.count",
        "units * (share.index + 1) / share.count - (share.index > 0)",
        "test_elementwise.py",
    ),
    Mutant(
        "no barrier",
        "cpp/program/schedule.cpp",
        "conflicts.with(i, begin_.back(), least_work)",
        "false",
        "test_threads.py test_program.py -k wait",
    ),
    Mutant(
        "threads after fork",
        "cpp/threads/threads.cpp",
        "g_forked.load(std::memory_order_relaxed) || ",
        "",
        "test_threads.py -k forked",
    ),
]


def seeded(mutant: Mutant, text: str) -> str:
    """The text of the mutant's file with the fault in it."""
    found = text.count(mutant.old)
    assert found == mutant.times, f"{mutant.file} has {mutant.old!r} {found} times: seed {mutant.name!r} anew"
    changed = text.replace(mutant.old, mutant.new)
    assert changed != text
    return changed


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_mutants_find_their_place(mutant: Mutant) -> None:
    seeded(mutant, (ROOT / mutant.file).read_text())
    for word in mutant.tests.split():
        assert not word.endswith(".py") or (ROOT / "tests" / word).exists(), word


def test_levels_find_their_place() -> None:
    assert (ROOT / "CMakeLists.txt").read_text().count(LEVELS[0]) == 1


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the sources with two levels, built."""
    with copy_tree(tmp_path_factory.mktemp("mutants"), "cpp", "python") as copy:
        build(copy, copy / "build")
        yield copy


def run(tree: Path, tests: str) -> subprocess.CompletedProcess[str]:
    """The chosen quick tests against the package of the tree; stops at the first failure."""
    words = [str(ROOT / "tests" / word) if word.endswith(".py") else word for word in tests.split()]
    options = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-o", f"pythonpath={tree / 'python'} {ROOT / 'tests'}"]
    code = (
        f"import sys; sys.path.insert(0, {str(tree / 'python')!r}); import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, *options, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_unchanged_sources_pass(tree: Path) -> None:
    done = run(tree, " ".join(sorted({mutant.tests.split()[0] for mutant in MUTANTS})))
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_mutants_are_caught(tree: Path, mutant: Mutant) -> None:
    path = tree / mutant.file
    text = path.read_text()
    path.write_text(seeded(mutant, text))
    try:
        build(tree, tree / "build")
        done = run(tree, mutant.tests)
    finally:
        path.write_text(text)
    assert done.returncode == 1, f"survived {mutant.tests}: {done.stdout[-1500:]}"

"""The examples of docs/adding.md work: applied to a copy of the tree, which is built, they pass the tests.

The quick tier checks that every block finds its place and that the page counts the edit sites right.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.build_objects import ROOT, build, copy_tree

PAGE = (ROOT / "docs" / "adding.md").read_text()
BLOCK = re.compile(
    r"^(?P<documentation>Documentation, in |In |At the end of )`(?P<file>[^`]+)`"
    r"(?:, (?P<how>before|after|in place of) `(?P<anchor>[^`\n]+)`)?:\n\n```\w+\n(?P<text>.*?)```$",
    re.DOTALL | re.MULTILINE,
)
# The rows of the page's table, and the headings of their examples.
SECTIONS = {
    "an elementwise op": "An elementwise op",
    "a layer": "A layer",
    "a loss": "A loss",
    "an optimizer": "An optimizer",
    "an instruction on rows": "An instruction on rows",
}


@dataclass(frozen=True)
class Block:
    """Text that goes into a file: before, after or in place of the line that has the anchor, or at the end."""

    file: str
    how: str
    anchor: str
    text: str
    is_documentation: bool

    def applied(self, old: str) -> str:
        """The file with the block in it; blank lines apart from its neighbours where it stands by itself."""
        gap = "\n\n\n" if self.file.endswith(".py") else "\n\n"
        if self.how == "at the end":
            return old.rstrip("\n") + gap + self.text
        lines = old.splitlines(keepends=True)
        (at,) = (i for i, line in enumerate(lines) if self.anchor in line)
        if self.how == "before":
            lines[at] = self.text.rstrip("\n") + gap + lines[at]
        elif self.how == "after":
            lines[at] += self.text
        else:
            lines[at] = self.text
        return "".join(lines)


def blocks(section: str) -> list[Block]:
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return [
        Block(
            m["file"],
            m["how"] or "at the end",
            m["anchor"] or "",
            m["text"],
            m["documentation"].startswith("Documentation"),
        )
        for m in BLOCK.finditer(text)
    ]


ALL = [block for section in SECTIONS.values() for block in blocks(section)]


@pytest.mark.parametrize("block", ALL, ids=lambda b: b.file)
def test_blocks_find_their_place(block: Block) -> None:
    old = (ROOT / block.file).read_text()
    assert block.how == "at the end" or old.count(block.anchor) == 1, (
        f"{block.file}: {block.anchor!r} is not there once"
    )
    assert block.text in block.applied(old)


def test_every_block_is_applied() -> None:
    assert len(ALL) == PAGE.count("\n```") / 2


@pytest.mark.parametrize("row", SECTIONS)
def test_the_table_counts_the_blocks(row: str) -> None:
    sites, documentation = re.findall(rf"^\| {row} \| (\d) \| .* \| (\d) \|$", PAGE, re.MULTILINE)[0]
    found = blocks(SECTIONS[row])
    assert sum(block.is_documentation for block in found) == int(documentation)
    files = [block.file for block in found if not block.is_documentation]
    assert len(files) == len({*files}) == int(sites)


def test_the_sites_of_an_instruction_set_exist() -> None:
    """Its section has no blocks: the list of its sites, with what NEON has there."""
    text = PAGE.split("\n## An instruction set\n")[1]
    sites = re.findall(r"^\d\. `([^`]+)`", text, re.MULTILINE)
    (count,) = re.findall(r"^\| an instruction set \| (\d) \|", PAGE, re.MULTILINE)
    assert len(sites) == int(count)
    for site, of_neon in zip(sites, ("neon.h", "flags_neon", "cpu_has_neon"), strict=True):
        path = ROOT / site
        assert (path / of_neon).exists() if path.is_dir() else of_neon in path.read_text()


# What the examples add, and test files that have tests of it by its name alone.
NEW = {
    "cube": ("elementwise", "special_values", "ops", "derivatives", "package", "registry"),
    "cube_grad": ("elementwise", "special_values", "derivatives", "registry"),
    "Shift": ("nn", "serialize", "derivatives", "package", "parity_numpy"),
    "cauchy_loss": ("ops", "derivatives", "package", "registry"),
    "CauchyLoss": ("nn", "serialize", "derivatives", "package", "parity_numpy"),
    "soft_sign_sgd": ("update",),
    "SoftSignSGD": ("optim", "package"),
    "row_norm": ("ops", "softmax", "derivatives", "package", "registry"),
    "row_norm_grad": ("derivatives", "registry"),
}
# Tests of whole tables.
WHOLE = (
    "registry",
    "schema",
    "schema_core",
    "losses",
    "optim",
    "optim_state",
    "compile_nets",
    "guard_pages",
    "fp_modes",
)


def test_the_files_of_the_tests_exist() -> None:
    files = {*WHOLE, *(file for wanted in NEW.values() for file in wanted)}
    assert [file for file in files if not (ROOT / "tests" / f"test_{file}.py").exists()] == []


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the tree with the examples, built."""
    with copy_tree(tmp_path_factory.mktemp("adding"), "cpp", "python", "tests", "docs", "README.md") as copy:
        for block in ALL:
            path = copy / block.file
            path.write_text(block.applied(path.read_text()))
        build(copy, copy / "build")
        yield copy


def passed(tree: Path, *words: str) -> list[str]:
    """The names of the tests that ran on the tree's own package; all of them have to pass."""
    options = ["-v", "-n", "0", "-p", "no:cacheprovider", "-o", f"pythonpath={tree / 'python'} {tree / 'tests'}"]
    code = (
        f"import sys; sys.path.insert(0, {str(tree / 'python')!r}); import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, *options, *words]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False, timeout=1500)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    return re.findall(r"^tests/(.*) PASSED", done.stdout, re.MULTILINE)


@pytest.mark.full
@pytest.mark.timeout(3000)
def test_the_examples_pass_the_tests_of_their_names(tree: Path) -> None:
    files = sorted({f"tests/test_{file}.py" for wanted in NEW.values() for file in wanted})
    names = passed(tree, *files, "-k", " or ".join(NEW))
    missing = [
        (name, file)
        for name, wanted in NEW.items()
        for file in wanted
        if not any(test.startswith(f"test_{file}.py") and re.search(rf"\b{name}\b", test) for test in names)
    ]
    assert missing == [], "no test of this name ran in this file"


@pytest.mark.full
@pytest.mark.timeout(3000)
def test_the_examples_complete_the_tables(tree: Path) -> None:
    names = passed(tree, *(f"tests/test_{file}.py" for file in WHOLE))
    assert len(names) > 100

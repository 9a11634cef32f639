"""Every row and erratum has a test named after it and a block in docs/lectures.md; the blocks' outputs are correct."""

import ast
import doctest
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent
DOCUMENT = FOLDER.parent.parent / "docs" / "lectures.md"
TEXT = DOCUMENT.read_text()
ROWS = {str(n) for n in range(1, 80)}
ERRATA = {f"E{n}" for n in range(1, 6)}
PREAMBLE, *BLOCKS = re.findall(
    r"(?:^\*\*([E\d, ]+)\*\*[^`]*?(?:`[^`\n]+`[^`]*?)*)?^```python\n(.*?)```", TEXT, re.M | re.S
)


def row_tests() -> list[ast.FunctionDef]:
    nodes = [node for path in FOLDER.glob("test_s*.py") for node in ast.walk(ast.parse(path.read_text()))]
    return [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


def test_every_row_and_erratum_has_a_test() -> None:
    names = [node.name for node in row_tests()]
    rows = {match[1].lstrip("0") for name in names if (match := re.match(r"test_row_(\d\d)_", name))}
    errata = {f"E{match[1]}" for name in names if (match := re.match(r"test_erratum_(\d)_", name))}
    assert (rows, errata) == (ROWS, ERRATA)


def test_none_is_skipped() -> None:
    for node in row_tests():
        assert not re.search(r"skip|xfail|full", ast.unparse(node.decorator_list)), node.name  # type: ignore[arg-type]
        assert not re.search(r"pytest\.(skip|xfail|importorskip)", ast.unparse(node)), node.name


def test_every_row_and_erratum_is_in_the_document() -> None:
    named = [number for numbers, _ in BLOCKS for number in numbers.split(", ")]
    assert sorted(named) == sorted(ROWS | ERRATA)


@pytest.mark.parametrize(("numbers", "block"), BLOCKS, ids=[numbers for numbers, _ in BLOCKS])
def test_a_block_prints_its_output(numbers: str, block: str) -> None:
    names: dict[str, Any] = {}
    exec(PREAMBLE[1], names)
    example = doctest.DocTestParser().get_doctest(block, names, f"row {numbers}", str(DOCUMENT), 0)
    assert example.examples[-1].want, "a block shows something"
    failures: list[str] = []
    doctest.DocTestRunner(verbose=False).run(example, out=failures.append)
    assert not failures, "".join(failures)


def test_pictures_exist_and_are_small() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\((pictures/[^)]+)\)", TEXT)
    assert len(pictures) >= 8
    for picture in pictures:
        assert (DOCUMENT.parent / picture).stat().st_size < 100_000, picture

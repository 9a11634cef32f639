"""The blocks of a page of docs/ print what the page says; files that pages and comments name exist."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("page", ["data.md", "tables.md", "sklearn.md"])
def test_blocks_run_in_order(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = (ROOT / "docs" / page).read_text()
    blocks = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == text.count("```python"), "every block is followed by what it prints"
    names: dict[str, Any] = {}
    for code, said in blocks:
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            exec(code, names)
        assert shown.getvalue() == said, code


FOLDERS = ("cpp", "python", "tests", "docs", "bench", ".ci", ".github")
# Not what an f-string begins with.
NAMED = re.compile(
    rf"(?<![\w./-])(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./*-]*[\w*](?![\w{{])"
)  # not an f-string's beginning
SOURCES = {".md", ".py", ".pyi", ".h", ".cpp", ".c", ".toml", ".yml"}


def texts() -> list[Path]:
    """Pages, sources and their comments."""
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    return sorted(path for path in [*found, *ROOT.glob("*")] if path.suffix in SOURCES and path.is_file())


def test_paths_that_are_named_exist() -> None:
    """Such as cpp/simd/vec.h, from the root of the repository, or with a star."""
    named = [(path, name) for path in texts() for name in NAMED.findall(path.read_text(encoding="utf-8"))]
    assert len(named) > 200
    missing = [f"{path.relative_to(ROOT)}: {name}" for path, name in named if not any(ROOT.glob(name))]
    assert missing == []

"""Tables as people have them (cases/tables.py): each trains with one command, or is told all that is wrong with it."""

import io
import sys
from pathlib import Path

import pytest

from cases.tables import TABLES
from chainrule.cli import run

OPTIONS = ("--members", "1", "--epochs", "2", "--out", "model")


def test_there_are_more_than_44() -> None:
    assert len(TABLES) > 44


@pytest.mark.parametrize("name", TABLES)
def test_a_table(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = TABLES[name]
    monkeypatch.chdir(tmp_path)
    path = Path("t" + table.suffix)
    path.write_bytes(table.content)
    if table.stdin:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(table.content)))
    source = "-" if table.stdin else str(path)
    status = run(["train", source, "--target", table.target, *OPTIONS, *table.options])
    out, err = capsys.readouterr()
    if table.refused:
        assert status == 2
        assert err.count("\n") == 1
        assert [said for said in table.refused if said not in err] == []
        return
    assert (status, err) == (0, "")
    assert [said for said in table.said if said not in out] == []
    uses = dict(line.split()[:2] for line in out.splitlines() if len(line.split()) > 1)
    assert {name: uses.get(name) for name, _ in table.used} == dict(table.used)
    predicted = ["predict", "model", str(path), "--out", "predicted.csv", *_reading(table.options)]
    assert run(predicted) == 0, capsys.readouterr().err
    assert Path("predicted.csv").read_text(encoding="utf-8").count("\n") >= 5


def _reading(options: tuple[str, ...]) -> list[str]:
    """The options that say how a file is written; the words for missing values are those of the training."""
    pairs = zip(options[::2], options[1::2], strict=True)
    return [
        word for name, value in pairs if name in ("--delimiter", "--encoding", "--comment") for word in (name, value)
    ]

"""The command line as a process: outputs that fail, Ctrl-C during the imports, checkpoints."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chainrule.cli import run
from chainrule.serialize._model_files import load_prepared
from support.fresh_interpreter import python
from test_cli import CHAINRULE, error_line, ok


@pytest.fixture(autouse=True)
def in_separate_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_errors_have_no_traceback_and_closed_pipes_are_quiet() -> None:
    failed = subprocess.run([*CHAINRULE, "train", "none.csv"], capture_output=True, text=True, timeout=60)
    assert failed.returncode == 2
    assert failed.stdout == ""
    assert failed.stderr == "chainrule: error: none.csv: No such file or directory\n"
    ran = subprocess.run(
        f"{' '.join(CHAINRULE)} train --epochs 1 --quiet > /dev/null && seq -s, 1 64 > p.csv && "
        f"for i in $(seq 14); do cat p.csv p.csv > q.csv; mv q.csv p.csv; done && "
        f"{' '.join(CHAINRULE)} predict digits.safetensors p.csv | head -1",
        shell=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.stdout == "prediction\n"
    assert ran.stderr == ""


FULL = "chainrule: error: standard output: No space left on device\n"


@pytest.mark.parametrize(
    ("redirection", "status", "message"),
    [
        (">&-", 0, ""),
        (">/dev/full", 2, FULL),
        ("2>/dev/full", 0, ""),
        ("2>&-", 0, ""),
        (">&- 2>&-", 0, ""),
        (">/dev/full 2>/dev/full", 2, ""),
        ("| true", 1, ""),
        ("| head -n 1", 1, ""),
        ("2>&1 | true", 1, ""),
        ("--quiet | head -n 2", 1, ""),
        ("--quiet >/dev/full", 2, FULL),
        ("--quiet 2>/dev/full | cat", 0, ""),
    ],
)
def test_a_failing_output_does_not_cost_the_model(redirection: str, status: int, message: str) -> None:
    """The status of `true` and `head` is that of the command, which may also end before the pipe is closed."""
    command = f"{' '.join(CHAINRULE)} train --epochs 2 --hidden 8 --out m {redirection}; exit ${{PIPESTATUS[0]}}"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=200)
    assert ran.returncode in ((0, 1) if "|" in redirection else (status,))
    assert ran.stderr == message
    assert load_prepared("m")[1] is not None


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
def test_predictions_that_cannot_be_printed_are_an_error(redirection: str, capsys: pytest.CaptureFixture[str]) -> None:
    ok(capsys, "train", "--epochs", "1", "--hidden", "8", "--out", "m", "--quiet")
    Path("rows.csv").write_text(",".join(["1"] * 64) + "\n")
    command = f"{' '.join(CHAINRULE)} predict m rows.csv --no-header {redirection}"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=200)
    assert ran.returncode == 2
    assert ran.stderr in (
        "chainrule: error: predict: the standard output is closed; pass --out FILE\n",
        "chainrule: error: No space left on device\n",
    )


@pytest.mark.alone
def test_a_stopped_training_resumes_to_the_same_file(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "--epochs", "200", "--batch-size", "128", "--hidden", "16"]
    command = [*CHAINRULE, *arguments, "--checkpoint", "c", "--out", "stopped", "--log", "log"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    log, deadline = Path("log"), time.monotonic() + 60
    while time.monotonic() < deadline and not (log.is_file() and log.read_text().count('"epoch"') > 5):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert "saved stopped; continue with --resume\n" in process.communicate(timeout=60)[1]
    assert process.returncode == 130
    ok(capsys, *arguments, "--quiet", "--threads", "2", "--checkpoint", "c", "--resume", "--out", "continued")
    ok(capsys, *arguments, "--quiet", "--out", "whole")
    assert Path("stopped").read_bytes() != Path("continued").read_bytes() == Path("whole").read_bytes()


def test_a_checkpoint_continues_the_same_command_only(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "--epochs", "4", "--hidden", "8", "--quiet"]
    ok(capsys, *arguments, "--out", "whole")
    ok(capsys, *arguments, "--checkpoint", "c", "--resume", "--out", "first")
    ok(capsys, *arguments, "--checkpoint", "c", "--resume", "--out", "again")
    assert Path("whole").read_bytes() == Path("first").read_bytes() == Path("again").read_bytes()
    more = [*arguments, "--checkpoint", "c", "--resume"]
    for changed, message in (
        (["--epochs", "5"], "train: the checkpoint is one of 4 epochs, got 5"),
        (["--lr", "0.2"], "fit: c is the checkpoint of a training with optimizer.lr=0.1, got 0.2"),
        (["--seed", "1"], "with seed=0, got 1"),
        (["--holdout", "0.3"], "with rows=1438, got 1258"),
        (["--hidden", "9"], "with model=Sequential"),
        (["--batch-size", "8"], "with batch_size=32, got 8"),
    ):
        assert message in error_line(capsys, *more, *changed)
    assert "train: --resume requires --checkpoint FILE" in error_line(capsys, *arguments, "--resume")


@pytest.mark.parametrize(
    "module", ["numpy", "numpy.linalg", "chainrule._core", "chainrule.nn", "chainrule.optim", "chainrule.cli", "typer"]
)
def test_ctrl_c_during_the_imports_is_one_line(module: str) -> None:
    code = f"""
import os, signal, sys

class Interrupt:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.argv = ["/usr/bin/chainrule", "info"]
from chainrule.__main__ import main
main()
"""
    ran = python(code)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "chainrule: interrupted\n")


SLOW = """
import io, os, sys
import chainrule as cr
import chainrule.data._streams as streams
from chainrule.cli import run

class Slow(io.FileIO):
    def readinto(self, buffer):
        if sys.argv[1] == "fifo" or self.tell() > 4_000_000:
            print("waits", file=sys.stderr, flush=True)
            os.read(fifo, 1)
        return super().readinto(buffer)

fifo = os.open("fifo", os.O_RDWR)
streams.open = lambda path, *_, **options: Slow(path)
cr.set_num_threads(2)
sys.exit(run(["predict", "m", sys.argv[1]]))
"""


@pytest.mark.alone
@pytest.mark.parametrize("source", ["fifo", "t.csv"])
def test_ctrl_c_ends_a_reading_that_waits(source: str) -> None:
    """For a pipe without bytes, and for a disk that does not answer, which another thread reads ahead."""
    Path("t.csv").write_text("a,y\n" + "1.25,0\n3.5,1\n" * 400_000, encoding="utf-8")
    Path("train.csv").write_text("a,y\n" + "1.25,0\n3.5,1\n" * 30, encoding="utf-8")
    assert run(["train", "train.csv", "--target", "y", "--net", "plain", "--epochs", "1", "--out", "m", "--quiet"]) == 0
    os.mkfifo("fifo")
    command = [sys.executable, "-c", SLOW, source]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "waits\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=5)  # 0.1 s, if nothing else runs
        finally:
            process.kill()
        assert process.returncode == 130

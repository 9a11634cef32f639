"""Progress output: plain, live, and with tqdm."""

from __future__ import annotations

import io
import re
import sys
import threading
import time

import pytest

from chainrule.train._progress import make_progress
from test_fit import LABELS, X, net, train


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_progress_is_one_line_per_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    train(net(), progress=True, validation=(X, LABELS), epochs=10)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("epoch  1/10  loss ")
    assert " val_accuracy " in lines[0]
    assert lines[9].startswith("epoch 10/10  loss ")
    assert lines[9].endswith(" samples/s")


@pytest.mark.parametrize("progress", [None, False])
def test_no_progress_without_a_terminal(progress: bool | None, capsys: pytest.CaptureFixture[str]) -> None:
    train(net(), progress=progress)
    assert capsys.readouterr() == ("", "")


def show(stream: io.StringIO) -> str:
    progress = make_progress(None, stream)
    progress.begin(1, 2, 40)
    for _ in range(4):
        progress.advance(10)
        time.sleep(0.06)
    progress.end("loss 0.5")
    progress.begin(2, 2, 40)
    progress.close()
    progress.close()
    return stream.getvalue()


def test_live_line_without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    text = show(Terminal())
    assert "\repoch 1/2   75 %" in text or "\repoch 1/2   50 %" in text
    assert "\repoch 1/2  loss 0.5  " in text
    assert text.endswith("\n")


def test_live_bar_with_tqdm() -> None:
    tqdm = pytest.importorskip("tqdm")
    threads = threading.active_count()
    text = show(Terminal())
    assert re.search(r"\repoch 1/2 +\d+ % \|", text)
    assert re.search(r"\repoch 1/2  loss 0\.5  \d+ samples/s\n", text)
    assert text.count("\n") == 1  # the epoch that was broken off leaves no line
    assert threading.active_count() == threads
    assert tqdm.tqdm.monitor_interval != 0  # only our own bars go without the thread


class Failing(io.StringIO):
    """A stream whose calls fail from one on: a full disk, a closed pipe, a closed file, an encoding."""

    def __init__(self, error: Exception, after: int, terminal: bool) -> None:
        super().__init__()
        self.error, self.left, self.terminal = error, after, terminal

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> int:
        self.left -= 1
        if self.left < 0:
            raise self.error
        return super().write(text)

    def flush(self) -> None:
        if self.left < 0:
            raise self.error


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("after", [0, 1, 4])
@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        BrokenPipeError(32, "Broken pipe"),
        ValueError("I/O operation on closed file"),
        UnicodeEncodeError("ascii", "%", 0, 1, "ordinal not in range"),
    ],
)
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_failing_stream_does_not_stop_training(
    error: Exception, after: int, terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = train(net(), epochs=4)
    monkeypatch.setattr(sys, "stderr", Failing(error, after, terminal))
    assert train(net(), epochs=4, progress=True).loss == expected.loss


def test_a_closed_stream_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    for progress in (None, True):
        assert train(net(), progress=progress).epochs == 3

"""What a kill, an error or a power failure during a save leaves: the old or the new file, whole."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule._util import files
from chainrule._util.files import write_atomic
from support import fresh_interpreter as fresh
from support.failing_os import after_power_loss, count_calls, failing_at, killed_at, recorded

WRITERS: dict[str, Callable[[Any], None]] = {
    "save": lambda path: cr.save({"w": np.arange(3, dtype=np.float32)}, path),
    "save_checkpoint": lambda path: cr.save_checkpoint(path, model=cr.nn.Linear(2, 1)),
}


@pytest.fixture(autouse=True)
def forgets_folders() -> None:
    files._cleaned.clear()


# Kills, errors and power failures at every call.

OLD, NEW = {"w": np.zeros(2000, np.float32)}, {"w": np.ones(3000)}


def whole(path: Path) -> str:
    """Whether the file is the old or the new model, both complete."""
    return {2000: "old", 3000: "new"}[len(cr.load(path)["w"])]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("unnamed", [True, False])
@pytest.mark.parametrize("exists", [True, False])
def test_a_kill_at_every_call(
    exists: bool, unnamed: bool, after: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not unnamed:
        monkeypatch.delattr(os, "O_TMPFILE")
    path = tmp_path / "m"
    calls = len(count_calls(lambda: cr.save(OLD, path)))
    assert calls > 8
    left, results = 0, set()
    for number in range(calls + 12):
        path.unlink(missing_ok=True)
        if exists:
            cr.save(OLD, path)
        files._cleaned.clear()
        if not killed_at(number, after, lambda: cr.save(NEW, path)):
            break
        left += len(os.listdir(tmp_path)) - path.exists()
        results.add(whole(path) if path.exists() else "none")
        files._cleaned.clear()
        cr.save(OLD, path)
        assert os.listdir(tmp_path) == ["m"]  # the next process removes what was left
    else:
        raise AssertionError("the save makes more calls than expected")
    assert results == {"old" if exists else "none", "new"}
    assert left <= (1 if unnamed else 20)  # without a name until it is complete


ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EINVAL, errno.ENOMEM)


@pytest.mark.parametrize("error", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("unnamed", [True, False])
def test_an_error_at_every_call(unnamed: bool, error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A success means that the new file is in place; an error that the old one is, except for the folder's fsync."""
    if not unnamed:
        monkeypatch.delattr(os, "O_TMPFILE")
    path = tmp_path / "m"
    cr.save(OLD, path)
    path.chmod(0o604)
    names = count_calls(lambda: cr.save(NEW, path))
    for number, name in enumerate(names):
        files._cleaned.clear()
        cr.save(OLD, path)
        files._cleaned.clear()
        caught = failing_at(number, error, lambda: cr.save(NEW, path))
        assert caught is None or isinstance(caught, OSError), name
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
        if caught is None:
            assert whole(path) == "new", name
        else:
            assert caught.errno == error
            assert caught.filename == str(path)
            assert whole(path) == "old" or number > names.index("replace"), name
        assert [n for n in os.listdir(tmp_path) if n != "m" and name not in ("unlink", "close")] == [], name


@pytest.mark.parametrize("unnamed", [True, False])
@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("write", ["save", "save_checkpoint"])
def test_every_power_failure(
    write: str, exists: bool, unnamed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not unnamed:
        monkeypatch.delattr(os, "O_TMPFILE")
    path = tmp_path / "m"
    old = None
    if exists:
        WRITERS[write](path)
        old = path.read_bytes()
    path.unlink(missing_ok=True)
    operations = recorded(lambda: WRITERS[write](path))
    new = path.read_bytes()
    states = list(after_power_loss(operations, path, old))
    assert {content for _, content in states} == {old, new}
    assert {content for done, content in states if done == len(operations)} == {new}
    assert len(states) >= len(operations)


def test_the_model_of_power_failures_finds_a_missing_sync(tmp_path: Path) -> None:
    path = tmp_path / "m"
    operations = recorded(lambda: write_atomic(path, b"new content"))
    folder = path.parent.stat().st_ino
    unsynced = [op for op in operations if op.kind != "sync" or op.inode == folder]
    found = {content for _, content in after_power_loss(unsynced, path, b"old")}
    assert {b"old", b"", b"new content"} < found
    late = [op for op in operations if op.kind != "sync" or op.inode != folder]
    assert b"old" in {content for done, content in after_power_loss(late, path, b"old") if done == len(late)}


# kill -9 at random times.

KILLS = """
import os, random, signal, sys, time
import chainrule as cr
path, count = sys.argv[1], int(sys.argv[2])
models = [cr.nn.Linear(7, 300, generator=cr.random.Generator(i)) for i in range(4)]
draw = random.Random(1)
cr.save(models[0], path + '.model')
cr.save_checkpoint(path + '.checkpoint', model=models[0])
torn = older = 0
for i in range(count):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        from chainrule._util import files
        files._cleaned.clear()
        for step in range(10**9):
            model = models[step % 4]
            cr.save(model, path + '.model')
            cr.save_checkpoint(path + '.checkpoint', model=model)
            os.write(write, bytes([step % 4]))
    os.close(write)
    time.sleep(draw.uniform(0, 0.02))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    reported = b''
    while piece := os.read(read, 65536):
        reported = piece
    os.close(read)
    try:
        again = cr.nn.Linear(7, 300)
        cr.load_checkpoint(path + '.checkpoint', model=again)
        found = cr.load(path + '.model')
    except cr.ModelFormatError:
        torn += 1
        continue
    if reported:  # the next save may have been complete, too
        last = reported[-1]
        older += not any((found.weight.numpy() == models[m].weight.numpy()).all() for m in (last, (last + 1) % 4))
print(torn, older)
from chainrule._util import files
files._cleaned.clear()
cr.save(models[0], path + '.model')
print(sorted(os.listdir(os.path.dirname(path))))
"""


def kill_often(folder: Path, count: int) -> int:
    """The number of kills."""
    code = f"import sys; sys.argv = ['', {str(folder / 'm')!r}, '{count}']\n{KILLS}"
    shown = fresh.output(code, timeout=280).splitlines()
    assert shown == ["0 0", "['m.checkpoint', 'm.model']"]
    return count


def test_kills_at_random_times(tmp_path: Path) -> None:
    kill_often(tmp_path, 60)


@pytest.mark.full
def test_two_thousand_kills(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    record_property("kills", kill_often(tmp_path, 2000))


# Every system call, by strace.

TRACED = "fchmod,fchown,fsync,ftruncate,link,linkat,openat,rename,unlink,write,close,flock,newfstatat,fstat,getdents64"
SAVE = """
import os, sys
import chainrule as cr
import numpy as np
state = {"w": np.ones(3000)}
cr.serialize.save
os.write(1, b"begin\\n")
cr.save(state, sys.argv[1])
os.write(1, b"saved\\n")
"""


INJECTED = ("signal=KILL", "error=ENOSPC", "error=EIO", "error=EACCES", "error=ENOMEM", "error=EROFS")


@pytest.mark.full
@pytest.mark.parametrize("inject", INJECTED)
def test_every_system_call(inject: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """A kill or an error at each system call between the beginning and the end of a save."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    path, script = tmp_path / "folder" / "m", tmp_path / "save.py"
    path.parent.mkdir()
    script.write_text(SAVE)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "PYTHONDONTWRITEBYTECODE": "1",
    }

    def run(*options: str) -> subprocess.CompletedProcess[bytes]:
        files._cleaned.clear()
        cr.save(OLD, path)
        command = [strace, "-o", str(tmp_path / "log"), *options, sys.executable, str(script), str(path)]
        return subprocess.run(command, env=environment, capture_output=True, timeout=120, check=False)

    assert run("-e", f"trace={TRACED}").stdout == b"begin\nsaved\n"
    lines = (tmp_path / "log").read_text().splitlines()
    begin = next(i for i, line in enumerate(lines) if "begin" in line)
    end = next(i for i, line in enumerate(lines) if "saved" in line)
    names = [line.partition("(")[0] for line in lines]
    points = [(name, names[: i + 1].count(name)) for i, name in enumerate(names) if begin < i < end]
    assert len(points) > 15
    for name, when in points:
        done = run("-e", f"trace={name}", "-e", f"inject={name}:{inject}:when={when}")
        found = whole(path)
        if b"saved" in done.stdout:
            assert found == "new", (name, when)
        files._cleaned.clear()
        cr.save(OLD, path)
        assert os.listdir(path.parent) == ["m"]
    record_property("system calls", len(points))

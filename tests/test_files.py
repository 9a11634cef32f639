"""Writing of files: what may be replaced, what is kept, and which temporary files are removed."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule._util import files
from chainrule._util.files import write_atomic
from support.failing_os import calls_with, count_calls

ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="devices and owners are made by root")
STATE = {"w": np.arange(3, dtype=np.float32)}
WRITERS: dict[str, Callable[[Any], None]] = {
    "write_atomic": lambda path: write_atomic(path, b"new"),
    "save": lambda path: cr.save(STATE, path),
    "save a module": lambda path: cr.save(cr.nn.Linear(2, 1), path),
    "save_checkpoint": lambda path: cr.save_checkpoint(path, model=cr.nn.Linear(2, 1)),
}
each_writer = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@pytest.fixture(autouse=True)
def forgets_folders() -> None:
    files._cleaned.clear()


# What is no regular file.


@needs_root
@each_writer
def test_a_device_is_written_into(write: Callable[[Any], None], tmp_path: Path) -> None:
    null = tmp_path / "null"
    os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    (tmp_path / "link").symlink_to("null")
    for path in (null, tmp_path / "link"):
        write(path)
        assert stat.S_ISCHR(null.stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == ["link", "null"]


@each_writer
def test_dev_null_and_dev_full(write: Callable[[Any], None], tmp_path: Path) -> None:
    before = os.stat("/dev/null")
    if not ROOT or stat.S_ISCHR(before.st_mode):
        write("/dev/null")
    assert os.path.samestat(os.stat("/dev/null"), before)
    with pytest.raises(OSError, match="No space left on device") as caught:
        write("/dev/full")
    assert caught.value.filename == "/dev/full"


@each_writer
def test_a_pipe_is_written_into(write: Callable[[Any], None], tmp_path: Path) -> None:
    pipe, regular = tmp_path / "pipe", tmp_path / "regular"
    os.mkfifo(pipe)
    cr.manual_seed(1)
    write(regular)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    cr.manual_seed(1)
    write(pipe)
    reader.join()
    assert received == [regular.read_bytes()]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_model_travels_through_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    model = cr.nn.Linear(300, 400)
    writer = threading.Thread(target=cr.save, args=(model, pipe))
    writer.start()
    copy = cr.load(pipe)
    writer.join()
    assert (copy.weight.numpy() == model.weight.numpy()).all()


@each_writer
def test_sockets_folders_and_block_devices_stay(write: Callable[[Any], None], tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(OSError) as caught:
            write(tmp_path / "socket")
        assert caught.value.filename == str(tmp_path / "socket")
    for path in (tmp_path, str(tmp_path) + "/", str(tmp_path / "none") + "/", "."):
        with pytest.raises(IsADirectoryError):
            write(path)
    with pytest.raises(FileNotFoundError):
        write("")
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "none" / "m")
    if ROOT:
        os.mknod(tmp_path / "disk", 0o600 | stat.S_IFBLK, os.makedev(7, 250))
        with pytest.raises(OSError, match="a block device, expected a file"):
            write(tmp_path / "disk")
    assert stat.S_ISSOCK((tmp_path / "socket").stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == [*["disk"] * ROOT, "socket"]


def test_standard_output(tmp_path: Path) -> None:
    """A pipe, a file, and a file that was deleted: /dev/stdout is each of them."""
    code = "from chainrule._util.files import write_atomic; write_atomic('/dev/stdout', b'new')"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, timeout=120, check=True)
    assert done.stdout == b"new"
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([sys.executable, "-c", code], env=environment, stdout=out, timeout=120, check=True)
    assert (tmp_path / "out").read_bytes() == b"new"
    with (tmp_path / "gone").open("w+b") as out:
        (tmp_path / "gone").unlink()
        subprocess.run([sys.executable, "-c", code], env=environment, stdout=out, timeout=120, check=True)
        assert out.read() == b"new"
    assert os.listdir(tmp_path) == ["out"]


# What is kept.


def test_links(tmp_path: Path) -> None:
    real, twin = tmp_path / "real", tmp_path / "twin"
    real.write_bytes(b"old")
    os.link(real, twin)
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("real")
    write_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "a").is_symlink()
    assert (tmp_path / "b").is_symlink()
    assert real.read_bytes() == b"new"
    assert twin.read_bytes() == b"old"  # the other hard link
    (tmp_path / "dangling").symlink_to("made")
    write_atomic(tmp_path / "dangling", b"x")
    assert (tmp_path / "made").read_bytes() == b"x"
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError) as caught:
        write_atomic(tmp_path / "loop", b"x")
    assert caught.value.errno == errno.ELOOP


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o666, 0o400, 0o755, 0o604])
def test_the_mode_is_kept_and_never_wider(mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m"
    path.write_bytes(b"old")
    path.chmod(mode)
    seen = []
    real = os.write

    def write(handle: int, data: Any) -> int:
        seen.append(stat.S_IMODE(os.fstat(handle).st_mode))
        return real(handle, data)

    monkeypatch.setattr(os, "write", write)
    write_atomic(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert seen == [mode]


def test_extended_attributes_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(b"old")
    try:
        os.setxattr(path, "user.origin", b"a study")
    except OSError:
        pytest.skip("the file system has no extended attributes")
    write_atomic(path, b"new")
    assert os.getxattr(path, "user.origin") == b"a study"


@needs_root
def test_the_owner_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(b"old")
    path.chmod(0o640)
    os.chown(path, 1234, 4321)
    write_atomic(path, b"new")
    state = path.stat()
    assert (state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)) == (1234, 4321, 0o640)


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that other users reach."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


def succeeds_as_nobody(action: Callable[[], None]) -> bool:
    """Run an action in a forked process without rights."""
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            action()
            os._exit(0)
        os._exit(1)
    return os.waitpid(child, 0)[1] == 0


@needs_root
def test_another_user_s_group_gets_no_more_than_everybody(shared_folder: Path) -> None:
    """Who may not give files away: the new file has another group, which was not meant by the mode."""
    path = shared_folder / "m"
    path.write_bytes(b"old")
    path.chmod(0o664)
    assert succeeds_as_nobody(lambda: write_atomic(path, b"new"))
    state = path.stat()
    assert (path.read_bytes(), state.st_gid, stat.S_IMODE(state.st_mode)) == (b"new", 65534, 0o644)


@needs_root
def test_a_folder_that_may_be_written_but_not_read(shared_folder: Path) -> None:
    shared_folder.chmod(0o333)
    assert succeeds_as_nobody(lambda: write_atomic(shared_folder / "m", b"new"))
    assert (shared_folder / "m").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["n" * 255, "ü", b"\xff\xfe", "new\nline", " ", ".hidden", "a.safetensors"])
def test_names(name: str | bytes, tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), os.fsencode(name))
    cr.save(STATE, path)
    assert (cr.load(path)["w"] == STATE["w"]).all()
    cr.save(STATE, os.fsdecode(path))
    assert len(os.listdir(tmp_path)) == 1


# Temporary files.


@pytest.mark.parametrize("unnamed", [True, False])
def test_files_of_killed_processes_are_removed(unnamed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not unnamed:
        monkeypatch.delattr(os, "O_TMPFILE")
    (tmp_path / ".chainrule-0123456789abcdef.tmp").write_bytes(b"left behind")
    kept = [
        ".chainrule-123-0123456789ab.tmp",
        ".chainrule-0123456789abcdef.tmp2",
        "chainrule-0123456789abcdef.tmp",
        "other",
    ]
    for name in kept:
        (tmp_path / name).write_bytes(b"not ours")
    (tmp_path / ".chainrule-aaaaaaaaaaaaaaaa.tmp").symlink_to("other")
    write_atomic(tmp_path / "m", b"new")
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, ".chainrule-aaaaaaaaaaaaaaaa.tmp", "m"])


@pytest.mark.parametrize("unnamed", [True, False])
def test_files_in_use_are_not_removed(unnamed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two savers in one folder: at each call of one, another process saves into the folder for the first time."""
    if not unnamed:
        monkeypatch.delattr(os, "O_TMPFILE")
    names = count_calls(lambda: write_atomic(tmp_path / "m", b"1"))
    for number in range(len(names)):

        def other(at: int, name: str, number: int = number) -> None:
            if at == number:
                child = os.fork()
                if child == 0:
                    files._cleaned.clear()
                    monkeypatch.undo()
                    files._remove_abandoned(str(tmp_path))
                    os._exit(0)
                os.waitpid(child, 0)

        content = b"%d" % number
        with calls_with(other):
            write_atomic(tmp_path / "m", content)
        assert (tmp_path / "m").read_bytes() == content
        assert os.listdir(tmp_path) == ["m"]

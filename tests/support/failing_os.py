"""Calls of the `os` module that fail, or at which the process is killed; and what a power failure leaves of them."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CALLS = (
    *(
        "stat",
        "fstat",
        "open",
        "write",
        "fsync",
        "fchmod",
        "fchown",
        "listxattr",
        "getxattr",
        "setxattr",
        "link",
        "replace",
    ),
    *("close", "unlink", "scandir", "urandom"),
)


@contextmanager
def calls_with(event: Callable[[int, str], None], after: bool = False) -> Iterator[None]:
    """Call `event(number, name)` before (or after) each call of `os` that writing a file makes."""
    real = {name: getattr(os, name) for name in CALLS}
    counter = itertools.count()

    def wrapped(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            number = next(counter)
            if not after:
                event(number, name)
            try:
                return real[name](*arguments, **options)
            finally:
                if after:
                    event(number, name)

        return call

    for name in CALLS:
        setattr(os, name, wrapped(name))
    try:
        yield
    finally:
        for name in CALLS:
            setattr(os, name, real[name])


def count_calls(action: Callable[[], Any]) -> list[str]:
    """The calls that an action makes."""
    names: list[str] = []
    with calls_with(lambda _, name: names.append(name)):
        action()
    return names


def killed_at(number: int, after: bool, action: Callable[[], Any]) -> bool:
    """Run an action in a forked process that is killed at a call; whether it was killed."""
    child = os.fork()
    if child == 0:

        def kill(at: int, name: str) -> None:
            if at == number:
                os.kill(os.getpid(), signal.SIGKILL)

        with suppress(BaseException), calls_with(kill, after):
            action()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def failing_at(number: int, error: int, action: Callable[[], Any]) -> BaseException | None:
    """Run an action in which one call fails; what it raised."""

    def fail(at: int, name: str) -> None:
        if at == number:
            raise OSError(error, os.strerror(error))

    try:
        with calls_with(fail):
            action()
    except BaseException as caught:
        return caught
    return None


# Power failures. Data are on disk from the fsync of their file on; before it, any part of them may be. Changes of a
# folder reach the disk in order, and surely at the fsync of the folder.


@dataclass
class Operation:
    """An operation on a file system: its kind, a file (by inode) or folder, a name, and data."""

    kind: str
    inode: int = 0
    name: str = ""
    data: bytes = b""


def recorded(action: Callable[[], Any]) -> list[Operation]:
    """The operations that an action makes on files and folders."""
    found: list[Operation] = []
    real = {name: getattr(os, name) for name in ("open", "write", "fsync", "link", "replace", "unlink")}

    def inode(handle: Any) -> int:
        return os.fstat(handle).st_ino

    def opened(path: Any, flags: int, mode: int = 0o777, **options: Any) -> int:
        handle = int(real["open"](path, flags, mode, **options))
        if flags & os.O_CREAT:
            found.append(Operation("link", inode(handle), os.fspath(path)))
        return handle

    def written(handle: int, data: Any) -> int:
        count = int(real["write"](handle, data))
        found.append(Operation("write", inode(handle), data=bytes(data[:count])))
        return count

    def synced(handle: int) -> None:
        real["fsync"](handle)
        found.append(Operation("sync", inode(handle)))

    def linked(source: str, target: str, **options: Any) -> None:
        real["link"](source, target, **options)
        found.append(Operation("link", os.stat(target).st_ino, target))

    def replaced(source: str, target: str) -> None:
        real["replace"](source, target)
        found.append(Operation("rename", os.stat(target).st_ino, f"{source}\n{target}"))

    def unlinked(path: str) -> None:
        real["unlink"](path)
        found.append(Operation("unlink", 0, path))

    fakes = {"open": opened, "write": written, "fsync": synced, "link": linked, "replace": replaced, "unlink": unlinked}
    for name, fake in fakes.items():
        setattr(os, name, fake)
    try:
        action()
    finally:
        for name, function in real.items():
            setattr(os, name, function)
    return found


def after_power_loss(
    operations: list[Operation], target: Path, old: bytes | None
) -> Iterator[tuple[int, bytes | None]]:
    """For each power failure: how many operations had returned, and the content of the target afterwards."""
    folder = target.parent.stat().st_ino
    for done in range(len(operations) + 1):
        past = operations[:done]
        changes = [(i, op) for i, op in enumerate(past) if op.kind in ("link", "rename", "unlink")]
        synced = max((i for i, op in enumerate(past) if op.kind == "sync" and op.inode == folder), default=-1)
        surely = sum(i < synced for i, _ in changes)
        for kept in range(surely, len(changes) + 1):
            names: dict[str, int | None] = {str(target): None}
            for _, op in changes[:kept]:
                if op.kind == "link":
                    names[op.name] = op.inode
                elif op.kind == "unlink":
                    names.pop(op.name, None)
                else:
                    source, to = op.name.split("\n")
                    names.pop(source, None)
                    names[to] = op.inode
            inode = names[str(target)]
            if inode is None:
                yield done, old
                continue
            data = b"".join(op.data for op in past if op.kind == "write" and op.inode == inode)
            whole = max((i for i, op in enumerate(past) if op.kind == "sync" and op.inode == inode), default=-1)
            safe = sum(len(op.data) for op in past[: whole + 1] if op.kind == "write" and op.inode == inode)
            for length in {safe, len(data), (safe + len(data)) // 2}:
                yield done, data[:length]

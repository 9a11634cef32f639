"""File writes: regular files are replaced as a whole, devices and pipes are written into."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress

try:
    import fcntl
except ImportError:  # Windows, where temporary files of killed processes stay
    fcntl = None  # type: ignore[assignment]

__all__ = ["Buffer", "buffered", "write_atomic"]

Buffer = bytes | memoryview
_SLICE = 1 << 26  # bytes of one system call; Linux writes at most 2 GiB at a time
_READ_AHEAD = 1 << 16  # bytes
_TEMPORARY = re.compile(r"\.chainrule-[0-9a-f]{16}\.tmp")
_CLOEXEC, _BINARY = getattr(os, "O_CLOEXEC", 0), getattr(os, "O_BINARY", 0)
_cleaned: set[str] = set()  # folders that this process has searched for temporary files


def write_atomic(path: str | os.PathLike[str], content: bytes | Sequence[Buffer]) -> None:
    """Write a file so that readers see the old or the complete new content, even after a power failure.

    Order: a temporary file in the same folder, write, fsync, rename, fsync of the folder. The temporary file has no
    name until it is complete, where the file system allows that; named ones are locked, and the first write of a
    process into a folder removes those that no process locks: their writers were killed.

    A symbolic link is followed and its target replaced. Mode, owner, group and extended attributes of an existing file
    are kept where the system permits; other hard links to it keep the old content. Character devices and pipes are
    written into; folders, block devices and sockets are errors.

    Arguments: `path`; `content`, bytes, or a sequence of bytes and memoryviews to be written one after the other.
    Errors: OSError that names the path; the old file is then unchanged, unless the last step, the fsync of the folder,
    failed: then the new content is in place, but may not outlast a power failure.

    >>> import os, tempfile
    >>> from chainrule._util.files import write_atomic
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomic(os.path.join(folder, "a"), b"text")
    ...     os.listdir(folder)
    ['a']
    """
    name = os.fsdecode(path)
    parts = (content,) if isinstance(content, bytes) else content
    try:
        _write(name, parts)
    except OSError as error:
        if error.errno is None:
            raise
        raise type(error)(error.errno, error.strerror, name) from None


def buffered(raw: io.RawIOBase) -> io.BufferedReader:
    """Return a buffered reader of a raw stream; MemoryError where there is no memory for it."""
    try:
        return io.BufferedReader(raw, _READ_AHEAD)
    except RuntimeError as error:  # how Python reports that it cannot allocate the buffer's lock
        raise MemoryError(str(error)) from None


def _write(name: str, parts: Sequence[Buffer]) -> None:
    if not os.path.basename(name):
        code = errno.EISDIR if name else errno.ENOENT
        raise OSError(code, os.strerror(code))
    target, old = os.path.realpath(name), None
    with suppress(FileNotFoundError):
        old = os.stat(name)
    if old is not None and stat.S_ISDIR(old.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if old is not None and stat.S_ISBLK(old.st_mode):
        raise OSError(errno.EINVAL, "a block device, expected a file")
    if old is None or (stat.S_ISREG(old.st_mode) and _is_listed(target, old)):
        _replace(target, parts, old)
        return
    handle = os.open(name, os.O_WRONLY | os.O_TRUNC | _CLOEXEC | _BINARY)
    try:
        _write_all(handle, parts)
    finally:
        os.close(handle)


def _is_listed(target: str, old: os.stat_result) -> bool:
    """Whether a folder lists the file; /dev/stdout and /proc/self/fd may name a file that was deleted."""
    try:
        return os.path.samestat(old, os.stat(target))
    except FileNotFoundError:
        return False


def _write_all(handle: int, parts: Sequence[Buffer]) -> None:
    for part in parts:
        rest = memoryview(part)
        while len(rest):
            rest = rest[os.write(handle, rest[:_SLICE]) :]


# Replacing a regular file.


def _replace(target: str, parts: Sequence[Buffer], old: os.stat_result | None) -> None:
    folder = os.path.dirname(target)
    if folder not in _cleaned:
        _cleaned.add(folder)
        _remove_abandoned(folder)
    temporary = os.path.join(folder, f".chainrule-{os.urandom(8).hex()}.tmp")
    handle = -1
    try:
        handle = _unnamed(folder, parts, target, old, temporary)
        if handle < 0:
            handle = _named(temporary, 0o666 if old is None else 0o600)
            _fill(handle, parts, target, old)
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    finally:
        if handle >= 0:
            os.close(handle)
    if os.name == "posix":
        _sync_folder(folder)


def _unnamed(folder: str, parts: Sequence[Buffer], target: str, old: os.stat_result | None, temporary: str) -> int:
    """Write a file without a name, which vanishes with its process, then name it; -1 where that is not possible."""
    unnamed, handle, linked = getattr(os, "O_TMPFILE", None), -1, False
    if unnamed is not None and os.path.isdir("/proc/self/fd"):
        with suppress(OSError):  # every error but those of writing is met again by the named file
            handle = os.open(folder, unnamed | os.O_WRONLY | _CLOEXEC, 0o666 if old is None else 0o600)
    if handle < 0:
        return -1
    try:
        _lock(handle)
        _fill(handle, parts, target, old)
        with suppress(OSError):
            # With a folder, which an absolute path ignores, Python calls linkat, which can follow the link; else link.
            os.link(f"/proc/self/fd/{handle}", temporary, src_dir_fd=handle, follow_symlinks=True)
            linked = True
    finally:
        if not linked:
            os.close(handle)
    return handle if linked else -1


def _named(temporary: str, mode: int) -> int:
    while True:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOEXEC | _BINARY, mode)
        _lock(handle)
        if os.fstat(handle).st_nlink > 0:
            return handle
        os.close(handle)  # another process took it for abandoned before it was locked


def _fill(handle: int, parts: Sequence[Buffer], target: str, old: os.stat_result | None) -> None:
    if old is not None and os.name == "posix":
        _copy_attributes(handle, target, old)
    _write_all(handle, parts)
    os.fsync(handle)


def _copy_attributes(handle: int, target: str, old: os.stat_result) -> None:
    """Give a temporary file of mode 0600 the owner, group, extended attributes and mode of another."""
    own = os.fstat(handle)
    if (own.st_uid, own.st_gid) != (old.st_uid, old.st_gid):
        for owner in (old.st_uid, -1):  # who may not give files away may still set the group
            with suppress(OSError):
                os.fchown(handle, owner, old.st_gid)
                break
    if hasattr(os, "listxattr"):
        with suppress(OSError):
            for name in os.listxattr(target):
                with suppress(OSError):
                    os.setxattr(handle, name, os.getxattr(target, name))
    mode = old.st_mode & 0o777
    if os.fstat(handle).st_gid != old.st_gid:
        mode &= 0o707 | (mode & 0o7) << 3  # another group gets no more than everybody
    if stat.S_IMODE(os.fstat(handle).st_mode) != mode:
        os.fchmod(handle, mode)


def _sync_folder(folder: str) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY | _CLOEXEC)
    except PermissionError:  # a folder that may be written, but not read
        os.sync()
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that cannot sync folders
            raise
        os.sync()
    finally:
        os.close(handle)


# Temporary files of killed processes.


def _lock(handle: int) -> None:
    """Mark a temporary file as in use until the handle is closed, at the latest at the end of the process."""
    if fcntl is not None:
        with suppress(OSError):  # not on every network file system: files are not removed there
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_abandoned(folder: str) -> None:
    """Remove temporary files that no process locks."""
    if fcntl is None:
        return
    with suppress(OSError), os.scandir(folder) as entries:
        found = [entry.path for entry in entries if _TEMPORARY.fullmatch(entry.name)]
        for path in found:
            with suppress(OSError):
                _remove_if_abandoned(path)


def _remove_if_abandoned(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | _CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    finally:
        os.close(handle)

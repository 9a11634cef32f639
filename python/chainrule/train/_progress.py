"""Progress of training: a tqdm bar on a terminal if tqdm is installed, otherwise plain text.

Written to stderr. On a terminal the line of the current epoch is updated in place; elsewhere each epoch prints one
line.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol, TextIO

__all__ = ["Progress", "make_progress"]

_INTERVAL = 0.1  # seconds between refreshes of a live line


class Progress(Protocol):
    """Receiver of progress events from `fit`; epochs count from 1."""

    def begin(self, epoch: int, epochs: int, rows: int) -> None:
        """An epoch of `rows` rows starts, 0 if their number is not known."""

    def advance(self, rows: int) -> None:
        """`rows` more rows are done."""

    def end(self, summary: str) -> None:
        """The epoch is done; `summary` holds its results."""

    def close(self) -> None:
        """Training has ended or was interrupted."""


def make_progress(wanted: bool | str | None, stream: TextIO | None = None) -> Progress:
    """Choose how to display progress.

    Arguments: `wanted`, True, False, "lines" for one after each epoch, or None for terminals only; `stream`, default
    stderr.
    Returns: a `Progress`.

    >>> from chainrule.train._progress import make_progress
    >>> make_progress(False).begin(1, 10, 100)
    """
    out: Any = sys.stderr if stream is None else stream
    if wanted is False or out is None or out.closed:
        return _Silent()
    live = out.isatty() and wanted != "lines"
    if wanted is None and not live:
        return _Silent()
    out = _Unfailing(out)
    if live:
        try:
            return _Bar(out)
        except ImportError:
            pass
    return _Line(out, live)


class _Unfailing:
    """A stream that is left alone after its first error (a full disk, a closed pipe): training goes on without it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._failed = stream, False

    def write(self, text: str) -> None:
        """Write, unless an earlier call failed."""
        self._try(self._stream.write, text)

    def flush(self) -> None:
        """Flush, unless an earlier call failed."""
        self._try(self._stream.flush)

    def _try(self, method: Callable[..., object], *arguments: str) -> None:
        if not self._failed:
            try:
                method(*arguments)
            except (OSError, ValueError):
                self._failed = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Silent:
    def begin(self, epoch: int, epochs: int, rows: int) -> None: ...

    def advance(self, rows: int) -> None: ...

    def end(self, summary: str) -> None: ...

    def close(self) -> None: ...


class _Line:
    """Plain text; `live` rewrites the line of the current epoch."""

    def __init__(self, stream: _Unfailing, live: bool) -> None:
        self._stream, self._live = stream, live
        self._label, self._rows, self._done = "", 0, 0
        self._begun = self._last = self._shown = 0.0
        self._open = False

    def begin(self, epoch: int, epochs: int, rows: int) -> None:
        self._label = f"epoch {epoch:{len(str(epochs))}}/{epochs}"
        self._rows, self._done, self._open = rows, 0, True
        self._begun = self._last = self._shown = time.monotonic()

    def advance(self, rows: int) -> None:
        self._done += rows
        self._last = time.monotonic()
        if self._live and self._last - self._shown >= _INTERVAL:
            self._shown = self._last
            done = f"{100 * self._done // self._rows:3} %" if self._rows else f"{self._done} rows"
            self._write(f"\r{self._label}  {done}")

    def end(self, summary: str) -> None:
        seconds = max(self._last - self._begun, 1e-9)  # excludes the validation after the last step
        start = "\r" if self._live else ""
        self._write(f"{start}{self._label}  {summary}  {self._done / seconds:.0f} samples/s\n")
        self._open = False

    def close(self) -> None:
        if self._open and self._live:
            self._write("\n")
        self._open = False

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class _Bar(_Line):
    """A tqdm bar during an epoch, replaced by the plain line at its end."""

    def __init__(self, stream: _Unfailing) -> None:
        super().__init__(stream, live=False)
        tqdm = importlib.import_module("tqdm").tqdm
        # A monitor interval of 0 keeps tqdm from starting a thread, which a later fork would not have.
        self._bar_class: Any = type("Bar", (tqdm,), {"monitor_interval": 0})
        self._bar: Any = None

    def begin(self, epoch: int, epochs: int, rows: int) -> None:
        import shutil  # imports bz2 and lzma, which `import chainrule` should not pay for

        super().begin(epoch, epochs, rows)
        size = shutil.get_terminal_size()  # 0 if the terminal reports no size, with which tqdm would display nothing
        self._bar = self._bar_class(
            total=rows or None,
            desc=self._label,
            unit=" samples",
            unit_scale=True,
            file=self._stream,
            mininterval=_INTERVAL,
            leave=False,
            ncols=size.columns or 80,
            nrows=size.lines or 24,
            bar_format="{desc} {percentage:3.0f} % |{bar:30}| {rate_fmt}" if rows else "{desc} {n_fmt} {rate_fmt}",
        )

    def advance(self, rows: int) -> None:
        super().advance(rows)
        self._bar.update(rows)

    def end(self, summary: str) -> None:
        self._close_bar()
        super().end(summary)

    def close(self) -> None:
        self._close_bar()
        super().close()

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

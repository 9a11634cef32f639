"""The line that shows how training goes: tqdm on a terminal when it is installed, else plain text.

Written to stderr. On a terminal the line of the running epoch is live; elsewhere one finished line per epoch.
"""

from __future__ import annotations

import importlib
import sys
import time
from typing import Any, Protocol, TextIO

__all__ = ["Progress", "make_progress"]

_INTERVAL = 0.1  # seconds between two refreshes of a live line


class Progress(Protocol):
    """What `fit` tells about its progress; rows are counted, epochs are counted from 1."""

    def begin(self, epoch: int, epochs: int, rows: int) -> None:
        """An epoch of so many rows begins."""

    def advance(self, rows: int) -> None:
        """So many more rows are done."""

    def end(self, summary: str) -> None:
        """The epoch is done; `summary` holds its results."""

    def close(self) -> None:
        """Training is over, or broke off inside an epoch."""


def make_progress(wanted: bool | None, stream: TextIO | None = None) -> Progress:
    """Choose how to show progress.

    Arguments: `wanted`: True or False, or None for only on a terminal; `stream`, default stderr.
    Returns: a `Progress`.

    >>> from chainrule.train._progress import make_progress
    >>> make_progress(False).begin(1, 10, 100)
    """
    out = sys.stderr if stream is None else stream
    live = out is not None and out.isatty()
    if wanted is False or out is None or (wanted is None and not live):
        return _Silent()
    if live:
        try:
            return _Bar(out)
        except ImportError:
            pass
    return _Line(out, live)


class _Silent:
    def begin(self, epoch: int, epochs: int, rows: int) -> None: ...

    def advance(self, rows: int) -> None: ...

    def end(self, summary: str) -> None: ...

    def close(self) -> None: ...


class _Line:
    """Plain text; `live` rewrites the running epoch's line."""

    def __init__(self, stream: TextIO, live: bool) -> None:
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
            self._write(f"\r{self._label}  {100 * self._done // self._rows:3} %")

    def end(self, summary: str) -> None:
        seconds = max(self._last - self._begun, 1e-9)  # without the validation after the last step
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
    """A tqdm bar while an epoch runs, in its place the plain line when it is done."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream, live=False)
        tqdm = importlib.import_module("tqdm").tqdm
        # A monitor interval of 0 keeps tqdm from starting a thread, so that a later fork stays clean.
        self._make: Any = type("Bar", (tqdm,), {"monitor_interval": 0})
        self._bar: Any = None

    def begin(self, epoch: int, epochs: int, rows: int) -> None:
        import shutil  # brings bz2 and lzma along: not for everyone who imports chainrule

        super().begin(epoch, epochs, rows)
        size = shutil.get_terminal_size()  # 0 where the terminal does not tell; tqdm would then show nothing
        self._bar = self._make(
            total=rows,
            desc=self._label,
            unit=" samples",
            unit_scale=True,
            file=self._stream,
            mininterval=_INTERVAL,
            leave=False,
            ncols=size.columns or 80,
            nrows=size.lines or 24,
            bar_format="{desc} {percentage:3.0f} % |{bar:30}| {rate_fmt}",
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

"""Progress of a training: one line on a terminal, nothing elsewhere; events as JSON lines in a file."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from ..train._progress import _Unfailing

__all__ = ["Events"]

_INTERVAL = 0.1  # seconds between refreshes


class Events:
    """Receives what happens in a training: `step` draws the line, `log` writes an event; errors of stderr are ignored.

    `path`: a file for the events; `wanted`: whether a line is drawn if stderr is a terminal.
    """

    def __init__(self, path: str | None, wanted: bool) -> None:
        self._file: Any = open(path, "w", encoding="utf-8") if path is not None else None  # noqa: SIM115
        self._line: Any = None
        self._task: Any = None
        self._drawn = 0.0
        if wanted and sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            console = Console(file=_Unfailing(sys.stderr), force_terminal=True)  # type: ignore[arg-type]
            parts = (TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.fields[state]}"))
            self._line = Progress(*parts, console=console, transient=True, auto_refresh=False, expand=True)
            self._task = self._line.add_task("training", total=1.0, state="")
            self._line.start()

    def step(self, done: float, state: str = "", label: str = "training") -> None:
        """So much of the training is done, from 0 to 1."""
        now = time.monotonic()
        if self._line is not None and (now - self._drawn >= _INTERVAL or done >= 1):
            self._drawn = now
            self._line.update(self._task, completed=done, state=state, description=label)
            self._line.refresh()

    def log(self, event: str, **fields: Any) -> None:
        """Write an event as a line of JSON."""
        if self._file is not None:
            self._file.write(json.dumps({"event": event, **fields}, ensure_ascii=False, default=str) + "\n")
            self._file.flush()

    def close_line(self) -> None:
        """Remove the line: the training is done."""
        if self._line is not None:
            self._line.stop()
            self._line = None

    def close(self) -> None:
        """Remove the line, and close the file."""
        self.close_line()
        if self._file is not None:
            self._file.close()
            self._file = None

    def callback(self, epochs: int) -> Callable[[Any], None]:
        """A callback of `fit`."""

        def after_epoch(history: Any) -> None:
            values = {name: curve[-1] for name, curve in history.measures.items() if curve}
            self.step(history.epochs / epochs, f"loss {history.loss[-1]:.4g}")
            self.log("epoch", epoch=history.epochs, **values)

        return after_epoch

"""Deferred signals: Ctrl-C takes effect at the end of a training step."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # as `signal`, without enumerations: a quarter of the time
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from .mode import grad_mode

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DeferredInterrupt"]

# Their handlers may raise: Ctrl-C, the preemption by a scheduler, a time limit, a lost terminal.
_NAMES = ("SIGINT", "SIGTERM", "SIGALRM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGBREAK")
_SIGNALS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]


class DeferredInterrupt:
    """Defers signals while `in_step` is set; `leave_step` passes them on to the previously installed handlers.

    Between steps (validation, callbacks, printing) a signal is handled immediately, because the state is consistent
    then; `taken` is then True until it is reset. Leaving the block passes on what is still deferred. Signals that are
    ignored, end the process or have a handler that was not installed from Python are left alone, and outside the main
    thread, where no handler runs, this does nothing. An exception that leaves the block restores the thread's modes.

    >>> from chainrule._util.interrupt import DeferredInterrupt
    >>> with DeferredInterrupt() as interrupt:
    ...     interrupt.in_step = True
    ...     # ... change the model ...
    ...     interrupt.leave_step()
    """

    def __init__(self) -> None:
        self.in_step = self.taken = False
        self._pending: list[int] = []
        self._before: dict[int, Callable[[int, FrameType | None], Any]] = {}

    def __enter__(self) -> Self:
        self._mode = grad_mode.state()
        if threading.current_thread() is threading.main_thread():
            for signum in _SIGNALS:
                before = _signal.getsignal(signum)
                if callable(before):
                    self._before[signum] = before
                    _signal.signal(signum, self._handle)
        return self

    def leave_step(self) -> None:
        """Mark the end of a step and handle the signals received during it."""
        self.in_step = False
        while self._pending:
            self.taken = True
            signum = self._pending.pop(0)
            self._before[signum](signum, None)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self.in_step:
            self._pending += [signum] * (signum not in self._pending)
        else:
            self.taken = True
            self._before[signum](signum, frame)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for signum, before in self._before.items():
            _signal.signal(signum, before)
        if kind is not None:  # raised anywhere, also when a context of a mode was being entered or left
            grad_mode.restore(self._mode)
        self.leave_step()

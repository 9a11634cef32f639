"""Deferred Ctrl-C: an interrupt takes effect at the end of a training step."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["DeferredInterrupt"]


class DeferredInterrupt:
    """Defers SIGINT while `in_step` is set; `leave_step` passes it on to the previously installed handler.

    Between steps (validation, callbacks, printing) SIGINT is handled immediately, because the state is consistent then;
    `taken` is then True until it is reset. Leaving the block passes on what is still deferred.
    Outside the main thread, or if SIGINT is ignored or its handler was not installed from Python, this does nothing.

    >>> from chainrule._util.interrupt import DeferredInterrupt
    >>> with DeferredInterrupt() as interrupt:
    ...     interrupt.in_step = True
    ...     # ... change the model ...
    ...     interrupt.leave_step()
    """

    def __init__(self) -> None:
        self.in_step = self.taken = False
        self._pending = False
        self._before: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            before = signal.getsignal(signal.SIGINT)
            if callable(before):
                self._before = before
                signal.signal(signal.SIGINT, self._handle)
        return self

    def leave_step(self) -> None:
        """Mark the end of a step and handle a SIGINT received during it."""
        self.in_step = False
        if self._pending:
            self._pending = False
            self.taken = True
            self._before(signal.SIGINT, None)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self.in_step:
            self._pending = True
        else:
            self.taken = True
            self._before(signum, frame)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self.leave_step()

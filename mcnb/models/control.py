"""Stopping long work: one object handed down through everything that takes long."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from mcnb.errors import McnbError, RunCancelledError, RunTimeoutError


class Control:
    """Says whether work may go on. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason: McnbError | None = None
        self._callbacks: list[Callable[[], None]] = []

    def cancel(self) -> None:
        """Ask the work to stop because somebody does not want it any more."""
        self._stop(RunCancelledError("the run was cancelled"))

    def expire(self, limit: float) -> None:
        """Ask the work to stop because it took longer than `limit` seconds."""
        self._stop(RunTimeoutError(f"the run took longer than its limit of {limit:g} s"))

    def _stop(self, reason: McnbError) -> None:
        with self._lock:
            if self._reason is not None:
                return
            self._reason = reason
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()

    @property
    def stopped(self) -> bool:
        """Whether the work was asked to stop."""
        return self._reason is not None

    def check(self) -> None:
        """Return when work may go on.

        Raises
        ------
        RunCancelledError, RunTimeoutError
            When it may not.
        """
        if self._reason is not None:
            raise type(self._reason)(self._reason.message)

    @contextlib.contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """Within the block, call `callback` when the work is asked to stop; at once when it already was."""
        with self._lock:
            self._callbacks.append(callback)
            already = self._reason is not None
        try:
            if already:
                callback()
            yield
        finally:
            with self._lock:
                self._callbacks.remove(callback)

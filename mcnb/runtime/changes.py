"""Telling those who wait and those who listen that something has changed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

_TURN = 0.5
"""Seconds."""


class Changes:
    """The changes of one thing, for any number of waiters and listeners in any thread.

    Parameters
    ----------
    what : str
        The thing, for a message.

    Attributes
    ----------
    lock : threading.Condition
        Held while the thing changes.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self.lock = threading.Condition()
        self._listeners: list[Callable[[], None]] = []

    def wait_until(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until something holds; return False when the timeout, in seconds, passed first.

        It waits in short turns: on some systems a thread that waits without a limit cannot be interrupted.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _TURN if end is None else min(_TURN, end - time.monotonic())
            with self.lock:
                if self.lock.wait_for(predicate, max(0.0, left)):
                    return True
            if end is not None and time.monotonic() >= end:
                return False

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after every change, from whatever thread changes it; return how to stop that."""
        with self.lock:
            self._listeners.append(listener)
        return lambda: self._forget(listener)

    def tell(self) -> None:
        """Call the listeners; no lock may be held. One that raises is not called again: work goes on unwatched."""
        with self.lock:
            listeners = list(self._listeners)
        for listener in listeners:
            try:
                listener()
            except Exception:
                self._forget(listener)
                logging.getLogger(__name__).exception("a listener to %s failed", self._what)

    def _forget(self, listener: Callable[[], None]) -> None:
        with self.lock:
            if listener in self._listeners:
                self._listeners.remove(listener)

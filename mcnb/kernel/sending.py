"""The thread that sends: never the one that generates, and many tokens at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Protocol

INTERVAL = 0.03
"""Seconds between two rounds, while there is always more to send: as often as eyes can tell."""


class Task(Hashable, Protocol):
    """Sends what is new of something. Of equal ones that wait, one is called."""

    def __call__(self) -> None:
        """Send it."""


class Sending:
    """Sends in rounds: at once after a rest, then one round for each interval, and what is urgent at once.

    Parameters
    ----------
    interval : float
        Seconds.
    """

    def __init__(self, interval: float = INTERVAL) -> None:
        self._interval = interval
        self._changed = threading.Condition()
        self._due: dict[Callable[[], None], None] = {}
        self._urgent = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def add(self, task: Task, *, urgent: bool = False) -> None:
        """Have something sent in the next round; costs the caller next to nothing.

        Parameters
        ----------
        task : callable
            Called by the sending thread.
        urgent : bool
            Whether the round is now: somebody waits for it.
        """
        with self._changed:
            self._due[task] = None
            self._urgent = self._urgent or urgent
            self._changed.notify()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="mcnb-kernel-sending", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Send what is due, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        next_round = 0.0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._due or self._closed)
                self._changed.wait_for(lambda: self._urgent or self._closed, max(0.0, next_round - time.monotonic()))
                if not self._due:
                    return
                due, self._due, self._urgent = self._due, {}, False
            for task in due:
                try:
                    task()
                except Exception:  # one that cannot be sent must not stop the others; the server asks again
                    logging.getLogger(__name__).exception("a message to the server could not be sent")
            next_round = time.monotonic() + self._interval

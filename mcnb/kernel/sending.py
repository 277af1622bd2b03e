"""The thread that sends: never the one that generates, and many tokens at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Protocol

INTERVAL = 0.03
"""Seconds between two rounds, while there is always more to send: as often as eyes can tell."""

AT_EASE = 3
"""Tasks of a round, up to which the next one comes after the interval; of twice as many, after twice as long..."""

SLOWEST = 5
"""... and at most after so many times the interval: what each round costs at all ends, it takes from the model."""


class Task(Hashable, Protocol):
    """Sends what is new of something. Of equal ones that wait, one is called."""

    def __call__(self) -> None:
        """Send it."""


class Sending:
    """Sends in rounds: at once after a rest, then one round for each interval, and what is urgent at once.

    The more there is in a round, the longer the next one waits.

    Parameters
    ----------
    interval : float
        Seconds.
    """

    def __init__(self, interval: float = INTERVAL) -> None:
        self._interval = interval
        self._changed = threading.Condition()
        self._due: dict[Callable[[], None], None] = {}
        self._last: dict[Callable[[], None], None] = {}
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

    def at_the_end(self, task: Task) -> None:
        """Have something done once when the round is over; called by tasks."""
        self._last[task] = None

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
                _do(task)
            last, self._last = self._last, {}
            for task in last:
                _do(task)
            next_round = time.monotonic() + self._interval * min(max(1.0, len(due) / AT_EASE), SLOWEST)


def _do(task: Callable[[], None]) -> None:
    try:
        task()
    except Exception:  # one that cannot be sent must not stop the others; the server asks again
        logging.getLogger(__name__).exception("a message to the server could not be sent")

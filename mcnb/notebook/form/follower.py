"""A thread that watches what a form has started and hands on what is new, many tokens at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeAlias

INTERVAL = 1 / 30
"""Seconds between two looks: as often as eyes can tell."""

PATIENCE = 1.0
"""Seconds in which the thread ends, unless the caller keeps it from that."""

Look: TypeAlias = Callable[[], bool]
"""Looks at what is new, tells it, and says whether there is more to come."""

Listen: TypeAlias = Callable[[Callable[[], None]], Callable[[], None]]
"""Registers what to call after every change, and returns how to stop that."""


class Follower:
    """Watches runs and batches until they are done. Its thread lives as long as there is one to watch.

    Parameters
    ----------
    pause : callable
        Sleeps for some seconds.
    """

    def __init__(self, pause: Callable[[float], object] = time.sleep) -> None:
        self._pause = pause
        self._lock = threading.Lock()
        self._awake = threading.Event()
        self._watched: dict[Look, Callable[[], None]] = {}
        self._thread: threading.Thread | None = None

    def watch(self, listen: Listen, look: Look) -> None:
        """Look now and after every change, in the follower's thread, until `look` says that nothing more comes."""
        with self._lock:
            self._watched[look] = listen(self._awake.set)
            self._awake.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="mcnb-form", daemon=True)
                self._thread.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is watched any more and all was told; return False when the timeout passed first."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    def close(self) -> None:
        """Watch nothing any more, and end the thread; it may still be telling what it has just seen."""
        with self._lock:
            watched, self._watched = self._watched, {}
            thread = self._thread
        for stop in watched.values():
            stop()
        self._awake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(PATIENCE)  # no longer: the caller may hold what the thread waits for

    def _work(self) -> None:
        while True:
            self._awake.wait()
            self._awake.clear()
            with self._lock:
                watched = list(self._watched)
            for look in watched:
                if not self._looks(look):
                    self._leave(look)
            with self._lock:
                if not self._watched:
                    self._thread = None
                    return
            self._pause(INTERVAL)

    def _looks(self, look: Look) -> bool:
        try:
            return look()
        except Exception:  # one that cannot be shown must not stop the others
            logging.getLogger(__name__).exception("a form could not show what is new")
            return False

    def _leave(self, look: Look) -> None:
        with self._lock:
            stop = self._watched.pop(look, None)
        if stop is not None:
            stop()

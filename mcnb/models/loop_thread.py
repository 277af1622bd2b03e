"""An event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any


class LoopThread:
    """Runs coroutines in an event loop that starts with the first of them.

    Parameters
    ----------
    name : str
        The thread's.

    Attributes
    ----------
    loop : asyncio.AbstractEventLoop or None
        While it runs.
    thread : threading.Thread or None
        Where it runs.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def started(self) -> asyncio.AbstractEventLoop:
        """Return the running loop."""
        with self._lock:
            if self.loop is None:
                self.loop = asyncio.new_event_loop()
                self.thread = threading.Thread(target=self.loop.run_forever, name=self.name, daemon=True)
                self.thread.start()
            return self.loop

    def schedule(self, working: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine; never blocks."""
        asyncio.run_coroutine_threadsafe(working, self.started())

    def let_go(self) -> Callable[[], None]:
        """Leave the loop to what runs in it, and return what ends it; what comes next has a loop of its own."""
        with self._lock:
            loop, thread, self.loop, self.thread = self.loop, self.thread, None, None

        def end() -> None:
            if loop is not None and thread is not None:
                loop.call_soon_threadsafe(loop.stop)
                thread.join()
                loop.close()

        return end

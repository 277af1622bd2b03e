"""An output that follows a run.

The whole text is sent each time, so it is sent seldom: on the first token, then when at least 0.1 s and as long as the
text takes at 64 kB/s have passed, and at the end. The display is addressed by its id, so that any thread may update it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from mcnb.runtime import Event, Run
from mcnb.runtime.rich import mimebundle

INTERVAL = 0.1
BYTES_PER_SECOND = 64_000

Publish = Callable[[dict[str, Any]], None]


class Throttle:
    """Decides when a growing text is sent again.

    Parameters
    ----------
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due = float("-inf")

    def ready(self, size: int) -> bool:
        """Return whether a text of `size` bytes may be sent now; if so it counts as sent."""
        now = self._clock()
        if now < self._due:
            return False
        self._due = now + max(INTERVAL, size / BYTES_PER_SECOND)
        return True

    def wait(self) -> float:
        """Return how many seconds are left until the next text may be sent."""
        return max(0.0, self._due - self._clock())


def follow(run: Run, publish: Publish, clock: Callable[[], float] = time.monotonic) -> None:
    """Publish a run's states until it is done.

    Parameters
    ----------
    run : Run
        The run.
    publish : callable
        Gets MIME bundles; the last one shows the finished run.
    clock : callable
        Monotonic seconds.
    """
    throttle = Throttle(clock)
    seen = 0
    progress: Event | None = None
    changed = False
    while not run.done:
        run.wait_event(seen, throttle.wait() if changed else None)
        for event in run.events_after(seen):
            seen += 1
            if event.type in ("download", "convert", "load"):
                progress = event
            changed = changed or event.type != "job"
        if changed and not run.done and throttle.ready(len(run.text.encode())):
            publish(mimebundle(run, progress=progress))
            changed = False
    publish(mimebundle(run))


class Display:
    """One output of the current cell that can be updated from any thread."""

    def __init__(self) -> None:
        self._handle: Any = None

    def publish(self, bundle: dict[str, Any]) -> None:
        """Show a MIME bundle, in place of the one before."""
        from IPython.display import display

        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)

"""An output that follows a run.

The whole text is sent each time, so it is sent seldom: on the first token, then when at least 0.1 s and as long as the
text takes at 64 kB/s have passed, and at the end. The display is addressed by its id, so that any thread may update it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from mcnb.notebook.settings import INTERVAL
from mcnb.runtime import Run
from mcnb.runtime.rich import mimebundle

BYTES_PER_SECOND = 64_000

Publish = Callable[[dict[str, Any]], None]

Show = Callable[[Run], dict[str, Any]]


class Throttle:
    """Decides when a growing text is sent again.

    Parameters
    ----------
    clock : callable
        Monotonic seconds.
    interval : float
        Seconds between two texts, at least.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, interval: float = INTERVAL) -> None:
        self._clock = clock
        self._interval = interval
        self._due = float("-inf")

    def wait(self) -> float:
        """Return how many seconds are left until the next text may be sent."""
        return max(0.0, self._due - self._clock())

    def reset(self) -> None:
        """Let the next text be sent at once."""
        self._due = float("-inf")

    def sent(self, size: int) -> None:
        """Note that a text of `size` bytes is sent now."""
        self._due = self._clock() + max(self._interval, size / BYTES_PER_SECOND)


def follow(
    run: Run,
    publish: Publish,
    clock: Callable[[], float] = time.monotonic,
    *,
    interval: float = INTERVAL,
    show: Show = mimebundle,
    settle: bool = False,
) -> None:
    """Publish a run's states until it is done.

    Parameters
    ----------
    run : Run
        The run.
    publish : callable
        Gets MIME bundles; the last one shows the finished run.
    clock : callable
        Monotonic seconds.
    interval : float
        Seconds between two bundles, at least.
    show : callable
        Makes the bundle of a run.
    settle : bool
        Whether to end, too, when the run waits for a person.
    """
    throttle = Throttle(clock, interval)
    seen = 0
    changed = begun = False
    while not run.done and not (settle and run.state == "interrupted"):
        run.wait_event(seen, throttle.wait() if changed else None)
        for event in run.events_after(seen):
            seen += 1
            changed = True
            if event.type == "token" and event.data["streamed"] and not begun:
                begun = True
                throttle.reset()  # the first text is waited for
        if changed and not run.done and not throttle.wait():
            throttle.sent(len(run.text.encode()))
            publish(show(run))
            changed = False
    publish(show(run))

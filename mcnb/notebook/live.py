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

    def wait(self) -> float:
        """Return how many seconds are left until the next text may be sent."""
        return max(0.0, self._due - self._clock())

    def reset(self) -> None:
        """Let the next text be sent at once."""
        self._due = float("-inf")

    def sent(self, size: int) -> None:
        """Note that a text of `size` bytes is sent now."""
        self._due = self._clock() + max(INTERVAL, size / BYTES_PER_SECOND)


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
    changed = begun = False
    while not run.done:
        run.wait_event(seen, throttle.wait() if changed else None)
        for event in run.events_after(seen):
            seen += 1
            if event.type in ("download", "convert", "load") or "items" in event.data:
                progress = event
            changed = True
            if event.type == "token" and event.data["streamed"] and not begun:
                begun = True
                throttle.reset()  # the first text is waited for
        if changed and not run.done and not throttle.wait():
            throttle.sent(len(run.text.encode()))
            publish(mimebundle(run, progress=progress))
            changed = False
    publish(mimebundle(run))


class Display:
    """One output of the current cell that can be updated from any thread.

    Parameters
    ----------
    shell : InteractiveShell
        The cell's.
    """

    def __init__(self, shell: Any) -> None:
        from IPython.core.displaypub import DisplayPublisher

        self._handle: Any = None
        self.is_live = type(shell.display_pub) is not DisplayPublisher
        """Whether an output can be updated; what was printed in a terminal cannot."""

    def show(self, run: Run) -> None:
        """Follow a run to its end, as far as the output can be updated."""
        if self.is_live:
            follow(run, self.publish)
        else:
            run.wait()
            self.publish(mimebundle(run))

    def publish(self, bundle: dict[str, Any]) -> None:
        """Show a MIME bundle, in place of the one before."""
        from IPython.display import display

        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)

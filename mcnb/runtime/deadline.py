"""A run's time limit, which stands still while a person thinks."""

from __future__ import annotations

import asyncio

from mcnb.models.control import Control


class Deadline:
    """Stops a run when its time is over. Used in the loop of the runs alone.

    Parameters
    ----------
    seconds : float or None
        The limit; None is no limit.
    control : Control
        Of the run.
    """

    def __init__(self, seconds: float | None, control: Control) -> None:
        self._limit = seconds
        self._left = seconds
        self._control = control
        self._since = 0.0
        self._alarm: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Let the time run, from the start or on from where it stood still."""
        if self._left is None or self._limit is None:
            return
        loop = asyncio.get_running_loop()
        self._since = loop.time()
        self._alarm = loop.call_later(self._left, self._control.expire, self._limit)

    def stop(self) -> None:
        """Let the time stand still."""
        if self._alarm is None or self._left is None:
            return
        self._alarm.cancel()
        self._alarm = None
        self._left = max(0.0, self._left - (asyncio.get_running_loop().time() - self._since))

"""Letting time pass in a run: no thread waits, and whoever stops the run ends it at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from mcnb.models.control import Control

Sleep: TypeAlias = Callable[[float], Awaitable[object]]
"""Waits for so many seconds; tests have one of their own."""


async def pass_time(seconds: float, control: Control, sleep: Sleep) -> None:
    """Wait.

    Parameters
    ----------
    seconds : float
        How long.
    control : Control
        Of the run.
    sleep : callable
        Like ``asyncio.sleep``.

    Raises
    ------
    RunCancelledError, RunTimeoutError
        When the run is stopped meanwhile.
    """
    loop = asyncio.get_running_loop()
    sleeping = asyncio.ensure_future(sleep(seconds))
    with control.calling(lambda: loop.call_soon_threadsafe(sleeping.cancel)):
        try:
            await sleeping
        except asyncio.CancelledError:
            control.check()
            raise
        finally:
            sleeping.cancel()
    control.check()

"""Reading a run's events from an event loop, whichever it is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from mcnb.runtime.events import EventLog


async def changes(log: EventLog) -> AsyncIterator[None]:
    """Yield once for each batch of new events, the last one included."""
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()

    def tell() -> None:
        with contextlib.suppress(RuntimeError):  # the reader's loop was closed, and the reader with it
            loop.call_soon_threadsafe(changed.set)

    stop = log.listen(tell)
    try:
        while True:
            closed = log.closed
            yield
            if closed:
                return
            if not log.closed:
                await changed.wait()
            changed.clear()
    finally:
        stop()


async def streamed_pieces(log: EventLog) -> AsyncIterator[str]:
    """Yield the pieces of the run's own text as they are generated."""
    seen = 0
    async for _ in changes(log):
        for event in log.after(seen):
            seen += 1
            if event.type == "token" and event.data["streamed"] and event.data["text"]:
                yield event.data["text"]

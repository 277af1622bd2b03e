"""Reading a run, from any thread and any event loop: its events, its text in pieces, its result."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any

from mcnb.errors import McnbError, RunTimeoutError
from mcnb.runtime.events import Event, EventLog


class Readable:
    """What has an event log, and in the end an output or an error."""

    _log: EventLog
    output: Any
    error: McnbError | None

    @property
    def done(self) -> bool:
        """Whether the state is terminal."""
        return self._log.closed

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the terminal state; an interrupted run reaches it when somebody resumes it.

        Parameters
        ----------
        timeout : float, optional
            Seconds.

        Returns
        -------
        bool
            False when the timeout passed first; the run goes on.
        """
        return self._log.wait_closed(timeout)

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the run and return its output.

        Raises
        ------
        McnbError
            What the run failed with; ``RunCancelledError`` when it was cancelled.
        RunTimeoutError
            When `timeout` seconds passed first; the run goes on.
        """
        if not self.wait(timeout):
            raise RunTimeoutError(
                f"the run was not finished within {timeout:g} s", hint="it goes on; call result() again or cancel()"
            )
        if self.error is not None:
            raise self.error
        return self.output

    def events(self, after: int = 0) -> Iterator[Event]:
        """Yield the run's events from the first (or after a number) to the last, waiting for new ones."""
        return self._log.follow(after)

    def events_after(self, number: int) -> list[Event]:
        """Return the events there are after the one with a number, without waiting."""
        return self._log.after(number)

    def wait_event(self, number: int, timeout: float | None = None) -> bool:
        """Wait for an event after the one with a number; return False when the timeout passed first."""
        return self._log.wait(number, timeout)

    async def stream(self) -> AsyncIterator[str]:
        """Yield the text in pieces; put together they are the output's text.

        Where an output is made from the generated text by a template, or a person may replace it, it comes in one piece
        at the end; an output that is no single text has none.

        Raises
        ------
        McnbError
            As ``result``, after the pieces that came before.
        """
        streamed = False
        async for piece in streamed_pieces(self._log):
            streamed = True
            yield piece
        if self.error is not None:
            raise self.error
        if not streamed and (text := text_of(self.output)):
            yield text

    def __await__(self) -> Generator[Any, None, Any]:
        return self._awaited().__await__()

    async def _awaited(self) -> Any:
        async for _ in changes(self._log):
            pass
        return self.result()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after every event, from whatever thread; return how to stop that."""
        return self._log.listen(listener)


def text_of(output: Any) -> str | None:
    """Return the one text of an output: itself, or the only value of a mapping; None when it is not one text."""
    if isinstance(output, dict) and len(output) == 1:
        (output,) = output.values()
    return output if isinstance(output, str) else None


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

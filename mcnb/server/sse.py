"""Server-sent events: a run's events as text, with numbers to resume from and signs of life in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Protocol, cast

from mcnb.errors import InvalidInputError

CONTENT_TYPE = "text/event-stream"
RETRY_MS = 1000
"""After how long a client that lost the stream comes back."""
OPENING = f"retry: {RETRY_MS}\n".encode()
HEARTBEAT = b": alive\n"
"""Neither ends with an empty line: some clients take that for the end of an event, though there is none."""

MAX_NUMBER = 2**63 - 1


class Sink(Protocol):
    """Where a stream goes: a Tornado handler."""

    def write(self, chunk: bytes) -> None:
        """Add to what is sent next."""

    def flush(self) -> Any:
        """Send it; to be awaited: done when the client's side has taken it."""


def frame(event: Mapping[str, Any]) -> bytes:
    """Return one event.

    The data is ASCII, as some clients take the separators of Unicode for ends of lines.
    """
    return f"id: {event['id']}\nevent: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def read_last_id(header: str | None, after: int | None) -> int:
    """Return the number of the last event that a client has seen; the header, sent on reconnecting, wins.

    Raises
    ------
    InvalidInputError
        When the header is no number of an event.
    """
    if not header:
        return after or 0
    if not (header.isascii() and header.isdigit() and len(header) < 20 and int(header) <= MAX_NUMBER):
        message = "Last-Event-ID has to be the number of an event"
        raise InvalidInputError(message, errors=[{"field": "Last-Event-ID", "message": message}])
    return int(header)


async def send_events(
    sink: Sink,
    batches: AsyncIterator[Sequence[Mapping[str, Any]]],
    *,
    heartbeat: float,
    ended: Sequence[asyncio.Future[Any]],
) -> bool:
    """Send events until there are no more.

    Nothing is fetched before the client has taken what was sent, so that a slow one holds no memory here.

    Parameters
    ----------
    sink : Sink
        The connection; its headers are set.
    batches : async generator of sequences of events
        In order; it is closed at the end, also when the client leaves.
    heartbeat : float
        Seconds of silence after which a comment is sent, so that nobody in between takes the connection for dead.
    ended : sequence of futures
        The first one that is done ends the stream: the client left, the server stops.

    Returns
    -------
    bool
        Whether everything was sent.
    """
    sink.write(OPENING)
    await sink.flush()
    async with aclosing(cast("AsyncGenerator[Sequence[Mapping[str, Any]], None]", batches)) as source:
        while True:
            following = asyncio.ensure_future(anext(source, None))
            try:
                while not following.done():
                    await asyncio.wait([following, *ended], timeout=heartbeat, return_when=asyncio.FIRST_COMPLETED)
                    if any(end.done() for end in ended):
                        return False
                    if not following.done():
                        sink.write(HEARTBEAT)
                        await sink.flush()
            finally:
                if not following.done():
                    following.cancel()
                    await asyncio.wait([following])
            batch = following.result()
            if batch is None:
                return True
            sink.write(b"".join(map(frame, batch)))
            await sink.flush()

"""Server-sent events as text, on a sink that a test holds in its hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from httpx_sse._decoders import SSEDecoder

from mcnb.errors import InvalidInputError
from mcnb.server.sse import HEARTBEAT, OPENING, frame, read_last_id, send_events

EVENTS = [
    {"id": 1, "type": "state", "time": 1.0, "state": "pending"},
    {"id": 2, "type": "token", "time": 2.0, "text": "a\n\r\u2028\x85😀从", "tokens": 1},
    {"id": 3, "type": "state", "time": 3.0, "state": "completed"},
]


class Sink:
    """Takes what is sent, piece by piece; while it is closed nothing goes through."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.open = asyncio.Event()
        self.open.set()
        self.flushed = asyncio.Event()

    def write(self, chunk: bytes) -> None:
        self.pieces.append(chunk)

    async def flush(self) -> None:
        self.flushed.set()
        await self.open.wait()


class Source:
    """Gives batches one by one, and tells how many were fetched and whether it was closed."""

    def __init__(self) -> None:
        self.batches: asyncio.Queue[list[Any] | None] = asyncio.Queue()
        self.fetched = 0
        self.closed = False

    async def __call__(self) -> AsyncGenerator[list[Any], None]:
        try:
            while (batch := await self.batches.get()) is not None:
                self.fetched += 1
                yield batch
        finally:
            self.closed = True


def test_a_frame_is_one_event_for_any_decoder() -> None:
    for event in EVENTS:
        lines = frame(event).decode("ascii").splitlines()
        decoder = SSEDecoder()
        found = [read for read in map(decoder.decode, lines) if read is not None]
        assert [(read.id, read.event, json.loads(read.data)) for read in found] == [
            (str(event["id"]), event["type"], event)
        ]


async def send(sink: Sink, source: Source, end: asyncio.Future[None], heartbeat: float = 60) -> bool:
    return await send_events(sink, source(), heartbeat=heartbeat, ended=[end])


def test_everything_is_sent_in_order_and_then_it_ends() -> None:
    async def main() -> None:
        sink, source, end = Sink(), Source(), asyncio.get_running_loop().create_future()
        for batch in (EVENTS[:2], EVENTS[2:], None):
            source.batches.put_nowait(batch)
        assert await send(sink, source, end)
        assert sink.pieces == [OPENING, b"".join(map(frame, EVENTS[:2])), frame(EVENTS[2])]
        assert source.closed

    asyncio.run(main())


def test_silence_is_filled() -> None:
    async def main() -> None:
        sink, source, end = Sink(), Source(), asyncio.get_running_loop().create_future()
        sending = asyncio.ensure_future(send(sink, source, end, heartbeat=0.001))
        while sink.pieces.count(HEARTBEAT) < 3:
            sink.flushed.clear()
            await sink.flushed.wait()
        source.batches.put_nowait(EVENTS[:1])
        source.batches.put_nowait(None)
        assert await sending
        assert [piece for piece in sink.pieces if piece != HEARTBEAT] == [OPENING, frame(EVENTS[0])]

    asyncio.run(main())


def test_nothing_is_fetched_for_a_client_that_takes_nothing() -> None:
    async def main() -> None:
        sink, source, end = Sink(), Source(), asyncio.get_running_loop().create_future()
        sending = asyncio.ensure_future(send(sink, source, end))
        await sink.flushed.wait()
        sink.open.clear()
        sink.flushed.clear()
        for event in EVENTS:
            source.batches.put_nowait([event])
        await sink.flushed.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        assert source.fetched == 1
        sink.open.set()
        source.batches.put_nowait(None)
        assert await sending
        assert source.fetched == 3

    asyncio.run(main())


def test_it_ends_when_the_client_leaves() -> None:
    async def main() -> None:
        sink, source, end = Sink(), Source(), asyncio.get_running_loop().create_future()
        sending = asyncio.ensure_future(send(sink, source, end))
        await sink.flushed.wait()
        end.set_result(None)
        assert not await sending
        assert source.closed
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_the_number_to_resume_from() -> None:
    assert read_last_id(None, None) == 0
    assert read_last_id(None, 4) == 4
    assert read_last_id("7", 4) == 7
    for wrong in ("x", "-1", "1.5", "９", "1" * 30):
        with pytest.raises(InvalidInputError, match="Last-Event-ID"):
            read_last_id(wrong, None)

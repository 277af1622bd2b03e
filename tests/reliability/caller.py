"""A client of one server: what the reliability scripts send and read, over plain HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from types import TracebackType
from typing import Any

import httpx
from httpx_sse import aconnect_sse

from .server_process import ServerProcess

TERMINAL = frozenset({"cancelled", "completed", "failed"})
RUNS = "workflows/runs"


class Caller:
    """Requests to one server; several may be under way at once, each on a connection of its own."""

    def __init__(self, server: ServerProcess) -> None:
        self._client = httpx.AsyncClient(
            base_url=server.url,
            headers=server.headers,
            timeout=httpx.Timeout(120, connect=30),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            trust_env=False,
        )

    async def __aenter__(self) -> Caller:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self._client.get(path, params=query)

    async def remove(self, path: str) -> httpx.Response:
        return await self._client.delete(path)

    async def post(self, body: dict[str, Any], key: str | None = None) -> httpx.Response:
        """Ask for a run; return whatever the server answers."""
        return await self._client.post(RUNS, json=body, headers={"Idempotency-Key": key} if key else {})

    async def submit(self, body: dict[str, Any], key: str | None = None) -> str:
        """Ask for a run without waiting for it; return its id."""
        reply = await self.post({**body, "wait_for_completion": False}, key)
        assert reply.status_code == httpx.codes.ACCEPTED, f"{reply.status_code} instead of 202: {reply.text}"
        return str(reply.json()["run_id"])

    async def stream(self, body: dict[str, Any], key: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """Ask for a run and yield its events; whoever stops reading leaves the stream."""
        headers = {"Idempotency-Key": key} if key else {}
        async with aconnect_sse(self._client, "POST", RUNS, json={**body, "stream": True}, headers=headers) as source:
            if source.response.status_code != httpx.codes.OK:
                await source.response.aread()
                raise AssertionError(f"{source.response.status_code} instead of 200: {source.response.text}")
            async for message in source.aiter_sse():
                if message.data:  # the first one only says when to come back
                    yield _event(message.id, message.event, message.data)

    async def events(self, run_id: str, after: int = 0) -> AsyncIterator[dict[str, Any]]:
        """Yield a run's events after a number, to the last one."""
        headers = {"Last-Event-ID": str(after)} if after else {}
        async with aconnect_sse(self._client, "GET", f"{RUNS}/{run_id}/events", headers=headers) as source:
            source.response.raise_for_status()
            async for message in source.aiter_sse():
                if message.data:  # the first one only says when to come back
                    yield _event(message.id, message.event, message.data)

    async def log(self, run_id: str) -> list[dict[str, Any]]:
        """Return all events of a run that is over."""
        async with aclosing(self.events(run_id)) as events:
            return [event async for event in events]

    async def run(self, run_id: str) -> dict[str, Any]:
        """Return a run as the server tells of it."""
        reply = await self.get(f"{RUNS}/{run_id}")
        assert reply.status_code == httpx.codes.OK, f"{reply.status_code} for {run_id}: {reply.text}"
        return dict(reply.json())

    async def cancel(self, run_id: str) -> httpx.Response:
        return await self._client.post(f"{RUNS}/{run_id}/cancel")

    async def ended(self, run_id: str, within: float) -> dict[str, Any]:
        """Return a run once it is over; fails when it is not within some seconds."""
        end = time.monotonic() + within
        while True:
            run = await self.run(run_id)
            if run["status"] in TERMINAL:
                return run
            assert time.monotonic() < end, f"{run_id} is still {run['status']} after {within:.0f} s"
            await asyncio.sleep(0.05)

    async def listed(self, **query: Any) -> list[dict[str, Any]]:
        """Return all runs that the server lists, the newest first."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = (await self.get(RUNS, limit=100, **({"cursor": cursor} if cursor else {}), **query)).json()
            found += page["runs"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found


def _event(number: str, kind: str, data: str) -> dict[str, Any]:
    event = dict(json.loads(data))
    assert (str(event["id"]), event["type"]) == (number, kind), f"{number} {kind} does not fit {data}"
    return event


def faults_in(events: Iterable[dict[str, Any]]) -> list[str]:
    """Say what is wrong with the log of a run that is over: gaps; anything but one terminal state, the last event."""
    log = list(events)
    found = []
    if [event["id"] for event in log] != list(range(1, len(log) + 1)):
        found.append(f"its events are numbered {[event['id'] for event in log][:20]}...")
    ends = [place for place, event in enumerate(log) if event["type"] == "state" and event["state"] in TERMINAL]
    if ends != [len(log) - 1]:
        found.append(f"of its {len(log)} events, those that end it are {ends}")
    return found


def text_of(events: Iterable[dict[str, Any]]) -> str:
    """Join the pieces of a run's own text."""
    return "".join(event["text"] for event in events if event["type"] == "token" and event["streamed"])


def tokens_in(event: dict[str, Any]) -> int:
    """Return how many tokens a run has generated when this event is told; 0 for other events."""
    return int(event["tokens"]) if event["type"] == "token" else 0

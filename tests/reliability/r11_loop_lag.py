"""R11: the server's event loop comes round in time during a cold load and decoding: p99 of its lag at most 50 ms.

``python -m tests.reliability.r11_loop_lag [--rounds 20] [--seed N]``: a round is one second of decoding four streams.
The lag is measured inside, by a probe in the loop itself, and shown beside it the time that a light request takes, sent
from outside 100 times a second. Cold load and decoding are told apart.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import httpx

from .caller import Caller, tokens_in
from .documents import LONG, asks, served
from .loop_probe import lags
from .promise import Figure, Task, command, percentile
from .server_process import ServerProcess

STREAMS = 4
LIMIT = 0.05
REQUESTS = 100
"""A second."""


class Asking:
    """A light request so many times a second, each sent when its time has come, whatever the others do."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self.times: list[tuple[float, float]] = []
        self.faults: list[str] = []

    async def go_on(self) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=REQUESTS)
        under_way: set[asyncio.Task[None]] = set()
        async with httpx.AsyncClient(headers=self._server.headers, limits=limits, trust_env=False) as client:
            start = time.perf_counter()
            number = 0
            while True:
                task = asyncio.create_task(self._ask(client))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                number += 1
                await asyncio.sleep(max(0.0, start + number / REQUESTS - time.perf_counter()))

    async def _ask(self, client: httpx.AsyncClient) -> None:
        moment, before = time.time(), time.perf_counter()
        reply = await client.get(self._server.url + "health")
        self.times.append((moment, time.perf_counter() - before))
        if reply.status_code != httpx.codes.OK:
            self.faults.append(f"health answered {reply.status_code}")

    def between(self, since: float, until: float) -> list[float]:
        return [seconds for moment, seconds in self.times if since <= moment <= until]


async def measure(task: Task) -> Figure:
    figure = Figure("R11", f"event-loop lag p99 at most {LIMIT * 1000:.0f} ms during cold load and decoding", "")
    document = served(task.folder / "served")
    probe = task.folder / "lags.txt"
    server = ServerProcess(
        task.folder / "server",
        [document],
        extensions={"tests.reliability.loop_probe": True},
        environment={"LOOP_PROBE": str(probe)},
    )
    with await asyncio.to_thread(server.start):
        asking = Asking(server)
        background = asyncio.create_task(asking.go_on())
        async with Caller(server) as caller:
            await asyncio.sleep(2)
            cold = time.time()
            decoding = await _first_token(caller)
            await asyncio.gather(*(_read(caller, decoding + task.rounds) for _ in range(STREAMS)))
            over = time.time()
        background.cancel()
        await asyncio.gather(background, return_exceptions=True)
    phases = {"idle": (cold - 1.5, cold), "cold load": (cold, decoding), "decoding": (decoding, over)}
    told = []
    for name, (since, until) in phases.items():
        inside, outside = lags(probe, since, until), asking.between(since, until)
        told.append(
            f"{name} {percentile(inside, 99) * 1000:.1f} ms inside (longest {max(inside) * 1000:.0f}), "
            f"{percentile(outside, 99) * 1000:.0f} ms a light request"
        )
        if name != "idle" and percentile(inside, 99) > LIMIT:
            figure.broken.append(f"{name}: p99 of the lag is {percentile(inside, 99) * 1000:.0f} ms")
    figure.broken += asking.faults
    figure.figure = f"p99 of {until - cold:.0f} s: " + "; ".join(told)
    return figure


async def _first_token(caller: Caller) -> float:
    """Ask a server that has no kernel for a token; return when it came."""
    async with aclosing(caller.stream(asks(LONG, tokens=4))) as events:
        moments = [time.time() async for event in events if tokens_in(event)]
    return moments[0]


async def _read(caller: Caller, until: float) -> None:
    """Read a stream until some time, and leave it."""
    async with aclosing(caller.stream(asks(LONG))) as events:
        async for _ in events:
            if time.time() > until:
                return


if __name__ == "__main__":
    command(measure, 20, __doc__)
